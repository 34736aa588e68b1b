//! Asking the management API from a page: the same handlers, called in this process, and their answers as JSON. What
//! they refuse, they refuse here too, in the same words.

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody as _};
use serde_json::{Map, Value};

use crate::domain::money::Money;
use crate::http::error::ApiError;

/// The body of a handler's answer.
pub fn answer(response: Result<HttpResponse<BoxBody>, ApiError>) -> Result<Value, ApiError> {
    let bytes = response?
        .into_body()
        .try_into_bytes()
        .map_err(|_| ApiError::internal("reading an answer", &"it is a stream"))?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::internal("reading an answer", &error))
}

/// What a list found, and why it refused what was looked for; one of the two is empty. What is no fault of the asker's
/// stays an error.
pub fn found_or_refused(answer: Result<Value, ApiError>) -> Result<(Value, String), ApiError> {
    match answer {
        Ok(found) => Ok((found, String::new())),
        Err(error) if error.status().is_client_error() => Ok((Value::Null, error.message().to_owned())),
        Err(error) => Err(error),
    }
}

/// The text of a field; empty where it is null or not there.
pub fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or("").to_owned()
}

/// The texts of a field that is a list.
pub fn texts(value: &Value, name: &str) -> Vec<String> {
    array(value, name)
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The items of a field that is a list; none where it is not there.
pub fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// A count; zero where it is not there.
pub fn count(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// An amount, which may be below zero; zero where it is not there.
pub fn money(value: &Value, name: &str) -> Money {
    read_money(&text(value, name)).unwrap_or(Money::ZERO)
}

/// An amount as the API writes it.
pub fn read_money(text: &str) -> Option<Money> {
    match text.strip_prefix('-') {
        Some(amount) => amount.parse().ok().map(|amount| Money::ZERO.saturating_sub(amount)),
        None => text.parse().ok(),
    }
}

/// The items of a list's envelope.
pub fn items(list: &Value) -> &[Value] {
    array(list, "data")
}

/// Where the next page of a list begins.
pub fn next_cursor(list: &Value) -> Option<String> {
    list.get("next_cursor").and_then(Value::as_str).map(str::to_owned)
}

/// A body for a handler, noted for the audit log.
pub fn body(request: &actix_web::HttpRequest, fields: Map<String, Value>) -> crate::http::json_body::JsonBody {
    crate::http::audit::note_body(request, &fields);
    crate::http::json_body::JsonBody(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_amount_below_zero_is_read_as_one() {
        let answer = json!({ "balance": "-1.50", "left": "2.00", "none": null });
        assert_eq!(money(&answer, "balance"), Money::from_nanos(-1_500_000_000));
        assert_eq!(money(&answer, "left"), Money::from_nanos(2_000_000_000));
        assert_eq!(money(&answer, "none"), Money::ZERO);
        assert_eq!(read_money("--1"), None);
    }
}
