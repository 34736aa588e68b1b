//! The gateway's routes: find the caller, read the body, call `gateway::serve`, and shape what comes back. Every answer
//! carries `x-lava-request-id`, refusals too, and a refusal has the shape of its caller's dialect. Credentials are
//! checked before a body is read.

mod answer;
mod arrivals;
mod caller;
mod fallbacks;
mod metadata;
mod models;
mod refusal;

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};

use bytes::Bytes;

use crate::domain::ids::{Mode, RequestId};
use crate::domain::key::RequestShape;
use crate::engine::random::{self, NoRandomness};
use crate::gateway::dialect::Speech;
use crate::gateway::provider::EndpointKind;
use crate::gateway::target::OwnParameters;
use crate::gateway::{Addressed, Incoming, Route, Worker, serve};

use super::address::client_address;
use super::error::{ApiError, ErrorCode};
use super::method_not_allowed;
use super::state::AppState;

/// What Google's clients call, whose address says the model and whether to stream.
pub fn configure_google(config: &mut web::ServiceConfig) {
    for version in ["/v1beta", "/v1alpha"] {
        config.service(
            web::resource([
                format!("{version}/models/{{call:.+}}"),
                // Some take a model's name that has a slash for a path of its own.
                format!("{version}/{{call:[^/]+/.+:[A-Za-z]+}}"),
            ])
            .route(web::post().to(arrivals::google))
            .default_service(web::to(method_not_allowed)),
        );
    }
}

/// What AWS's clients call; the model may be an ARN, whose slashes come escaped.
pub fn configure_bedrock(config: &mut web::ServiceConfig) {
    let calls = [
        ("/model/{model:.+}/converse", web::post().to(arrivals::converse)),
        (
            "/model/{model:.+}/converse-stream",
            web::post().to(arrivals::converse_stream),
        ),
    ];
    for (path, route) in calls {
        config.service(
            web::resource(path)
                .route(route)
                .default_service(web::to(method_not_allowed)),
        );
    }
}

/// The gateway's routes, under `/v1`.
pub fn configure(config: &mut web::ServiceConfig) {
    let only = |path: &str, route: actix_web::Route| {
        web::resource(path.to_owned())
            .route(route)
            .default_service(web::to(method_not_allowed))
    };
    config
        .service(only("/chat/completions", web::post().to(arrivals::chat_completions)))
        .service(only("/messages", web::post().to(arrivals::messages)))
        .service(only("/messages/count_tokens", web::post().to(arrivals::count_tokens)))
        .service(only("/responses", web::post().to(arrivals::responses)))
        .service(only("/completions", web::post().to(arrivals::completions)))
        .service(only("/embeddings", web::post().to(arrivals::embeddings)))
        .service(only("/models", web::get().to(models::list)))
        .service(only("/models/{model:.+}", web::get().to(models::retrieve)))
        .service(only("/rewrite/{target:.*}", web::post().to(arrivals::rewrite)))
        .route("/forward", web::route().to(arrivals::forward))
        .route("/forward/{target:.*}", web::route().to(arrivals::forward));
}

/// What the route says of a call.
struct Arrival {
    speech: Speech,
    required_shape: Option<RequestShape>,
    route: Route,
    endpoint: EndpointKind,
    /// What stands in the address and not in the body.
    addressed: Option<Addressed>,
    own: OwnParameters,
}

async fn carry(request: &HttpRequest, payload: web::Payload, arrival: Arrival) -> HttpResponse {
    let speech = arrival.speech;
    let mut id = None;
    match pass(request, payload, arrival, &mut id).await {
        Ok(response) => response,
        Err(refusal) => {
            let state = request.app_data::<web::Data<AppState>>();
            if let Some(state) = state {
                state.metrics.count_denial(refusal.code().word());
            }
            let id = id.or_else(|| new_id(state?, Mode::Live).ok());
            answer::refused(&refusal, speech, id)
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
    let speech = arrival.speech;
    let (Some(state), Some(worker)) = (request.app_data::<web::Data<AppState>>(), request.app_data::<Worker>()) else {
        return Err(ApiError::new(ErrorCode::Starting));
    };
    state.phase.require_ready()?;
    let caller = caller::find(request, state, arrival.own.key.as_ref())?;
    let made = new_id(state, caller.merchant.mode());
    let request_id = *id.insert(made.map_err(|error| ApiError::internal("making a request id", &error))?);
    let metadata = metadata::read(request.headers(), arrival.own.metadata.as_deref())?;
    let fallbacks = fallbacks::read(request.headers(), worker.catalogue_for(caller.merchant.mode()))?;
    let body = read_body(payload, worker).await?;
    let wants_cost = asks_for_cost(request.headers());
    let incoming = Incoming {
        id: request_id,
        caller,
        speech,
        required_shape: arrival.required_shape,
        route: arrival.route,
        endpoint: arrival.endpoint,
        addressed: arrival.addressed,
        method: request.method().clone(),
        headers: request.headers(),
        body,
        metadata,
        address: client_address(request, &state.trusted_proxies),
        wants_cost,
        fallbacks,
    };
    let served = serve(worker, incoming).await.map_err(|refused| {
        *id = Some(refused.request_id);
        answer::counted(refusal::of(refused.refusal, state.now(), speech), refused.attempts)
    })?;
    let wishes = answer::Wishes {
        request_id: served.request_id,
        speech,
        cost: wants_cost,
    };
    Ok(answer::served(served, wishes))
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
