//! Whole answers of chat completions, read and written. The first choice only: a call that wants more is refused.

use serde::Deserialize;

use super::content::{Said, WireContent};
use super::usage::write_usage;
use crate::gateway::dialect::OpenAiUsage;
use crate::gateway::translate::carried::{self, Carried};
use crate::gateway::translate::inner::{Answer, Content, Part, Stop, Thinking, ToolCall};
use crate::gateway::translate::json::{Json, Object};

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<OpenAiUsage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<WireContent>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    /// What some imitators call it.
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<WireCall>>,
}

#[derive(Deserialize)]
struct WireCall {
    #[serde(default)]
    id: Option<String>,
    function: WireFunction,
}

#[derive(Deserialize)]
struct WireFunction {
    name: String,
    #[serde(default)]
    arguments: Option<String>,
}

pub fn read_answer(body: &[u8]) -> Option<Answer> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let choice = body.choices.into_iter().next()?;
    let parts = read_message(choice.message, &body.id);
    Some(Answer {
        stop: read_stop(choice.finish_reason.as_deref(), &parts),
        parts,
        id: body.id,
        model: body.model,
        usage: body.usage.and_then(|usage| usage.read()).unwrap_or_default(),
    })
}

fn read_message(message: Message, answer_id: &str) -> Vec<Part> {
    let thinking = message.reasoning_content.or(message.reasoning);
    let thinking = thinking
        .filter(|text| !text.is_empty())
        .map(|text| Content::Thinking(Thinking::Shown { text, signature: None }));
    let said = |text: &String| !text.is_empty();
    let content = message.content.map(WireContent::said).unwrap_or_default();
    let content = content.into_iter().map(|piece| match piece {
        Said::Text(text) => Content::Text(text),
        Said::Thinking(text) => Content::Thinking(Thinking::Shown { text, signature: None }),
    });
    let refusal = message.refusal.filter(said).map(Content::Refusal);
    let calls = message.tool_calls.unwrap_or_default().into_iter().enumerate();
    let calls = calls.map(|(index, call)| {
        Content::ToolCall(ToolCall {
            id: call.id.filter(said).unwrap_or_else(|| call_id(answer_id, index)),
            name: call.function.name,
            arguments: call.function.arguments.unwrap_or_default(),
            signature: None,
        })
    });
    let contents = thinking.into_iter().chain(content).chain(refusal).chain(calls);
    contents.map(Part::of).collect()
}

/// The id of a call that its provider gave none: always the same for the same answer.
pub(super) fn call_id(answer_id: &str, index: usize) -> String {
    format!("call_{answer_id}_{index}")
}

/// What the finish reason says, or what stands in the answer: a tool that was named ends with `stop`.
fn read_stop(reason: Option<&str>, parts: &[Part]) -> Stop {
    let has = |what: fn(&Content) -> bool| parts.iter().any(|part| what(&part.content));
    stop_of(
        reason,
        Held {
            calls: has(|content| matches!(content, Content::ToolCall(_))),
            refusal: has(|content| matches!(content, Content::Refusal(_))),
        },
    )
}

/// What an answer has in it besides text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) calls: bool,
    pub(super) refusal: bool,
}

pub(super) fn stop_of(reason: Option<&str>, held: Held) -> Stop {
    match reason {
        Some("length") => Stop::OutputCap,
        Some("content_filter") => Stop::Refusal,
        Some("tool_calls" | "function_call") => Stop::ToolCalls,
        Some(_) | None if held.calls => Stop::ToolCalls,
        Some(_) | None if held.refusal => Stop::Refusal,
        Some(_) | None => Stop::End,
    }
}

pub fn write_answer(answer: &Answer, created_s: u64) -> Vec<u8> {
    let choice = Object::new()
        .with("index", 0)
        .with("message", write_message(answer))
        .with("logprobs", Json::Null)
        .with("finish_reason", write_stop(&answer.stop));
    Object::new()
        .with("id", &answer.id)
        .with("object", "chat.completion")
        .with("created", created_s)
        .with("model", &answer.model)
        .with("choices", vec![choice.into()])
        .with("usage", write_usage(&answer.usage))
        .to_bytes()
}

fn write_message(answer: &Answer) -> Object<'_> {
    let (mut content, mut refusal, mut shown) = (String::new(), String::new(), String::new());
    let mut thinking: Vec<&Thinking> = Vec::new();
    let mut calls: Vec<&ToolCall> = Vec::new();
    for part in &answer.parts {
        match &part.content {
            Content::Text(text) => content.push_str(text),
            Content::Refusal(text) => refusal.push_str(text),
            Content::Thinking(thought) => {
                if let Thinking::Shown { text, .. } = thought {
                    shown.push_str(text);
                }
                thinking.push(thought);
            }
            Content::ToolCall(call) => calls.push(call),
            Content::Image(_) | Content::Document { .. } | Content::Audio { .. } | Content::ToolResult { .. } => {}
        }
    }
    let said = |text: String| (!text.is_empty()).then_some(text);
    let mut message = Object::new()
        .with("role", "assistant")
        .with("content", said(content))
        .with("refusal", said(refusal));
    message.put_some("reasoning_content", said(shown));
    message.put_list("reasoning_details", carried::details(thinking.iter().copied()));
    let thinking = thinking.into_iter().cloned().collect();
    message.put_list("tool_calls", write_calls(&calls, thinking));
    message
}

/// The first call's id carries the thinking, for the clients that send back ids only.
fn write_calls<'a>(calls: &[&'a ToolCall], thinking: Vec<Thinking>) -> Vec<Json<'a>> {
    let mut thinking = thinking;
    let write = |call: &&'a ToolCall| {
        let carried = Carried {
            thinking: std::mem::take(&mut thinking),
            signature: call.signature.clone(),
        };
        let arguments = if call.arguments.is_empty() {
            "{}"
        } else {
            &call.arguments
        };
        let function = Object::new().with("name", &call.name).with("arguments", arguments);
        let object = Object::new().with("id", carried.pack(&call.id));
        object.with("type", "function").with("function", function).into()
    };
    calls.iter().map(write).collect()
}

pub(super) const fn write_stop(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Pause => "stop",
        Stop::OutputCap => "length",
        Stop::ToolCalls => "tool_calls",
        Stop::Refusal => "content_filter",
    }
}
