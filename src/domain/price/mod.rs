//! What models cost. Owns the price of each model and the two sums made of it: the cost of a known usage, and the
//! upper bound of a call that has not happened. All prices are integer nano-dollars per 1,000,000 units; no float is
//! ever involved, and overflow is an error. The engine and the gateway call it; a model that is not in the book has no
//! price, and what that means is the caller's to decide.

mod book;
mod cost;
mod decimal;
mod difference;
mod draft;
mod fields;
mod import;
mod leap;
mod off_peak;
mod price_file;
mod rates;
mod slot;
mod variants;

#[cfg(test)]
mod independent_tests;

pub use book::PriceBook;
pub use cost::{Bound, PriceOverflow};
pub use difference::{Difference, ModelChange, RateChange};
pub use import::PriceError;
pub use leap::Leap;
pub use off_peak::OffPeak;
pub use price_file::{PriceFile, Sifted};
pub use rates::{Rates, TierRates};
pub use variants::Picture;

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
    /// Some time within a day, and cheapest.
    Batch,
}

/// What a model is for, as the price file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Chat,
    Completion,
    Responses,
    Embedding,
    /// Makes or edits images.
    Image,
    /// Text to sound.
    Speech,
    /// Sound to text.
    Transcription,
    Rerank,
    /// Video, pages, searches and whatever else.
    Other,
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

/// What the fee for web searches is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WebSearchUnit {
    #[default]
    Search,
    /// The call that searches, however often it does.
    Call,
}

/// The price of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    /// The key in the price file, provider prefix included where the file has one.
    pub id: Arc<str>,
    /// The file's word for the provider.
    pub provider_tag: Arc<str>,
    pub mode: Mode,
    /// Whether the file prices its tokens; what only other units price is no price of a conversation.
    pub prices_tokens: bool,
    pub max_input_tokens: Option<u64>,
    pub max_output_tokens: Option<u64>,
    pub hidden_output: HiddenOutput,
    pub standard: TierRates,
    pub flex: Option<Box<TierRates>>,
    pub priority: Option<Box<TierRates>>,
    pub ultrafast: Option<Box<TierRates>>,
    pub batch: Option<Box<TierRates>>,
    /// A fixed fee for each call.
    pub request_fee: Money,
    /// The fee of one web search, at the largest context size.
    pub web_search_fee: Money,
    pub web_search_unit: WebSearchUnit,
    /// The version of the book that it stands in; `None` for a price that is in none.
    pub book_version: Option<u32>,
    /// The hours in which it costs something else.
    pub off_peak: Option<Arc<OffPeak>>,
}

impl ModelPrice {
    /// A price that an operator sets for models which the book does not know: dollars per million tokens.
    pub fn flat(id: &str, input_per_million: Money, output_per_million: Money) -> Self {
        let standard = TierRates {
            base: Rates::flat(input_per_million.nanos(), output_per_million.nanos()),
            long_context: Vec::new(),
        };
        Self {
            id: id.into(),
            provider_tag: "operator".into(),
            mode: Mode::Chat,
            prices_tokens: true,
            max_input_tokens: None,
            max_output_tokens: None,
            hidden_output: HiddenOutput::Never,
            standard,
            flex: None,
            priority: None,
            ultrafast: None,
            batch: None,
            request_fee: Money::ZERO,
            web_search_fee: Money::ZERO,
            web_search_unit: WebSearchUnit::Search,
            book_version: None,
            off_peak: None,
        }
    }

    /// The price that is in force at this instant (Unix milliseconds). A call keeps the one it was admitted with.
    pub fn at(self: &Arc<Self>, now_ms: i64) -> Arc<Self> {
        match &self.off_peak {
            Some(off_peak) if off_peak.covers(now_ms) => off_peak.price.clone(),
            Some(_) | None => self.clone(),
        }
    }

    /// The rates of a tier; a tier that the file does not price costs what the standard one does.
    fn tier(&self, tier: ServiceTier) -> &TierRates {
        let special = match tier {
            ServiceTier::Standard => None,
            ServiceTier::Flex => self.flex.as_deref(),
            ServiceTier::Priority => self.priority.as_deref(),
            ServiceTier::Ultrafast => self.ultrafast.as_deref(),
            ServiceTier::Batch => self.batch.as_deref(),
        };
        special.unwrap_or(&self.standard)
    }
}
