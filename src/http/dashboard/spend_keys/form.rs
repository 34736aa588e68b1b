//! The form of a spend key: what was typed, as it goes to the API, and as it is shown again beside what was wrong.

use serde_json::{Map, Value, json};

use crate::http::dashboard::ask;
use crate::http::dashboard::form::{Form, object};
use crate::http::error::ApiError;

/// The fields as texts; empty ones are not set.
#[derive(Default)]
pub struct KeyForm {
    pub name: String,
    pub request_shape: String,
    pub amount: String,
    pub cycle: String,
    pub requests: String,
    pub request_cycle: String,
    pub rpm: String,
    pub burst: String,
    pub max_parallel: String,
    pub models: String,
    pub providers: String,
    pub addresses: String,
    pub expires_at: String,
    pub enforcement: String,
    pub timezone: String,
    pub tags: String,
    pub refusal: Option<Refusal>,
}

/// What was wrong, and with which field.
pub struct Refusal {
    pub param: String,
    pub message: String,
}

impl KeyForm {
    /// An empty one with what most people want.
    pub fn blank() -> Self {
        Self {
            request_shape: "openai".to_owned(),
            cycle: "daily".to_owned(),
            request_cycle: "daily".to_owned(),
            enforcement: "adaptive".to_owned(),
            timezone: "UTC".to_owned(),
            ..Self::default()
        }
    }

    /// A key as it is.
    pub fn of_key(key: &Value) -> Self {
        let within = |object: &str, name: &str| key.get(object).map(|inner| plain(inner.get(name))).unwrap_or_default();
        let or = |text: String, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text };
        Self {
            name: ask::text(key, "name"),
            request_shape: ask::text(key, "request_shape"),
            amount: within("spend_limit", "amount"),
            cycle: or(within("spend_limit", "cycle"), "daily"),
            requests: within("request_limit", "count"),
            request_cycle: or(within("request_limit", "cycle"), "daily"),
            rpm: within("rate_limit", "rpm"),
            burst: within("rate_limit", "burst"),
            max_parallel: plain(key.get("max_parallel")),
            models: ask::texts(key, "allowed_models").join("\n"),
            providers: ask::texts(key, "allowed_providers").join("\n"),
            addresses: ask::texts(key, "allowed_ips").join("\n"),
            expires_at: local(&ask::text(key, "expires_at")),
            enforcement: ask::text(key, "enforcement"),
            timezone: ask::text(key, "timezone"),
            tags: ask::texts(key, "tags").join(", "),
            refusal: None,
        }
    }

    /// What was typed, with what was wrong with it.
    pub fn again(form: &Form, error: &ApiError) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        let param = error
            .extra()
            .get("param")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned();
        Self {
            name: text("name"),
            request_shape: text("request_shape"),
            amount: text("amount"),
            cycle: text("cycle"),
            requests: text("requests"),
            request_cycle: text("request_cycle"),
            rpm: text("rpm"),
            burst: text("burst"),
            max_parallel: text("max_parallel"),
            models: text("models"),
            providers: text("providers"),
            addresses: text("addresses"),
            expires_at: text("expires_at"),
            enforcement: text("enforcement"),
            timezone: text("timezone"),
            tags: text("tags"),
            refusal: Some(Refusal {
                message: error.message().replace('`', ""),
                param,
            }),
        }
    }

    /// What is wrong with this field, by its name in the API; empty where nothing is.
    pub fn wrong(&self, param: &str) -> &str {
        match &self.refusal {
            // Also where it is a field of it, or a place in it.
            Some(refusal) if refusal.param.split(['.', '[']).next() == Some(param) => &refusal.message,
            Some(_) | None => "",
        }
    }

    /// A refusal that belongs to no field.
    pub fn general(&self) -> &str {
        match &self.refusal {
            Some(refusal) if refusal.param.is_empty() => &refusal.message,
            Some(_) | None => "",
        }
    }
}

/// The body for the API.
pub fn body(form: &Form) -> Map<String, Value> {
    object([
        ("name", Value::from(form.text("name"))),
        ("request_shape", form.json_text("request_shape")),
        (
            "spend_limit",
            nested(
                form,
                "amount",
                |amount| json!({ "amount": amount, "cycle": form.text("cycle") }),
            ),
        ),
        (
            "request_limit",
            nested(
                form,
                "requests",
                |_| json!({ "count": form.json_number("requests"), "cycle": form.text("request_cycle") }),
            ),
        ),
        (
            "rate_limit",
            nested(
                form,
                "rpm",
                |_| json!({ "rpm": form.json_number("rpm"), "burst": form.json_number("burst") }),
            ),
        ),
        ("max_parallel", form.json_number("max_parallel")),
        ("allowed_models", form.json_list("models")),
        ("allowed_providers", form.json_list("providers")),
        ("allowed_ips", form.json_list("addresses")),
        ("expires_at", instant(form.text("expires_at"))),
        ("enforcement", form.json_text("enforcement")),
        ("timezone", form.json_text("timezone")),
        ("tags", form.json_list("tags")),
    ])
}

fn nested(form: &Form, name: &str, object: impl FnOnce(&str) -> Value) -> Value {
    match form.text(name) {
        "" => Value::Null,
        text => object(text),
    }
}

/// What a field for date and time gives, as UTC; what is typed otherwise goes on as it is, and the API says so.
fn instant(text: &str) -> Value {
    match text.len() {
        0 => Value::Null,
        16 => Value::from(format!("{text}:00Z")),
        _ => Value::from(text),
    }
}

/// An instant as such a field takes it.
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

    #[test]
    fn a_form_says_what_a_key_is_and_an_empty_field_clears() {
        let form = Form::read(
            b"name=n&amount=5.00&cycle=daily&requests=&rpm=60&burst=&models=a%0Ab&expires_at=2030-01-02T03:04&tags=",
        );
        let body = body(&form);
        assert_eq!(body["spend_limit"], json!({"amount": "5.00", "cycle": "daily"}));
        assert_eq!(body["request_limit"], Value::Null);
        assert_eq!(body["rate_limit"], json!({"rpm": 60, "burst": null}));
        assert_eq!(body["allowed_models"], json!(["a", "b"]));
        assert_eq!(body["expires_at"], "2030-01-02T03:04:00Z");
        assert_eq!(body["tags"], Value::Null);
    }

    #[test]
    fn a_refusal_stands_beside_its_field() {
        let error = ApiError::invalid("spend_limit.amount", "must be above zero");
        let form = KeyForm::again(&Form::read(b"name=n&amount=-1"), &error);
        assert_eq!(form.wrong("spend_limit"), "spend_limit.amount must be above zero");
        assert_eq!(
            (form.wrong("name"), form.general(), form.amount.as_str()),
            ("", "", "-1")
        );
    }
}
