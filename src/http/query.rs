//! The query of a management call. A parameter that is not known is ignored, as everywhere but in bodies that set
//! limits or prices; one that is known and wrong, or there twice, is refused by name.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use chrono::{DateTime, FixedOffset, NaiveDate};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::fields::check_text;
use super::vocabulary::older_names;
use crate::storage::search::Search;

/// The decoded pairs, in their order.
pub struct Query(Vec<(String, String)>);

impl FromRequest for Query {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::parse(request.query_string())))
    }
}

impl Query {
    pub fn parse(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The value of a parameter, under whichever of its names; an empty one counts as absent.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let named = self.named(name)?.map(|(_, value)| value.as_str());
        Ok(named.filter(|value| !value.is_empty()))
    }

    /// The pair of a parameter, as it is spelled.
    fn named(&self, name: &str) -> Result<Option<&(String, String)>, ApiError> {
        let is_meant = |key: &str| key == name || older_names(name).contains(&key);
        let mut pairs = self.0.iter().filter(|(key, _)| is_meant(key));
        match (pairs.next(), pairs.next()) {
            (first, None) => Ok(first),
            (_, Some((again, _))) => Err(ApiError::invalid(again, "is there twice")),
        }
    }

    /// Every value of a parameter that may be there more than once.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.0.iter().filter(move |(key, _)| key == name);
        values.map(|(_, value)| value.as_str())
    }

    /// What is looked for: `search`, at most 255 characters.
    pub fn search(&self) -> Result<Search, ApiError> {
        let Some(text) = self.text("search")? else {
            return Ok(Search::default());
        };
        check_text(text, 255).map_err(|why| ApiError::invalid("search", why))?;
        Ok(Search::new(text))
    }

    /// A text to compare with, of at most so many characters.
    pub fn plain_text(&self, name: &str, most: usize) -> Result<Option<String>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        check_text(text, most).map_err(|why| ApiError::invalid(name, why))?;
        Ok(Some(text.to_owned()))
    }

    /// An instant with its offset. A `+` that nobody encoded has become a blank on the way.
    pub fn instant(&self, name: &str) -> Result<Option<DateTime<FixedOffset>>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let wrong = || ApiError::invalid(name, "must be an ISO 8601 instant such as \"2026-01-31T00:00:00Z\"");
        DateTime::parse_from_rfc3339(&text.replace(' ', "+"))
            .map(Some)
            .map_err(|_| wrong())
    }

    /// A day, as `2026-01-31`.
    pub fn day(&self, name: &str) -> Result<Option<NaiveDate>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let wrong = || ApiError::invalid(name, "must be a day such as \"2026-01-31\"");
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(Some)
            .map_err(|_| wrong())
    }

    /// One of these values, by its word.
    pub fn one_of<T: Copy>(
        &self,
        name: &str,
        values: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let found = values.iter().copied().find(|value| word(*value) == text);
        found.map(Some).ok_or_else(|| {
            let words: Vec<&str> = values.iter().map(|value| word(*value)).collect();
            ApiError::invalid(name, format!("must be one of {}", words.join(", ")))
        })
    }

    /// An id of the kind that is asked for.
    pub fn id<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let id = self.named(name)?.filter(|(_, value)| !value.is_empty());
        let id = id.map(|(spelled, text)| {
            text.parse()
                .map_err(|_| ApiError::invalid(spelled, "is not an id of its kind"))
        });
        id.transpose()
    }

    /// The pairs that a row's metadata must have: `metadata_filters=[["k","v"],...]` and `metadata={"k":"v"}`.
    /// `None` where there are no pairs.
    pub fn metadata_filters(&self) -> Result<Option<Value>, ApiError> {
        let mut pairs = Vec::new();
        if let Some(text) = self.text("metadata_filters")? {
            let wrong = || {
                ApiError::invalid(
                    "metadata_filters",
                    "must be a JSON array of [key, value] pairs of strings",
                )
            };
            pairs.extend(serde_json::from_str::<Vec<(String, String)>>(text).map_err(|_| wrong())?);
        }
        if let Some(text) = self.text("metadata")? {
            pairs.extend(read_object(text)?);
        }
        if pairs.len() > 100 {
            return Err(ApiError::invalid("metadata_filters", "must have at most 100 pairs"));
        }
        for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
            check_text(text, 1024).map_err(|why| ApiError::invalid("metadata_filters", why))?;
        }
        let mut object = Map::new();
        for (key, value) in pairs {
            if let Some(other) = object.insert(key, Value::from(value.as_str()))
                && other != value
            {
                return Err(ApiError::invalid("metadata_filters", "asks one key for two values"));
            }
        }
        Ok((!object.is_empty()).then_some(Value::Object(object)))
    }
}

fn read_object(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    let wrong = || ApiError::invalid("metadata", "must be a JSON object of strings");
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return Err(wrong());
    };
    let pair = |(key, value): (String, Value)| match value {
        Value::String(value) => Ok((key, value)),
        _ => Err(wrong()),
    };
    fields.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::SpendKeyId;

    #[test]
    fn reads_both_forms_of_metadata_filters_and_names_what_is_wrong() {
        let query = Query::parse("metadata_filters=%5B%5B%22a%22%2C%22b%22%5D%5D&metadata=%7B%22c%22%3A%22d%22%7D");
        assert_eq!(
            query.metadata_filters().unwrap(),
            Some(serde_json::json!({"a": "b", "c": "d"}))
        );
        let refused = [
            "metadata_filters=x",
            "metadata_filters={}",
            "metadata_filters=[[\"a\"]]",
            "metadata_filters=[[\"a\",1]]",
            "metadata_filters=[[\"a\",\"\\u0000\"]]",
            "metadata_filters=[[\"a\",\"b\"],[\"a\",\"c\"]]",
            "metadata=[]",
            "metadata={\"a\":1}",
            "metadata={\"a\":\"b\"}&metadata={}",
        ];
        for text in refused {
            assert!(Query::parse(text).metadata_filters().is_err(), "{text}");
        }
        assert!(Query::parse("").metadata_filters().unwrap().is_none());
    }

    #[test]
    fn a_parameter_is_read_under_its_older_names_but_not_under_two_of_them() {
        let query = Query::parse("connection_id=c&product_id=x");
        assert_eq!(query.text("customer_id").unwrap(), Some("c"));
        let refusal = query.id::<SpendKeyId>("meter_id").unwrap_err();
        assert_eq!(refusal.extra()["param"], "product_id");
        let refusal = Query::parse("customer_id=c&connection_id=c")
            .text("customer_id")
            .unwrap_err();
        assert_eq!(refusal.extra()["param"], "connection_id");
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        assert!(
            Query::parse("spend_key_id=req_01HF7YAT000000000000000000")
                .id::<SpendKeyId>("spend_key_id")
                .is_err()
        );
        assert_eq!(
            Query::parse("spend_key_id=").id::<SpendKeyId>("spend_key_id").unwrap(),
            None
        );
    }
}
