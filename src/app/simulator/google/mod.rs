//! Google's native interface: `models/{model}:{action}` for whole and streamed answers, the count of tokens, and
//! embeddings, with Google's errors. What a request asks is read in `request`, an answer is written in `answer`.

mod answer;
mod request;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Value, json};

use super::ledger::{Ledger, OpenEntry};
use super::provider::Provider;
use super::refusal::Refusal;
use super::reply::{Incoming, Reply};
use super::turn::{CachedInput, Turn};
use answer::{Chunks, Framing};
use request::Call;

/// Numbers in an embedding: enough to see that it is one.
const DIMENSIONS: usize = 8;

/// What stands after the colon of a path.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Action {
    Generate,
    Stream,
    CountTokens,
    Embed,
    EmbedBatch,
}

/// `POST /v1beta/models/{model}:{action}`
pub(super) async fn act(
    ledger: web::Data<Ledger>,
    request: HttpRequest,
    path: web::Path<String>,
    body: Bytes,
) -> HttpResponse {
    let Some((model, action)) = path
        .rsplit_once(':')
        .and_then(|(model, action)| Some((model, Action::read(action)?)))
    else {
        return Refusal::of_status(404).respond(Provider::Google);
    };
    let framing = if request.query_string().split('&').any(|pair| pair == "alt=sse") {
        Framing::Events
    } else {
        Framing::Array
    };
    let incoming = Incoming::new(Provider::Google, ledger, request, body);
    incoming
        .answer_json(|body, directives, entry| {
            entry.model = model.into();
            entry.stream = action == Action::Stream;
            match action {
                Action::CountTokens => count_tokens(model, body),
                Action::Embed => embed(body, entry),
                Action::EmbedBatch => embed_batch(body, entry),
                Action::Generate | Action::Stream => {
                    let call = Call::read(model, body)?;
                    let (thoughts, input) = (call.thoughts, call.input);
                    let turn = Turn::decide(call.ask, directives, body.to_string().as_bytes())?;
                    entry.id = turn.id.to_string();
                    turn.book(entry, CachedInput::Within);
                    Ok(Chunks::new(turn, thoughts, input).reply(action, framing, entry))
                }
            }
        })
        .await
}

/// The body of an error.
pub(super) fn error_body(refusal: &Refusal) -> Vec<u8> {
    let status = match refusal.status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        402..500 => "FAILED_PRECONDITION",
        _ => "INTERNAL",
    };
    let mut error = json!({"code": refusal.status, "message": refusal.message, "status": status});
    if let Some(reason) = refusal.code {
        error["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
        }]);
    }
    json!({ "error": error }).to_string().into_bytes()
}

impl Action {
    fn read(text: &str) -> Option<Self> {
        match text {
            "generateContent" => Some(Self::Generate),
            "streamGenerateContent" => Some(Self::Stream),
            "countTokens" => Some(Self::CountTokens),
            "embedContent" => Some(Self::Embed),
            "batchEmbedContents" => Some(Self::EmbedBatch),
            _ => None,
        }
    }
}

fn count_tokens(model: &str, body: &Value) -> Result<Reply, Refusal> {
    let asked = match &body["generateContentRequest"] {
        Value::Null => body,
        asked => asked,
    };
    let input = Call::read(model, asked)?.input;
    let body = json!({"totalTokens": input.total(), "promptTokensDetails": input.details()});
    Ok(Reply::json(&body, None))
}

fn embed(body: &Value, entry: &mut OpenEntry) -> Result<Reply, Refusal> {
    let embedding = embedding(body, entry)?;
    Ok(Reply::json(&json!({ "embedding": embedding }), None))
}

fn embed_batch(body: &Value, entry: &mut OpenEntry) -> Result<Reply, Refusal> {
    let requests = body["requests"].as_array().filter(|requests| !requests.is_empty());
    let requests = requests.ok_or_else(|| Refusal::bad_request("BatchEmbedContentsRequest.requests: empty".into()))?;
    let embeddings: Result<Vec<Value>, Refusal> = requests.iter().map(|one| embedding(one, entry)).collect();
    Ok(Reply::json(&json!({ "embeddings": embeddings? }), None))
}

/// Google reports no usage of embeddings; the ledger has it.
fn embedding(body: &Value, entry: &mut OpenEntry) -> Result<Value, Refusal> {
    let parts = body["content"]["parts"].as_array();
    let parts =
        parts.ok_or_else(|| Refusal::bad_request("EmbedContentRequest.content: content is not specified".into()))?;
    let bytes: usize = parts
        .iter()
        .filter_map(|part| part["text"].as_str())
        .map(str::len)
        .sum();
    entry.sums.input_tokens += (bytes as u64).div_ceil(4);
    let asked = body["outputDimensionality"]
        .as_u64()
        .and_then(|count| usize::try_from(count).ok());
    Ok(json!({ "values": vec![0.125; asked.unwrap_or(DIMENSIONS).min(3072)] }))
}
