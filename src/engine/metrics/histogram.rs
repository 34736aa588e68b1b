//! Histograms of whole numbers: fixed bounds, one relaxed atomic a bucket and one for the sum. Whoever observes neither
//! locks nor allocates; whoever reads adds several of them up first, because each worker has its own.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of the buckets, in the unit of what is observed, rising.
pub type Bounds = &'static [u64];

/// Values that were observed, by bucket.
#[derive(Debug)]
pub struct Histogram {
    bounds: Bounds,
    /// One more than there are bounds: the last holds what is above them all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    pub fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }
}

/// What several histograms of the same bounds hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    pub bounds: Bounds,
    /// Not yet cumulated.
    pub counts: Vec<u64>,
    pub sum: u64,
}

impl Distribution {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0,
        }
    }

    pub fn add(&mut self, histogram: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&histogram.counts) {
            *count += more.load(Ordering::Relaxed);
        }
        self.sum = self.sum.wrapping_add(histogram.sum.load(Ordering::Relaxed));
    }

    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_first_bucket_that_it_does_not_exceed() {
        let (one, other) = (Histogram::new(&[10, 20]), Histogram::new(&[10, 20]));
        for value in [0, 10, 11, 20] {
            one.observe(value);
        }
        other.observe(21);
        let mut sum = Distribution::new(&[10, 20]);
        assert!(sum.is_empty());
        sum.add(&one);
        sum.add(&other);
        assert_eq!((sum.counts, sum.sum), (vec![2, 2, 1], 62));
    }
}
