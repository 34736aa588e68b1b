//! The two sums: what a usage cost, and what a call can cost at most. Each is one `i128` sum, one division and one
//! rounding: a cost rounds half up, a bound rounds up. Overflow is an error, never a wrap or a panic.

use super::{ModelPrice, Rates, ServiceTier, WebSearchUnit};
use crate::domain::money::Money;
use crate::domain::usage::Usage;

/// Rates are per this many units.
const UNITS: i128 = 1_000_000;
/// The sum is kept in thousandths of a unit, because sound is priced by the second and counted in milliseconds.
const SHARES: i128 = 1_000;

/// The amount does not fit the money type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the price of this usage is too large to be an amount")]
pub struct PriceOverflow;

/// The most that a call can use, known before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Every input token, cached or not.
    pub input_tokens: u64,
    /// Every output token of all choices.
    pub output_tokens: u64,
    /// Searches that the provider may run (count).
    pub web_searches: u64,
    /// The tier that was asked for; a provider may also serve it at the standard one.
    pub service_tier: ServiceTier,
    /// The call may write to a cache that lasts an hour or longer.
    pub long_cache: bool,
    /// Input or output may be audio.
    pub audio: bool,
    /// The input may be images.
    pub image_input: bool,
    /// Images that may be made (count).
    pub images: u64,
    pub characters: u64,
    /// Milliseconds of sound that come in.
    pub audio_ms: u64,
    /// Milliseconds of sound or video that may be made.
    pub output_audio_ms: u64,
    pub pages: u64,
    pub queries: u64,
}

/// A sum of units times rates, checked at every step.
struct Sum(i128);

impl Sum {
    fn add(&mut self, units: u64, rate: i64) -> Result<(), PriceOverflow> {
        self.add_product(units, i128::from(rate) * SHARES)
    }

    /// Thousandths of the unit that the rate is for.
    fn add_thousandths(&mut self, thousandths: u64, rate: i64) -> Result<(), PriceOverflow> {
        self.add_product(thousandths, rate.into())
    }

    fn add_fee(&mut self, count: u64, fee: Money) -> Result<(), PriceOverflow> {
        self.add_product(count, i128::from(fee.nanos()) * UNITS * SHARES)
    }

    fn add_product(&mut self, units: u64, rate: i128) -> Result<(), PriceOverflow> {
        let product = i128::from(units).checked_mul(rate).ok_or(PriceOverflow)?;
        self.0 = self.0.checked_add(product).ok_or(PriceOverflow)?;
        Ok(())
    }

    /// The one division; `lift` decides the rounding.
    fn divide(self, lift: i128) -> Result<Money, PriceOverflow> {
        let nanos = self.0.checked_add(lift).ok_or(PriceOverflow)? / (UNITS * SHARES);
        i64::try_from(nanos).map(Money::from_nanos).map_err(|_| PriceOverflow)
    }

    fn round_half_up(self) -> Result<Money, PriceOverflow> {
        self.divide(UNITS * SHARES / 2)
    }

    fn round_up(self) -> Result<Money, PriceOverflow> {
        self.divide(UNITS * SHARES - 1)
    }
}

impl ModelPrice {
    /// What a usage costs at the tier that served it; the whole call is at the long-context rates when its total
    /// input passed the threshold.
    pub fn cost(&self, usage: &Usage, tier: ServiceTier) -> Result<Money, PriceOverflow> {
        let rates = self.rates_for(tier, usage.total_input());
        let mut sum = Sum(0);
        for (units, rate) in token_parts(usage, rates) {
            sum.add(units, rate)?;
        }
        let billed = Billed::of(usage, rates);
        sum.add(billed.images, rates.image)?;
        sum.add(billed.characters, rates.character)?;
        sum.add_thousandths(billed.audio_ms, rates.second)?;
        sum.add_thousandths(billed.output_audio_ms, rates.output_second)?;
        sum.add(billed.pages, rates.page)?;
        sum.add(usage.queries, rates.query)?;
        sum.add_fee(self.search_fees(usage.web_searches), self.web_search_fee)?;
        sum.add_fee(1, self.request_fee)?;
        sum.round_half_up()
    }

    /// What a call within the bound costs at most, over every tier and threshold that it may reach.
    pub fn upper_bound(&self, bound: &Bound) -> Result<Money, PriceOverflow> {
        let dearest = self.dearest(bound);
        let mut sum = Sum(0);
        sum.add(bound.input_tokens, dearest.dearest_input(bound))?;
        sum.add(bound.output_tokens, dearest.dearest_output(bound))?;
        sum.add(bound.images, dearest.image)?;
        sum.add(bound.characters, dearest.character)?;
        sum.add_thousandths(bound.audio_ms, dearest.second)?;
        sum.add_thousandths(bound.output_audio_ms, dearest.output_second)?;
        sum.add(bound.pages, dearest.page)?;
        sum.add(bound.queries, dearest.query)?;
        sum.add_fee(self.search_fees(bound.web_searches), self.web_search_fee)?;
        sum.add_fee(1, self.request_fee)?;
        sum.round_up()
    }

    pub(super) fn rates_for(&self, tier: ServiceTier, total_input: u64) -> &Rates {
        let rates = self.tier(tier);
        let reached = rates.long_context.iter().rev().find(|(above, _)| total_input > *above);
        reached.map_or(&rates.base, |(_, long)| long)
    }

    /// Of each unit the dearest rate that the call may meet.
    fn dearest(&self, bound: &Bound) -> Rates {
        let mut dearest = Rates::default();
        for tier in [ServiceTier::Standard, bound.service_tier] {
            let rates = self.tier(tier);
            let reached = rates
                .long_context
                .iter()
                .filter(|(above, _)| bound.input_tokens > *above);
            for rates in std::iter::once(&rates.base).chain(reached.map(|(_, rates)| rates)) {
                dearest = dearest.max(rates);
            }
        }
        dearest
    }

    fn search_fees(&self, searches: u64) -> u64 {
        match self.web_search_unit {
            WebSearchUnit::Search => searches,
            WebSearchUnit::Call => searches.min(1),
        }
    }
}

/// The tokens of a usage beside their rates. A part that is larger than its whole is cut to it.
fn token_parts(usage: &Usage, rates: &Rates) -> [(u64, i64); 11] {
    let audio_input = usage.audio_input_tokens.min(usage.input_tokens);
    let image_input = usage.image_input_tokens.min(usage.input_tokens - audio_input);
    let audio_read = usage.audio_cache_read_tokens.min(usage.cache_read_tokens);
    let reasoning = usage.reasoning_tokens.min(usage.output_tokens);
    let audio_output = usage.audio_output_tokens.min(usage.output_tokens - reasoning);
    let shown = usage.output_tokens - reasoning - audio_output;
    let image_output = usage.image_output_tokens.min(shown);
    [
        (usage.input_tokens - audio_input - image_input, rates.input),
        (audio_input, rates.audio_input),
        (image_input, rates.image_input),
        (usage.cache_read_tokens - audio_read, rates.cache_read),
        (audio_read, rates.audio_cache_read),
        (usage.cache_write_tokens, rates.cache_write),
        (usage.cache_write_1h_tokens, rates.cache_write_1h),
        (shown - image_output, rates.output),
        (reasoning, rates.reasoning),
        (audio_output, rates.audio_output),
        (image_output, rates.image_output),
    ]
}

/// The units that are billed beside the tokens. The file often prices the same thing by the token and by the unit: then
/// the tokens count where the answer tells them, and the units where it does not.
struct Billed {
    images: u64,
    characters: u64,
    audio_ms: u64,
    output_audio_ms: u64,
    pages: u64,
}

impl Billed {
    fn of(usage: &Usage, rates: &Rates) -> Self {
        let unless = |by_tokens: bool, units: u64| if by_tokens { 0 } else { units };
        let input = usage.input_tokens > 0 && rates.input > 0;
        let output = usage.output_tokens > 0;
        Self {
            images: unless(output && rates.image_output.max(rates.output) > 0, usage.images),
            characters: unless(input, usage.characters),
            audio_ms: unless(usage.audio_input_tokens > 0 && rates.audio_input > 0, usage.audio_ms),
            output_audio_ms: unless(output && rates.audio_output > 0, usage.output_audio_ms),
            pages: unless(input, usage.pages),
        }
    }
}

impl Rates {
    fn dearest_input(&self, bound: &Bound) -> i64 {
        let mut dearest = self.input.max(self.cache_read).max(self.cache_write);
        if bound.long_cache {
            dearest = dearest.max(self.cache_write_1h);
        }
        if bound.audio {
            dearest = dearest.max(self.audio_input).max(self.audio_cache_read);
        }
        if bound.image_input {
            dearest = dearest.max(self.image_input);
        }
        dearest
    }

    fn dearest_output(&self, bound: &Bound) -> i64 {
        let dearest = self.output.max(self.reasoning).max(self.image_output);
        if bound.audio {
            dearest.max(self.audio_output)
        } else {
            dearest
        }
    }
}

#[cfg(test)]
#[path = "cost_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "bound_tests.rs"]
mod bound_tests;
