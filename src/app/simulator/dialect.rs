//! The two wire formats as one type: which headers, bodies, frames and errors an answer has.
//! It only chooses; what is chosen stands in the file of each dialect.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{HeaderName, HeaderValue, SET_COOKIE};

use super::answer::{Answer, AnswerId};
use super::{anthropic, openai};

/// The wire format of a route.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
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
        };
        response.insert_header((HeaderName::from_static(name), format!("req_{}", AnswerId::next())));
    }

    /// The id of an answer as the dialect writes it.
    pub(super) fn id(self, id: AnswerId) -> String {
        match self {
            Self::OpenAi => format!("chatcmpl-{id}"),
            Self::Anthropic => format!("msg_{id}"),
        }
    }

    /// The body of a whole answer.
    pub(super) fn body(self, answer: &Answer) -> Vec<u8> {
        match self {
            Self::OpenAi => openai::body(answer),
            Self::Anthropic => anthropic::body(answer),
        }
    }

    /// The body of an error.
    pub(super) fn error_body(self, status: u16, message: &str) -> Vec<u8> {
        match self {
            Self::OpenAi => openai::error_body(status, message),
            Self::Anthropic => anthropic::error_body(status, message),
        }
    }
}
