//! OpenAI's responses and their stream events, read only for what is billed. Source of the shapes: the API reference of
//! responses and of its streaming events. Usage comes once, with the event that ends the stream; searches that OpenAI
//! ran stand among the items of the answer.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Count, Text, TextBytes};
use super::{Answer, service_tier};
use crate::domain::price::ServiceTier;
use crate::domain::usage::Usage;
use crate::gateway::translate::responses::WireUsage;

/// A whole answer; streams have it inside their first and last events.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow, default)]
    service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    output: Option<Vec<Item<'a>>>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    content: Option<TextBytes>,
    #[serde(default)]
    summary: Option<TextBytes>,
    #[serde(default)]
    arguments: Option<TextBytes>,
    #[serde(default)]
    input: Option<TextBytes>,
}

impl Item<'_> {
    fn text_bytes(&self) -> u64 {
        let members = [&self.content, &self.summary, &self.arguments, &self.input];
        members.into_iter().flatten().map(|text| text.0).sum()
    }
}

impl Response<'_> {
    pub(super) fn usage(&self) -> Option<Usage> {
        let usage = self.usage?.read()?;
        let is_search = |item: &&Item<'_>| item.kind.as_ref().is_some_and(|kind| kind.0 == "web_search_call");
        let searches = self.output.iter().flatten().filter(is_search).count();
        Some(Usage {
            web_searches: searches as u64,
            ..usage
        })
    }

    pub(super) fn tier(&self) -> Option<ServiceTier> {
        self.service_tier.as_ref().and_then(|tier| service_tier(&tier.0))
    }
}

/// One event of a stream.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(default)]
    pub(super) sequence_number: Count,
    #[serde(borrow, default)]
    pub(super) response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) delta: Option<TextBytes>,
}

pub(super) fn read_answer(body: &[u8]) -> Answer {
    let Ok(response) = serde_json::from_slice::<Response<'_>>(body) else {
        return Answer::default();
    };
    Answer {
        usage: response.usage(),
        service_tier: response.tier(),
        content_bytes: response.output.iter().flatten().map(Item::text_bytes).sum(),
        response_id: response.id.map(|id| id.0.into_owned()),
        model: response.model.map(|model| model.0.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_whole_answer_with_its_searches() {
        let body = br#"{"id":"resp_1","object":"response","model":"gpt-5","service_tier":"flex","output":[
            {"type":"web_search_call","id":"ws_1","status":"completed"},
            {"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}],
            "usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":3,
            "output_tokens_details":{"reasoning_tokens":1},"total_tokens":12}}"#;
        let answer = read_answer(body);
        let usage = answer.usage.unwrap();
        assert_eq!(
            (usage.input_tokens, usage.cache_read_tokens, usage.web_searches),
            (5, 4, 1)
        );
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (3, 1));
        assert_eq!(answer.service_tier, Some(ServiceTier::Flex));
        assert_eq!(answer.response_id.as_deref(), Some("resp_1"));
        assert!(answer.content_bytes >= 5);
        assert_eq!(read_answer(b"[]"), Answer::default());
    }
}
