//! Writes a stream of chat completions. It keeps the thinking until a tool call's id can carry it, and usage until the
//! last chunk but one.

use bytes::{BufMut, BytesMut};

use super::answer::write_stop;
use super::usage::write_usage;
use crate::domain::usage::Usage;
use crate::gateway::translate::WriterOptions;
use crate::gateway::translate::carried::{self, Carried};
use crate::gateway::translate::inner::{Event, PartKind, Thinking};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::stream::WriteEvents;

#[derive(Debug)]
pub struct EventWriter {
    options: WriterOptions,
    id: Option<String>,
    open: Option<Writing>,
    call_count: u64,
    /// Waits for the first tool call.
    thinking: Vec<Thinking>,
    stopped: bool,
    usage: Usage,
}

/// The part that is being written.
#[derive(Debug)]
enum Writing {
    Text,
    Refusal,
    Thinking {
        text: String,
        signature: Option<String>,
    },
    /// Came whole.
    Hidden,
    ToolCall {
        has_arguments: bool,
    },
}

impl EventWriter {
    pub fn new(options: WriterOptions) -> Self {
        Self {
            options,
            id: None,
            open: None,
            call_count: 0,
            thinking: Vec::new(),
            stopped: false,
            usage: Usage::default(),
        }
    }

    fn begin(&mut self, id: &str, model: &str, out: &mut BytesMut) {
        if self.id.is_some() {
            return;
        }
        self.id = Some(id.to_owned());
        if !model.is_empty() {
            model.clone_into(&mut self.options.model);
        }
        self.delta(Object::new().with("role", "assistant").with("content", ""), out);
    }

    fn begin_part(&mut self, kind: &PartKind, out: &mut BytesMut) {
        self.end_part(out);
        self.open = Some(match kind {
            PartKind::Text => Writing::Text,
            PartKind::Refusal => Writing::Refusal,
            PartKind::Thinking => Writing::Thinking {
                text: String::new(),
                signature: None,
            },
            PartKind::HiddenThinking { data } => {
                self.tell_thinking(Thinking::Hidden { data: data.clone() }, out);
                Writing::Hidden
            }
            PartKind::ToolCall { id, name, signature } => {
                let carried = Carried {
                    thinking: std::mem::take(&mut self.thinking),
                    signature: signature.clone(),
                };
                let function = Object::new().with("name", name).with("arguments", "");
                let call = Object::new().with("id", carried.pack(id)).with("type", "function");
                self.call_count += 1;
                self.call(call.with("function", function), out);
                Writing::ToolCall { has_arguments: false }
            }
        });
    }

    fn text(&mut self, text: &str, out: &mut BytesMut) {
        let name = match &mut self.open {
            Some(Writing::Text) => "content",
            Some(Writing::Refusal) => "refusal",
            Some(Writing::Thinking { text: whole, .. }) => {
                whole.push_str(text);
                "reasoning_content"
            }
            // No reader tells this: such parts have no text.
            Some(Writing::Hidden | Writing::ToolCall { .. }) | None => return,
        };
        self.delta(Object::new().with(name, text), out);
    }

    fn arguments(&mut self, json: &str, out: &mut BytesMut) {
        if let Some(Writing::ToolCall { has_arguments }) = &mut self.open {
            *has_arguments = true;
            self.call(
                Object::new().with("function", Object::new().with("arguments", json)),
                out,
            );
        }
    }

    fn sign(&mut self, more: &str) {
        if let Some(Writing::Thinking { signature, .. }) = &mut self.open {
            signature.get_or_insert_default().push_str(more);
        }
    }

    fn end_part(&mut self, out: &mut BytesMut) {
        match self.open.take() {
            Some(Writing::Thinking { text, signature }) if signature.is_some() => {
                self.tell_thinking(Thinking::Shown { text, signature }, out);
            }
            Some(Writing::ToolCall { has_arguments: false }) => {
                self.call(
                    Object::new().with("function", Object::new().with("arguments", "{}")),
                    out,
                );
            }
            Some(Writing::Text | Writing::Refusal | Writing::Thinking { .. } | Writing::Hidden)
            | Some(Writing::ToolCall { has_arguments: true })
            | None => {}
        }
    }

    /// What the provider wants back of a thought, in the stream and in the next call's id.
    fn tell_thinking(&mut self, thinking: Thinking, out: &mut BytesMut) {
        let details = carried::details([&thinking]);
        self.delta(Object::new().with("reasoning_details", details), out);
        self.thinking.push(thinking);
    }

    /// A delta of the call that is open.
    fn call(&self, call: Object<'_>, out: &mut BytesMut) {
        let numbered = Object::new()
            .with("index", self.call_count.saturating_sub(1))
            .join(call);
        self.delta(Object::new().with("tool_calls", vec![numbered.into()]), out);
    }

    fn delta(&self, delta: Object<'_>, out: &mut BytesMut) {
        self.choice(delta, Json::Null, out);
    }

    fn choice(&self, delta: Object<'_>, reason: Json<'_>, out: &mut BytesMut) {
        let choice = Object::new()
            .with("index", 0)
            .with("delta", delta)
            .with("logprobs", Json::Null)
            .with("finish_reason", reason);
        let mut chunk = self.chunk(vec![choice.into()]);
        if self.options.include_usage {
            chunk.put("usage", Json::Null);
        }
        chunk.write_frame(None, out);
    }

    fn chunk<'a>(&'a self, choices: Vec<Json<'a>>) -> Object<'a> {
        Object::new()
            .with("id", self.id.as_ref())
            .with("object", "chat.completion.chunk")
            .with("created", self.options.created_s)
            .with("model", &self.options.model)
            .with("choices", choices)
    }

    fn stop(&mut self, reason: &'static str, out: &mut BytesMut) {
        // A call that is cut off must not look like one without arguments.
        self.open.take_if(|open| matches!(open, Writing::ToolCall { .. }));
        self.end_part(out);
        if !std::mem::replace(&mut self.stopped, true) {
            self.choice(Object::new(), reason.into(), out);
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.stop("stop", out);
        if self.options.include_usage {
            let last = self.chunk(Vec::new()).with("usage", write_usage(&self.usage));
            last.write_frame(None, out);
        }
        out.put_slice(b"data: [DONE]\n\n");
    }
}

impl WriteEvents for EventWriter {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Begin { id, model, usage } => {
                self.usage = usage.unwrap_or(self.usage);
                return self.begin(id, model, out);
            }
            Event::Error { kind, message } => return write_error(kind, message, out),
            Event::PartBegin(_)
            | Event::Text(_)
            | Event::Arguments(_)
            | Event::Signature(_)
            | Event::PartEnd
            | Event::Stop(_)
            | Event::Usage(_)
            | Event::End => self.begin("chatcmpl-stopped", "", out),
        }
        match event {
            Event::PartBegin(kind) => self.begin_part(kind, out),
            Event::Text(text) => self.text(text, out),
            Event::Arguments(json) => self.arguments(json, out),
            Event::Signature(signature) => self.sign(signature),
            Event::PartEnd => self.end_part(out),
            Event::Stop(stop) => self.stop(write_stop(stop), out),
            Event::Usage(usage) => self.usage = *usage,
            Event::End => self.end(out),
            Event::Begin { .. } | Event::Error { .. } => {}
        }
    }
}

fn write_error(kind: &str, message: &str, out: &mut BytesMut) {
    let error = Object::new().with("message", message).with("type", error_type(kind));
    let error = error.with("param", Json::Null).with("code", kind);
    Object::new().with("error", error).write_frame(None, out);
}

/// Clients know these words; any other is an error of the server.
fn error_type(kind: &str) -> &str {
    match kind {
        "invalid_request_error" | "authentication_error" | "permission_error" | "rate_limit_error" => kind,
        "not_found_error" => "invalid_request_error",
        "billing_error" => "insufficient_quota",
        _ => "server_error",
    }
}
