//! What models cost. Owns the price of each model and the two sums made of it: the cost of a known usage, and the
//! upper bound of a call that has not happened. All prices are integer nano-dollars per 1,000,000 units; no float is
//! ever involved, and overflow is an error. The engine and the gateway call it; a model that is not in the book has no
//! price, and what that means is the caller's to decide.

mod book;
mod cost;
mod decimal;
mod fields;
mod import;

pub use book::PriceBook;
pub use cost::{Bound, PriceOverflow};
pub use import::PriceError;

use std::sync::Arc;

use super::money::Money;

/// The level of service that a call asked for or was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServiceTier {
    #[default]
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// Fastest and dearest.
    Ultrafast,
}

/// What a model is for, as the price file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Chat,
    Completion,
    Responses,
    Embedding,
    /// Images, sound, video, ranking and whatever else a token price alone does not describe.
    Other,
}

/// Nano-dollars per 1,000,000 units; what the file is silent about is already filled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub input: i64,
    pub output: i64,
    /// Falls back to `input`.
    pub cache_read: i64,
    /// Falls back to `input`.
    pub cache_write: i64,
    /// Falls back to `cache_write`.
    pub cache_write_1h: i64,
    /// Falls back to `output`.
    pub reasoning: i64,
    /// Falls back to `input`.
    pub audio_input: i64,
    /// Falls back to `output`.
    pub audio_output: i64,
}

/// The rates of one service tier: the plain ones, and those of calls whose input is longer than a threshold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierRates {
    pub base: Rates,
    /// Ascending by threshold: input tokens above which the rates apply to the whole call.
    pub long_context: Vec<(u64, Rates)>,
}

/// When a model produces output that is billed and not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HiddenOutput {
    #[default]
    Never,
    /// Where the call lets it think.
    OnRequest,
    Always,
}

/// The price of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    /// The key in the price file, provider prefix included where the file has one.
    pub id: Arc<str>,
    /// The file's word for the provider.
    pub provider_tag: Arc<str>,
    pub mode: Mode,
    pub max_input_tokens: Option<u64>,
    pub max_output_tokens: Option<u64>,
    pub hidden_output: HiddenOutput,
    pub standard: TierRates,
    pub flex: Option<Box<TierRates>>,
    pub priority: Option<Box<TierRates>>,
    pub ultrafast: Option<Box<TierRates>>,
    /// A fixed fee for each call.
    pub request_fee: Money,
    /// The fee of one web search, at the largest context size.
    pub web_search_fee: Money,
}

impl ModelPrice {
    /// A price that an operator sets for models which the book does not know: dollars per million tokens.
    pub fn flat(id: &str, input_per_million: Money, output_per_million: Money) -> Self {
        let (input, output) = (input_per_million.nanos(), output_per_million.nanos());
        let rates = Rates {
            input,
            output,
            cache_read: input,
            cache_write: input,
            cache_write_1h: input,
            reasoning: output,
            audio_input: input,
            audio_output: output,
        };
        Self {
            id: id.into(),
            provider_tag: "operator".into(),
            mode: Mode::Chat,
            max_input_tokens: None,
            max_output_tokens: None,
            hidden_output: HiddenOutput::Never,
            standard: TierRates {
                base: rates,
                long_context: Vec::new(),
            },
            flex: None,
            priority: None,
            ultrafast: None,
            request_fee: Money::ZERO,
            web_search_fee: Money::ZERO,
        }
    }

    /// The rates of a tier; a tier that the file does not price costs what the standard one does.
    fn tier(&self, tier: ServiceTier) -> &TierRates {
        let special = match tier {
            ServiceTier::Standard => None,
            ServiceTier::Flex => self.flex.as_deref(),
            ServiceTier::Priority => self.priority.as_deref(),
            ServiceTier::Ultrafast => self.ultrafast.as_deref(),
        };
        special.unwrap_or(&self.standard)
    }
}
