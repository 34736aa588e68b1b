//! The end of a stream that we stop, in the words of its dialect: every open part is closed, the reason is the output
//! cap, then usage, then the last frame. A client's library sees a complete answer that was cut short.

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::stream::UsageFrames;
use crate::domain::usage::Usage;
use crate::gateway::translate::{bedrock as aws, google as gemini, responses as items};

/// What a stream said of itself at its start, and which of its parts are open.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    /// Unix seconds (OpenAI's dialect).
    pub(super) created_s: u64,
    /// Choices or blocks by index, each with whether it is closed.
    pub(super) open: Vec<(u64, bool)>,
    /// The first message has gone out (Bedrock).
    pub(super) begun: bool,
    /// The answer as its first event told it (responses).
    pub(super) response: Option<String>,
    /// The items that came whole (responses).
    pub(super) items: Vec<Box<RawValue>>,
    items_bytes: usize,
    /// The number of the last event (responses).
    pub(super) sequence: u64,
}

/// The most bytes of whole items that are kept to be told again.
const ITEMS_LIMIT_BYTES: usize = 1 << 20;

impl Opening {
    /// Keeps an item that came whole, as long as they are small.
    pub(super) fn keep_item(&mut self, item: Option<&RawValue>) {
        let Some(item) = item else { return };
        self.items_bytes += item.get().len();
        if self.items_bytes <= ITEMS_LIMIT_BYTES {
            self.items.push(item.to_owned());
        }
    }

    fn still_open(&self) -> impl Iterator<Item = u64> {
        self.open.iter().filter(|(_, closed)| !closed).map(|(index, _)| *index)
    }
}

/// A chunk with `finish_reason: "length"` for each open choice, the usage chunk where it was asked for, `[DONE]`.
pub(super) fn openai(opening: &Opening, usage: &Usage, usage_frames: UsageFrames) -> Bytes {
    let chunk = |choices: Value| {
        json!({
            "id": opening.id, "object": "chat.completion.chunk", "created": opening.created_s,
            "model": opening.model, "choices": choices,
        })
    };
    let mut text = String::new();
    for index in opening.still_open() {
        let choice = json!([{ "index": index, "delta": {}, "logprobs": null, "finish_reason": "length" }]);
        text.push_str(&format!("data: {}\n\n", chunk(choice)));
    }
    if usage_frames == UsageFrames::Pass {
        let mut last = chunk(json!([]));
        last["usage"] = openai_usage(usage);
        text.push_str(&format!("data: {last}\n\n"));
    }
    text.push_str("data: [DONE]\n\n");
    text.into()
}

fn openai_usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.total_input(),
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "prompt_tokens_details": { "cached_tokens": usage.cache_read_tokens, "audio_tokens": usage.audio_input_tokens },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.audio_output_tokens,
        },
    })
}

/// The stop of each open block, `message_delta` with the reason and the usage, `message_stop`. A stream that was
/// stopped before its `message_start` gets one, because clients cannot read the rest without it.
pub(super) fn anthropic(opening: &Opening, usage: &Usage) -> Bytes {
    let mut text = String::new();
    let mut event = |body: Value| {
        text.push_str(&format!(
            "event: {}\ndata: {body}\n\n",
            body["type"].as_str().unwrap_or("")
        ))
    };
    if opening.id.is_none() {
        event(json!({ "type": "message_start", "message": {
            "id": "msg_stopped", "type": "message", "role": "assistant", "model": opening.model.as_deref().unwrap_or(""),
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": { "input_tokens": usage.input_tokens, "output_tokens": 0 },
        }}));
    }
    for index in opening.still_open() {
        event(json!({ "type": "content_block_stop", "index": index }));
    }
    event(json!({
        "type": "message_delta",
        "delta": { "stop_reason": "max_tokens", "stop_sequence": null },
        "usage": {
            "input_tokens": usage.input_tokens,
            "cache_read_input_tokens": usage.cache_read_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens + usage.cache_write_1h_tokens,
            "output_tokens": usage.output_tokens,
        },
    }));
    event(json!({ "type": "message_stop" }));
    text.into()
}

/// A last piece without text that says why and what for.
pub(super) fn google(opening: &Opening, usage: &Usage) -> Bytes {
    let candidate = json!({
        "content": { "role": "model", "parts": [{ "text": "" }] }, "finishReason": "MAX_TOKENS", "index": 0,
    });
    let mut piece = json!({ "candidates": [candidate], "usageMetadata": value(gemini::write_usage(usage).to_bytes()) });
    for (name, told) in [("modelVersion", &opening.model), ("responseId", &opening.id)] {
        if let Some(told) = told {
            piece[name] = told.as_str().into();
        }
    }
    format!("data: {piece}\n\n").into()
}

/// The stop of each open block, `messageStop` with the reason, `metadata` with the usage.
pub(super) fn bedrock(opening: &Opening, usage: &Usage) -> Bytes {
    let mut out = BytesMut::new();
    let mut event = |kind: &str, body: Value| {
        let headers = [
            (":event-type", kind),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        aws::write_message(&headers, body.to_string().as_bytes(), &mut out);
    };
    if !opening.begun {
        event("messageStart", json!({ "role": "assistant" }));
    }
    for index in opening.still_open() {
        event("contentBlockStop", json!({ "contentBlockIndex": index }));
    }
    event("messageStop", json!({ "stopReason": "max_tokens" }));
    let usage = value(aws::write_usage(usage).to_bytes());
    event("metadata", json!({ "usage": usage, "metrics": { "latencyMs": 0 } }));
    out.freeze()
}

/// `response.incomplete` with the answer as it was begun and the items that came whole.
pub(super) fn responses(opening: &Opening, usage: &Usage) -> Bytes {
    let begun = opening.response.as_deref().unwrap_or("{}");
    let mut response: Map<String, Value> = serde_json::from_str(begun).unwrap_or_default();
    let whole: Vec<Value> = opening
        .items
        .iter()
        .filter_map(|item| serde_json::from_str(item.get()).ok())
        .collect();
    response.insert("status".to_owned(), "incomplete".into());
    response.insert(
        "incomplete_details".to_owned(),
        json!({ "reason": "max_output_tokens" }),
    );
    response.insert("output".to_owned(), whole.into());
    response.insert("usage".to_owned(), value(items::write_usage(usage).to_bytes()));
    let event = json!({
        "type": "response.incomplete", "sequence_number": opening.sequence + 1, "response": response,
    });
    format!("event: response.incomplete\ndata: {event}\n\n").into()
}

fn value(json: Vec<u8>) -> Value {
    serde_json::from_slice(&json).unwrap_or_default()
}
