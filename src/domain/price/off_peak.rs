//! Hours in which a model costs something else, as the price file gives them: times of day in UTC, on some days of the
//! week. A time that runs past midnight belongs to the day on which it began. Only reads what is written there; a window
//! that cannot be read is refused with the whole file.

use std::sync::Arc;

use serde::Deserialize;

use super::ModelPrice;

const DAY_MINUTES: u16 = 24 * 60;
const DAY_MS: i64 = 86_400_000;

/// What a model costs in some hours, and which those are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffPeak {
    pub(super) windows: Vec<Window>,
    pub(super) price: Arc<ModelPrice>,
}

/// A time of day on some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes since midnight: the first that is in, and the first that is out again.
    from: u16,
    to: u16,
}

impl OffPeak {
    /// Whether this instant (Unix milliseconds) is in one of the windows.
    pub(super) fn covers(&self, now_ms: i64) -> bool {
        let day = now_ms.div_euclid(DAY_MS);
        let minute = u16::try_from(now_ms.rem_euclid(DAY_MS) / 60_000).unwrap_or(0);
        // The first of January 1970 was a Thursday.
        let weekday = u8::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        self.windows.iter().any(|window| window.covers(weekday, minute))
    }
}

impl Window {
    fn covers(self, weekday: u8, minute: u16) -> bool {
        let begins_on = |weekday: u8| self.days >> weekday & 1 == 1;
        if self.from < self.to {
            return begins_on(weekday) && (self.from..self.to).contains(&minute);
        }
        (begins_on(weekday) && minute >= self.from) || (begins_on((weekday + 6) % 7) && minute < self.to)
    }
}

/// Reads the list of windows; `None` for one that is not understood to the last word.
pub(super) fn windows(text: &str) -> Option<Vec<Window>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        hours_utc: Hours,
        #[serde(default = "every_day")]
        weekdays: Vec<u8>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Hours {
        One(String),
        Many(Vec<String>),
    }
    let written: Vec<Written> = serde_json::from_str(text).ok()?;
    let mut windows = Vec::new();
    for Written { hours_utc, weekdays } in written {
        let days = days(&weekdays)?;
        let hours = match hours_utc {
            Hours::One(hours) => vec![hours],
            Hours::Many(hours) => hours,
        };
        for hours in hours {
            let (from, to) = hours.split_once('-')?;
            let (from, to) = (minute(from)?, minute(to)?);
            // Midnight as an end is that of the next day.
            let to = if to == 0 { DAY_MINUTES } else { to };
            windows.push(Window { days, from, to });
        }
    }
    Some(windows).filter(|windows| !windows.is_empty())
}

fn every_day() -> Vec<u8> {
    (1..=7).collect()
}

/// Days as ISO numbers them: Monday is 1, Sunday 7.
fn days(weekdays: &[u8]) -> Option<u8> {
    let all = weekdays.iter().all(|day| (1..=7).contains(day)) && !weekdays.is_empty();
    all.then(|| weekdays.iter().fold(0, |days, day| days | 1 << (day - 1)))
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |digits: &str| -> Option<u16> {
        let fit = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|_| fit)
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;

    fn off_peak(text: &str) -> OffPeak {
        let price = ModelPrice::flat("night", Money::ZERO, Money::ZERO);
        OffPeak {
            windows: windows(text).unwrap(),
            price: Arc::new(price),
        }
    }

    /// 2026-11-16 was a Monday.
    fn instant(day: u32, hour: u32, minute: u32) -> i64 {
        let date = chrono::NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        date.and_hms_opt(hour, minute, 59).unwrap().and_utc().timestamp_millis()
    }

    #[test]
    fn a_window_holds_from_its_first_minute_until_its_last() {
        let shipped = off_peak(
            r#"[{"hours_utc": ["00:00-01:00", "04:00-06:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
                {"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]"#,
        );
        let table = [
            ((16, 0, 59), true),
            ((16, 1, 0), false),
            ((16, 3, 59), false),
            ((16, 4, 0), true),
            ((16, 6, 0), false),
            ((16, 9, 59), false),
            ((16, 10, 0), true),
            ((16, 23, 59), true),
            ((20, 9, 0), false),
            ((21, 9, 0), true),
            ((22, 23, 59), true),
            ((23, 1, 0), false),
        ];
        for ((day, hour, minute), inside) in table {
            assert_eq!(
                shipped.covers(instant(day, hour, minute)),
                inside,
                "{day} {hour}:{minute}"
            );
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_began() {
        let fridays = off_peak(r#"[{"hours_utc": "22:30-02:00", "weekdays": [5]}]"#);
        let table = [
            ((20, 22, 29), false),
            ((20, 22, 30), true),
            ((21, 1, 59), true),
            ((21, 2, 0), false),
            ((20, 1, 0), false),
        ];
        for ((day, hour, minute), inside) in table {
            assert_eq!(
                fridays.covers(instant(day, hour, minute)),
                inside,
                "{day} {hour}:{minute}"
            );
        }
        assert!(!fridays.covers(-1), "1969 ended on a Wednesday");
    }

    #[test]
    fn what_is_no_window_is_none() {
        let table = [
            "[]",
            "{}",
            r#"[{"weekdays": [1]}]"#,
            r#"[{"hours_utc": "1:00-02:00"}]"#,
            r#"[{"hours_utc": "01:00"}]"#,
            r#"[{"hours_utc": "01:00-24:00"}]"#,
            r#"[{"hours_utc": "01:60-02:00"}]"#,
            r#"[{"hours_utc": "01:00-02:00", "weekdays": [0]}]"#,
            r#"[{"hours_utc": "01:00-02:00", "weekdays": []}]"#,
            r#"[{"hours_utc": "01:00-02:00", "weekday": [1]}]"#,
        ];
        for text in table {
            assert_eq!(windows(text), None, "{text}");
        }
        assert!(off_peak(r#"[{"hours_utc": "00:00-00:00"}]"#).covers(0));
    }
}
