//! The arguments of tool calls for dialects that write them as JSON objects and not as text. A model may write arguments
//! that are no object (or the output cap cuts them off); they must not turn into a call without arguments.

use serde_json::value::RawValue;

use super::json::{Json, Object};

/// The arguments as raw JSON; none at all are an empty object. `None` for a text that is no object.
pub(super) fn object(text: &str) -> Option<Json<'_>> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Some(Object::new().into());
    }
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    text.starts_with('{').then(|| raw.into())
}

/// The arguments for the caller of a tool: a text that is no object stands under a name that no schema has.
pub(super) fn object_or_text(text: &str) -> Json<'_> {
    object(text).unwrap_or_else(|| Object::new().with("malformed_arguments", text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_written_as_it_stands() {
        let written = |text| Object::new().with("a", object_or_text(text)).to_bytes();
        let table = [
            ("", r#"{"a":{}}"#),
            (" {\"b\": 1} ", r#"{"a":{"b": 1}}"#),
            ("[1]", r#"{"a":{"malformed_arguments":"[1]"}}"#),
            ("{\"b\":", r#"{"a":{"malformed_arguments":"{\"b\":"}}"#),
        ];
        for (text, expected) in table {
            assert_eq!(String::from_utf8(written(text)).unwrap(), expected);
        }
    }
}
