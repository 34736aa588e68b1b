//! A form on a page: the texts of its fields, as they are stored or were typed, and what was wrong with one of them. What
//! was refused is said in the API's words, without the marks that only programs need.

use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use serde_json::Value;

use crate::http::error::ApiError;
use crate::http::query::Query;

use super::form::Form;

/// Empty rows of a table at least.
const SPARE: usize = 3;
/// The same on a page that was posted to: without a script more of them are not to be had there without losing what was
/// typed.
const SPARE_WHEN_REFUSED: usize = 10;
/// Rows of a table at most, as the API has it.
const MOST_ROWS: usize = 100;

/// See the module.
pub struct Sheet {
    texts: Vec<(&'static str, String)>,
    refusal: Option<Refusal>,
}

/// What was wrong, and with which field of the API.
struct Refusal {
    param: String,
    message: String,
}

impl Sheet {
    /// A form with these texts; every field that it has is named.
    pub fn new<const N: usize>(texts: [(&'static str, String); N]) -> Self {
        Self {
            texts: texts.into(),
            refusal: None,
        }
    }

    /// What was typed into this form, with what was wrong with it.
    pub fn again(mut self, form: &Form, error: &ApiError) -> Self {
        for (name, text) in &mut self.texts {
            form.text(name).clone_into(text);
        }
        let param = error.extra().get("param").and_then(Value::as_str).map(str::to_owned);
        let param = param.unwrap_or_default();
        self.refusal = Some(Refusal {
            message: in_words(error.message(), &param),
            param,
        });
        self
    }

    /// The same with another text in this field.
    pub fn with(mut self, name: &'static str, text: &str) -> Self {
        self.texts.retain(|(known, _)| *known != name);
        self.texts.push((name, text.to_owned()));
        self
    }

    pub fn text(&self, name: &str) -> &str {
        let named = self.texts.iter().find(|(known, _)| *known == name);
        named.map_or("", |(_, text)| text)
    }

    /// What is wrong with this field or with something in it, by its name or its path in the API; empty where nothing is.
    pub fn wrong(&self, param: &str) -> &str {
        match &self.refusal {
            Some(refusal) if refusal.param == param || root(&refusal.param) == param => &refusal.message,
            Some(_) | None => "",
        }
    }

    /// Whether this field of this row of a list is what is wrong.
    pub fn is_wrong_in(&self, list: &str, row: &usize, field: &str) -> bool {
        let refused = self.refusal.as_ref();
        refused.is_some_and(|refusal| refusal.param == format!("{list}[{row}].{field}"))
    }

    /// Whether something was wrong, so that this is where the reader should begin.
    pub const fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// A refusal that belongs to no field of the form.
    pub fn general(&self) -> &str {
        match &self.refusal {
            Some(refusal) if !self.texts.iter().any(|(name, _)| *name == root(&refusal.param)) => &refusal.message,
            Some(_) | None => "",
        }
    }
}

/// Whether a form is shown again with what was wrong, rather than a page of its own, so that nothing typed is lost: also
/// where the server could not do it at the moment, but not where `own`, the parameter that names the thing itself, is what
/// is missing.
pub fn is_refusal(error: &ApiError, own: &str) -> bool {
    let status = error.status();
    let is_gone = status == StatusCode::NOT_FOUND && error.extra().get("param").is_some_and(|param| param == own);
    (status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE) && !is_gone
}

/// The status of the page that shows it again.
pub fn refused_status(error: &ApiError) -> StatusCode {
    match error.status() {
        StatusCode::SERVICE_UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Fills the rows of a table up with empty ones, to as many as the address asks for with `rows`, and always with some to
/// spare; tells how many a page with more of them has.
pub fn spare_rows<T: Default + Clone>(request: &HttpRequest, rows: &mut Vec<T>) -> usize {
    let query = Query::parse(request.query_string());
    let asked = query
        .text("rows")
        .ok()
        .flatten()
        .and_then(|text| text.parse::<usize>().ok());
    let spare = if request.method() == Method::GET {
        SPARE
    } else {
        SPARE_WHEN_REFUSED
    };
    let count = (rows.len() + spare)
        .max(asked.unwrap_or(0))
        .min(MOST_ROWS.max(rows.len()));
    rows.resize(count, T::default());
    (count + 5).min(MOST_ROWS)
}

/// The field of a form that `tiers[1].start` or `spend_limit.amount` is in.
fn root(param: &str) -> &str {
    param.split(['.', '[']).next().unwrap_or(param)
}

/// ``"`tiers[1].start` must be above ..."`` as `Row 2, start: must be above ...`; what begins with the field's name
/// begins with what is wrong with it, because it stands beside the field.
fn in_words(message: &str, param: &str) -> String {
    let rest = message.strip_prefix(&format!("`{param}` "));
    let place = param.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let text = match (rest, place) {
        (None, _) => message.to_owned(),
        (Some(rest), None) => capital(rest),
        (Some(rest), Some((place, field))) => {
            let row = place.parse::<u64>().unwrap_or(0).saturating_add(1);
            let field = field.trim_start_matches('.').replace('_', " ");
            let comma = if field.is_empty() { "" } else { ", " };
            format!("Row {row}{comma}{field}: {rest}")
        }
    };
    let quoted = |(place, part): (usize, &str)| {
        if place % 2 == 1 {
            part.replace('_', " ")
        } else {
            part.to_owned()
        }
    };
    text.split('`').enumerate().map(quoted).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::ErrorCode;
    use actix_web::test::TestRequest;

    fn sheet(error: &ApiError) -> Sheet {
        let blank = Sheet::new([("name", String::new()), ("tiers", String::new())]);
        blank.again(&Form::read(b"name=n"), error)
    }

    #[test]
    fn a_refusal_stands_beside_its_field_and_in_words() {
        let again = sheet(&ApiError::invalid("name", "must be shorter than `meter_slug`"));
        assert_eq!(again.wrong("name"), "Must be shorter than meter slug");
        assert_eq!((again.general(), again.text("name")), ("", "n"));
        let again = sheet(&ApiError::invalid("tiers[1].start", "must be above it"));
        assert_eq!(again.wrong("tiers"), "Row 2, start: must be above it");
        assert!(again.is_wrong_in("tiers", &1, "start") && !again.is_wrong_in("tiers", &1, "rate"));
        let again = sheet(&ApiError::invalid("price", "is too high"));
        assert_eq!((again.general(), again.wrong("name")), ("Is too high", ""));
    }

    #[test]
    fn a_table_has_rows_to_spare_and_as_many_as_are_asked_for() {
        let request = |uri: &str| TestRequest::with_uri(uri);
        let counted = |request: TestRequest, rows: usize| {
            let mut rows = vec![0; rows];
            let more = spare_rows(&request.to_http_request(), &mut rows);
            (rows.len(), more)
        };
        let count = |uri: &str, rows: usize| counted(request(uri), rows);
        assert_eq!(counted(request("/x").method(Method::POST), 2).0, 12);
        assert_eq!(count("/x", 2), (5, 10));
        assert_eq!(count("/x?rows=20", 2), (20, 25));
        assert_eq!(count("/x?rows=9999999", 100), (100, 100));
        assert_eq!(count("/x?rows=-1", 99), (100, 100));
    }

    #[test]
    fn what_is_gone_has_no_form_any_more() {
        assert!(is_refusal(&ApiError::missing("meter_ids[0]", "meter"), "plan_id"));
        assert!(!is_refusal(&ApiError::missing("plan_id", "plan"), "plan_id"));
        assert!(!is_refusal(&ApiError::internal("a test", &"of it"), "plan_id"));
    }

    #[test]
    fn what_was_typed_stays_while_the_server_is_away() {
        let away = ApiError::new(ErrorCode::Unavailable);
        assert!(is_refusal(&away, "plan_id"));
        assert_eq!(refused_status(&away), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(sheet(&away).general(), away.message());
    }
}
