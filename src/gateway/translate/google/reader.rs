//! Reads a stream of generateContent. Every event is a piece of an answer; no frame is the last one, so the end comes
//! with the end of the connection. A stream that closes before it told why it stopped is broken off.

use super::answer::{CallIds, Wire, WirePart, blocked_text, read_stop};
use super::read_error;
use super::usage::WireUsage;
use crate::domain::usage::Usage;
use crate::gateway::translate::inner::{Event, PartKind, Stop};
use crate::gateway::translate::stream::{ReadEvents, broken_off, unreadable};

/// The part that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
}

#[derive(Debug, Default)]
pub struct EventReader {
    begun: bool,
    id: String,
    ids: CallIds,
    open: Option<Open>,
    stop: Option<Stop>,
    usage: Option<Usage>,
    broken: bool,
}

impl EventReader {
    pub fn new() -> Self {
        Self::default()
    }

    fn begin(&mut self, wire: &mut Wire<'_>, events: &mut Vec<Event>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.id = wire.response_id.take().unwrap_or_default();
        events.push(Event::Begin {
            id: self.id.clone(),
            model: wire.model_version.take().unwrap_or_default(),
            usage: self.usage,
        });
    }

    fn read_part(&mut self, part: WirePart<'_>, events: &mut Vec<Event>) {
        if let Some(call) = part.function_call {
            self.close(events);
            let call = self.ids.call(call, part.thought_signature, &self.id);
            let kind = PartKind::ToolCall {
                id: call.id,
                name: call.name,
                signature: call.signature,
            };
            events.extend([Event::PartBegin(kind), Event::Arguments(call.arguments), Event::PartEnd]);
            return;
        }
        let Some(text) = part.text.filter(|text| !text.is_empty()) else {
            return;
        };
        let open = if part.thought == Some(true) {
            Open::Thinking
        } else {
            Open::Text
        };
        if self.open != Some(open) {
            self.close(events);
            self.open = Some(open);
            let kind = match open {
                Open::Text => PartKind::Text,
                Open::Thinking => PartKind::Thinking,
            };
            events.push(Event::PartBegin(kind));
        }
        events.push(Event::Text(text));
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        if self.open.take().is_some() {
            events.push(Event::PartEnd);
        }
    }

    fn block(&mut self, reason: &str, events: &mut Vec<Event>) {
        self.close(events);
        let text = Event::Text(blocked_text(reason));
        events.extend([Event::PartBegin(PartKind::Refusal), text, Event::PartEnd]);
        self.stop = Some(Stop::Refusal);
    }
}

impl ReadEvents for EventReader {
    fn push(&mut self, data: &[u8], events: &mut Vec<Event>) {
        let Ok(mut wire) = serde_json::from_slice::<Wire<'_>>(data) else {
            self.broken = true;
            return events.push(unreadable());
        };
        if wire.error.is_some() {
            self.broken = true;
            let error = read_error(data).map(|error| Event::Error {
                kind: error.kind,
                message: error.message,
            });
            return events.push(error.unwrap_or_else(unreadable));
        }
        let told = wire.usage_metadata.as_ref().and_then(WireUsage::read);
        self.usage = told.or(self.usage);
        self.begin(&mut wire, events);
        let blocked = wire.block_reason();
        let (parts, reason) = wire.first();
        for part in parts {
            self.read_part(part, events);
        }
        if let Some(reason) = blocked {
            self.block(&reason, events);
        } else if let Some(reason) = reason {
            self.stop = Some(read_stop(Some(&reason), &self.ids));
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        if self.broken {
            return;
        }
        let Some(stop) = self.stop.take() else {
            return events.push(broken_off());
        };
        self.close(events);
        events.push(Event::Stop(stop));
        events.extend(self.usage.map(Event::Usage));
        events.push(Event::End);
    }
}
