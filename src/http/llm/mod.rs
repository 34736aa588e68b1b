//! The gateway's routes: find the caller, read the body, call `gateway::serve`, and shape what comes back. Every answer
//! carries `x-lava-request-id`, refusals too, and a refusal has the shape of its caller's dialect. Credentials are
//! checked before a body is read.

mod answer;
mod caller;
mod metadata;
mod models;
mod refusal;

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};

use bytes::Bytes;
use url::Url;

use crate::domain::ids::{Mode, RequestId};
use crate::domain::key::RequestShape;
use crate::engine::random::{self, NoRandomness};
use crate::gateway::dialect::Dialect;
use crate::gateway::provider::{CredentialOwner, EndpointKind};
use crate::gateway::target::{ForwardTarget, OwnParameters, RewriteTarget};
use crate::gateway::{Incoming, Route, Worker, serve};

use super::address::client_address;
use super::error::{ApiError, ErrorCode};
use super::method_not_allowed;
use super::state::AppState;

/// The gateway's routes, under `/v1`.
pub fn configure(config: &mut web::ServiceConfig) {
    let only = |path: &str, route: actix_web::Route| {
        web::resource(path.to_owned())
            .route(route)
            .default_service(web::to(method_not_allowed))
    };
    config
        .service(only("/chat/completions", web::post().to(chat_completions)))
        .service(only("/messages", web::post().to(messages)))
        .service(only("/messages/count_tokens", web::post().to(count_tokens)))
        .service(only("/completions", web::post().to(completions)))
        .service(only("/embeddings", web::post().to(embeddings)))
        .service(only("/models", web::get().to(models::list)))
        .service(only("/models/{model:.+}", web::get().to(models::retrieve)))
        .service(only("/rewrite/{target:.*}", web::post().to(rewrite)))
        .route("/forward", web::route().to(forward))
        .route("/forward/{target:.*}", web::route().to(forward));
}

async fn chat_completions(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Chat, Dialect::OpenAi).await
}

async fn completions(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Completions, Dialect::OpenAi).await
}

async fn embeddings(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Embeddings, Dialect::OpenAi).await
}

async fn messages(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Chat, Dialect::Anthropic).await
}

async fn count_tokens(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::CountTokens, Dialect::Anthropic).await
}

/// A call whose model says where it goes.
async fn unified(
    request: &HttpRequest,
    payload: web::Payload,
    endpoint: EndpointKind,
    dialect: Dialect,
) -> HttpResponse {
    let required_shape = match dialect {
        Dialect::OpenAi => RequestShape::OpenAi,
        Dialect::Anthropic => RequestShape::Anthropic,
    };
    match OwnParameters::read(request.query_string()) {
        Ok(own) => {
            let call = Arrival {
                dialect,
                required_shape: Some(required_shape),
                route: Route::Model,
                endpoint,
                own,
            };
            answer(request, payload, call).await
        }
        Err(error) => {
            let refusal = ApiError::new(ErrorCode::InvalidRequest)
                .say(error.message)
                .param(error.param);
            answer::refused(&refusal, dialect, None)
        }
    }
}

async fn forward(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let dialect = if request.headers().contains_key("anthropic-version") {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    };
    let Some(worker) = request.app_data::<Worker>() else {
        return answer::refused(&ApiError::new(ErrorCode::Starting), dialect, None);
    };
    let base = |name: &str| worker.catalogue().public_base(name);
    match ForwardTarget::parse(request.uri().path(), request.query_string(), base) {
        Ok(target) => {
            answer(
                &request,
                payload,
                Arrival {
                    dialect,
                    required_shape: None,
                    route: Route::Url(target.url),
                    endpoint: EndpointKind::Opaque,
                    own: target.own,
                },
            )
            .await
        }
        Err(error) => {
            let refusal = ApiError::new(ErrorCode::ForwardUrlInvalid)
                .say(error.message)
                .param(error.param);
            answer::refused(&refusal, dialect, None)
        }
    }
}

/// A call in the format that the path names, to an address whose own format may be another.
async fn rewrite(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(worker) = request.app_data::<Worker>() else {
        return answer::refused(&ApiError::new(ErrorCode::Starting), Dialect::OpenAi, None);
    };
    let target = match RewriteTarget::parse(request.uri().path(), request.query_string()) {
        Ok(target) => target,
        Err(error) => {
            let refusal = ApiError::new(ErrorCode::ForwardUrlInvalid)
                .say(error.message)
                .param(error.param);
            return answer::refused(&refusal, Dialect::OpenAi, None);
        }
    };
    let dialect = match target.format.as_str() {
        "openai" => Dialect::OpenAi,
        "anthropic" => Dialect::Anthropic,
        other => {
            let refusal = ApiError::invalid("format", format!("must be openai or anthropic, not {other:?}"));
            return answer::refused(&refusal, Dialect::OpenAi, None);
        }
    };
    let is_conversation = |url: &&Url| {
        let found = worker.catalogue().resolve_url(url, "POST", CredentialOwner::Caller);
        found.is_ok_and(|found| found.endpoint == EndpointKind::Chat)
    };
    let Some(url) = target.urls.iter().find(is_conversation).or(target.urls.last()).cloned() else {
        return answer::refused(&ApiError::new(ErrorCode::ForwardUrlInvalid), dialect, None);
    };
    let call = Arrival {
        dialect,
        required_shape: None,
        route: Route::Rewrite(url),
        endpoint: EndpointKind::Chat,
        own: target.own,
    };
    answer(&request, payload, call).await
}

/// What the route says of a call.
struct Arrival {
    dialect: Dialect,
    required_shape: Option<RequestShape>,
    route: Route,
    endpoint: EndpointKind,
    own: OwnParameters,
}

async fn answer(request: &HttpRequest, payload: web::Payload, arrival: Arrival) -> HttpResponse {
    let dialect = arrival.dialect;
    let mut id = None;
    match pass(request, payload, arrival, &mut id).await {
        Ok(response) => response,
        Err(refusal) => {
            let state = request.app_data::<web::Data<AppState>>();
            if let Some(state) = state {
                state.metrics.count_denial(refusal.code().word());
            }
            let id = id.or_else(|| new_id(state?, Mode::Live).ok());
            answer::refused(&refusal, dialect, id)
        }
    }
}

/// An id for a call; a caller who is not known is taken for a live one.
fn new_id(state: &AppState, mode: Mode) -> Result<RequestId, NoRandomness> {
    Ok(RequestId::compose_in_order(
        mode,
        state.clock.wall_us(),
        random::bits()?,
    ))
}

async fn pass(
    request: &HttpRequest,
    payload: web::Payload,
    arrival: Arrival,
    id: &mut Option<RequestId>,
) -> Result<HttpResponse, ApiError> {
    let dialect = arrival.dialect;
    let (Some(state), Some(worker)) = (request.app_data::<web::Data<AppState>>(), request.app_data::<Worker>()) else {
        return Err(ApiError::new(ErrorCode::Starting));
    };
    state.phase.require_ready()?;
    let caller = caller::find(request, state, arrival.own.key.as_ref())?;
    let made = new_id(state, caller.merchant.mode());
    let request_id = *id.insert(made.map_err(|error| ApiError::internal("making a request id", &error))?);
    let metadata = metadata::read(request.headers(), arrival.own.metadata.as_deref())?;
    let body = read_body(payload, worker).await?;
    let wants_cost = asks_for_cost(request.headers());
    let incoming = Incoming {
        id: request_id,
        caller,
        dialect,
        required_shape: arrival.required_shape,
        route: arrival.route,
        endpoint: arrival.endpoint,
        method: request.method().clone(),
        headers: request.headers(),
        body,
        metadata,
        address: client_address(request, &state.trusted_proxies),
        wants_cost,
    };
    let served = serve(worker, incoming)
        .await
        .map_err(|error| refusal::of(error, state.now(), dialect))?;
    Ok(answer::served(
        served,
        answer::Wishes {
            request_id,
            dialect,
            cost: wants_cost,
        },
    ))
}

/// Reads the body within its limits of size and time.
async fn read_body(payload: web::Payload, worker: &Worker) -> Result<Bytes, ApiError> {
    let options = worker.options();
    let patience = Duration::from_millis(options.body_timeout_ms);
    let read = tokio::time::timeout(patience, payload.to_bytes_limited(options.body_limit_bytes)).await;
    match read {
        Err(_) => Err(ApiError::new(ErrorCode::RequestTimeout)),
        Ok(Err(_)) => Err(ApiError::new(ErrorCode::PayloadTooLarge).field("limit", options.body_limit_bytes)),
        Ok(Ok(Err(_))) => Err(ApiError::new(ErrorCode::InvalidRequest).say("The body could not be read.")),
        Ok(Ok(Ok(body))) => Ok(body),
    }
}

fn asks_for_cost(headers: &HeaderMap) -> bool {
    headers
        .get("x-lava-include-cost")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}
