//! An Anthropic client on GPT: streams.

use super::*;

fn chunk(delta: Value, reason: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5-2025",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}], "usage": null})
}

fn said(delta: Value) -> Value {
    chunk(delta, Value::Null)
}

fn call(call: Value) -> Value {
    said(json!({ "tool_calls": [call] }))
}

fn usage_chunk() -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5-2025", "choices": [],
        "usage": {"prompt_tokens": 18, "completion_tokens": 7, "total_tokens": 25, "prompt_tokens_details": {"cached_tokens": 5}}})
}

fn usage(input: u64, cached: u64, output: u64) -> Value {
    json!({"input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached, "output_tokens": output,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}})
}

fn begun() -> Value {
    json!({"type": "message_start", "message": {"id": "chatcmpl-1", "type": "message", "role": "assistant",
        "model": "gpt-5-2025", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage(0, 0, 0)}})
}

fn ended(reason: &str) -> [Value; 2] {
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    [
        json!({"type": "message_delta", "delta": delta, "usage": usage(13, 5, 7)}),
        json!({"type": "message_stop"}),
    ]
}

fn block(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn closed(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn heard(chunks: &[Value]) -> Vec<Value> {
    data_of(&replay_at_every_cut(TO_OPENAI, &openai_stream(chunks)))
}

#[test]
fn thinking_and_text_are_blocks_wherever_the_stream_is_cut() {
    let azure = json!({"id": "", "model": "", "choices": [], "prompt_filter_results": []});
    let out = heard(&[
        azure,
        said(json!({"role": "assistant", "content": "", "refusal": null})),
        said(json!({"reasoning_content": "Hm"})),
        said(json!({"reasoning_content": ".", "content": null})),
        said(json!({"content": "Hé"})),
        said(json!({"content": "llo"})),
        chunk(json!({}), json!("stop")),
        usage_chunk(),
    ]);
    let expected = [
        begun(),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm"})),
        delta(0, json!({"type": "thinking_delta", "thinking": "."})),
        closed(0),
        block(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Hé"})),
        delta(1, json!({"type": "text_delta", "text": "llo"})),
        closed(1),
    ];
    assert_eq!(out, [&expected[..], &ended("end_turn")].concat());
}

#[test]
fn parallel_calls_are_blocks_one_after_the_other() {
    let out = heard(&[
        said(json!({"role": "assistant", "content": null})),
        call(json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}})),
        call(json!({"index": 0, "function": {"arguments": "{\"a\":"}})),
        call(json!({"index": 0, "function": {"arguments": "1}"}})),
        call(json!({"index": 1, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{}"}})),
        call(json!({"index": 1, "id": "call_3", "type": "function", "function": {"name": "h", "arguments": "{}"}})),
        chunk(json!({}), json!("stop")),
        usage_chunk(),
    ]);
    let tool = |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let grown = |index, json: &str| delta(index, json!({"type": "input_json_delta", "partial_json": json}));
    let expected = [
        begun(),
        block(0, tool("call_1", "f")),
        grown(0, "{\"a\":"),
        grown(0, "1}"),
        closed(0),
        block(1, tool("call_2", "g")),
        grown(1, "{}"),
        closed(1),
        block(2, tool("call_3", "h")),
        grown(2, "{}"),
        closed(2),
    ];
    assert_eq!(out, [&expected[..], &ended("tool_use")].concat());
}

/// One tool's id, name and input, as the stream tells them block by block.
fn tools(out: &[Value]) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    for event in out {
        match event["type"].as_str().unwrap() {
            "content_block_start" => list.push((event["content_block"]["id"].to_string(), String::new())),
            "content_block_delta" => {
                let (_, input) = list.last_mut().unwrap();
                input.push_str(event["delta"]["partial_json"].as_str().unwrap());
            }
            _ => {}
        }
    }
    list
}

#[test]
fn calls_in_each_others_midst_are_told_one_after_the_other() {
    let named = |index: u64, arguments: &str| {
        call(json!({"index": index, "id": format!("c{index}"), "function": {"name": "f", "arguments": arguments}}))
    };
    let more = |index: u64, arguments: &str| call(json!({"index": index, "function": {"arguments": arguments}}));
    let stop = || [chunk(json!({}), json!("tool_calls")), usage_chunk()];
    let interleaved = vec![
        named(0, ""),
        named(1, "{\"b"),
        more(0, "{\"a}"),
        more(1, "\":2"),
        named(2, ""),
        more(0, "\":1}"),
        more(1, "}"),
        more(2, "{}"),
    ];
    let together = vec![
        call(json!({"index": 0, "id": "c0", "function": {"name": "f"}})),
        said(json!({"tool_calls": [
            {"index": 1, "id": "c1", "function": {"name": "f", "arguments": "{\"b\":2}"}},
            {"index": 2, "id": "c2", "function": {"name": "f", "arguments": "{}"}},
            {"index": 0, "id": "c0", "function": {"arguments": "{\"a}\":1}"}},
        ]})),
    ];
    let expected = [("\"c0\"", "{\"a}\":1}"), ("\"c1\"", "{\"b\":2}"), ("\"c2\"", "{}")];
    let expected = expected.map(|(id, input)| (id.to_owned(), input.to_owned()));
    for chunks in [interleaved, together] {
        let out = heard(&[&chunks[..], &stop()].concat());
        assert_eq!(tools(&out), expected);
        assert_eq!(out[out.len() - 2..], ended("tool_use"));
    }
    let empty = [named(0, ""), named(1, ""), more(0, "")];
    let out = heard(&[&empty[..], &stop()].concat());
    assert_eq!(tools(&out).len(), 2);
    assert_eq!(out[out.len() - 2..], ended("tool_use"));
}

#[test]
fn more_of_a_call_that_is_over_and_more_than_can_wait_are_errors() {
    let named = |index: u64, arguments: &str| {
        call(json!({"index": index, "id": format!("c{index}"), "function": {"name": "f", "arguments": arguments}}))
    };
    let late = call(json!({"index": 0, "function": {"arguments": "{}"}}));
    let large = call(json!({"index": 1, "function": {"arguments": "x".repeat(600_000)}}));
    for chunks in [
        vec![named(0, "{}"), named(1, ""), late],
        vec![named(0, "{"), named(1, ""), large.clone(), large],
    ] {
        let out = replay(TO_OPENAI, [openai_stream(&chunks).as_bytes()]);
        let last = data_of(&out).pop().unwrap();
        assert_eq!(
            last["error"]["message"],
            "the provider sent an event that cannot be read"
        );
    }
}

#[test]
fn mistrals_chunks_of_thinking_and_text_are_blocks() {
    let thinking = |text: &str| json!([{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]);
    let out = heard(&[
        said(json!({"role": "assistant", "content": ""})),
        said(json!({"content": thinking("H")})),
        said(json!({"content": thinking("m")})),
        said(json!({"content": [{"type": "text", "text": "Hel"}]})),
        said(json!({"content": "lo"})),
        chunk(json!({}), json!("stop")),
        usage_chunk(),
    ]);
    let grown = |index, kind: &str, member: &str, text: &str| delta(index, json!({"type": kind, member: text}));
    let expected = [
        begun(),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        grown(0, "thinking_delta", "thinking", "H"),
        grown(0, "thinking_delta", "thinking", "m"),
        closed(0),
        block(1, json!({"type": "text", "text": ""})),
        grown(1, "text_delta", "text", "Hel"),
        grown(1, "text_delta", "text", "lo"),
        closed(1),
    ];
    assert_eq!(out, [&expected[..], &ended("end_turn")].concat());
    let whole = answered(
        TO_OPENAI,
        &json!({"id": "m", "choices": [{"message": {"role": "assistant", "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Hello"}]},
            "finish_reason": "stop"}]}),
    );
    let expected = json!([{"type": "thinking", "thinking": "Hm", "signature": ""}, {"type": "text", "text": "Hello"}]);
    assert_eq!(whole["content"], expected);
}

#[test]
fn a_refusal_is_text_and_its_reason_says_so() {
    let out = heard(&[
        said(json!({"refusal": "No."})),
        chunk(json!({}), json!("stop")),
        usage_chunk(),
    ]);
    assert_eq!(out[2], delta(0, json!({"type": "text_delta", "text": "No."})));
    assert_eq!(out[out.len() - 2..], ended("refusal"));
}

#[test]
fn usage_is_taken_wherever_the_provider_tells_it() {
    let mut last = chunk(json!({"content": "a"}), json!("length"));
    last["usage"] = usage_chunk()["usage"].clone();
    let out = heard(std::slice::from_ref(&last));
    assert_eq!(out[out.len() - 2..], ended("max_tokens"));
    let undone = format!("data: {last}\n\n");
    let out = data_of(&replay(TO_OPENAI, [undone.as_bytes()]));
    assert_eq!(out[out.len() - 2..], ended("max_tokens"));
}

#[test]
fn an_error_inside_the_stream_is_told_and_nothing_after_it() {
    let error =
        json!({"error": {"message": "Slow down", "type": "requests", "code": "rate_limit_exceeded", "param": null}});
    let out = heard(&[said(json!({"content": "a"})), error, usage_chunk()]);
    let told = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}});
    assert_eq!(out[3..], [told]);
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_error() {
    let text = format!("data: {}\n\n", said(json!({"content": "a"})));
    let out = data_of(&replay(TO_OPENAI, [text.as_bytes()]));
    assert_eq!(
        out.last().unwrap()["error"]["message"],
        "the provider broke off the stream"
    );
    let html = data_of(&replay(TO_OPENAI, [b"data: <html>\n\n".as_slice()]));
    assert_eq!(html[0]["type"], "error");
}

#[test]
fn a_stream_that_we_stop_ends_in_its_own_way() {
    let mut translator = StreamTranslator::new(TO_OPENAI, options());
    translator.push(&frame_of(&said(json!({"content": "a"}))));
    let used = Usage {
        input_tokens: 13,
        cache_read_tokens: 5,
        output_tokens: 7,
        ..Usage::default()
    };
    let out = data_of(&translator.stop(&used));
    assert_eq!(out, [&[closed(0)][..], &ended("max_tokens")].concat());
    assert!(translator.push(&frame_of(&usage_chunk())).is_empty());
    let unstarted = data_of(&StreamTranslator::new(TO_OPENAI, options()).stop(&used));
    assert_eq!(unstarted[0]["message"]["model"], "asked-model");
    assert_eq!(unstarted[1..], ended("max_tokens"));
}
