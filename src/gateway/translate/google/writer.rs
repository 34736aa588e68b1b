//! Writes a stream of generateContent. Text goes out as it comes; a call of a function goes out whole, because this
//! dialect has no pieces of arguments. The last event tells why the answer stopped, and usage.

use bytes::BytesMut;

use super::answer::{write_call, write_candidate, write_hidden, write_stop, write_wire};
use super::signature::wrap_signature;
use super::status_word;
use super::usage::write_usage;
use crate::domain::usage::Usage;
use crate::gateway::translate::WriterOptions;
use crate::gateway::translate::inner::{Event, PartKind, Stop, ToolCall};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::stream::WriteEvents;

#[derive(Debug)]
enum Open {
    Text,
    Thinking,
    ToolCall(ToolCall),
}

#[derive(Debug)]
pub struct EventWriter {
    id: String,
    model: String,
    open: Option<Open>,
    refused: bool,
    stop: Option<Stop>,
    usage: Usage,
}

impl EventWriter {
    pub fn new(options: WriterOptions) -> Self {
        Self {
            id: String::new(),
            model: options.model,
            open: None,
            refused: false,
            stop: None,
            usage: Usage::default(),
        }
    }

    fn begin(&mut self, id: &str, model: &str) {
        id.clone_into(&mut self.id);
        if !model.is_empty() {
            model.clone_into(&mut self.model);
        }
    }

    fn begin_part(&mut self, kind: &PartKind, out: &mut BytesMut) {
        self.end_part(out);
        self.open = match kind {
            PartKind::Text => Some(Open::Text),
            PartKind::Refusal => {
                self.refused = true;
                Some(Open::Text)
            }
            PartKind::Thinking => Some(Open::Thinking),
            PartKind::HiddenThinking { data } => {
                self.write(write_hidden(data), out);
                None
            }
            PartKind::ToolCall { id, name, signature } => Some(Open::ToolCall(ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: String::new(),
                signature: signature.clone(),
            })),
        };
    }

    fn end_part(&mut self, out: &mut BytesMut) {
        if let Some(Open::ToolCall(call)) = self.open.take() {
            self.write(write_call(&call), out);
        }
    }

    fn write(&self, part: Object<'_>, out: &mut BytesMut) {
        let candidate = write_candidate(vec![part.into()], None);
        write_wire(candidate, None, &self.model, &self.id).write_frame(None, out);
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.end_part(out);
        let stop = self.stop.take().unwrap_or(Stop::End);
        let stop = if self.refused && stop == Stop::End {
            Stop::Refusal
        } else {
            stop
        };
        // Clients keep only answers whose every piece has a part.
        let parts: Vec<Json<'_>> = vec![Object::new().with("text", "").into()];
        let candidate = write_candidate(parts, Some(write_stop(&stop)));
        let usage = Some(write_usage(&self.usage));
        write_wire(candidate, usage, &self.model, &self.id).write_frame(None, out);
    }
}

impl WriteEvents for EventWriter {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match (event, &mut self.open) {
            (Event::Begin { id, model, usage }, _) => {
                self.usage = usage.unwrap_or(self.usage);
                self.begin(id, model);
            }
            (Event::PartBegin(kind), _) => self.begin_part(kind, out),
            (Event::Text(text), Some(Open::Text)) => self.write(Object::new().with("text", text), out),
            (Event::Text(text), Some(Open::Thinking)) => {
                self.write(Object::new().with("text", text).with("thought", true), out);
            }
            (Event::Arguments(json), Some(Open::ToolCall(call))) => call.arguments.push_str(json),
            (Event::Signature(signature), Some(Open::Thinking)) => {
                let thought = Object::new().with("text", "").with("thought", true);
                self.write(thought.with("thoughtSignature", wrap_signature(signature)), out);
            }
            (Event::PartEnd, _) => self.end_part(out),
            (Event::Stop(stop), _) => self.stop = Some(stop.clone()),
            (Event::Usage(usage), _) => self.usage = *usage,
            (Event::End, _) => self.end(out),
            (Event::Error { kind, message }, _) => write_error(kind, message, out),
            // No reader tells this: it is not the open part's.
            (Event::Text(_) | Event::Arguments(_) | Event::Signature(_), _) => {}
        }
    }
}

/// The status by which clients decide whether to try again.
fn write_error(kind: &str, message: &str, out: &mut BytesMut) {
    let code: u64 = match kind {
        "invalid_request_error" | "validationException" => 400,
        "rate_limit_error" | "rate_limit_exceeded" | "throttlingException" => 429,
        "overloaded_error" | "engine_overloaded" | "overloaded" | "serviceUnavailableException" => 503,
        "timeout_error" => 504,
        _ => 500,
    };
    let status = status_word(u16::try_from(code).unwrap_or(500));
    let error = Object::new()
        .with("code", code)
        .with("message", message)
        .with("status", status);
    Object::new().with("error", error).write_frame(None, out);
}
