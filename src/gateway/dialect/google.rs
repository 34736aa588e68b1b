//! Google's answers and stream pieces, read only for what is billed. Source of the shapes: the Gemini API reference of
//! generateContent. Every piece of a stream is a whole answer with the next parts in it; usage grows from piece to
//! piece, and the one that says why the model stopped is the last that counts.

use serde::Deserialize;

use super::Answer;
use super::wire::{Text, TextBytes};
use crate::domain::usage::Usage;
use crate::gateway::translate::google::{Grounding, WireUsage};

/// The reason of an error that is about the credential.
const KEY_INVALID: &str = "API_KEY_INVALID";

/// A whole answer, or a piece of a stream.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Piece<'a> {
    #[serde(borrow, default)]
    pub(super) response_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) model_version: Option<Text<'a>>,
    #[serde(borrow, default)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(default)]
    prompt_feedback: Option<serde::de::IgnoredAny>,
    #[serde(borrow, default)]
    usage_metadata: Option<WireUsage<'a>>,
    #[serde(default)]
    pub(super) error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    content: Option<Content>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
    #[serde(default)]
    grounding_metadata: Option<Grounding>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Option<Vec<Part>>,
}

/// Inline data is no text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    text: Option<TextBytes>,
    #[serde(default)]
    function_call: Option<TextBytes>,
}

impl Piece<'_> {
    /// The usage so far; `None` where the piece tells none that can be true.
    pub(super) fn usage(&self) -> Option<Usage> {
        let usage = self.usage_metadata.as_ref()?.read()?;
        let candidates = self.candidates.iter().flatten();
        let grounded = candidates.filter_map(|candidate| candidate.grounding_metadata.as_ref());
        Some(Usage {
            web_searches: grounded.map(Grounding::search_count).sum(),
            ..usage
        })
    }

    /// The model said why it stopped, or the prompt was blocked.
    pub(super) fn is_stopped(&self) -> bool {
        let candidates = self.candidates.as_deref().unwrap_or_default();
        let stopped = candidates.iter().any(|candidate| candidate.finish_reason.is_some());
        stopped || (candidates.is_empty() && self.prompt_feedback.is_some())
    }

    pub(super) fn text_bytes(&self) -> u64 {
        let parts = self.candidates.iter().flatten().filter_map(|candidate| {
            let content = candidate.content.as_ref()?;
            content.parts.as_ref()
        });
        let bytes = |part: &Part| {
            let (text, call) = (part.text.as_ref(), part.function_call.as_ref());
            text.map_or(0, |text| text.0) + call.map_or(0, |call| call.0)
        };
        parts.flatten().map(bytes).sum()
    }
}

pub(super) fn read_answer(body: &[u8]) -> Answer {
    let Ok(piece) = serde_json::from_slice::<Piece<'_>>(body) else {
        return Answer::default();
    };
    Answer {
        usage: piece.usage(),
        content_bytes: piece.text_bytes(),
        response_id: piece.response_id.map(|id| id.0.into_owned()),
        model: piece.model_version.map(|model| model.0.into_owned()),
        service_tier: None,
    }
}

/// Whether an error says that Google does not take the credential: it is told as a wrong argument (400). Only the reason
/// counts, which no caller can write; the OpenAI-like face of the API puts the error into a list.
pub fn refuses_key(status: u16, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told<'a> {
        // First, because a list could be read as an object without names.
        #[serde(borrow)]
        Several(Vec<Wrapped<'a>>),
        #[serde(borrow)]
        One(Wrapped<'a>),
    }
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        error: Explained<'a>,
    }
    #[derive(Deserialize)]
    struct Explained<'a> {
        #[serde(borrow, default)]
        details: Vec<Detail<'a>>,
    }
    #[derive(Deserialize)]
    struct Detail<'a> {
        #[serde(borrow, default)]
        reason: Option<Text<'a>>,
    }
    if status != 400 {
        return false;
    }
    let told = match serde_json::from_slice(body) {
        Ok(Told::One(error)) => vec![error],
        Ok(Told::Several(errors)) => errors,
        Err(_) => return false,
    };
    let mut details = told.iter().flat_map(|wrapped| &wrapped.error.details);
    details.any(|detail| detail.reason.as_ref().is_some_and(|reason| reason.0 == KEY_INVALID))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_usage_text_and_searches_and_ignores_inline_data() {
        let body = br#"{"candidates":[{"content":{"parts":[{"text":"Hello"},{"inlineData":{"mimeType":"image/png",
            "data":"AAAAAAAAAAAA"}},{"functionCall":{"name":"f","args":{"a":"bc"}}}],"role":"model"},
            "finishReason":"STOP","groundingMetadata":{"webSearchQueries":["a"]}}],
            "usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"totalTokenCount":6},
            "modelVersion":"gemini-2.5-flash","responseId":"r1"}"#;
        let answer = read_answer(body);
        let usage = answer.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.web_searches), (4, 2, 1));
        assert_eq!(answer.response_id.as_deref(), Some("r1"));
        assert_eq!(answer.model.as_deref(), Some("gemini-2.5-flash"));
        assert_eq!(answer.content_bytes, 5 + 1 + 2);
        assert_eq!(read_answer(b"<html>"), Answer::default());
    }

    #[test]
    fn a_key_that_is_not_taken_is_known_by_its_reason_only() {
        let error = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[
            {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"},
            {"@type":"type.googleapis.com/google.rpc.LocalizedMessage","locale":"en"}]}}"#;
        let list = format!("[{error}]");
        let echoed = r#"{"error":{"code":400,"message":"no field API_KEY_INVALID","details":[{"reason":"OTHER"}]}}"#;
        let table = [
            (400, error, true),
            (400, &list, true),
            (403, error, false),
            (400, echoed, false),
            (400, r#"{"error":{"message":"x"}}"#, false),
            (400, "<html>", false),
        ];
        for (status, body, expected) in table {
            assert_eq!(refuses_key(status, body.as_bytes()), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_blocked_prompt_is_an_end_and_a_piece_without_a_reason_is_none() {
        let read = |text: &'static str| serde_json::from_str::<Piece<'_>>(text).unwrap().is_stopped();
        assert!(read(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#));
        assert!(read(r#"{"candidates":[{"finishReason":"STOP"}]}"#));
        assert!(!read(r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#));
        assert!(!read("{}"));
    }
}
