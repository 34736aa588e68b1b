//! Anthropic's messages, in both directions. Source of the shapes: the Messages API reference and its pages on
//! streaming, extended thinking, tool use and structured outputs. Tools that the provider runs itself are refused: no
//! other dialect has them.

mod answer;
mod blocks;
mod messages;
mod read_request;
mod stream;
pub(super) mod thinking;
mod tools;
mod write_request;

use serde::Deserialize;

use super::{Instructions, ProviderError, Table};

pub(super) const TABLE: Table = Table {
    read_request: read_request::read_request,
    write_request: write_request::write_request,
    read_answer: answer::read_answer,
    write_answer: answer::write_answer,
    read_error,
    reader: || Box::new(stream::EventReader::new()),
    writer: |options| Box::new(stream::EventWriter::new(options)),
    instructions: Instructions::First,
};

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorObject,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    message: String,
}

/// Reads an error body, or an error inside a stream.
fn read_error(body: &[u8]) -> Option<ProviderError> {
    let ErrorBody { error } = serde_json::from_slice(body).ok()?;
    Some(ProviderError {
        kind: error.kind.unwrap_or_else(|| "api_error".to_owned()),
        message: error.message,
    })
}
