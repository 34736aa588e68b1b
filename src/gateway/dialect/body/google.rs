//! What a call of Google's generateContent asks for. Members are known by both spellings that Google takes. The model
//! and whether to stream stand in the address.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::call::{BodyError, CallShape, Spans};
use super::super::wire::Text;
use super::{Dialect, Messages, count, is_set, object_text, present, refusal, unreadable};
use crate::domain::price::ServiceTier;
use crate::gateway::call::{Addressed, Streams};

/// What the images of an answer come to at most, should the cap on output not hold for them: the largest is 2,520 tokens.
const IMAGE_TOKENS: u64 = 16_384;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default)]
    contents: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "system_instruction")]
    system_instruction: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "generation_config", deserialize_with = "present")]
    generation_config: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "cached_content")]
    cached_content: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "service_tier")]
    service_tier: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(borrow, default, alias = "max_output_tokens", deserialize_with = "present")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "candidate_count")]
    candidate_count: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "thinking_config")]
    thinking_config: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "response_modalities")]
    response_modalities: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<&'a RawValue>,
}

/// Only the members that hold something besides text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow, default, alias = "inline_data")]
    inline_data: Option<Blob<'a>>,
    #[serde(borrow, default, alias = "file_data")]
    file_data: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "function_response")]
    function_response: Option<Content<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    #[serde(borrow, default, alias = "mime_type")]
    mime_type: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    #[serde(default, alias = "thinking_budget")]
    thinking_budget: Option<i64>,
}

pub(super) fn inspect(body: &[u8], addressed: &Addressed) -> Result<CallShape, BodyError> {
    let text = object_text(body)?;
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let config = fields.config()?;
    let mut messages = Messages::default();
    for (name, raw) in [
        ("contents", fields.contents),
        ("systemInstruction", fields.system_instruction),
    ] {
        read_contents(name, raw, &mut messages)?;
    }
    messages.unmeasured_count += u64::from(is_set(fields.cached_content));
    let (tool_count, unbounded) = fields.tools()?;
    let modalities = config
        .response_modalities
        .map_or("", RawValue::get)
        .to_ascii_uppercase();
    let unknown_tier = fields
        .service_tier
        .as_ref()
        .is_some_and(|tier| tier_of(&tier.0).is_none());
    let unbounded = unbounded.or(unknown_tier.then_some("serviceTier"));
    let place = |raw: &RawValue| {
        let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
        start..start + raw.get().len()
    };
    let mut shape = CallShape::of(Dialect::Google, addressed.model.clone(), body.len() as u64, messages);
    shape.stream = addressed.streams == Streams::Yes;
    shape.include_usage = true;
    shape.max_tokens = count("maxOutputTokens", config.max_output_tokens)?;
    shape.choice_count = count("candidateCount", config.candidate_count)?.unwrap_or(1).max(1);
    shape.service_tier = fields
        .service_tier
        .and_then(|tier| tier_of(&tier.0))
        .unwrap_or_default();
    shape.tool_count = tool_count;
    shape.may_think = config.may_think();
    shape.audio_output = modalities.contains("\"AUDIO\"");
    if modalities.contains("\"IMAGE\"") {
        shape.predicted_tokens = IMAGE_TOKENS;
    }
    shape.unbounded = unbounded;
    shape.spans = Spans {
        start: text.find('{').map_or(0, |brace| brace + 1),
        max_tokens: config.max_output_tokens.map(place),
        cap_home: fields.generation_config.map(place),
        ..Spans::default()
    };
    Ok(shape)
}

impl<'a> Fields<'a> {
    fn config(&self) -> Result<Config<'a>, BodyError> {
        match self.generation_config.filter(|raw| raw.get() != "null") {
            None => Ok(Config::default()),
            Some(raw) if raw.get().starts_with('{') => {
                serde_json::from_str(raw.get()).map_err(|error| unreadable(&error))
            }
            Some(_) => Err(refusal(
                Some("generationConfig"),
                "`generationConfig` must be an object",
            )),
        }
    }

    /// How many functions there are, and whether there are tools that Google runs, whose cost nobody knows beforehand.
    fn tools(&self) -> Result<(u64, Option<&'static str>), BodyError> {
        let Some(raw) = self.tools.filter(|raw| raw.get() != "null") else {
            return Ok((0, None));
        };
        let refused = |_| refusal(Some("tools"), "`tools` must be a list of tools");
        let tools: Vec<std::collections::BTreeMap<String, &RawValue>> = listed(raw).map_err(refused)?;
        let (mut functions, mut unbounded) = (0, None);
        for (name, raw) in tools.iter().flatten() {
            match name.as_str() {
                "functionDeclarations" | "function_declarations" => {
                    let declared: Vec<serde::de::IgnoredAny> = listed(raw).map_err(refused)?;
                    functions += declared.len() as u64;
                }
                "computerUse" | "computer_use" => functions += 1,
                _ => unbounded = Some("tools"),
            }
        }
        Ok((functions, unbounded))
    }
}

impl Config<'_> {
    /// Models that can think do so unless their budget is zero.
    fn may_think(&self) -> bool {
        let budget = self.thinking_config.and_then(|raw| {
            let config: ThinkingConfig = serde_json::from_str(raw.get()).ok()?;
            config.thinking_budget
        });
        budget != Some(0)
    }
}

/// A list, or one thing where a list of one is meant.
fn listed<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> serde_json::Result<Vec<T>> {
    if raw.get().starts_with('{') {
        return Ok(vec![serde_json::from_str(raw.get())?]);
    }
    serde_json::from_str(raw.get())
}

fn read_contents(name: &str, raw: Option<&RawValue>, messages: &mut Messages) -> Result<(), BodyError> {
    let Some(raw) = raw.filter(|raw| raw.get().starts_with(['[', '{'])) else {
        return Ok(());
    };
    let unread = |error: serde_json::Error| refusal(Some(name), &format!("`{name}`: {error}"));
    let contents: Vec<Content<'_>> = listed(raw).map_err(unread)?;
    for content in &contents {
        messages.message_count += 1;
        count_parts(content, messages, 0).map_err(unread)?;
    }
    Ok(())
}

/// Parts stand in a function's response too, one level down.
fn count_parts(content: &Content<'_>, messages: &mut Messages, depth: usize) -> serde_json::Result<()> {
    let Some(raw) = content.parts.filter(|raw| raw.get().starts_with(['[', '{'])) else {
        return Ok(());
    };
    let parts: Vec<Part<'_>> = listed(raw)?;
    for part in &parts {
        messages.unmeasured_count += u64::from(is_set(part.file_data));
        if let Some(blob) = &part.inline_data {
            count_blob(blob, messages);
        }
        match &part.function_response {
            Some(inner) if depth == 0 => count_parts(inner, messages, 1)?,
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn count_blob(blob: &Blob<'_>, messages: &mut Messages) {
    let size_bytes = blob.data.map_or(0, |data| data.get().len() as u64);
    messages.inline_bytes += size_bytes;
    match blob.mime_type.as_ref().map_or("", |kind| kind.0.as_ref()) {
        kind if kind.starts_with("image/") => messages.image_count += 1,
        kind if kind.starts_with("audio/") => messages.audio_bytes += size_bytes,
        _ => messages.unmeasured_count += 1,
    }
}

fn tier_of(word: &str) -> Option<ServiceTier> {
    super::service_tier(&word.to_ascii_lowercase()).or((word == "unspecified").then_some(ServiceTier::Standard))
}
