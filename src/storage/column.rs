//! How single columns become domain values and back: instants, hashes, and the words of enums. A stored value that no
//! domain type can hold is `Corrupt`: whoever reads it fails, rather than guess about money.

use chrono::{DateTime, Utc};

use super::StorageError;
use crate::domain::account::Funding;
use crate::domain::credential::KeyHash;
use crate::domain::cycle::Cycle;

/// The instant at this many unix milliseconds; one that the calendar does not reach becomes its nearest end.
pub fn instant(unix_ms: i64) -> DateTime<Utc> {
    let latest = || {
        if unix_ms < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        }
    };
    DateTime::from_timestamp_millis(unix_ms).unwrap_or_else(latest)
}

/// The hash in a column of bytes.
pub fn hash(noun: &'static str, bytes: &[u8]) -> Result<KeyHash, StorageError> {
    KeyHash::try_from(bytes).map_err(|_| corrupt(noun, "a hash is not 32 bytes long"))
}

/// A count or limit in a column that may hold more, or less, than its type.
pub fn count<T: TryFrom<i64>>(noun: &'static str, value: i64) -> Result<T, StorageError> {
    T::try_from(value).map_err(|_| corrupt(noun, &format!("{value} is out of range")))
}

/// The column of a count; what does not fit is the largest.
pub fn count_column(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The value that this word names, by a function such as `KeyStatus::from_name`.
pub fn word<T>(noun: &'static str, text: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, StorageError> {
    read(text).ok_or_else(|| corrupt(noun, &format!("{text:?} is no such word")))
}

pub fn cycle(text: &str) -> Option<Cycle> {
    Cycle::ALL.into_iter().find(|cycle| cycle.name() == text)
}

pub fn funding(text: &str) -> Option<Funding> {
    [Funding::Postpaid, Funding::Prepaid]
        .into_iter()
        .find(|funding| funding_word(*funding) == text)
}

pub fn funding_word(funding: Funding) -> &'static str {
    match funding {
        Funding::Postpaid => "postpaid",
        Funding::Prepaid => "prepaid",
    }
}

/// Text that Postgres can hold: a NUL, which it cannot, becomes the sign for a character that cannot be shown.
pub fn text(value: &str) -> String {
    value.replace('\0', "\u{fffd}")
}

/// The same value with [`text`] for every name and text in it: in JSON too Postgres holds no NUL.
pub fn holdable(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(held) => Value::String(text(held)),
        Value::Array(items) => items.iter().map(holdable).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (text(name), holdable(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

pub fn corrupt(noun: &'static str, reason: &str) -> StorageError {
    StorageError::Corrupt {
        noun,
        reason: reason.to_owned(),
    }
}

/// The column of a value that is stored as the domain writes it.
pub fn json<T: serde::Serialize>(noun: &'static str, value: &T) -> Result<serde_json::Value, StorageError> {
    serde_json::to_value(value).map_err(|error| corrupt(noun, &error.to_string()))
}

/// The value that was stored so.
pub fn from_json<T: serde::de::DeserializeOwned>(
    noun: &'static str,
    stored: serde_json::Value,
) -> Result<T, StorageError> {
    serde_json::from_value(stored).map_err(|error| corrupt(noun, &error.to_string()))
}
