//! The cycles of a subscription, as pure functions of the instant at which it is anchored: in UTC, each computed from
//! the anchor and never from the one before, so that a subscription begun on the 31st renews on the last day of shorter
//! months and returns to the 31st. The calendar cycles of spend keys are something else: see `cycle`.

use chrono::{DateTime, Datelike, Months, Utc};

use super::terms::Interval;

const DAY_S: i64 = 86_400;
const WEEK_S: i64 = 7 * DAY_S;

/// One cycle of a subscription, in unix seconds: `start_s` inclusive, `end_s` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BillingPeriod {
    /// How many cycles of this anchor were before it.
    pub index: u32,
    pub start_s: i64,
    pub end_s: i64,
}

impl BillingPeriod {
    /// The cycle of this index.
    pub fn nth(anchor_s: i64, interval: Interval, index: u32) -> Self {
        Self {
            index,
            start_s: boundary(anchor_s, interval, index.into()),
            end_s: boundary(anchor_s, interval, i64::from(index) + 1),
        }
    }

    /// The cycle that `now_s` falls in; before the anchor it is the first one.
    pub fn containing(anchor_s: i64, interval: Interval, now_s: i64) -> Self {
        let elapsed_s = now_s.saturating_sub(anchor_s).max(0);
        let index = match interval {
            Interval::Day => elapsed_s / DAY_S,
            Interval::Week => elapsed_s / WEEK_S,
            Interval::Month => whole_months(anchor_s, interval, now_s, 1),
            Interval::Year => whole_months(anchor_s, interval, now_s, 12),
        };
        Self::nth(anchor_s, interval, u32::try_from(index.max(0)).unwrap_or(u32::MAX))
    }
}

/// The instant at which the cycle of this index begins. Beyond the calendar's range, some 260,000 years away, it is the
/// end of time.
fn boundary(anchor_s: i64, interval: Interval, index: i64) -> i64 {
    match interval {
        Interval::Day => anchor_s.saturating_add(index.saturating_mul(DAY_S)),
        Interval::Week => anchor_s.saturating_add(index.saturating_mul(WEEK_S)),
        Interval::Month => months_later(anchor_s, index),
        Interval::Year => months_later(anchor_s, index.saturating_mul(12)),
    }
}

/// The same day and time so many months later, or the month's last day where it is shorter.
fn months_later(anchor_s: i64, months: i64) -> i64 {
    let later = u32::try_from(months)
        .ok()
        .and_then(|months| calendar(anchor_s)?.checked_add_months(Months::new(months)));
    later.map_or(i64::MAX, |instant| instant.timestamp())
}

/// How many cycles of so many months have begun since the anchor.
fn whole_months(anchor_s: i64, interval: Interval, now_s: i64, months: i64) -> i64 {
    let (Some(anchor), Some(now)) = (calendar(anchor_s), calendar(now_s)) else {
        return 0;
    };
    let years = i64::from(now.year()) - i64::from(anchor.year());
    let index = (years * 12 + i64::from(now.month()) - i64::from(anchor.month())).div_euclid(months);
    // A boundary keeps its calendar month, so the cycle is that of this month or the one before.
    if boundary(anchor_s, interval, index.max(0)) > now_s {
        index - 1
    } else {
        index
    }
}

fn calendar(instant_s: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(instant_s, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp()
    }

    fn day(text: &str) -> i64 {
        at(&format!("{text}T10:30:00Z"))
    }

    #[test]
    fn cycles_begin_where_the_calendar_says_and_never_drift() {
        #[rustfmt::skip]
        let table = [
            (Interval::Day, "2026-02-28", ["2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]),
            (Interval::Week, "2026-12-30", ["2026-12-30", "2027-01-06", "2027-01-13", "2027-01-20", "2027-01-27"]),
            (Interval::Month, "2026-01-31", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
            (Interval::Month, "2028-01-30", ["2028-01-30", "2028-02-29", "2028-03-30", "2028-04-30", "2028-05-30"]),
            (Interval::Month, "2027-11-29", ["2027-11-29", "2027-12-29", "2028-01-29", "2028-02-29", "2028-03-29"]),
            (Interval::Month, "2026-11-15", ["2026-11-15", "2026-12-15", "2027-01-15", "2027-02-15", "2027-03-15"]),
            (Interval::Year, "2028-02-29", ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
            (Interval::Year, "2096-02-29", ["2096-02-29", "2097-02-28", "2098-02-28", "2099-02-28", "2100-02-28"]),
        ];
        for (interval, anchor, starts) in table {
            for (index, start) in (0..).zip(starts) {
                let period = BillingPeriod::nth(day(anchor), interval, index);
                assert_eq!(period.start_s, day(start), "{interval:?} {anchor} {index}");
            }
        }
    }

    #[test]
    fn four_hundred_years_are_tiled_without_gap_or_overlap() {
        let anchors = [
            "2026-01-31T23:59:59Z",
            "2028-02-29T00:00:00Z",
            "2026-12-31T12:00:00Z",
            "2026-11-21T08:00:01Z",
        ];
        for anchor in anchors.map(at) {
            let until = at("2430-01-01T00:00:00Z");
            for interval in Interval::ALL {
                let mut period = BillingPeriod::nth(anchor, interval, 0);
                assert_eq!(period.start_s, anchor);
                while period.start_s < until {
                    assert!(period.start_s < period.end_s);
                    for now in [period.start_s, period.end_s - 1] {
                        assert_eq!(BillingPeriod::containing(anchor, interval, now), period);
                    }
                    let next = BillingPeriod::containing(anchor, interval, period.end_s);
                    assert_eq!((next.index, next.start_s), (period.index + 1, period.end_s));
                    period = next;
                }
            }
        }
    }

    #[test]
    fn before_the_anchor_and_beyond_the_calendar_there_is_still_a_cycle() {
        for interval in Interval::ALL {
            let first = BillingPeriod::containing(day("2026-11-21"), interval, 0);
            assert_eq!((first.index, first.start_s), (0, day("2026-11-21")));
            let last = BillingPeriod::nth(day("2026-11-21"), interval, u32::MAX);
            assert!(last.start_s <= last.end_s);
            assert!(BillingPeriod::containing(day("2026-11-21"), interval, i64::MAX).start_s >= first.start_s);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_cycle_holds_its_instant_and_its_day(
            anchor in 0i64..4_000_000_000,
            later in 0i64..12_600_000_000,
            interval in prop::sample::select(Interval::ALL.to_vec()),
        ) {
            let now = anchor + later;
            let period = BillingPeriod::containing(anchor, interval, now);
            prop_assert!(period.start_s <= now && now < period.end_s);
            prop_assert_eq!(BillingPeriod::nth(anchor, interval, period.index), period);
            // The time of day is the anchor's for ever; the day of the month is, or is the month's last.
            prop_assert_eq!((period.start_s - anchor).rem_euclid(DAY_S), 0);
            if matches!(interval, Interval::Month | Interval::Year) {
                let (start, first) = (calendar(period.start_s).unwrap(), calendar(anchor).unwrap());
                let next_day = start + chrono::TimeDelta::days(1);
                prop_assert!(start.day() == first.day() || start.day() < first.day() && next_day.day() == 1);
            }
        }
    }
}
