//! The events of a streamed Response, in OpenAI's order and numbered without a gap. An event that counts as content
//! is one that hands over a word, or begins or continues a function's call.

use serde_json::{Value, json};

use super::items::{Progress, Response};
use crate::app::simulator::reel::{Reel, Words};
use crate::app::simulator::stream::{Frame, Part};
use crate::app::simulator::tools::pieces;
use crate::app::simulator::turn::{Finish, ToolCall};

/// The events of an answer.
pub(super) fn reel(response: &Response) -> Reel {
    let mut writer = Writer::default();
    for kind in ["response.created", "response.in_progress"] {
        writer.push(
            Part::Opening,
            kind,
            json!({"response": response.object(Progress::Begun)}),
        );
    }
    writer.reasoning(response);
    writer.searches(response);
    writer.message(response);
    let mut tokens = response.turn().called_tokens();
    for call in &response.turn().calls {
        writer.call(response, call, std::mem::take(&mut tokens));
    }
    let kind = match response.turn().finish {
        Finish::Natural | Finish::Tools => "response.completed",
        Finish::Length => "response.incomplete",
    };
    let last = writer.event(kind, json!({"response": response.object(Progress::Done)}));
    writer
        .reel
        .push(Part::Closing, last.reporting(response.turn().reported()));
    if let Some(count) = response.turn().error_after() {
        let mut failed = response.object(Progress::Begun);
        failed["status"] = json!("failed");
        failed["error"] =
            json!({"code": "server_error", "message": "An error occurred while processing your request."});
        let error = writer.event("response.failed", json!({"response": failed}));
        writer.reel.fail_after(count, error);
    }
    writer.reel
}

/// The reel so far, and what the next event and the next item are numbered.
#[derive(Default)]
struct Writer {
    reel: Reel,
    sequence_number: u64,
    output_index: u64,
}

impl Writer {
    fn reasoning(&mut self, response: &Response) {
        let (Some(begun), Some(done)) = (response.reasoning(Progress::Begun), response.reasoning(Progress::Done))
        else {
            return;
        };
        let place = json!({"item_id": begun["id"], "output_index": self.output_index, "summary_index": 0});
        self.item("response.output_item.added", Part::Opening, begun);
        if response.summary_tokens() > 0 {
            let text = response.turn().thoughts();
            let part = |text: &str| json!({"type": "summary_text", "text": text});
            let added = with(&place, "part", part(""));
            self.push(Part::Opening, "response.reasoning_summary_part.added", added);
            let words = response.summary_tokens();
            self.words(response, "response.reasoning_summary_text.delta", &place, words);
            let said = with(&place, "text", json!(text));
            self.push(Part::Closing, "response.reasoning_summary_text.done", said);
            let done = with(&place, "part", part(&text));
            self.push(Part::Closing, "response.reasoning_summary_part.done", done);
        }
        self.item("response.output_item.done", Part::Opening, done);
        self.output_index += 1;
    }

    fn searches(&mut self, response: &Response) {
        let both = response
            .searches(Progress::Begun)
            .zip(response.searches(Progress::Done));
        for (begun, done) in both {
            let place = json!({"item_id": begun["id"], "output_index": self.output_index});
            self.item("response.output_item.added", Part::Opening, begun);
            for kind in ["in_progress", "searching", "completed"] {
                self.push(
                    Part::Opening,
                    &format!("response.web_search_call.{kind}"),
                    place.clone(),
                );
            }
            self.item("response.output_item.done", Part::Opening, done);
            self.output_index += 1;
        }
    }

    fn message(&mut self, response: &Response) {
        let (Some(begun), Some(done)) = (response.message(Progress::Begun), response.message(Progress::Done)) else {
            return;
        };
        let place = json!({"item_id": response.message_id(), "output_index": self.output_index, "content_index": 0});
        self.item("response.output_item.added", Part::Opening, begun);
        let added = with(&place, "part", response.text_part(""));
        self.push(Part::Opening, "response.content_part.added", added);
        let place_of_words = with(&place, "logprobs", json!([]));
        let count = response.turn().text_tokens;
        self.words(response, "response.output_text.delta", &place_of_words, count);
        let part = response.text_part(&response.turn().text());
        for (index, annotation) in part["annotations"].as_array().into_iter().flatten().enumerate() {
            let added = with(
                &with(&place, "annotation", annotation.clone()),
                "annotation_index",
                json!(index),
            );
            self.push(Part::Closing, "response.output_text.annotation.added", added);
        }
        let said = with(&place_of_words, "text", part["text"].clone());
        self.push(Part::Closing, "response.output_text.done", said);
        self.push(Part::Closing, "response.content_part.done", with(&place, "part", part));
        self.item("response.output_item.done", Part::Closing, done);
        self.output_index += 1;
    }

    fn call(&mut self, response: &Response, call: &ToolCall, tokens: u64) {
        let begun = response.call(call, Progress::Begun);
        let place = json!({"item_id": begun["id"], "output_index": self.output_index});
        let added = json!({"output_index": self.output_index, "item": begun});
        let added = self.event("response.output_item.added", added);
        self.reel.push_content(tokens, added);
        for piece in pieces(&call.input) {
            let delta = self.event(
                "response.function_call_arguments.delta",
                with(&place, "delta", json!(piece)),
            );
            self.reel.push_content(0, delta);
        }
        let arguments = with(&place, "arguments", json!(call.input));
        self.push(Part::Closing, "response.function_call_arguments.done", arguments);
        self.item(
            "response.output_item.done",
            Part::Closing,
            response.call(call, Progress::Done),
        );
        self.output_index += 1;
    }

    fn item(&mut self, kind: &str, part: Part, item: Value) {
        self.push(part, kind, json!({"output_index": self.output_index, "item": item}));
    }

    fn words(&mut self, response: &Response, kind: &'static str, place: &Value, count: u64) {
        let (first, place) = (self.sequence_number, place.clone());
        self.sequence_number += count;
        self.reel.push_words(Words {
            vocabulary: response.turn().vocabulary.clone(),
            count,
            write: Box::new(move |position, word| numbered(kind, with(&place, "delta", json!(word)), first + position)),
        });
    }

    fn push(&mut self, part: Part, kind: &str, body: Value) {
        let event = self.event(kind, body);
        self.reel.push(part, event);
    }

    fn event(&mut self, kind: &str, body: Value) -> Frame {
        let event = numbered(kind, body, self.sequence_number);
        self.sequence_number += 1;
        event
    }
}

fn numbered(kind: &str, mut body: Value, sequence_number: u64) -> Frame {
    body["type"] = json!(kind);
    body["sequence_number"] = json!(sequence_number);
    Frame::silent(format!("event: {kind}\ndata: {body}\n\n"))
}

fn with(value: &Value, name: &str, member: Value) -> Value {
    let mut copy = value.clone();
    copy[name] = member;
    copy
}
