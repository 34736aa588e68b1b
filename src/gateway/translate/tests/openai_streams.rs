//! An OpenAI client on Claude: streams.

use super::*;

fn start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude-sonnet-4-5", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}}})
}

fn block(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn ended(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn finish(reason: &str) -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]
}

fn chunk(delta: Value, reason: Value) -> Value {
    json!({"id": "msg_1", "object": "chat.completion.chunk", "created": CREATED_S, "model": "claude-sonnet-4-5",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}], "usage": null})
}

fn last_chunks() -> [Value; 2] {
    let usage = json!({"prompt_tokens": 15, "completion_tokens": 9, "total_tokens": 24,
        "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}});
    let chunk = json!({"id": "msg_1", "object": "chat.completion.chunk", "created": CREATED_S,
        "model": "claude-sonnet-4-5", "choices": [], "usage": usage});
    [chunk, json!("[DONE]")]
}

#[test]
fn a_text_is_told_chunk_by_chunk_wherever_the_stream_is_cut() {
    let events = [
        start(),
        json!({"type": "ping"}),
        block(0, json!({"type": "text", "text": ""})),
        delta(0, json!({"type": "text_delta", "text": "Hé"})),
        json!({"type": "something_new", "index": 0}),
        delta(0, json!({"type": "text_delta", "text": "llo"})),
        ended(0),
    ];
    let stream = anthropic_stream(&[&events[..], &finish("end_turn")].concat());
    let out = data_of(&replay_at_every_cut(TO_ANTHROPIC, &format!(": hello\n\n{stream}")));
    let expected = [
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"content": "Hé"}), Value::Null),
        chunk(json!({"content": "llo"}), Value::Null),
        chunk(json!({}), json!("stop")),
    ];
    assert_eq!(out, [&expected[..], &last_chunks()].concat());
}

#[test]
fn thinking_and_parallel_calls_are_told_with_what_goes_back() {
    let events = [
        start(),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm"})),
        delta(0, json!({"type": "thinking_delta", "thinking": "."})),
        delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
        ended(0),
        block(1, json!({"type": "redacted_thinking", "data": "ZW5j"})),
        ended(1),
        block(
            2,
            json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
        ),
        delta(2, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"a\":"})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "1}"})),
        ended(2),
        block(
            3,
            json!({"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}}),
        ),
        ended(3),
    ];
    let stream = anthropic_stream(&[&events[..], &finish("tool_use")].concat());
    let out = data_of(&replay_at_every_cut(TO_ANTHROPIC, &stream));
    let shown = json!({"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"});
    let hidden = json!({"type": "reasoning.encrypted", "data": "ZW5j"});
    let id = out[5]["choices"][0]["delta"]["tool_calls"][0]["id"].clone();
    let call = |call: Value| chunk(json!({"tool_calls": [call]}), Value::Null);
    let grown = |index: u64, json: &str| call(json!({"index": index, "function": {"arguments": json}}));
    let expected = [
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "Hm"}), Value::Null),
        chunk(json!({"reasoning_content": "."}), Value::Null),
        chunk(json!({"reasoning_details": [shown]}), Value::Null),
        chunk(json!({"reasoning_details": [hidden]}), Value::Null),
        call(json!({"index": 0, "id": id, "type": "function", "function": {"name": "f", "arguments": ""}})),
        grown(0, "{\"a\":"),
        grown(0, "1}"),
        call(json!({"index": 1, "id": "toolu_2", "type": "function", "function": {"name": "g", "arguments": ""}})),
        grown(1, "{}"),
        chunk(json!({}), json!("tool_calls")),
    ];
    assert_eq!(out, [&expected[..], &last_chunks()].concat());
    let id = id.as_str().unwrap();
    assert!(id.starts_with("toolu_1~"));
    let messages = json!([{"role": "assistant", "tool_calls": [
        {"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}]);
    let (body, _) = translated(TO_ANTHROPIC, "m", &json!({"model": "m", "messages": messages}));
    assert_eq!(
        body["messages"][0]["content"][0],
        json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"})
    );
}

#[test]
fn an_error_inside_the_stream_is_told_and_nothing_after_it() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let stream = anthropic_stream(&[&[start(), error][..], &finish("end_turn")].concat());
    let out = data_of(&replay(TO_ANTHROPIC, [stream.as_bytes()]));
    let told =
        json!({"error": {"message": "Overloaded", "type": "server_error", "param": null, "code": "overloaded_error"}});
    assert_eq!(out[1..], [told]);
}

#[test]
fn a_stream_that_breaks_off_or_cannot_be_read_ends_with_an_error() {
    let text = anthropic_stream(&[start(), block(0, json!({"type": "text", "text": "a"}))]);
    let broken = data_of(&replay(TO_ANTHROPIC, [text.as_bytes()]));
    assert_eq!(
        broken.last().unwrap()["error"]["message"],
        "the provider broke off the stream"
    );
    let html = data_of(&replay(TO_ANTHROPIC, [text.as_bytes(), b"data: <html>\n\n"]));
    assert_eq!(
        html.last().unwrap()["error"]["message"],
        "the provider sent an event that cannot be read"
    );
    let cut = anthropic_stream(&[start(), finish("end_turn")[0].clone()]);
    assert_eq!(
        data_of(&replay(TO_ANTHROPIC, [cut.as_bytes()])).last().unwrap(),
        "[DONE]"
    );
}

#[test]
fn a_stream_that_we_stop_ends_in_its_own_way() {
    let usage = Usage {
        input_tokens: 3,
        output_tokens: 4,
        ..Usage::default()
    };
    let mut translator = StreamTranslator::new(TO_ANTHROPIC, options());
    translator.push(&frame_of(&start()));
    translator.push(&frame_of(&block(
        0,
        json!({"type": "tool_use", "id": "t", "name": "f", "input": {}}),
    )));
    let out = data_of(&translator.stop(&usage));
    let reasons: Vec<&Value> = out.iter().map(|data| &data["choices"][0]["finish_reason"]).collect();
    assert_eq!(reasons, [&json!("length"), &json!(null), &json!(null)]);
    assert_eq!(out[1]["usage"]["completion_tokens"], 4);
    assert_eq!(out[2], "[DONE]");
    assert!(translator.is_ended());
    assert!(translator.push(&frame_of(&finish("end_turn")[1])).is_empty());
    assert!(translator.stop(&usage).is_empty() && translator.end().is_empty());
    let unstarted = data_of(&StreamTranslator::new(TO_ANTHROPIC, options()).stop(&usage));
    assert_eq!(
        (&unstarted[0]["id"], &unstarted[0]["model"]),
        (&json!("chatcmpl-stopped"), &json!("asked-model"))
    );
    assert_eq!(unstarted[1]["choices"][0]["finish_reason"], "length");
}

#[test]
fn usage_is_told_only_to_a_client_that_asked() {
    let stream = anthropic_stream(&[&[start()][..], &finish("end_turn")].concat());
    let mut translator = StreamTranslator::new(
        TO_ANTHROPIC,
        WriterOptions {
            include_usage: false,
            ..options()
        },
    );
    let mut splitter = SseSplitter::new();
    splitter.push(stream.into());
    let mut out = Vec::new();
    while let Some(frame) = splitter.next_frame().unwrap() {
        out.extend_from_slice(&translator.push(&frame));
    }
    assert!(!String::from_utf8(out).unwrap().contains("usage"));
}
