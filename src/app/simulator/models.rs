//! The list of models as either provider would give it; the shape follows the headers of the caller.
//! The list is no restriction: a call may name any model. These routes are not booked.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::call::authenticated;
use super::dialect::Dialect;
use super::refusal::Refusal;

const OPENAI_MODELS: [&str; 6] = [
    "gpt-4o-mini",
    "gpt-4o",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-5-mini",
    "o4-mini",
];
const ANTHROPIC_MODELS: [&str; 3] = ["claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-1"];

/// When every simulated model was made, in both notations.
const CREATED: u64 = 1_735_689_600;
const CREATED_AT: &str = "2025-01-01T00:00:00Z";

/// `GET /v1/models`
pub(super) async fn list(request: HttpRequest) -> HttpResponse {
    let dialect = dialect(&request);
    if !authenticated(request.headers()) {
        return Refusal::unauthorized().respond(dialect);
    }
    let models: Vec<Value> = names(dialect).iter().map(|name| model(dialect, name)).collect();
    let list = match dialect {
        Dialect::OpenAi => json!({"object": "list", "data": models}),
        Dialect::Anthropic => json!({
            "data": models,
            "has_more": false,
            "first_id": ANTHROPIC_MODELS.first(),
            "last_id": ANTHROPIC_MODELS.last(),
        }),
    };
    respond(dialect, &list)
}

/// `GET /v1/models/{id}`
pub(super) async fn one(request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let dialect = dialect(&request);
    if !authenticated(request.headers()) {
        return Refusal::unauthorized().respond(dialect);
    }
    match names(dialect).iter().find(|name| **name == id.as_str()) {
        Some(name) => respond(dialect, &model(dialect, name)),
        None => Refusal::of_status(404).respond(dialect),
    }
}

/// Any other path, answered as OpenAI would.
pub(super) async fn unknown(request: HttpRequest) -> HttpResponse {
    Refusal {
        status: 404,
        message: format!("Invalid URL ({} {})", request.method(), request.path()),
    }
    .respond(dialect(&request))
}

fn dialect(request: &HttpRequest) -> Dialect {
    let headers = request.headers();
    if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    }
}

fn names(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::OpenAi => &OPENAI_MODELS,
        Dialect::Anthropic => &ANTHROPIC_MODELS,
    }
}

fn model(dialect: Dialect, name: &str) -> Value {
    match dialect {
        Dialect::OpenAi => {
            json!({"id": name, "object": "model", "created": CREATED, "owned_by": "system"})
        }
        Dialect::Anthropic => {
            json!({"type": "model", "id": name, "display_name": name, "created_at": CREATED_AT})
        }
    }
}

fn respond(dialect: Dialect, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    dialect.head(&mut response);
    response.json(body)
}
