//! Errors of ours in the shape that each dialect's clients read. The provider's own errors never come here; they pass
//! as they were sent. The table of statuses and codes is elsewhere: this file only dresses one row of it.

use serde_json::{Map, Value, json};

use super::Dialect;
use crate::gateway::translate::{bedrock, google};

/// One error, before it has a shape.
#[derive(Clone, Debug, Default)]
pub struct ErrorDetail<'a> {
    pub status: u16,
    pub code: &'a str,
    pub message: &'a str,
    pub request_id: Option<&'a str>,
    /// The parameter that is wrong (OpenAI's shape shows it, null where there is none).
    pub param: Option<&'a str>,
    /// More members of the error object, such as the scope and the limit of a denial.
    pub extra: Option<Map<String, Value>>,
}

/// The body of an error in a dialect's shape, with our `code` and `status` in the same object.
pub fn error_body(dialect: Dialect, detail: ErrorDetail<'_>) -> Value {
    let (status, param, request_id) = (detail.status, detail.param, detail.request_id);
    match dialect {
        Dialect::OpenAi | Dialect::Responses => {
            let mut error = error_object(detail, openai_type(status));
            error.insert("param".to_owned(), param.into());
            json!({ "error": error })
        }
        Dialect::Anthropic => {
            let error = error_object(detail, anthropic_type(status));
            json!({ "type": "error", "error": error, "request_id": request_id })
        }
        Dialect::Google => google::error_body(&detail),
        Dialect::Bedrock => bedrock::error_body(&detail),
    }
}

fn error_object(detail: ErrorDetail<'_>, kind: &str) -> Map<String, Value> {
    let mut error = detail.extra.unwrap_or_default();
    error.insert("message".to_owned(), detail.message.into());
    error.insert("code".to_owned(), detail.code.into());
    error.insert("status".to_owned(), detail.status.into());
    error.insert("type".to_owned(), kind.into());
    error
}

/// The `type` by which OpenAI names errors of this status.
const fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The same of Anthropic.
const fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_each_dialects_shape_with_our_code_and_status_in_it() {
        let detail = || ErrorDetail {
            status: 402,
            code: "spend_limit_reached",
            message: "The limit is reached.",
            request_id: Some("req_1"),
            param: None,
            extra: Some(Map::from_iter([("limit".to_owned(), json!("5.00"))])),
        };
        let openai = json!({"error": {"message": "The limit is reached.", "code": "spend_limit_reached", "status": 402,
            "type": "insufficient_quota", "param": null, "limit": "5.00"}});
        assert_eq!(error_body(Dialect::OpenAi, detail()), openai);
        let anthropic = json!({"type": "error", "request_id": "req_1", "error": {"message": "The limit is reached.",
            "code": "spend_limit_reached", "status": 402, "type": "billing_error", "limit": "5.00"}});
        assert_eq!(error_body(Dialect::Anthropic, detail()), anthropic);
    }
}
