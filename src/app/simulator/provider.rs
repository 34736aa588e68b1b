//! The companies whose manners are simulated: the headers on all of their answers and the shape of their errors.
//! It only chooses; a dialect's own file writes what is chosen.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{HeaderName, HeaderValue, SET_COOKIE};
use serde_json::json;

use super::answer::AnswerId;
use super::dialect::Dialect;
use super::refusal::Refusal;
use super::{anthropic, bedrock, google, openai};

/// Who answers.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Provider {
    OpenAi,
    Anthropic,
    Google,
    Bedrock,
    ElevenLabs,
}

impl Provider {
    /// Adds the headers that the provider puts on every answer, good or bad.
    pub(super) fn head(self, response: &mut HttpResponseBuilder) {
        let mut insert = |name: &'static str, value: &'static str| {
            response.insert_header((HeaderName::from_static(name), HeaderValue::from_static(value)));
        };
        insert("x-simulated-provider", "1");
        let name = match self {
            Self::OpenAi => {
                insert("openai-organization", "org-sim");
                insert(SET_COOKIE.as_str(), "sim=1");
                insert("x-ratelimit-limit-requests", "10000");
                "x-request-id"
            }
            Self::Anthropic => {
                insert("anthropic-organization-id", "org-sim");
                "request-id"
            }
            Self::Google => {
                insert("server", "scaffolding on HTTPServer2");
                insert("x-content-type-options", "nosniff");
                "x-goog-request-id"
            }
            Self::Bedrock => "x-amzn-requestid",
            Self::ElevenLabs => "request-id",
        };
        response.insert_header((HeaderName::from_static(name), format!("req_{}", AnswerId::next())));
    }

    /// Adds the headers that only an error has.
    pub(super) fn error_head(self, refusal: &Refusal, response: &mut HttpResponseBuilder) {
        match self {
            Self::Bedrock => {
                let kind = refusal.code.unwrap_or_else(|| bedrock::error_type(refusal.status));
                response.insert_header((HeaderName::from_static("x-amzn-errortype"), kind));
            }
            Self::OpenAi | Self::Anthropic | Self::Google | Self::ElevenLabs => {}
        }
    }

    /// The body of an error.
    pub(super) fn error_body(self, refusal: &Refusal) -> Vec<u8> {
        let (status, message) = (refusal.status, refusal.message.as_str());
        match self {
            Self::OpenAi => openai::error_body(refusal),
            Self::Anthropic => anthropic::error_body(status, message),
            Self::Google => google::error_body(refusal),
            Self::Bedrock => json!({"message": message}).to_string().into_bytes(),
            Self::ElevenLabs => {
                let kind = refusal.code.unwrap_or("invalid_request");
                json!({"detail": {"status": kind, "message": message}})
                    .to_string()
                    .into_bytes()
            }
        }
    }
}

impl From<Dialect> for Provider {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAi => Self::OpenAi,
            Dialect::Anthropic => Self::Anthropic,
        }
    }
}
