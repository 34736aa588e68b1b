//! Streams of responses, cut at every place.

use super::*;
use crate::gateway::translate::trial::anthropic_stream;

fn claude_events() -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "model": CLAUDE, "usage": {"input_tokens": 7, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s="}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Wé"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "ll"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"q\":"}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "\"x\"}"}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn a_stream_of_claudes_is_told_in_events_of_responses() {
    let out = ON_ANTHROPIC.replay_at_every_cut(&anthropic_stream(&claude_events()));
    let kinds: Vec<&str> = out
        .iter()
        .map(|event| event["type"].as_str().unwrap().strip_prefix("response.").unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed"
        ]
    );
    for (index, event) in out.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(index));
    }
    assert_eq!(
        (&out[10]["delta"], &out[10]["output_index"], &out[10]["content_index"]),
        (&json!("Wé"), &json!(1), &json!(0))
    );
    assert_eq!(out[10]["item_id"], out[14]["item"]["id"]);
    assert_eq!(
        (&out[12]["text"], &out[18]["arguments"]),
        (&json!("Wéll"), &json!("{\"q\":\"x\"}"))
    );
    let response = &out[20]["response"];
    let done: Vec<&Value> = [7, 14, 19].iter().map(|index| &out[*index]["item"]).collect();
    assert_eq!(response["output"], json!(done));
    assert_eq!(
        (&response["status"], &response["usage"]["total_tokens"]),
        (&json!("completed"), &json!(12))
    );
    // What the client keeps of the stream makes one signed thought again.
    let input: Vec<Value> = std::iter::once(json!({"role": "user", "content": "Hi"}))
        .chain(done.into_iter().cloned())
        .collect();
    let (written, _) = ON_ANTHROPIC.written(CLAUDE, &asked(&json!({"input": input})));
    assert_eq!(
        written["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "Hm", "signature": "s="})
    );
    let broken = ON_ANTHROPIC.replay_at_every_cut(&anthropic_stream(&claude_events()[..7]));
    let last_two: Vec<&str> = broken[broken.len() - 2..]
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(last_two, ["error", "response.failed"]);
}

pub(super) fn responses_events() -> Vec<Value> {
    let item = |kind: &str, item: Value| json!({"type": format!("response.output_item.{kind}"), "output_index": 0, "item": item});
    let delta = |kind: &str, delta: &str| json!({"type": format!("response.{kind}.delta"), "delta": delta});
    let answer = responses_answer();
    vec![
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "gpt-5", "status": "in_progress", "output": [], "usage": null}}),
        item("added", json!({"type": "reasoning", "id": "rs_1", "summary": []})),
        json!({"type": "response.reasoning_summary_part.added", "summary_index": 0}),
        delta("reasoning_summary_text", "Hm"),
        json!({"type": "response.reasoning_summary_text.done", "text": "Hm"}),
        json!({"type": "response.reasoning_summary_part.added", "summary_index": 1}),
        delta("reasoning_summary_text", "So"),
        item("done", answer["output"][0].clone()),
        item(
            "added",
            json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []}),
        ),
        json!({"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}}),
        delta("output_text", "Wé"),
        delta("output_text", "ll"),
        json!({"type": "response.output_text.done", "text": "Wéll"}),
        json!({"type": "response.content_part.done", "part": {"type": "output_text", "text": "Wéll"}}),
        item("done", answer["output"][1].clone()),
        item(
            "added",
            json!({"type": "function_call", "call_id": "call_1", "name": "find", "arguments": ""}),
        ),
        delta("function_call_arguments", "{\"q\":"),
        delta("function_call_arguments", "\"x\"}"),
        item("done", answer["output"][2].clone()),
        item(
            "added",
            json!({"type": "function_call", "call_id": "call_2", "name": "now", "arguments": ""}),
        ),
        item(
            "done",
            json!({"type": "function_call", "call_id": "call_2", "name": "now", "arguments": "{\"z\":1}"}),
        ),
        json!({"type": "response.completed", "response": answer}),
    ]
}

#[test]
fn a_stream_of_responses_reads_the_same_wherever_it_is_cut() {
    let out = ANTHROPIC_CLIENT.replay_at_every_cut(&anthropic_stream(&responses_events()));
    let kinds: Vec<&str> = out.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let (start, delta, stop) = ("content_block_start", "content_block_delta", "content_block_stop");
    assert_eq!(
        kinds,
        [
            "message_start",
            start,
            delta,
            delta,
            delta,
            stop,
            start,
            stop,
            start,
            delta,
            delta,
            stop,
            start,
            delta,
            delta,
            stop,
            start,
            delta,
            stop,
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(
        out[6]["content_block"],
        json!({"type": "redacted_thinking", "data": "openai.gAAAA"})
    );
    assert_eq!(out[17]["delta"]["partial_json"], "{\"z\":1}");
    let last = &out[19];
    assert_eq!(
        (&last["delta"]["stop_reason"], &last["usage"]["output_tokens"]),
        (&json!("tool_use"), &json!(5))
    );
}

#[test]
fn a_stream_of_responses_that_breaks_off_or_fails_is_an_error() {
    let failed = json!({"type": "response.failed", "response": {"id": "r", "status": "failed", "error": {"code": "server_error", "message": "Sorry"}}});
    let error = json!({"type": "error", "code": "rate_limit_exceeded", "message": "Slow down", "sequence_number": 3});
    let old = json!({"error": {"message": "Old", "type": "server_error"}});
    for (events, message) in [
        (responses_events()[..4].to_vec(), "broke off"),
        (vec![failed], "Sorry"),
        (vec![error], "Slow down"),
        (vec![old], "Old"),
    ] {
        let out = ANTHROPIC_CLIENT.replay_at_every_cut(&stream_of(&events));
        assert!(
            out.last().unwrap()["error"]["message"]
                .as_str()
                .unwrap()
                .contains(message),
            "{out:?}"
        );
    }
}
