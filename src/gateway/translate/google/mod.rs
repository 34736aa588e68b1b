//! Google's generateContent and streamGenerateContent (as server-sent events), in both directions. Source of the
//! shapes: the Gemini API reference and its pages on function calling, thinking and thought signatures. The model and whether
//! to stream stand in the address and not in the body. Tools that Google runs, caches that it keeps, and files in its
//! store are refused: no other dialect has them.

mod answer;
mod contents;
mod fields;
mod parts;
mod read_request;
mod reader;
mod schema;
pub(super) mod signature;
mod thinking;
mod tools;
mod usage;
mod write_request;
mod writer;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Instructions, ProviderError, Table};
use crate::gateway::dialect::ErrorDetail;

pub use usage::read_usage;
pub(in crate::gateway) use usage::{Grounding, WireUsage, write_usage};

pub(super) static TABLE: Table = Table {
    read_request: read_request::read_request,
    write_request: write_request::write_request,
    read_answer: answer::read_answer,
    write_answer: answer::write_answer,
    read_error,
    reader: || Box::new(reader::EventReader::new()),
    writer: |options| Box::new(writer::EventWriter::new(options)),
    instructions: Instructions::First,
};

/// The path of a call for a whole answer, behind the API's version: `models/gemini-2.5-flash:generateContent`.
pub fn path(model: &str) -> String {
    let model = model.strip_prefix("models/").unwrap_or(model);
    format!("models/{model}:generateContent")
}

/// The path and query of a call for a stream.
pub fn stream_path(model: &str) -> String {
    let model = model.strip_prefix("models/").unwrap_or(model);
    format!("models/{model}:streamGenerateContent?alt=sse")
}

/// An error of ours in Google's shape; our code stands in its details, because `code` is the number of the status here.
pub fn error_body(detail: &ErrorDetail<'_>) -> Value {
    let mut info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": detail.code,
        "domain": "caldera",
        "requestId": detail.request_id,
        "param": detail.param,
    });
    if let (Some(info), Some(extra)) = (info.as_object_mut(), &detail.extra) {
        info.extend(extra.clone());
    }
    json!({"error": {
        "code": detail.status,
        "message": detail.message,
        "status": status_word(detail.status),
        "details": [info],
    }})
}

/// The word by which Google names a status.
const fn status_word(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorObject,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(default)]
    status: Option<String>,
    message: String,
}

/// Reads an error body, or an error inside a stream. Some of Google's hosts put the error into a list.
fn read_error(body: &[u8]) -> Option<ProviderError> {
    let one = serde_json::from_slice::<ErrorBody>(body).ok();
    let listed = || serde_json::from_slice::<Vec<ErrorBody>>(body).ok()?.pop();
    let ErrorBody { error } = one.or_else(listed)?;
    Some(ProviderError {
        kind: error.status.unwrap_or_else(|| "UNKNOWN".to_owned()),
        message: error.message,
    })
}

#[cfg(test)]
mod tests;
