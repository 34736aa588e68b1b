//! What mutated bytes do: whatever comes, nothing panics, and what comes out is of the client's dialect. The mutations
//! are seeded, so a failure comes again. The bench is here because it needs the same streams.

use std::time::Instant;

use serde_json::value::RawValue;

use super::*;
use crate::gateway::noise::Noise;

const CASES: usize = 20_000;

fn openai_request() -> Value {
    json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}, "stop": ["a"], "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}], "tool_choice": "auto",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "é"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "assistant", "reasoning_content": "r", "tool_calls": [{"id": "call_1~W10", "type": "function",
                "function": {"name": "f", "arguments": "{\"a\":1}"}}]}, {"role": "tool", "tool_call_id": "call_1", "content": "1"}]})
}

fn anthropic_request() -> Value {
    json!({"model": "m", "max_tokens": 100, "stream": true, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto"},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "é"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "r", "signature": "s"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "1"}]}]}]})
}

fn openai_chunks(count: usize) -> Vec<Value> {
    let chunk = |delta: Value, reason: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]})
    };
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    chunks.extend((0..count).map(|_| chunk(json!({"content": " several words é"}), Value::Null)));
    let call = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]});
    chunks.push(chunk(call, Value::Null));
    chunks.push(chunk(json!({}), json!("tool_calls")));
    chunks.push(json!({"id": "x", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}));
    chunks
}

fn anthropic_events(count: usize) -> Vec<Value> {
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    let delta =
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " several words é"}});
    events.extend((0..count).map(|_| delta.clone()));
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]);
    events
}

#[test]
fn mutated_requests_are_translated_or_refused() {
    let mut noise = Noise::new(0x9E37_79B9_7F4A_7C15);
    let bodies = [
        (TO_ANTHROPIC, openai_request().to_string()),
        (TO_OPENAI, anthropic_request().to_string()),
    ];
    let mut translated = 0;
    for case in 0..CASES {
        let (pair, body) = &bodies[case % bodies.len()];
        let junk = noise.mutate(body.as_bytes());
        if let Ok(out) = request(*pair, &junk, &target("claude-sonnet-4-5")) {
            // Not as a value: a schema's numbers pass however large they are.
            serde_json::from_slice::<&RawValue>(&out.body).unwrap();
            translated += 1;
        }
    }
    assert!(translated > CASES / 100, "too few were readable: {translated}");
}

#[test]
fn mutated_answers_and_streams_end_in_the_clients_dialect() {
    let mut noise = Noise::new(0xD1B5_4A32_D192_ED03);
    let streams = [
        (TO_ANTHROPIC, anthropic_stream(&anthropic_events(2))),
        (TO_OPENAI, openai_stream(&openai_chunks(2))),
    ];
    for case in 0..CASES {
        let (pair, stream) = &streams[case % streams.len()];
        let junk = noise.mutate(stream.as_bytes());
        let out = data_of(&replay(*pair, [junk.as_slice()]));
        let last = out.last().unwrap();
        let is_end = last == "[DONE]" || last["type"] == "message_stop" || !last["error"].is_null();
        assert!(is_end, "{last}");
        if let Some(body) = answer(*pair, &junk, 0) {
            serde_json::from_slice::<Value>(&body).unwrap();
        }
        let failure = Failure {
            status: 500,
            body: &junk,
            request_id: None,
        };
        serde_json::from_slice::<Value>(&error(*pair, failure)).unwrap();
    }
}

#[test]
fn blocks_that_nest_without_end_are_refused() {
    let depth = 200_000;
    let open = r#"[{"type":"tool_result","tool_use_id":"a","content":"#.repeat(depth);
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":{open}""{}}}]}}"#,
        "}]".repeat(depth)
    );
    assert!(request(TO_OPENAI, body.as_bytes(), &target("m")).is_err());
    let schema = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let body = format!(r#"{{"model":"m","messages":[],"tools":[{{"name":"f","input_schema":{schema}}}]}}"#);
    assert!(request(TO_OPENAI, body.as_bytes(), &target("m")).is_ok());
}

#[test]
fn a_body_of_nothing_but_unknown_members_is_read_in_time_and_named_in_part() {
    let mut body = anthropic_request();
    body["a\r\nx-header: 1"] = json!(1);
    for index in 0..50_000 {
        body[format!("x{index}")] = json!(1);
    }
    let warnings = request(TO_OPENAI, body.to_string().as_bytes(), &target("m"))
        .unwrap()
        .warnings;
    assert_eq!(warnings.names().len(), NAMES_MAX);
    let told = warnings.header();
    assert!(told.contains("unknown") && !told.contains("header"), "{told}");
}

#[test]
#[ignore = "a bench: it prints figures"]
fn bench_of_translation() {
    let frames = |text: String| -> Vec<Frame> {
        let mut splitter = SseSplitter::new();
        splitter.push(text.into());
        std::iter::from_fn(|| splitter.next_frame().unwrap()).collect()
    };
    let streams = [
        (
            "Anthropic to OpenAI",
            TO_ANTHROPIC,
            frames(anthropic_stream(&anthropic_events(100_000))),
        ),
        (
            "OpenAI to Anthropic",
            TO_OPENAI,
            frames(openai_stream(&openai_chunks(100_000))),
        ),
    ];
    for (name, pair, frames) in streams {
        let mut translator = StreamTranslator::new(pair, options());
        let start = Instant::now();
        let bytes: usize = frames.iter().map(|frame| translator.push(frame).len()).sum();
        let nanos = start.elapsed().as_nanos() / frames.len() as u128;
        println!("{name}: {nanos} ns a frame ({bytes} bytes out)");
    }
    let text = "Some words of a long prompt. ".repeat(40_000);
    let bodies = [
        (
            "OpenAI to Anthropic",
            TO_ANTHROPIC,
            with(
                openai_request(),
                &json!({"messages": [{"role": "user", "content": text}]}),
            ),
        ),
        (
            "Anthropic to OpenAI",
            TO_OPENAI,
            with(
                anthropic_request(),
                &json!({"messages": [{"role": "user", "content": text}]}),
            ),
        ),
    ];
    for (name, pair, body) in bodies {
        let body = body.to_string();
        let start = Instant::now();
        for _ in 0..20 {
            request(pair, body.as_bytes(), &target("m")).unwrap();
        }
        let micros = start.elapsed().as_micros() / 20;
        println!("{name}: {micros} us for a request of {} bytes", body.len());
    }
}
