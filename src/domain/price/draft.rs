//! What was read of one model, before the gaps are filled. Where the file gives no rate of a part, the next kin of it
//! stands in; where it gives no long rate of a tier, the dearer of that tier's plain and the standard long one does, so
//! that a gap is never cheaper than what a provider may bill.

use super::slot::{Part, Slot};
use super::{Mode, Rates, ServiceTier, TierRates, WebSearchUnit};

/// The rates and fees of one entry of the file.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) mode: Mode,
    /// The first of a slot counts.
    pub(super) rates: Vec<(Slot, i64)>,
    pub(super) request_fee: i64,
    pub(super) web_search_fee: i64,
    pub(super) web_search_unit: WebSearchUnit,
}

impl Draft {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            rates: Vec::new(),
            request_fee: 0,
            web_search_fee: 0,
            web_search_unit: WebSearchUnit::Search,
        }
    }

    /// Whether it prices tokens.
    pub(super) fn prices_tokens(&self) -> bool {
        self.rate(Part::Input, ServiceTier::Standard, 0).is_some()
    }

    /// Whether it prices anything that a model of its mode is billed by.
    pub(super) fn is_price(&self) -> bool {
        let by_units = match self.mode {
            Mode::Chat | Mode::Completion | Mode::Responses | Mode::Embedding => false,
            Mode::Image | Mode::Speech | Mode::Transcription | Mode::Rerank | Mode::Other => true,
        };
        self.prices_tokens() || (by_units && self.prices(ServiceTier::Standard))
    }

    /// Whether it has any rate of this tier.
    pub(super) fn prices(&self, tier: ServiceTier) -> bool {
        self.rates.iter().any(|(slot, _)| slot.tier == tier)
    }

    /// The rates of a tier.
    pub(super) fn tier(&self, tier: ServiceTier) -> TierRates {
        let standard = ServiceTier::Standard;
        let plain = |part| self.rate(part, tier, 0).or_else(|| self.rate(part, standard, 0));
        let mut thresholds: Vec<u64> = self.rates.iter().map(|(slot, _)| slot.above_tokens).collect();
        thresholds.retain(|above| *above > 0);
        thresholds.sort_unstable();
        thresholds.dedup();
        let long = |part, above| {
            let own = self.rate(part, tier, above);
            own.or_else(|| self.rate(part, standard, above).max(plain(part)))
        };
        let filled = thresholds
            .into_iter()
            .map(|above| (above, self.fill(|part| long(part, above))));
        TierRates {
            base: self.fill(plain),
            long_context: filled.collect(),
        }
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

    /// The rates that a lookup gives, with what it is silent about filled in.
    fn fill(&self, rate: impl Fn(Part) -> Option<i64>) -> Rates {
        let first = |parts: &[Part]| parts.iter().find_map(|part| rate(*part));
        let input = rate(Part::Input).unwrap_or(0);
        let output = first(&[Part::Output, Part::ImageOutput]).unwrap_or(0);
        let cache_read = rate(Part::CacheRead).unwrap_or(input);
        let cache_write = rate(Part::CacheWrite).unwrap_or(input);
        Rates {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h: rate(Part::LongCacheWrite).unwrap_or(cache_write),
            reasoning: rate(Part::Reasoning).unwrap_or(output),
            audio_input: rate(Part::AudioInput).unwrap_or(input),
            audio_output: rate(Part::AudioOutput).unwrap_or(output),
            audio_cache_read: rate(Part::AudioCacheRead).unwrap_or(cache_read),
            image_input: rate(Part::ImageInput).unwrap_or(input),
            image_output: rate(Part::ImageOutput).unwrap_or(output),
            image: self.image(&rate),
            character: first(&[Part::Character, Part::OutputCharacter]).unwrap_or(0),
            second: first(&[Part::InputSecond, Part::AudioSecond, Part::AnySecond]).unwrap_or(0),
            output_second: first(&[Part::OutputSecond, Part::VideoSecond]).unwrap_or(0),
            page: rate(Part::Page).unwrap_or(0),
            query: rate(Part::Query).unwrap_or(0),
        }
    }

    /// The price of an image that is made. Where a model makes images the file often names that its input.
    fn image(&self, rate: impl Fn(Part) -> Option<i64>) -> i64 {
        let made = rate(Part::MadeImage);
        if self.mode != Mode::Image {
            return made.unwrap_or(0);
        }
        let pixels = || {
            let [input, output] = [Part::InputPixels, Part::OutputPixels].map(|part| rate(part).unwrap_or(0));
            input.saturating_add(output)
        };
        made.or_else(|| rate(Part::Image)).unwrap_or_else(pixels)
    }
}
