//! Calls that make or hear images and sound: what one asks for, what it can cost at most, and what it used. A price says
//! by which unit such a model is billed (tokens, images, characters, seconds), and only that unit is counted, so that
//! nothing is billed twice. Everything here is pure; what has no bound is refused by name where somebody must be
//! covered, and an answer without figures is billed by estimate.

mod form;
mod hearing;
mod images;
mod prepare;
mod sound;
mod speech;
mod units;
mod wire;

pub use form::{FormParts, FormReader, boundary};
pub use hearing::HearingAsk;
pub use images::ImageAsk;
pub(super) use prepare::{by_model, by_url};
pub use sound::SoundHead;
pub use speech::SpeechAsk;
pub use wire::MediaAnswer;

use crate::domain::money::Money;
use crate::domain::price::{ModelPrice, PriceOverflow};
use crate::domain::request::UsageSource;
use crate::domain::usage::Usage;

use super::dialect::BodyError;
use units::{dearest, is_billed_by};

/// What a call asks for besides its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaAsk {
    /// Images out of text, or out of text and images.
    Images(ImageAsk),
    /// Sound out of text.
    Speech(SpeechAsk),
    /// Text out of sound.
    Hearing(HearingAsk),
}

/// What an answer came to, and how well that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    pub usage: Usage,
    pub source: UsageSource,
}

impl MediaAsk {
    /// The most that the call can cost; `None` where the price has no unit that is known beforehand.
    pub fn upper_bound(&self, price: &ModelPrice) -> Option<Result<Money, PriceOverflow>> {
        let billed = self.most(price).into_iter().filter(|usage| is_billed_by(price, usage));
        let costs: Vec<_> = billed.map(|usage| dearest(price, &usage)).collect();
        costs.into_iter().reduce(|one, other| Ok(one?.max(other?)))
    }

    /// The most that the call can use, one for each way in which it may be counted.
    pub fn most(&self, price: &ModelPrice) -> Vec<Usage> {
        match self {
            Self::Images(ask) => ask.most(price),
            Self::Speech(ask) => ask.most(price),
            Self::Hearing(ask) => ask.most(price),
        }
    }

    /// What the call is thought to use, where its provider never says.
    pub fn estimate(&self, price: Option<&ModelPrice>) -> Usage {
        match self {
            Self::Images(ask) => ask.estimate(price),
            Self::Speech(ask) => ask.estimate(price),
            Self::Hearing(ask) => ask.estimate(price),
        }
    }

    /// Whether what is billed stands in the call, so that an answer that broke off says it as well.
    pub const fn is_known_at_once(&self) -> bool {
        match self {
            Self::Images(_) | Self::Hearing(_) => false,
            Self::Speech(_) => true,
        }
    }

    /// What the call used, by its answer.
    pub fn measure(&self, price: Option<&ModelPrice>, answer: &MediaAnswer) -> Measured {
        match self {
            Self::Images(ask) => ask.measure(price, answer),
            Self::Speech(ask) => ask.measure(price, answer),
            Self::Hearing(ask) => ask.measure(price, answer),
        }
    }
}

/// An endpoint that is none of these.
fn not_media() -> BodyError {
    BodyError {
        param: None,
        message: "this endpoint makes and hears no media".to_owned(),
    }
}

impl Measured {
    const fn told(usage: Usage) -> Self {
        Self {
            usage,
            source: UsageSource::Provider,
        }
    }

    const fn estimated(usage: Usage) -> Self {
        Self {
            usage,
            source: UsageSource::Estimated,
        }
    }
}
