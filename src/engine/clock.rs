//! The one clock of the house. Wall time is a ratchet that never goes back, and cannot be pulled ahead of monotonic
//! time by more than the system clock says; monotonic time counts from the start of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::spend::Now;

/// Reads time; clones share the ratchet.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    latest_ms: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that is never behind `not_before_ms` (unix milliseconds), the latest instant that was ever recorded.
    pub fn new(not_before_ms: i64) -> Self {
        Self {
            started: Instant::now(),
            latest_ms: Arc::new(AtomicI64::new(not_before_ms)),
        }
    }

    pub fn now(&self) -> Now {
        Now {
            wall_ms: self.wall_ms(),
            monotonic_us: self.monotonic_us(),
        }
    }

    /// Unix milliseconds, never going back.
    pub fn wall_ms(&self) -> i64 {
        let read = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let read = i64::try_from(read).unwrap_or(i64::MAX);
        self.latest_ms.fetch_max(read, Ordering::Relaxed).max(read)
    }

    /// Unix microseconds, for ids only; not ratcheted.
    pub fn wall_us(&self) -> i64 {
        let read = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros());
        i64::try_from(read).unwrap_or(i64::MAX)
    }

    /// Learns that it is this late at least. So a simulation goes through time that is yet to come.
    pub fn advance_to(&self, wall_ms: i64) {
        self.latest_ms.fetch_max(wall_ms, Ordering::Relaxed);
    }

    pub fn monotonic_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_forward_only_and_its_clones_with_it() {
        let (clock, far_ms) = (Clock::new(0), 4_000_000_000_000);
        let before_ms = clock.wall_ms();
        clock.clone().advance_to(far_ms);
        assert!(before_ms < far_ms && clock.wall_ms() == far_ms);
        clock.advance_to(before_ms);
        assert_eq!(clock.now().wall_ms, far_ms);
    }
}
