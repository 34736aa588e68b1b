//! The list of models as each provider would give it; the shape follows the headers and the path of the caller.
//! The list is no restriction: a call may name any model. These routes are not booked.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::credential;
use super::provider::Provider;
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
const GOOGLE_MODELS: [&str; 3] = ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-embedding-001"];

/// When every simulated model was made, in both notations.
const CREATED: u64 = 1_735_689_600;
const CREATED_AT: &str = "2025-01-01T00:00:00Z";

/// `GET /v1/models`
pub(super) async fn list(request: HttpRequest) -> HttpResponse {
    let provider = provider(&request);
    if let Err(refusal) = credential::check(provider, &request, b"") {
        return refusal.respond(provider);
    }
    let models: Vec<Value> = names(provider).iter().map(|name| model(provider, name)).collect();
    let list = match provider {
        Provider::Anthropic => json!({
            "data": models,
            "has_more": false,
            "first_id": ANTHROPIC_MODELS.first(),
            "last_id": ANTHROPIC_MODELS.last(),
        }),
        Provider::Google => json!({"models": models}),
        Provider::OpenAi | Provider::Bedrock | Provider::ElevenLabs => json!({"object": "list", "data": models}),
    };
    respond(provider, &list)
}

/// `GET /v1/models/{id}`
pub(super) async fn one(request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let provider = provider(&request);
    if let Err(refusal) = credential::check(provider, &request, b"") {
        return refusal.respond(provider);
    }
    match names(provider).iter().find(|name| **name == id.as_str()) {
        Some(name) => respond(provider, &model(provider, name)),
        None => Refusal::of_status(404).respond(provider),
    }
}

/// Any other path, answered as the provider would whose credential it brings.
pub(super) async fn unknown(request: HttpRequest) -> HttpResponse {
    Refusal {
        status: 404,
        message: format!("Invalid URL ({} {})", request.method(), request.path()),
        code: None,
    }
    .respond(provider(&request))
}

fn provider(request: &HttpRequest) -> Provider {
    let headers = request.headers();
    if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") {
        Provider::Anthropic
    } else if headers.contains_key("x-goog-api-key") || request.path().starts_with("/v1beta/") {
        Provider::Google
    } else if headers.contains_key("xi-api-key") {
        Provider::ElevenLabs
    } else {
        Provider::OpenAi
    }
}

fn names(provider: Provider) -> &'static [&'static str] {
    match provider {
        Provider::Anthropic => &ANTHROPIC_MODELS,
        Provider::Google => &GOOGLE_MODELS,
        Provider::OpenAi | Provider::Bedrock | Provider::ElevenLabs => &OPENAI_MODELS,
    }
}

fn model(provider: Provider, name: &str) -> Value {
    match provider {
        Provider::Anthropic => {
            json!({"type": "model", "id": name, "display_name": name, "created_at": CREATED_AT})
        }
        Provider::Google => json!({
            "name": format!("models/{name}"), "version": "001", "displayName": name,
            "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
        }),
        Provider::OpenAi | Provider::Bedrock | Provider::ElevenLabs => {
            json!({"id": name, "object": "model", "created": CREATED, "owned_by": "system"})
        }
    }
}

fn respond(provider: Provider, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    provider.head(&mut response);
    response.json(body)
}
