//! OpenAI's chat completions as they are written on the wire: a whole answer, the frames of a stream, an error.
//! Field by field as the public API reference describes them; the usage is what the answer says and is not checked.

use std::io::Write;

use bytes::Bytes;
use serde_json::json;

use super::answer::{Answer, Finish, Usage};
use super::refusal::Refusal;
use super::request::UsageFrame;
use super::stream::{Frame, Part, Reported, Script};
use super::text;

const FINGERPRINT: &str = "fp_5d1e8a9c07";
/// What an answer for which the web was searched refers to.
const CITATION: &str = r#"{"type":"url_citation","url_citation":{"start_index":0,"end_index":3,"url":"https://example.com/","title":"example.com"}}"#;
const PROVED: &str = "writing to a vector cannot fail";

/// The body of a whole answer.
pub(super) fn body(answer: &Answer) -> Vec<u8> {
    let choice_count = answer.choice_count as usize;
    let mut body = Vec::with_capacity(640 + 160 * choice_count + answer.text_bytes());
    write!(
        body,
        r#"{{"id":"chatcmpl-{}","object":"chat.completion","created":{},"model":{},"choices":["#,
        answer.id, answer.created, answer.model_json
    )
    .expect(PROVED);
    for index in 0..answer.choice_count {
        let comma = if index == 0 { "" } else { "," };
        write!(
            body,
            r#"{comma}{{"index":{index},"message":{{"role":"assistant","content":""#
        )
        .expect(PROVED);
        text::append(&answer.vocabulary, answer.token_count, &mut body);
        body.extend_from_slice(br#"","refusal":null,"annotations":["#);
        if answer.search_count > 0 {
            body.extend_from_slice(CITATION.as_bytes());
        }
        body.extend_from_slice(br#"]},"logprobs":null,"finish_reason":""#);
        body.extend_from_slice(finish_reason(answer.finish).as_bytes());
        body.extend_from_slice(b"\"}");
    }
    body.push(b']');
    if let Some(usage) = &answer.usage {
        write_usage(usage, &mut body);
    }
    write!(
        body,
        r#","service_tier":"default","system_fingerprint":"{FINGERPRINT}"}}"#
    )
    .expect(PROVED);
    body
}

/// The body of an error.
pub(super) fn error_body(refusal: &Refusal) -> Vec<u8> {
    let (kind, code) = match refusal.status {
        400 => ("invalid_request_error", None),
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => ("request_forbidden", Some("unsupported_country_region_territory")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        402..500 => ("invalid_request_error", None),
        _ => ("server_error", None),
    };
    let code = refusal.code.or(code);
    json!({"error": {"message": refusal.message, "type": kind, "param": null, "code": code}})
        .to_string()
        .into_bytes()
}

/// The frames of a stream: a role for each choice, the content of the choices in turn, the ends, the usage where it
/// is wanted, and the mark of the end.
pub(super) struct Frames {
    answer: Answer,
    usage: UsageFrame,
    head: Box<[u8]>,
    position: u64,
}

/// One of the frames, found from its position.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Place {
    Role { choice: u64 },
    Content { choice: u64, token: u64 },
    Finish { choice: u64 },
    Usage,
    Done,
}

impl Frames {
    /// The frames of an answer, none of them written yet.
    pub(super) fn new(answer: Answer, usage: UsageFrame) -> Self {
        let head = format!(
            r#"data: {{"id":"chatcmpl-{}","object":"chat.completion.chunk","created":{},"model":{},"service_tier":"default","system_fingerprint":"{FINGERPRINT}","choices":["#,
            answer.id, answer.created, answer.model_json
        );
        Self {
            answer,
            usage,
            head: head.into_bytes().into(),
            position: 0,
        }
    }

    fn place(&self) -> Option<Place> {
        let choices = u64::from(self.answer.choice_count);
        let contents = self.answer.output_tokens();
        let mut position = self.position;
        if position < choices {
            return Some(Place::Role { choice: position });
        }
        position -= choices;
        if position < contents {
            return Some(Place::Content {
                choice: position % choices,
                token: position / choices,
            });
        }
        position -= contents;
        if position < choices {
            return Some(Place::Finish { choice: position });
        }
        position -= choices;
        match (position, self.reports_usage()) {
            (0, Some(_)) => Some(Place::Usage),
            (0, None) | (1, Some(_)) => Some(Place::Done),
            (_, Some(_) | None) => None,
        }
    }

    fn reports_usage(&self) -> Option<&Usage> {
        match self.usage {
            UsageFrame::Wanted => self.answer.usage.as_ref(),
            UsageFrame::Unwanted => None,
        }
    }

    fn write_choice(&self, frame: &mut Vec<u8>, choice: u64, delta: &[&str], finish: &str) {
        write!(frame, r#"{{"index":{choice},"delta":{{"#).expect(PROVED);
        for piece in delta {
            frame.extend_from_slice(piece.as_bytes());
        }
        frame.extend_from_slice(br#"},"logprobs":null,"finish_reason":"#);
        frame.extend_from_slice(finish.as_bytes());
        frame.extend_from_slice(b"}]");
        if self.reports_usage().is_some() {
            frame.extend_from_slice(br#","usage":null"#);
        }
    }

    fn write(&self, place: Place, frame: &mut Vec<u8>) {
        match place {
            Place::Role { choice } => {
                let delta = [r#""role":"assistant","content":"","refusal":null"#];
                self.write_choice(frame, choice, &delta, "null");
            }
            Place::Content { choice, token } => {
                let word = text::word(&self.answer.vocabulary, token);
                self.write_choice(frame, choice, &[r#""content":""#, word, "\""], "null");
            }
            Place::Finish { choice } => {
                let finish = match self.answer.finish {
                    Finish::Natural => "\"stop\"",
                    Finish::Length => "\"length\"",
                };
                let citation = [r#""annotations":["#, CITATION, "]"];
                let delta = if self.answer.search_count > 0 {
                    citation.as_slice()
                } else {
                    &[]
                };
                self.write_choice(frame, choice, delta, finish);
            }
            Place::Usage => {
                frame.push(b']');
                if let Some(usage) = self.reports_usage() {
                    write_usage(usage, frame);
                }
            }
            Place::Done => {}
        }
    }
}

impl Script for Frames {
    fn upcoming(&self) -> Option<Part> {
        self.place().map(|place| match place {
            Place::Role { .. } => Part::Opening,
            Place::Content { .. } => Part::Content,
            Place::Finish { .. } | Place::Usage | Place::Done => Part::Closing,
        })
    }

    fn write_next(&mut self) -> Frame {
        let place = self.place().unwrap_or(Place::Done);
        self.position += 1;
        if place == Place::Done {
            return Frame {
                bytes: Bytes::from_static(b"data: [DONE]\n\n"),
                reported: None,
            };
        }
        let mut frame = Vec::with_capacity(self.head.len() + 120);
        frame.extend_from_slice(&self.head);
        self.write(place, &mut frame);
        frame.extend_from_slice(b"}\n\n");
        let reported = match place {
            Place::Usage => self.reports_usage().map(Reported::whole),
            Place::Role { .. } | Place::Content { .. } | Place::Finish { .. } | Place::Done => None,
        };
        Frame {
            bytes: frame.into(),
            reported,
        }
    }
}

fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Natural => "stop",
        Finish::Length => "length",
    }
}

fn write_usage(usage: &Usage, target: &mut Vec<u8>) {
    write!(
        target,
        r#","usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#,
        usage.input_tokens,
        usage.output_tokens,
        usage.input_tokens.saturating_add(usage.output_tokens),
        usage.cached_tokens,
        usage.reasoning_tokens
    )
    .expect(PROVED);
}
