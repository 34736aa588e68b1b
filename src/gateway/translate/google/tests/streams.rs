//! Streams of Google's dialect, cut at every place.

use super::*;
use crate::gateway::translate::trial::anthropic_stream;

pub(super) fn google_event(parts: Value, reason: Option<&str>) -> Value {
    let mut event = google_answer(parts, "STOP");
    event["candidates"][0]["finishReason"] = json!(reason);
    event
}

fn google_events() -> Vec<Value> {
    vec![
        google_event(json!([{"text": "Hm", "thought": true}]), None),
        google_event(json!([{"text": "Wé"}]), None),
        google_event(json!([{"text": "ll"}]), None),
        google_event(google_call("g1"), None),
        google_event(json!([{"text": "", "thoughtSignature": "c2ln"}]), Some("STOP")),
    ]
}

#[test]
fn a_stream_of_googles_reads_the_same_wherever_it_is_cut() {
    let out = ANTHROPIC_CLIENT.replay_at_every_cut(&stream_of(&google_events()));
    let kinds: Vec<&str> = out.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let (start, delta, stop) = ("content_block_start", "content_block_delta", "content_block_stop");
    assert_eq!(
        kinds,
        [
            "message_start",
            start,
            delta,
            stop,
            start,
            delta,
            delta,
            stop,
            start,
            delta,
            stop,
            start,
            delta,
            stop,
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(out[9]["delta"]["partial_json"], "{\"q\":\"x\"}");
    let last = &out[14];
    assert_eq!(
        (&last["delta"]["stop_reason"], &last["usage"]["output_tokens"]),
        (&json!("tool_use"), &json!(8))
    );
    let out = OPENAI_CLIENT.replay_at_every_cut(&stream_of(&google_events()));
    assert_eq!(out.last().unwrap(), "[DONE]");
    let text: String = out
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "Wéll");
}

#[test]
fn a_stream_of_googles_that_breaks_off_or_fails_is_an_error() {
    let broken = stream_of(&google_events()[..3]);
    let failed = stream_of(&[json!({"error": {"code": 503, "message": "Busy", "status": "UNAVAILABLE"}})]);
    for (stream, message) in [
        (broken.as_str(), "broke off"),
        (&failed, "Busy"),
        ("data: {\n\n", "cannot be read"),
    ] {
        let out = ANTHROPIC_CLIENT.replay_at_every_cut(stream);
        let last = out.last().unwrap();
        assert_eq!(last["type"], "error");
        assert!(last["error"]["message"].as_str().unwrap().contains(message), "{last}");
    }
}

#[test]
fn a_stream_of_claudes_is_told_in_googles_words() {
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-sonnet-4-5", "usage": {"input_tokens": 5, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig="}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Wé"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"q\":"}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "\"x\"}"}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    let out = ON_ANTHROPIC.replay_at_every_cut(&anthropic_stream(&events));
    let parts: Vec<&Value> = out
        .iter()
        .map(|chunk| &chunk["candidates"][0]["content"]["parts"][0])
        .collect();
    assert_eq!(parts.len(), 5);
    assert_eq!(parts[0], &json!({"text": "Hm", "thought": true}));
    assert_eq!(parts[2], &json!({"text": "Wé"}));
    assert_eq!(
        parts[3],
        &json!({"functionCall": {"id": "toolu_1", "name": "find", "args": {"q": "x"}}})
    );
    let last = out.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["usageMetadata"]["totalTokenCount"], 14);
    assert_eq!(
        (&last["responseId"], &last["modelVersion"]),
        (&json!("msg_1"), &json!("claude-sonnet-4-5"))
    );
    // What the client keeps of the stream makes one signed thought again.
    let kept: Vec<Value> = parts.into_iter().cloned().collect();
    let body = json!({"contents": [{"parts": [{"text": "Hi"}]}, {"role": "model", "parts": kept},
        {"parts": [{"functionResponse": {"name": "find", "response": {"result": "1"}}}]}]});
    let (written, _) = ON_ANTHROPIC.written("claude-sonnet-4-5", &body);
    let said = &written["messages"][1]["content"];
    assert_eq!(
        said[0],
        json!({"type": "thinking", "thinking": "Hm", "signature": "sig="})
    );
    assert_eq!(said[2]["id"], "toolu_1");
}
