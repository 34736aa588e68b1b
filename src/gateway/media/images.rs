//! Calls that make images. Models that bill by tokens are bounded by the largest number of tokens that an image of the
//! asked quality and size comes to (OpenAI's tables); others by the image. The answer's usage counts where it has one,
//! else the images in it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::form::FormParts;
use super::units::{Unit, has_rate};
use super::wire::MediaAnswer;
use super::{Measured, MediaAsk};
use crate::domain::price::ModelPrice;
use crate::domain::usage::Usage;
use crate::gateway::dialect::{BodyError, CallShape, Dialect};

/// What a provider may add to a prompt.
const PROMPT_TOKENS: u64 = 64;
/// Text that a model may write beside its images; the first ones write none.
const TEXT_TOKENS: u64 = 512;
const WITHOUT_TEXT: [&str; 2] = ["gpt-image-1", "gpt-image-1-mini"];
/// OpenAI bills each partial image of a stream with so many tokens.
const PARTIAL_TOKENS: u64 = 100;
/// The most tokens of one image that goes in, at high fidelity.
const INPUT_TOKENS: u64 = 8_000;
/// The same for models without a table of their own, and what an image of theirs comes to at most.
const LARGEST_TOKENS: u64 = 25_000;

/// Output tokens of an image of gpt-image-1 and its kin by quality: square, upright, lying.
const TOKENS: [(&str, [u64; 3]); 3] = [
    ("low", [272, 408, 400]),
    ("medium", [1_056, 1_584, 1_568]),
    ("high", [4_160, 6_240, 6_208]),
];
const SIZES: [&str; 3] = ["1024x1024", "1024x1536", "1536x1024"];
/// The models that the table is for; newer ones make images of any size.
const TABLED: [&str; 3] = ["gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5"];
/// Output tokens of the newer ones by quality, at their largest size.
const ANY_SIZE_TOKENS: [(&str, u64); 2] = [("low", 1_000), ("medium", 6_000)];

/// What a call for images asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageAsk {
    pub(super) model: String,
    /// `n`.
    pub(super) count: u64,
    pub(super) size: Option<String>,
    pub(super) quality: Option<String>,
    /// Images that go in.
    pub(super) input_count: u64,
    /// Partial images that a stream shows of each.
    pub(super) partial_count: u64,
    /// Bytes of text that go in.
    pub(super) text_bytes: u64,
}

/// The members of a JSON body that are read beside those that every call has.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(default)]
    size: Option<String>,
    #[serde(default)]
    quality: Option<String>,
    #[serde(default)]
    partial_images: Option<u32>,
    #[serde(borrow, default)]
    images: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    mask: Option<&'a RawValue>,
}

/// Reads the JSON body of a call for images.
pub(super) fn read(body: &[u8], shape: &CallShape) -> Result<MediaAsk, BodyError> {
    let fields: Fields<'_> = serde_json::from_slice(body).map_err(|error| BodyError {
        param: None,
        message: format!("the body is invalid: {error}"),
    })?;
    let inline = fields.images.unwrap_or_default();
    Ok(MediaAsk::Images(ImageAsk {
        model: shape.model.clone(),
        count: shape.choice_count,
        size: fields.size,
        quality: fields.quality,
        input_count: inline.len() as u64 + u64::from(fields.mask.is_some()),
        partial_count: fields.partial_images.map_or(0, u64::from),
        text_bytes: fields.prompt.map_or(0, |prompt| prompt.get().len() as u64),
    }))
}

/// Reads the form of a call to change images.
pub(super) fn read_form(parts: &FormParts) -> Result<(CallShape, MediaAsk), BodyError> {
    let (model, _) = parts.model()?;
    let mut shape = CallShape::named(Dialect::OpenAi, model.to_owned());
    shape.stream = parts.value("stream") == Some("true");
    let text = |name: &str| parts.value(name).map(str::to_owned);
    let ask = ImageAsk {
        model: model.to_owned(),
        count: parts.count("n")?.unwrap_or(1).max(1),
        size: text("size"),
        quality: text("quality"),
        input_count: parts.files.len() as u64,
        partial_count: parts.count("partial_images")?.unwrap_or(0),
        text_bytes: parts.text_bytes,
    };
    Ok((shape, MediaAsk::Images(ask)))
}

impl ImageAsk {
    /// Every usage that the call may come to at most, one a unit.
    pub(super) fn most(&self, price: &ModelPrice) -> Vec<Usage> {
        let mut most = Vec::new();
        if has_rate(price, Unit::Tokens) {
            most.push(Usage {
                input_tokens: self.text_bytes + PROMPT_TOKENS + self.input_tokens_most(),
                output_tokens: self
                    .count
                    .saturating_mul(self.tokens_each())
                    .saturating_add(self.text_tokens_most()),
                ..Usage::default()
            });
        }
        if has_rate(price, Unit::Images) {
            most.push(self.by_the_image(self.count));
        }
        most
    }

    pub(super) fn estimate(&self, price: Option<&ModelPrice>) -> Usage {
        if price.is_some_and(|price| has_rate(price, Unit::Images)) || price.is_none() {
            return self.by_the_image(self.count);
        }
        let made = self.count.saturating_mul(self.tokens_each());
        let shown = self.input_tokens_most();
        Usage {
            input_tokens: self.text_bytes.div_ceil(4) + shown,
            image_input_tokens: shown,
            output_tokens: made,
            image_output_tokens: made,
            ..Usage::default()
        }
    }

    pub(super) fn measure(&self, price: Option<&ModelPrice>, answer: &MediaAnswer) -> Measured {
        let by_tokens = price.is_none_or(|price| has_rate(price, Unit::Tokens));
        if let Some(tokens) = answer.tokens.filter(|_| by_tokens) {
            return Measured::told(tokens.of_images());
        }
        let by_images = price.is_none_or(|price| has_rate(price, Unit::Images));
        match answer.image_count.filter(|_| by_images) {
            Some(count) => Measured::told(self.by_the_image(count)),
            None => Measured::estimated(self.estimate(price)),
        }
    }

    fn by_the_image(&self, count: u64) -> Usage {
        Usage {
            images: count,
            ..Usage::default()
        }
    }

    fn has_table(&self) -> bool {
        TABLED.iter().any(|name| self.is_version_of(name))
    }

    /// Whether it is this model or a dated version of it.
    fn is_version_of(&self, name: &str) -> bool {
        let bare = self.model.rsplit('/').next().unwrap_or_default();
        let rest = bare.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("-20"))
    }

    fn text_tokens_most(&self) -> u64 {
        let writes_none = WITHOUT_TEXT.iter().any(|name| self.is_version_of(name));
        if writes_none { 0 } else { TEXT_TOKENS }
    }

    fn input_tokens_most(&self) -> u64 {
        let each = if self.has_table() { INPUT_TOKENS } else { LARGEST_TOKENS };
        self.input_count.saturating_mul(each)
    }

    /// The most output tokens of one image; what is not known counts as the largest.
    fn tokens_each(&self) -> u64 {
        let quality = self.quality.as_deref().unwrap_or("auto");
        let whole = if self.has_table() {
            let (_, sizes) = TOKENS.iter().find(|(name, _)| *name == quality).unwrap_or(&TOKENS[2]);
            let place = SIZES.iter().position(|size| self.size.as_deref() == Some(*size));
            place.map_or(sizes[1], |place| sizes[place])
        } else {
            let found = ANY_SIZE_TOKENS.iter().find(|(name, _)| *name == quality);
            found.map_or(LARGEST_TOKENS, |(_, tokens)| *tokens)
        };
        whole.saturating_add(self.partial_count.saturating_mul(PARTIAL_TOKENS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(model: &str, quality: Option<&str>, size: Option<&str>) -> ImageAsk {
        ImageAsk {
            model: model.to_owned(),
            count: 1,
            size: size.map(str::to_owned),
            quality: quality.map(str::to_owned),
            ..ImageAsk::default()
        }
    }

    #[test]
    fn the_largest_number_of_tokens_follows_the_tables_and_what_is_unknown_counts_as_the_largest() {
        let table = [
            ("gpt-image-1", Some("low"), Some("1024x1024"), 272),
            ("openai/gpt-image-1-mini", Some("medium"), Some("1536x1024"), 1_568),
            ("gpt-image-1.5-2025-12-16", Some("high"), Some("1024x1536"), 6_240),
            ("gpt-image-1", Some("high"), None, 6_240),
            ("gpt-image-1", None, Some("1024x1024"), 4_160),
            ("gpt-image-1", Some("splendid"), Some("9x9"), 6_240),
            ("gpt-image-2", Some("low"), Some("1024x1024"), 1_000),
            ("gpt-image-2", None, None, LARGEST_TOKENS),
            ("gpt-image-17", Some("high"), None, LARGEST_TOKENS),
        ];
        for (model, quality, size, tokens) in table {
            assert_eq!(
                ask(model, quality, size).tokens_each(),
                tokens,
                "{model} {quality:?} {size:?}"
            );
        }
        let partial = ImageAsk {
            partial_count: 3,
            ..ask("gpt-image-1", Some("low"), Some("1024x1024"))
        };
        assert_eq!(partial.tokens_each(), 572);
    }
}
