//! Streams of Converse, cut at every place.

use super::super::framing::Message;
use super::*;
use crate::gateway::translate::inner::Event;
use crate::gateway::translate::trial::{anthropic_stream, data_of, options};

pub(super) fn stream_of(events: &[(&str, Value)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for (kind, payload) in events {
        let headers = [
            (":event-type", *kind),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        write_message(&headers, payload.to_string().as_bytes(), &mut out);
    }
    out.to_vec()
}

pub(super) fn events() -> Vec<(&'static str, Value)> {
    let delta = |index: u64, delta: Value| {
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": index, "delta": delta, "p": "abc"}),
        )
    };
    let stop = |index: u64| ("contentBlockStop", json!({"contentBlockIndex": index}));
    vec![
        ("messageStart", json!({"role": "assistant"})),
        delta(0, json!({"reasoningContent": {"text": "Hm"}})),
        delta(0, json!({"reasoningContent": {"signature": "s="}})),
        stop(0),
        delta(1, json!({"text": "Wé"})),
        delta(1, json!({"text": "ll"})),
        stop(1),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "find"}}}),
        ),
        delta(2, json!({"toolUse": {"input": "{\"q\":"}})),
        delta(2, json!({"toolUse": {"input": "\"x\"}"}})),
        stop(2),
        ("messageStop", json!({"stopReason": "tool_use"})),
        ("somethingNew", json!({})),
        (
            "metadata",
            json!({"usage": {"inputTokens": 7, "outputTokens": 5, "cacheReadInputTokens": 3}, "metrics": {"latencyMs": 9}}),
        ),
    ]
}

/// Pushes chunks of the event stream through to the end of the connection.
pub(super) fn replay<'a>(trial: Trial, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut splitter = MessageSplitter::new();
    let (mut reader, mut writer) = ((trial.provider.reader)(), (trial.client.writer)(options()));
    let (mut events, mut out) = (Vec::new(), BytesMut::new());
    for chunk in chunks {
        splitter.push(chunk);
        while let Some(message) = splitter.next_message().unwrap() {
            reader.push(&message, &mut events);
        }
    }
    reader.finish(&mut events);
    for event in &events {
        writer.push(event, &mut out);
        if matches!(event, Event::End | Event::Error { .. }) {
            break;
        }
    }
    out.to_vec()
}

fn replay_at_every_cut(trial: Trial, stream: &[u8]) -> Vec<u8> {
    let whole = replay(trial, [stream]);
    for cut in 1..stream.len() {
        assert_eq!(replay(trial, [&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
    }
    assert_eq!(replay(trial, stream.chunks(1)), whole);
    whole
}

#[test]
fn a_stream_of_converse_reads_the_same_wherever_it_is_cut() {
    let out = data_of(&replay_at_every_cut(ANTHROPIC_CLIENT, &stream_of(&events())));
    let kinds: Vec<&str> = out.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let (start, delta, stop) = ("content_block_start", "content_block_delta", "content_block_stop");
    assert_eq!(
        kinds,
        [
            "message_start",
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
            delta,
            stop,
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(out[13]["delta"]["stop_reason"], "tool_use");
    assert_eq!(
        (
            &out[13]["usage"]["input_tokens"],
            &out[13]["usage"]["cache_read_input_tokens"]
        ),
        (&json!(7), &json!(3))
    );
    let out = data_of(&replay_at_every_cut(OPENAI_CLIENT, &stream_of(&events())));
    let text: String = out
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!((text.as_str(), out.last().unwrap()), ("Wéll", &json!("[DONE]")));
}

#[test]
fn a_stream_of_converse_that_breaks_off_or_fails_is_an_error() {
    let mut failed = BytesMut::new();
    let headers = [
        (":exception-type", "throttlingException"),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    write_message(&headers, br#"{"message":"Slow down"}"#, &mut failed);
    let broken = stream_of(&events()[..5]);
    let odd = stream_of(&[("messageStart", json!("x"))]);
    for (stream, message) in [
        (&broken[..], "broke off"),
        (&failed, "Slow down"),
        (&odd, "cannot be read"),
    ] {
        let out = data_of(&replay_at_every_cut(ANTHROPIC_CLIENT, stream));
        assert!(
            out.last().unwrap()["error"]["message"]
                .as_str()
                .unwrap()
                .contains(message),
            "{out:?}"
        );
    }
}

#[test]
fn a_stream_of_claudes_is_told_in_messages_of_the_event_stream() {
    let claude = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "c", "usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s="}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Wé"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "ll"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "tooluse_1", "name": "find", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"q\":"}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "\"x\"}"}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    let out = ON_ANTHROPIC.replay([anthropic_stream(&claude).as_bytes()]);
    let mut splitter = MessageSplitter::new();
    splitter.push(&out);
    let mut told = Vec::new();
    while let Some(bytes) = splitter.next_message().unwrap() {
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.header(":content-type"), Some("application/json"));
        let payload: Value = serde_json::from_slice(message.payload).unwrap();
        told.push((message.header(":event-type").unwrap().to_owned(), payload));
    }
    let mut expected: Vec<(String, Value)> = events()
        .into_iter()
        .map(|(kind, payload)| (kind.to_owned(), payload))
        .collect();
    expected.retain(|(kind, _)| kind != "somethingNew");
    for (_, payload) in &mut expected {
        payload.as_object_mut().unwrap().remove("p");
    }
    let usage = json!({"inputTokens": 7, "outputTokens": 5, "totalTokens": 15, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 0});
    expected.last_mut().unwrap().1 = json!({"usage": usage, "metrics": {"latencyMs": 0}});
    assert_eq!(told, expected);
}
