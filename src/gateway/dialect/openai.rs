//! OpenAI's answers and stream chunks, read only for what is billed. Source of the shapes: the API reference of chat
//! completions, and what its imitators do differently (DeepSeek, xAI, Perplexity, Gemini). `prompt_tokens` includes
//! cached ones; they are taken apart here.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Count, Text, TextBytes};
use super::{Answer, service_tier};
use crate::domain::usage::Usage;

/// A whole answer, of chat completions or of embeddings.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    service_tier: Option<Text<'a>>,
    /// Read only where its length is all that tells of the usage.
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WholeChoice {
    #[serde(default)]
    message: Option<TextBytes>,
    #[serde(default)]
    text: Option<TextBytes>,
}

pub(super) fn read_answer(body: &[u8]) -> Answer {
    let Ok(body) = serde_json::from_slice::<Body<'_>>(body) else {
        return Answer::default();
    };
    let usage = body.usage.and_then(|usage| usage.read());
    let content_bytes = match (&usage, body.choices) {
        (None, Some(choices)) => content_bytes(choices),
        (Some(_), _) | (None, None) => 0,
    };
    Answer {
        usage,
        response_id: body.id.map(|id| id.0.into_owned()),
        model: body.model.map(|model| model.0.into_owned()),
        service_tier: body.service_tier.and_then(|tier| service_tier(&tier.0)),
        content_bytes,
    }
}

fn content_bytes(choices: &RawValue) -> u64 {
    let choices: Vec<WholeChoice> = serde_json::from_str(choices.get()).unwrap_or_default();
    let bytes = |choice: WholeChoice| choice.message.map_or(0, |text| text.0) + choice.text.map_or(0, |text| text.0);
    choices.into_iter().map(bytes).sum()
}

/// One chunk of a stream.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(default)]
    pub(super) created: Count,
    #[serde(borrow, default)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
    #[serde(default)]
    pub(super) error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: u32,
    #[serde(default)]
    pub(super) delta: Option<TextBytes>,
    /// Of the older completions.
    #[serde(default)]
    pub(super) text: Option<TextBytes>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Text<'a>>,
}

/// Usage as OpenAI and its imitators send it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(in crate::gateway) struct WireUsage {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    total_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Option<InputDetails>,
    #[serde(default)]
    completion_tokens_details: Option<OutputDetails>,
    /// DeepSeek.
    #[serde(default)]
    prompt_cache_hit_tokens: Count,
    /// Perplexity.
    #[serde(default)]
    num_search_queries: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    audio_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Count,
    #[serde(default)]
    audio_tokens: Count,
}

impl WireUsage {
    /// The usage in our shape; `None` when it is missing or any of its counts cannot be true.
    pub(in crate::gateway) fn read(&self) -> Option<Usage> {
        if self.counts().contains(&Count::Unusable) {
            return None;
        }
        let input = self.input();
        let prompt = self.prompt_tokens.known()?;
        let cached = input
            .cached_tokens
            .or(self.prompt_cache_hit_tokens)
            .or_zero()
            .min(prompt);
        let written = input.cache_write_tokens.or_zero().min(prompt - cached);
        let uncached = prompt - cached - written;
        let output = self.output_tokens(prompt);
        let details = self.completion_tokens_details.unwrap_or_default();
        let reasoning = details.reasoning_tokens.or_zero().min(output);
        Some(Usage {
            input_tokens: uncached,
            cache_read_tokens: cached,
            cache_write_tokens: written,
            cache_write_1h_tokens: 0,
            output_tokens: output,
            reasoning_tokens: reasoning,
            audio_input_tokens: input.audio_tokens.or_zero().min(uncached),
            audio_output_tokens: details.audio_tokens.or_zero().min(output - reasoning),
            web_searches: self.num_search_queries.or_zero(),
            ..Usage::default()
        })
    }

    /// xAI leaves reasoning out of `completion_tokens`, Gemini does so and gives no details: both show in the total.
    fn output_tokens(&self, prompt: u64) -> u64 {
        let completion = self.completion_tokens.or_zero();
        let hidden = self
            .total_tokens
            .or_zero()
            .saturating_sub(prompt.saturating_add(completion));
        let told = self
            .completion_tokens_details
            .and_then(|details| details.reasoning_tokens.known());
        match told {
            Some(reasoning) if reasoning == hidden => completion + hidden,
            Some(_) => completion,
            None => completion + hidden,
        }
    }

    fn input(&self) -> InputDetails {
        self.prompt_tokens_details.unwrap_or_default()
    }

    fn counts(&self) -> [Count; 10] {
        let (input, output) = (self.input(), self.completion_tokens_details.unwrap_or_default());
        [
            self.prompt_tokens,
            self.completion_tokens,
            self.total_tokens,
            self.prompt_cache_hit_tokens,
            self.num_search_queries,
            input.cached_tokens,
            input.audio_tokens,
            input.cache_write_tokens,
            output.reasoning_tokens,
            output.audio_tokens,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(text: &str) -> Option<Usage> {
        serde_json::from_str::<WireUsage>(text).unwrap().read()
    }

    #[test]
    fn reads_usage_by_the_rule_table() {
        let plain = |input, output| {
            Some(Usage {
                input_tokens: input,
                output_tokens: output,
                ..Usage::default()
            })
        };
        let table = [
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#,
                plain(10, 5),
            ),
            (
                r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
                plain(0, 0),
            ),
            (r#"{"prompt_tokens":10,"total_tokens":10}"#, plain(10, 0)),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null}"#,
                plain(10, 5),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22}"#,
                plain(10, 12),
            ),
            (r#"{}"#, None),
            (r#"{"completion_tokens":5}"#, None),
            (r#"{"prompt_tokens":-1,"completion_tokens":5}"#, None),
            (r#"{"prompt_tokens":10,"completion_tokens":9007199254740992}"#, None),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":-3}}"#,
                None,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(usage(text), expected, "{text}");
        }
    }

    #[test]
    fn takes_cached_reasoning_and_audio_tokens_apart() {
        let text = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":10},
            "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":5}}"#;
        let expected = Usage {
            input_tokens: 40,
            cache_read_tokens: 60,
            output_tokens: 50,
            reasoning_tokens: 30,
            audio_input_tokens: 10,
            audio_output_tokens: 5,
            ..Usage::default()
        };
        assert_eq!(usage(text), Some(expected));
        let outside = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,
            "completion_tokens_details":{"reasoning_tokens":30}}"#;
        assert_eq!(
            usage(outside).map(|usage| (usage.output_tokens, usage.reasoning_tokens)),
            Some((35, 30))
        );
    }

    #[test]
    fn reads_a_whole_answer_and_ignores_what_is_none() {
        let body = br#"{"id":"chatcmpl-1","model":"gpt-4o-mini-2024-07-18","service_tier":"priority",
            "choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
        let answer = read_answer(body);
        assert_eq!(answer.response_id.as_deref(), Some("chatcmpl-1"));
        assert_eq!(answer.model.as_deref(), Some("gpt-4o-mini-2024-07-18"));
        assert_eq!(answer.service_tier, Some(crate::domain::price::ServiceTier::Priority));
        assert_eq!(answer.usage.map(|usage| usage.total()), Some(5));
        let answer = read_answer(br#"{"choices":[{"message":{"role":"assistant","content":"Hello"}}]}"#);
        assert_eq!((answer.content_bytes, answer.content_tokens()), (5, 2));
        assert_eq!(read_answer(b"<html>"), Answer::default());
    }
}
