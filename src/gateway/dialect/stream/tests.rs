//! Recorded streams of both dialects, whole and broken.

use super::*;
use crate::gateway::sse::SseSplitter;

fn frames(stream: &[u8]) -> Vec<Frame> {
    let mut splitter = SseSplitter::new();
    splitter.push(Bytes::copy_from_slice(stream));
    let mut frames = Vec::new();
    while let Some(frame) = splitter.next_frame().unwrap() {
        frames.push(frame);
    }
    frames
}

fn openai(lines: &[&str], usage_frames: UsageFrames) -> (StreamReader, Vec<FrameVerdict>) {
    let stream: String = lines.iter().map(|line| format!("data: {line}\n\n")).collect();
    let mut reader = StreamReader::new(Dialect::OpenAi, usage_frames);
    let verdicts = frames(stream.as_bytes())
        .iter()
        .map(|frame| reader.push(frame))
        .collect();
    (reader, verdicts)
}

fn anthropic(lines: &[&str]) -> (StreamReader, Vec<FrameVerdict>) {
    let stream: String = lines.iter().map(|line| format!("event: x\ndata: {line}\n\n")).collect();
    let mut reader = StreamReader::new(Dialect::Anthropic, UsageFrames::Pass);
    let verdicts = frames(stream.as_bytes())
        .iter()
        .map(|frame| reader.push(frame))
        .collect();
    (reader, verdicts)
}

const ROLE: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":17,"model":"gpt-4o-mini","service_tier":"default",
"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#;
const HELLO: &str = r#"{"id":"c1","created":17,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}],"usage":null}"#;
const STOP: &str = r#"{"id":"c1","created":17,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;
const USAGE: &str = r#"{"id":"c1","created":17,"model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
const DONE: &str = "[DONE]";

fn one_line(text: &str) -> String {
    text.replace('\n', "")
}

#[test]
fn an_openai_stream_gives_usage_and_hides_the_chunk_nobody_asked_for() {
    use FrameVerdict::*;
    let role = one_line(ROLE);
    let lines = [role.as_str(), HELLO, HELLO, STOP, USAGE, DONE];
    let (reader, verdicts) = openai(&lines, UsageFrames::Hide);
    assert_eq!(verdicts, [Pass, Pass, Pass, Pass, Hide, Last]);
    assert_eq!(
        reader.final_usage(),
        Some(Usage {
            input_tokens: 9,
            output_tokens: 2,
            ..Usage::default()
        })
    );
    assert_eq!(
        (reader.response_id(), reader.model()),
        (Some("c1"), Some("gpt-4o-mini"))
    );
    assert_eq!((reader.content_bytes(), reader.content_tokens()), (10, 3));
    assert_eq!(reader.service_tier(), Some(ServiceTier::Standard));
    assert!(reader.is_finished() && !reader.is_failed());
    let (_, verdicts) = openai(&lines, UsageFrames::Pass);
    assert_eq!(verdicts, [Pass, Pass, Pass, Pass, Pass, Last]);
}

#[test]
fn usage_frames_follow_the_rule_table() {
    let zero = r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
    let negative = r#"{"choices":[],"usage":{"prompt_tokens":-9,"completion_tokens":2}}"#;
    let huge = r#"{"choices":[],"usage":{"prompt_tokens":9007199254740992,"completion_tokens":2}}"#;
    let running =
        r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    let smaller = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    let tokens = |usage: Option<Usage>| usage.map(|usage| usage.total());
    let table: [(&[&str], Option<u64>, Option<u64>); 9] = [
        (&[HELLO, DONE], None, None),
        (&[HELLO, zero, DONE], Some(0), Some(0)),
        (&[HELLO, negative, DONE], None, None),
        (&[HELLO, huge, DONE], None, None),
        (&[running, HELLO], None, Some(10)),
        (&[running, HELLO, DONE], Some(10), Some(10)),
        (&[USAGE, USAGE, DONE], Some(11), Some(11)),
        (&[USAGE, smaller, DONE], Some(10), Some(10)),
        (&[HELLO, USAGE], Some(11), Some(11)),
    ];
    for (lines, last, partial) in table {
        let (reader, _) = openai(lines, UsageFrames::Hide);
        assert_eq!(
            (tokens(reader.final_usage()), tokens(reader.partial_usage())),
            (last, partial),
            "{lines:?}"
        );
    }
    let (_, verdicts) = openai(&[negative], UsageFrames::Hide);
    assert_eq!(verdicts, [FrameVerdict::Hide]);
}

#[test]
fn a_frame_that_cannot_be_read_passes_and_counts_as_text() {
    let (reader, verdicts) = openai(&["{broken"], UsageFrames::Hide);
    assert_eq!(
        (verdicts.as_slice(), reader.content_bytes()),
        ([FrameVerdict::Pass].as_slice(), 7)
    );
    let (reader, verdicts) = openai(&[r#"{"error":{"message":"no"}}"#], UsageFrames::Hide);
    assert_eq!(verdicts, [FrameVerdict::Pass]);
    assert!(reader.is_failed());
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","model":"claude-sonnet-4-6","content":[],
"usage":{"input_tokens":10,"cache_creation_input_tokens":8,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":5},"cache_read_input_tokens":4,"output_tokens":1}}}"#;
const BLOCK: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const DELTA: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#;
const BLOCK_STOP: &str = r#"{"type":"content_block_stop","index":0}"#;
const MESSAGE_DELTA: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#;
const MESSAGE_STOP: &str = r#"{"type":"message_stop"}"#;

#[test]
fn an_anthropic_stream_adds_the_last_counts_to_the_first() {
    let start = one_line(START);
    let lines = [
        start.as_str(),
        BLOCK,
        r#"{"type":"ping"}"#,
        DELTA,
        BLOCK_STOP,
        MESSAGE_DELTA,
        MESSAGE_STOP,
    ];
    let (reader, verdicts) = anthropic(&lines);
    let (last, passed) = verdicts.split_last().unwrap();
    assert_eq!(*last, FrameVerdict::Last);
    assert!(passed.iter().all(|verdict| *verdict == FrameVerdict::Pass));
    let expected = Usage {
        input_tokens: 10,
        cache_read_tokens: 4,
        cache_write_tokens: 3,
        cache_write_1h_tokens: 5,
        output_tokens: 7,
        ..Usage::default()
    };
    assert_eq!(reader.final_usage(), Some(expected));
    assert_eq!((reader.response_id(), reader.content_bytes()), (Some("msg_1"), 5));
}

#[test]
fn an_anthropic_stream_that_breaks_off_has_only_partial_usage() {
    let start = one_line(START);
    let (reader, _) = anthropic(&[&start, BLOCK, DELTA]);
    assert_eq!(reader.final_usage(), None);
    assert_eq!(reader.partial_usage().map(|usage| usage.output_tokens), Some(1));
    let bad = r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":-7}}"#;
    let (reader, _) = anthropic(&[&start, bad, MESSAGE_STOP]);
    assert_eq!((reader.final_usage(), reader.is_finished()), (None, true));
    let (reader, _) = anthropic(&[r#"{"type":"error","error":{"type":"overloaded_error"}}"#]);
    assert!(reader.is_failed());
}

#[test]
fn a_stopped_stream_ends_in_its_own_dialect() {
    let usage = Usage {
        input_tokens: 9,
        output_tokens: 2,
        ..Usage::default()
    };
    let second = r#"{"id":"c1","choices":[{"index":1,"delta":{"content":"x"}}]}"#;
    let (reader, _) = openai(&[HELLO, second, STOP], UsageFrames::Pass);
    let end = frames(&reader.terminal(&usage));
    let (mut again, verdicts) = (StreamReader::new(Dialect::OpenAi, UsageFrames::Pass), end.len());
    assert_eq!(verdicts, 3);
    let text = String::from_utf8(end[0].bytes().to_vec()).unwrap();
    assert!(
        text.contains(r#""finish_reason":"length","index":1"#) && text.contains(r#""id":"c1""#),
        "{text}"
    );
    end.iter().for_each(|frame| {
        again.push(frame);
    });
    assert_eq!(again.final_usage(), Some(usage));
    assert!(again.is_finished());
    let (reader, _) = openai(&[HELLO], UsageFrames::Hide);
    assert_eq!(frames(&reader.terminal(&usage)).len(), 2);
}

#[test]
fn a_stopped_anthropic_stream_closes_its_block_first() {
    let usage = Usage {
        input_tokens: 9,
        output_tokens: 2,
        ..Usage::default()
    };
    let start = one_line(START);
    let (reader, _) = anthropic(&[&start, BLOCK, DELTA]);
    let events = |reader: &StreamReader| -> Vec<String> {
        let end = frames(&reader.terminal(&usage));
        end.iter()
            .map(|frame| String::from_utf8(frame.fields().event.unwrap().to_vec()).unwrap())
            .collect()
    };
    assert_eq!(events(&reader), ["content_block_stop", "message_delta", "message_stop"]);
    let (reader, _) = anthropic(&[&start, BLOCK, DELTA, BLOCK_STOP]);
    assert_eq!(events(&reader), ["message_delta", "message_stop"]);
    let (reader, _) = anthropic(&[]);
    assert_eq!(events(&reader), ["message_start", "message_delta", "message_stop"]);
}

#[test]
fn reading_is_independent_of_where_the_bytes_are_split() {
    let stream: String = [&one_line(ROLE), HELLO, STOP, USAGE, DONE]
        .iter()
        .map(|line| format!("data: {line}\r\n\r\n"))
        .collect();
    for at in 0..=stream.len() {
        let mut splitter = SseSplitter::new();
        let mut reader = StreamReader::new(Dialect::OpenAi, UsageFrames::Hide);
        for part in [&stream.as_bytes()[..at], &stream.as_bytes()[at..]] {
            splitter.push(Bytes::copy_from_slice(part));
            while let Some(frame) = splitter.next_frame().unwrap() {
                reader.push(&frame);
            }
        }
        assert_eq!(reader.final_usage().map(|usage| usage.total()), Some(11), "{at}");
    }
}

/// Prints what a content frame costs; `cargo test --release -- --ignored --nocapture` runs it.
#[test]
#[ignore = "a measurement, not a check"]
fn measures_a_content_frame() {
    let line = r#"{"id":"chatcmpl-9xYzAbCdEfGhIjKlMnOp","object":"chat.completion.chunk","created":1732147200,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0ba0d124f1","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}"#;
    let chunk = Bytes::from(format!("data: {line}\n\n"));
    let mut reader = StreamReader::new(Dialect::OpenAi, UsageFrames::Hide);
    let mut splitter = SseSplitter::new();
    let count = 300_000;
    let start = std::time::Instant::now();
    for _ in 0..count {
        splitter.push(chunk.clone());
        while let Some(frame) = splitter.next_frame().unwrap() {
            reader.push(&frame);
        }
    }
    println!("{} ns a frame", start.elapsed().as_nanos() / count);
    assert_eq!(u128::from(reader.content_bytes()), 5 * count);
}
