//! The style sheet and the script, compiled in. Their paths carry a checksum of their text, so that a browser keeps
//! them for ever and a new version is fetched at once.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::error::{ApiError, ErrorCode};

const STYLE: &str = include_str!("assets/dashboard.css");
const SCRIPT: &str = include_str!("assets/dashboard.js");

static STYLE_PATH: LazyLock<String> = LazyLock::new(|| path(STYLE, "css"));
static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| path(SCRIPT, "js"));

pub fn style_path() -> &'static str {
    &STYLE_PATH
}

pub fn script_path() -> &'static str {
    &SCRIPT_PATH
}

/// GET of one.
pub async fn serve(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (media_type, text) = match request.path() {
        path if path == style_path() => ("text/css; charset=utf-8", STYLE),
        path if path == script_path() => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return Err(ApiError::new(ErrorCode::NotFound)),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text))
}

fn path(text: &str, extension: &str) -> String {
    format!("/dashboard/assets/{:08x}.{extension}", crc32fast::hash(text.as_bytes()))
}
