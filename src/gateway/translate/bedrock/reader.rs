//! Reads a stream of Converse, one message of the event-stream encoding at a time. Only calls of tools are announced
//! here; texts and thoughts begin with their first piece.

use serde::Deserialize;

use super::answer::read_stop;
use super::framing::Message;
use super::usage::WireUsage;
use crate::domain::usage::Usage;
use crate::gateway::translate::inner::{Event, PartKind};
use crate::gateway::translate::stream::{ReadEvents, broken_off, unreadable};

/// The payload of any event; which members it has depends on the event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(default)]
    start: Option<Start>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(borrow, default)]
    usage: Option<WireUsage<'a>>,
    #[serde(default, alias = "Message")]
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    #[serde(default)]
    tool_use: Option<StartedCall>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartedCall {
    tool_use_id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    tool_use: Option<GrownCall>,
    #[serde(default)]
    reasoning_content: Option<GrownThought>,
}

#[derive(Deserialize)]
struct GrownCall {
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GrownThought {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    redacted_content: Option<String>,
}

/// The part that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    ToolCall,
}

#[derive(Debug, Default)]
pub struct EventReader {
    open: Option<Open>,
    usage: Option<Usage>,
    stopped: bool,
    ended: bool,
}

impl EventReader {
    pub fn new() -> Self {
        Self::default()
    }

    fn read_event(&mut self, kind: &str, wire: Wire<'_>, events: &mut Vec<Event>) {
        match (kind, wire.start, wire.delta) {
            ("messageStart", _, _) => events.push(Event::Begin {
                id: String::new(),
                model: String::new(),
                usage: None,
            }),
            ("contentBlockStart", Some(Start { tool_use: Some(call) }), _) => {
                let part = PartKind::ToolCall {
                    id: call.tool_use_id,
                    name: call.name,
                    signature: None,
                };
                self.open(Open::ToolCall, part, events);
            }
            ("contentBlockDelta", _, Some(delta)) => self.grow(delta, events),
            ("contentBlockStop", _, _) => self.close(events),
            ("messageStop", _, _) => {
                self.close(events);
                self.stopped = true;
                events.push(Event::Stop(read_stop(wire.stop_reason.as_deref())));
            }
            ("metadata", _, _) => {
                self.usage = wire.usage.as_ref().and_then(WireUsage::read).or(self.usage);
                if self.stopped {
                    self.end(events);
                }
            }
            // What later versions add.
            _ => {}
        }
    }

    fn open(&mut self, open: Open, part: PartKind, events: &mut Vec<Event>) {
        self.close(events);
        self.open = Some(open);
        events.push(Event::PartBegin(part));
    }

    fn grow(&mut self, delta: Delta, events: &mut Vec<Event>) {
        if let Some(text) = delta.text.filter(|text| !text.is_empty()) {
            if self.open != Some(Open::Text) {
                self.open(Open::Text, PartKind::Text, events);
            }
            events.push(Event::Text(text));
        }
        if let Some(call) = delta.tool_use.filter(|call| !call.input.is_empty()) {
            events.push(Event::Arguments(call.input));
        }
        if let Some(thought) = delta.reasoning_content {
            self.think(thought, events);
        }
    }

    fn think(&mut self, thought: GrownThought, events: &mut Vec<Event>) {
        if let Some(data) = thought.redacted_content {
            self.close(events);
            events.extend([Event::PartBegin(PartKind::HiddenThinking { data }), Event::PartEnd]);
            return;
        }
        if self.open != Some(Open::Thinking) {
            self.open(Open::Thinking, PartKind::Thinking, events);
        }
        events.extend(thought.text.filter(|text| !text.is_empty()).map(Event::Text));
        events.extend(thought.signature.map(Event::Signature));
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        if self.open.take().is_some() {
            events.push(Event::PartEnd);
        }
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        self.ended = true;
        events.extend(self.usage.map(Event::Usage));
        events.push(Event::End);
    }
}

impl ReadEvents for EventReader {
    fn push(&mut self, data: &[u8], events: &mut Vec<Event>) {
        let Some(message) = Message::parse(data) else {
            self.ended = true;
            return events.push(unreadable());
        };
        let failure = match message.header(":message-type") {
            Some("exception") => message.header(":exception-type").or(Some("provider_error")),
            Some("error") => message.header(":error-code").or(Some("provider_error")),
            Some(_) | None => None,
        };
        let wire = serde_json::from_slice::<Wire<'_>>(message.payload).ok();
        if let Some(kind) = failure {
            self.ended = true;
            let told = message.header(":error-message").map(str::to_owned);
            let told = told.or(wire.and_then(|wire| wire.message));
            return events.push(Event::Error {
                kind: kind.to_owned(),
                message: told.unwrap_or_else(|| "the provider gave no reason".to_owned()),
            });
        }
        match (message.header(":event-type"), wire) {
            (Some(kind), Some(wire)) => self.read_event(kind, wire, events),
            (_, None) => {
                self.ended = true;
                events.push(unreadable());
            }
            (None, Some(_)) => {}
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
