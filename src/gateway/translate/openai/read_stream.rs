//! Reads a stream of chat completions. It keeps which part is open, because this dialect never says where one ends. Calls
//! come one after the other; one that goes on after the next has begun is an error, since it cannot be told in order.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::answer::{Said, call_id, stop_of};
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
    content: Option<String>,
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

/// The part that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Refusal,
    ToolCall { index: u64, id: Option<String> },
}

#[derive(Debug, Default)]
pub struct EventReader {
    begun: bool,
    answer_id: String,
    open: Option<Open>,
    call_count: usize,
    /// The highest index of a call so far: calls come one after the other.
    last_index: u64,
    said: Said,
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
            self.switch(None, events);
            events.push(Event::Stop(stop_of(Some(&reason), self.said)));
        }
    }

    fn read_delta(&mut self, delta: Delta, events: &mut Vec<Event>) {
        let texts = [
            (delta.reasoning_content.or(delta.reasoning), Open::Thinking),
            (delta.content, Open::Text),
            (delta.refusal, Open::Refusal),
        ];
        for (text, open) in texts {
            let Some(text) = text.filter(|text| !text.is_empty()) else {
                continue;
            };
            if self.open.as_ref() != Some(&open) {
                let kind = match open {
                    Open::Thinking => PartKind::Thinking,
                    Open::Refusal => PartKind::Refusal,
                    Open::Text | Open::ToolCall { .. } => PartKind::Text,
                };
                self.said.refusal |= open == Open::Refusal;
                self.switch(Some(open), events);
                events.push(Event::PartBegin(kind));
            }
            events.push(Event::Text(text));
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.read_call(call, events);
        }
    }

    fn read_call(&mut self, call: CallDelta, events: &mut Vec<Event>) {
        let function = call.function.unwrap_or_default();
        let arguments = function.arguments.filter(|arguments| !arguments.is_empty());
        let id = call.id.filter(|id| !id.is_empty());
        match &self.open {
            Some(Open::ToolCall { index, id: open_id }) if *index == call.index && (id.is_none() || id == *open_id) => {
            }
            // More of a call that is over would stand in the wrong one.
            _ if self.said.calls && self.is_over(call.index, id.as_deref()) => {
                if arguments.is_some() {
                    events.push(unreadable());
                }
                return;
            }
            _ => {
                self.switch(
                    Some(Open::ToolCall {
                        index: call.index,
                        id: id.clone(),
                    }),
                    events,
                );
                self.last_index = call.index;
                self.said.calls = true;
                events.push(Event::PartBegin(PartKind::ToolCall {
                    id: id.unwrap_or_else(|| call_id(&self.answer_id, self.call_count)),
                    name: function.name.unwrap_or_default(),
                    signature: None,
                }));
                self.call_count += 1;
            }
        }
        events.extend(arguments.map(Event::Arguments));
    }

    /// Some providers give every call the same index; then a new id tells a new one.
    fn is_over(&self, index: u64, id: Option<&str>) -> bool {
        index < self.last_index || (index == self.last_index && id.is_none())
    }

    fn switch(&mut self, open: Option<Open>, events: &mut Vec<Event>) {
        if std::mem::replace(&mut self.open, open).is_some() {
            events.push(Event::PartEnd);
        }
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        self.ended = true;
        self.switch(None, events);
        events.extend(self.usage.map(Event::Usage));
        events.push(Event::End);
    }
}

impl ReadEvents for EventReader {
    fn push(&mut self, data: &[u8], events: &mut Vec<Event>) {
        if data.trim_ascii() == b"[DONE]" {
            if !self.stopped {
                events.push(Event::Stop(stop_of(None, self.said)));
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
