//! What a change came with, as the audit log keeps it: the fields of its body, without secrets, and no more of them than
//! a reader can use. It goes among the request's extensions, put there by whoever reads the body.

use actix_web::{HttpMessage as _, HttpRequest};
use serde_json::{Map, Value, json};

use super::is_change;

/// What of a body is kept, in bytes of JSON.
const ASKED_LIMIT: usize = 4096;
/// The longest text of a field that is kept.
const TEXT_LIMIT: usize = 300;
const HIDDEN: &str = "[hidden]";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Asked(pub(super) Value);

/// Keeps the fields of a body for the audit log, without what nobody may read there.
pub fn note_body(request: &HttpRequest, fields: &Map<String, Value>) {
    if is_change(request.method()) {
        request.extensions_mut().insert(Asked(kept(fields)));
    }
}

/// The fields, or their names where they are too much, or the first of the names.
fn kept(fields: &Map<String, Value>) -> Value {
    let whole = shown("", &Value::Object(fields.clone()));
    if whole.to_string().len() <= ASKED_LIMIT {
        return whole;
    }
    let mut left = ASKED_LIMIT;
    let mut names: Vec<String> = Vec::new();
    for name in fields.keys() {
        let name = cut(name);
        let Some(rest) = left.checked_sub(name.len()) else {
            names.push("…".to_owned());
            break;
        };
        left = rest;
        names.push(name);
    }
    json!({ "fields": names })
}

/// A field as it may be kept.
fn shown(name: &str, value: &Value) -> Value {
    if is_secret(name) && !value.is_null() {
        return Value::from(HIDDEN);
    }
    match value {
        Value::String(text) => Value::from(cut(text)),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), shown(name, value)))
            .collect(),
        Value::Array(items) => items.iter().map(|item| shown(name, item)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() > TEXT_LIMIT {
        text.chars().take(TEXT_LIMIT).chain(['…']).collect()
    } else {
        text.to_owned()
    }
}

/// Names of fields whose values are secrets, or a person's.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let endings = [
        "key",
        "secret",
        "token",
        "credential",
        "password",
        "number",
        "cvc",
        "code",
    ];
    endings.iter().any(|ending| name.ends_with(ending)) || ["phone", "email", "value", "contact"].contains(&&*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand_and_ids_are_not() {
        let body = json!({
            "name": "n", "api_key": "sk-1", "spend_key_id": "spk_1", "nested": {"client_secret": "s", "amount": "5"},
            "contact": {"phone": "+1"}, "list": [{"token": "t"}], "key": null, "long": "x".repeat(400),
        });
        let shown = shown("", &body);
        assert_eq!(shown["api_key"], HIDDEN);
        assert_eq!(shown["spend_key_id"], "spk_1");
        assert_eq!(shown["nested"], json!({"client_secret": HIDDEN, "amount": "5"}));
        assert_eq!(shown["contact"], HIDDEN);
        assert_eq!(shown["list"], json!([{"token": HIDDEN}]));
        assert_eq!(shown["key"], Value::Null);
        assert_eq!(shown["long"].as_str().unwrap().chars().count(), TEXT_LIMIT + 1);
    }

    #[test]
    fn of_a_large_body_only_names_are_kept_and_not_all_of_them() {
        let body = |count: usize, length: usize| -> Map<String, Value> {
            let name = |place: usize| format!("{place:04}{}", "n".repeat(length));
            (0..count).map(|place| (name(place), Value::from("v"))).collect()
        };
        assert_eq!(kept(&body(2, 5))["0001nnnnn"], "v");
        let many = kept(&body(400, 5));
        assert_eq!(many["fields"].as_array().unwrap().len(), 400);
        let more = kept(&body(2000, 5000));
        let names = more["fields"].as_array().unwrap();
        assert_eq!(names.last().unwrap(), "…");
        assert!(more.to_string().len() < 2 * ASKED_LIMIT, "{}", more.to_string().len());
    }
}
