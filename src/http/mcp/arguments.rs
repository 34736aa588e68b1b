//! The arguments of a tool: read by name, refused by name. What a tool hands on to this server's own interface is read
//! there; here is what becomes a part of an address or of a header.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::http::error::{ApiError, ErrorCode};

/// What stands in a path or a query as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const TEXT_LIMIT_BYTES: usize = 8_192;

/// What a tool was called with.
pub struct Arguments(pub Map<String, Value>);

impl Arguments {
    /// A text that may be absent; null and an empty text count as absent.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.len() > TEXT_LIMIT_BYTES => Err(ApiError::invalid(name, "is too long")),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(ApiError::invalid(name, "must be a string")),
        }
    }

    pub fn required_text(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)?.ok_or_else(|| ApiError::invalid(name, "is required"))
    }

    /// A whole number from one to `most`.
    pub fn count(&self, name: &str, most: u64) -> Result<Option<u64>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().filter(|number| (1..=most).contains(number)) {
                Some(number) => Ok(Some(number)),
                None => Err(ApiError::invalid(name, format!("must be an integer from 1 to {most}"))),
            },
        }
    }

    /// What there is under a name, unless it is null.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Refuses what the tool does not take, for a typing error could cost money.
    pub fn require_known(&self, known: &[&str]) -> Result<(), ApiError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(unknown) => {
                let unknown: String = unknown.chars().take(100).collect();
                let message = format!(
                    "`{unknown}` is not an argument of this tool; known are {}.",
                    known.join(", ")
                );
                Err(ApiError::new(ErrorCode::UnknownField).say(message).param(&unknown))
            }
        }
    }

    /// All the arguments, as the query of an address.
    pub fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.0 {
            match value {
                Value::Null => {}
                Value::String(text) => drop(query.append_pair(name, text)),
                Value::Number(number) => drop(query.append_pair(name, &number.to_string())),
                Value::Bool(flag) => drop(query.append_pair(name, &flag.to_string())),
                Value::Array(_) | Value::Object(_) => drop(query.append_pair(name, &value.to_string())),
            }
        }
        query.finish()
    }
}

/// A text as one piece of a path, or as a value of a query.
pub fn escaped(text: &str) -> String {
    // A piece of dots alone would climb.
    if text.bytes().all(|byte| byte == b'.') {
        return text.replace('.', "%2E");
    }
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_path_stays_one_piece() {
        for (text, piece) in [
            ("a-b_c.d", "a-b_c.d"),
            ("../x?y#z%", "..%2Fx%3Fy%23z%25"),
            ("..", "%2E%2E"),
            ("é ", "%C3%A9%20"),
        ] {
            assert_eq!(escaped(text), piece);
        }
    }

    #[test]
    fn arguments_are_refused_by_name() {
        let object = serde_json::json!({ "a": "x", "n": 3, "z": null, "o": {"k": 1}, "e": "" });
        let Value::Object(fields) = object else { unreachable!() };
        let arguments = Arguments(fields);
        assert_eq!(arguments.text("a").unwrap(), Some("x"));
        assert_eq!(
            (arguments.text("z").unwrap(), arguments.text("e").unwrap()),
            (None, None)
        );
        assert!(arguments.text("n").is_err() && arguments.required_text("e").is_err());
        assert_eq!(arguments.count("n", 3).unwrap(), Some(3));
        assert!(arguments.count("n", 2).is_err() && arguments.count("a", 2).is_err());
        assert!(
            arguments
                .require_known(&["a", "n", "z", "o"])
                .unwrap_err()
                .message()
                .contains("`e`")
        );
        assert_eq!(arguments.query(), "a=x&e=&n=3&o=%7B%22k%22%3A1%7D");
    }
}
