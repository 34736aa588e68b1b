//! The end of a stream that we stop, in the words of its dialect: every open part is closed, the reason is the output
//! cap, then usage, then the last frame. A client's library sees a complete answer that was cut short.

use bytes::Bytes;
use serde_json::{Value, json};

use super::stream::UsageFrames;
use crate::domain::usage::Usage;

/// What a stream said of itself at its start, and which of its parts are open.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    /// Unix seconds (OpenAI's dialect).
    pub(super) created_s: u64,
    /// Choices or blocks by index, each with whether it is closed.
    pub(super) open: Vec<(u64, bool)>,
}

impl Opening {
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
