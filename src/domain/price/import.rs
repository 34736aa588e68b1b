//! Reads the price file: one JSON object from model to fields, with LiteLLM's field names. A price is read from the
//! number's text, so that no float stands between the file and the bill; what is finer than a nano-dollar per million
//! units is rounded half up and reported. A file that cannot be read is refused whole: no price is better than a
//! wrong one.

use std::collections::HashMap;
use std::sync::Arc;

use super::decimal::scale;
use super::fields::{Entries, Fields};
use super::{HiddenOutput, Mode, ModelPrice, Rates, ServiceTier, TierRates};
use crate::domain::money::Money;

/// Why a price file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("the price file is not a JSON object of models: {0}")]
    Unreadable(String),
    #[error("the price file gives {model} the field {field} = {value}, which is not a price")]
    NotAPrice {
        model: String,
        field: String,
        value: String,
    },
}

/// Decimal places between dollars per unit and nano-dollars per 1,000,000 units.
const RATE_PLACES: i32 = 15;
/// Decimal places between dollars and nano-dollars.
const FEE_PLACES: i32 = 9;

/// The part of a usage that a rate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    LongCacheWrite,
    Reasoning,
    AudioInput,
    AudioOutput,
}

/// The names that start a rate's field, longest first where one is the start of another.
const PARTS: [(&str, Part); 9] = [
    ("cache_creation_input_token_cost_above_12hr", Part::LongCacheWrite),
    ("cache_creation_input_token_cost_above_1hr", Part::LongCacheWrite),
    ("cache_creation_input_token_cost", Part::CacheWrite),
    ("cache_read_input_token_cost", Part::CacheRead),
    ("output_cost_per_reasoning_token", Part::Reasoning),
    ("output_cost_per_audio_token", Part::AudioOutput),
    ("output_cost_per_token", Part::Output),
    ("input_cost_per_audio_token", Part::AudioInput),
    ("input_cost_per_token", Part::Input),
];

/// Which rate a field sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Slot {
    part: Part,
    tier: ServiceTier,
    /// Zero for the plain rate.
    above_tokens: u64,
}

/// What was read of one model, before the gaps are filled.
#[derive(Default)]
struct Draft {
    rates: Vec<(Slot, i64)>,
    request_fee: i64,
    web_search_fee: i64,
}

/// The reader; keeps the provider tags so that each exists once in memory.
#[derive(Default)]
pub(super) struct Import {
    tags: HashMap<String, Arc<str>>,
    pub(super) warnings: Vec<String>,
}

impl Import {
    /// Every model that has a price per token, in the file's order.
    pub(super) fn read(&mut self, text: &str) -> Result<Vec<ModelPrice>, PriceError> {
        let entries: Entries<'_> =
            serde_json::from_str(text).map_err(|error| PriceError::Unreadable(error.to_string()))?;
        let mut prices = Vec::with_capacity(entries.0.len());
        for (model, fields) in entries.0 {
            prices.extend(self.read_model(&model, &fields)?);
        }
        Ok(prices)
    }

    fn read_model(&mut self, model: &str, fields: &Fields<'_>) -> Result<Option<ModelPrice>, PriceError> {
        let draft = self.read_draft(model, fields)?;
        let Some(standard) = draft.tier(ServiceTier::Standard) else {
            return Ok(None);
        };
        let special = |tier| draft.prices(tier).then(|| draft.tier(tier)).flatten().map(Box::new);
        let tag = fields.text("litellm_provider").unwrap_or_default();
        Ok(Some(ModelPrice {
            id: model.into(),
            provider_tag: self.tags.entry(tag.to_owned()).or_insert_with(|| tag.into()).clone(),
            mode: mode(fields.text("mode").unwrap_or_default()),
            max_input_tokens: fields.count("max_input_tokens"),
            max_output_tokens: fields.count("max_output_tokens"),
            hidden_output: hidden_output(fields),
            flex: special(ServiceTier::Flex),
            priority: special(ServiceTier::Priority),
            ultrafast: special(ServiceTier::Ultrafast),
            standard,
            request_fee: Money::from_nanos(draft.request_fee),
            web_search_fee: Money::from_nanos(draft.web_search_fee),
        }))
    }

    fn read_draft(&mut self, model: &str, fields: &Fields<'_>) -> Result<Draft, PriceError> {
        let mut draft = Draft::default();
        for (name, value) in &fields.0 {
            if let Some(slot) = Slot::of(name) {
                draft
                    .rates
                    .push((slot, self.amount(model, name, value.get(), RATE_PLACES)?));
            } else if name == "input_cost_per_request" {
                draft.request_fee = self.amount(model, name, value.get(), FEE_PLACES)?;
            } else if name == "search_context_cost_per_query" {
                draft.web_search_fee = self.dearest_search(model, name, value.get())?;
            }
        }
        Ok(draft)
    }

    fn dearest_search(&mut self, model: &str, name: &str, value: &str) -> Result<i64, PriceError> {
        let sizes: Fields<'_> = serde_json::from_str(value).map_err(|_| not_a_price(model, name, value))?;
        let mut dearest = 0;
        for (_, fee) in &sizes.0 {
            dearest = dearest.max(self.amount(model, name, fee.get(), FEE_PLACES)?);
        }
        Ok(dearest)
    }

    /// A decimal text times ten to the power of `places`, as an integer; rounds half up with a warning.
    fn amount(&mut self, model: &str, name: &str, text: &str, places: i32) -> Result<i64, PriceError> {
        let scaled = scale(text, places).ok_or_else(|| not_a_price(model, name, text))?;
        if !scaled.exact {
            let unit = if places == RATE_PLACES {
                "a million units"
            } else {
                "a unit"
            };
            let warning = format!(
                "{model}: {name} = {text} was rounded to {} nano-dollars {unit}",
                scaled.value
            );
            self.warnings.push(warning);
        }
        Ok(scaled.value)
    }
}

impl Draft {
    fn prices(&self, tier: ServiceTier) -> bool {
        self.rates.iter().any(|(slot, _)| slot.tier == tier)
    }

    fn rate(&self, part: Part, tier: ServiceTier, above_tokens: u64) -> Option<i64> {
        let wanted = Slot {
            part,
            tier,
            above_tokens,
        };
        self.rates
            .iter()
            .find(|(slot, _)| *slot == wanted)
            .map(|(_, rate)| *rate)
    }

    /// The rates of a tier; `None` when the file gives no input price.
    fn tier(&self, tier: ServiceTier) -> Option<TierRates> {
        let standard = ServiceTier::Standard;
        let plain = |part| self.rate(part, tier, 0).or_else(|| self.rate(part, standard, 0));
        let base = fill(plain)?;
        let mut thresholds: Vec<u64> = self.rates.iter().map(|(slot, _)| slot.above_tokens).collect();
        thresholds.retain(|above| *above > 0);
        thresholds.sort_unstable();
        thresholds.dedup();
        // Where a tier has no long rate of its own, the dearer of its plain rate and the standard long rate applies.
        let long = |part, above| {
            let own = self.rate(part, tier, above);
            own.or_else(|| self.rate(part, standard, above).max(plain(part)))
        };
        let filled = thresholds
            .into_iter()
            .filter_map(|above| Some((above, fill(|part| long(part, above))?)));
        Some(TierRates {
            base,
            long_context: filled.collect(),
        })
    }
}

/// The rates that a lookup gives, with what it is silent about filled in.
fn fill(rate: impl Fn(Part) -> Option<i64>) -> Option<Rates> {
    let input = rate(Part::Input)?;
    let output = rate(Part::Output).unwrap_or(0);
    let cache_write = rate(Part::CacheWrite).unwrap_or(input);
    Some(Rates {
        input,
        output,
        cache_read: rate(Part::CacheRead).unwrap_or(input),
        cache_write,
        cache_write_1h: rate(Part::LongCacheWrite).unwrap_or(cache_write),
        reasoning: rate(Part::Reasoning).unwrap_or(output),
        audio_input: rate(Part::AudioInput).unwrap_or(input),
        audio_output: rate(Part::AudioOutput).unwrap_or(output),
    })
}

impl Slot {
    /// The rate that a field's name sets, or `None` for fields that are no rate of ours.
    fn of(name: &str) -> Option<Self> {
        let (part, rest) = PARTS
            .iter()
            .find_map(|(start, part)| Some((*part, name.strip_prefix(start)?)))?;
        let (above_tokens, rest) = match rest.strip_prefix("_above_") {
            Some(rest) => {
                let (thousands, rest) = rest.split_once("k_tokens")?;
                (thousands.parse::<u64>().ok()?.checked_mul(1000)?, rest)
            }
            None => (0, rest),
        };
        let tier = match rest {
            "" => ServiceTier::Standard,
            "_flex" => ServiceTier::Flex,
            "_priority" => ServiceTier::Priority,
            "_ultrafast" => ServiceTier::Ultrafast,
            _ => return None,
        };
        Some(Self {
            part,
            tier,
            above_tokens,
        })
    }
}

fn hidden_output(fields: &Fields<'_>) -> HiddenOutput {
    let says = |name: &str| fields.get(name) == Some("true");
    if says("thinking_always_on") {
        HiddenOutput::Always
    } else if says("supports_reasoning") {
        HiddenOutput::OnRequest
    } else {
        HiddenOutput::Never
    }
}

fn mode(text: &str) -> Mode {
    match text {
        "chat" => Mode::Chat,
        "completion" => Mode::Completion,
        "responses" => Mode::Responses,
        "embedding" => Mode::Embedding,
        _ => Mode::Other,
    }
}

fn not_a_price(model: &str, field: &str, value: &str) -> PriceError {
    PriceError::NotAPrice {
        model: model.to_owned(),
        field: field.to_owned(),
        value: value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_slots_apart_by_name() {
        let slot = |part, tier, above_tokens| {
            Some(Slot {
                part,
                tier,
                above_tokens,
            })
        };
        let table = [
            ("input_cost_per_token", slot(Part::Input, ServiceTier::Standard, 0)),
            ("output_cost_per_token_flex", slot(Part::Output, ServiceTier::Flex, 0)),
            (
                "cache_creation_input_token_cost_above_1hr",
                slot(Part::LongCacheWrite, ServiceTier::Standard, 0),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                slot(Part::LongCacheWrite, ServiceTier::Standard, 200_000),
            ),
            (
                "cache_read_input_token_cost_above_272k_tokens_priority",
                slot(Part::CacheRead, ServiceTier::Priority, 272_000),
            ),
            ("input_cost_per_token_batches", None),
            ("input_cost_per_token_cache_hit", None),
            ("input_cost_per_image", None),
        ];
        for (name, expected) in table {
            assert_eq!(Slot::of(name), expected, "{name}");
        }
    }
}
