//! Reads a stream of responses. Items come one after the other; an item's last event tells again what the pieces told,
//! so only what no piece told is taken from it.

use serde::Deserialize;

use super::answer::{Failure, Item, Wire, read_stop};
use super::usage::WireUsage;
use crate::domain::usage::Usage;
use crate::gateway::translate::inner::{Event, PartKind, Stop, Thinking};
use crate::gateway::translate::issuer::of_openai;
use crate::gateway::translate::openai;
use crate::gateway::translate::stream::{ReadEvents, broken_off, unreadable};

#[derive(Deserialize)]
struct WireEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    response: Option<Wire>,
    #[serde(default)]
    item: Option<Item>,
    #[serde(default)]
    delta: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// The part that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Refusal,
    Thinking,
    ToolCall { told: bool },
}

#[derive(Debug, Default)]
pub struct EventReader {
    open: Option<Open>,
    begun: bool,
    calls: bool,
    usage: Option<Usage>,
    ended: bool,
}

impl EventReader {
    pub fn new() -> Self {
        Self::default()
    }

    fn begin(&mut self, response: Wire, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.begun, true) {
            events.push(Event::Begin {
                id: response.id,
                model: response.model,
                usage: None,
            });
        }
    }

    fn begin_item(&mut self, item: Item, events: &mut Vec<Event>) {
        self.close(events);
        if let ("function_call", Some(id), Some(name)) = (item.kind.as_str(), item.call_id, item.name) {
            self.calls = true;
            let part = PartKind::ToolCall {
                id,
                name,
                signature: None,
            };
            self.open(Open::ToolCall { told: false }, part, events);
        }
    }

    fn end_item(&mut self, item: Item, events: &mut Vec<Event>) {
        if self.open == Some(Open::ToolCall { told: false }) {
            events.extend(item.arguments.filter(|text| !text.is_empty()).map(Event::Arguments));
        }
        self.close(events);
        if let Some(Thinking::Hidden { data }) = item.encrypted_content.as_deref().map(of_openai) {
            events.extend([Event::PartBegin(PartKind::HiddenThinking { data }), Event::PartEnd]);
        }
    }

    fn grow(&mut self, open: Open, part: PartKind, text: String, events: &mut Vec<Event>) {
        if self.open != Some(open) {
            self.open(open, part, events);
        }
        events.push(Event::Text(text));
    }

    fn open(&mut self, open: Open, part: PartKind, events: &mut Vec<Event>) {
        self.close(events);
        self.open = Some(open);
        events.push(Event::PartBegin(part));
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        if self.open.take().is_some() {
            events.push(Event::PartEnd);
        }
    }

    fn end(&mut self, response: &Wire, events: &mut Vec<Event>) {
        self.close(events);
        self.ended = true;
        self.usage = response.usage.and_then(WireUsage::read);
        let calls = self.calls.then_some(Stop::ToolCalls);
        events.push(Event::Stop(read_stop(response.stop_reason().as_deref(), calls)));
        events.extend(self.usage.map(Event::Usage));
        events.push(Event::End);
    }

    fn fail(&mut self, failure: Option<Failure>, events: &mut Vec<Event>) {
        self.ended = true;
        let event = failure.map(|failure| Event::Error {
            kind: failure.code.unwrap_or_else(|| "provider_error".to_owned()),
            message: failure.message,
        });
        events.push(event.unwrap_or_else(unreadable));
    }

    fn read_piece(&mut self, kind: &str, delta: String, events: &mut Vec<Event>) {
        match (kind, self.open) {
            ("response.output_text.delta", _) => self.grow(Open::Text, PartKind::Text, delta, events),
            ("response.refusal.delta", _) => self.grow(Open::Refusal, PartKind::Refusal, delta, events),
            ("response.reasoning_summary_text.delta" | "response.reasoning_text.delta", _) => {
                self.grow(Open::Thinking, PartKind::Thinking, delta, events);
            }
            ("response.function_call_arguments.delta", Some(Open::ToolCall { .. })) => {
                self.open = Some(Open::ToolCall { told: true });
                events.push(Event::Arguments(delta));
            }
            _ => {}
        }
    }
}

impl ReadEvents for EventReader {
    fn push(&mut self, data: &[u8], events: &mut Vec<Event>) {
        if data == b"[DONE]" {
            return;
        }
        let Ok(wire) = serde_json::from_slice::<WireEvent>(data) else {
            self.ended = true;
            let told = (openai::TABLE.read_error)(data).map(|error| Event::Error {
                kind: error.kind,
                message: error.message,
            });
            return events.push(told.unwrap_or_else(unreadable));
        };
        match (wire.kind.as_str(), wire.response, wire.item, wire.delta) {
            ("response.created" | "response.in_progress", Some(response), _, _) => self.begin(response, events),
            ("response.output_item.added", _, Some(item), _) => self.begin_item(item, events),
            ("response.output_item.done", _, Some(item), _) => self.end_item(item, events),
            ("response.content_part.done", _, _, _) => self.close(events),
            // Summaries in several pieces are told as paragraphs of one.
            ("response.reasoning_summary_part.added", _, _, _) if self.open == Some(Open::Thinking) => {
                events.push(Event::Text("\n\n".to_owned()));
            }
            ("response.completed" | "response.incomplete", Some(response), _, _) => self.end(&response, events),
            ("response.failed", Some(response), _, _) => self.fail(response.error, events),
            ("error", _, _, _) => {
                let failure = wire.message.map(|message| Failure {
                    code: wire.code,
                    message,
                });
                self.fail(failure, events);
            }
            (kind, _, _, Some(delta)) if !delta.is_empty() => self.read_piece(kind, delta, events),
            // What repeats the pieces, and what later versions add.
            _ => {}
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        if !self.ended {
            events.push(broken_off());
        }
    }
}
