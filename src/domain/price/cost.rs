//! The two sums: what a usage cost, and what a call can cost at most. Each is one `i128` sum, one division and one
//! rounding: a cost rounds half up, a bound rounds up. Overflow is an error, never a wrap or a panic.

use super::{ModelPrice, Rates, ServiceTier};
use crate::domain::money::Money;
use crate::domain::usage::Usage;

/// Rates are per this many units.
const UNITS: i128 = 1_000_000;

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
}

/// A sum of units times rates, checked at every step.
struct Sum(i128);

impl Sum {
    fn add(&mut self, units: u64, rate: i64) -> Result<(), PriceOverflow> {
        let product = i128::from(units).checked_mul(i128::from(rate)).ok_or(PriceOverflow)?;
        self.0 = self.0.checked_add(product).ok_or(PriceOverflow)?;
        Ok(())
    }

    fn add_fee(&mut self, count: u64, fee: Money) -> Result<(), PriceOverflow> {
        let product = i128::from(count)
            .checked_mul(i128::from(fee.nanos()) * UNITS)
            .ok_or(PriceOverflow)?;
        self.0 = self.0.checked_add(product).ok_or(PriceOverflow)?;
        Ok(())
    }

    /// The one division; `lift` decides the rounding.
    fn divide(self, lift: i128) -> Result<Money, PriceOverflow> {
        let nanos = self.0.checked_add(lift).ok_or(PriceOverflow)? / UNITS;
        i64::try_from(nanos).map(Money::from_nanos).map_err(|_| PriceOverflow)
    }

    fn round_half_up(self) -> Result<Money, PriceOverflow> {
        self.divide(UNITS / 2)
    }

    fn round_up(self) -> Result<Money, PriceOverflow> {
        self.divide(UNITS - 1)
    }
}

impl ModelPrice {
    /// What a usage costs at the tier that served it; the whole call is at the long-context rates when its total
    /// input passed the threshold.
    pub fn cost(&self, usage: &Usage, tier: ServiceTier) -> Result<Money, PriceOverflow> {
        let rates = self.rates_for(tier, usage.total_input());
        let audio_input = usage.audio_input_tokens.min(usage.input_tokens);
        let reasoning = usage.reasoning_tokens.min(usage.output_tokens);
        let audio_output = usage.audio_output_tokens.min(usage.output_tokens - reasoning);
        let mut sum = Sum(0);
        sum.add(usage.input_tokens - audio_input, rates.input)?;
        sum.add(audio_input, rates.audio_input)?;
        sum.add(usage.cache_read_tokens, rates.cache_read)?;
        sum.add(usage.cache_write_tokens, rates.cache_write)?;
        sum.add(usage.cache_write_1h_tokens, rates.cache_write_1h)?;
        sum.add(usage.output_tokens - reasoning - audio_output, rates.output)?;
        sum.add(reasoning, rates.reasoning)?;
        sum.add(audio_output, rates.audio_output)?;
        sum.add_fee(usage.web_searches, self.web_search_fee)?;
        sum.add_fee(1, self.request_fee)?;
        sum.round_half_up()
    }

    /// What a call within the bound costs at most, over every tier and threshold that it may reach.
    pub fn upper_bound(&self, bound: &Bound) -> Result<Money, PriceOverflow> {
        let (mut input, mut output) = (0, 0);
        for tier in [ServiceTier::Standard, bound.service_tier] {
            let rates = self.tier(tier);
            let reached = rates
                .long_context
                .iter()
                .filter(|(above, _)| bound.input_tokens > *above);
            for rates in std::iter::once(&rates.base).chain(reached.map(|(_, rates)| rates)) {
                input = input.max(rates.dearest_input(bound));
                output = output.max(rates.dearest_output(bound));
            }
        }
        let mut sum = Sum(0);
        sum.add(bound.input_tokens, input)?;
        sum.add(bound.output_tokens, output)?;
        sum.add_fee(bound.web_searches, self.web_search_fee)?;
        sum.add_fee(1, self.request_fee)?;
        sum.round_up()
    }

    fn rates_for(&self, tier: ServiceTier, total_input: u64) -> &Rates {
        let rates = self.tier(tier);
        let reached = rates.long_context.iter().rev().find(|(above, _)| total_input > *above);
        reached.map_or(&rates.base, |(_, long)| long)
    }
}

impl Rates {
    fn dearest_input(&self, bound: &Bound) -> i64 {
        let mut dearest = self.input.max(self.cache_read).max(self.cache_write);
        if bound.long_cache {
            dearest = dearest.max(self.cache_write_1h);
        }
        if bound.audio {
            dearest = dearest.max(self.audio_input);
        }
        dearest
    }

    fn dearest_output(&self, bound: &Bound) -> i64 {
        let dearest = self.output.max(self.reasoning);
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
