//! What a call of OpenAI's responses asks for. Its input is a text or a list of items; an item's content is like a chat
//! message's. What stands on OpenAI's side (earlier answers, stored items) counts as a whole context window.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::call::{BodyError, CallShape, Spans};
use super::super::wire::Text;
use super::{
    Dialect, Messages, count, is_set, model_of, object_text, present, refusal, stream_of, tier_of, unreadable,
};
use crate::gateway::translate::inner::note;

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<Reasoning<'a>>,
    #[serde(borrow, default)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    background: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_cache_retention: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Reasoning<'a> {
    #[serde(borrow, default)]
    effort: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

/// Kinds of tools that the client runs.
const CLIENT_TOOLS: [&str; 8] = [
    "function",
    "custom",
    "local_shell",
    "shell",
    "apply_patch",
    "computer_use_preview",
    "namespace",
    "tool_search",
];

/// What a call without its hosted tools looks like.
pub struct Trimmed {
    pub body: Bytes,
    /// What was left out, as `tools.web_search`.
    pub left_out: Vec<String>,
}

/// The call without the tools that OpenAI runs, whose cost nobody knows beforehand: a tool that is offered and never
/// called changes no meaning. `None` where nothing else is offered, or where the call demands a tool.
pub fn without_hosted_tools(body: &Bytes, shape: &CallShape) -> Option<Trimmed> {
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(borrow, default)]
        tool_choice: Option<&'a RawValue>,
    }
    let place = shape.spans.tools.clone()?;
    let choice: Choice<'_> = serde_json::from_slice(body).ok()?;
    let is_free = choice
        .tool_choice
        .is_none_or(|choice| matches!(choice.get(), "\"auto\"" | "\"none\"" | "null"));
    let tools: Vec<&RawValue> = serde_json::from_slice(body.get(place.clone())?).ok()?;
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for raw in tools {
        let tool: Tool<'_> = serde_json::from_str(raw.get()).ok()?;
        let kind = tool.kind.map(|kind| kind.0.into_owned()).unwrap_or_default();
        if CLIENT_TOOLS.contains(&kind.as_str()) {
            kept.push(raw.get());
        } else {
            note(&mut left_out, format!("tools.{kind}"));
        }
    }
    if !is_free || kept.is_empty() || left_out.is_empty() {
        return None;
    }
    let mut trimmed = Vec::with_capacity(body.len());
    trimmed.extend_from_slice(&body[..place.start]);
    trimmed.extend_from_slice(format!("[{}]", kept.join(",")).as_bytes());
    trimmed.extend_from_slice(&body[place.end..]);
    Some(Trimmed {
        body: trimmed.into(),
        left_out,
    })
}

pub(super) fn inspect(body: &[u8]) -> Result<CallShape, BodyError> {
    let text = object_text(body)?;
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    if fields
        .background
        .is_some_and(|raw| !matches!(raw.get(), "false" | "null"))
    {
        let message = "`background` is not supported: an answer that nobody waits for cannot be billed when it is made";
        return Err(refusal(Some("background"), message));
    }
    let model = model_of(fields.model)?;
    let mut messages = fields.messages()?;
    messages.unmeasured_count += u64::from(is_set(fields.previous_response_id) || is_set(fields.conversation));
    let (tool_count, searches, unbounded) = fields.tools()?;
    let (tier, unknown_tier) = tier_of(fields.service_tier)?;
    let place = |raw: &RawValue| {
        let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
        start..start + raw.get().len()
    };
    let mut shape = CallShape::of(Dialect::Responses, model, body.len() as u64, messages);
    shape.stream = stream_of(fields.stream)?;
    shape.include_usage = true;
    shape.max_tokens = count("max_output_tokens", fields.max_output_tokens)?;
    shape.service_tier = tier;
    shape.tool_count = tool_count;
    shape.web_searches = searches;
    shape.may_think = fields.may_think();
    shape.long_cache = is_set(fields.prompt_cache_retention);
    shape.previous_response = fields.previous_response()?;
    shape.stored_conversation = is_set(fields.conversation);
    shape.unbounded = unbounded.or(unknown_tier).or(is_set(fields.prompt).then_some("prompt"));
    shape.spans = Spans {
        start: text.find('{').map_or(0, |brace| brace + 1),
        model: fields.model.map(place).unwrap_or_default(),
        max_tokens: fields.max_output_tokens.map(place),
        tools: fields.tools.map(place),
        ..Spans::default()
    };
    Ok(shape)
}

impl Fields<'_> {
    fn messages(&self) -> Result<Messages, BodyError> {
        let mut messages = Messages::default();
        let Some(raw) = self.input.filter(|raw| raw.get().starts_with('[')) else {
            messages.message_count = 1;
            return Ok(messages);
        };
        let unread = |error: &dyn std::fmt::Display| refusal(Some("input"), &format!("`input`: {error}"));
        let items: Vec<Item<'_>> = serde_json::from_str(raw.get()).map_err(|error| unread(&error))?;
        for item in &items {
            messages.message_count += 1;
            let is_reference = item.kind.as_ref().is_some_and(|kind| kind.0 == "item_reference");
            messages.unmeasured_count += u64::from(is_reference);
            for content in [item.content, item.output].into_iter().flatten() {
                messages
                    .count_content(content.get(), 0)
                    .map_err(|error| unread(&error))?;
            }
        }
        Ok(messages)
    }

    /// The number of tools, the searches they may run, and whether OpenAI runs tools whose cost nobody knows.
    fn tools(&self) -> Result<(u64, u64, Option<&'static str>), BodyError> {
        let Some(raw) = self.tools.filter(|raw| raw.get() != "null") else {
            return Ok((0, 0, None));
        };
        let refused = |_| refusal(Some("tools"), "`tools` must be an array of tools");
        let tools: Vec<Tool<'_>> = serde_json::from_str(raw.get()).map_err(refused)?;
        let most_calls = count("max_tool_calls", self.max_tool_calls)?;
        let (mut searches, mut unbounded) = (0, None);
        for tool in &tools {
            let kind = tool.kind.as_ref().map_or("", |kind| kind.0.as_ref());
            match most_calls.filter(|_| kind.starts_with("web_search")) {
                _ if CLIENT_TOOLS.contains(&kind) => {}
                Some(calls) => searches = calls,
                None => unbounded = Some("tools"),
            }
        }
        Ok((tools.len() as u64, searches, unbounded))
    }

    fn may_think(&self) -> bool {
        let effort = self.reasoning.as_ref().and_then(|reasoning| reasoning.effort.as_ref());
        effort.is_none_or(|effort| effort.0 != "none")
    }

    fn previous_response(&self) -> Result<Option<String>, BodyError> {
        let Some(raw) = self.previous_response_id.filter(|raw| raw.get() != "null") else {
            return Ok(None);
        };
        let id: Result<Text<'_>, _> = serde_json::from_str(raw.get());
        let name = "previous_response_id";
        id.map(|id| Some(id.0.into_owned()))
            .map_err(|_| refusal(Some(name), &format!("`{name}` must be a string")))
    }
}
