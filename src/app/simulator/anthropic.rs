//! Anthropic's messages as they are written on the wire: a whole answer, the events of a stream, an error.
//! Field by field as the public API reference describes them; the usage is what the answer says and is not checked.

use std::io::Write;

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, AnswerId, Finish, Usage};
use super::stream::{Frame, Part, Reported, Script};
use super::text;

const PROVED: &str = "writing to a vector cannot fail";

/// The body of a whole answer.
pub(super) fn body(answer: &Answer) -> Vec<u8> {
    let mut body = Vec::with_capacity(640 + answer.text_bytes());
    write!(
        body,
        r#"{{"id":"msg_{}","type":"message","role":"assistant","model":{},"content":["#,
        answer.id, answer.model_json
    )
    .expect(PROVED);
    for block in search_blocks(answer) {
        write!(body, "{block},").expect(PROVED);
    }
    body.extend_from_slice(br#"{"type":"text","text":""#);
    text::append(&answer.vocabulary, answer.token_count, &mut body);
    write!(
        body,
        r#""}}],"stop_reason":"{}","stop_sequence":null"#,
        stop_reason(answer.finish)
    )
    .expect(PROVED);
    if let Some(usage) = &answer.usage {
        write_usage(usage, usage.output_tokens, &mut body);
        if let Some(searches) = search_usage(answer) {
            body.pop();
            write!(body, "{searches}}}").expect(PROVED);
        }
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
        self.write_searches(&mut frame);
        let reported = self.answer.usage.as_ref().map(|usage| Reported {
            input_tokens: usage.input_tokens,
            output_tokens: usage.first_output_tokens,
        });
        Frame {
            bytes: frame.into(),
            reported,
        }
    }

    /// The blocks of the searches, which are there before the text begins.
    fn write_searches(&self, frame: &mut Vec<u8>) {
        let mut event = |body: &Value| {
            let kind = body["type"].as_str().unwrap_or_default();
            write!(frame, "event: {kind}\ndata: {body}\n\n").expect(PROVED);
        };
        for (index, mut block) in search_blocks(&self.answer).enumerate() {
            let input = (!block["input"].is_null()).then(|| std::mem::replace(&mut block["input"], json!({})));
            event(&json!({"type": "content_block_start", "index": index, "content_block": block}));
            if let Some(input) = input {
                let delta = json!({"type": "input_json_delta", "partial_json": input.to_string()});
                event(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
            }
            event(&json!({"type": "content_block_stop", "index": index}));
        }
    }

    /// Where the text stands among the blocks.
    fn text_index(&self) -> u32 {
        2 * self.answer.search_count
    }

    fn content(&self, token: u64) -> Frame {
        const HEAD: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\
            \"delta\":{\"type\":\"text_delta\",\"text\":\"";
        let word = text::word(&self.answer.vocabulary, token);
        let mut frame = Vec::with_capacity(HEAD.len() + word.len() + 24);
        frame.extend_from_slice(HEAD);
        frame.extend_from_slice(word.as_bytes());
        write!(frame, "\"}},\"index\":{}}}\n\n", self.text_index()).expect(PROVED);
        Frame {
            bytes: frame.into(),
            reported: None,
        }
    }

    fn message_delta(&self) -> Frame {
        let usage = self.answer.usage.as_ref();
        let report = usage
            .map(|usage| {
                let searches = search_usage(&self.answer).unwrap_or_default();
                format!(r#","usage":{{"output_tokens":{}{searches}}}"#, usage.output_tokens)
            })
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
            Place::BlockStart => {
                return Frame::silent(format!(
                    "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":{},\
                     \"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n",
                    self.text_index()
                ));
            }
            Place::BlockStop => {
                return Frame::silent(format!(
                    "event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":{}}}\n\n",
                    self.text_index()
                ));
            }
            Place::Ping => "event: ping\ndata: {\"type\":\"ping\"}\n\n",
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

/// A search and what it found, for each search.
fn search_blocks(answer: &Answer) -> impl Iterator<Item = Value> {
    let id = answer.id;
    (1..=answer.search_count).flat_map(move |number| {
        let search = format!("srvtoolu_{id}{number}");
        let found = json!({
            "type": "web_search_result", "url": "https://example.com/", "title": "example.com",
            "encrypted_content": "c2ltdWxhdGVk", "page_age": null,
        });
        [
            json!({
                "type": "server_tool_use", "id": search, "name": "web_search",
                "input": {"query": format!("query {number}")},
            }),
            json!({"type": "web_search_tool_result", "tool_use_id": search, "content": [found]}),
        ]
    })
}

/// The searches as the usage counts them, with a comma before.
fn search_usage(answer: &Answer) -> Option<String> {
    let count = answer.search_count;
    let usage = || format!(r#","server_tool_use":{{"web_search_requests":{count},"web_fetch_requests":0}}"#);
    (count > 0).then(usage)
}
