//! Errors of ours in the shape that each dialect's clients read. The provider's own errors never come here; they pass
//! as they were sent. The table of statuses and codes is elsewhere: this file only dresses one row of it.

use serde_json::{Map, Value, json};

use super::{Dialect, Speech};
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
pub fn error_body(speech: Speech, detail: ErrorDetail<'_>) -> Value {
    let dialect = match speech {
        Speech::OpenAi | Speech::Responses => Dialect::OpenAi,
        Speech::Anthropic => Dialect::Anthropic,
        Speech::Google => return google::error_body(&detail),
        Speech::Bedrock => return bedrock::error_body(&detail),
    };
    let mut error = detail.extra.unwrap_or_default();
    error.insert("message".to_owned(), detail.message.into());
    error.insert("code".to_owned(), detail.code.into());
    error.insert("status".to_owned(), detail.status.into());
    error.insert("type".to_owned(), error_type(dialect, detail.status).into());
    match dialect {
        Dialect::OpenAi => {
            error.insert("param".to_owned(), detail.param.into());
            json!({ "error": error })
        }
        Dialect::Anthropic => {
            json!({ "type": "error", "error": error, "request_id": detail.request_id })
        }
    }
}

/// The `type` by which the provider itself names errors of this status.
fn error_type(dialect: Dialect, status: u16) -> &'static str {
    match (dialect, status) {
        (Dialect::OpenAi | Dialect::Anthropic, 401) => "authentication_error",
        (Dialect::OpenAi | Dialect::Anthropic, 403) => "permission_error",
        (Dialect::OpenAi | Dialect::Anthropic, 429) => "rate_limit_error",
        (Dialect::OpenAi, 402) => "insufficient_quota",
        (Dialect::OpenAi, 400..=499) => "invalid_request_error",
        (Dialect::OpenAi, _) => "server_error",
        (Dialect::Anthropic, 402) => "billing_error",
        (Dialect::Anthropic, 404) => "not_found_error",
        (Dialect::Anthropic, 413) => "request_too_large",
        (Dialect::Anthropic, 400..=499) => "invalid_request_error",
        (Dialect::Anthropic, 503 | 529) => "overloaded_error",
        (Dialect::Anthropic, 504) => "timeout_error",
        (Dialect::Anthropic, _) => "api_error",
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
        assert_eq!(error_body(Speech::OpenAi, detail()), openai);
        let anthropic = json!({"type": "error", "request_id": "req_1", "error": {"message": "The limit is reached.",
            "code": "spend_limit_reached", "status": 402, "type": "billing_error", "limit": "5.00"}});
        assert_eq!(error_body(Speech::Anthropic, detail()), anthropic);
    }
}
