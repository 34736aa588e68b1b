//! Errors of the dashboard as pages: what is wrong and what to do, in the words of the error table, instead of the
//! API's envelope. Only answers that carry an `ApiError` are turned; all others pass. It stands around everything that
//! answers with pages, so a HEAD becomes a GET here.

use actix_web::HttpMessage as _;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::middleware::Next;
use askama::Template;

use crate::http::error::{ApiError, ErrorCode};

use super::assets;
use super::session::Session;
use super::shell;
use super::sign_in;

#[derive(Template)]
#[template(path = "dashboard/error.html")]
struct ErrorPage {
    style: &'static str,
    title: &'static str,
    message: String,
    advice: &'static str,
    is_signed_in: bool,
    /// Where to sign in.
    sign_in: String,
}

/// The middleware.
pub async fn in_words(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    // What a HEAD is answered is what a GET is, without the body, which the connection leaves out by itself.
    if *request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    let served = next.call(request).await?;
    let error = served.response().error();
    let error = error.and_then(|error| error.as_error::<ApiError>()).cloned();
    let is_signed_in = served.request().extensions().get::<Session>().is_some();
    let is_page = served
        .response()
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    let Some(error) = error.filter(|_| !is_page) else {
        return Ok(served);
    };
    let page = ErrorPage {
        style: assets::style_path(),
        title: title(&error),
        message: error.message().to_owned(),
        advice: advice(error.code()),
        is_signed_in,
        sign_in: sign_in::path_back_from(served.request()),
    };
    let mut response = shell::page(error.status(), &page)?;
    for (name, value) in error.headers() {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    Ok(served.into_response(response))
}

fn title(error: &ApiError) -> &'static str {
    match error.status().as_u16() {
        404 => "Not here",
        401 => "Not signed in",
        429 => "Too many requests",
        400..=499 => "This was refused",
        503 => "Not at the moment",
        _ => "Something went wrong here",
    }
}

fn advice(code: ErrorCode) -> &'static str {
    match code.status().as_u16() {
        404 => "It may have been revoked or deleted meanwhile, or the address is mistyped.",
        401 => "Sessions end after twelve hours without use, and with the key that opened them.",
        429 => "Wait a minute and try again.",
        500 => "Nothing more is shown here; the server's log says what it was.",
        503 => "Calls are not affected. Try again in a few seconds.",
        _ => "Go back and correct it; nothing was changed.",
    }
}
