//! Bedrock's answers and stream messages, read only for what is billed. Source of the shapes: the API reference of
//! Converse and ConverseStream. Neither tells an id or a model; of a stream the message `metadata` is the last.

use serde::Deserialize;

use super::wire::{Text, TextBytes};
use super::{Answer, service_tier};
use crate::domain::price::ServiceTier;
use crate::gateway::translate::bedrock::WireUsage;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(default)]
    output: Option<TextBytes>,
    #[serde(borrow, default)]
    usage: Option<WireUsage<'a>>,
    #[serde(borrow, default)]
    service_tier: Option<Tier<'a>>,
}

#[derive(Deserialize)]
struct Tier<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

impl Tier<'_> {
    fn read(&self) -> Option<ServiceTier> {
        self.kind.as_ref().and_then(|kind| service_tier(&kind.0))
    }
}

/// The payload of a stream's message; which members it has depends on its kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload<'a> {
    #[serde(default)]
    pub(super) content_block_index: Option<u64>,
    #[serde(default)]
    pub(super) delta: Option<TextBytes>,
    #[serde(borrow, default)]
    pub(super) usage: Option<WireUsage<'a>>,
    #[serde(borrow, default)]
    service_tier: Option<Tier<'a>>,
}

impl Payload<'_> {
    pub(super) fn tier(&self) -> Option<ServiceTier> {
        self.service_tier.as_ref().and_then(Tier::read)
    }
}

pub(super) fn read_answer(body: &[u8]) -> Answer {
    let Ok(body) = serde_json::from_slice::<Body<'_>>(body) else {
        return Answer::default();
    };
    Answer {
        usage: body.usage.as_ref().and_then(WireUsage::read),
        content_bytes: body.output.map_or(0, |text| text.0),
        service_tier: body.service_tier.as_ref().and_then(Tier::read),
        response_id: None,
        model: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_usage_and_tier_of_a_whole_answer() {
        let body = br#"{"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn",
            "usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5},"serviceTier":{"type":"priority"}}"#;
        let answer = read_answer(body);
        assert_eq!(answer.usage.map(|usage| usage.total()), Some(5));
        assert_eq!(answer.service_tier, Some(ServiceTier::Priority));
        assert!(answer.content_bytes >= 5);
        assert_eq!(read_answer(br#"{"message":"no"}"#).usage, None);
    }
}
