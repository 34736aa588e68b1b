//! `/v1/services` and `/v1/services/providers`: the public directory of what the catalogue and the price book list
//! together. It is open to all, so it is made once a price book, and says nothing of credentials but whether the
//! operator has one, and nothing of addresses that are his own.

use std::sync::Arc;

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::domain::money::Money;
use crate::domain::price::{HiddenOutput, ModelPrice};
use crate::gateway::Worker;
use crate::gateway::dialect::Dialect;
use crate::gateway::provider::{EndpointKind, Provider, Service};

use super::error::{ApiError, ErrorCode};
use super::query::Query;
use super::state::AppState;

/// The directory of one price book.
pub struct Directory {
    price_version: u32,
    /// The answer to a call without a filter.
    whole: Bytes,
    entries: Vec<Entry>,
}

/// A provider with its models.
struct Entry {
    id: String,
    summary: Value,
    services: Vec<Value>,
    /// What a search looks at, in lower case: names first, then models.
    names: String,
    models: String,
}

/// GET of the models: of one provider where `provider` names it, those whose names have all words of `query`, and at
/// most `limit`.
pub async fn list(request: HttpRequest, state: web::Data<AppState>, query: Query) -> Result<HttpResponse, ApiError> {
    let directory = directory(&request, &state)?;
    let whole = |body: Bytes| HttpResponse::Ok().content_type(ContentType::json()).body(body);
    let wanted = Wanted::read(&query)?;
    if wanted.is_all() {
        return Ok(whole(directory.whole.clone()));
    }
    let entries = directory.entries.iter();
    let entries = entries.filter(|entry| wanted.provider.as_ref().is_none_or(|wanted| entry.id == *wanted));
    Ok(whole(rendered(entries, &wanted)))
}

/// GET of the providers that a search finds, the best first; an empty search finds none.
pub async fn search(request: HttpRequest, state: web::Data<AppState>, query: Query) -> Result<HttpResponse, ApiError> {
    let directory = directory(&request, &state)?;
    let category = query.text("category")?.unwrap_or("model");
    let words = query.text("query")?.unwrap_or_default().to_lowercase();
    let mut found: Vec<(u32, &Entry)> = directory
        .entries
        .iter()
        .map(|entry| (entry.rank(&words), entry))
        .filter(|(rank, _)| *rank > 0 && matches!(category, "model" | "models"))
        .collect();
    // Stable: those that are found equally stay in the configured order.
    found.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    let data: Vec<&Value> = found.into_iter().map(|(_, entry)| &entry.summary).collect();
    Ok(HttpResponse::Ok().json(json!({ "object": "list", "data": data })))
}

/// Which models are asked for.
#[derive(Default)]
struct Wanted {
    provider: Option<String>,
    /// In lower case.
    words: Vec<String>,
    limit: Option<usize>,
}

impl Wanted {
    fn read(query: &Query) -> Result<Self, ApiError> {
        let limit = query.text("limit")?.map(|text| {
            let limit = text.parse().ok().filter(|limit| *limit > 0);
            limit.ok_or_else(|| ApiError::invalid("limit", "must be a whole number above zero"))
        });
        let words = query.text("query")?.unwrap_or_default().to_lowercase();
        Ok(Self {
            provider: query.text("provider")?.map(str::to_owned),
            words: words.split_whitespace().take(20).map(str::to_owned).collect(),
            limit: limit.transpose()?,
        })
    }

    fn is_all(&self) -> bool {
        self.provider.is_none() && self.words.is_empty() && self.limit.is_none()
    }

    fn has(&self, entry: &Entry, service: &Value) -> bool {
        let model = service["id"].as_str().unwrap_or_default().to_lowercase();
        let is_there = |word: &String| model.contains(word) || entry.names.contains(word);
        self.words.iter().all(is_there)
    }
}

impl Entry {
    fn new(provider: &Provider, services: &[&Service]) -> Self {
        let models: Vec<&str> = services.iter().map(|service| service.model.as_str()).collect();
        Self {
            id: provider.name.to_string(),
            summary: json!({
                "id": &*provider.name,
                "label": provider.label,
                "api_reference": provider.api_reference,
                "service_type": "model",
                "managed": provider.has_credential(),
                "entry_count": services.len(),
            }),
            services: services.iter().map(|service| shown(service)).collect(),
            names: format!("{} {}", provider.name, provider.label).to_lowercase(),
            models: models.join(" ").to_lowercase(),
        }
    }

    /// How many of the words stand in it: its own names count for more than its models'.
    fn rank(&self, words: &str) -> u32 {
        let rank = |word: &str| match (self.names.contains(word), self.models.contains(word)) {
            (true, _) => 4,
            (false, true) => 1,
            (false, false) => 0,
        };
        words.split_whitespace().take(20).map(rank).sum()
    }
}

/// The directory as of the price book that is in force.
fn directory(request: &HttpRequest, state: &AppState) -> Result<Arc<Directory>, ApiError> {
    state.phase.require_ready()?;
    let worker = request
        .app_data::<Worker>()
        .ok_or_else(|| ApiError::new(ErrorCode::Starting))?;
    let price_version = worker.prices().version();
    let known = state.directory.load_full();
    if let Some(known) = known.filter(|known| known.price_version == price_version) {
        return Ok(known);
    }
    let made = Arc::new(make(worker));
    state.directory.store(Some(made.clone()));
    Ok(made)
}

fn make(worker: &Worker) -> Directory {
    let (catalogue, prices) = (worker.catalogue(), worker.prices());
    let services = catalogue.services(&prices);
    let listed = catalogue.providers().iter().filter(|provider| !provider.is_bare_host());
    let entries: Vec<Entry> = listed
        .map(|provider| {
            let own = services.iter().filter(|service| service.provider.name == provider.name);
            Entry::new(provider, &own.collect::<Vec<_>>())
        })
        .collect();
    Directory {
        price_version: prices.version(),
        whole: rendered(entries.iter(), &Wanted::default()),
        entries,
    }
}

fn rendered<'a>(entries: impl Iterator<Item = &'a Entry> + Clone, wanted: &Wanted) -> Bytes {
    let own = |entry: &'a Entry| entry.services.iter().filter(move |service| wanted.has(entry, service));
    let data = entries.clone().flat_map(own);
    let data: Vec<&Value> = data.take(wanted.limit.unwrap_or(usize::MAX)).collect();
    let providers: Vec<&Value> = entries.map(|entry| &entry.summary).collect();
    let list = json!({ "object": "list", "data": data, "providers": providers });
    list.to_string().into()
}

fn shown(service: &Service) -> Value {
    let provider = &service.provider;
    json!({
        "id": service.model,
        "object": "model",
        "provider": &*provider.name,
        "provider_label": provider.label,
        "api_reference": provider.api_reference,
        "endpoint": format!("/v1{}", unified_path(service)),
        "method": "POST",
        "url_template": service.public_url,
        "workflow": null,
        "example_body": example(service),
        "service_type": "model",
        "managed": provider.has_credential(),
        "pricing": pricing(&service.price),
        "capabilities": capabilities(service),
    })
}

/// Where this server takes calls of the kind in the provider's own format.
fn unified_path(service: &Service) -> &'static str {
    match service.kind {
        EndpointKind::Completions => "/completions",
        EndpointKind::Embeddings => "/embeddings",
        EndpointKind::ImageGenerations => "/images/generations",
        EndpointKind::ImageEdits => "/images/edits",
        EndpointKind::Transcriptions => "/audio/transcriptions",
        EndpointKind::Translations => "/audio/translations",
        EndpointKind::Speech => "/audio/speech",
        EndpointKind::TextToSpeech => "/forward",
        EndpointKind::Chat | EndpointKind::CountTokens | EndpointKind::Models | EndpointKind::Opaque => {
            match service.provider.dialect {
                Dialect::OpenAi | Dialect::Google | Dialect::Bedrock | Dialect::Responses => "/chat/completions",
                Dialect::Anthropic => "/messages",
            }
        }
    }
}

/// A body that works at the endpoint.
fn example(service: &Service) -> Value {
    let model = format!("{}/{}", service.provider.name, service.model);
    match service.kind {
        EndpointKind::Completions => json!({ "model": model, "prompt": "Hello", "max_tokens": 256 }),
        EndpointKind::Embeddings => json!({ "model": model, "input": "Hello" }),
        // A form, which no JSON shows.
        EndpointKind::ImageEdits | EndpointKind::Transcriptions | EndpointKind::Translations => Value::Null,
        EndpointKind::ImageGenerations => json!({ "model": model, "prompt": "A hill" }),
        EndpointKind::Speech => json!({ "model": model, "input": "Hello", "voice": "alloy" }),
        EndpointKind::TextToSpeech => json!({ "model_id": service.model, "text": "Hello" }),
        EndpointKind::Chat | EndpointKind::CountTokens | EndpointKind::Models | EndpointKind::Opaque => {
            let messages = json!([{ "role": "user", "content": "Hello" }]);
            let mut body = json!({ "model": model, "messages": messages });
            body[service.provider.output_cap_field.name()] = 256.into();
            body
        }
    }
}

/// Dollars for a million tokens.
fn pricing(price: &ModelPrice) -> Value {
    let rates = &price.standard.base;
    let dollars = |nanos: i64| Money::from_nanos(nanos).to_string();
    json!({
        "type": "tokens_1m",
        "input": dollars(rates.input),
        "output": dollars(rates.output),
        "cache_input_read": dollars(rates.cache_read),
        "cache_input_write": dollars(rates.cache_write),
        "cost_per_request": price.request_fee.to_string(),
        "text": { "input": dollars(rates.input), "output": dollars(rates.output) },
        "audio": { "input": dollars(rates.audio_input), "output": dollars(rates.audio_output) },
        "image": null,
    })
}

fn capabilities(service: &Service) -> Vec<&'static str> {
    let kind = match service.kind {
        EndpointKind::Completions => "completions",
        EndpointKind::Embeddings => return vec!["embeddings"],
        EndpointKind::ImageGenerations | EndpointKind::ImageEdits => return vec!["images"],
        EndpointKind::Transcriptions | EndpointKind::Translations => return vec!["transcription"],
        EndpointKind::Speech | EndpointKind::TextToSpeech => return vec!["speech"],
        EndpointKind::Chat | EndpointKind::CountTokens | EndpointKind::Models | EndpointKind::Opaque => "chat",
    };
    match service.price.hidden_output {
        HiddenOutput::Never => vec![kind, "streaming"],
        HiddenOutput::OnRequest | HiddenOutput::Always => vec![kind, "streaming", "reasoning"],
    }
}
