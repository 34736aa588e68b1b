//! Reads a call's body in one pass: the members that decide what it costs, as raw values with their places. Each may
//! stand there once only, since readers differ in which of two they take, and each is checked by its own small reader
//! that names the member it refuses. All other members pass unread.

mod bedrock;
mod google;
mod responses;

pub use responses::without_hosted_tools;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::call::{BodyError, CallShape, Spans};
use super::media::Messages;
use super::wire::Text;
use super::{Dialect, service_tier};
use crate::domain::price::ServiceTier;
use crate::gateway::call::Addressed;

/// Reads what a call asks for. What the address says of it is needed in the dialects that leave the model to it.
pub fn inspect(dialect: Dialect, body: &[u8], addressed: Option<&Addressed>) -> Result<CallShape, BodyError> {
    let unaddressed = || refusal(Some("model"), "the address must name a model");
    match dialect {
        Dialect::OpenAi | Dialect::Anthropic => inspect_chat(dialect, body),
        Dialect::Google => google::inspect(body, addressed.ok_or_else(unaddressed)?),
        Dialect::Bedrock => bedrock::inspect(body, addressed.ok_or_else(unaddressed)?),
        Dialect::Responses => responses::inspect(body),
    }
}

/// The text of a body that is a JSON object, as far as its first byte tells.
fn object_text(body: &[u8]) -> Result<&str, BodyError> {
    let text = std::str::from_utf8(body).map_err(|_| refusal(None, "the body is not UTF-8"))?;
    if !text.trim_ascii_start().starts_with('{') && !text.trim_ascii().is_empty() {
        return Err(refusal(None, "the body is invalid: it must be a JSON object"));
    }
    Ok(text)
}

/// OpenAI's chat and Anthropic's messages; an embeddings call is read as OpenAI's.
fn inspect_chat(dialect: Dialect, body: &[u8]) -> Result<CallShape, BodyError> {
    let text = object_text(body)?;
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let model = model_of(fields.model)?;
    let options = fields.stream_options()?;
    let tools = fields.tools()?;
    let messages = fields.messages.unwrap_or_default();
    let (tier, unknown_tier) = tier_of(fields.service_tier)?;
    Ok(CallShape {
        dialect,
        model,
        stream: stream_of(fields.stream)?,
        include_usage: options.include_usage.is_some_and(|value| value.get() == "true"),
        max_tokens: count("max_tokens", fields.max_tokens)?,
        max_completion_tokens: count("max_completion_tokens", fields.max_completion_tokens)?,
        choice_count: fields.choice_count()?,
        service_tier: tier,
        message_count: messages.message_count,
        tool_count: tools.count,
        text_bytes: (body.len() as u64).saturating_sub(messages.inline_bytes),
        image_count: messages.image_count,
        audio_bytes: messages.audio_bytes,
        unmeasured_count: messages.unmeasured_count,
        web_searches: tools.web_searches,
        may_think: fields.may_think(dialect),
        long_cache: fields.keeps_cache_long(dialect, text),
        audio_output: is_set(fields.audio),
        predicted_tokens: fields.prediction.map_or(0, |value| value.get().len() as u64),
        previous_response: None,
        stored_conversation: false,
        unbounded: tools.unbounded.or(unknown_tier).or_else(|| fields.unbounded()),
        spans: fields.spans(text, options.include_usage),
    })
}

/// The members of a body that are read; all others pass unread.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    n: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    tools: Option<&'a RawValue>,
    #[serde(default)]
    messages: Option<Messages>,
    #[serde(borrow, default)]
    best_of: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prediction: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_cache_retention: Option<&'a RawValue>,
    #[serde(borrow, default)]
    web_search_options: Option<&'a RawValue>,
    #[serde(borrow, default)]
    search_parameters: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_effort: Option<&'a RawValue>,
    #[serde(borrow, default)]
    mcp_servers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    container: Option<&'a RawValue>,
    #[serde(borrow, default)]
    inference_geo: Option<&'a RawValue>,
    #[serde(borrow, default)]
    speed: Option<&'a RawValue>,
}

/// Keeps an explicit null apart from a missing member, because a null has a place to be replaced.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Default, Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    include_usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    max_uses: Option<u64>,
}

#[derive(Deserialize)]
struct Thinking<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Default)]
struct Tools {
    count: u64,
    web_searches: u64,
    unbounded: Option<&'static str>,
}

/// Kinds of tools that the client runs, so that they cost their tokens only; the versioned ones by their start.
const CLIENT_TOOLS: [&str; 3] = ["", "function", "custom"];
const CLIENT_TOOL_STARTS: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];

impl Tools {
    fn add(&mut self, tool: &Tool<'_>) {
        self.count += 1;
        let kind = tool.kind.as_ref().map_or("", |kind| kind.0.as_ref());
        if CLIENT_TOOLS.contains(&kind) || CLIENT_TOOL_STARTS.iter().any(|start| kind.starts_with(start)) {
            return;
        }
        match tool.max_uses.filter(|_| kind.starts_with("web_search_")) {
            Some(uses) => self.web_searches = self.web_searches.saturating_add(uses),
            None => self.unbounded = Some("tools"),
        }
    }
}

impl<'a> Fields<'a> {
    /// Answers that are made side by side: `n` or `best_of` for each prompt of the older completions.
    fn choice_count(&self) -> Result<u64, BodyError> {
        let most = count("n", self.n)?.max(count("best_of", self.best_of)?);
        Ok(most.unwrap_or(1).max(1).saturating_mul(self.prompt_count()))
    }

    /// A list of texts, or of lists of tokens, is as many prompts; a list of tokens is one.
    fn prompt_count(&self) -> u64 {
        let Some(list) = self.prompt.and_then(|raw| raw.get().strip_prefix('[')) else {
            return 1;
        };
        let several = list.trim_start().starts_with(['"', '[']);
        let items: Result<Vec<serde::de::IgnoredAny>, _> =
            serde_json::from_str(self.prompt.map_or("[]", RawValue::get));
        items.map_or(1, |items| if several { items.len().max(1) as u64 } else { 1 })
    }

    fn stream_options(&self) -> Result<StreamOptions<'a>, BodyError> {
        let Some(raw) = self.stream_options.filter(|raw| raw.get() != "null") else {
            return Ok(StreamOptions::default());
        };
        let message = "`stream_options` must be an object with `include_usage` at most once";
        let refused = || refusal(Some("stream_options"), message);
        let object = Some(raw.get())
            .filter(|text| text.starts_with('{'))
            .ok_or_else(refused)?;
        serde_json::from_str(object).map_err(|_| refused())
    }

    fn tools(&self) -> Result<Tools, BodyError> {
        let mut tools = Tools::default();
        if let Some(raw) = self.tools.filter(|raw| raw.get() != "null") {
            let list: Vec<Tool<'_>> = serde_json::from_str(raw.get())
                .map_err(|_| refusal(Some("tools"), "`tools` must be an array of tools"))?;
            list.iter().for_each(|tool| tools.add(tool));
        }
        Ok(tools)
    }

    fn keeps_cache_long(&self, dialect: Dialect, text: &str) -> bool {
        match dialect {
            Dialect::Anthropic => text.contains("\"1h\""),
            Dialect::OpenAi | Dialect::Google | Dialect::Bedrock | Dialect::Responses => {
                is_set(self.prompt_cache_retention)
            }
        }
    }

    /// Anthropic's models think where they are asked to, OpenAI's unless they are asked not to.
    fn may_think(&self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::OpenAi | Dialect::Google | Dialect::Bedrock | Dialect::Responses => {
                self.reasoning_effort.is_none_or(|effort| effort.get() != "\"none\"")
            }
            Dialect::Anthropic => self.thinking.filter(|raw| raw.get() != "null").is_some_and(|raw| {
                let thinking: Result<Thinking<'_>, _> = serde_json::from_str(raw.get());
                thinking.map_or(true, |thinking| thinking.kind.is_none_or(|kind| kind.0 != "disabled"))
            }),
        }
    }

    fn unbounded(&self) -> Option<&'static str> {
        let fields = [
            ("web_search_options", self.web_search_options),
            ("search_parameters", self.search_parameters),
            ("mcp_servers", self.mcp_servers.filter(|raw| raw.get() != "[]")),
            ("container", self.container),
            (
                "inference_geo",
                self.inference_geo.filter(|raw| raw.get() != "\"global\""),
            ),
            ("speed", self.speed.filter(|raw| raw.get() != "\"standard\"")),
        ];
        fields
            .into_iter()
            .find(|(_, value)| is_set(*value))
            .map(|(name, _)| name)
    }

    fn spans(&self, body: &str, include_usage: Option<&RawValue>) -> Spans {
        let span = |raw: &RawValue| {
            let start = raw.get().as_ptr().addr() - body.as_ptr().addr();
            start..start + raw.get().len()
        };
        Spans {
            start: body.find('{').map_or(0, |brace| brace + 1),
            cap_home: None,
            tools: None,
            model: self.model.map(span).unwrap_or_default(),
            max_tokens: self.max_tokens.map(span),
            max_completion_tokens: self.max_completion_tokens.map(span),
            stream_options: self.stream_options.map(span),
            include_usage: include_usage.map(span),
        }
    }
}

fn model_of(raw: Option<&RawValue>) -> Result<String, BodyError> {
    let raw = raw.ok_or_else(|| refusal(Some("model"), "`model` is required"))?;
    let Text(model) =
        serde_json::from_str(raw.get()).map_err(|_| refusal(Some("model"), "`model` must be a string"))?;
    if model.is_empty() || model.len() > 256 || model.chars().any(char::is_control) {
        return Err(refusal(
            Some("model"),
            "`model` must have 1 to 256 characters and no control characters",
        ));
    }
    Ok(model.into_owned())
}

fn stream_of(raw: Option<&RawValue>) -> Result<bool, BodyError> {
    match raw.map(RawValue::get) {
        Some("true") => Ok(true),
        Some("false" | "null") | None => Ok(false),
        Some(_) => Err(refusal(Some("stream"), "`stream` must be a boolean")),
    }
}

/// The tier asked for; one that has no price here is named as unbounded.
fn tier_of(raw: Option<&RawValue>) -> Result<(ServiceTier, Option<&'static str>), BodyError> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok((ServiceTier::Standard, None));
    };
    let Text(text) = serde_json::from_str(raw.get())
        .map_err(|_| refusal(Some("service_tier"), "`service_tier` must be a string"))?;
    Ok(service_tier(&text).map_or((ServiceTier::Standard, Some("service_tier")), |tier| (tier, None)))
}

fn is_set(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| value.get() != "null")
}

fn count(name: &str, raw: Option<&RawValue>) -> Result<Option<u64>, BodyError> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    let value: Option<u64> = raw.get().parse().ok();
    let message = || refusal(Some(name), &format!("`{name}` must be a whole number"));
    value
        .filter(|value| *value <= u64::from(u32::MAX))
        .map(Some)
        .ok_or_else(message)
}

fn refusal(param: Option<&str>, message: &str) -> BodyError {
    BodyError {
        param: param.map(str::to_owned),
        message: message.to_owned(),
    }
}

/// The parser names the field in backticks, where it knows it.
fn unreadable(error: &serde_json::Error) -> BodyError {
    let text = error.to_string();
    let param = if error.is_data() {
        text.split('`').nth(1).map(str::to_owned)
    } else {
        None
    };
    let message = if error.is_data() {
        format!("the body is invalid: {text}")
    } else {
        format!("the body is not JSON: {text}")
    };
    BodyError { param, message }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "body/native_tests.rs"]
mod native;
