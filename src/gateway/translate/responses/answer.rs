//! Whole answers of responses, read and written.

use serde::Deserialize;

use super::items::{Call, Progress, function_call, message, reasoning, refusal_part, response_id, text_part};
use super::usage::{WireUsage, write_usage};
use crate::gateway::translate::inner::{Answer, Content, Part, Stop, Thinking, ToolCall};
use crate::gateway::translate::issuer::of_openai;
use crate::gateway::translate::json::{Json, Object};

/// An answer; streams have it inside their first and last events.
#[derive(Deserialize)]
pub(super) struct Wire {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) incomplete_details: Option<Incomplete>,
    #[serde(default)]
    pub(super) error: Option<Failure>,
    #[serde(default)]
    output: Option<Vec<Item>>,
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
}

#[derive(Deserialize)]
pub(super) struct Incomplete {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Failure {
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) message: String,
}

/// An item; which members it has depends on its type.
#[derive(Deserialize)]
pub(super) struct Item {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) call_id: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) arguments: Option<String>,
    #[serde(default)]
    pub(super) encrypted_content: Option<String>,
    #[serde(default)]
    content: Option<Vec<Piece>>,
    #[serde(default)]
    summary: Option<Vec<Piece>>,
}

#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

pub fn read_answer(body: &[u8]) -> Option<Answer> {
    let wire: Wire = serde_json::from_slice(body).ok()?;
    if wire.error.is_some() || wire.status.as_deref() == Some("failed") {
        return None;
    }
    let reason = wire.stop_reason();
    let mut parts = Vec::new();
    for item in wire.output? {
        read_item(item, &mut parts);
    }
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    Some(Answer {
        id: wire.id,
        model: wire.model,
        stop: read_stop(reason.as_deref(), calls.then_some(Stop::ToolCalls)),
        parts,
        usage: wire.usage.and_then(WireUsage::read).unwrap_or_default(),
    })
}

impl Wire {
    /// Why the answer is not whole.
    pub(super) fn stop_reason(&self) -> Option<String> {
        self.incomplete_details.as_ref()?.reason.clone()
    }
}

pub(super) fn read_stop(incomplete: Option<&str>, otherwise: Option<Stop>) -> Stop {
    match incomplete {
        Some("content_filter") => Stop::Refusal,
        Some(_) => Stop::OutputCap,
        None => otherwise.unwrap_or(Stop::End),
    }
}

/// Items of tools that OpenAI ran are left out: nobody can have asked for them.
fn read_item(item: Item, parts: &mut Vec<Part>) {
    match item.kind.as_str() {
        "message" => {
            for piece in item.content.unwrap_or_default() {
                parts.extend(piece.text.map(Part::text));
                parts.extend(piece.refusal.map(|text| Part::of(Content::Refusal(text))));
            }
        }
        "function_call" => {
            let (Some(id), Some(name)) = (item.call_id, item.name) else {
                return;
            };
            parts.push(Part::of(Content::ToolCall(ToolCall {
                id,
                name,
                arguments: item.arguments.unwrap_or_default(),
                signature: None,
            })));
        }
        "reasoning" => {
            let told = item.summary.into_iter().chain(item.content).flatten();
            let text: Vec<String> = told.filter_map(|piece| piece.text).collect();
            let text = text.join("\n\n");
            if !text.is_empty() {
                parts.push(Part::of(Content::Thinking(Thinking::Shown { text, signature: None })));
            }
            let encrypted = item.encrypted_content.as_deref().map(of_openai);
            parts.extend(encrypted.map(|hidden| Part::of(Content::Thinking(hidden))));
        }
        _ => {}
    }
}

pub fn write_answer(answer: &Answer, created_s: u64) -> Vec<u8> {
    let ids: Vec<String> = (0..answer.parts.len())
        .map(|index| format!("{}_{index}", answer.id))
        .collect();
    let output: Vec<Json<'_>> = answer
        .parts
        .iter()
        .zip(&ids)
        .filter_map(|(part, id)| write_item(part, id))
        .collect();
    Response {
        id: &response_id(&answer.id),
        model: &answer.model,
        created_s,
    }
    .write(output, State::of(&answer.stop), Some(write_usage(&answer.usage)))
    .to_bytes()
}

fn write_item<'a>(part: &'a Part, id: &'a str) -> Option<Json<'a>> {
    let item = match &part.content {
        Content::Text(text) => message(id, Some(text_part(text)), Progress::Done),
        Content::Refusal(text) => message(id, Some(refusal_part(text)), Progress::Done),
        Content::Thinking(thinking) => reasoning(id, thinking),
        Content::ToolCall(call) => {
            let call = Call {
                id: &call.id,
                name: &call.name,
                arguments: if call.arguments.is_empty() {
                    "{}"
                } else {
                    &call.arguments
                },
                signature: call.signature.as_ref(),
            };
            function_call(id, &call, Progress::Done)
        }
        Content::Image(_) | Content::Document { .. } | Content::Audio { .. } | Content::ToolResult { .. } => {
            return None;
        }
    };
    Some(item.into())
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    InProgress,
    Completed,
    Incomplete(&'static str),
}

impl State {
    pub(super) const fn of(stop: &Stop) -> Self {
        match stop {
            Stop::End | Stop::Sequence(_) | Stop::ToolCalls | Stop::Pause => Self::Completed,
            Stop::OutputCap => Self::Incomplete("max_output_tokens"),
            Stop::Refusal => Self::Incomplete("content_filter"),
        }
    }
}

/// What all forms of one answer have in common.
pub(super) struct Response<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    pub(super) created_s: u64,
}

impl<'a> Response<'a> {
    /// Clients want every member, null where there is nothing to tell.
    pub(super) fn write(&self, output: Vec<Json<'a>>, state: State, usage: Option<Object<'a>>) -> Object<'a> {
        let (status, reason) = match state {
            State::InProgress => ("in_progress", None),
            State::Completed => ("completed", None),
            State::Incomplete(reason) => ("incomplete", Some(Object::new().with("reason", reason))),
        };
        Object::new()
            .with("id", self.id)
            .with("object", "response")
            .with("created_at", self.created_s)
            .with("status", status)
            .with("background", false)
            .with("error", Json::Null)
            .with("incomplete_details", reason)
            .with("instructions", Json::Null)
            .with("metadata", Object::new())
            .with("model", self.model)
            .with("output", output)
            .with("parallel_tool_calls", true)
            .with("previous_response_id", Json::Null)
            .with("store", false)
            .with("temperature", Json::Null)
            .with("tool_choice", "auto")
            .with("tools", Vec::new())
            .with("top_p", Json::Null)
            .with("truncation", "disabled")
            .with("usage", usage)
    }
}
