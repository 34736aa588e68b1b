//! What the tests of single dialects share: two tables put together without their names, streams replayed at every cut,
//! and seeded junk.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::inner::Event;
use super::{OutputCapField, Table, Warnings, WriteTarget, WriterOptions};
use crate::gateway::sse::SseSplitter;

/// Whose dialects meet.
#[derive(Clone, Copy)]
pub(super) struct Trial {
    pub(super) client: &'static Table,
    pub(super) provider: &'static Table,
}

pub(super) fn target(model: &str) -> WriteTarget<'_> {
    WriteTarget {
        model,
        cap_field: OutputCapField::MaxCompletionTokens,
        default_output_cap: 4_096,
        takes_stream_options: true,
        takes_reasoning_effort: true,
        echoes_reasoning: false,
    }
}

pub(super) fn options() -> WriterOptions {
    WriterOptions {
        include_usage: true,
        created_s: 1_700_000_000,
        model: "asked-model".to_owned(),
    }
}

impl Trial {
    /// The provider's body and the names of what was dropped.
    pub(super) fn written(self, model: &str, body: &Value) -> (Value, Vec<String>) {
        let text = body.to_string();
        let mut request = (self.client.read_request)(text.as_bytes())
            .unwrap_or_else(|error| panic!("{} at {}: {text}", error.message, error.param));
        let mut warnings = Warnings(std::mem::take(&mut request.left_out));
        let written = (self.provider.write_request)(&request, &target(model), &mut warnings)
            .unwrap_or_else(|error| panic!("{} at {}: {text}", error.message, error.param));
        (serde_json::from_slice(&written).unwrap(), warnings.names().to_vec())
    }

    /// The member that a refusal names.
    pub(super) fn refused(self, model: &str, body: &Value) -> String {
        let text = body.to_string();
        let written = (self.client.read_request)(text.as_bytes())
            .and_then(|request| (self.provider.write_request)(&request, &target(model), &mut Warnings::default()));
        written.expect_err(&text).param
    }

    pub(super) fn answered(self, body: &Value) -> Value {
        let answer = (self.provider.read_answer)(body.to_string().as_bytes()).unwrap();
        serde_json::from_slice(&(self.client.write_answer)(&answer, options().created_s)).unwrap()
    }

    /// Pushes chunks of server-sent events through to the end of the connection.
    pub(super) fn replay<'a>(self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut splitter = SseSplitter::new();
        let (mut reader, mut writer) = ((self.provider.reader)(), (self.client.writer)(options()));
        let mut events = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(frame) = splitter.next_frame().unwrap() {
                if let Some(data) = frame.fields().data {
                    reader.push(&data, &mut events);
                }
            }
        }
        reader.finish(&mut events);
        let mut out = BytesMut::new();
        for event in &events {
            writer.push(event, &mut out);
            if matches!(event, Event::End | Event::Error { .. }) {
                break;
            }
        }
        out.to_vec()
    }

    /// The stream whole, cut once at every place, and byte by byte: always the same.
    pub(super) fn replay_at_every_cut(self, stream: &str) -> Vec<Value> {
        let stream = stream.as_bytes();
        let whole = self.replay([stream]);
        for cut in 1..stream.len() {
            assert_eq!(self.replay([&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(self.replay(stream.chunks(1)), whole);
        data_of(&whole)
    }
}

/// Frames without names.
pub(super) fn stream_of(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\r\n\r\n")).collect()
}

/// Frames of Anthropic's dialect.
pub(super) fn anthropic_stream(events: &[Value]) -> String {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(frame).collect()
}

/// The data of each frame.
pub(super) fn data_of(stream: &[u8]) -> Vec<Value> {
    let mut splitter = SseSplitter::new();
    splitter.push(Bytes::copy_from_slice(stream));
    let mut list = Vec::new();
    while let Some(frame) = splitter.next_frame().unwrap() {
        let data = frame.fields().data.unwrap().into_owned();
        let text = String::from_utf8(data).unwrap();
        list.push(serde_json::from_str(&text).unwrap_or(Value::String(text)));
    }
    list
}

/// Calls `act` with damaged copies of the seeds: bytes changed, cut out, doubled. The same every time.
pub(super) fn with_junk(seeds: &[Vec<u8>], case_count: usize, mut act: impl FnMut(&[u8])) {
    const ALPHABET: &[u8] = b"{}[]\",:\\0-9.eE+tfn \x00\xff\xc3a";
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit.max(1) as u64).unwrap()
    };
    for case in 0..case_count {
        let mut bytes = seeds[case % seeds.len()].clone();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, ALPHABET[next(ALPHABET.len())]),
                2 => {
                    let end = (at + next(12)).min(bytes.len());
                    bytes.drain(at..end);
                }
                _ if bytes.is_empty() => {}
                _ => bytes[at] = ALPHABET[next(ALPHABET.len())],
            }
        }
        act(&bytes);
    }
}

/// Everything that a dialect reads, read, and written again where it can be.
pub(super) fn survive(dialect: &Table, others: &[&Table], bytes: &[u8]) {
    if let Ok(request) = (dialect.read_request)(bytes) {
        for other in others {
            let _ = (other.write_request)(&request, &target("m"), &mut Warnings::default());
        }
    }
    if let Some(answer) = (dialect.read_answer)(bytes) {
        for other in others {
            (other.write_answer)(&answer, 0);
        }
    }
    let _ = (dialect.read_error)(bytes);
    let mut reader = (dialect.reader)();
    let mut events = Vec::new();
    reader.push(bytes, &mut events);
    reader.push(bytes, &mut events);
    reader.finish(&mut events);
    for other in others {
        let mut writer = (other.writer)(options());
        let mut out = BytesMut::new();
        for event in &events {
            writer.push(event, &mut out);
        }
    }
}
