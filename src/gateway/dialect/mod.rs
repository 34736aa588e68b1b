//! The wire formats that providers and clients speak. Each dialect is read only as far as a decision needs: what a call
//! asks for, what an answer used, where a stream ends. Everything else passes byte for byte. Nothing here knows
//! prices' limits, keys or connections; a body that cannot be understood is refused with the parameter's name.

mod anthropic;
mod bedrock;
mod body;
mod call;
mod error;
mod google;
#[cfg(test)]
mod junk_tests;
mod media;
mod openai;
mod responses;
mod rewrite;
mod stream;
mod terminal;
mod wire;

pub use body::{inspect, without_hosted_tools};
pub use call::{BodyError, CallShape, OutputCap};
pub use error::{ErrorDetail, error_body};
pub use google::refuses_key;
pub use rewrite::{Changes, rewrite, with_model};
pub use stream::{FrameVerdict, StreamReader, UsageFrames};

pub(in crate::gateway) use anthropic::{Counts as AnthropicCounts, WireUsage as AnthropicUsage};
pub(in crate::gateway) use openai::WireUsage as OpenAiUsage;
pub(in crate::gateway) use wire::{Count, Text};

use std::borrow::Cow;

use serde::Deserialize;

use super::sse::Frame;
use crate::domain::price::ServiceTier;
use crate::domain::usage::Usage;

/// The wire format of a request and its answer. Clients speak one, providers speak one or several; where they differ the
/// gateway translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI's chat completions, and everyone who copies them.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's generateContent: the address says the model and whether to stream.
    Google,
    /// Bedrock's Converse: the address says the model and whether to stream.
    Bedrock,
    /// OpenAI's responses.
    Responses,
}

/// What a client speaks.
pub type Speech = Dialect;

impl Dialect {
    /// The dialect's name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Google => "google",
            Self::Bedrock => "bedrock",
            Self::Responses => "responses",
        }
    }

    /// Whether the address says the model and whether to stream, and not the body.
    pub const fn is_addressed(self) -> bool {
        match self {
            Self::OpenAi | Self::Anthropic | Self::Responses => false,
            Self::Google | Self::Bedrock => true,
        }
    }

    /// The provider whose own format it is: models that the price book does not know go there.
    pub const fn home(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Responses => "openai",
            Self::Anthropic => "anthropic",
            Self::Google => "google",
            Self::Bedrock => "bedrock",
        }
    }

    /// The content type of a stream.
    pub const fn stream_type(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic | Self::Google | Self::Responses => "text/event-stream; charset=utf-8",
            Self::Bedrock => "application/vnd.amazon.eventstream",
        }
    }

    /// What is read of a frame of a stream: the data of a server-sent event, or a message of AWS's encoding as it stands.
    pub(in crate::gateway) fn data(self, frame: &Frame) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Bedrock => Some(Cow::Borrowed(frame.bytes())),
            Self::OpenAi | Self::Anthropic | Self::Google | Self::Responses => frame.fields().data,
        }
    }
}

/// The field in which a provider honours a cap on output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputCapField {
    #[default]
    MaxTokens,
    MaxCompletionTokens,
    /// Responses.
    MaxOutputTokens,
    /// Google's `generationConfig.maxOutputTokens`.
    #[serde(skip)]
    GenerationConfig,
    /// Bedrock's `inferenceConfig.maxTokens`.
    #[serde(skip)]
    InferenceConfig,
}

impl OutputCapField {
    /// The field's name on the wire, behind that of the object that holds it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
            Self::GenerationConfig => "maxOutputTokens",
            Self::InferenceConfig => "maxTokens",
        }
    }

    /// The object that holds the field, where it does not stand in the body itself.
    pub const fn home(self) -> Option<&'static str> {
        match self {
            Self::MaxTokens | Self::MaxCompletionTokens | Self::MaxOutputTokens => None,
            Self::GenerationConfig => Some("generationConfig"),
            Self::InferenceConfig => Some("inferenceConfig"),
        }
    }

    /// The field in which a dialect has its cap; imitators of OpenAI's chat differ, so their row says it.
    pub const fn of(dialect: Dialect, row: Self) -> Self {
        match dialect {
            Dialect::OpenAi => row,
            Dialect::Anthropic => Self::MaxTokens,
            Dialect::Responses => Self::MaxOutputTokens,
            Dialect::Google => Self::GenerationConfig,
            Dialect::Bedrock => Self::InferenceConfig,
        }
    }
}

/// What a whole answer says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `None` when the answer gives no usage or one that cannot be true; explicit zeros are a usage.
    pub usage: Option<Usage>,
    pub response_id: Option<String>,
    pub model: Option<String>,
    /// The tier that served the call, where the answer says so.
    pub service_tier: Option<ServiceTier>,
    /// Bytes of text that the model produced, for an estimate; they need not be counted where there is a usage.
    pub content_bytes: u64,
}

impl Answer {
    /// Output tokens by the size of the text: four bytes a token, rounded up.
    pub fn content_tokens(&self) -> u64 {
        self.content_bytes.div_ceil(4)
    }
}

/// Reads a whole (not streamed) answer; a body that is not of the dialect gives an empty `Answer`.
pub fn read_answer(dialect: Dialect, body: &[u8]) -> Answer {
    match dialect {
        Dialect::OpenAi => openai::read_answer(body),
        Dialect::Anthropic => anthropic::read_answer(body),
        Dialect::Google => google::read_answer(body),
        Dialect::Bedrock => bedrock::read_answer(body),
        Dialect::Responses => responses::read_answer(body),
    }
}

/// The tier that a `service_tier` text names; `None` for one that has no price of its own here.
fn service_tier(text: &str) -> Option<ServiceTier> {
    match text {
        "auto" | "default" | "standard" | "standard_only" | "scale" => Some(ServiceTier::Standard),
        "flex" => Some(ServiceTier::Flex),
        "priority" => Some(ServiceTier::Priority),
        "ultrafast" => Some(ServiceTier::Ultrafast),
        "batch" => Some(ServiceTier::Batch),
        _ => None,
    }
}
