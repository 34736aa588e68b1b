//! An answer as OpenAI's Responses write it: the object around it, its items, and its usage. Items are made in two
//! states, because a stream shows each one when it begins and again when it is done.

use serde_json::{Value, json};

use super::request::Wishes;
use crate::app::simulator::turn::{Finish, SIGNATURE, ToolCall, Turn};

/// An answer with what the request wishes of it.
pub(super) struct Response {
    turn: Turn,
    wishes: Wishes,
}

/// How far an answer or an item of it has come.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Progress {
    Begun,
    Done,
}

impl Response {
    pub(super) fn new(turn: Turn, wishes: Wishes) -> Self {
        Self { turn, wishes }
    }

    /// The turn that is written down.
    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// The tokens that were thought before the first event and are not streamed.
    pub(super) fn hidden_tokens(&self) -> u64 {
        if self.wishes.summed_up {
            0
        } else {
            self.turn.thought_tokens
        }
    }

    /// The words of thoughts that are streamed as a summary.
    pub(super) fn summary_tokens(&self) -> u64 {
        self.turn.thought_tokens - self.hidden_tokens()
    }

    /// The body of a whole answer.
    pub(super) fn whole(&self) -> Value {
        self.object(Progress::Done)
    }

    /// The object around the answer, empty before it is done.
    pub(super) fn object(&self, progress: Progress) -> Value {
        let (status, details) = match (progress, self.turn.finish) {
            (Progress::Begun, _) => ("in_progress", Value::Null),
            (Progress::Done, Finish::Natural | Finish::Tools) => ("completed", Value::Null),
            (Progress::Done, Finish::Length) => ("incomplete", json!({"reason": "max_output_tokens"})),
        };
        let (output, usage) = match progress {
            Progress::Begun => (Vec::new(), Value::Null),
            Progress::Done => (self.items(), self.usage()),
        };
        let echo = &self.wishes.echo;
        json!({
            "id": format!("resp_{}", self.turn.id), "object": "response", "created_at": self.turn.created,
            "status": status, "background": false, "error": null, "incomplete_details": details,
            "instructions": echo.instructions, "max_output_tokens": echo.max_output_tokens,
            "model": self.turn.model, "output": output, "parallel_tool_calls": true,
            "previous_response_id": echo.previous_response_id, "reasoning": {"effort": null, "summary": null},
            "service_tier": "default", "store": echo.store, "temperature": 1, "text": {"format": {"type": "text"}},
            "tool_choice": "auto", "tools": echo.tools, "top_p": 1, "truncation": "disabled", "usage": usage,
            "user": null, "metadata": echo.metadata,
        })
    }

    /// The item of what was thought, if anything was.
    pub(super) fn reasoning(&self, progress: Progress) -> Option<Value> {
        if self.turn.thought_tokens == 0 {
            return None;
        }
        let summary = match (progress, self.wishes.summed_up) {
            (Progress::Done, true) => json!([{"type": "summary_text", "text": self.turn.thoughts()}]),
            (Progress::Begun | Progress::Done, _) => json!([]),
        };
        let mut item = json!({"id": format!("rs_{}", self.turn.id), "type": "reasoning", "summary": summary});
        if self.wishes.encrypted {
            item["encrypted_content"] = json!(SIGNATURE);
        }
        Some(item)
    }

    /// The items of the searches.
    pub(super) fn searches(&self, progress: Progress) -> impl Iterator<Item = Value> {
        (1..=self.turn.search_count).map(move |number| {
            let action = json!({"type": "search", "query": format!("query {number}")});
            let id = format!("ws_{}_{number}", self.turn.id);
            json!({"id": id, "type": "web_search_call", "status": status(progress), "action": action})
        })
    }

    /// The item of the text; a turn that only calls functions has none.
    pub(super) fn message(&self, progress: Progress) -> Option<Value> {
        if self.turn.finish == Finish::Tools {
            return None;
        }
        let content = match progress {
            Progress::Begun => json!([]),
            Progress::Done => json!([self.text_part(&self.turn.text())]),
        };
        let status = match (progress, self.turn.finish) {
            (Progress::Done, Finish::Length) => "incomplete",
            (Progress::Begun | Progress::Done, _) => status(progress),
        };
        Some(json!({
            "id": self.message_id(), "type": "message", "status": status, "role": "assistant", "content": content,
        }))
    }

    /// The one part of the text's item, with the sources of what was searched.
    pub(super) fn text_part(&self, text: &str) -> Value {
        let annotations = match (self.turn.search_count, text.len()) {
            (0, _) | (_, 0) => json!([]),
            (_, length) => json!([{
                "type": "url_citation", "start_index": 0, "end_index": length.min(3),
                "url": "https://example.com/", "title": "example.com",
            }]),
        };
        json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []})
    }

    /// The item of a function's call.
    pub(super) fn call(&self, call: &ToolCall, progress: Progress) -> Value {
        let arguments = match progress {
            Progress::Begun => "",
            Progress::Done => &call.input,
        };
        json!({
            "id": format!("fc_{}", call.id), "type": "function_call", "status": status(progress),
            "call_id": format!("call_{}", call.id), "name": call.name, "arguments": arguments,
        })
    }

    /// The id of the text's item.
    pub(super) fn message_id(&self) -> String {
        format!("msg_{}", self.turn.id)
    }

    fn items(&self) -> Vec<Value> {
        let calls = self.turn.calls.iter().map(|call| self.call(call, Progress::Done));
        let items = self
            .reasoning(Progress::Done)
            .into_iter()
            .chain(self.searches(Progress::Done));
        items.chain(self.message(Progress::Done)).chain(calls).collect()
    }

    fn usage(&self) -> Value {
        match &self.turn.usage {
            None => Value::Null,
            Some(usage) => json!({
                "input_tokens": usage.input_tokens,
                "input_tokens_details": {"cached_tokens": usage.cached_tokens},
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
            }),
        }
    }
}

fn status(progress: Progress) -> &'static str {
    match progress {
        Progress::Begun => "in_progress",
        Progress::Done => "completed",
    }
}
