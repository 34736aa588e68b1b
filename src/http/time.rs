//! Instants on the wire: ISO 8601 in UTC, with `Z` and milliseconds.

use chrono::{DateTime, SecondsFormat};

/// `2026-11-21T04:18:45.000Z`, from unix milliseconds. Instants beyond the calendar are shown as its start.
pub fn iso_millis(unix_ms: i64) -> String {
    DateTime::from_timestamp_millis(unix_ms)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// As [`iso_millis`], from unix seconds.
pub fn iso_seconds(unix_s: i64) -> String {
    iso_millis(unix_s.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_utc_with_milliseconds() {
        assert_eq!(iso_millis(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(iso_seconds(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso_millis(i64::MAX), "1970-01-01T00:00:00.000Z");
    }
}
