//! Streams of the messages API, read and written. A reader keeps the counts that later events replace; a writer keeps
//! the block that is open, its number, and the reason until usage is known.

use bytes::BytesMut;
use serde::Deserialize;

use super::answer::{Block, call_id, read_stop, write_stop, write_usage};
use super::read_error;
use crate::domain::usage::Usage;
use crate::gateway::dialect::{AnthropicCounts, AnthropicUsage};
use crate::gateway::translate::WriterOptions;
use crate::gateway::translate::inner::{Event, PartKind, Stop};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::stream::{ReadEvents, WriteEvents, broken_off, unreadable};

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow, default)]
    message: Option<WireMessage<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(borrow, default)]
    usage: Option<AnthropicUsage<'a>>,
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(borrow, default)]
    usage: Option<AnthropicUsage<'a>>,
}

/// Of a block, or of the whole message.
#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
}

#[derive(Debug, Default)]
pub struct EventReader {
    counts: AnthropicCounts,
    /// A block is open that is told on; others are passed over.
    open: bool,
    stopped: bool,
    ended: bool,
}

impl EventReader {
    pub fn new() -> Self {
        Self::default()
    }

    fn begin(&mut self, message: WireMessage<'_>, events: &mut Vec<Event>) {
        self.count(message.usage.as_ref());
        events.push(Event::Begin {
            id: message.id,
            model: message.model,
            usage: self.counts.read(),
        });
    }

    fn begin_block(&mut self, block: Block<'_>, events: &mut Vec<Event>) {
        let part = match block.kind.as_str() {
            "text" => PartKind::Text,
            "thinking" => PartKind::Thinking,
            "redacted_thinking" => PartKind::HiddenThinking {
                data: block.data.unwrap_or_default(),
            },
            "tool_use" => PartKind::ToolCall {
                id: block.id.unwrap_or_default(),
                name: block.name.unwrap_or_default(),
                signature: None,
            },
            _ => return,
        };
        self.open = true;
        events.push(Event::PartBegin(part));
        let text = block.text.or(block.thinking).filter(|text| !text.is_empty());
        events.extend(text.map(Event::Text));
        // Some hosts of Claude send small arguments at once.
        let input = block.input.map(|input| input.get()).filter(|input| *input != "{}");
        events.extend(input.map(|input| Event::Arguments(input.to_owned())));
    }

    fn grow(&self, delta: Delta, events: &mut Vec<Event>) {
        if !self.open {
            return;
        }
        events.extend(delta.text.or(delta.thinking).map(Event::Text));
        events.extend(delta.partial_json.filter(|json| !json.is_empty()).map(Event::Arguments));
        events.extend(delta.signature.map(Event::Signature));
    }

    fn count(&mut self, usage: Option<&AnthropicUsage<'_>>) {
        if let Some(usage) = usage {
            self.counts = AnthropicCounts::of(usage).over(self.counts);
        }
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        self.ended = true;
        events.extend(self.counts.read().map(Event::Usage));
        events.push(Event::End);
    }
}

impl ReadEvents for EventReader {
    fn push(&mut self, data: &[u8], events: &mut Vec<Event>) {
        let Ok(wire) = serde_json::from_slice::<Wire<'_>>(data) else {
            return events.push(unreadable());
        };
        match (wire.kind, wire.message, wire.content_block, wire.delta) {
            ("message_start", Some(message), _, _) => self.begin(message, events),
            ("content_block_start", _, Some(block), _) => self.begin_block(block, events),
            ("content_block_delta", _, _, Some(delta)) => self.grow(delta, events),
            ("content_block_stop", _, _, _) if self.open => {
                self.open = false;
                events.push(Event::PartEnd);
            }
            ("message_delta", _, _, delta) => {
                self.count(wire.usage.as_ref());
                let delta = delta.unwrap_or_default();
                if let Some(reason) = delta.stop_reason {
                    self.stopped = true;
                    events.push(Event::Stop(read_stop(Some(&reason), delta.stop_sequence)));
                }
            }
            ("message_stop", _, _, _) => self.end(events),
            ("error", _, _, _) => events.push(error_event(data)),
            // Pings, and what later versions add.
            _ => {}
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        match (self.ended, self.stopped) {
            (true, _) => {}
            (false, true) => self.end(events),
            (false, false) => events.push(broken_off()),
        }
    }
}

fn error_event(data: &[u8]) -> Event {
    read_error(data).map_or_else(unreadable, |error| Event::Error {
        kind: error.kind,
        message: error.message,
    })
}

#[derive(Debug)]
pub struct EventWriter {
    options: WriterOptions,
    begun: bool,
    /// The kind of the block that is open.
    open: Option<Open>,
    block_count: u64,
    refused: bool,
    stop: Option<Stop>,
    usage: Usage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// Came whole.
    Hidden,
    ToolCall,
}

impl EventWriter {
    pub fn new(options: WriterOptions) -> Self {
        Self {
            options,
            begun: false,
            open: None,
            block_count: 0,
            refused: false,
            stop: None,
            usage: Usage::default(),
        }
    }

    fn begin(&mut self, id: &str, model: &str, out: &mut BytesMut) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let model = if model.is_empty() { &self.options.model } else { model };
        let message = Object::new()
            .with("id", id)
            .with("type", "message")
            .with("role", "assistant")
            .with("model", model)
            .with("content", Json::List(Vec::new()))
            .with("stop_reason", Json::Null)
            .with("stop_sequence", Json::Null)
            .with("usage", write_usage(&self.usage));
        frame("message_start", Object::new().with("message", message), out);
    }

    fn begin_block(&mut self, kind: &PartKind, out: &mut BytesMut) {
        self.end_block(out);
        let (open, block) = match kind {
            PartKind::Text => (Open::Text, Object::typed("text").with("text", "")),
            PartKind::Refusal => {
                self.refused = true;
                (Open::Text, Object::typed("text").with("text", ""))
            }
            PartKind::Thinking => {
                let block = Object::typed("thinking").with("thinking", "").with("signature", "");
                (Open::Thinking, block)
            }
            PartKind::HiddenThinking { data } => (Open::Hidden, Object::typed("redacted_thinking").with("data", data)),
            PartKind::ToolCall { id, name, signature } => {
                let block = Object::typed("tool_use").with("id", call_id(id, signature.as_ref()));
                (Open::ToolCall, block.with("name", name).with("input", Object::new()))
            }
        };
        self.open = Some(open);
        let body = Object::new()
            .with("index", self.block_count)
            .with("content_block", block);
        frame("content_block_start", body, out);
    }

    fn grow(&self, delta: Object<'_>, out: &mut BytesMut) {
        let body = Object::new().with("index", self.block_count).with("delta", delta);
        frame("content_block_delta", body, out);
    }

    fn end_block(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            frame("content_block_stop", Object::new().with("index", self.block_count), out);
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
        let (reason, sequence) = write_stop(&stop);
        let delta = Object::new()
            .with("stop_reason", reason)
            .with("stop_sequence", sequence);
        let body = Object::new()
            .with("delta", delta)
            .with("usage", write_usage(&self.usage));
        frame("message_delta", body, out);
        frame("message_stop", Object::new(), out);
    }
}

impl WriteEvents for EventWriter {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        if let Event::Begin { id, model, usage } = event {
            self.usage = usage.map_or(self.usage, |usage| Usage {
                output_tokens: 0,
                ..usage
            });
            return self.begin(id, model, out);
        }
        if let Event::Error { kind, message } = event {
            let error = Object::typed(error_type(kind)).with("message", message);
            return frame("error", Object::new().with("error", error), out);
        }
        self.begin("msg_stopped", "", out);
        match (event, self.open) {
            (Event::PartBegin(kind), _) => self.begin_block(kind, out),
            (Event::Text(text), Some(Open::Text)) => self.grow(Object::typed("text_delta").with("text", text), out),
            (Event::Text(text), Some(Open::Thinking)) => {
                self.grow(Object::typed("thinking_delta").with("thinking", text), out);
            }
            (Event::Arguments(json), Some(Open::ToolCall)) => {
                self.grow(Object::typed("input_json_delta").with("partial_json", json), out);
            }
            (Event::Signature(signature), Some(Open::Thinking)) => {
                self.grow(Object::typed("signature_delta").with("signature", signature), out);
            }
            (Event::PartEnd, _) => self.end_block(out),
            (Event::Stop(stop), _) => _ = self.stop.get_or_insert_with(|| stop.clone()),
            (Event::Usage(usage), _) => self.usage = *usage,
            (Event::End, _) => self.end(out),
            // No reader tells this: it is not the open part's.
            (Event::Text(_) | Event::Arguments(_) | Event::Signature(_), _)
            | (Event::Begin { .. } | Event::Error { .. }, _) => {}
        }
    }
}

/// One event: its name stands in the frame and in its data.
fn frame<'a>(kind: &'a str, body: Object<'a>, out: &mut BytesMut) {
    Object::typed(kind).join(body).write_frame(Some(kind), out);
}

/// Clients know these words; any other is an error of the API.
fn error_type(kind: &str) -> &str {
    match kind {
        "invalid_request_error"
        | "authentication_error"
        | "permission_error"
        | "not_found_error"
        | "rate_limit_error"
        | "billing_error"
        | "overloaded_error"
        | "timeout_error"
        | "api_error" => kind,
        "rate_limit_exceeded" => "rate_limit_error",
        "insufficient_quota" => "billing_error",
        "engine_overloaded" | "overloaded" => "overloaded_error",
        _ => "api_error",
    }
}
