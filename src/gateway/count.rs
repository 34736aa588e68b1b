//! Counting tokens for a model whose provider counts in another format, or not at all. The other format's counter is
//! asked in its own words; where there is none the answer is an estimate of ours, marked as one. Both cost nothing;
//! an estimate is not a call of a provider, so it leaves no row, but the key is asked whether it may.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use super::dialect::{BodyError, CallShape};
use super::open_call::Costs;
use super::prepare::{Prepared, Translation, resolve_model, write_target};
use super::provider::{EndpointKind, ResolveError, Target};
use super::pump::{Reply, ReplyBody};
use super::translate::count;
use super::{Incoming, Refusal, TargetAnswer, Worker};

/// On an answer that is an estimate.
const ESTIMATED: HeaderName = HeaderName::from_static("x-lava-estimated");

/// Tokens around each message and tool, and of a picture, in an estimate.
const MESSAGE_TOKENS: u64 = 3;
const IMAGE_TOKENS: u64 = 1_000;
/// Base64 bytes of sound that make a token, about.
const AUDIO_BYTES_A_TOKEN: u64 = 500;

/// True where the reason why a call has nowhere to go is that the provider has no counter.
pub(super) fn is_missing(incoming: &Incoming<'_>, refusal: &Refusal) -> bool {
    let missing = matches!(
        refusal,
        Refusal::Resolve(ResolveError::NotTranslated { .. } | ResolveError::EndpointUnknown { .. })
    );
    missing && incoming.endpoint == EndpointKind::CountTokens
}

/// A call that is answered with an estimate.
pub(super) fn estimated(worker: &Worker, incoming: &Incoming<'_>, shape: &CallShape) -> Result<Box<Prepared>, Refusal> {
    let mut target = resolve_model(worker, incoming, shape, EndpointKind::Chat)?;
    target.endpoint = EndpointKind::CountTokens;
    let model = target.price.as_ref().map_or("", |price| &*price.id);
    let text = worker.calibration().estimate(model, shape.text_bytes);
    let framing = MESSAGE_TOKENS * (shape.message_count + shape.tool_count);
    let files = IMAGE_TOKENS * (shape.image_count + shape.unmeasured_count) + shape.audio_bytes / AUDIO_BYTES_A_TOKEN;
    Ok(Box::new(Prepared {
        target,
        shape: None,
        body: Bytes::new(),
        include_usage: false,
        translation: None,
        left_out: None,
        media: None,
        estimate: Some(text + framing + files),
    }))
}

/// A call that goes to a counter of another format.
pub(super) fn translated(worker: &Worker, incoming: &Incoming<'_>, target: Target) -> Result<Box<Prepared>, Refusal> {
    let mut translation = Translation::new(worker, incoming, &target);
    let written = count::request(translation.pair(), &incoming.body, &write_target(worker, &target));
    let written = written.map_err(|error| {
        Refusal::Body(BodyError {
            param: Some(error.param),
            message: error.message,
        })
    })?;
    translation.note_dropped(&written.warnings);
    Ok(Box::new(Prepared {
        target,
        shape: None,
        body: written.body,
        include_usage: false,
        translation: Some(translation),
        left_out: None,
        media: None,
        estimate: None,
    }))
}

/// The answer that is an estimate.
pub(super) fn answer(incoming: &Incoming<'_>, prepared: &Prepared, tokens: u64) -> TargetAnswer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ESTIMATED, HeaderValue::from_static("true"));
    TargetAnswer {
        reply: Reply {
            status: StatusCode::OK,
            headers,
            body: ReplyBody::Whole(count::written(incoming.speech, tokens), Costs::default()),
        },
        rate: None,
        output_cap: None,
        dropped: None,
        provider: prepared.target.provider.name.clone(),
        simulated: prepared.target.provider.simulated,
    }
}
