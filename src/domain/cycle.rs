//! Cycles as pure functions of an instant and a zone: there is no reset job, a reset is the first use of a new cycle.
//! A window that has begun keeps its end when the zone changes; only the next one follows the new zone.

use chrono::{DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// How often a limit starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cycle {
    Daily,
    Weekly,
    Monthly,
    Total,
}

impl Cycle {
    pub const ALL: [Self; 4] = [Self::Daily, Self::Weekly, Self::Monthly, Self::Total];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Total => "total",
        }
    }
}

/// One run of a cycle, in unix seconds: `start` inclusive, `end` exclusive; `total` has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    pub start: i64,
    pub end: Option<i64>,
}

impl Window {
    /// The window of all time.
    pub const EVER: Self = Self { start: 0, end: None };

    /// The window of `cycle` that `now` (unix seconds) falls in.
    pub fn containing(cycle: Cycle, now: i64, zone: Tz) -> Self {
        let local = DateTime::<Utc>::from_timestamp(now, 0)
            .unwrap_or_default()
            .with_timezone(&zone)
            .date_naive();
        let (first, next) = match cycle {
            Cycle::Total => return Self::EVER,
            Cycle::Daily => (Some(local), local.checked_add_days(Days::new(1))),
            Cycle::Weekly => {
                let monday = local.checked_sub_days(Days::new(u64::from(local.weekday().num_days_from_monday())));
                (monday, monday.and_then(|day| day.checked_add_days(Days::new(7))))
            }
            Cycle::Monthly => {
                let first = local.with_day(1);
                (first, first.and_then(|day| day.checked_add_months(Months::new(1))))
            }
        };
        match (first, next) {
            (Some(first), Some(next)) => Self {
                start: midnight(first, zone),
                end: Some(midnight(next, zone)),
            },
            // Only dates beyond the calendar's range, some 260,000 years away, have no neighbour.
            (None, _) | (_, None) => Self::EVER,
        }
    }

    /// The window at `now`, given the one that ran before: the same while it lasts, else the one of the zone, which
    /// never begins before the last one ended.
    pub fn advance(self, cycle: Cycle, now: i64, zone: Tz) -> Self {
        match self.end {
            Some(end) if now >= end => {
                let next = Self::containing(cycle, now, zone);
                Self {
                    start: next.start.max(end),
                    end: next.end,
                }
            }
            Some(_) | None => self,
        }
    }
}

/// The first instant of a local day; where a clock change skips midnight, the first instant after the gap.
fn midnight(day: NaiveDate, zone: Tz) -> i64 {
    let mut local = day.and_time(NaiveTime::MIN);
    // A zone that moved across the date line has skipped a whole day.
    for _ in 0..=48 {
        match zone.from_local_datetime(&local) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => return instant.timestamp(),
            LocalResult::None => local += chrono::TimeDelta::minutes(30),
        }
    }
    day.and_time(NaiveTime::MIN).and_utc().timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp()
    }

    #[test]
    fn windows_start_where_the_calendar_says() {
        #[rustfmt::skip]
        let table = [
            (Cycle::Daily, "UTC", "2026-11-21T13:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            (Cycle::Daily, "UTC", "2026-12-31T23:59:59Z", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Cycle::Weekly, "UTC", "2027-01-01T12:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
            (Cycle::Weekly, "UTC", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            (Cycle::Monthly, "UTC", "2028-02-29T23:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Cycle::Daily, "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            (Cycle::Daily, "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),
            (Cycle::Monthly, "Asia/Kolkata", "2026-10-31T20:00:00Z", "2026-10-31T18:30:00Z", "2026-11-30T18:30:00Z"),
        ];
        for (cycle, zone, now, start, end) in table {
            let window = Window::containing(cycle, at(now), zone.parse().unwrap());
            assert_eq!(
                window,
                Window {
                    start: at(start),
                    end: Some(at(end))
                },
                "{cycle:?} {zone} {now}"
            );
        }
        assert_eq!(
            Window::containing(Cycle::Total, at("2026-11-21T13:00:00Z"), Tz::UTC),
            Window::EVER
        );
    }

    #[test]
    fn a_change_of_zone_waits_for_the_boundary() {
        let window = Window::containing(Cycle::Daily, at("2026-11-21T13:00:00Z"), Tz::UTC);
        let kept = window.advance(Cycle::Daily, at("2026-11-21T23:30:00Z"), Tz::Asia__Tokyo);
        assert_eq!(kept, window);
        let next = window.advance(Cycle::Daily, at("2026-11-22T01:00:00Z"), Tz::Asia__Tokyo);
        assert_eq!(
            next,
            Window {
                start: at("2026-11-22T00:00:00Z"),
                end: Some(at("2026-11-22T15:00:00Z"))
            }
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn windows_hold_their_instant_and_never_overlap_on_any_walk(
            start in 0i64..4_000_000_000,
            steps in prop::collection::vec((0i64..200_000, 0usize..5), 1..40),
            cycle in prop::sample::select(Cycle::ALL.to_vec()),
        ) {
            let zones = [Tz::UTC, Tz::Europe__Berlin, Tz::Asia__Kathmandu, Tz::Pacific__Apia, Tz::America__Sao_Paulo];
            let mut now = start;
            let mut window = Window::containing(cycle, now, Tz::UTC);
            for (step, zone) in steps {
                now += step;
                let next = window.advance(cycle, now, zones[zone]);
                prop_assert!(next.start <= now && next.end.is_none_or(|end| now < end));
                prop_assert!(next == window || window.end.is_some_and(|end| next.start >= end));
                window = next;
            }
        }
    }
}
