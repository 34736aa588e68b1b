//! What a call of Bedrock's Converse asks for. The model and whether to stream stand in the address. What the service
//! adds to the bill beside tokens (guardrails, faster machines), and members that go to the model unread, make a call's
//! cost unknowable.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::call::{BodyError, CallShape, Spans};
use super::super::wire::Text;
use super::{Dialect, Messages, count, is_set, object_text, present, refusal, unreadable};
use crate::domain::price::ServiceTier;
use crate::gateway::call::{Addressed, Streams};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default)]
    messages: Option<Vec<Message<'a>>>,
    #[serde(borrow, default)]
    system: Option<Vec<Block<'a>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    inference_config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(borrow, default)]
    additional_model_request_fields: Option<&'a RawValue>,
    #[serde(borrow, default)]
    guardrail_config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    performance_config: Option<Performance<'a>>,
    #[serde(borrow, default)]
    prompt_variables: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Tier<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<Block<'a>>>,
}

/// Only the members that hold something besides text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(borrow, default)]
    image: Option<Media<'a>>,
    #[serde(borrow, default)]
    audio: Option<Media<'a>>,
    #[serde(borrow, default)]
    document: Option<Media<'a>>,
    #[serde(borrow, default)]
    video: Option<Media<'a>>,
    #[serde(borrow, default)]
    tool_result: Option<Message<'a>>,
    #[serde(borrow, default)]
    cache_point: Option<CachePoint<'a>>,
}

#[derive(Deserialize)]
struct Media<'a> {
    #[serde(borrow, default)]
    source: Option<Source<'a>>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow, default)]
    bytes: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CachePoint<'a> {
    #[serde(borrow, default)]
    ttl: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ToolConfig<'a> {
    #[serde(borrow, default)]
    tools: Option<Vec<BTreeMap<String, &'a RawValue>>>,
}

#[derive(Deserialize)]
struct Performance<'a> {
    #[serde(borrow, default)]
    latency: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Tier<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    max_tokens: Option<&'a RawValue>,
}

/// Members of `additionalModelRequestFields` that add nothing to the bill beside tokens under the cap.
const HARMLESS_FIELDS: [&str; 8] = [
    "thinking",
    "reasoning_config",
    "reasoning_effort",
    "reasoningConfig",
    "output_config",
    "top_k",
    "anthropic_beta",
    "tool_choice",
];

pub(super) fn inspect(body: &[u8], addressed: &Addressed) -> Result<CallShape, BodyError> {
    let text = object_text(body)?;
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let config = match fields.inference_config.filter(|raw| raw.get() != "null") {
        None => Config::default(),
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|_| refusal(Some("inferenceConfig"), "`inferenceConfig` must be an object"))?,
    };
    let mut counted = Counted::default();
    for block in fields.system.iter().flatten() {
        counted.add(block, 0);
    }
    for message in fields.messages.iter().flatten() {
        counted.messages.message_count += 1;
        message.content.iter().flatten().for_each(|block| counted.add(block, 0));
    }
    let (tier, unknown_tier) = fields.tier();
    let place = |raw: &RawValue| {
        let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
        start..start + raw.get().len()
    };
    let size_bytes = body.len() as u64;
    let mut shape = CallShape::of(Dialect::Bedrock, addressed.model.clone(), size_bytes, counted.messages);
    shape.stream = addressed.streams == Streams::Yes;
    shape.include_usage = true;
    shape.max_tokens = count("maxTokens", config.max_tokens)?;
    shape.service_tier = tier;
    shape.tool_count = fields.tool_count();
    shape.may_think = fields.may_think();
    shape.long_cache = counted.long_cache;
    shape.unbounded = fields.unbounded()?.or(unknown_tier);
    shape.spans = Spans {
        start: text.find('{').map_or(0, |brace| brace + 1),
        max_tokens: config.max_tokens.map(place),
        cap_home: fields.inference_config.map(place),
        ..Spans::default()
    };
    Ok(shape)
}

#[derive(Default)]
struct Counted {
    messages: Messages,
    long_cache: bool,
}

impl Counted {
    /// A tool's result holds blocks of its own, one level down.
    fn add(&mut self, block: &Block<'_>, depth: usize) {
        let messages = &mut self.messages;
        if let Some(image) = &block.image {
            match image.inline_bytes() {
                Some(bytes) => {
                    (messages.image_count, messages.inline_bytes) =
                        (messages.image_count + 1, messages.inline_bytes + bytes)
                }
                None => messages.unmeasured_count += 1,
            }
        }
        if let Some(audio) = &block.audio {
            match audio.inline_bytes() {
                Some(bytes) => {
                    (messages.audio_bytes, messages.inline_bytes) =
                        (messages.audio_bytes + bytes, messages.inline_bytes + bytes)
                }
                None => messages.unmeasured_count += 1,
            }
        }
        for file in [&block.document, &block.video].into_iter().flatten() {
            messages.inline_bytes += file.inline_bytes().unwrap_or(0);
            let is_text = file.source.as_ref().is_some_and(|source| source.text.is_some());
            messages.unmeasured_count += u64::from(!is_text);
        }
        if let Some(point) = &block.cache_point {
            self.long_cache |= point.ttl.as_ref().is_some_and(|ttl| ttl.0 != "5m");
        }
        if let (Some(result), 0) = (&block.tool_result, depth) {
            result.content.iter().flatten().for_each(|block| self.add(block, 1));
        }
    }
}

impl Media<'_> {
    fn inline_bytes(&self) -> Option<u64> {
        let bytes = self.source.as_ref()?.bytes?;
        Some(bytes.get().len() as u64)
    }
}

impl Fields<'_> {
    fn tool_count(&self) -> u64 {
        let tools = self.tool_config.as_ref().and_then(|config| config.tools.as_ref());
        tools.map_or(0, |tools| tools.len() as u64)
    }

    /// Tools that the service runs bill what nobody knows beforehand.
    fn runs_tools(&self) -> bool {
        let tools = self.tool_config.as_ref().and_then(|config| config.tools.as_ref());
        let names = tools.into_iter().flatten().flat_map(BTreeMap::keys);
        names
            .into_iter()
            .any(|name| !matches!(name.as_str(), "toolSpec" | "cachePoint"))
    }

    fn tier(&self) -> (ServiceTier, Option<&'static str>) {
        let word = self.service_tier.as_ref().and_then(|tier| tier.kind.as_ref());
        match word {
            None => (ServiceTier::Standard, None),
            Some(word) => {
                super::service_tier(&word.0).map_or((ServiceTier::Standard, Some("serviceTier")), |tier| (tier, None))
            }
        }
    }

    fn additional(&self) -> Result<BTreeMap<String, &RawValue>, BodyError> {
        let Some(raw) = self.additional_model_request_fields.filter(|raw| raw.get() != "null") else {
            return Ok(BTreeMap::new());
        };
        let name = "additionalModelRequestFields";
        serde_json::from_str(raw.get()).map_err(|_| refusal(Some(name), &format!("`{name}` must be an object")))
    }

    fn may_think(&self) -> bool {
        is_set(self.additional_model_request_fields)
    }

    fn unbounded(&self) -> Result<Option<&'static str>, BodyError> {
        let harmless = |name: &String| HARMLESS_FIELDS.contains(&name.as_str());
        let latency = self
            .performance_config
            .as_ref()
            .and_then(|config| config.latency.as_ref());
        let found = [
            ("additionalModelRequestFields", !self.additional()?.keys().all(harmless)),
            ("guardrailConfig", is_set(self.guardrail_config)),
            (
                "performanceConfig",
                latency.is_some_and(|latency| latency.0 != "standard"),
            ),
            ("promptVariables", is_set(self.prompt_variables)),
            ("toolConfig", self.runs_tools()),
        ];
        Ok(found.into_iter().find(|(_, is_set)| *is_set).map(|(name, _)| name))
    }
}
