//! Usage as Converse tells it: `inputTokens` leaves the caches out.

use serde::Deserialize;

use super::framing::Message;
use crate::domain::usage::Usage;
use crate::gateway::dialect::{Count, Text};
use crate::gateway::translate::json::Object;

/// The usage of a whole answer, or of one message of a stream; `None` where it tells none that can be true.
pub fn read_usage(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        usage: Option<WireUsage<'a>>,
    }
    let payload = Message::parse(body).map_or(body, |message| message.payload);
    serde_json::from_slice::<Body<'_>>(payload).ok()?.usage?.read()
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gateway) struct WireUsage<'a> {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_write_input_tokens: Count,
    #[serde(borrow)]
    cache_details: Option<Vec<CacheDetail<'a>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CacheDetail<'a> {
    #[serde(borrow)]
    ttl: Option<Text<'a>>,
    input_tokens: Count,
}

impl WireUsage<'_> {
    pub(in crate::gateway) fn read(&self) -> Option<Usage> {
        let caches = [self.cache_read_input_tokens, self.cache_write_input_tokens];
        if caches.contains(&Count::Unusable) || self.output_tokens == Count::Unusable {
            return None;
        }
        let written = self.cache_write_input_tokens.or_zero();
        let details = self.cache_details.iter().flatten();
        let for_an_hour = details.filter(|detail| detail.ttl.as_ref().is_some_and(|ttl| ttl.0 == "1h"));
        let for_an_hour = for_an_hour.fold(0, |most, detail| detail.input_tokens.or_zero().max(most));
        let for_an_hour = for_an_hour.min(written);
        Some(Usage {
            input_tokens: self.input_tokens.known()?,
            cache_read_tokens: self.cache_read_input_tokens.or_zero(),
            cache_write_tokens: written - for_an_hour,
            cache_write_1h_tokens: for_an_hour,
            output_tokens: self.output_tokens.or_zero(),
            ..Usage::default()
        })
    }
}

pub(in crate::gateway) fn write_usage(usage: &Usage) -> Object<'static> {
    let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
    Object::new()
        .with("inputTokens", usage.input_tokens)
        .with("outputTokens", usage.output_tokens)
        .with("totalTokens", usage.total())
        .with("cacheReadInputTokens", usage.cache_read_tokens)
        .with("cacheWriteInputTokens", written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_durations_of_cache_and_believes_no_nonsense() {
        let body = br#"{"usage":{"inputTokens":7,"outputTokens":5,"totalTokens":42,"cacheReadInputTokens":10,
            "cacheWriteInputTokens":20,"cacheDetails":[{"ttl":"5m","inputTokens":12},{"ttl":"1h","inputTokens":8}]}}"#;
        let expected = Usage {
            input_tokens: 7,
            cache_read_tokens: 10,
            cache_write_tokens: 12,
            cache_write_1h_tokens: 8,
            output_tokens: 5,
            ..Usage::default()
        };
        assert_eq!(read_usage(body), Some(expected));
        for body in [
            "{}",
            r#"{"usage":{}}"#,
            r#"{"usage":{"inputTokens":-1}}"#,
            r#"{"usage":{"inputTokens":1,"outputTokens":"7"}}"#,
        ] {
            assert_eq!(read_usage(body.as_bytes()), None, "{body}");
        }
    }
}
