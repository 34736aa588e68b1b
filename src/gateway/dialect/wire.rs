//! Small wire types that both dialects share: counts that may be nonsense, texts that borrow, and the size of all text
//! inside a value. They are lenient on purpose, because an answer that was served must be billed even when a part of
//! it is odd.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::domain::usage::COUNT_MAX;

/// A count as a provider sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) enum Count {
    #[default]
    Absent,
    Known(u64),
    /// Negative, fractional, above `COUNT_MAX`, or no number.
    Unusable,
}

impl Count {
    pub(in crate::gateway) fn known(self) -> Option<u64> {
        match self {
            Self::Known(count) => Some(count),
            Self::Absent | Self::Unusable => None,
        }
    }

    pub(in crate::gateway) fn or_zero(self) -> u64 {
        self.known().unwrap_or(0)
    }

    /// This count, or the other where this one is absent.
    pub(in crate::gateway) fn or(self, other: Self) -> Self {
        match self {
            Self::Absent => other,
            Self::Known(_) | Self::Unusable => self,
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a count")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Count, E> {
        Ok(if value <= COUNT_MAX {
            Count::Known(value)
        } else {
            Count::Unusable
        })
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Count, E> {
        u64::try_from(value).map_or(Ok(Count::Unusable), |value| self.visit_u64(value))
    }

    /// Some providers write whole counts with a decimal point.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Count, E> {
        let text = value.to_string();
        text.parse()
            .map_or(Ok(Count::Unusable), |value: u64| self.visit_u64(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Count, E> {
        Ok(Count::Absent)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Count, E> {
        Ok(Count::Unusable)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Count, E> {
        Ok(Count::Unusable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count::Unusable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count::Unusable)
    }
}

/// A text that borrows where the wire has no escapes in it. (`Option<Cow<str>>` would always copy.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Text<'a>(pub(in crate::gateway) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// The bytes of all strings inside a value, at any depth, but for those that no model wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextBytes(pub(super) u64);

/// Members whose text is bookkeeping.
const NOT_CONTENT: [&str; 7] = [
    "role",
    "type",
    "id",
    "signature",
    "stop_reason",
    "call_id",
    "tool_use_id",
];

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextBytesVisitor)
    }
}

struct TextBytesVisitor;

impl<'de> Visitor<'de> for TextBytesVisitor {
    type Value = TextBytes;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TextBytes, E> {
        Ok(TextBytes(text.len() as u64))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_unit<E: Error>(self) -> Result<TextBytes, E> {
        Ok(TextBytes(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TextBytes, A::Error> {
        let mut bytes = 0;
        while let Some(TextBytes(more)) = seq.next_element()? {
            bytes += more;
        }
        Ok(TextBytes(bytes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextBytes, A::Error> {
        let mut bytes = 0;
        while let Some(Text(key)) = map.next_key()? {
            if NOT_CONTENT.contains(&key.as_ref()) {
                map.next_value::<IgnoredAny>()?;
            } else {
                bytes += map.next_value::<TextBytes>()?.0;
            }
        }
        Ok(TextBytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_count_is_told_from_an_absent_one_and_from_zero() {
        let table = [
            ("0", Count::Known(0)),
            ("17", Count::Known(17)),
            ("17.0", Count::Known(17)),
            ("1099511627776", Count::Known(COUNT_MAX)),
            ("1099511627777", Count::Unusable),
            ("9007199254740992", Count::Unusable),
            ("1e300", Count::Unusable),
            ("-1", Count::Unusable),
            ("1.5", Count::Unusable),
            ("\"7\"", Count::Unusable),
            ("[1]", Count::Unusable),
            ("{\"a\":1}", Count::Unusable),
            ("true", Count::Unusable),
            ("null", Count::Absent),
        ];
        for (text, count) in table {
            assert_eq!(serde_json::from_str::<Count>(text).unwrap(), count, "{text}");
        }
    }

    #[test]
    fn text_is_counted_at_any_depth_without_bookkeeping() {
        let value = r#"{"role":"assistant","content":"abc","tool_calls":[{"id":"call_1","type":"function",
            "function":{"name":"f","arguments":"{\"a\":1}"}}],"n":1,"x":null}"#;
        assert_eq!(serde_json::from_str::<TextBytes>(value).unwrap(), TextBytes(3 + 1 + 7));
    }
}
