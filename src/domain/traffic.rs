//! What goes through, as it is summed: how many calls of each kind, how much they used, and how long they took. Times are
//! kept as counts of a few spans, so that sums of them still tell the median; nothing here knows who asks.

use super::money::Money;
use super::request::{OpenRequest, Outcome, Settlement, UsageSource};

/// Where the spans of a [`Spread`] end, in milliseconds; the last one has no end. The migration has them too.
pub const SPAN_ENDS_MS: [u64; 15] = [
    50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 20_000, 40_000, 80_000,
];
pub const SPAN_COUNT: usize = SPAN_ENDS_MS.len() + 1;

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The provider wants fewer calls: 429.
    Throttled,
    /// Any other status from 400 to 499.
    Rejected,
    /// The provider was too slow: 504.
    TimedOut,
    /// Any other status from 500.
    Failed,
    /// No status says so: the answer broke off, or we crashed.
    Broken,
}

impl Failure {
    pub const ALL: [Self; 5] = [
        Self::Throttled,
        Self::Rejected,
        Self::TimedOut,
        Self::Failed,
        Self::Broken,
    ];

    /// `None` where the request was completed.
    pub fn of(outcome: Outcome, http_status: u16) -> Option<Self> {
        match (outcome, http_status) {
            (Outcome::Completed, _) => None,
            (Outcome::Error, 429) => Some(Self::Throttled),
            (Outcome::Error, 400..=499) => Some(Self::Rejected),
            (Outcome::Error, 504) => Some(Self::TimedOut),
            (Outcome::Error, 500..) => Some(Self::Failed),
            (Outcome::Error, _) => Some(Self::Broken),
        }
    }

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Rejected => "rejected",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::Broken => "broken",
        }
    }
}

/// How many calls took how long, by spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread(pub [u64; SPAN_COUNT]);

impl Spread {
    pub fn count(&mut self, took_ms: u64) {
        let span = SPAN_ENDS_MS.partition_point(|end| *end <= took_ms);
        self.0[span] = self.0[span].saturating_add(1);
    }

    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }

    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The milliseconds within which so many of a thousand calls were done, as if those of a span were spread evenly over
    /// it; `None` without calls. In the last span it is where that begins.
    pub fn quantile_ms(&self, per_mille: u32) -> Option<u64> {
        let total = u128::from(self.total());
        let rank = (total * u128::from(per_mille)).div_ceil(1000).max(1);
        let mut below = 0u128;
        for (span, count) in self.0.iter().enumerate() {
            let count = u128::from(*count);
            if below + count >= rank {
                let start = span.checked_sub(1).map_or(0, |before| SPAN_ENDS_MS[before]);
                let end = SPAN_ENDS_MS.get(span).copied().unwrap_or(start);
                let within = u128::from(end - start) * (rank - below) / count;
                return Some(start.saturating_add(u64::try_from(within).unwrap_or(0)));
            }
            below += count;
        }
        None
    }
}

/// Sums over some requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficFigures {
    pub request_count: u64,
    /// In the order of [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
    /// Requests whose usage is an estimate.
    pub estimated_count: u64,
    /// Input that no cache served or kept.
    pub input_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub output_tokens: u64,
    pub cost: Money,
    pub charge: Money,
}

impl TrafficFigures {
    /// The figures of one request.
    pub fn of(settlement: &Settlement) -> Self {
        let usage = settlement.usage;
        let failure = Failure::of(settlement.outcome, settlement.http_status);
        let is_estimate = match settlement.usage_source {
            UsageSource::Partial | UsageSource::Estimated | UsageSource::CrashEstimate => true,
            UsageSource::Provider | UsageSource::None | UsageSource::Reported => false,
        };
        Self {
            request_count: 1,
            failures: Failure::ALL.map(|kind| u64::from(failure == Some(kind))),
            estimated_count: u64::from(is_estimate),
            input_tokens: usage.input_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens),
            output_tokens: usage.output_tokens,
            cost: settlement.cost,
            charge: settlement.charge.as_ref().map_or(Money::ZERO, |charge| charge.amount),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        let mut failures = self.failures;
        for (count, more) in failures.iter_mut().zip(other.failures) {
            *count = count.saturating_add(more);
        }
        Self {
            request_count: self.request_count.saturating_add(other.request_count),
            failures,
            estimated_count: self.estimated_count.saturating_add(other.estimated_count),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cost: self.cost.saturating_add(other.cost),
            charge: self.charge.saturating_add(other.charge),
        }
    }

    pub fn error_count(&self) -> u64 {
        self.failures.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// All input, from caches or not.
    pub fn total_input(&self) -> u64 {
        let cached = self.cache_read_tokens.saturating_add(self.cache_write_tokens);
        self.input_tokens.saturating_add(cached)
    }

    /// Input and output.
    pub fn tokens(&self) -> u64 {
        self.total_input().saturating_add(self.output_tokens)
    }

    /// How many of a thousand input tokens a cache served; `None` without input.
    pub fn cache_per_mille(&self) -> Option<u64> {
        per_mille(self.cache_read_tokens, self.total_input())
    }

    /// How many of a thousand requests ended in an error; `None` without requests.
    pub fn error_per_mille(&self) -> Option<u64> {
        per_mille(self.error_count(), self.request_count)
    }
}

/// A part in thousandths of its whole, rounded half up; `None` where the whole is nothing.
pub fn per_mille(part: u64, whole: u64) -> Option<u64> {
    let (part, whole) = (u128::from(part), u128::from(whole));
    let rounded = (part * 2000 + whole).checked_div(whole * 2)?;
    u64::try_from(rounded).ok()
}

/// How long calls took, to their end and to their first token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    pub latency: Spread,
    pub first_token: Spread,
}

impl Timings {
    /// Those of one request: only a call that was completed says anything.
    pub fn of(open: &OpenRequest, settlement: &Settlement) -> Self {
        let mut timings = Self::default();
        if settlement.outcome == Outcome::Completed && settlement.usage_source != UsageSource::Reported {
            let took_ms = settlement.finished_at_ms.saturating_sub(open.admitted_at_ms);
            timings.latency.count(u64::try_from(took_ms).unwrap_or(0));
            if let Some(took_ms) = settlement.first_token_ms {
                timings.first_token.count(took_ms.into());
            }
        }
        timings
    }

    pub fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency);
        self.first_token.add(&other.first_token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_ending_is_of_one_kind() {
        for (status, kind) in [
            (0, Failure::Broken),
            (200, Failure::Broken),
            (399, Failure::Broken),
            (400, Failure::Rejected),
            (428, Failure::Rejected),
            (429, Failure::Throttled),
            (499, Failure::Rejected),
            (500, Failure::Failed),
            (503, Failure::Failed),
            (504, Failure::TimedOut),
            (999, Failure::Failed),
        ] {
            assert_eq!(Failure::of(Outcome::Error, status), Some(kind), "{status}");
            assert_eq!(Failure::of(Outcome::Completed, status), None);
        }
    }

    #[test]
    fn a_share_is_rounded_half_up_and_of_nothing_there_is_none() {
        for (part, whole, expected) in [
            (0, 0, None),
            (0, 7, Some(0)),
            (1, 2000, Some(1)),
            (1, 2001, Some(0)),
            (2, 3, Some(667)),
            (u64::MAX, u64::MAX, Some(1000)),
        ] {
            assert_eq!(per_mille(part, whole), expected, "{part} of {whole}");
        }
    }

    #[test]
    fn quantiles_lie_where_their_calls_do() {
        let spread = |times: &[u64]| {
            let mut spread = Spread::default();
            times.iter().for_each(|time| spread.count(*time));
            spread
        };
        assert_eq!(spread(&[]).quantile_ms(500), None);
        assert_eq!(spread(&[49]).quantile_ms(500), Some(50));
        assert_eq!(spread(&[50]).quantile_ms(500), Some(100));
        assert_eq!(spread(&[10, 10, 600, 600]).quantile_ms(500), Some(50));
        assert_eq!(spread(&[10, 10, 600, 600]).quantile_ms(950), Some(750));
        assert_eq!(spread(&[90_000]).quantile_ms(990), Some(80_000));
    }

    proptest! {
        #[test]
        fn a_quantile_is_in_the_span_of_the_call_of_its_rank(
            mut times in proptest::collection::vec(0u64..200_000, 1..200), per_mille in 1u32..=1000,
        ) {
            let (mut one, mut other) = (Spread::default(), Spread::default());
            for (place, time) in times.iter().enumerate() {
                if place % 2 == 0 { one.count(*time) } else { other.count(*time) }
            }
            one.add(&other);
            times.sort_unstable();
            let rank = (times.len() * per_mille as usize).div_ceil(1000).max(1);
            let time = times[rank - 1];
            let span = SPAN_ENDS_MS.partition_point(|end| *end <= time);
            let start = span.checked_sub(1).map_or(0, |before| SPAN_ENDS_MS[before]);
            let end = SPAN_ENDS_MS.get(span).copied().unwrap_or(start);
            let found = one.quantile_ms(per_mille).unwrap();
            prop_assert!((start..=end).contains(&found), "{found} for {time}");
        }
    }
}
