//! The fields of a posted form, as the guard read them. Values may be credentials, so they are wiped when the form is
//! dropped, and never shown by `Debug`.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use serde_json::{Map, Value};

use crate::domain::secret::Secret;
use crate::http::error::{ApiError, ErrorCode};

/// Fields of a form at most.
const FIELDS: usize = 1024;

/// See the module.
#[derive(Clone, Default)]
pub struct Form(Arc<Vec<(String, Secret<String>)>>);

impl Form {
    /// The form of a request; one with too many fields is refused whole.
    pub fn of_body(body: &[u8]) -> Result<Self, ApiError> {
        let form = Self::read(body);
        if form.0.len() > FIELDS {
            let message = format!("This form has more than {FIELDS} fields. Nothing was changed.");
            return Err(ApiError::new(ErrorCode::PayloadTooLarge).say(message));
        }
        Ok(form)
    }

    pub fn read(body: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(body).into_owned();
        Self(Arc::new(
            pairs.map(|(name, value)| (name, Secret::new(value))).collect(),
        ))
    }

    /// The field without blanks around it; empty where it is not there.
    pub fn text(&self, name: &str) -> &str {
        let named = self.0.iter().find(|(key, _)| key == name);
        named.map_or("", |(_, value)| value.expose().trim())
    }

    /// All values of a field, without blanks around them.
    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.expose().trim())
    }

    /// The field as a JSON string; `null` where it is empty.
    pub fn json_text(&self, name: &str) -> Value {
        match self.text(name) {
            "" => Value::Null,
            text => Value::from(text),
        }
    }

    /// The field as a JSON number where it is one, else as it was typed, so that the API says what is wrong with it;
    /// `null` where it is empty.
    pub fn json_number(&self, name: &str) -> Value {
        let text = self.text(name);
        match text.parse::<u64>() {
            Ok(number) => Value::from(number),
            Err(_) => self.json_text(name),
        }
    }

    /// What stands on lines, as a JSON array; `null` where nothing does. A comma may be part of what stands there.
    pub fn json_lines(&self, name: &str) -> Value {
        let items: Vec<Value> = self
            .text(name)
            .lines()
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(Value::from)
            .collect();
        if items.is_empty() {
            Value::Null
        } else {
            Value::Array(items)
        }
    }
}

impl FromRequest for Form {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let form = request.extensions().get::<Self>().cloned();
        ready(form.ok_or_else(|| ApiError::internal("reading a form", &"the route has no guard")))
    }
}

/// An object without the fields that are not to be mentioned.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_with_too_many_fields_is_refused_rather_than_cut() {
        let body = |count: usize| "a=1&".repeat(count).into_bytes();
        assert_eq!(Form::of_body(&body(FIELDS)).unwrap().texts("a").count(), FIELDS);
        let refusal = Form::of_body(&body(FIELDS + 1)).err().unwrap();
        assert_eq!(refusal.code(), ErrorCode::PayloadTooLarge);
    }

    #[test]
    fn fields_are_read_as_the_api_wants_them() {
        let form = Form::read(b"name=+a+b+&count=12&amount=5.00&models=x%2C+y%0D%0A+z&empty=&tick=on");
        assert_eq!(form.text("name"), "a b");
        assert_eq!(form.json_number("count"), json!(12));
        assert_eq!(form.json_number("amount"), json!("5.00"));
        assert_eq!(form.json_number("empty"), Value::Null);
        assert_eq!(form.json_lines("models"), json!(["x, y", "z"]));
        assert_eq!(form.json_lines("none"), Value::Null);
    }
}
