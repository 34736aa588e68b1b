//! Durations in fixed logarithmic buckets: 64 to a power of two, so a reading is at most 1.6 % off.
//! Recording is one addition; there is no allocation after the start. Whole numbers only.

use std::time::Duration;

const STEPS_PER_OCTAVE: u64 = 64;
const STEP_BITS: u32 = 6;
/// Durations of 2^42 ns (73 minutes) and more share the last bucket.
const HIGHEST_BIT: u32 = 41;
const BUCKET_COUNT: usize = ((HIGHEST_BIT - STEP_BITS + 2) as usize) << STEP_BITS;

/// A count of durations by length.
#[derive(Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self {
            buckets: vec![0; BUCKET_COUNT],
            count: 0,
        }
    }

    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(nanos)] += 1;
        self.count += 1;
    }

    /// The duration in nanoseconds that `per_mille` of 1,000 durations do not pass; 0 when nothing was counted.
    pub fn quantile_nanos(&self, per_mille: u64) -> u64 {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen >= rank {
                return middle_of(index);
            }
        }
        0
    }
}

fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.min((1 << (HIGHEST_BIT + 1)) - 1);
    if nanos < STEPS_PER_OCTAVE {
        return usize::try_from(nanos).unwrap_or(0);
    }
    let shift = nanos.ilog2() - STEP_BITS;
    let within = (nanos >> shift) - STEPS_PER_OCTAVE;
    let index = u64::from(shift + 1) * STEPS_PER_OCTAVE + within;
    usize::try_from(index).unwrap_or(BUCKET_COUNT - 1)
}

fn middle_of(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS_PER_OCTAVE {
        return index;
    }
    let shift = index / STEPS_PER_OCTAVE - 1;
    let lowest = (STEPS_PER_OCTAVE + index % STEPS_PER_OCTAVE) << shift;
    lowest + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_recorded_within_two_percent() {
        for nanos in [0, 1, 63, 64, 65, 1_000, 999_999, 5_000_000, 60_000_000_000] {
            let mut histogram = Histogram::new();
            histogram.record(Duration::from_nanos(nanos));
            let read = histogram.quantile_nanos(500);
            assert!(read.abs_diff(nanos) * 50 <= nanos, "{nanos} read as {read}");
        }
    }

    #[test]
    fn takes_a_duration_that_is_longer_than_the_last_bucket() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_secs(1_000_000));
        assert!(histogram.quantile_nanos(1000) > 4_000_000_000_000);
    }

    #[test]
    fn finds_the_quantiles_of_a_thousand_durations() {
        let mut histogram = Histogram::new();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (per_mille, micros) in [(500, 500), (990, 990), (999, 999), (1000, 1000)] {
            let read = histogram.quantile_nanos(per_mille) / 1000;
            assert!(read.abs_diff(micros) <= 16, "{per_mille}: {read}");
        }
    }

    #[test]
    fn an_empty_histogram_reads_zero() {
        assert_eq!(Histogram::new().quantile_nanos(990), 0);
    }

    #[test]
    fn buckets_never_go_down_as_durations_grow() {
        let mut last = 0;
        for nanos in 0..100_000 {
            let bucket = bucket_of(nanos);
            assert!(bucket == last || bucket == last + 1);
            last = bucket;
        }
    }
}
