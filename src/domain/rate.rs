//! A token bucket as GCRA: one instant per key, the theoretical arrival time. It refills at `rpm` a minute and holds
//! `burst`; the clock is the caller's, in monotonic microseconds.

/// Requests a minute, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// 1 to 1,000,000.
    pub rpm: u32,
    /// `None`: as many as `rpm`.
    pub burst: Option<u32>,
}

/// The state of one bucket; the default is a full one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    theoretical_arrival_us: u64,
}

/// What a bucket says of its state, for the rate-limit headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateStatus {
    pub limit: u32,
    pub remaining: u32,
    /// Microseconds until the bucket is full again.
    pub full_in_us: u64,
    /// Microseconds until the next request fits; zero where one fits now.
    pub retry_in_us: u64,
}

impl RateLimit {
    pub fn capacity(self) -> u32 {
        self.burst.unwrap_or(self.rpm).max(1)
    }

    /// Rounded up, so that the bucket never refills faster than `rpm`.
    fn interval_us(self) -> u64 {
        60_000_000u64.div_ceil(u64::from(self.rpm.max(1)))
    }
}

impl Bucket {
    /// The state at `now_us`, without taking anything.
    pub fn status(self, limit: RateLimit, now_us: u64) -> RateStatus {
        let interval = limit.interval_us();
        let used_us = self.theoretical_arrival_us.saturating_sub(now_us);
        let window_us = interval * u64::from(limit.capacity());
        let free = window_us.saturating_sub(used_us) / interval;
        RateStatus {
            limit: limit.rpm,
            remaining: u32::try_from(free).unwrap_or(u32::MAX),
            full_in_us: used_us,
            retry_in_us: (used_us + interval).saturating_sub(window_us),
        }
    }

    /// Takes one token; the caller has seen in [`Bucket::status`] that there is one.
    pub fn take(&mut self, limit: RateLimit, now_us: u64) {
        self.theoretical_arrival_us = self.theoretical_arrival_us.max(now_us) + limit.interval_us();
    }

    /// Gives back the token of a call that was not admitted after all.
    pub fn give_back(&mut self, limit: RateLimit) {
        self.theoretical_arrival_us = self.theoretical_arrival_us.saturating_sub(limit.interval_us());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admit(bucket: &mut Bucket, limit: RateLimit, now_us: u64) -> bool {
        let fits = bucket.status(limit, now_us).remaining > 0;
        if fits {
            bucket.take(limit, now_us);
        }
        fits
    }

    #[test]
    fn holds_a_burst_and_refills_at_its_rate() {
        let limit = RateLimit {
            rpm: 60,
            burst: Some(3),
        };
        let mut bucket = Bucket::default();
        let second = 1_000_000;
        let table = [
            (0, true),
            (0, true),
            (0, true),
            (0, false),
            (second - 1, false),
            (second, true),
            (second, false),
            (9 * second, true),
        ];
        for (now, admitted) in table {
            assert_eq!(admit(&mut bucket, limit, now), admitted, "at {now}");
        }
        let status = Bucket {
            theoretical_arrival_us: 3 * second,
        }
        .status(limit, 0);
        assert_eq!(
            status,
            RateStatus {
                limit: 60,
                remaining: 0,
                full_in_us: 3 * second,
                retry_in_us: second
            }
        );
    }

    proptest! {
        #[test]
        fn over_any_minute_at_most_rpm_and_burst_and_all_of_it_usable(
            rpm in 1u32..300, burst in 1u32..50,
            gaps in prop::collection::vec(0u64..3_000_000, 1..400),
        ) {
            let limit = RateLimit { rpm, burst: Some(burst) };
            let mut bucket = Bucket::default();
            let mut now = 0;
            let mut admitted: Vec<u64> = Vec::new();
            for gap in gaps {
                now += gap;
                if admit(&mut bucket, limit, now) {
                    admitted.push(now);
                }
                let recent = admitted.iter().filter(|at| **at + 60_000_000 > now).count();
                prop_assert!(recent as u64 <= u64::from(rpm) + u64::from(burst));
            }
            let status = bucket.status(limit, now);
            prop_assert!(admit(&mut bucket, limit, now + status.retry_in_us));
        }
    }
}
