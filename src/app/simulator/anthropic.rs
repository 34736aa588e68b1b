//! Anthropic's messages as they are written on the wire: a whole answer, the events of a stream, an error.
//! Field by field as the public API reference describes them; the usage is what the answer says and is not checked.

use std::io::Write;

use bytes::Bytes;
use serde_json::json;

use super::answer::{Answer, AnswerId, Finish, Usage};
use super::stream::{Frame, Part, Reported, Script};
use super::text;

const PROVED: &str = "writing to a vector cannot fail";

/// The body of a whole answer.
pub(super) fn body(answer: &Answer) -> Vec<u8> {
    let mut body = Vec::with_capacity(640 + answer.text_bytes());
    write!(
        body,
        r#"{{"id":"msg_{}","type":"message","role":"assistant","model":{},"content":[{{"type":"text","text":""#,
        answer.id, answer.model_json
    )
    .expect(PROVED);
    text::append(&answer.vocabulary, answer.token_count, &mut body);
    write!(
        body,
        r#""}}],"stop_reason":"{}","stop_sequence":null"#,
        stop_reason(answer.finish)
    )
    .expect(PROVED);
    if let Some(usage) = &answer.usage {
        write_usage(usage, usage.output_tokens, &mut body);
    }
    body.push(b'}');
    body
}

/// The body of an error.
pub(super) fn error_body(status: u16, message: &str) -> Vec<u8> {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    };
    json!({
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": format!("req_{}", AnswerId::next()),
    })
    .to_string()
    .into_bytes()
}

/// The events of a stream, from `message_start` to `message_stop`.
pub(super) struct Frames {
    answer: Answer,
    position: u64,
}

/// One of the events, found from its position.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Place {
    MessageStart,
    BlockStart,
    Ping,
    Content { token: u64 },
    BlockStop,
    MessageDelta,
    MessageStop,
}

impl Frames {
    /// The events of an answer, none of them written yet.
    pub(super) fn new(answer: Answer) -> Self {
        Self { answer, position: 0 }
    }

    fn place(&self) -> Option<Place> {
        match self.position {
            0 => return Some(Place::MessageStart),
            1 => return Some(Place::BlockStart),
            2 => return Some(Place::Ping),
            _ => {}
        }
        let token = self.position - 3;
        let Some(after) = token.checked_sub(self.answer.token_count) else {
            return Some(Place::Content { token });
        };
        match after {
            0 => Some(Place::BlockStop),
            1 => Some(Place::MessageDelta),
            2 => Some(Place::MessageStop),
            _ => None,
        }
    }

    fn message_start(&self) -> Frame {
        let mut frame = Vec::with_capacity(512);
        write!(
            frame,
            r#"event: message_start
data: {{"type":"message_start","message":{{"id":"msg_{}","type":"message","role":"assistant","model":{},"content":[],"stop_reason":null,"stop_sequence":null"#,
            self.answer.id, self.answer.model_json
        )
        .expect(PROVED);
        if let Some(usage) = &self.answer.usage {
            write_usage(usage, usage.first_output_tokens, &mut frame);
        }
        frame.extend_from_slice(b"}}\n\n");
        let reported = self.answer.usage.as_ref().map(|usage| Reported {
            input_tokens: usage.input_tokens,
            output_tokens: usage.first_output_tokens,
        });
        Frame {
            bytes: frame.into(),
            reported,
        }
    }

    fn content(&self, token: u64) -> Frame {
        const HEAD: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
            \"delta\":{\"type\":\"text_delta\",\"text\":\"";
        const TAIL: &[u8] = b"\"}}\n\n";
        let word = text::word(&self.answer.vocabulary, token);
        let mut frame = Vec::with_capacity(HEAD.len() + word.len() + TAIL.len());
        frame.extend_from_slice(HEAD);
        frame.extend_from_slice(word.as_bytes());
        frame.extend_from_slice(TAIL);
        Frame {
            bytes: frame.into(),
            reported: None,
        }
    }

    fn message_delta(&self) -> Frame {
        let usage = self.answer.usage.as_ref();
        let report = usage
            .map(|usage| format!(r#","usage":{{"output_tokens":{}}}"#, usage.output_tokens))
            .unwrap_or_default();
        let frame = format!(
            "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{}\",\
             \"stop_sequence\":null}}{report}}}\n\n",
            stop_reason(self.answer.finish)
        );
        Frame {
            bytes: frame.into(),
            reported: usage.map(Reported::whole),
        }
    }
}

impl Script for Frames {
    fn upcoming(&self) -> Option<Part> {
        self.place().map(|place| match place {
            Place::MessageStart | Place::BlockStart | Place::Ping => Part::Opening,
            Place::Content { .. } => Part::Content,
            Place::BlockStop | Place::MessageDelta | Place::MessageStop => Part::Closing,
        })
    }

    fn write_next(&mut self) -> Frame {
        let place = self.place().unwrap_or(Place::MessageStop);
        self.position += 1;
        let fixed = match place {
            Place::MessageStart => return self.message_start(),
            Place::Content { token } => return self.content(token),
            Place::MessageDelta => return self.message_delta(),
            Place::BlockStart => concat!(
                "event: content_block_start\n",
                r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                "\n\n"
            ),
            Place::Ping => "event: ping\ndata: {\"type\":\"ping\"}\n\n",
            Place::BlockStop => "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            Place::MessageStop => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        };
        Frame {
            bytes: Bytes::from_static(fixed.as_bytes()),
            reported: None,
        }
    }
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Natural => "end_turn",
        Finish::Length => "max_tokens",
    }
}

fn write_usage(usage: &Usage, output_tokens: i64, target: &mut Vec<u8>) {
    write!(
        target,
        r#","usage":{{"input_tokens":{},"cache_creation_input_tokens":{},"cache_read_input_tokens":{},"cache_creation":{{"ephemeral_5m_input_tokens":{},"ephemeral_1h_input_tokens":0}},"output_tokens":{output_tokens},"service_tier":"standard"}}"#,
        usage.input_tokens, usage.cache_write_tokens, usage.cached_tokens, usage.cache_write_tokens
    )
    .expect(PROVED);
}
