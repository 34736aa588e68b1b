//! Whole answers of the messages API, read and written.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::usage::Usage;
use crate::gateway::dialect::{AnthropicCounts, AnthropicUsage};
use crate::gateway::translate::arguments;
use crate::gateway::translate::carried::Carried;
use crate::gateway::translate::inner::{Answer, Content, Part, Stop, Thinking, ToolCall};
use crate::gateway::translate::json::{Json, Object};

#[derive(Deserialize)]
struct Message<'a> {
    id: String,
    #[serde(default)]
    model: String,
    #[serde(borrow)]
    content: Vec<Block<'a>>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
    #[serde(borrow, default)]
    usage: Option<AnthropicUsage<'a>>,
}

/// A content block; which members it has depends on its type.
#[derive(Default, Deserialize)]
pub(super) struct Block<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) thinking: Option<String>,
    #[serde(default)]
    pub(super) signature: Option<String>,
    #[serde(default)]
    pub(super) data: Option<String>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(borrow, default)]
    pub(super) input: Option<&'a RawValue>,
}

pub fn read_answer(body: &[u8]) -> Option<Answer> {
    let message: Message<'_> = serde_json::from_slice(body).ok()?;
    let usage = message.usage.and_then(|usage| AnthropicCounts::of(&usage).read());
    Some(Answer {
        id: message.id,
        model: message.model,
        parts: message.content.into_iter().filter_map(read_block).collect(),
        stop: read_stop(message.stop_reason.as_deref(), message.stop_sequence),
        usage: usage.unwrap_or_default(),
    })
}

/// A block of a kind that nobody can have asked for (a search of the provider's own) is left out.
fn read_block(block: Block<'_>) -> Option<Part> {
    let content = match block.kind.as_str() {
        "text" => Content::Text(block.text.unwrap_or_default()),
        "thinking" => Content::Thinking(Thinking::Shown {
            text: block.thinking.unwrap_or_default(),
            signature: block.signature.filter(|signature| !signature.is_empty()),
        }),
        "redacted_thinking" => Content::Thinking(Thinking::Hidden { data: block.data? }),
        "tool_use" => Content::ToolCall(ToolCall {
            id: block.id?,
            name: block.name?,
            arguments: block.input.map_or("{}", RawValue::get).to_owned(),
            signature: None,
        }),
        _ => return None,
    };
    Some(Part::of(content))
}

pub(super) fn read_stop(reason: Option<&str>, sequence: Option<String>) -> Stop {
    match reason {
        Some("max_tokens" | "model_context_window_exceeded") => Stop::OutputCap,
        Some("stop_sequence") => Stop::Sequence(sequence),
        Some("tool_use") => Stop::ToolCalls,
        Some("refusal") => Stop::Refusal,
        Some("pause_turn") => Stop::Pause,
        Some(_) | None => Stop::End,
    }
}

pub fn write_answer(answer: &Answer, _created_s: u64) -> Vec<u8> {
    let content: Vec<Json<'_>> = answer.parts.iter().filter_map(write_part).collect();
    let (reason, sequence) = write_stop(&answer.stop);
    Object::new()
        .with("id", &answer.id)
        .with("type", "message")
        .with("role", "assistant")
        .with("model", &answer.model)
        .with("content", content)
        .with("stop_reason", reason)
        .with("stop_sequence", sequence)
        .with("usage", write_usage(&answer.usage))
        .to_bytes()
}

/// What a model can say; files never come back in this dialect.
fn write_part(part: &Part) -> Option<Json<'_>> {
    let block = match &part.content {
        Content::Text(text) | Content::Refusal(text) => Object::typed("text").with("text", text),
        Content::Thinking(Thinking::Shown { text, signature }) => {
            let block = Object::typed("thinking").with("thinking", text);
            block.with("signature", signature.as_deref().unwrap_or_default())
        }
        Content::Thinking(Thinking::Hidden { data }) => Object::typed("redacted_thinking").with("data", data),
        Content::ToolCall(call) => Object::typed("tool_use")
            .with("id", call_id(&call.id, call.signature.as_ref()))
            .with("name", &call.name)
            .with("input", arguments::object_or_text(&call.arguments)),
        Content::Image(_) | Content::Document { .. } | Content::Audio { .. } | Content::ToolResult { .. } => {
            return None;
        }
    };
    Some(block.into())
}

/// The id that the client gets: with the signature that the provider wants back, where there is one.
pub(super) fn call_id(id: &str, signature: Option<&String>) -> String {
    let carried = Carried {
        thinking: Vec::new(),
        signature: signature.cloned(),
    };
    carried.pack(id)
}

pub(super) fn write_stop(stop: &Stop) -> (&'static str, Option<&str>) {
    match stop {
        Stop::End => ("end_turn", None),
        Stop::OutputCap => ("max_tokens", None),
        Stop::Sequence(sequence) => ("stop_sequence", sequence.as_deref()),
        Stop::ToolCalls => ("tool_use", None),
        Stop::Refusal => ("refusal", None),
        Stop::Pause => ("pause_turn", None),
    }
}

pub(super) fn write_usage(usage: &Usage) -> Object<'static> {
    let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
    let durations = Object::new()
        .with("ephemeral_5m_input_tokens", usage.cache_write_tokens)
        .with("ephemeral_1h_input_tokens", usage.cache_write_1h_tokens);
    Object::new()
        .with("input_tokens", usage.input_tokens)
        .with("cache_creation_input_tokens", written)
        .with("cache_read_input_tokens", usage.cache_read_tokens)
        .with("cache_creation", durations)
        .with("output_tokens", usage.output_tokens)
}
