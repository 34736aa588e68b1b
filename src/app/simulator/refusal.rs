//! Answers that are no completion: errors in the provider's own shape and the faults that directives ask for.
//! Every one is booked as an error by its caller.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;

use super::directive::Fault;
use super::provider::Provider;

/// Where a redirecting provider points to: a port on which nothing listens.
const REDIRECT_TARGET: &str = "http://127.0.0.1:1/";

const HTML: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>";
const BROKEN_JSON: &str = r#"{"id":"chatcmpl-broken","object":"chat.comple"#;

/// An error answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: u16,
    pub message: String,
    /// The provider's own name of the error, where it is not the usual one of the status.
    pub code: Option<&'static str>,
}

impl Refusal {
    /// The answer of a provider that takes the call for malformed.
    pub(super) fn bad_request(message: String) -> Self {
        Self {
            status: 400,
            message,
            code: None,
        }
    }

    /// The same with the provider's own name of the error.
    pub(super) fn coded(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The answer to a missing or wrong credential.
    pub(super) fn unauthorized() -> Self {
        Self::of_status(401)
    }

    /// A status with the message that providers send with it.
    pub(super) fn of_status(status: u16) -> Self {
        let message = match status {
            401 => "Incorrect API key provided.",
            403 => "Country, region, or territory not supported.",
            404 => "The model does not exist or you do not have access to it.",
            429 => "Rate limit reached for requests. Please try again in 1s.",
            503 | 529 => "Overloaded. Please retry your requests after a brief wait.",
            400..500 => "Your request is not valid.",
            _ => "The server had an error while processing your request.",
        };
        Self {
            status,
            message: message.to_owned(),
            code: None,
        }
    }

    /// The error in the provider's shape.
    pub(super) fn respond(&self, provider: impl Into<Provider>) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        let provider = provider.into();
        provider.head(&mut response);
        provider.error_head(self, &mut response);
        if self.status == 429 {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        response
            .content_type("application/json")
            .body(provider.error_body(self))
    }
}

impl Fault {
    /// The status that the fault is answered with.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Status(status) | Self::Empty(status) => status,
            Self::Html | Self::BadJson => 200,
            Self::Redirect => 302,
        }
    }

    /// The faulty answer.
    pub(super) fn respond(self, provider: impl Into<Provider>) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        let provider = provider.into();
        provider.head(&mut response);
        match self {
            Self::Status(status) => Refusal::of_status(status).respond(provider),
            Self::Empty(status) => response
                .status(StatusCode::from_u16(status).unwrap_or(StatusCode::OK))
                .finish(),
            Self::Html => response.content_type("text/html").body(HTML),
            Self::BadJson => response.content_type("application/json").body(BROKEN_JSON),
            Self::Redirect => response
                .status(StatusCode::FOUND)
                .insert_header((header::LOCATION, REDIRECT_TARGET))
                .finish(),
        }
    }
}
