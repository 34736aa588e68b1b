//! A Converse answer, whole or as events. Thoughts are a block of reasoning with its signature before the text; each
//! use of a tool is a block whose input is streamed in pieces. Cached tokens come beside the input's, and thoughts
//! are among the output's.

use serde_json::{Value, json};

use super::framing::{event, exception};
use crate::app::simulator::reel::{Reel, Words};
use crate::app::simulator::stream::{Frame, Part};
use crate::app::simulator::tools::pieces;
use crate::app::simulator::turn::{Finish, SIGNATURE, ToolCall, Turn};

/// The body of a whole answer.
pub(super) fn whole(turn: &Turn) -> Value {
    let mut content = Vec::new();
    if turn.thought_tokens > 0 {
        let thoughts = json!({"text": turn.thoughts(), "signature": SIGNATURE});
        content.push(json!({"reasoningContent": {"reasoningText": thoughts}}));
    }
    if turn.text_tokens > 0 {
        content.push(json!({"text": turn.text()}));
    }
    for call in &turn.calls {
        let input: Value = serde_json::from_str(&call.input).unwrap_or_else(|_| json!({}));
        content.push(json!({"toolUse": {"toolUseId": id(call), "name": call.name, "input": input}}));
    }
    let mut whole = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(turn.finish),
        "metrics": {"latencyMs": 1},
    });
    if let Some(usage) = usage(turn) {
        whole["usage"] = usage;
    }
    whole
}

/// The events of a streamed answer.
pub(super) fn reel(turn: &Turn) -> Reel {
    let mut reel = Reel::default();
    let mut index = 0;
    reel.push(Part::Opening, plain("messageStart", json!({"role": "assistant"})));
    if turn.thought_tokens > 0 {
        reel.push_words(words(turn, turn.thought_tokens, index, Kind::Thoughts));
        reel.push_content(0, delta(index, json!({"reasoningContent": {"signature": SIGNATURE}})));
        reel.push(Part::Closing, stop(index));
        index += 1;
    }
    if turn.text_tokens > 0 {
        reel.push_words(words(turn, turn.text_tokens, index, Kind::Text));
        reel.push(Part::Closing, stop(index));
        index += 1;
    }
    let mut tokens = turn.called_tokens();
    for call in &turn.calls {
        let start = json!({"toolUse": {"toolUseId": id(call), "name": call.name}});
        let start = json!({"contentBlockIndex": index, "start": start});
        reel.push_content(std::mem::take(&mut tokens), plain("contentBlockStart", start));
        for piece in pieces(&call.input) {
            reel.push_content(0, delta(index, json!({"toolUse": {"input": piece}})));
        }
        reel.push(Part::Closing, stop(index));
        index += 1;
    }
    let stop_reason = json!({"stopReason": stop_reason(turn.finish)});
    reel.push(Part::Closing, plain("messageStop", stop_reason));
    let mut metadata = json!({"metrics": {"latencyMs": 1}});
    if let Some(usage) = usage(turn) {
        metadata["usage"] = usage;
    }
    reel.push(Part::Closing, plain("metadata", metadata).reporting(turn.reported()));
    if let Some(count) = turn.error_after() {
        let message = json!({"message": "Too many requests, please wait before trying again."});
        reel.fail_after(count, Frame::silent(exception("throttlingException", &message)));
    }
    reel
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum Kind {
    Thoughts,
    Text,
}

fn words(turn: &Turn, count: u64, index: u64, kind: Kind) -> Words {
    Words {
        vocabulary: turn.vocabulary.clone(),
        count,
        write: Box::new(move |_, word| match kind {
            Kind::Thoughts => delta(index, json!({"reasoningContent": {"text": word}})),
            Kind::Text => delta(index, json!({"text": word})),
        }),
    }
}

fn delta(index: u64, delta: Value) -> Frame {
    plain("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}))
}

fn stop(index: u64) -> Frame {
    plain("contentBlockStop", json!({"contentBlockIndex": index}))
}

/// Every payload has a `p` of a length that says nothing, against those who measure encrypted frames.
fn plain(kind: &str, mut payload: Value) -> Frame {
    payload["p"] = json!("abcdefg");
    Frame::silent(event(kind, &payload))
}

fn id(call: &ToolCall) -> String {
    format!("tooluse_{}", call.id)
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Natural => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
    }
}

fn usage(turn: &Turn) -> Option<Value> {
    let usage = turn.usage.as_ref()?;
    let whole = usage.input_tokens.saturating_add(usage.output_tokens);
    let cached = usage.cached_tokens.saturating_add(usage.cache_write_tokens);
    let mut report = json!({
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": whole.saturating_add(cached),
        "cacheReadInputTokens": usage.cached_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
        "serverToolUsage": {},
    });
    if usage.cache_write_tokens > 0 {
        report["cacheDetails"] = json!([{"ttl": "5m", "inputTokens": usage.cache_write_tokens}]);
    }
    Some(report)
}
