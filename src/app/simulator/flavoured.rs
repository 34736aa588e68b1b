//! Chat completions in the flavours of providers that speak OpenAI's dialect with words of their own: DeepSeek's
//! `reasoning_content` and cache counts, Mistral's content as a list of parts. Asked for by `flavour=`; thoughts come
//! on top of the asked length, tools are called after them, and there is one choice only.

use serde_json::{Value, json};

use super::directive::{Directives, Flavour};
use super::ledger::OpenEntry;
use super::reel::{Reel, Words};
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::{Call, Delivery};
use super::stream::{Frame, Part};
use super::tools::pieces;
use super::turn::{Ask, CachedInput, Finish, ToolCall, Turn};

/// The answer to a call that asks for a flavour, booked so far as it is made before its first byte.
pub(super) fn reply(
    call: &Call<'_>,
    directives: &Directives,
    body: &Value,
    entry: &mut OpenEntry,
) -> Result<Reply, Refusal> {
    let last = body["messages"].as_array().and_then(|messages| messages.last());
    let ask = Ask {
        model: call.model().to_owned(),
        input_tokens: call.input_tokens,
        output_tokens_cap: call.output_tokens_cap,
        has_results: last.is_some_and(|last| last["role"] == "tool"),
        has_signature: true,
    };
    let turn = Turn::decide(ask, directives, body.to_string().as_bytes())?;
    turn.book(entry, CachedInput::Within);
    let writer = Writer {
        flavour: directives.flavour,
        id: entry.id.clone(),
        turn,
    };
    Ok(match call.delivery {
        Delivery::Streamed { .. } => Reply::events(writer.reel()),
        Delivery::Whole => {
            entry.sums.output_tokens = writer.turn.output_tokens();
            Reply::json(&writer.whole(), writer.turn.reported())
        }
    })
}

struct Writer {
    flavour: Flavour,
    id: String,
    turn: Turn,
}

/// Which words a piece of text is made of.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Kind {
    Thoughts,
    Text,
}

impl Writer {
    fn whole(&self) -> Value {
        let turn = &self.turn;
        let mut message = json!({"role": "assistant", "content": turn.text()});
        match self.flavour {
            Flavour::Mistral => {
                let thoughts = (turn.thought_tokens > 0).then(|| part(Kind::Thoughts, &turn.thoughts()));
                let text = (turn.text_tokens > 0).then(|| part(Kind::Text, &turn.text()));
                message["content"] = thoughts.into_iter().chain(text).collect();
            }
            Flavour::DeepSeek if turn.thought_tokens > 0 => message["reasoning_content"] = json!(turn.thoughts()),
            Flavour::DeepSeek | Flavour::OpenAi => {}
        }
        if !turn.calls.is_empty() {
            message["tool_calls"] = turn.calls.iter().map(|call| tool_call(call, &call.input)).collect();
        }
        let choice =
            json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(turn.finish)});
        let mut whole = self.head("chat.completion");
        whole["choices"] = json!([choice]);
        if let Some(usage) = self.usage() {
            whole["usage"] = usage;
        }
        whole
    }

    fn reel(&self) -> Reel {
        let turn = &self.turn;
        let mut reel = Reel::default();
        reel.push(Part::Opening, self.chunk(&json!({"role": "assistant", "content": ""})));
        reel.push_words(self.words(Kind::Thoughts, turn.thought_tokens));
        reel.push_words(self.words(Kind::Text, turn.text_tokens));
        let mut tokens = turn.called_tokens();
        for (index, call) in turn.calls.iter().enumerate() {
            let mut begun = tool_call(call, "");
            begun["index"] = json!(index);
            reel.push_content(std::mem::take(&mut tokens), self.chunk(&json!({"tool_calls": [begun]})));
            for piece in pieces(&call.input) {
                let more = json!({"index": index, "function": {"arguments": piece}});
                reel.push_content(0, self.chunk(&json!({"tool_calls": [more]})));
            }
        }
        // Both report the usage with the end, whether or not it is asked for.
        let mut last = self.head("chat.completion.chunk");
        last["choices"] = json!([{"index": 0, "delta": {"content": ""}, "finish_reason": finish_reason(turn.finish)}]);
        if let Some(usage) = self.usage() {
            last["usage"] = usage;
        }
        reel.push(Part::Closing, event(&last).reporting(turn.reported()));
        reel.push(Part::Closing, Frame::silent("data: [DONE]\n\n"));
        if let Some(count) = turn.error_after() {
            let error =
                json!({"error": {"message": "The server is overloaded.", "type": "server_error", "code": null}});
            reel.fail_after(count, event(&error));
        }
        reel
    }

    fn words(&self, kind: Kind, count: u64) -> Words {
        let (flavour, head) = (self.flavour, self.head("chat.completion.chunk"));
        Words {
            vocabulary: self.turn.vocabulary.clone(),
            count,
            write: Box::new(move |_, word| {
                let delta = match (flavour, kind) {
                    (Flavour::Mistral, _) => json!({"content": [part(kind, word)]}),
                    (Flavour::DeepSeek | Flavour::OpenAi, Kind::Thoughts) => {
                        json!({"content": null, "reasoning_content": word})
                    }
                    (Flavour::DeepSeek | Flavour::OpenAi, Kind::Text) => json!({"content": word}),
                };
                event(&with_delta(&head, &delta))
            }),
        }
    }

    fn chunk(&self, delta: &Value) -> Frame {
        event(&with_delta(&self.head("chat.completion.chunk"), delta))
    }

    fn head(&self, object: &str) -> Value {
        json!({"id": self.id, "object": object, "created": self.turn.created, "model": self.turn.model})
    }

    fn usage(&self) -> Option<Value> {
        let usage = self.turn.usage.as_ref()?;
        let mut report = json!({
            "prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
        });
        match self.flavour {
            Flavour::Mistral => {}
            Flavour::DeepSeek | Flavour::OpenAi => {
                report["prompt_cache_hit_tokens"] = json!(usage.cached_tokens);
                report["prompt_cache_miss_tokens"] = json!(usage.input_tokens.saturating_sub(usage.cached_tokens));
                report["prompt_tokens_details"] = json!({"cached_tokens": usage.cached_tokens});
                report["completion_tokens_details"] = json!({"reasoning_tokens": usage.reasoning_tokens});
            }
        }
        Some(report)
    }
}

fn part(kind: Kind, text: &str) -> Value {
    let plain = json!({"type": "text", "text": text});
    match kind {
        Kind::Thoughts => json!({"type": "thinking", "thinking": [plain]}),
        Kind::Text => plain,
    }
}

fn tool_call(call: &ToolCall, arguments: &str) -> Value {
    let function = json!({"name": call.name, "arguments": arguments});
    json!({"id": format!("call_{}", call.id), "type": "function", "function": function})
}

fn with_delta(head: &Value, delta: &Value) -> Value {
    let mut chunk = head.clone();
    chunk["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": null}]);
    chunk
}

fn event(body: &Value) -> Frame {
    Frame::silent(format!("data: {body}\n\n"))
}

fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Natural => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
    }
}
