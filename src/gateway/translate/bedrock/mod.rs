//! Bedrock's Converse and ConverseStream, in both directions. Source of the shapes: the API reference of the Bedrock
//! runtime and the specification of the event-stream encoding. The model and whether to stream stand in the address and
//! not in the body, and answers tell no id and no model. Guardrails, prompts and files that AWS keeps are refused: no
//! other dialect has them.

mod answer;
mod blocks;
mod files;
mod framing;
mod model;
mod read_request;
mod reader;
mod tools;
mod usage;
mod write_blocks;
mod write_request;
mod writer;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Instructions, ProviderError, Table};
use crate::gateway::dialect::ErrorDetail;

pub use framing::{FramingError, MessageSplitter};
pub(in crate::gateway) use framing::{Message, write_message};
pub use usage::read_usage;
pub(in crate::gateway) use usage::{WireUsage, write_usage};

pub(super) static TABLE: Table = Table {
    read_request: read_request::read_request,
    write_request: write_request::write_request,
    read_answer: answer::read_answer,
    write_answer: answer::write_answer,
    read_error,
    reader: || Box::new(reader::EventReader::new()),
    writer: |_| Box::new(writer::EventWriter::new()),
    instructions: Instructions::First,
};

/// The path of a call for a whole answer: `/model/{id}/converse`.
pub fn path(model: &str) -> String {
    format!("/model/{}/converse", escaped(model))
}

/// The path of a call for a stream.
pub fn stream_path(model: &str) -> String {
    format!("/model/{}/converse-stream", escaped(model))
}

/// Ids may be ARNs, so every byte that is not plain is escaped.
fn escaped(model: &str) -> String {
    let mut path = String::with_capacity(model.len());
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// An error of ours in Bedrock's shape. Clients find its kind in the header `x-amzn-errortype`: see [`error_kind`].
pub fn error_body(detail: &ErrorDetail<'_>) -> Value {
    let mut body = json!({
        "message": detail.message,
        "__type": error_kind(detail.status),
        "code": detail.code,
        "status": detail.status,
    });
    if let (Some(body), Some(extra)) = (body.as_object_mut(), &detail.extra) {
        body.extend(extra.clone());
    }
    body
}

/// The exception by which Bedrock names a status.
pub const fn error_kind(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        402 => "ServiceQuotaExceededException",
        404 => "ResourceNotFoundException",
        408 | 504 => "ModelTimeoutException",
        409 => "ConflictException",
        429 => "ThrottlingException",
        424 | 502 => "ModelErrorException",
        400..=499 => "ValidationException",
        503 | 529 => "ServiceUnavailableException",
        _ => "InternalServerException",
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(alias = "Message")]
    message: String,
    #[serde(default, rename = "__type")]
    kind: Option<String>,
}

/// Reads an error body. Its kind stands in a header where the body does not say it.
fn read_error(body: &[u8]) -> Option<ProviderError> {
    let ErrorBody { message, kind } = serde_json::from_slice(body).ok()?;
    let kind = kind.as_deref().and_then(|kind| kind.rsplit('#').next());
    Some(ProviderError {
        kind: kind.unwrap_or("provider_error").to_owned(),
        message,
    })
}

#[cfg(test)]
mod tests;
