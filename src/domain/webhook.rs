//! Webhooks as pure decisions: what happened and how it is told, how an answer is read, when the next attempt is due,
//! and when an endpoint is given up. It is told at least once and in no promised order, so every event has an id that
//! stays the same over all attempts. How a message is signed is in `signature`, what a spend key's owner is told in
//! `threshold`.

pub mod signature;
pub mod threshold;

use chrono::{DateTime, SecondsFormat};
use serde_json::Value;

use super::ids::EventId;

/// At most so many endpoints a merchant.
pub const MOST_ENDPOINTS: usize = 3;
/// How long what changes a customer's balance is gathered before it is told as one event.
pub const GATHER_MS: i64 = 10_000;
/// No delay is longer, jitter included: what is due later than this has been put there by a clock that was wrong.
pub const LONGEST_DELAY_MS: i64 = 30 * 3_600_000;
/// How long after each failed attempt the next one is due: three days in all.
pub const RETRY_DELAYS_S: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// An endpoint that only failed for so long is disabled.
pub const FAILING_LIMIT_MS: i64 = 5 * 86_400_000;
/// How much longer or shorter than the schedule a delay may be, in thousandths.
const JITTER: u64 = 200;
/// What an endpoint may ask for at most with `Retry-After`.
const LONGEST_RETRY_AFTER_S: i64 = 86_400;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    )*};
}

words! {
    /// What happened. What happens to connections is what happens to customers, for endpoints that ask in older words.
    EventName {
        CustomerCreated = "customer.created",
        CustomerBalanceUpdated = "customer.wallet.balance.updated",
        CustomerDeleted = "customer.deleted",
        SpendKeyThresholdReached = "spend_key.threshold.reached",
        ConnectionCreated = "connection.created",
        ConnectionBalanceUpdated = "connection.wallet.balance.updated",
        ConnectionDeleted = "connection.deleted",
    }
    /// How far a delivery is. A dead one was tried for the last time, and may be replayed.
    DeliveryStatus { Pending = "pending", Delivered = "delivered", Dead = "dead" }
    /// Why an endpoint was disabled that its owner did not disable.
    DisabledReason { Gone = "gone", Failing = "failing" }
}

impl EventName {
    /// What an endpoint asks for that wants this in older words.
    pub const fn older(self) -> Option<Self> {
        match self {
            Self::CustomerCreated => Some(Self::ConnectionCreated),
            Self::CustomerBalanceUpdated => Some(Self::ConnectionBalanceUpdated),
            Self::CustomerDeleted => Some(Self::ConnectionDeleted),
            Self::SpendKeyThresholdReached
            | Self::ConnectionCreated
            | Self::ConnectionBalanceUpdated
            | Self::ConnectionDeleted => None,
        }
    }
}

/// The body that is told: the event's name on top, what it is about in `data`. It is written once, and the same bytes
/// go out with every attempt.
pub fn envelope(name: EventName, id: EventId, at_ms: i64, data: &Value) -> String {
    let (name, at) = (name.name(), iso(at_ms));
    format!(r#"{{"event":"{name}","event_id":"{id}","created_at":"{at}","data":{data}}}"#)
}

/// `2026-11-21T04:18:45.000Z`, from unix milliseconds.
pub fn iso(unix_ms: i64) -> String {
    let instant = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What an answer, or the lack of one, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    Failed {
        /// What the endpoint asked for, in seconds.
        retry_after_s: Option<i64>,
    },
    /// The endpoint wants no more of this.
    Gone,
}

impl Verdict {
    /// No answer came.
    pub const NO_ANSWER: Self = Self::Failed { retry_after_s: None };

    /// Reads an answer: a redirect is a failure, because it is never followed; `Retry-After` counts with 429 and 503.
    pub fn of(status: u16, retry_after: Option<&str>, now_ms: i64) -> Self {
        match status {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            429 | 503 => Self::Failed {
                retry_after_s: retry_after.and_then(|text| read_retry_after(text, now_ms)),
            },
            _ => Self::NO_ANSWER,
        }
    }
}

/// Seconds, or an HTTP date.
fn read_retry_after(text: &str, now_ms: i64) -> Option<i64> {
    let text = text.trim();
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_) => DateTime::parse_from_rfc2822(text).ok()?.timestamp() - now_ms.div_euclid(1000),
    };
    Some(seconds.clamp(0, LONGEST_RETRY_AFTER_S))
}

/// One attempt that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// How many there were, this one among them.
    pub count: u32,
    /// Since when the endpoint has only failed.
    pub failing_since_ms: Option<i64>,
    pub now_ms: i64,
    /// For the jitter.
    pub random: u64,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    /// Tried again at this instant, in unix milliseconds.
    Retry {
        due_ms: i64,
    },
    Dead,
}

/// What becomes of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointFate {
    Works,
    Fails,
    Disabled(DisabledReason),
}

impl Attempt {
    /// What follows from the verdict.
    pub fn conclude(&self, verdict: Verdict) -> (Fate, EndpointFate) {
        let retry_after_s = match verdict {
            Verdict::Delivered => return (Fate::Delivered, EndpointFate::Works),
            Verdict::Gone => return (Fate::Dead, EndpointFate::Disabled(DisabledReason::Gone)),
            Verdict::Failed { retry_after_s } => retry_after_s,
        };
        let failing_for = self.failing_since_ms.map_or(0, |since| self.now_ms - since);
        if failing_for >= FAILING_LIMIT_MS {
            return (Fate::Dead, EndpointFate::Disabled(DisabledReason::Failing));
        }
        let fate = match delay_ms(self.count, self.random) {
            None => Fate::Dead,
            // Never sooner than the schedule says, so that an endpoint cannot use up its attempts in a minute.
            Some(delay_ms) => Fate::Retry {
                due_ms: self.now_ms + delay_ms.max(retry_after_s.unwrap_or(0) * 1000),
            },
        };
        (fate, EndpointFate::Fails)
    }
}

/// The delay after so many attempts, or `None` after the last one.
fn delay_ms(attempt_count: u32, random: u64) -> Option<i64> {
    let place = usize::try_from(attempt_count).ok()?.checked_sub(1)?;
    let delay_s = RETRY_DELAYS_S.get(place)?;
    let thousandths = 1000 - JITTER + random % (2 * JITTER + 1);
    Some(delay_s * i64::try_from(thousandths).unwrap_or(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: i64 = 1_795_262_400_000;

    fn attempt(count: u32, random: u64) -> Attempt {
        Attempt {
            count,
            failing_since_ms: None,
            now_ms: NOW_MS,
            random,
        }
    }

    #[test]
    fn an_answer_is_read_by_its_status() {
        let failed = |retry_after_s| Verdict::Failed { retry_after_s };
        #[rustfmt::skip]
        let table = [
            (200, None, Verdict::Delivered), (202, Some("9"), Verdict::Delivered), (204, None, Verdict::Delivered),
            (301, None, failed(None)), (304, None, failed(None)), (308, Some("9"), failed(None)),
            (400, None, failed(None)), (404, Some("9"), failed(None)), (410, None, Verdict::Gone),
            (429, None, failed(None)), (429, Some(" 60 "), failed(Some(60))), (503, Some("0"), failed(Some(0))),
            (503, Some("99999999"), failed(Some(86_400))), (429, Some("-5"), failed(Some(0))),
            (429, Some("soon"), failed(None)), (500, Some("60"), failed(None)), (100, None, failed(None)),
            (429, Some("Sat, 21 Nov 2026 12:01:00 GMT"), failed(Some(60))),
            (429, Some("Sat, 21 Nov 2020 12:01:00 GMT"), failed(Some(0))),
        ];
        for (status, retry_after, verdict) in table {
            assert_eq!(
                Verdict::of(status, retry_after, NOW_MS),
                verdict,
                "{status} {retry_after:?}"
            );
        }
    }

    #[test]
    fn the_last_of_ten_attempts_is_the_end() {
        let failed = |count| attempt(count, 0).conclude(Verdict::NO_ANSWER).0;
        for count in 1..=9 {
            assert!(matches!(failed(count), Fate::Retry { .. }), "{count}");
        }
        assert_eq!(failed(10), Fate::Dead);
        assert_eq!(failed(11), Fate::Dead);
        let days = RETRY_DELAYS_S.iter().sum::<i64>() / 86_400;
        assert_eq!(days, 3);
    }

    #[test]
    fn an_endpoint_is_disabled_when_it_is_gone_and_after_five_days_of_failures() {
        let (fate, endpoint) = attempt(1, 0).conclude(Verdict::Gone);
        assert_eq!(
            (fate, endpoint),
            (Fate::Dead, EndpointFate::Disabled(DisabledReason::Gone))
        );
        let after = |failing_ms| Attempt {
            failing_since_ms: Some(NOW_MS - failing_ms),
            ..attempt(1, 0)
        };
        let failing = after(FAILING_LIMIT_MS).conclude(Verdict::NO_ANSWER);
        assert_eq!(failing, (Fate::Dead, EndpointFate::Disabled(DisabledReason::Failing)));
        let not_yet = after(FAILING_LIMIT_MS - 1).conclude(Verdict::NO_ANSWER);
        assert_eq!(not_yet.1, EndpointFate::Fails);
        let works = after(FAILING_LIMIT_MS).conclude(Verdict::Delivered);
        assert_eq!(works, (Fate::Delivered, EndpointFate::Works));
    }

    #[test]
    fn the_name_stands_on_top_and_the_body_is_json() {
        let id = EventId::from_bits(2);
        let body = envelope(
            EventName::CustomerCreated,
            id,
            NOW_MS,
            &serde_json::json!({ "a": "\"ü" }),
        );
        assert!(
            body.starts_with(r#"{"event":"customer.created","event_id":"evt_"#),
            "{body}"
        );
        let read: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["created_at"], "2026-11-21T12:00:00.000Z");
        assert_eq!(read["data"]["a"], "\"ü");
        for name in EventName::ALL {
            assert_eq!(EventName::from_name(name.name()), Some(*name));
        }
        assert_eq!(EventName::from_name("customer"), None);
    }

    proptest! {
        #[test]
        fn a_delay_is_within_a_fifth_of_the_schedule_and_never_below_what_was_asked(
            count in 1u32..=9, random in any::<u64>(), asked in 0i64..86_400,
        ) {
            let planned = RETRY_DELAYS_S[count as usize - 1] * 1000;
            let delay = |retry_after_s| match attempt(count, random).conclude(Verdict::Failed { retry_after_s }).0 {
                Fate::Retry { due_ms } => due_ms - NOW_MS,
                Fate::Delivered | Fate::Dead => -1,
            };
            let free = delay(None);
            prop_assert!(free.max(asked * 1000) < LONGEST_DELAY_MS);
            prop_assert!((planned * 8 / 10..=planned * 12 / 10).contains(&free), "{} of {}", free, planned);
            prop_assert_eq!(delay(Some(asked)), free.max(asked * 1000));
        }
    }
}
