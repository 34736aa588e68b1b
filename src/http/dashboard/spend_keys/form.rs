//! The form of a spend key: what was typed, as it goes to the API, and as it is stored. A change mentions only what says
//! something else than what is stored, so that saving leaves alone what nobody edited.

use serde_json::{Map, Value, json};

use crate::http::dashboard::ask;
use crate::http::dashboard::form::{Form, object};
use crate::http::dashboard::sheet::Sheet;

/// The inputs of those fields of the API that have two.
const INPUTS: [(&str, [&str; 2]); 3] = [
    ("spend_limit", ["amount", "cycle"]),
    ("request_limit", ["requests", "request_cycle"]),
    ("rate_limit", ["rpm", "burst"]),
];

/// A form with what most people want.
pub fn blank() -> Sheet {
    of_key(&json!({ "request_shape": "openai", "enforcement": "adaptive", "timezone": "UTC" }))
}

/// A key as it is.
pub fn of_key(key: &Value) -> Sheet {
    let text = |name: &str| plain(key.get(name));
    let within = |object: &str, name: &str| plain(key.get(object).and_then(|inner| inner.get(name)));
    let cycle = |object: &str| match within(object, "cycle") {
        unset if unset.is_empty() => "daily".to_owned(),
        cycle => cycle,
    };
    let lines = |name: &str| ask::texts(key, name).join("\n");
    Sheet::new([
        ("name", text("name")),
        ("request_shape", text("request_shape")),
        ("spend_limit", String::new()),
        ("amount", within("spend_limit", "amount")),
        ("cycle", cycle("spend_limit")),
        ("request_limit", String::new()),
        ("requests", within("request_limit", "count")),
        ("request_cycle", cycle("request_limit")),
        ("rate_limit", String::new()),
        ("rpm", within("rate_limit", "rpm")),
        ("burst", within("rate_limit", "burst")),
        ("max_parallel", text("max_parallel")),
        ("allowed_models", lines("allowed_models")),
        ("allowed_providers", lines("allowed_providers")),
        ("allowed_ips", lines("allowed_ips")),
        ("expires_at", local(&text("expires_at"))),
        ("enforcement", text("enforcement")),
        ("timezone", text("timezone")),
        ("tags", lines("tags")),
    ])
}

/// The body that makes a key.
pub fn creation(form: &Form) -> Map<String, Value> {
    body(form).into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// The body that changes one; an empty field clears.
pub fn edit(form: &Form, stored: &Sheet) -> Map<String, Value> {
    let is_edited = |field: &str| {
        let inputs = INPUTS.iter().find(|(name, _)| *name == field);
        match inputs {
            Some((_, inputs)) => inputs.iter().any(|input| says_else(form, stored, input)),
            None => says_else(form, stored, field),
        }
    };
    body(form).into_iter().filter(|(name, _)| is_edited(name)).collect()
}

/// Browsers end lines otherwise, and blanks around a line are not part of it.
fn says_else(form: &Form, stored: &Sheet, input: &str) -> bool {
    let typed = form.text(input).lines().map(str::trim);
    !typed.eq(stored.text(input).lines().map(str::trim))
}

fn body(form: &Form) -> Map<String, Value> {
    let spend = json!({ "amount": form.text("amount"), "cycle": form.text("cycle") });
    let requests = json!({ "count": form.json_number("requests"), "cycle": form.text("request_cycle") });
    let rate = json!({ "rpm": form.json_number("rpm"), "burst": form.json_number("burst") });
    object([
        ("name", Value::from(form.text("name"))),
        ("request_shape", form.json_text("request_shape")),
        ("spend_limit", where_any(form, &["amount"], spend)),
        ("request_limit", where_any(form, &["requests"], requests)),
        ("rate_limit", where_any(form, &["rpm", "burst"], rate)),
        ("max_parallel", form.json_number("max_parallel")),
        ("allowed_models", form.json_lines("allowed_models")),
        ("allowed_providers", form.json_lines("allowed_providers")),
        ("allowed_ips", form.json_lines("allowed_ips")),
        ("expires_at", instant(form.text("expires_at"))),
        ("enforcement", form.json_text("enforcement")),
        ("timezone", form.json_text("timezone")),
        ("tags", form.json_lines("tags")),
    ])
}

/// The object where something was typed into one of these inputs, else `null`.
fn where_any(form: &Form, inputs: &[&str], object: Value) -> Value {
    if inputs.iter().any(|input| !form.text(input).is_empty()) {
        object
    } else {
        Value::Null
    }
}

/// What a field for date and time gives, as UTC; what is typed otherwise goes on as it is, and the API says so.
fn instant(text: &str) -> Value {
    match text.len() {
        0 => Value::Null,
        16 => Value::from(format!("{text}:00Z")),
        19 => Value::from(format!("{text}Z")),
        _ => Value::from(text),
    }
}

/// An instant as such a field takes it: in minutes.
fn local(iso: &str) -> String {
    iso.get(..16).unwrap_or("").to_owned()
}

fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::ApiError;

    fn stored() -> Value {
        json!({
            "name": "n", "request_shape": "openai", "spend_limit": { "amount": "5.00", "cycle": "weekly" },
            "request_limit": null, "rate_limit": { "rpm": 60, "burst": null }, "allowed_models": ["a,b", "c"],
            "expires_at": "2001-02-03T04:05:06.789Z", "enforcement": "strict", "timezone": "UTC", "tags": ["x, y", " z "],
        })
    }

    /// What a browser sends of this form, with some of its fields typed over.
    fn sent(sheet: &Sheet, typed: &[(&str, &str)]) -> Form {
        let names = stored();
        let names = names.as_object().unwrap().keys().map(String::as_str);
        let inputs = INPUTS.iter().flat_map(|(_, inputs)| inputs.iter().copied());
        let pairs = names.chain(inputs).map(|name| {
            let typed = typed.iter().find(|(typed, _)| *typed == name);
            let text = typed.map_or(sheet.text(name), |(_, text)| text);
            (name, text.replace('\n', "\r\n"))
        });
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        Form::read(body.extend_pairs(pairs).finish().as_bytes())
    }

    #[test]
    fn saving_mentions_nothing_that_nobody_edited() {
        let sheet = of_key(&stored());
        assert_eq!(edit(&sent(&sheet, &[]), &sheet), Map::new());
        let table = [
            (("name", "m"), "name", json!("m")),
            (
                ("cycle", "daily"),
                "spend_limit",
                json!({ "amount": "5.00", "cycle": "daily" }),
            ),
            (("amount", ""), "spend_limit", Value::Null),
            (("burst", "90"), "rate_limit", json!({ "rpm": 60, "burst": 90 })),
            (("allowed_models", "a,b\nd"), "allowed_models", json!(["a,b", "d"])),
            (
                ("expires_at", "2030-01-02T03:04"),
                "expires_at",
                json!("2030-01-02T03:04:00Z"),
            ),
            (("tags", ""), "tags", Value::Null),
        ];
        for (typed, field, value) in table {
            let body = edit(&sent(&sheet, &[typed]), &sheet);
            assert_eq!(Value::Object(body), json!({ field: value }), "{typed:?}");
        }
    }

    #[test]
    fn a_new_key_has_what_was_typed_and_a_burst_alone_is_not_dropped() {
        let form = Form::read(b"name=n&amount=5.00&cycle=daily&requests=&rpm=&burst=9&allowed_models=a%0D%0Ab,c&tags=");
        let body = Value::Object(creation(&form));
        let expected = json!({
            "name": "n", "spend_limit": { "amount": "5.00", "cycle": "daily" },
            "rate_limit": { "rpm": null, "burst": 9 }, "allowed_models": ["a", "b,c"],
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_refusal_stands_beside_its_field() {
        let error = ApiError::invalid("spend_limit.amount", "must be above zero");
        let form = blank().again(&Form::read(b"name=n&amount=-1"), &error);
        assert_eq!(form.wrong("spend_limit"), "Must be above zero");
        assert_eq!(
            (form.wrong("name"), form.general(), form.text("amount")),
            ("", "", "-1")
        );
        let error = ApiError::invalid("rate_limit.burst", "must be an integer");
        let form = blank().again(&Form::read(b"burst=x"), &error);
        assert_eq!(
            (form.wrong("rate_limit.burst"), form.wrong("rate_limit.rpm")),
            ("Must be an integer", "")
        );
    }
}
