//! Between the web framework and the official SDK, which speaks the types of another: a request is read whole, up to the
//! limit, and an answer is streamed as it comes. What the SDK refuses in plain text is put into the envelope of all
//! errors. A session's id is completed here with the secret that the SDK does not know.

use std::sync::Arc;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, BodyStream, Full};

use crate::http::error::{ApiError, ErrorCode};

use super::Mcp;
use super::session::{Going, Opener};
use super::visitor::Visit;

pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The SDK's refusals are short.
const REFUSAL_LIMIT_BYTES: usize = 4_096;

/// Credentials stay on this side.
const KEPT_BACK: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-lava-inside"),
];

type SdkBody = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// The request in the SDK's types, with the visit beside it. `session_id` is the SDK's own.
pub fn request_for_sdk(
    request: &HttpRequest,
    body: Bytes,
    visit: Arc<Visit>,
    session_id: Option<&str>,
) -> Result<http::Request<Full<Bytes>>, ApiError> {
    let unreadable = |_| ApiError::new(ErrorCode::InvalidRequest).say("The request cannot be read.");
    let mut converted = http::Request::builder()
        .method(request.method().as_str())
        .uri("/mcp")
        .body(Full::new(body))
        .map_err(unreadable)?;
    let headers = converted.headers_mut();
    let passing = request
        .headers()
        .iter()
        .filter(|(name, _)| !KEPT_BACK.contains(name) && **name != SESSION_ID);
    for (name, value) in passing {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = http::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    if let Some(Ok(id)) = session_id.map(http::HeaderValue::from_str) {
        headers.insert(http::HeaderName::from_static("mcp-session-id"), id);
    }
    converted.extensions_mut().insert(visit);
    Ok(converted)
}

/// The SDK's answer in our types.
pub async fn answer_of_sdk(
    answer: http::Response<SdkBody>,
    (mcp, opener): (&Mcp, Opener),
    listening: Option<Going>,
) -> Result<HttpResponse, ApiError> {
    let (parts, body) = answer.into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media_type = parts.headers.get(CONTENT_TYPE.as_str());
    let is_json = media_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if status.as_u16() >= 400 && !is_json {
        return Err(refusal((status, body), mcp, opener).await);
    }
    let mut response = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        append(&mut response, name, value, mcp);
    }
    if status == StatusCode::ACCEPTED {
        // The specification asks for no body here.
        return Ok(response.finish());
    }
    let pieces = BodyStream::new(body).filter_map(move |frame| {
        // For as long as the stream lives.
        let _ = &listening;
        let Ok(frame) = frame;
        std::future::ready(frame.into_data().ok().map(Ok::<Bytes, PayloadError>))
    });
    Ok(response.streaming(pieces))
}

fn append(response: &mut HttpResponseBuilder, name: &http::HeaderName, value: &http::HeaderValue, mcp: &Mcp) {
    let is_session = *name == SESSION_ID.as_str();
    let spelled = value
        .to_str()
        .ok()
        .filter(|_| is_session)
        .and_then(|id| mcp.spelled(id));
    let bytes = spelled.as_ref().map_or(value.as_bytes(), |text| text.as_bytes());
    let name = HeaderName::from_bytes(name.as_str().as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(bytes)) {
        response.append_header((name, value));
    }
}

/// The SDK names only some of the methods that are taken.
fn not_taken() -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed).header(header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"))
}

/// The refusal in the envelope of all errors, with the SDK's words.
async fn refusal((status, body): (StatusCode, SdkBody), mcp: &Mcp, opener: Opener) -> ApiError {
    let code = match status.as_u16() {
        403 => ErrorCode::OriginNotAllowed,
        404 => ErrorCode::NotFound,
        405 => return not_taken(),
        406 => ErrorCode::NotAcceptable,
        409 => ErrorCode::Conflict,
        413 => ErrorCode::PayloadTooLarge,
        415 => ErrorCode::UnsupportedMediaType,
        400..500 => ErrorCode::InvalidRequest,
        _ if mcp.is_full(opener.address) => {
            return ApiError::new(ErrorCode::Overloaded).say("Too many sessions are open.");
        }
        _ => return ApiError::internal("the MCP server", &status),
    };
    let limited = http_body_util::Limited::new(body, REFUSAL_LIMIT_BYTES);
    let said = limited
        .collect()
        .await
        .map(|whole| whole.to_bytes())
        .unwrap_or_default();
    match std::str::from_utf8(&said) {
        Ok(said) if !said.is_empty() => ApiError::new(code).say(said),
        Ok(_) | Err(_) => ApiError::new(code),
    }
}
