//! What browsers ask before a web page of another origin may call, and read what it is answered: only for origins that
//! the operator lists. Programs ask nothing of it.

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::options::parse_origin;

const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, accept, last-event-id, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");

/// The page's origin, where it is one of these.
pub fn allowed_origin(request: &HttpRequest, allowed: &[String]) -> Option<HeaderValue> {
    let origin = request.headers().get(ORIGIN)?;
    let spelled = parse_origin(origin.to_str().ok()?).ok()?;
    let is_listed = |listed: &String| parse_origin(listed).is_ok_and(|listed| listed == spelled);
    allowed.iter().any(is_listed).then(|| origin.clone())
}

/// The answer to a browser that asks first.
pub fn preflight(request: &HttpRequest) -> Option<HttpResponse> {
    let asks = request.method() == Method::OPTIONS;
    let answer = || {
        HttpResponse::Ok()
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
            .insert_header((ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")))
            .json(json!({ "allowed": true }))
    };
    asks.then(answer)
}

/// Lets the page read the answer.
pub fn let_read(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("mcp-session-id"),
    );
    headers.append(VARY, HeaderValue::from_static("origin"));
}
