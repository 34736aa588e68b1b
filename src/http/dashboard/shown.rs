//! How figures are shown: money on its point, counts in groups of three, instants in words with the exact one beside
//! them, shares of a bar in whole steps. Nothing is decided by what is shown here.

use askama::Template;
use askama::filters::HtmlSafe;
use chrono::DateTime;

use crate::domain::money::Money;

use super::ask;

/// Nano-dollars in the smallest part that is shown.
const MICRO: i64 = 1000;

/// An amount in two parts, so that a column of them stands on its point. A template shows it as it is.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(
    source = r#"<span class="money" title="{{ exact }}">{{ whole }}<span class="fraction">{{ fraction }}</span></span>"#,
    ext = "html"
)]
pub struct Amount {
    /// As `$1,234`.
    pub whole: String,
    /// As `.56`; at least two digits, at most six.
    pub fraction: String,
    /// All digits.
    pub exact: String,
}

impl Amount {
    pub fn of(money: Money) -> Self {
        let exact = money.to_string();
        let nanos = money.nanos();
        let rounded = nanos.unsigned_abs().saturating_add(MICRO.unsigned_abs() / 2) / MICRO.unsigned_abs();
        let sign = if nanos < 0 && rounded > 0 { "−" } else { "" };
        let (whole, micros) = (rounded / 1_000_000, rounded % 1_000_000);
        let digits = format!("{micros:06}");
        let kept = digits.trim_end_matches('0').len().max(2);
        Self {
            whole: format!("{sign}${}", grouped(whole)),
            fraction: format!(".{}", &digits[..kept]),
            exact: format!("${exact}"),
        }
    }

    /// An amount as the API writes it; what is none is shown as nothing.
    pub fn read(text: &str) -> Option<Self> {
        ask::read_money(text).map(Self::of)
    }

    pub fn text(&self) -> String {
        format!("{}{}", self.whole, self.fraction)
    }
}

/// An instant as people read it. A template shows its distance, with the exact instant beside.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(
    source = r#"<time datetime="{{ iso }}" title="{{ exact }}">{{ relative }}</time>"#,
    ext = "html"
)]
pub struct Moment {
    /// ISO 8601, for machines.
    pub iso: String,
    /// As `21 Nov 2026, 19:40 UTC`.
    pub exact: String,
    /// As `in 4 h` or `3 min ago`.
    pub relative: String,
}

impl Moment {
    /// An instant as the API writes it; `None` for what is none.
    pub fn read(iso: &str, now_ms: i64) -> Option<Self> {
        let at = DateTime::parse_from_rfc3339(iso).ok()?.to_utc();
        Some(Self {
            iso: iso.to_owned(),
            exact: at.format("%-d %b %Y, %H:%M UTC").to_string(),
            relative: relative(at.timestamp_millis().saturating_sub(now_ms)),
        })
    }
}

impl HtmlSafe for Amount {}
impl HtmlSafe for Moment {}

fn relative(ahead_ms: i64) -> String {
    let minutes = ahead_ms.unsigned_abs() / 60_000;
    let length = match minutes {
        0 => return if ahead_ms < 0 { "just now" } else { "in a moment" }.to_owned(),
        1..60 => format!("{minutes} min"),
        60..2880 => format!("{} h", minutes / 60),
        2880.. => format!("{} days", minutes / 1440),
    };
    if ahead_ms < 0 {
        format!("{length} ago")
    } else {
        format!("in {length}")
    }
}

/// A count in groups of three.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in three digits where it is large, as `1.23 M`.
pub fn compact(count: u64) -> String {
    let (unit, word) = match count {
        0..100_000 => return grouped(count),
        100_000..1_000_000 => (1_000, "k"),
        1_000_000..1_000_000_000 => (1_000_000, "M"),
        1_000_000_000.. => (1_000_000_000, "B"),
    };
    let (whole, hundredths) = (count / unit, count % unit * 100 / unit);
    match whole {
        0..10 => format!("{whole}.{hundredths:02} {word}"),
        10..100 => format!("{whole}.{} {word}", hundredths / 10),
        100.. => format!("{} {word}", grouped(whole)),
    }
}

/// A length of time in three digits, as `850 ms` or `1.24 s`.
pub fn length(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10),
        10_000..100_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        100_000.. => format!("{} s", grouped(ms / 1_000)),
    }
}

/// A share as `12.3 %`.
pub fn percent(per_mille: u64) -> String {
    format!("{}.{} %", grouped(per_mille / 10), per_mille % 10)
}

/// A part of a whole in thousandths, for the width of a bar; what is there at all is at least one.
pub fn thousandths(part: Money, whole: Money) -> u32 {
    let (part, whole) = (i128::from(part.nanos().max(0)), i128::from(whole.nanos()));
    if whole <= 0 {
        return 0;
    }
    let share = (part * 1000 / whole).min(1000);
    let share = u32::try_from(share).unwrap_or(1000);
    if part > 0 { share.max(1) } else { share }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_to_the_millionth_and_kept_exact_beside() {
        let table = [
            ("0.00", "$0.00"),
            ("1234567.5", "$1,234,567.50"),
            ("0.000123456", "$0.000123"),
            ("0.0000005", "$0.000001"),
            ("0.000000499", "$0.00"),
            ("12.345", "$12.345"),
        ];
        for (text, shown) in table {
            assert_eq!(Amount::read(text).unwrap().text(), shown, "{text}");
        }
        assert_eq!(Amount::of(Money::from_nanos(-1_500_000_000)).text(), "−$1.50");
        assert_eq!(Amount::read("x"), None);
    }

    #[test]
    fn large_figures_are_shown_in_three_digits() {
        let counts = [
            (99_999, "99,999"),
            (123_456, "123 k"),
            (1_234_567, "1.23 M"),
            (12_345_678, "12.3 M"),
            (1_000_000_000, "1.00 B"),
            (u64::MAX, "18,446,744,073 B"),
        ];
        for (count, text) in counts {
            assert_eq!(compact(count), text);
        }
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_239, "1.23 s"),
            (12_399, "12.3 s"),
            (100_000, "100 s"),
        ] {
            assert_eq!(length(ms), text);
        }
        assert_eq!(
            (percent(0), percent(123), percent(12_345)),
            ("0.0 %".into(), "12.3 %".into(), "1,234.5 %".into())
        );
    }

    #[test]
    fn instants_are_told_by_their_distance() {
        let now_ms = DateTime::parse_from_rfc3339("2026-11-21T12:00:00Z")
            .unwrap()
            .timestamp_millis();
        let table = [
            ("2026-11-21T12:00:10Z", "in a moment"),
            ("2026-11-21T11:59:50Z", "just now"),
            ("2026-11-21T12:05:00Z", "in 5 min"),
            ("2026-11-21T09:00:00Z", "3 h ago"),
            ("2026-11-18T12:00:00Z", "3 days ago"),
        ];
        for (iso, text) in table {
            assert_eq!(Moment::read(iso, now_ms).unwrap().relative, text);
        }
        assert_eq!(
            Moment::read("2026-11-21T12:05:00Z", now_ms).unwrap().exact,
            "21 Nov 2026, 12:05 UTC"
        );
        assert_eq!(Moment::read("soon", now_ms), None);
    }

    #[test]
    fn a_bar_shows_what_is_there_and_never_more_than_all() {
        let money = |text: &str| text.parse::<Money>().unwrap();
        let table = [
            ("0.00", "5.00", 0),
            ("0.0001", "5.00", 1),
            ("2.50", "5.00", 500),
            ("9.00", "5.00", 1000),
        ];
        for (part, whole, share) in table {
            assert_eq!(thousandths(money(part), money(whole)), share, "{part} of {whole}");
        }
        assert_eq!(thousandths(money("1.00"), Money::ZERO), 0);
    }
}
