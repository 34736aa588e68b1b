//! Answers that are no completion: errors in the provider's own shape and the faults that directives ask for.
//! Every one is booked as an error by its caller.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;

use super::dialect::Dialect;
use super::directive::Fault;

/// Where a redirecting provider points to: a port on which nothing listens.
const REDIRECT_TARGET: &str = "http://127.0.0.1:1/";

const HTML: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>";
const BROKEN_JSON: &str = r#"{"id":"chatcmpl-broken","object":"chat.comple"#;

/// An error answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: u16,
    pub message: String,
}

impl Refusal {
    /// The answer of a provider that takes the call for malformed.
    pub(super) fn bad_request(message: String) -> Self {
        Self { status: 400, message }
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
        }
    }

    /// The error in the dialect's shape.
    pub(super) fn respond(&self, dialect: Dialect) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        dialect.head(&mut response);
        if self.status == 429 {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        response
            .content_type("application/json")
            .body(dialect.error_body(self.status, &self.message))
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
    pub(super) fn respond(self, dialect: Dialect) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        dialect.head(&mut response);
        match self {
            Self::Status(status) => Refusal::of_status(status).respond(dialect),
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
