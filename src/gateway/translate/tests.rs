//! Golden pairs in both directions, streams split at every byte, errors, and what mutated bytes do.

use bytes::Bytes;
use serde_json::{Value, json};

use super::inner::NAMES_MAX;
use super::*;
use crate::domain::usage::Usage;
use crate::gateway::sse::{Frame, SseSplitter};

mod anthropic_requests;
mod anthropic_streams;
mod coding_tools;
mod foreign_thinking;
mod junk;
mod openai_requests;
mod openai_streams;
mod usage_truth;

/// An OpenAI client on Claude.
const TO_ANTHROPIC: Pair = Pair {
    client: Speech::OpenAi,
    provider: Speech::Anthropic,
};

/// An Anthropic client on GPT.
const TO_OPENAI: Pair = Pair {
    client: Speech::Anthropic,
    provider: Speech::OpenAi,
};

const CREATED_S: u64 = 1_700_000_000;

fn target(model: &str) -> WriteTarget<'_> {
    WriteTarget {
        model,
        cap_field: OutputCapField::MaxCompletionTokens,
        default_output_cap: 4_096,
        takes_stream_options: true,
        takes_reasoning_effort: true,
        echoes_reasoning: false,
    }
}

fn options() -> WriterOptions {
    WriterOptions {
        include_usage: true,
        created_s: CREATED_S,
        model: "asked-model".to_owned(),
    }
}

/// The provider's body and the warnings.
fn translated(pair: Pair, model: &str, body: &Value) -> (Value, Vec<String>) {
    let translated = request(pair, body.to_string().as_bytes(), &target(model)).unwrap_or_else(|error| {
        panic!("{} at {}: {body}", error.message, error.param);
    });
    let text = serde_json::from_slice(&translated.body).unwrap();
    (text, translated.warnings.names().to_vec())
}

/// The member that a refusal names.
fn refused(pair: Pair, body: &Value) -> String {
    request(pair, body.to_string().as_bytes(), &target("m"))
        .expect_err(&body.to_string())
        .param
}

fn answered(pair: Pair, body: &Value) -> Value {
    serde_json::from_slice(&answer(pair, body.to_string().as_bytes(), CREATED_S).unwrap()).unwrap()
}

/// Each member of `more` laid over the object.
fn with(mut base: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

/// Pushes chunks through splitter and translator to the end of the connection.
fn replay<'a>(pair: Pair, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut splitter = SseSplitter::new();
    let mut translator = StreamTranslator::new(pair, options());
    let mut out = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = splitter.next_frame().unwrap() {
            out.extend_from_slice(&translator.push(&frame));
        }
    }
    out.extend_from_slice(&translator.end());
    out
}

/// The stream whole, cut once at every place, and byte by byte: always the same.
fn replay_at_every_cut(pair: Pair, stream: &str) -> Vec<u8> {
    let stream = stream.as_bytes();
    let whole = replay(pair, [stream]);
    for cut in 1..stream.len() {
        assert_eq!(replay(pair, [&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
    }
    assert_eq!(replay(pair, stream.chunks(1)), whole);
    whole
}

/// Frames of OpenAI's dialect.
fn openai_stream(chunks: &[Value]) -> String {
    let mut text: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    text.push_str("data: [DONE]\n\n");
    text
}

/// Frames of Anthropic's dialect.
fn anthropic_stream(events: &[Value]) -> String {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(frame).collect()
}

/// The data of each frame; the event's name must be the data's type where there is one.
fn data_of(stream: &[u8]) -> Vec<Value> {
    let mut splitter = SseSplitter::new();
    splitter.push(Bytes::copy_from_slice(stream));
    let mut list = Vec::new();
    while let Some(frame) = splitter.next_frame().unwrap() {
        let fields = frame.fields();
        let data = fields.data.unwrap();
        let value = serde_json::from_slice(&data).unwrap_or_else(|_| json!(String::from_utf8_lossy(&data)));
        if let Some(event) = fields.event {
            assert_eq!(value["type"].as_str().unwrap().as_bytes(), event);
        }
        list.push(value);
    }
    list
}

fn frame_of(data: &Value) -> Frame {
    Frame::new(format!("data: {data}\n\n").into())
}

#[test]
fn an_error_keeps_its_status_word_and_message_in_the_clients_shape() {
    let failure = |status, body: &'static str| Failure {
        status,
        body: body.as_bytes(),
        request_id: Some("req_1"),
    };
    let shown = |pair, failure| -> Value { serde_json::from_slice(&error(pair, failure)).unwrap() };
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let expected = json!({"error": {"message": "Overloaded", "code": "overloaded_error", "status": 529,
        "type": "server_error", "param": null}});
    assert_eq!(shown(TO_ANTHROPIC, failure(529, overloaded)), expected);
    let limited = r#"{"error":{"message":"Slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let expected = json!({"type": "error", "request_id": "req_1", "error": {"message": "Slow down",
        "code": "rate_limit_exceeded", "status": 429, "type": "rate_limit_error"}});
    assert_eq!(shown(TO_OPENAI, failure(429, limited)), expected);
    let bare = shown(TO_OPENAI, failure(400, r#"{"error":"no such model"}"#));
    assert_eq!(bare["error"]["message"], "no such model");
    let html = shown(TO_OPENAI, failure(502, "<html>Bad gateway</html>"));
    assert_eq!(
        html["error"]["message"],
        "the provider answered with status 502 and no readable error"
    );
    assert_eq!(html["error"]["type"], "api_error");
}

#[test]
fn an_answer_that_is_not_of_the_providers_dialect_is_none() {
    for body in [
        "",
        "<html>",
        "{}",
        "[]",
        r#"{"choices":[]}"#,
        r#"{"id":"x","content":"text"}"#,
    ] {
        assert!(answer(TO_OPENAI, body.as_bytes(), 0).is_none(), "{body}");
        assert!(answer(TO_ANTHROPIC, body.as_bytes(), 0).is_none(), "{body}");
    }
}

#[test]
fn a_body_with_two_members_of_one_name_is_refused() {
    let twice = br#"{"model":"m","messages":[],"messages":[{"role":"user","content":"x"}]}"#;
    assert!(request(TO_ANTHROPIC, twice, &target("m")).is_err());
}

#[test]
fn an_answer_without_a_name_gets_the_one_that_is_given() {
    let naming = Naming {
        id: "req_1",
        model: "asked",
        created_s: CREATED_S,
    };
    let table = [
        (
            TO_OPENAI,
            r#"{"choices":[{"message":{"content":"a"}}]}"#,
            "req_1",
            "asked",
        ),
        (TO_ANTHROPIC, r#"{"id":"msg_1","model":"m","content":[]}"#, "msg_1", "m"),
    ];
    for (pair, body, id, model) in table {
        let told: Value = serde_json::from_slice(&named_answer(pair, body.as_bytes(), naming).unwrap()).unwrap();
        assert_eq!((&told["id"], &told["model"]), (&json!(id), &json!(model)));
    }
    let unnamed = frame_of(&json!({"choices": [{"index": 0, "delta": {"content": "a"}}]}));
    let out = data_of(
        &StreamTranslator::new(TO_OPENAI, options())
            .with_id("req_1")
            .push(&unnamed),
    );
    assert_eq!(out[0]["message"]["id"], "req_1");
    let stopped = StreamTranslator::new(TO_ANTHROPIC, options())
        .with_id("req_1")
        .stop(&Usage::default());
    assert_eq!(data_of(&stopped)[0]["id"], "req_1");
}

#[test]
fn a_call_that_streams_by_its_url_streams_in_its_body_too() {
    let body = json!({"model": "m", "messages": []}).to_string();
    let out = streaming_request(TO_ANTHROPIC, body.as_bytes(), &target("m"))
        .unwrap()
        .body;
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["stream"], true);
}
