//! Whole answers of Converse, read and written. They tell no id and no model; the caller knows both.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::{WireUsage, write_usage};
use crate::gateway::translate::arguments;
use crate::gateway::translate::carried::Carried;
use crate::gateway::translate::google::signature::wrap_hidden;
use crate::gateway::translate::inner::{Answer, Content, Part, Stop, Thinking, ToolCall};
use crate::gateway::translate::json::{Json, Object};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(borrow, default)]
    usage: Option<WireUsage<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(borrow, default)]
    tool_use: Option<WireCall<'a>>,
    #[serde(default)]
    reasoning_content: Option<Reasoning>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCall<'a> {
    tool_use_id: String,
    name: String,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    #[serde(default)]
    reasoning_text: Option<ReasoningText>,
    #[serde(default)]
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    #[serde(default)]
    text: String,
    #[serde(default)]
    signature: Option<String>,
}

pub fn read_answer(body: &[u8]) -> Option<Answer> {
    let wire: Wire<'_> = serde_json::from_slice(body).ok()?;
    Some(Answer {
        id: String::new(),
        model: String::new(),
        parts: wire.output.message.content.into_iter().filter_map(read_block).collect(),
        stop: read_stop(wire.stop_reason.as_deref()),
        usage: wire.usage.and_then(|usage| usage.read()).unwrap_or_default(),
    })
}

/// A block of a kind that nobody can have asked for is left out.
fn read_block(block: Block<'_>) -> Option<Part> {
    let content = match (block.text, block.tool_use, block.reasoning_content) {
        (Some(text), _, _) => Content::Text(text),
        (None, Some(call), _) => Content::ToolCall(ToolCall {
            id: call.tool_use_id,
            name: call.name,
            arguments: call.input.map_or("{}", RawValue::get).to_owned(),
            signature: None,
        }),
        (
            None,
            None,
            Some(Reasoning {
                redacted_content: Some(data),
                ..
            }),
        ) => Content::Thinking(Thinking::Hidden { data }),
        (None, None, reasoning) => {
            let shown = reasoning?.reasoning_text?;
            Content::Thinking(Thinking::Shown {
                text: shown.text,
                signature: shown.signature.filter(|signature| !signature.is_empty()),
            })
        }
    };
    Some(Part::of(content))
}

pub(super) fn read_stop(reason: Option<&str>) -> Stop {
    match reason {
        Some("max_tokens" | "model_context_window_exceeded") => Stop::OutputCap,
        Some("stop_sequence") => Stop::Sequence(None),
        Some("tool_use") => Stop::ToolCalls,
        Some("guardrail_intervened" | "content_filtered" | "malformed_model_output" | "malformed_tool_use") => {
            Stop::Refusal
        }
        Some(_) | None => Stop::End,
    }
}

pub fn write_answer(answer: &Answer, _created_s: u64) -> Vec<u8> {
    let content: Vec<Json<'_>> = answer.parts.iter().filter_map(write_part).collect();
    let message = Object::new().with("role", "assistant").with("content", content);
    Object::new()
        .with("output", Object::new().with("message", message))
        .with("stopReason", write_stop(&answer.stop))
        .with("usage", write_usage(&answer.usage))
        .with("metrics", Object::new().with("latencyMs", 0))
        .to_bytes()
}

/// What a model can say; files never come back in this dialect.
fn write_part(part: &Part) -> Option<Json<'_>> {
    let block = match &part.content {
        Content::Text(text) | Content::Refusal(text) => Object::new().with("text", text),
        Content::Thinking(Thinking::Shown { text, signature }) => {
            let mut shown = Object::new().with("text", text);
            shown.put_some("signature", signature.as_ref());
            Object::new().with("reasoningContent", Object::new().with("reasoningText", shown))
        }
        Content::Thinking(Thinking::Hidden { data }) => {
            let hidden = Object::new().with("redactedContent", wrap_hidden(data));
            Object::new().with("reasoningContent", hidden)
        }
        Content::ToolCall(call) => {
            let written = Object::new()
                .with("toolUseId", call_id(&call.id, call.signature.as_ref()))
                .with("name", &call.name)
                .with("input", arguments::object_or_text(&call.arguments));
            Object::new().with("toolUse", written)
        }
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

pub(super) const fn write_stop(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Pause => "end_turn",
        Stop::OutputCap => "max_tokens",
        Stop::Sequence(_) => "stop_sequence",
        Stop::ToolCalls => "tool_use",
        Stop::Refusal => "content_filtered",
    }
}
