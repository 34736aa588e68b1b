//! Whole answers of generateContent, read and written.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::contents::MADE_ID;
use super::signature::{wrap_hidden, wrap_signature};
use super::usage::{WireUsage, write_usage};
use crate::gateway::translate::arguments;
use crate::gateway::translate::inner::{Answer, Content, Part, Source, Stop, Thinking, ToolCall};
use crate::gateway::translate::json::{Json, Object};

/// An answer, or one event of a stream.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire<'a> {
    #[serde(borrow, default)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(default)]
    pub(super) prompt_feedback: Option<Feedback>,
    #[serde(borrow, default)]
    pub(super) usage_metadata: Option<WireUsage<'a>>,
    #[serde(default)]
    pub(super) model_version: Option<String>,
    #[serde(default)]
    pub(super) response_id: Option<String>,
    #[serde(default)]
    pub(super) error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(borrow, default)]
    content: Option<WireContent<'a>>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireContent<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<WirePart<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feedback {
    #[serde(default)]
    pub(super) block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WirePart<'a> {
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) thought: Option<bool>,
    #[serde(default)]
    pub(super) thought_signature: Option<String>,
    #[serde(borrow, default)]
    pub(super) function_call: Option<WireCall<'a>>,
    #[serde(default)]
    inline_data: Option<Blob>,
}

#[derive(Deserialize)]
pub(super) struct WireCall<'a> {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    mime_type: String,
    data: String,
}

/// Names the calls that Google gave no id: by the answer's id, so that no two calls of a conversation have the same.
#[derive(Debug, Default)]
pub(super) struct CallIds {
    count: usize,
}

impl CallIds {
    pub(super) fn call(&mut self, call: WireCall<'_>, signature: Option<String>, answer_id: &str) -> ToolCall {
        self.count += 1;
        let id = call.id.filter(|id| !id.is_empty());
        ToolCall {
            id: id.unwrap_or_else(|| format!("{MADE_ID}{answer_id}_{}", self.count)),
            name: call.name,
            arguments: call.args.map_or("{}", RawValue::get).to_owned(),
            signature,
        }
    }

    pub(super) const fn any(&self) -> bool {
        self.count > 0
    }
}

impl<'a> Wire<'a> {
    /// The parts of the first candidate, and why it stopped. No other dialect asks for more than one.
    pub(super) fn first(self) -> (Vec<WirePart<'a>>, Option<String>) {
        let Some(candidate) = self.candidates.and_then(|candidates| candidates.into_iter().next()) else {
            return (Vec::new(), None);
        };
        let parts = candidate.content.and_then(|content| content.parts);
        (parts.unwrap_or_default(), candidate.finish_reason)
    }

    pub(super) fn block_reason(&self) -> Option<String> {
        self.prompt_feedback.as_ref()?.block_reason.clone()
    }
}

pub fn read_answer(body: &[u8]) -> Option<Answer> {
    let mut wire: Wire<'_> = serde_json::from_slice(body).ok()?;
    let blocked = wire.block_reason();
    if wire.error.is_some() || (wire.candidates.is_none() && blocked.is_none() && wire.usage_metadata.is_none()) {
        return None;
    }
    let usage = wire
        .usage_metadata
        .as_ref()
        .and_then(WireUsage::read)
        .unwrap_or_default();
    let id = wire.response_id.take().unwrap_or_default();
    let model = wire.model_version.take().unwrap_or_default();
    let (parts, reason) = wire.first();
    let mut ids = CallIds::default();
    let mut parts: Vec<Part> = parts
        .into_iter()
        .filter_map(|part| read_part(part, &id, &mut ids))
        .collect();
    let stop = match blocked {
        Some(reason) if parts.is_empty() => {
            parts.push(Part::of(Content::Refusal(blocked_text(&reason))));
            Stop::Refusal
        }
        _ => read_stop(reason.as_deref(), &ids),
    };
    Some(Answer {
        id,
        model,
        parts,
        stop,
        usage,
    })
}

pub(super) fn blocked_text(reason: &str) -> String {
    format!("The provider blocked the prompt: {reason}")
}

/// Parts of a kind that nobody can have asked for (code that Google ran) are left out.
fn read_part(part: WirePart<'_>, answer_id: &str, ids: &mut CallIds) -> Option<Part> {
    let content = match (part.function_call, part.text, part.inline_data) {
        (Some(call), _, _) => Content::ToolCall(ids.call(call, part.thought_signature, answer_id)),
        (None, Some(text), _) if part.thought == Some(true) => {
            Content::Thinking(Thinking::Shown { text, signature: None })
        }
        (None, Some(text), _) if !text.is_empty() => Content::Text(text),
        (None, None, Some(blob)) => Content::Image(Source::Inline {
            media_type: blob.mime_type,
            data: blob.data,
        }),
        (None, _, _) => return None,
    };
    Some(Part::of(content))
}

/// What Google calls a plain stop is one for tools, too.
pub(super) fn read_stop(reason: Option<&str>, ids: &CallIds) -> Stop {
    match reason {
        Some("MAX_TOKENS") => Stop::OutputCap,
        Some(
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "MODEL_ARMOR"
            | "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL",
        ) => Stop::Refusal,
        Some(_) | None if ids.any() => Stop::ToolCalls,
        Some(_) | None => Stop::End,
    }
}

pub fn write_answer(answer: &Answer, _created_s: u64) -> Vec<u8> {
    let mut parts: Vec<Json<'_>> = answer.parts.iter().filter_map(write_part).collect();
    if parts.is_empty() {
        parts.push(Object::new().with("text", "").into());
    }
    let candidate = write_candidate(parts, Some(write_stop(&answer.stop)));
    write_wire(candidate, Some(write_usage(&answer.usage)), &answer.model, &answer.id).to_bytes()
}

pub(super) fn write_candidate<'a>(parts: Vec<Json<'a>>, finish_reason: Option<&'a str>) -> Object<'a> {
    let content = Object::new().with("parts", parts).with("role", "model");
    let mut candidate = Object::new().with("content", content);
    candidate.put_some("finishReason", finish_reason);
    candidate.with("index", 0)
}

pub(super) fn write_wire<'a>(
    candidate: Object<'a>,
    usage: Option<Object<'a>>,
    model: &'a str,
    id: &'a str,
) -> Object<'a> {
    let mut wire = Object::new().with("candidates", vec![candidate.into()]);
    wire.put_some("usageMetadata", usage);
    wire.with("modelVersion", model).with("responseId", id)
}

fn write_part(part: &Part) -> Option<Json<'_>> {
    let written = match &part.content {
        Content::Text(text) | Content::Refusal(text) => Object::new().with("text", text),
        Content::Thinking(Thinking::Shown { text, signature }) => {
            let mut thought = Object::new().with("text", text).with("thought", true);
            thought.put_some("thoughtSignature", signature.as_deref().map(wrap_signature));
            thought
        }
        Content::Thinking(Thinking::Hidden { data }) => write_hidden(data),
        Content::ToolCall(call) => write_call(call),
        Content::Image(Source::Inline { media_type, data }) => {
            let blob = Object::new().with("mimeType", media_type).with("data", data);
            Object::new().with("inlineData", blob)
        }
        Content::Image(Source::Url(_) | Source::Text(_))
        | Content::Document { .. }
        | Content::Audio { .. }
        | Content::ToolResult { .. } => return None,
    };
    Some(written.into())
}

pub(super) fn write_hidden(data: &str) -> Object<'static> {
    let thought = Object::new().with("text", "").with("thought", true);
    thought.with("thoughtSignature", wrap_hidden(data))
}

pub(super) fn write_call(call: &ToolCall) -> Object<'_> {
    let written = Object::new()
        .with("id", &call.id)
        .with("name", Json::Text(Cow::Borrowed(&call.name)))
        .with("args", arguments::object_or_text(&call.arguments));
    let mut part = Object::new().with("functionCall", written);
    part.put_some("thoughtSignature", call.signature.as_ref());
    part
}

pub(super) fn write_stop(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::ToolCalls | Stop::Pause => "STOP",
        Stop::OutputCap => "MAX_TOKENS",
        Stop::Refusal => "SAFETY",
    }
}
