//! The time of the outbox. The clock of the house stands still while the system's clock has gone back; leases and delays
//! would then never run out. This one goes on at the pace of monotonic time, and follows the other where that is ahead.

use std::cell::Cell;

use super::super::clock::Clock;

pub struct SteadyClock {
    clock: Clock,
    /// The latest wall time that the clock itself came to (unix milliseconds), and when that was (monotonic, in
    /// microseconds).
    latest: Cell<(i64, u64)>,
}

impl SteadyClock {
    pub fn new(clock: Clock) -> Self {
        let now = clock.now();
        let latest = Cell::new((now.wall_ms, now.monotonic_us));
        Self { clock, latest }
    }

    /// Unix milliseconds, never going back nor standing still.
    pub fn now_ms(&self) -> i64 {
        let now = self.clock.now();
        let (latest_ms, read_us) = self.latest.get();
        let passed_ms = now.monotonic_us.saturating_sub(read_us) / 1000;
        let expected_ms = latest_ms.saturating_add(i64::try_from(passed_ms).unwrap_or(i64::MAX));
        if now.wall_ms < expected_ms {
            return expected_ms;
        }
        self.latest.set((now.wall_ms, now.monotonic_us));
        now.wall_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_where_the_clock_of_the_house_stands_still() {
        let ahead_ms = Clock::new(0).wall_ms() + 3_600_000;
        let clock = Clock::new(ahead_ms);
        let steady = SteadyClock::new(clock.clone());
        let begun_us = clock.monotonic_us();
        while clock.monotonic_us() < begun_us + 5_000 {
            std::hint::spin_loop();
        }
        assert_eq!(clock.wall_ms(), ahead_ms);
        assert!(steady.now_ms() >= ahead_ms + 4);
    }

    #[test]
    fn it_follows_the_clock_of_the_house() {
        let clock = Clock::new(0);
        let steady = SteadyClock::new(clock.clone());
        let before_ms = clock.wall_ms();
        let read_ms = steady.now_ms();
        assert!(
            (before_ms..=before_ms + 10_000).contains(&read_ms),
            "{}",
            read_ms - before_ms
        );
    }
}
