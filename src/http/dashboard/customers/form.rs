//! The form of a customer: what was typed, as it goes to the API, and as it is stored. Metadata is any JSON object of the
//! merchant's, so it is written as JSON.

use serde_json::{Map, Value};

use crate::domain::customer::CustomerFields;
use crate::http::dashboard::form::{Form, object};
use crate::http::dashboard::sheet::Sheet;

/// A form with nothing in it.
pub fn blank() -> Sheet {
    of_customer(&CustomerFields::default())
}

/// A customer as he is.
pub fn of_customer(fields: &CustomerFields) -> Sheet {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Sheet::new([
        ("name", text(&fields.name)),
        ("email", text(&fields.email)),
        ("phone", text(&fields.phone)),
        ("reference_id", text(&fields.reference_id)),
        ("metadata", fields.metadata.as_ref().map(indented).unwrap_or_default()),
    ])
}

/// The body for the API; an empty field clears. Metadata that is not JSON goes on as a text, and the API says so.
pub fn body(form: &Form) -> Map<String, Value> {
    let metadata = form.json_text("metadata");
    object([
        ("name", form.json_text("name")),
        ("email", form.json_text("email")),
        ("phone", form.json_text("phone")),
        ("reference_id", form.json_text("reference_id")),
        (
            "metadata",
            match metadata.as_str().map(serde_json::from_str::<Value>) {
                Some(Ok(read)) => read,
                Some(Err(_)) | None => metadata,
            },
        ),
    ])
}

/// JSON as a person reads it.
pub fn indented(fields: &Map<String, Value>) -> String {
    serde_json::to_string_pretty(fields).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_says_who_a_customer_is_and_an_empty_field_clears() {
        let read = body(&Form::read(b"name=Jane&email=&metadata=%7B%22tier%22%3A+1%7D"));
        assert_eq!((&read["name"], &read["email"]), (&json!("Jane"), &Value::Null));
        assert_eq!(read["metadata"], json!({ "tier": 1 }));
        assert_eq!(body(&Form::read(b"metadata=gold"))["metadata"], json!("gold"));
    }
}
