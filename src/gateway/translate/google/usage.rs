//! Usage as Google tells it: `promptTokenCount` has the cached tokens in it, thoughts stand beside the candidates and
//! are billed as output, and what tools read into the prompt is counted apart.

use serde::Deserialize;

use crate::domain::usage::Usage;
use crate::gateway::dialect::{Count, Text};
use crate::gateway::translate::json::{Json, Object};

/// The usage of a whole answer or of one event; `None` where it tells none that can be true.
pub fn read_usage(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        #[serde(borrow, default)]
        usage_metadata: Option<WireUsage<'a>>,
        #[serde(default)]
        candidates: Option<Vec<Grounded>>,
    }
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    let usage = body.usage_metadata?.read()?;
    let grounded = body
        .candidates
        .iter()
        .flatten()
        .filter_map(|candidate| candidate.grounding_metadata.as_ref());
    let searches = grounded.map(Grounding::search_count).sum();
    Some(Usage {
        web_searches: searches,
        ..usage
    })
}

/// A candidate, read for the searches that Google ran for it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grounded {
    #[serde(default)]
    grounding_metadata: Option<Grounding>,
}

/// What Google looked up for a candidate.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gateway) struct Grounding {
    #[serde(default)]
    web_search_queries: Option<Vec<serde::de::IgnoredAny>>,
}

impl Grounding {
    pub(in crate::gateway) fn search_count(&self) -> u64 {
        self.web_search_queries
            .as_ref()
            .map_or(0, |queries| queries.len() as u64)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gateway) struct WireUsage<'a> {
    prompt_token_count: Count,
    cached_content_token_count: Count,
    candidates_token_count: Count,
    thoughts_token_count: Count,
    tool_use_prompt_token_count: Count,
    total_token_count: Count,
    #[serde(borrow)]
    prompt_tokens_details: Option<Vec<Detail<'a>>>,
    #[serde(borrow)]
    cache_tokens_details: Option<Vec<Detail<'a>>>,
    #[serde(borrow)]
    candidates_tokens_details: Option<Vec<Detail<'a>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail<'a> {
    #[serde(borrow)]
    modality: Option<Text<'a>>,
    token_count: Count,
}

impl WireUsage<'_> {
    pub(in crate::gateway) fn read(&self) -> Option<Usage> {
        let counts = [
            self.prompt_token_count,
            self.cached_content_token_count,
            self.candidates_token_count,
            self.thoughts_token_count,
            self.tool_use_prompt_token_count,
            self.total_token_count,
        ];
        if counts.contains(&Count::Unusable) {
            return None;
        }
        let prompt = self.prompt_token_count.known()? + self.tool_use_prompt_token_count.or_zero();
        let cached = self.cached_content_token_count.or_zero().min(prompt);
        let reasoning = self.thoughts_token_count.or_zero();
        let told = self.candidates_token_count.or_zero() + reasoning;
        // Hosts that leave thoughts out of both counts still have them in the total.
        let output = told.max(self.total_token_count.or_zero().saturating_sub(prompt));
        let (audio, image) = parts_of(self.prompt_tokens_details.as_deref());
        let (cached_audio, cached_image) = parts_of(self.cache_tokens_details.as_deref());
        let (made_audio, made_image) = parts_of(self.candidates_tokens_details.as_deref());
        let (audio, made_audio) = (
            audio.saturating_sub(cached_audio).min(prompt - cached),
            made_audio.min(output - reasoning),
        );
        let usage = Usage {
            input_tokens: prompt - cached,
            cache_read_tokens: cached,
            output_tokens: output,
            reasoning_tokens: reasoning,
            audio_input_tokens: audio,
            audio_cache_read_tokens: cached_audio.min(cached),
            image_input_tokens: image.saturating_sub(cached_image).min(prompt - cached - audio),
            audio_output_tokens: made_audio,
            image_output_tokens: made_image.min(output - reasoning - made_audio),
            ..Usage::default()
        };
        // Sums of counts that can be true may be ones that cannot.
        Some(usage).filter(Usage::is_plausible)
    }
}

/// How many tokens were sound, and how many images.
fn parts_of(details: Option<&[Detail<'_>]>) -> (u64, u64) {
    let count = |name: &str| {
        let is_named = |detail: &&Detail<'_>| detail.modality.as_ref().is_some_and(|modality| modality.0 == name);
        let named = details.into_iter().flatten().filter(is_named);
        named.fold(0, |sum, detail| sum.max(detail.token_count.or_zero()))
    };
    (count("AUDIO"), count("IMAGE"))
}

pub(in crate::gateway) fn write_usage(usage: &Usage) -> Object<'static> {
    let mut object = Object::new()
        .with("promptTokenCount", usage.total_input())
        .with(
            "candidatesTokenCount",
            usage.output_tokens.saturating_sub(usage.reasoning_tokens),
        )
        .with("totalTokenCount", usage.total());
    let some = |count: u64| (count > 0).then_some(count);
    object.put_some("cachedContentTokenCount", some(usage.cache_read_tokens));
    object.put_some("thoughtsTokenCount", some(usage.reasoning_tokens));
    let audio =
        |count: u64| -> Json<'static> { Object::new().with("modality", "AUDIO").with("tokenCount", count).into() };
    if usage.audio_input_tokens > 0 {
        let text = usage.total_input().saturating_sub(usage.audio_input_tokens);
        let text = Object::new().with("modality", "TEXT").with("tokenCount", text);
        object.put(
            "promptTokensDetails",
            vec![text.into(), audio(usage.audio_input_tokens)],
        );
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_cache_out_of_the_prompt_and_counts_thoughts_as_output() {
        let body = br#"{"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":7,
            "thoughtsTokenCount":20,"toolUsePromptTokenCount":5,"totalTokenCount":132,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":90},{"modality":"AUDIO","tokenCount":10}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":4}]},
            "candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}]}"#;
        let expected = Usage {
            input_tokens: 65,
            cache_read_tokens: 40,
            output_tokens: 27,
            reasoning_tokens: 20,
            audio_input_tokens: 6,
            audio_cache_read_tokens: 4,
            web_searches: 2,
            ..Usage::default()
        };
        assert_eq!(read_usage(body), Some(expected));
    }

    #[test]
    fn counts_that_cannot_be_true_are_none_and_hidden_thoughts_stand_in_the_total() {
        let read = |counts: &str| read_usage(format!("{{\"usageMetadata\":{{{counts}}}}}").as_bytes());
        for counts in [
            "",
            r#""trafficType":"ON_DEMAND""#,
            r#""promptTokenCount":-1"#,
            r#""promptTokenCount":1,"candidatesTokenCount":"7""#,
            r#""promptTokenCount":1,"thoughtsTokenCount":1e30"#,
        ] {
            assert_eq!(read(counts), None, "{counts}");
        }
        let hidden = read(r#""promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":9"#).unwrap();
        assert_eq!((hidden.input_tokens, hidden.output_tokens), (3, 6));
        assert_eq!(read(r#""promptTokenCount":3"#).unwrap().output_tokens, 0);
    }
}
