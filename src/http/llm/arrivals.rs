//! The ways in: one handler a route, each of which says what its route tells of a call and hands it on.

use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use crate::domain::key::RequestShape;
use crate::gateway::dialect::Speech;
use crate::gateway::provider::{CredentialOwner, EndpointKind};
use crate::gateway::target::{ForwardTarget, OwnParameters, RewriteTarget, TargetError};
use crate::gateway::{Addressed, Route, Streams, Worker};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::inside::{self, Shapes};

use super::{Arrival, carry};

pub(super) fn chat_completions(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::Chat, Speech::OpenAi)
}

pub(super) fn completions(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::Completions, Speech::OpenAi)
}

pub(super) fn embeddings(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::Embeddings, Speech::OpenAi)
}

pub(super) fn images(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::ImageGenerations, Speech::OpenAi)
}

pub(super) fn image_edits(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::ImageEdits, Speech::OpenAi)
}

pub(super) fn transcriptions(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::Transcriptions, Speech::OpenAi)
}

pub(super) fn translations(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::Translations, Speech::OpenAi)
}

pub(super) fn speech(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::Speech, Speech::OpenAi)
}

pub(super) fn messages(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::Chat, Speech::Anthropic)
}

pub(super) fn count_tokens(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::CountTokens, Speech::Anthropic)
}

pub(super) fn responses(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    unified(request, payload, EndpointKind::Chat, Speech::Responses)
}

/// `models/{model}:generateContent`, `:streamGenerateContent?alt=sse` and `:countTokens`.
pub(super) fn google(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    let arrival = google_arrival(&request);
    carry(request, payload, Speech::Google, arrival)
}

fn google_arrival(request: &HttpRequest) -> Result<Arrival, ApiError> {
    let call = request.match_info().get("call").unwrap_or_default();
    let is_sse = || request.query_string().split('&').any(|piece| piece == "alt=sse");
    let (endpoint, model, streams) = match call.rsplit_once(':') {
        Some((model, "generateContent")) => (EndpointKind::Chat, model, Streams::No),
        Some((model, "countTokens")) => (EndpointKind::CountTokens, model, Streams::No),
        Some((model, "streamGenerateContent")) if is_sse() => (EndpointKind::Chat, model, Streams::Yes),
        Some((_, "streamGenerateContent")) => {
            let message = "must be sse: streams come as server-sent events only";
            return Err(ApiError::invalid("alt", message));
        }
        Some(_) | None => return Err(ApiError::new(ErrorCode::NotFound).say("There is no such method of a model.")),
    };
    let model = model.to_owned();
    Ok(Arrival {
        endpoint,
        addressed: Some(Addressed { model, streams }),
        ..by_model(request, Speech::Google)?
    })
}

/// `model/{model}/converse`.
pub(super) fn converse(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    bedrock(request, payload, Streams::No)
}

/// `model/{model}/converse-stream`.
pub(super) fn converse_stream(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    bedrock(request, payload, Streams::Yes)
}

fn bedrock(request: HttpRequest, payload: web::Payload, streams: Streams) -> impl Future<Output = HttpResponse> {
    let model = request.match_info().get("model").unwrap_or_default().to_owned();
    let arrival = by_model(&request, Speech::Bedrock).map(|arrival| Arrival {
        addressed: Some(Addressed { model, streams }),
        ..arrival
    });
    carry(request, payload, Speech::Bedrock, arrival)
}

fn unified(
    request: HttpRequest,
    payload: web::Payload,
    endpoint: EndpointKind,
    speech: Speech,
) -> impl Future<Output = HttpResponse> {
    let required_shape = match speech {
        Speech::OpenAi | Speech::Responses => RequestShape::OpenAi,
        Speech::Anthropic => RequestShape::Anthropic,
        // Keys are made for one of the two; a key that is bound to none serves these too.
        Speech::Google | Speech::Bedrock => RequestShape::OpenAi,
    };
    let required_shape = match inside::of_request(&request).map(|inside| inside.shapes) {
        Some(Shapes::Any) => None,
        Some(Shapes::Own) | None => Some(required_shape),
    };
    let arrival = by_model(&request, speech).map(|arrival| Arrival {
        required_shape,
        endpoint,
        ..arrival
    });
    carry(request, payload, speech, arrival)
}

/// A conversation whose model says where it goes.
fn by_model(request: &HttpRequest, speech: Speech) -> Result<Arrival, ApiError> {
    let own = OwnParameters::read(request.query_string()).map_err(|error| {
        ApiError::new(ErrorCode::InvalidRequest)
            .say(error.message)
            .param(error.param)
    })?;
    Ok(Arrival {
        speech,
        required_shape: None,
        route: Route::Model,
        endpoint: EndpointKind::Chat,
        addressed: None,
        own,
    })
}

/// A call to the address that it names.
pub(super) fn forward(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    let speech = if request.headers().contains_key("anthropic-version") {
        Speech::Anthropic
    } else {
        Speech::OpenAi
    };
    let arrival = forwarded(&request, speech);
    carry(request, payload, speech, arrival)
}

fn forwarded(request: &HttpRequest, speech: Speech) -> Result<Arrival, ApiError> {
    let worker = worker(request)?;
    let catalogue = worker.catalogue();
    let base = |name: &str| catalogue.public_base(name);
    let target = ForwardTarget::parse(request.uri().path(), request.query_string(), base).map_err(invalid_url)?;
    Ok(Arrival {
        speech,
        required_shape: None,
        route: Route::Url(target.url),
        endpoint: EndpointKind::Opaque,
        addressed: None,
        own: target.own,
    })
}

/// A call in the format that the path names, to an address whose own format may be another.
pub(super) fn rewrite(request: HttpRequest, payload: web::Payload) -> impl Future<Output = HttpResponse> {
    let mut speech = Speech::OpenAi;
    let arrival = rewritten(&request, &mut speech);
    carry(request, payload, speech, arrival)
}

/// `speech` becomes the format of the path as soon as that is known.
fn rewritten(request: &HttpRequest, speech: &mut Speech) -> Result<Arrival, ApiError> {
    let worker = worker(request)?;
    let target = RewriteTarget::parse(request.uri().path(), request.query_string()).map_err(invalid_url)?;
    *speech = match target.format.as_str() {
        "openai" => Speech::OpenAi,
        "anthropic" => Speech::Anthropic,
        "google" => Speech::Google,
        "bedrock" => Speech::Bedrock,
        other => {
            let message = format!("must be openai, anthropic, google or bedrock, not {other:?}");
            return Err(ApiError::invalid("format", message));
        }
    };
    let is_conversation = |url: &&Url| {
        let found = worker.catalogue().resolve_url(url, "POST", CredentialOwner::Caller);
        found.is_ok_and(|found| found.endpoint == EndpointKind::Chat)
    };
    let url = target.urls.iter().find(is_conversation).or(target.urls.last());
    let url = url.ok_or_else(|| ApiError::new(ErrorCode::ForwardUrlInvalid))?.clone();
    Ok(Arrival {
        speech: *speech,
        required_shape: None,
        route: Route::Rewrite(url),
        endpoint: EndpointKind::Chat,
        addressed: target.addressed,
        own: target.own,
    })
}

fn worker(request: &HttpRequest) -> Result<&Worker, ApiError> {
    let worker = request.app_data::<Worker>();
    worker.ok_or_else(|| ApiError::new(ErrorCode::Starting))
}

fn invalid_url(error: TargetError) -> ApiError {
    ApiError::new(ErrorCode::ForwardUrlInvalid)
        .say(error.message)
        .param(error.param)
}
