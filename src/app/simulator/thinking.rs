//! Anthropic's messages with thoughts: a call whose `thinking` is on and whose directives say how much is thought is
//! answered with a signed block of thoughts before the text or the tools. Thoughts come on top of the asked length
//! and are part of the output, as everywhere.

use serde_json::{Value, json};

use super::directive::Directives;
use super::ledger::OpenEntry;
use super::reel::{Reel, Words};
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::{Call, Delivery};
use super::stream::{Frame, Part, Reported};
use super::tools::pieces;
use super::turn::{Ask, CachedInput, Finish, SIGNATURE, ToolCall, Turn, carries};

/// Whether the call is answered with thoughts.
pub(super) fn is_wanted(directives: &Directives, body: &Value) -> bool {
    let is_on = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    is_on && directives.report.reasoning_tokens > 0
}

/// The answer with thoughts, booked so far as it is made before its first byte.
pub(super) fn reply(
    call: &Call<'_>,
    directives: &Directives,
    body: &Value,
    entry: &mut OpenEntry,
) -> Result<Reply, Refusal> {
    let last = body["messages"].as_array().and_then(|messages| messages.last());
    let blocks = last.and_then(|last| last["content"].as_array()).into_iter().flatten();
    let ask = Ask {
        model: call.model().to_owned(),
        input_tokens: call.input_tokens,
        output_tokens_cap: call.output_tokens_cap,
        has_results: blocks.into_iter().any(|block| block["type"] == "tool_result"),
        has_signature: carries(&body["messages"], "signature", SIGNATURE),
    };
    let turn = Turn::decide(ask, directives, body.to_string().as_bytes())?;
    turn.book(entry, CachedInput::Beside);
    Ok(match call.delivery {
        Delivery::Streamed { .. } => Reply::events(reel(&turn, &entry.id)),
        Delivery::Whole => {
            entry.sums.output_tokens = turn.output_tokens();
            Reply::json(&whole(&turn, &entry.id), turn.reported())
        }
    })
}

fn whole(turn: &Turn, id: &str) -> Value {
    let mut content = vec![json!({"type": "thinking", "thinking": turn.thoughts(), "signature": SIGNATURE})];
    if turn.text_tokens > 0 {
        content.push(json!({"type": "text", "text": turn.text()}));
    }
    for call in &turn.calls {
        let input: Value = serde_json::from_str(&call.input).unwrap_or_else(|_| json!({}));
        let mut block = tool_use(call);
        block["input"] = input;
        content.push(block);
    }
    let mut whole = message(turn, id);
    whole["content"] = json!(content);
    whole["stop_reason"] = json!(stop_reason(turn.finish));
    if let Some(usage) = &turn.usage {
        whole["usage"] = usage_json(turn, usage.output_tokens);
    }
    whole
}

fn reel(turn: &Turn, id: &str) -> Reel {
    let mut reel = Reel::default();
    let mut start = message(turn, id);
    let mut first = None;
    if let Some(usage) = &turn.usage {
        start["usage"] = usage_json(turn, usage.first_output_tokens);
        first = Some(Reported {
            input_tokens: usage.input_tokens,
            output_tokens: usage.first_output_tokens,
        });
    }
    let start = event("message_start", json!({"message": start})).reporting(first);
    reel.push(Part::Opening, start);
    let thinking = json!({"type": "thinking", "thinking": "", "signature": ""});
    reel.push(Part::Opening, block_start(0, thinking));
    reel.push_words(words(turn, turn.thought_tokens, 0, "thinking"));
    let signature = json!({"type": "signature_delta", "signature": SIGNATURE});
    reel.push_content(0, delta(0, signature));
    reel.push(Part::Closing, block_stop(0));
    let mut index = 1;
    if turn.text_tokens > 0 {
        reel.push(Part::Closing, block_start(index, json!({"type": "text", "text": ""})));
        reel.push_words(words(turn, turn.text_tokens, index, "text"));
        reel.push(Part::Closing, block_stop(index));
        index += 1;
    }
    let mut tokens = turn.called_tokens();
    for call in &turn.calls {
        let begun = block_start(index, tool_use(call));
        reel.push_content(std::mem::take(&mut tokens), begun);
        for piece in pieces(&call.input) {
            let piece = json!({"type": "input_json_delta", "partial_json": piece});
            reel.push_content(0, delta(index, piece));
        }
        reel.push(Part::Closing, block_stop(index));
        index += 1;
    }
    close(turn, &mut reel);
    reel
}

fn close(turn: &Turn, reel: &mut Reel) {
    let mut end = json!({"delta": {"stop_reason": stop_reason(turn.finish), "stop_sequence": null}});
    if let Some(usage) = &turn.usage {
        end["usage"] = json!({"output_tokens": usage.output_tokens});
    }
    let end = event("message_delta", end).reporting(turn.reported());
    reel.push(Part::Closing, end);
    reel.push(Part::Closing, event("message_stop", json!({})));
    if let Some(count) = turn.error_after() {
        let error = json!({"error": {"type": "overloaded_error", "message": "Overloaded"}});
        reel.fail_after(count, event("error", error));
    }
}

fn words(turn: &Turn, count: u64, index: u64, kind: &'static str) -> Words {
    Words {
        vocabulary: turn.vocabulary.clone(),
        count,
        write: Box::new(move |_, word| {
            let mut piece = json!({"type": format!("{kind}_delta")});
            piece[kind] = json!(word);
            delta(index, piece)
        }),
    }
}

fn message(turn: &Turn, id: &str) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "model": turn.model, "content": [], "stop_reason": null,
        "stop_sequence": null,
    })
}

fn tool_use(call: &ToolCall) -> Value {
    json!({"type": "tool_use", "id": format!("toolu_{}", call.id), "name": call.name, "input": {}})
}

fn block_start(index: u64, block: Value) -> Frame {
    event("content_block_start", json!({"index": index, "content_block": block}))
}

fn delta(index: u64, delta: Value) -> Frame {
    event("content_block_delta", json!({"index": index, "delta": delta}))
}

fn block_stop(index: u64) -> Frame {
    event("content_block_stop", json!({"index": index}))
}

fn event(kind: &str, mut body: Value) -> Frame {
    body["type"] = json!(kind);
    Frame::silent(format!("event: {kind}\ndata: {body}\n\n"))
}

fn usage_json(turn: &Turn, output_tokens: i64) -> Value {
    let (read, write) = turn
        .usage
        .map_or((0, 0), |usage| (usage.cached_tokens, usage.cache_write_tokens));
    json!({
        "input_tokens": turn.usage.map_or(0, |usage| usage.input_tokens), "output_tokens": output_tokens,
        "cache_read_input_tokens": read, "cache_creation_input_tokens": write,
        "cache_creation": {"ephemeral_5m_input_tokens": write, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    })
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Natural => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
    }
}
