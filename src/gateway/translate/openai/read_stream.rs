//! Reads a stream of chat completions. It keeps which part is open, because this dialect never says where one ends. Calls
//! may come in each other's midst and are put in order by `calls`.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::answer::{Held, stop_of};
use super::calls::{Calls, Piece};
use super::content::{Said, WireContent};
use super::read_error;
use crate::domain::usage::Usage;
use crate::gateway::dialect::OpenAiUsage;
use crate::gateway::translate::inner::{Event, PartKind};
use crate::gateway::translate::stream::{ReadEvents, broken_off, unreadable};

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<OpenAiUsage>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<WireContent>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionDelta>,
}

#[derive(Default, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

/// The part that is open, where it is no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Refusal,
}

#[derive(Debug, Default)]
pub struct EventReader {
    begun: bool,
    answer_id: String,
    open: Option<Open>,
    calls: Calls,
    held: Held,
    usage: Option<Usage>,
    stopped: bool,
    ended: bool,
}

impl EventReader {
    pub fn new() -> Self {
        Self::default()
    }

    /// The first chunk that says something begins the answer; Azure sends an empty one before it.
    fn begin(&mut self, chunk: &mut Chunk, events: &mut Vec<Event>) {
        let id = chunk.id.take().unwrap_or_default();
        let says = !id.is_empty() || chunk.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        if self.begun || !says {
            return;
        }
        self.begun = true;
        self.answer_id.clone_from(&id);
        events.push(Event::Begin {
            id,
            model: chunk.model.take().unwrap_or_default(),
            usage: None,
        });
    }

    fn read_choice(&mut self, choice: Choice, events: &mut Vec<Event>) {
        if let Some(delta) = choice.delta {
            self.read_delta(delta, events);
        }
        if let Some(reason) = choice.finish_reason.filter(|_| !self.stopped) {
            self.stopped = true;
            self.close(events);
            events.push(Event::Stop(stop_of(Some(&reason), self.held)));
        }
    }

    fn read_delta(&mut self, delta: Delta, events: &mut Vec<Event>) {
        if let Some(text) = delta.reasoning_content.or(delta.reasoning) {
            self.read_text(Open::Thinking, text, events);
        }
        for said in delta.content.map(WireContent::said).unwrap_or_default() {
            match said {
                Said::Text(text) => self.read_text(Open::Text, text, events),
                Said::Thinking(text) => self.read_text(Open::Thinking, text, events),
            }
        }
        if let Some(text) = delta.refusal {
            self.read_text(Open::Refusal, text, events);
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.read_call(call, events);
        }
    }

    fn read_text(&mut self, open: Open, text: String, events: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        if self.open != Some(open) {
            self.close(events);
            self.open = Some(open);
            self.held.refusal |= open == Open::Refusal;
            events.push(Event::PartBegin(match open {
                Open::Thinking => PartKind::Thinking,
                Open::Refusal => PartKind::Refusal,
                Open::Text => PartKind::Text,
            }));
        }
        events.push(Event::Text(text));
    }

    fn read_call(&mut self, call: CallDelta, events: &mut Vec<Event>) {
        if !self.calls.is_open() {
            self.close(events);
        }
        self.held.calls = true;
        let function = call.function.unwrap_or_default();
        let piece = Piece {
            index: call.index,
            id: call.id.filter(|id| !id.is_empty()),
            name: function.name,
            arguments: function.arguments,
        };
        self.calls.push(piece, &self.answer_id, events);
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        if self.open.take().is_some() {
            events.push(Event::PartEnd);
        }
        self.calls.close(events);
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        self.ended = true;
        self.close(events);
        events.extend(self.usage.map(Event::Usage));
        events.push(Event::End);
    }
}

impl ReadEvents for EventReader {
    fn push(&mut self, data: &[u8], events: &mut Vec<Event>) {
        if data.trim_ascii() == b"[DONE]" {
            if !self.stopped {
                events.push(Event::Stop(stop_of(None, self.held)));
            }
            return self.end(events);
        }
        let Ok(mut chunk) = serde_json::from_slice::<Chunk>(data) else {
            return events.push(error_event(data));
        };
        if chunk.error.is_some() {
            return events.push(error_event(data));
        }
        self.begin(&mut chunk, events);
        self.usage = chunk.usage.and_then(|usage| usage.read()).or(self.usage);
        let choices = chunk.choices.unwrap_or_default().into_iter();
        for choice in choices.filter(|choice| choice.index == 0) {
            self.read_choice(choice, events);
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
