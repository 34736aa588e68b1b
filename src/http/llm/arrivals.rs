//! The ways in: one handler a route, each of which says what its route tells of a call and hands it on.

use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use crate::domain::key::RequestShape;
use crate::gateway::dialect::Speech;
use crate::gateway::provider::{CredentialOwner, EndpointKind};
use crate::gateway::target::{ForwardTarget, OwnParameters, RewriteTarget};
use crate::gateway::{Addressed, Route, Streams, Worker};
use crate::http::error::{ApiError, ErrorCode};

use super::{Arrival, answer, carry};

pub(super) async fn chat_completions(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Chat, Speech::OpenAi).await
}

pub(super) async fn completions(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Completions, Speech::OpenAi).await
}

pub(super) async fn embeddings(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Embeddings, Speech::OpenAi).await
}

pub(super) async fn images(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::ImageGenerations, Speech::OpenAi).await
}

pub(super) async fn image_edits(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::ImageEdits, Speech::OpenAi).await
}

pub(super) async fn transcriptions(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Transcriptions, Speech::OpenAi).await
}

pub(super) async fn translations(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Translations, Speech::OpenAi).await
}

pub(super) async fn speech(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Speech, Speech::OpenAi).await
}

pub(super) async fn messages(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Chat, Speech::Anthropic).await
}

pub(super) async fn count_tokens(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::CountTokens, Speech::Anthropic).await
}

pub(super) async fn responses(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    unified(&request, payload, EndpointKind::Chat, Speech::Responses).await
}

/// `models/{model}:generateContent`, `:streamGenerateContent?alt=sse` and `:countTokens`.
pub(super) async fn google(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let refused = |error: ApiError| answer::refused(&error, Speech::Google, None);
    let call = request.match_info().get("call").unwrap_or_default();
    let mut endpoint = EndpointKind::Chat;
    let (model, streams) = match call.rsplit_once(':') {
        Some((model, "generateContent")) => (model, Streams::No),
        Some((model, "countTokens")) => {
            endpoint = EndpointKind::CountTokens;
            (model, Streams::No)
        }
        Some((model, "streamGenerateContent")) if request.query_string().split('&').any(|piece| piece == "alt=sse") => {
            (model, Streams::Yes)
        }
        Some((_, "streamGenerateContent")) => {
            return refused(ApiError::invalid(
                "alt",
                "must be sse: streams come as server-sent events only",
            ));
        }
        Some(_) | None => {
            return refused(ApiError::new(ErrorCode::NotFound).say("There is no such method of a model."));
        }
    };
    let addressed = Addressed {
        model: model.to_owned(),
        streams,
    };
    let call = Call {
        speech: Speech::Google,
        endpoint,
        addressed,
    };
    by_address(&request, payload, call).await
}

/// `model/{model}/converse`.
pub(super) async fn converse(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    bedrock(&request, payload, Streams::No).await
}

/// `model/{model}/converse-stream`.
pub(super) async fn converse_stream(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    bedrock(&request, payload, Streams::Yes).await
}

async fn bedrock(request: &HttpRequest, payload: web::Payload, streams: Streams) -> HttpResponse {
    let model = request.match_info().get("model").unwrap_or_default().to_owned();
    let call = Call {
        speech: Speech::Bedrock,
        endpoint: EndpointKind::Chat,
        addressed: Addressed { model, streams },
    };
    by_address(request, payload, call).await
}

/// A call whose address says the model and whether to stream.
struct Call {
    speech: Speech,
    endpoint: EndpointKind,
    addressed: Addressed,
}

async fn by_address(request: &HttpRequest, payload: web::Payload, call: Call) -> HttpResponse {
    let Call {
        speech,
        endpoint,
        addressed,
    } = call;
    match OwnParameters::read(request.query_string()) {
        Ok(own) => {
            let call = Arrival {
                speech,
                required_shape: None,
                route: Route::Model,
                endpoint,
                addressed: Some(addressed),
                own,
            };
            carry(request, payload, call).await
        }
        Err(error) => {
            let refusal = ApiError::new(ErrorCode::InvalidRequest)
                .say(error.message)
                .param(error.param);
            answer::refused(&refusal, speech, None)
        }
    }
}

/// A call whose model says where it goes.
async fn unified(request: &HttpRequest, payload: web::Payload, endpoint: EndpointKind, speech: Speech) -> HttpResponse {
    let required_shape = match speech {
        Speech::OpenAi | Speech::Responses => RequestShape::OpenAi,
        Speech::Anthropic => RequestShape::Anthropic,
        // Keys are made for one of the two; a key that is bound to none serves these too.
        Speech::Google | Speech::Bedrock => RequestShape::OpenAi,
    };
    match OwnParameters::read(request.query_string()) {
        Ok(own) => {
            let call = Arrival {
                speech,
                required_shape: Some(required_shape),
                route: Route::Model,
                endpoint,
                addressed: None,
                own,
            };
            carry(request, payload, call).await
        }
        Err(error) => {
            let refusal = ApiError::new(ErrorCode::InvalidRequest)
                .say(error.message)
                .param(error.param);
            answer::refused(&refusal, speech, None)
        }
    }
}

pub(super) async fn forward(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let speech = if request.headers().contains_key("anthropic-version") {
        Speech::Anthropic
    } else {
        Speech::OpenAi
    };
    let Some(worker) = request.app_data::<Worker>() else {
        return answer::refused(&ApiError::new(ErrorCode::Starting), speech, None);
    };
    let base = |name: &str| worker.catalogue().public_base(name);
    match ForwardTarget::parse(request.uri().path(), request.query_string(), base) {
        Ok(target) => {
            carry(
                &request,
                payload,
                Arrival {
                    speech,
                    required_shape: None,
                    route: Route::Url(target.url),
                    endpoint: EndpointKind::Opaque,
                    addressed: None,
                    own: target.own,
                },
            )
            .await
        }
        Err(error) => {
            let refusal = ApiError::new(ErrorCode::ForwardUrlInvalid)
                .say(error.message)
                .param(error.param);
            answer::refused(&refusal, speech, None)
        }
    }
}

/// A call in the format that the path names, to an address whose own format may be another.
pub(super) async fn rewrite(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(worker) = request.app_data::<Worker>() else {
        return answer::refused(&ApiError::new(ErrorCode::Starting), Speech::OpenAi, None);
    };
    let target = match RewriteTarget::parse(request.uri().path(), request.query_string()) {
        Ok(target) => target,
        Err(error) => {
            let refusal = ApiError::new(ErrorCode::ForwardUrlInvalid)
                .say(error.message)
                .param(error.param);
            return answer::refused(&refusal, Speech::OpenAi, None);
        }
    };
    let speech = match target.format.as_str() {
        "openai" => Speech::OpenAi,
        "anthropic" => Speech::Anthropic,
        "google" => Speech::Google,
        "bedrock" => Speech::Bedrock,
        other => {
            let message = format!("must be openai, anthropic, google or bedrock, not {other:?}");
            return answer::refused(&ApiError::invalid("format", message), Speech::OpenAi, None);
        }
    };
    let is_conversation = |url: &&Url| {
        let found = worker.catalogue().resolve_url(url, "POST", CredentialOwner::Caller);
        found.is_ok_and(|found| found.endpoint == EndpointKind::Chat)
    };
    let Some(url) = target.urls.iter().find(is_conversation).or(target.urls.last()).cloned() else {
        return answer::refused(&ApiError::new(ErrorCode::ForwardUrlInvalid), speech, None);
    };
    let call = Arrival {
        speech,
        required_shape: None,
        route: Route::Rewrite(url),
        endpoint: EndpointKind::Chat,
        addressed: target.addressed,
        own: target.own,
    };
    carry(&request, payload, call).await
}
