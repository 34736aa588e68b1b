//! Writes a stream of Converse as messages of the event-stream encoding.

use bytes::BytesMut;

use super::answer::{call_id, write_stop};
use super::framing::write_message;
use super::usage::write_usage;
use crate::domain::usage::Usage;
use crate::gateway::translate::google::signature::wrap_hidden;
use crate::gateway::translate::inner::{Event, PartKind, Stop};
use crate::gateway::translate::json::Object;
use crate::gateway::translate::stream::WriteEvents;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// Came whole.
    Hidden,
    ToolCall,
}

#[derive(Debug, Default)]
pub struct EventWriter {
    begun: bool,
    open: Option<Open>,
    block_count: u64,
    refused: bool,
    stop: Option<Stop>,
    usage: Usage,
}

impl EventWriter {
    pub fn new() -> Self {
        Self::default()
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.begun, true) {
            write_event("messageStart", &Object::new().with("role", "assistant"), out);
        }
    }

    fn begin_block(&mut self, kind: &PartKind, out: &mut BytesMut) {
        self.end_block(out);
        self.open = Some(match kind {
            PartKind::Text => Open::Text,
            PartKind::Refusal => {
                self.refused = true;
                Open::Text
            }
            PartKind::Thinking => Open::Thinking,
            PartKind::HiddenThinking { data } => {
                let hidden = Object::new().with("redactedContent", wrap_hidden(data));
                self.grow(Object::new().with("reasoningContent", hidden), out);
                Open::Hidden
            }
            PartKind::ToolCall { id, name, signature } => {
                let call = Object::new()
                    .with("toolUseId", call_id(id, signature.as_ref()))
                    .with("name", name);
                let start = Object::new().with("toolUse", call);
                let body = Object::new()
                    .with("start", start)
                    .with("contentBlockIndex", self.block_count);
                write_event("contentBlockStart", &body, out);
                Open::ToolCall
            }
        });
    }

    fn grow(&self, delta: Object<'_>, out: &mut BytesMut) {
        let body = Object::new()
            .with("delta", delta)
            .with("contentBlockIndex", self.block_count);
        write_event("contentBlockDelta", &body, out);
    }

    fn end_block(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            let body = Object::new().with("contentBlockIndex", self.block_count);
            write_event("contentBlockStop", &body, out);
            self.block_count += 1;
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.end_block(out);
        let stop = self.stop.take().unwrap_or(Stop::End);
        let stop = if self.refused && stop == Stop::End {
            Stop::Refusal
        } else {
            stop
        };
        write_event("messageStop", &Object::new().with("stopReason", write_stop(&stop)), out);
        let metrics = Object::new().with("latencyMs", 0);
        let metadata = Object::new()
            .with("usage", write_usage(&self.usage))
            .with("metrics", metrics);
        write_event("metadata", &metadata, out);
    }
}

impl WriteEvents for EventWriter {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        if let Event::Error { kind, message } = event {
            return write_error(kind, message, out);
        }
        self.begin(out);
        match (event, self.open) {
            (Event::Begin { usage, .. }, _) => self.usage = usage.unwrap_or(self.usage),
            (Event::PartBegin(kind), _) => self.begin_block(kind, out),
            (Event::Text(text), Some(Open::Text)) => self.grow(Object::new().with("text", text), out),
            (Event::Text(text), Some(Open::Thinking)) => {
                self.grow(
                    Object::new().with("reasoningContent", Object::new().with("text", text)),
                    out,
                );
            }
            (Event::Signature(signature), Some(Open::Thinking)) => {
                let signed = Object::new().with("signature", signature);
                self.grow(Object::new().with("reasoningContent", signed), out);
            }
            (Event::Arguments(json), Some(Open::ToolCall)) => {
                self.grow(Object::new().with("toolUse", Object::new().with("input", json)), out);
            }
            (Event::PartEnd, _) => self.end_block(out),
            (Event::Stop(stop), _) => self.stop = Some(stop.clone()),
            (Event::Usage(usage), _) => self.usage = *usage,
            (Event::End, _) => self.end(out),
            // No reader tells this: it is not the open part's.
            (Event::Text(_) | Event::Arguments(_) | Event::Signature(_) | Event::Error { .. }, _) => {}
        }
    }
}

fn write_event(kind: &str, body: &Object<'_>, out: &mut BytesMut) {
    let headers = [
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    write_message(&headers, &body.to_bytes(), out);
}

/// The exception by which clients decide whether to try again.
fn write_error(kind: &str, message: &str, out: &mut BytesMut) {
    let exception = match kind {
        "invalid_request_error" | "INVALID_ARGUMENT" => "validationException",
        "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => "throttlingException",
        "overloaded_error" | "engine_overloaded" | "overloaded" | "UNAVAILABLE" => "serviceUnavailableException",
        _ => "internalServerException",
    };
    let headers = [
        (":exception-type", exception),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    write_message(&headers, &Object::new().with("message", message).to_bytes(), out);
}
