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
    theoretical_arrival_ns: u64,
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
    fn interval_ns(self) -> u64 {
        60_000_000_000u64.div_ceil(u64::from(self.rpm.max(1)))
    }
}

impl Bucket {
    /// The state at `now_us`, without taking anything.
    pub fn status(self, limit: RateLimit, now_us: u64) -> RateStatus {
        let interval = limit.interval_ns();
        let used = self.theoretical_arrival_ns.saturating_sub(nanoseconds(now_us));
        let window = interval.saturating_mul(u64::from(limit.capacity()));
        let free = window.saturating_sub(used) / interval;
        RateStatus {
            limit: limit.rpm,
            remaining: u32::try_from(free).unwrap_or(u32::MAX),
            full_in_us: used.div_ceil(1000),
            retry_in_us: used.saturating_add(interval).saturating_sub(window).div_ceil(1000),
        }
    }

    /// Takes one token; the caller has seen in [`Bucket::status`] that there is one.
    pub fn take(&mut self, limit: RateLimit, now_us: u64) {
        let from = self.theoretical_arrival_ns.max(nanoseconds(now_us));
        self.theoretical_arrival_ns = from.saturating_add(limit.interval_ns());
    }

    /// Gives back the token of a call that was not admitted after all.
    pub fn give_back(&mut self, limit: RateLimit) {
        self.theoretical_arrival_ns = self.theoretical_arrival_ns.saturating_sub(limit.interval_ns());
    }
}

const fn nanoseconds(us: u64) -> u64 {
    us.saturating_mul(1000)
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
            theoretical_arrival_ns: 3 * second * 1000,
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

    /// Callers that want more than they may have.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Arrivals {
        /// Every few milliseconds.
        Flood,
        /// Each as soon as it is told that it may.
        OnTheDot,
        /// Each a microsecond too early, and then in time.
        TooEarly,
        /// All at once when the bucket is full, or about so.
        Bursts,
        Random,
    }

    impl Arrivals {
        const ALL: [Self; 5] = [Self::Flood, Self::OnTheDot, Self::TooEarly, Self::Bursts, Self::Random];

        fn gap_us(self, status: RateStatus, random: u64) -> u64 {
            let full = status.retry_in_us > 0;
            match self {
                Self::Flood => 1 + random % 5_000,
                Self::OnTheDot => status.retry_in_us,
                Self::TooEarly => {
                    if status.retry_in_us > 1 {
                        status.retry_in_us - 1
                    } else {
                        status.retry_in_us
                    }
                }
                Self::Bursts if full => (status.full_in_us + random % 2_000_000)
                    .saturating_sub(1_000_000)
                    .max(1),
                Self::Bursts => 0,
                Self::Random => random % 2_500_000,
            }
        }

        /// Whether something is asked for whenever there is something to have.
        fn takes_all(self) -> bool {
            matches!(self, Self::Flood | Self::OnTheDot | Self::TooEarly)
        }
    }

    /// Plays half an hour of arrivals; how many were admitted.
    fn play(arrivals: Arrivals, limit: RateLimit, minutes: u64) -> u64 {
        const MINUTE_US: u64 = 60_000_000;
        let (mut bucket, mut now, mut random) = (Bucket::default(), 7 * MINUTE_US, 0x9e37_79b9u64);
        let (mut recent, mut count) = (std::collections::VecDeque::new(), 0);
        let end = now + minutes * MINUTE_US;
        while now < end {
            if admit(&mut bucket, limit, now) {
                recent.push_back(now);
                count += 1;
            }
            while recent.front().is_some_and(|at| *at + MINUTE_US < now) {
                recent.pop_front();
            }
            let bound = u64::from(limit.rpm) + u64::from(limit.capacity());
            assert!(
                recent.len() as u64 <= bound,
                "{arrivals:?} {limit:?}: {} in a minute",
                recent.len()
            );
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            now += arrivals.gap_us(bucket.status(limit, now), random >> 33);
        }
        count
    }

    #[test]
    fn no_arrivals_get_more_than_rpm_and_burst_in_any_minute_and_all_but_a_hundredth_can_be_had() {
        let minutes = 30;
        for (rpm, burst) in [
            (60, Some(10)),
            (60, Some(1)),
            (7, Some(3)),
            (1_000, Some(50)),
            (300, None),
        ] {
            let limit = RateLimit { rpm, burst };
            for arrivals in Arrivals::ALL {
                let count = play(arrivals, limit, minutes);
                let allowance = u64::from(rpm) * minutes + u64::from(limit.capacity());
                assert!(count <= allowance, "{arrivals:?} {limit:?}: {count} of {allowance}");
                let usable = count * 100 >= allowance * 99;
                assert!(
                    usable || !arrivals.takes_all(),
                    "{arrivals:?} {limit:?}: {count} of {allowance}"
                );
            }
        }
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
