//! What came of a load: answers by status, failed exchanges, and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::histogram::Histogram;

/// The count of one load.
pub struct Tally {
    pub statuses: BTreeMap<u16, u64>,
    /// Exchanges that failed below HTTP: refused, reset, cut short.
    pub failed_count: u64,
    /// Requests that had no answer when the time was up.
    pub unfinished_count: u64,
    pub body_bytes: u64,
    pub elapsed: Duration,
    /// From the intended sending to the last byte.
    pub latency: Histogram,
    /// From the intended sending to the first byte of the body.
    pub first_byte: Histogram,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self {
            statuses: BTreeMap::new(),
            failed_count: 0,
            unfinished_count: 0,
            body_bytes: 0,
            elapsed: Duration::ZERO,
            latency: Histogram::new(),
            first_byte: Histogram::new(),
        }
    }

    /// Answers with a 2xx.
    pub fn answered_count(&self) -> u64 {
        self.statuses
            .iter()
            .filter(|(status, _)| (200..300).contains(*status))
            .map(|(_, count)| count)
            .sum()
    }

    /// Everything that did not end with a 2xx.
    pub fn error_count(&self) -> u64 {
        let answers: u64 = self.statuses.values().sum();
        answers - self.answered_count() + self.failed_count + self.unfinished_count
    }

    /// The figures of this load.
    pub fn summary(&self) -> Summary {
        Summary {
            answered_count: self.answered_count(),
            error_count: self.error_count(),
            statuses: self.statuses.clone(),
            failed_count: self.failed_count,
            unfinished_count: self.unfinished_count,
            body_bytes: self.body_bytes,
            elapsed_ms: u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            requests_per_second: per_second(self.answered_count(), self.elapsed),
            latency: Quantiles::of(&self.latency),
            first_byte: Quantiles::of(&self.first_byte),
        }
    }
}

/// The figures of one load, as they are printed.
#[derive(Serialize)]
pub struct Summary {
    pub answered_count: u64,
    pub error_count: u64,
    pub statuses: BTreeMap<u16, u64>,
    pub failed_count: u64,
    pub unfinished_count: u64,
    pub body_bytes: u64,
    pub elapsed_ms: u64,
    pub requests_per_second: u64,
    pub latency: Quantiles,
    pub first_byte: Quantiles,
}

/// Three quantiles of a duration.
#[derive(Clone, Copy, Serialize)]
pub struct Quantiles {
    pub p50_nanos: u64,
    pub p99_nanos: u64,
    pub p999_nanos: u64,
}

impl Quantiles {
    /// Reads the three off a histogram.
    pub fn of(histogram: &Histogram) -> Self {
        Self {
            p50_nanos: histogram.quantile_nanos(500),
            p99_nanos: histogram.quantile_nanos(990),
            p999_nanos: histogram.quantile_nanos(999),
        }
    }

    /// The three in ascending order.
    pub fn nanos(self) -> [u64; 3] {
        [self.p50_nanos, self.p99_nanos, self.p999_nanos]
    }
}

/// `count` in `elapsed`, as a rate, rounded to the nearest whole number.
pub fn per_second(count: u64, elapsed: Duration) -> u64 {
    let nanos = elapsed.as_nanos().max(1);
    let rate = (u128::from(count) * 1_000_000_000 + nanos / 2) / nanos;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_2xx_is_an_answer_and_all_else_is_an_error() {
        let mut tally = Tally::new();
        tally.statuses = BTreeMap::from([(200, 7), (201, 1), (402, 2), (502, 3)]);
        tally.failed_count = 4;
        tally.unfinished_count = 5;
        assert_eq!((tally.answered_count(), tally.error_count()), (8, 14));
    }

    #[test]
    fn a_rate_is_rounded_and_never_divides_by_zero() {
        assert_eq!(per_second(3, Duration::from_secs(2)), 2);
        assert_eq!(per_second(1_000, Duration::from_millis(500)), 2_000);
        assert_eq!(per_second(0, Duration::ZERO), 0);
    }
}
