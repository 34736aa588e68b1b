//! A `GenerateContentResponse`, whole or in the chunks of a stream, each of which is a whole response with the usage
//! so far. Thoughts are parts of their own where the request wants them; the signature stands on the first part that
//! is none. Thoughts are not counted among the candidates' tokens, and cached tokens are among the prompt's.

use serde_json::{Value, json};

use super::Action;
use super::request::{Input, Thoughts};
use crate::app::simulator::ledger::OpenEntry;
use crate::app::simulator::reel::{Reel, Words};
use crate::app::simulator::refusal::Refusal;
use crate::app::simulator::reply::{EVENTS, Reply};
use crate::app::simulator::stream::{Frame, Part, Reported};
use crate::app::simulator::turn::{Finish, SIGNATURE, Turn};

/// How the chunks of a stream are put one after the other.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Framing {
    /// `alt=sse`
    Events,
    /// One JSON array that grows.
    Array,
}

/// Whether a chunk is followed by another.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Place {
    Before,
    Last,
}

/// All that is needed to write an answer.
pub(super) struct Chunks {
    turn: Turn,
    thoughts: Thoughts,
    input: Input,
}

/// What every chunk says beside its parts; small, because each run of words owns one.
#[derive(Clone)]
struct Frames {
    framing: Framing,
    model: String,
    id: String,
    usage: Option<RunningUsage>,
}

/// The usage of a stream on its way. A usage that is a lie is the same lie from the first chunk to the last.
#[derive(Clone)]
struct RunningUsage {
    last: Value,
    reported: Reported,
    truthful: bool,
    thought_tokens: u64,
}

impl Chunks {
    pub(super) fn new(turn: Turn, thoughts: Thoughts, input: Input) -> Self {
        Self { turn, thoughts, input }
    }

    /// The answer, booked so far as it is made before its first byte.
    pub(super) fn reply(&self, action: Action, framing: Framing, entry: &mut OpenEntry) -> Reply {
        if action != Action::Stream {
            entry.sums.output_tokens = self.turn.output_tokens();
            return Reply::json(&self.whole(), self.turn.reported());
        }
        if self.thoughts == Thoughts::Hidden {
            entry.sums.output_tokens = self.turn.thought_tokens;
        }
        let content_type = match framing {
            Framing::Events => EVENTS,
            Framing::Array => "application/json; charset=utf-8",
        };
        Reply::Streamed {
            content_type,
            reel: self.reel(framing),
        }
    }

    fn whole(&self) -> Value {
        let mut parts = Vec::new();
        if self.thoughts == Thoughts::Shown && self.turn.thought_tokens > 0 {
            parts.push(json!({"text": self.turn.thoughts(), "thought": true}));
        }
        let first = parts.len();
        if self.turn.text_tokens > 0 {
            parts.push(json!({"text": self.turn.text()}));
        }
        parts.extend(self.call_parts());
        if let Some(part) = parts.get_mut(first).filter(|_| self.turn.thought_tokens > 0) {
            part["thoughtSignature"] = json!(SIGNATURE);
        }
        let mut candidate = json!({
            "content": {"parts": parts, "role": "model"}, "finishReason": self.finish_reason(), "index": 0,
        });
        self.ground(&mut candidate);
        let mut whole = json!({
            "candidates": [candidate], "modelVersion": self.turn.model, "responseId": self.turn.id.to_string(),
        });
        if let Some(usage) = self.usage() {
            whole["usageMetadata"] = usage;
        }
        whole
    }

    fn reel(&self, framing: Framing) -> Reel {
        let frames = self.frames(framing);
        let mut reel = Reel::default();
        if framing == Framing::Array {
            reel.push(Part::Opening, Frame::silent("["));
        }
        let shown_tokens = match self.thoughts {
            Thoughts::Shown => self.turn.thought_tokens,
            Thoughts::Hidden => 0,
        };
        reel.push_words(frames.words(&self.turn, shown_tokens, &json!({"thought": true})));
        reel.push_words(frames.words(&self.turn, self.turn.text_tokens, &json!({})));
        let mut signature = (self.turn.thought_tokens > 0).then(|| json!(SIGNATURE));
        for (index, mut part) in self.call_parts().enumerate() {
            if let Some(signature) = signature.take() {
                part["thoughtSignature"] = signature;
            }
            let tokens = if index == 0 { self.turn.called_tokens() } else { 0 };
            let candidate = json!({"content": {"parts": [part], "role": "model"}, "index": 0});
            let said = self.turn.called_tokens();
            reel.push_content(tokens, frames.chunk(candidate, Some(said), Place::Before));
        }
        let mut last = json!({"text": ""});
        if let Some(signature) = signature {
            last["thoughtSignature"] = signature;
        }
        let mut candidate = json!({
            "content": {"parts": [last], "role": "model"}, "finishReason": self.finish_reason(), "index": 0,
        });
        self.ground(&mut candidate);
        reel.push(Part::Closing, frames.chunk(candidate, None, Place::Last));
        if let Some(count) = self.turn.error_after() {
            let error = Refusal::of_status(503);
            let body: Value = serde_json::from_slice(&super::error_body(&error)).unwrap_or_default();
            reel.fail_after(count, Frame::silent(framing.written(&body, Place::Last)));
        }
        reel
    }

    fn frames(&self, framing: Framing) -> Frames {
        let usage = self.usage().zip(self.turn.usage).map(|(last, usage)| RunningUsage {
            last,
            reported: Reported::whole(&usage),
            truthful: u64::try_from(usage.output_tokens) == Ok(self.turn.output_tokens()),
            thought_tokens: self.turn.thought_tokens,
        });
        Frames {
            framing,
            model: self.turn.model.clone(),
            id: self.turn.id.to_string(),
            usage,
        }
    }

    fn call_parts(&self) -> impl Iterator<Item = Value> {
        self.turn.calls.iter().map(|call| {
            let input: Value = serde_json::from_str(&call.input).unwrap_or_else(|_| json!({}));
            json!({"functionCall": {"name": call.name, "args": input}})
        })
    }

    /// A turn of function calls ends like any other.
    fn finish_reason(&self) -> &'static str {
        match self.turn.finish {
            Finish::Natural | Finish::Tools => "STOP",
            Finish::Length => "MAX_TOKENS",
        }
    }

    fn ground(&self, candidate: &mut Value) {
        if self.turn.search_count > 0 {
            let queries: Vec<String> = (1..=self.turn.search_count)
                .map(|number| format!("query {number}"))
                .collect();
            let source = json!({"web": {"uri": "https://example.com/", "title": "example.com"}});
            candidate["groundingMetadata"] = json!({"webSearchQueries": queries, "groundingChunks": [source]});
        }
    }

    fn usage(&self) -> Option<Value> {
        let usage = self.turn.usage.as_ref()?;
        let mut report = json!({
            "promptTokenCount": usage.input_tokens,
            "candidatesTokenCount": usage.output_tokens.saturating_sub(usage.reasoning_tokens),
            "totalTokenCount": usage.input_tokens.saturating_add(usage.output_tokens),
            "promptTokensDetails": self.input.details(),
        });
        if usage.reasoning_tokens != 0 {
            report["thoughtsTokenCount"] = json!(usage.reasoning_tokens);
        }
        if usage.cached_tokens != 0 {
            report["cachedContentTokenCount"] = json!(usage.cached_tokens);
            report["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": usage.cached_tokens}]);
        }
        Some(report)
    }
}

impl Frames {
    fn words(&self, turn: &Turn, count: u64, extra: &Value) -> Words {
        let (frames, extra) = (self.clone(), extra.clone());
        let is_thought = extra["thought"] == true;
        Words {
            vocabulary: turn.vocabulary.clone(),
            count,
            write: Box::new(move |position, word| {
                let mut part = extra.clone();
                part["text"] = json!(word);
                let said = if is_thought { 0 } else { position + 1 };
                let candidate = json!({"content": {"parts": [part], "role": "model"}, "index": 0});
                frames.chunk(candidate, Some(said), Place::Before)
            }),
        }
    }

    /// A chunk with the usage after so many words of the text; without a count it is the usage of the end.
    fn chunk(&self, candidate: Value, said: Option<u64>, place: Place) -> Frame {
        let mut chunk = json!({"candidates": [candidate], "modelVersion": self.model, "responseId": self.id});
        let mut reported = None;
        if let Some(usage) = &self.usage {
            let (running, counts) = usage.after(said);
            chunk["usageMetadata"] = running;
            reported = Some(counts);
        }
        Frame::silent(self.framing.written(&chunk, place)).reporting(reported)
    }
}

impl RunningUsage {
    fn after(&self, said: Option<u64>) -> (Value, Reported) {
        let (Some(said), true) = (said, self.truthful) else {
            return (self.last.clone(), self.reported);
        };
        let mut running = self.last.clone();
        let output = i64::try_from(said + self.thought_tokens).unwrap_or(i64::MAX);
        running["candidatesTokenCount"] = json!(said);
        running["totalTokenCount"] = json!(self.reported.input_tokens.saturating_add(output));
        let reported = Reported {
            input_tokens: self.reported.input_tokens,
            output_tokens: output,
        };
        (running, reported)
    }
}

impl Framing {
    fn written(self, chunk: &Value, place: Place) -> String {
        match (self, place) {
            (Self::Events, Place::Before | Place::Last) => format!("data: {chunk}\r\n\r\n"),
            (Self::Array, Place::Before) => format!("{chunk}\n,\r\n"),
            (Self::Array, Place::Last) => format!("{chunk}\n]"),
        }
    }
}
