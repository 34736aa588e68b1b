//! Streams of Google's, Bedrock's and OpenAI's own formats, as our writers make them of one of OpenAI's chats.

use super::*;
use crate::gateway::frames::Frames;
use crate::gateway::translate::{Pair, StreamTranslator, WriterOptions};

const CHAT: [&str; 5] = [
    r#"{"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}"#,
    r#"{"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{"content":"lo"}}]}"#,
    r#"{"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    r#"{"id":"chatcmpl-1","model":"m","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}"#,
    "[DONE]",
];
const NATIVE: [Dialect; 3] = [Dialect::Google, Dialect::Bedrock, Dialect::Responses];

fn translator(provider: Dialect, client: Dialect) -> StreamTranslator {
    let options = WriterOptions {
        include_usage: true,
        created_s: 1,
        model: "m".to_owned(),
    };
    StreamTranslator::new(Pair { client, provider }, options).with_id("id-1")
}

/// The frames of the chat in another dialect.
fn frames(dialect: Dialect) -> Vec<Frame> {
    let mut translator = translator(Dialect::OpenAi, dialect);
    let mut said: Vec<u8> = Vec::new();
    for data in CHAT {
        said.extend_from_slice(&translator.push_data(data.as_bytes()));
    }
    said.extend_from_slice(&translator.end());
    let mut splitter = Frames::of(dialect);
    splitter.push(said.into());
    let mut frames = Vec::new();
    while let Some(frame) = splitter.next_frame().unwrap() {
        frames.push(frame);
    }
    frames
}

#[test]
fn a_native_stream_is_followed_to_its_usage_and_its_end() {
    for dialect in NATIVE {
        let mut reader = StreamReader::new(dialect, UsageFrames::Pass);
        let mut last = FrameVerdict::Pass;
        for frame in frames(dialect) {
            last = reader.push(&frame);
            assert!(last != FrameVerdict::Hide);
        }
        assert!(matches!(last, FrameVerdict::Hold | FrameVerdict::Last), "{dialect:?}");
        let usage = reader.final_usage().expect("the stream tells its usage");
        assert_eq!((usage.input_tokens, usage.output_tokens), (4, 2), "{dialect:?}");
        assert_eq!((reader.is_finished(), reader.is_failed()), (true, false), "{dialect:?}");
        assert!(reader.content_bytes() >= 5, "{dialect:?}: {}", reader.content_bytes());
    }
}

#[test]
fn a_native_stream_that_is_stopped_reads_as_one_that_reached_its_cap() {
    let usage = Usage {
        input_tokens: 4,
        output_tokens: 1,
        ..Usage::default()
    };
    for dialect in NATIVE {
        let whole = frames(dialect);
        for served in [0, 1, 2] {
            let mut reader = StreamReader::new(dialect, UsageFrames::Pass);
            let mut chat = translator(dialect, Dialect::OpenAi);
            let mut said = Vec::new();
            for frame in whole.iter().take(served) {
                reader.push(frame);
                said.extend_from_slice(&chat.push(frame));
            }
            let mut splitter = Frames::of(dialect);
            splitter.push(reader.terminal(&usage));
            while let Some(frame) = splitter.next_frame().unwrap() {
                said.extend_from_slice(&chat.push(&frame));
            }
            said.extend_from_slice(&chat.end());
            let said = String::from_utf8(said).unwrap();
            for piece in [
                r#""finish_reason":"length""#,
                r#""completion_tokens":1"#,
                "data: [DONE]",
            ] {
                assert!(
                    said.contains(piece),
                    "{dialect:?} {served}: {piece} is missing in {said}"
                );
            }
        }
    }
}

#[test]
fn junk_counts_as_text_and_an_error_is_one() {
    for dialect in NATIVE {
        let mut reader = StreamReader::new(dialect, UsageFrames::Pass);
        assert_eq!(
            reader.push(&Frame::new(Bytes::from_static(b"data: <html>\n\n"))),
            FrameVerdict::Pass
        );
        assert!(
            reader.content_bytes() > 0 && reader.final_usage().is_none(),
            "{dialect:?}"
        );
    }
    let errors = [
        (
            Dialect::Google,
            &b"data: {\"error\":{\"code\":503,\"message\":\"no\"}}\n\n"[..],
        ),
        (Dialect::Responses, b"data: {\"type\":\"error\",\"message\":\"no\"}\n\n"),
    ];
    for (dialect, error) in errors {
        let mut reader = StreamReader::new(dialect, UsageFrames::Pass);
        reader.push(&Frame::new(Bytes::from_static(error)));
        assert!(reader.is_failed(), "{dialect:?}");
    }
}
