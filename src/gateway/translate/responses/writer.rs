//! Writes a stream of responses. Every item is announced, grows, and is told whole at its end; the last event tells the
//! whole answer again, so what is done is kept. Events are numbered.

use bytes::BytesMut;
use serde_json::value::RawValue;

use super::answer::{Response, State};
use super::items::{
    Call, Progress, function_call, message, reasoning, refusal_part, response_id, summary_part, text_part,
};
use super::usage::write_usage;
use crate::domain::usage::Usage;
use crate::gateway::translate::WriterOptions;
use crate::gateway::translate::inner::{Event, PartKind, Stop, Thinking, ToolCall};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::stream::WriteEvents;

#[derive(Debug)]
enum Open {
    Text(String),
    Refusal(String),
    Reasoning(Thinking),
    ToolCall(ToolCall),
}

#[derive(Debug)]
pub struct EventWriter {
    options: WriterOptions,
    id: String,
    begun: bool,
    event_count: u64,
    open: Option<Open>,
    item_id: String,
    /// The items that are done, as they were told.
    output: Vec<Box<RawValue>>,
    stop: Option<Stop>,
    usage: Usage,
}

impl WriteEvents for EventWriter {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        if let Event::Begin { id, model, usage } = event {
            self.usage = usage.unwrap_or(self.usage);
            return self.begin(id, model, out);
        }
        self.begin("stopped", "", out);
        match event {
            Event::Begin { .. } => {}
            Event::PartBegin(kind) => self.begin_item(kind, out),
            Event::Text(more) if !matches!(self.open, Some(Open::ToolCall(_))) => self.grow(more, out),
            Event::Arguments(more) if matches!(self.open, Some(Open::ToolCall(_))) => self.grow(more, out),
            Event::Signature(more) => {
                if let Some(Open::Reasoning(Thinking::Shown { signature, .. })) = &mut self.open {
                    *signature = Some(more.clone());
                }
            }
            Event::PartEnd => self.end_item(out),
            Event::Stop(stop) => self.stop = Some(stop.clone()),
            Event::Usage(usage) => self.usage = *usage,
            Event::Error { kind, message } => self.fail(kind, message, out),
            Event::End => self.end(out),
            // No reader tells this: it is not the open part's.
            Event::Text(_) | Event::Arguments(_) => {}
        }
    }
}

impl EventWriter {
    pub fn new(options: WriterOptions) -> Self {
        Self {
            options,
            id: String::new(),
            begun: false,
            event_count: 0,
            open: None,
            item_id: String::new(),
            output: Vec::new(),
            stop: None,
            usage: Usage::default(),
        }
    }

    fn begin(&mut self, id: &str, model: &str, out: &mut BytesMut) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.id = response_id(id);
        if !model.is_empty() {
            model.clone_into(&mut self.options.model);
        }
        for kind in ["response.created", "response.in_progress"] {
            self.write_response(kind, State::InProgress, out);
        }
    }

    fn begin_item(&mut self, kind: &PartKind, out: &mut BytesMut) {
        self.end_item(out);
        self.item_id = format!("item_{}_{}", self.id, self.output.len());
        let open = match kind {
            PartKind::Text => Open::Text(String::new()),
            PartKind::Refusal => Open::Refusal(String::new()),
            PartKind::Thinking => Open::Reasoning(Thinking::Shown {
                text: String::new(),
                signature: None,
            }),
            PartKind::HiddenThinking { data } => Open::Reasoning(Thinking::Hidden { data: data.clone() }),
            PartKind::ToolCall { id, name, signature } => Open::ToolCall(ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: String::new(),
                signature: signature.clone(),
            }),
        };
        let item_id = self.item_id.clone();
        let item = Object::new().with("item", write_item(&item_id, &open, Progress::Begun));
        self.frame("response.output_item.added", self.placed(item), out);
        if let Some((kind, part)) = begun_part(&open) {
            self.frame(kind, self.piece(Object::new().with("part", part), &open), out);
        }
        self.open = Some(open);
    }

    fn grow(&mut self, more: &str, out: &mut BytesMut) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        let kind = match &mut open {
            Open::Text(text) => {
                text.push_str(more);
                "response.output_text.delta"
            }
            Open::Refusal(text) => {
                text.push_str(more);
                "response.refusal.delta"
            }
            Open::Reasoning(Thinking::Shown { text, .. }) => {
                text.push_str(more);
                "response.reasoning_summary_text.delta"
            }
            Open::ToolCall(call) => {
                call.arguments.push_str(more);
                "response.function_call_arguments.delta"
            }
            // It came whole.
            Open::Reasoning(Thinking::Hidden { .. }) => return self.open = Some(open),
        };
        let mut body = self.piece(Object::new().with("delta", more), &open);
        if matches!(open, Open::Text(_)) {
            body.put("logprobs", Vec::new());
        }
        self.frame(kind, body, out);
        self.open = Some(open);
    }

    fn end_item(&mut self, out: &mut BytesMut) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        if let Open::ToolCall(call) = &mut open
            && call.arguments.is_empty()
        {
            call.arguments.push_str("{}");
        }
        for (kind, body) in ended_parts(&open) {
            self.frame(kind, self.piece(body, &open), out);
        }
        let item_id = self.item_id.clone();
        let item = write_item(&item_id, &open, Progress::Done);
        let text = String::from_utf8(item.to_bytes()).expect("JSON is UTF-8");
        self.frame(
            "response.output_item.done",
            self.placed(Object::new().with("item", item)),
            out,
        );
        self.output
            .push(RawValue::from_string(text).expect("an object is JSON"));
    }

    /// The members that say which item is meant.
    fn placed<'a>(&self, body: Object<'a>) -> Object<'a> {
        Object::new().with("output_index", self.output.len() as u64).join(body)
    }

    /// The members that say which piece of the open item is meant.
    fn piece<'a>(&self, body: Object<'a>, open: &Open) -> Object<'a> {
        let mut place = Object::new().with("item_id", self.item_id.clone());
        match open {
            Open::Text(_) | Open::Refusal(_) => place.put("content_index", 0),
            Open::Reasoning(_) => place.put("summary_index", 0),
            Open::ToolCall(_) => {}
        }
        self.placed(place).join(body)
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.end_item(out);
        let state = State::of(&self.stop.take().unwrap_or(Stop::End));
        let kind = match state {
            State::Incomplete(_) => "response.incomplete",
            State::InProgress | State::Completed => "response.completed",
        };
        self.write_response(kind, state, out);
    }

    fn write_response(&mut self, kind: &'static str, state: State, out: &mut BytesMut) {
        let output = std::mem::take(&mut self.output);
        let (id, model) = (self.id.clone(), self.options.model.clone());
        let response = Response {
            id: &id,
            model: &model,
            created_s: self.options.created_s,
        };
        let usage = (state != State::InProgress).then(|| write_usage(&self.usage));
        let items: Vec<Json<'_>> = output.iter().map(|item| Json::Raw(item)).collect();
        self.frame(
            kind,
            Object::new().with("response", response.write(items, state, usage)),
            out,
        );
        self.output = output;
    }

    /// Clients of this API hear of an error by one of two events; both are sent, as the API does.
    fn fail(&mut self, kind: &str, text: &str, out: &mut BytesMut) {
        let body = Object::new()
            .with("code", kind)
            .with("message", text)
            .with("param", Json::Null);
        self.frame("error", body, out);
        let error = Object::new().with("code", kind).with("message", text);
        let response = Object::new()
            .with("id", self.id.clone())
            .with("object", "response")
            .with("status", "failed")
            .with("error", error)
            .with("output", Vec::new());
        self.frame("response.failed", Object::new().with("response", response), out);
    }

    fn frame(&mut self, kind: &'static str, body: Object<'_>, out: &mut BytesMut) {
        let numbered = Object::typed(kind).with("sequence_number", self.event_count);
        self.event_count += 1;
        numbered.join(body).write_frame(Some(kind), out);
    }
}

/// The piece with which an item begins.
fn begun_part(open: &Open) -> Option<(&'static str, Object<'static>)> {
    match open {
        Open::Text(_) => Some(("response.content_part.added", text_part(""))),
        Open::Refusal(_) => Some(("response.content_part.added", refusal_part(""))),
        Open::Reasoning(Thinking::Shown { .. }) => Some(("response.reasoning_summary_part.added", summary_part(""))),
        Open::Reasoning(Thinking::Hidden { .. }) | Open::ToolCall(_) => None,
    }
}

/// The events that tell a piece whole.
fn ended_parts(open: &Open) -> Vec<(&'static str, Object<'_>)> {
    let part = |part| Object::new().with("part", part);
    match open {
        Open::Text(text) => vec![
            (
                "response.output_text.done",
                Object::new().with("text", text).with("logprobs", Vec::new()),
            ),
            ("response.content_part.done", part(text_part(text))),
        ],
        Open::Refusal(text) => vec![
            ("response.refusal.done", Object::new().with("refusal", text)),
            ("response.content_part.done", part(refusal_part(text))),
        ],
        Open::Reasoning(Thinking::Shown { text, .. }) => vec![
            ("response.reasoning_summary_text.done", Object::new().with("text", text)),
            ("response.reasoning_summary_part.done", part(summary_part(text))),
        ],
        Open::ToolCall(call) => {
            let told = Object::new()
                .with("name", &call.name)
                .with("arguments", &call.arguments);
            vec![("response.function_call_arguments.done", told)]
        }
        Open::Reasoning(Thinking::Hidden { .. }) => Vec::new(),
    }
}

/// The item as it is, or without its content at its beginning.
fn write_item<'a>(item_id: &'a str, open: &'a Open, progress: Progress) -> Object<'a> {
    let whole = progress == Progress::Done;
    match open {
        Open::Text(text) => message(item_id, whole.then(|| text_part(text)), progress),
        Open::Refusal(text) => message(item_id, whole.then(|| refusal_part(text)), progress),
        Open::Reasoning(thinking) => reasoning(item_id, thinking),
        Open::ToolCall(call) => {
            let call = Call {
                id: &call.id,
                name: &call.name,
                arguments: &call.arguments,
                signature: call.signature.as_ref(),
            };
            function_call(item_id, &call, progress)
        }
    }
}
