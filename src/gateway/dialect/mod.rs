//! The wire formats that providers and clients speak. Each dialect is read only as far as a decision needs: what a call
//! asks for, what an answer used, where a stream ends. Everything else passes byte for byte. Nothing here knows
//! prices' limits, keys or connections; a body that cannot be understood is refused with the parameter's name.

mod anthropic;
mod body;
mod call;
mod error;
mod media;
mod openai;
mod rewrite;
mod stream;
mod terminal;
mod wire;

pub use body::{inspect, named_model};
pub use call::{BodyError, CallShape, OutputCap};
pub use error::{ErrorDetail, error_body};
pub use rewrite::{Changes, rewrite};
pub use stream::{FrameVerdict, StreamReader, UsageFrames};

pub(in crate::gateway) use anthropic::{Counts as AnthropicCounts, WireUsage as AnthropicUsage};
pub(in crate::gateway) use openai::WireUsage as OpenAiUsage;
pub(in crate::gateway) use wire::{Count, Text};

use serde::Deserialize;

use crate::domain::price::ServiceTier;
use crate::domain::usage::Usage;

/// The wire format of a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI's chat completions, and everyone who copies them.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
}

impl Dialect {
    /// The dialect's name as keys' `request_shape` and the catalogue spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

/// What a client speaks. Providers are called in fewer dialects than clients speak: the others are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speech {
    OpenAi,
    Anthropic,
    /// Google's generateContent.
    Google,
    /// Bedrock's Converse.
    Bedrock,
    /// OpenAI's responses.
    Responses,
}

impl From<Dialect> for Speech {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAi => Self::OpenAi,
            Dialect::Anthropic => Self::Anthropic,
        }
    }
}

impl Speech {
    /// The dialect of providers that speak the same; `None` where every call is translated.
    pub const fn as_dialect(self) -> Option<Dialect> {
        match self {
            Self::OpenAi => Some(Dialect::OpenAi),
            Self::Anthropic => Some(Dialect::Anthropic),
            Self::Google | Self::Bedrock | Self::Responses => None,
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
}

impl OutputCapField {
    /// The field's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
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
    /// Bytes of text that the model produced, for an estimate where usage is missing.
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
    }
}

/// The tier that a `service_tier` text names; `None` for one that has no price of its own here.
fn service_tier(text: &str) -> Option<ServiceTier> {
    match text {
        "auto" | "default" | "standard" | "standard_only" | "scale" => Some(ServiceTier::Standard),
        "flex" => Some(ServiceTier::Flex),
        "priority" => Some(ServiceTier::Priority),
        "ultrafast" => Some(ServiceTier::Ultrafast),
        _ => None,
    }
}
