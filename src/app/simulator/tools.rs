//! Answers that call a tool: `call_tool=NAME` has the model call that tool once, with the JSON of `tool_input` (in
//! hexadecimal digits, because a directive has no spaces), and speak as usual when the result is there. `call_tools=2`
//! has it called twice in one answer.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::answer::AnswerId;
use super::dialect::Dialect;
use super::ledger::{OpenEntry, Outcome};
use super::provider::Provider;

/// What a call of a tool is said to have cost.
pub(super) const OUTPUT_TOKENS: u64 = 12;
/// In how many pieces the arguments are streamed.
const PIECES: usize = 3;

/// What the model calls, and how often.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub name: Option<Box<str>>,
    pub input: Option<String>,
    pub count: Option<u32>,
}

/// The calls of one answer.
#[derive(Debug)]
pub(super) struct ToolCalls {
    dialect: Dialect,
    model: String,
    streamed: bool,
    include_usage: bool,
    input_tokens: u64,
    name: String,
    input: String,
    count: u32,
}

impl ToolCalls {
    /// The calls that a conversation is answered with; `None` where none is wanted, or the results are there.
    pub(super) fn plan(dialect: Dialect, wanted: &Wanted, body: &str, input_tokens: u64) -> Option<Self> {
        let name = wanted.name.as_ref()?;
        let body: Value = serde_json::from_str(body).ok()?;
        if has_results(dialect, body["messages"].as_array()?.last()?) {
            return None;
        }
        Some(Self {
            dialect,
            model: body["model"].as_str()?.to_owned(),
            streamed: body["stream"] == true,
            include_usage: body["stream_options"]["include_usage"] == true,
            input_tokens,
            name: name.to_string(),
            input: wanted.input.clone().unwrap_or_else(|| "{}".to_owned()),
            count: wanted.count.unwrap_or(1).clamp(1, 8),
        })
    }

    /// The answer, booked.
    pub(super) fn respond(&self, entry: &mut OpenEntry) -> HttpResponse {
        entry.sums.output_tokens = OUTPUT_TOKENS;
        entry.sums.reported_input_tokens = self.input_tokens as i64;
        entry.sums.reported_output_tokens = OUTPUT_TOKENS as i64;
        entry.outcome = Outcome::Completed;
        let mut response = HttpResponse::Ok();
        Provider::from(self.dialect).head(&mut response);
        match (self.streamed, self.dialect) {
            (false, Dialect::OpenAi) => response.json(self.openai(&entry.id)),
            (false, Dialect::Anthropic) => response.json(self.anthropic(&entry.id)),
            (true, dialect) => {
                let frames = match dialect {
                    Dialect::OpenAi => self.openai_frames(&entry.id),
                    Dialect::Anthropic => self.anthropic_frames(&entry.id),
                };
                response.content_type("text/event-stream; charset=utf-8").body(frames)
            }
        }
    }

    fn ids(&self, prefix: &'static str) -> impl Iterator<Item = String> {
        (0..self.count).map(move |_| format!("{prefix}{}", AnswerId::next()))
    }

    fn openai_usage(&self) -> Value {
        json!({
            "prompt_tokens": self.input_tokens, "completion_tokens": OUTPUT_TOKENS,
            "total_tokens": self.input_tokens + OUTPUT_TOKENS,
        })
    }

    fn openai(&self, id: &str) -> Value {
        let call = |id: String| json!({ "id": id, "type": "function", "function": { "name": self.name, "arguments": self.input } });
        let calls: Vec<Value> = self.ids("call_").map(call).collect();
        let message = json!({ "role": "assistant", "content": null, "tool_calls": calls });
        json!({
            "id": id, "object": "chat.completion", "created": 0, "model": self.model, "usage": self.openai_usage(),
            "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": "tool_calls" }],
        })
    }

    fn openai_frames(&self, id: &str) -> String {
        let chunk = |delta: Value, finish: Option<&str>| {
            let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
            let chunk = json!({ "id": id, "object": "chat.completion.chunk", "created": 0, "model": self.model, "choices": [choice] });
            format!("data: {chunk}\n\n")
        };
        let mut frames = chunk(json!({ "role": "assistant", "content": null }), None);
        for (index, id) in self.ids("call_").enumerate() {
            let function = json!({ "name": self.name, "arguments": "" });
            let call = json!({ "index": index, "id": id, "type": "function", "function": function });
            frames.push_str(&chunk(json!({ "tool_calls": [call] }), None));
            for piece in pieces(&self.input) {
                let more = json!({ "index": index, "function": { "arguments": piece } });
                frames.push_str(&chunk(json!({ "tool_calls": [more] }), None));
            }
        }
        frames.push_str(&chunk(json!({}), Some("tool_calls")));
        if self.include_usage {
            let last = json!({
                "id": id, "object": "chat.completion.chunk", "created": 0, "model": self.model, "choices": [],
                "usage": self.openai_usage(),
            });
            frames.push_str(&format!("data: {last}\n\n"));
        }
        frames + "data: [DONE]\n\n"
    }

    fn anthropic_usage(&self) -> Value {
        json!({ "input_tokens": self.input_tokens, "output_tokens": OUTPUT_TOKENS })
    }

    fn anthropic(&self, id: &str) -> Value {
        let input: Value = serde_json::from_str(&self.input).unwrap_or_else(|_| json!({}));
        let call = |id: String| json!({ "type": "tool_use", "id": id, "name": self.name, "input": input });
        let content: Vec<Value> = self.ids("toolu_").map(call).collect();
        json!({
            "id": id, "type": "message", "role": "assistant", "model": self.model, "content": content,
            "stop_reason": "tool_use", "stop_sequence": null, "usage": self.anthropic_usage(),
        })
    }

    fn anthropic_frames(&self, id: &str) -> String {
        let event = |body: Value| format!("event: {}\ndata: {body}\n\n", body["type"].as_str().unwrap_or_default());
        let mut frames = event(json!({ "type": "message_start", "message": {
            "id": id, "type": "message", "role": "assistant", "model": self.model, "content": [], "stop_reason": null,
            "stop_sequence": null, "usage": { "input_tokens": self.input_tokens, "output_tokens": 1 },
        }}));
        for (index, id) in self.ids("toolu_").enumerate() {
            let block = json!({ "type": "tool_use", "id": id, "name": self.name, "input": {} });
            frames.push_str(&event(
                json!({ "type": "content_block_start", "index": index, "content_block": block }),
            ));
            for piece in pieces(&self.input) {
                let delta = json!({ "type": "input_json_delta", "partial_json": piece });
                frames.push_str(&event(
                    json!({ "type": "content_block_delta", "index": index, "delta": delta }),
                ));
            }
            frames.push_str(&event(json!({ "type": "content_block_stop", "index": index })));
        }
        let delta = json!({ "stop_reason": "tool_use", "stop_sequence": null });
        frames.push_str(&event(
            json!({ "type": "message_delta", "delta": delta, "usage": { "output_tokens": OUTPUT_TOKENS } }),
        ));
        frames + &event(json!({ "type": "message_stop" }))
    }
}

/// The arguments as they are streamed.
pub(super) fn pieces(input: &str) -> Vec<String> {
    let characters: Vec<char> = input.chars().collect();
    let size = characters.len().div_ceil(PIECES).max(1);
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

/// Whether the last message brings the results of tools.
fn has_results(dialect: Dialect, last: &Value) -> bool {
    match dialect {
        Dialect::OpenAi => last["role"] == "tool",
        Dialect::Anthropic => {
            let blocks = last["content"].as_array();
            blocks.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"))
        }
    }
}

/// The text that hexadecimal digits stand for.
pub(super) fn from_hexadecimal(digits: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}
