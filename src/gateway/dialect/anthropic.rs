//! Anthropic's answers and stream events, read only for what is billed. Source of the shapes: the Messages API
//! reference and its page on streaming. `input_tokens` leaves the caches out; counts in a stream are cumulative, and a
//! later event replaces what an earlier one said.

use serde::Deserialize;

use super::wire::{Count, Text, TextBytes};
use super::{Answer, service_tier};
use crate::domain::usage::Usage;

/// A whole answer, and the `message` inside `message_start`.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Text<'a>>,
    #[serde(default)]
    content: Option<TextBytes>,
    #[serde(borrow, default)]
    pub(super) usage: Option<WireUsage<'a>>,
}

pub(super) fn read_answer(body: &[u8]) -> Answer {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else {
        return Answer::default();
    };
    let tier = message.usage.as_ref().and_then(|usage| usage.service_tier.as_ref());
    Answer {
        service_tier: tier.and_then(|tier| service_tier(&tier.0)),
        usage: message.usage.as_ref().and_then(|usage| Counts::of(usage).read()),
        response_id: message.id.map(|id| id.0.into_owned()),
        model: message.model.map(|model| model.0.into_owned()),
        content_bytes: message.content.map_or(0, |text| text.0),
    }
}

/// One event of a stream.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default)]
    pub(super) delta: Option<TextBytes>,
    #[serde(borrow, default)]
    pub(super) message: Option<Message<'a>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<WireUsage<'a>>,
}

/// Usage as it is on the wire.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::gateway) struct WireUsage<'a> {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    server_tool_use: Option<ServerToolUse>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<Text<'a>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: Count,
    #[serde(default)]
    ephemeral_1h_input_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct ServerToolUse {
    #[serde(default)]
    web_search_requests: Count,
}

/// The counts known so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Counts {
    input: Count,
    cache_read: Count,
    cache_write: Count,
    five_minutes: Count,
    one_hour: Count,
    output: Count,
    web_searches: Count,
}

impl Counts {
    pub(in crate::gateway) fn of(usage: &WireUsage<'_>) -> Self {
        let cache = usage.cache_creation.unwrap_or_default();
        Self {
            input: usage.input_tokens,
            cache_read: usage.cache_read_input_tokens,
            cache_write: usage.cache_creation_input_tokens,
            five_minutes: cache.ephemeral_5m_input_tokens,
            one_hour: cache.ephemeral_1h_input_tokens,
            output: usage.output_tokens,
            web_searches: usage.server_tool_use.unwrap_or_default().web_search_requests,
        }
    }

    /// These counts, with the earlier ones where these say nothing.
    pub(in crate::gateway) fn over(self, earlier: Self) -> Self {
        Self {
            input: self.input.or(earlier.input),
            cache_read: self.cache_read.or(earlier.cache_read),
            cache_write: self.cache_write.or(earlier.cache_write),
            five_minutes: self.five_minutes.or(earlier.five_minutes),
            one_hour: self.one_hour.or(earlier.one_hour),
            output: self.output.or(earlier.output),
            web_searches: self.web_searches.or(earlier.web_searches),
        }
    }

    /// The usage in our shape; `None` when input or output is missing or any count cannot be true.
    pub(in crate::gateway) fn read(self) -> Option<Usage> {
        let optional = [
            self.cache_read,
            self.cache_write,
            self.five_minutes,
            self.one_hour,
            self.web_searches,
        ];
        if optional.contains(&Count::Unusable) {
            return None;
        }
        let split = self.five_minutes.or_zero().saturating_add(self.one_hour.or_zero());
        let written = self.cache_write.known().unwrap_or(split);
        let one_hour = self.one_hour.or_zero().min(written);
        Some(Usage {
            input_tokens: self.input.known()?,
            cache_read_tokens: self.cache_read.or_zero(),
            cache_write_tokens: written - one_hour,
            cache_write_1h_tokens: one_hour,
            output_tokens: self.output.known()?,
            web_searches: self.web_searches.or_zero(),
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(text: &str) -> Option<Usage> {
        Counts::of(&serde_json::from_str::<WireUsage<'_>>(text).unwrap()).read()
    }

    #[test]
    fn reads_usage_by_the_rule_table() {
        let plain = Usage {
            input_tokens: 10,
            output_tokens: 5,
            ..Usage::default()
        };
        let table = [
            (r#"{"input_tokens":10,"output_tokens":5}"#, Some(plain)),
            (r#"{"input_tokens":0,"output_tokens":0}"#, Some(Usage::default())),
            (
                r#"{"input_tokens":10,"output_tokens":5,"cache_creation":null,"server_tool_use":null}"#,
                Some(plain),
            ),
            (
                r#"{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":7,"cache_creation_input_tokens":9}"#,
                Some(Usage {
                    cache_read_tokens: 7,
                    cache_write_tokens: 9,
                    ..plain
                }),
            ),
            (
                r#"{"input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":9,
                    "cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":7},
                    "server_tool_use":{"web_search_requests":3}}"#,
                Some(Usage {
                    cache_write_tokens: 2,
                    cache_write_1h_tokens: 7,
                    web_searches: 3,
                    ..plain
                }),
            ),
            (r#"{"input_tokens":10}"#, None),
            (r#"{"input_tokens":-1,"output_tokens":5}"#, None),
            (r#"{"input_tokens":10,"output_tokens":9007199254740992}"#, None),
            (
                r#"{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":-7}"#,
                None,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(usage(text), expected, "{text}");
        }
    }

    #[test]
    fn reads_a_whole_answer() {
        let body = br#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-6",
            "content":[{"type":"text","text":"Hello"},{"type":"tool_use","id":"t","name":"f","input":{"a":"b"}}],
            "stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2,"service_tier":"standard"}}"#;
        let answer = read_answer(body);
        assert_eq!(answer.response_id.as_deref(), Some("msg_1"));
        assert_eq!(answer.content_bytes, 7);
        assert_eq!(answer.usage.map(|usage| usage.total()), Some(5));
    }
}
