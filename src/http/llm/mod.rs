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
mod upload;

use actix_web::http::header::{ALLOW, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::domain::ids::{MerchantId, Mode, RequestId, SpendKeyId};
use crate::domain::key::RequestShape;
use crate::engine::random::{self, NoRandomness};
use crate::engine::refusals::RefusedCall;
use crate::gateway::dialect::Speech;
use crate::gateway::provider::EndpointKind;
use crate::gateway::target::OwnParameters;
use crate::gateway::{Addressed, CallTrace, Incoming, Route, Worker, serve};

use super::address::client_address;
use super::error::{ApiError, ErrorCode};
use super::state::AppState;
use upload::Received;

/// What Google's clients call, whose address says the model and whether to stream.
pub fn configure_google(config: &mut web::ServiceConfig) {
    for version in ["/v1beta", "/v1alpha"] {
        config.service(
            web::resource(format!("{version}/models"))
                .route(web::get().to(models::google_list))
                .default_service(web::to(only_get)),
        );
        config.service(
            web::resource([
                format!("{version}/models/{{call:.+}}"),
                // Some take a model's name that has a slash for a path of its own.
                format!("{version}/{{call:[^/]+/.+:[A-Za-z]+}}"),
            ])
            .route(web::post().to(arrivals::google))
            .route(web::get().to(models::google_retrieve))
            .default_service(web::to(get_and_post)),
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
        config.service(web::resource(path).route(route).default_service(web::to(only_post)));
    }
}

/// The gateway's routes: those with a fixed address before those whose address holds a name.
pub fn configure(config: &mut web::ServiceConfig) {
    let only = |path: &str, route: actix_web::Route| {
        web::resource(path.to_owned())
            .route(route)
            .default_service(web::to(only_get))
    };
    let posted = |path: &str, route: actix_web::Route| {
        web::resource(path.to_owned())
            .route(route)
            .default_service(web::to(only_post))
    };
    config
        .service(posted(
            "/v1/chat/completions",
            web::post().to(arrivals::chat_completions),
        ))
        .service(posted("/v1/messages", web::post().to(arrivals::messages)))
        .service(posted(
            "/v1/messages/count_tokens",
            web::post().to(arrivals::count_tokens),
        ))
        .service(posted("/v1/responses", web::post().to(arrivals::responses)))
        .service(posted("/v1/completions", web::post().to(arrivals::completions)))
        .service(posted("/v1/embeddings", web::post().to(arrivals::embeddings)))
        .service(posted("/v1/images/generations", web::post().to(arrivals::images)))
        .service(posted("/v1/images/edits", web::post().to(arrivals::image_edits)))
        .service(posted("/v1/audio/speech", web::post().to(arrivals::speech)))
        .service(posted(
            "/v1/audio/transcriptions",
            web::post().to(arrivals::transcriptions),
        ))
        .service(posted("/v1/audio/translations", web::post().to(arrivals::translations)))
        .service(only("/v1/models", web::get().to(models::list)))
        .service(only("/v1/models/{model:.+}", web::get().to(models::retrieve)))
        .service(posted("/v1/rewrite/{target:.*}", web::post().to(arrivals::rewrite)))
        .route("/v1/forward", web::route().to(arrivals::forward))
        .route("/v1/forward/{target:.*}", web::route().to(arrivals::forward));
}

async fn only_post(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(only_takes("POST", &request))
}

async fn only_get(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(only_takes("GET", &request))
}

async fn get_and_post(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(only_takes("GET, POST", &request))
}

fn only_takes(method: &'static str, request: &HttpRequest) -> ApiError {
    let message = format!("This path takes {method}, not {}.", request.method());
    let refusal = ApiError::new(ErrorCode::MethodNotAllowed).say(message);
    refusal.header(ALLOW, HeaderValue::from_static(method))
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

/// What is known of a call on its way, whatever becomes of it.
#[derive(Default)]
struct Known {
    id: Option<RequestId>,
    /// Whose it is.
    merchant_id: Option<MerchantId>,
    spend_key_id: Option<SpendKeyId>,
    /// Whether something of it was recorded, so that it has a row.
    is_recorded: bool,
    /// Its span, where traces are exported.
    trace: Option<CallTrace>,
}

/// Carries a call, or refuses it in its caller's words where its route already found something wrong.
async fn carry(
    request: HttpRequest,
    payload: web::Payload,
    speech: Speech,
    arrival: Result<Arrival, ApiError>,
) -> HttpResponse {
    let telemetry = request.app_data::<Worker>().and_then(Worker::telemetry);
    let mut known = Known {
        trace: telemetry.and_then(|telemetry| telemetry.begin(request.headers())),
        ..Known::default()
    };
    let passed = match arrival {
        Ok(arrival) => pass(&request, payload, arrival, &mut known).await,
        Err(refusal) => Err(refusal),
    };
    match passed {
        Ok(response) => response,
        Err(refusal) => refuse(&request, &refusal, speech, known),
    }
}

/// Counts a refusal and puts it in its caller's words.
fn refuse(request: &HttpRequest, refusal: &ApiError, speech: Speech, known: Known) -> HttpResponse {
    let (code, status) = (refusal.code().word(), refusal.status().as_u16());
    let state = request.app_data::<web::Data<AppState>>();
    if let Some(state) = state {
        state.metrics.count_denial(code);
    }
    let id = known.id.or_else(|| new_id(state?, Mode::Live).ok());
    if let (Some(state), Some(request_id)) = (state, id) {
        list_refusal(state, request_id, refusal, &known);
    }
    if let Some(trace) = &known.trace {
        trace.refused(code, status);
        id.into_iter().for_each(|id| trace.name_request(id));
    }
    tracing::debug!(
        request.id = id.map(tracing::field::display),
        error.code = code,
        http.status = status,
        "a call was refused"
    );
    answer::refused(refusal, speech, id)
}

/// Lists a call of a caller who is known, unless it has a row of its own.
fn list_refusal(state: &AppState, request_id: RequestId, refusal: &ApiError, known: &Known) {
    let Some(merchant_id) = known.merchant_id.filter(|_| !known.is_recorded) else {
        return;
    };
    state.refusals.note(RefusedCall {
        merchant_id,
        spend_key_id: known.spend_key_id,
        request_id,
        at_ms: request_id.created_ms(),
        code: refusal.code().word(),
        status: refusal.status().as_u16(),
        message: whole_message(refusal),
    });
}

/// What was said, with the model or the provider that it is about.
fn whole_message(refusal: &ApiError) -> String {
    let (message, figures) = (refusal.message(), refusal.extra());
    let named = ["model", "provider"]
        .iter()
        .find_map(|name| figures.get(*name)?.as_str());
    match named {
        Some(named) if !message.contains(named) => format!("{message} ({named})"),
        _ => message.to_owned(),
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
    known: &mut Known,
) -> Result<HttpResponse, ApiError> {
    let speech = arrival.speech;
    let (Some(state), Some(worker)) = (request.app_data::<web::Data<AppState>>(), request.app_data::<Worker>()) else {
        return Err(ApiError::new(ErrorCode::Starting));
    };
    state.phase.require_ready()?;
    let caller = caller::find(request, state, arrival.own.key.as_ref())?;
    known.merchant_id = Some(caller.merchant.id);
    known.spend_key_id = caller.spend_key.as_ref().map(|key| key.id);
    let made = new_id(state, caller.merchant.mode());
    let request_id = *known
        .id
        .insert(made.map_err(|error| ApiError::internal("making a request id", &error))?);
    let metadata = metadata::read(request.headers(), arrival.own.metadata.as_deref())?;
    let fallbacks = fallbacks::read(request.headers(), &worker.catalogue_for(caller.merchant.mode()))?;
    let Received { body, upload } = upload::receive(request, payload, worker, (&caller, &arrival)).await?;
    let wants_cost = asks_for_cost(request.headers());
    let mut incoming = Incoming {
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
        upload,
        metadata,
        address: client_address(request, &state.edge().trusted_proxies),
        wants_cost,
        fallbacks,
        trace: known.trace.clone(),
    };
    let served = serve(worker, &mut incoming).await.map_err(|refused| {
        known.id = Some(refused.request_id);
        known.is_recorded = refused.attempts > 0;
        answer::counted(refusal::of(refused.refusal, state.now(), speech), refused.attempts)
    })?;
    if let Some(trace) = &known.trace {
        trace.name_request(served.request_id);
    }
    let wishes = answer::Wishes {
        request_id: served.request_id,
        speech,
        cost: wants_cost,
    };
    Ok(answer::served(served, wishes))
}

fn asks_for_cost(headers: &HeaderMap) -> bool {
    headers
        .get("x-lava-include-cost")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}
