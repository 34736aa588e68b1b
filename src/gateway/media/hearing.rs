//! Calls that hear a sound: transcriptions and translations. The answer's usage counts, or the length that it tells;
//! an answer of bare text tells nothing, and is billed by the length that the file's own head declares. The bound is
//! the longest that a file of that size can last.

use super::form::FormParts;
use super::units::{Unit, has_rate};
use super::wire::MediaAnswer;
use super::{Measured, MediaAsk};
use crate::domain::price::ModelPrice;
use crate::domain::usage::Usage;
use crate::gateway::dialect::{BodyError, CallShape, Dialect};

/// What a provider may add to a prompt.
const PROMPT_TOKENS: u64 = 64;
/// Input tokens of a second of sound at most, and by and large.
const MOST_TOKENS_A_SECOND: u64 = 50;
const USUAL_TOKENS_A_SECOND: u64 = 32;
/// Output tokens of a second at most: nobody says more than ten in it.
const SAID_TOKENS_A_SECOND: u64 = 10;
/// Output of any call, whatever its length.
const LEAST_TOKENS: u64 = 512;

/// What a call to hear a sound asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HearingAsk {
    pub(super) longest_ms: u64,
    pub(super) estimated_ms: u64,
    /// Bytes of the fields beside the sound.
    pub(super) text_bytes: u64,
}

/// Reads what a form asks for.
pub(super) fn read(parts: &FormParts) -> Result<(CallShape, MediaAsk), BodyError> {
    let (model, _) = parts.model()?;
    let mut shape = CallShape::named(Dialect::OpenAi, model.to_owned());
    shape.stream = parts.value("stream") == Some("true");
    // The provider fetches it, so its length is not known here.
    shape.unbounded = ["url", "file_id"].into_iter().find(|name| parts.value(name).is_some());
    if parts.files.is_empty() && shape.unbounded.is_none() {
        return Err(BodyError {
            param: Some("file".to_owned()),
            message: "`file` is required".to_owned(),
        });
    }
    let sum = |of: fn(&super::form::FormFile) -> u64| parts.files.iter().map(of).fold(0, u64::saturating_add);
    let ask = HearingAsk {
        longest_ms: sum(|file| file.head.longest_ms(file.size_bytes)),
        estimated_ms: sum(|file| file.head.estimated_ms(file.size_bytes)),
        text_bytes: parts.text_bytes,
    };
    Ok((shape, MediaAsk::Hearing(ask)))
}

impl HearingAsk {
    /// Every usage that the call may come to at most, one a unit.
    pub(super) fn most(&self, price: &ModelPrice) -> Vec<Usage> {
        let mut most = Vec::new();
        if has_rate(price, Unit::Seconds) {
            most.push(by_length(self.longest_ms));
        }
        if has_rate(price, Unit::Tokens) {
            let heard = tokens(self.longest_ms, MOST_TOKENS_A_SECOND);
            most.push(Usage {
                input_tokens: heard.saturating_add(self.text_bytes + PROMPT_TOKENS),
                output_tokens: tokens(self.longest_ms, SAID_TOKENS_A_SECOND).saturating_add(LEAST_TOKENS),
                ..Usage::default()
            });
        }
        most
    }

    pub(super) fn estimate(&self, price: Option<&ModelPrice>) -> Usage {
        if price.is_none_or(|price| has_rate(price, Unit::Seconds)) {
            return by_length(self.estimated_ms);
        }
        let heard = tokens(self.estimated_ms, USUAL_TOKENS_A_SECOND);
        Usage {
            input_tokens: heard + self.text_bytes.div_ceil(4),
            audio_input_tokens: heard,
            output_tokens: tokens(self.estimated_ms, SAID_TOKENS_A_SECOND / 2),
            ..Usage::default()
        }
    }

    pub(super) fn measure(&self, price: Option<&ModelPrice>, answer: &MediaAnswer) -> Measured {
        let bills = |unit| price.is_none_or(|price| has_rate(price, unit));
        if let Some(tokens) = answer.tokens.filter(|_| bills(Unit::Tokens)) {
            return Measured::told(tokens.of_hearing());
        }
        match answer.heard_ms.filter(|_| bills(Unit::Seconds)) {
            Some(heard_ms) => Measured::told(by_length(heard_ms)),
            None => Measured::estimated(self.estimate(price)),
        }
    }
}

fn by_length(audio_ms: u64) -> Usage {
    Usage {
        audio_ms,
        ..Usage::default()
    }
}

fn tokens(length_ms: u64, tokens_a_second: u64) -> u64 {
    length_ms.saturating_mul(tokens_a_second).div_ceil(1000)
}
