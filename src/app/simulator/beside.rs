//! The endpoints beside the conversation: OpenAI's older completions and its embeddings, and Anthropic's count of tokens.
//! They are truthful and prompt; of the directives they read only the length of an answer. Each call is booked once.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::AnswerId;
use super::dialect::Dialect;
use super::directive::{Directives, Vocabulary};
use super::ledger::{Ledger, OpenEntry, Outcome};
use super::refusal::Refusal;
use super::{credential, text};

/// The length of an answer that nobody asked to be longer or shorter.
const NATURAL_TOKENS: u64 = 8;
/// Numbers in an embedding: enough to see that it is one.
const DIMENSIONS: usize = 8;

#[derive(Deserialize)]
struct Body {
    model: String,
    #[serde(default)]
    prompt: Value,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    messages: Value,
    max_tokens: Option<u64>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Value,
}

/// `POST /v1/completions`
pub(super) async fn completions(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    book(Dialect::OpenAi, ledger, &request, &body, |call, directives, entry| {
        let natural = directives.output_tokens.unwrap_or(NATURAL_TOKENS);
        let tokens = natural.min(call.max_tokens.unwrap_or(16));
        entry.sums.input_tokens = tokens_of(&call.prompt);
        entry.sums.output_tokens = tokens;
        entry.stream = call.stream;
        let finish = if tokens < natural { "length" } else { "stop" };
        complete(call, entry, finish)
    })
}

/// `POST /v1/embeddings`
pub(super) async fn embeddings(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    book(Dialect::OpenAi, ledger, &request, &body, |call, _, entry| {
        let tokens = tokens_of(&call.input);
        entry.sums.input_tokens = tokens;
        let count = call.input.as_array().map_or(1, Vec::len);
        let data: Vec<Value> = (0..count)
            .map(|index| json!({ "object": "embedding", "index": index, "embedding": vec![0.125; DIMENSIONS] }))
            .collect();
        let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
        HttpResponse::Ok().json(json!({ "object": "list", "data": data, "model": call.model, "usage": usage }))
    })
}

/// `POST /v1/messages/count_tokens`
pub(super) async fn count_tokens(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    book(Dialect::Anthropic, ledger, &request, &body, |call, _, _| {
        HttpResponse::Ok().json(json!({ "input_tokens": tokens_of(&call.messages) }))
    })
}

fn book(
    dialect: Dialect,
    ledger: web::Data<Ledger>,
    request: &HttpRequest,
    body: &[u8],
    answer: impl FnOnce(&Body, &Directives, &mut OpenEntry) -> HttpResponse,
) -> HttpResponse {
    let mut entry = ledger.into_inner().open();
    let refused = |entry: &mut OpenEntry, refusal: Refusal| {
        entry.outcome = Outcome::Error { status: refusal.status };
        refusal.respond(dialect)
    };
    if let Err(refusal) = credential::check(dialect.into(), request, body) {
        return refused(&mut entry, refusal);
    }
    let directives = Directives::read(None, &String::from_utf8_lossy(body)).unwrap_or_default();
    let call: Body = match serde_json::from_slice(body) {
        Ok(call) => call,
        Err(error) => {
            return refused(
                &mut entry,
                Refusal::bad_request(format!("the body cannot be read: {error}")),
            );
        }
    };
    entry.model = call.model.as_str().into();
    entry.outcome = Outcome::Completed;
    entry.id = dialect.id(AnswerId::next());
    answer(&call, &directives, &mut entry)
}

fn complete(call: &Body, entry: &OpenEntry, finish: &str) -> HttpResponse {
    let (input, output) = (entry.sums.input_tokens, entry.sums.output_tokens);
    let chunk = |text: &str, finish: Option<&str>| {
        let choice = json!({ "index": 0, "text": text, "logprobs": null, "finish_reason": finish });
        json!({ "id": entry.id, "object": "text_completion", "created": 0, "model": call.model, "choices": [choice] })
    };
    let usage = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
    if !call.stream {
        let mut text = Vec::new();
        text::append(&Vocabulary::Plain, output, &mut text);
        let mut whole = chunk(&String::from_utf8_lossy(&text), Some(finish));
        whole["usage"] = usage;
        return HttpResponse::Ok().json(whole);
    }
    let mut frames: String = (0..output)
        .map(|token| format!("data: {}\n\n", chunk(text::word(&Vocabulary::Plain, token), None)))
        .collect();
    frames.push_str(&format!("data: {}\n\n", chunk("", Some(finish))));
    if call.stream_options["include_usage"] == true {
        let mut last = chunk("", None);
        (last["choices"], last["usage"]) = (json!([]), usage);
        frames.push_str(&format!("data: {last}\n\n"));
    }
    frames.push_str("data: [DONE]\n\n");
    HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .body(frames)
}

/// A token for four bytes of text; a number is a token.
fn tokens_of(input: &Value) -> u64 {
    match input {
        Value::String(text) => (text.len() as u64).div_ceil(4),
        Value::Array(items) => items.iter().map(tokens_of).sum(),
        Value::Object(members) => members.values().map(tokens_of).sum(),
        Value::Number(_) => 1,
        Value::Bool(_) | Value::Null => 0,
    }
}
