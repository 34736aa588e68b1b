//! OpenAI's chat completions, in both directions. Source of the shapes: the API reference of chat completions, and what
//! its imitators add (`reasoning_content`, `reasoning_details`, `cache_control` on parts). One choice only: more than
//! one cannot be told in other dialects.

mod answer;
mod calls;
mod content;
mod messages;
mod read_request;
mod read_stream;
mod tools;
mod usage;
mod write_messages;
mod write_request;
mod write_stream;

use serde::Deserialize;
use serde_json::Value;

use super::{Instructions, ProviderError, Table};

pub(super) const TABLE: Table = Table {
    read_request: read_request::read_request,
    write_request: write_request::write_request,
    read_answer: answer::read_answer,
    write_answer: answer::write_answer,
    read_error,
    reader: || Box::new(read_stream::EventReader::new()),
    writer: |options| Box::new(write_stream::EventWriter::new(options)),
    instructions: Instructions::Anywhere,
};

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorText,
}

/// Some imitators write only the message.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorText {
    Object {
        message: String,
        #[serde(default, rename = "type")]
        kind: Option<String>,
        #[serde(default)]
        code: Option<Value>,
    },
    Text(String),
}

/// Reads an error body, or an error inside a stream.
fn read_error(body: &[u8]) -> Option<ProviderError> {
    let ErrorBody { error } = serde_json::from_slice(body).ok()?;
    Some(match error {
        ErrorText::Object { message, kind, code } => {
            let code = code.and_then(|code| code.as_str().map(str::to_owned));
            ProviderError {
                kind: code.or(kind).unwrap_or_else(|| "provider_error".to_owned()),
                message,
            }
        }
        ErrorText::Text(message) => ProviderError {
            kind: "provider_error".to_owned(),
            message,
        },
    })
}
