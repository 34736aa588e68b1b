//! What is sent for a call, and where: the target, the body in the provider's dialect, and what that body asks for. Where
//! client and provider speak different dialects the body is translated first, so that everything after it reads the
//! bytes that will be sent. It fails closed: what cannot be read, placed or translated is refused by name.

mod translation;

use std::sync::Arc;

use actix_web::http::Method;
use bytes::Bytes;

use crate::domain::price::{HiddenOutput, ModelPrice};

use super::dialect::{
    BodyError, CallShape, Changes, Dialect, OutputCapField, UsageFrames, inspect, rewrite, without_hosted_tools,
};
use super::media::{self, MediaAsk};
use super::provider::{CredentialOwner, EndpointKind, ResolveError, Target, Wanted};
use super::translate::{self, WriteTarget};
use super::{Addressed, Caller, Incoming, Refusal, Route, Streams, Worker, count};
pub use translation::Translation;

/// A call that is ready to be quoted.
pub(super) struct Prepared {
    pub(super) target: Target,
    /// What the body asks for; `None` for calls of which nothing is read.
    pub(super) shape: Option<CallShape>,
    /// In the provider's dialect.
    pub(super) body: Bytes,
    /// The client asked for the usage chunk itself (OpenAI's dialect).
    pub(super) include_usage: bool,
    pub(super) translation: Option<Translation>,
    /// What was left out of a call that passes as it is, as a header says it.
    pub(super) left_out: Option<String>,
    /// What a call for images or sound asks for.
    pub(super) media: Option<MediaAsk>,
    /// Our own count of its tokens, which is then the answer: nothing is sent.
    pub(super) estimate: Option<u64>,
}

impl Prepared {
    /// Whether the provider's usage chunks go on to the client.
    pub(super) fn usage_frames(&self) -> UsageFrames {
        match self.target.dialect {
            Dialect::OpenAi if !self.include_usage => UsageFrames::Hide,
            Dialect::OpenAi | Dialect::Anthropic | Dialect::Google | Dialect::Bedrock | Dialect::Responses => {
                UsageFrames::Pass
            }
        }
    }

    /// Leaves tools out that the provider runs itself, where the call would else have no bound and can do without them.
    pub(super) fn trim(&mut self) -> Result<(), Refusal> {
        let Some(shape) = self.shape.as_ref().filter(|shape| shape.unbounded == Some("tools")) else {
            return Ok(());
        };
        if let Some(trimmed) = without_hosted_tools(&self.body, shape) {
            self.shape = Some(inspect(shape.dialect, &trimmed.body, None).map_err(Refusal::Body)?);
            self.body = trimmed.body;
            self.left_out = Some(trimmed.left_out.join(", "));
        }
        Ok(())
    }
}

/// How a call's body is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    Json,
    Form,
    JsonOrForm,
    /// Nothing is read of it.
    Unread,
}

/// How the body is taken in of a call to this URL, or to a unified endpoint; known before any of it is read.
pub fn body_kind(worker: &Worker, caller: &Caller, to: (Option<&url::Url>, EndpointKind, &Method)) -> BodyKind {
    let (url, endpoint, method) = to;
    let kind = match url {
        None => endpoint,
        Some(url) => {
            let catalogue = worker.catalogue_for(caller.merchant.mode());
            let means = catalogue.means(caller.merchant.id, caller.provider_key.as_ref());
            let target = catalogue.target_of_url(url, method.as_str(), &means);
            // What has no target is refused when it is prepared, with its body read or not.
            target.map_or(EndpointKind::Models, |target| target.endpoint)
        }
    };
    match kind {
        EndpointKind::Opaque => BodyKind::Unread,
        EndpointKind::Transcriptions | EndpointKind::Translations => BodyKind::Form,
        EndpointKind::ImageEdits => BodyKind::JsonOrForm,
        EndpointKind::Chat
        | EndpointKind::Completions
        | EndpointKind::Embeddings
        | EndpointKind::ImageGenerations
        | EndpointKind::Speech
        | EndpointKind::TextToSpeech
        | EndpointKind::CountTokens
        | EndpointKind::Models => BodyKind::Json,
    }
}

/// Reads what the call asks for, finds out where it goes, and translates it where it must be.
pub(super) fn prepare(worker: &Worker, incoming: &Incoming<'_>) -> Result<Box<Prepared>, Refusal> {
    let mut prepared = match &incoming.route {
        Route::Model => by_model(worker, incoming),
        Route::Url(url) => by_url(worker, incoming, url),
        Route::Rewrite(url) => by_rewrite(worker, incoming, url),
    }?;
    let target = &mut prepared.target;
    target.price = price_now(worker, target.endpoint, target.price.take());
    Ok(prepared)
}

/// The price at this instant, which the call keeps. Where tokens are billed, a price of other units is none.
fn price_now(worker: &Worker, endpoint: EndpointKind, price: Option<Arc<ModelPrice>>) -> Option<Arc<ModelPrice>> {
    let by_tokens = matches!(
        endpoint,
        EndpointKind::Chat | EndpointKind::Completions | EndpointKind::Embeddings
    );
    let price = price.filter(|price| price.prices_tokens || !by_tokens)?;
    Some(price.at(worker.clock().wall_ms()))
}

fn by_model(worker: &Worker, incoming: &Incoming<'_>) -> Result<Box<Prepared>, Refusal> {
    if incoming.endpoint.is_media() {
        return media::by_model(worker, incoming);
    }
    let dialect = incoming.speech;
    let shape = inspect(dialect, &incoming.body, incoming.addressed.as_ref()).map_err(Refusal::Body)?;
    let target = match resolve_model(worker, incoming, &shape, incoming.endpoint) {
        Err(refusal) if count::is_missing(incoming, &refusal) => return count::estimated(worker, incoming, &shape),
        resolved => resolved?,
    };
    if target.endpoint.is_free() && target.dialect != dialect {
        return count::translated(worker, incoming, target);
    }
    if target.endpoint.is_free() {
        let model = target.model.as_deref().filter(|model| *model != shape.model);
        let changes = Changes {
            model: model.filter(|_| !dialect.is_addressed()),
            ..Changes::default()
        };
        return Ok(Box::new(Prepared {
            body: rewrite(&incoming.body, &shape, changes),
            shape: None,
            include_usage: false,
            translation: None,
            left_out: None,
            media: None,
            estimate: None,
            target,
        }));
    }
    spoken(worker, incoming, shape, target)
}

/// The call as its provider takes it: as it is where both speak the same, else translated.
fn spoken(
    worker: &Worker,
    incoming: &Incoming<'_>,
    shape: CallShape,
    target: Target,
) -> Result<Box<Prepared>, Refusal> {
    let prepared = Box::new(Prepared {
        include_usage: shape.include_usage,
        shape: Some(shape),
        body: incoming.body.clone(),
        translation: None,
        left_out: None,
        media: None,
        estimate: None,
        target,
    });
    if prepared.target.dialect == incoming.speech {
        return unmixed(incoming, prepared);
    }
    translated(worker, incoming, prepared)
}

/// The call without what answers of other providers left in it, where there is any of it.
fn unmixed(incoming: &Incoming<'_>, mut prepared: Box<Prepared>) -> Result<Box<Prepared>, Refusal> {
    let is_conversation = prepared.target.endpoint == EndpointKind::Chat;
    let Some(body) = is_conversation
        .then(|| translate::without_foreign(&prepared.body))
        .flatten()
    else {
        return Ok(prepared);
    };
    let addressed = prepared.target.addressed.as_ref().or(incoming.addressed.as_ref());
    prepared.shape = Some(inspect(incoming.speech, &body, addressed).map_err(Refusal::Body)?);
    prepared.body = body;
    Ok(prepared)
}

/// Where a call of this kind to the model goes.
pub(super) fn resolve_model(
    worker: &Worker,
    incoming: &Incoming<'_>,
    shape: &CallShape,
    endpoint: EndpointKind,
) -> Result<Target, Refusal> {
    let wanted = Wanted {
        model: &shape.model,
        dialect: incoming.speech,
        endpoint,
        streams: if shape.stream { Streams::Yes } else { Streams::No },
    };
    let catalogue = worker.catalogue_for(incoming.caller.merchant.mode());
    let means = catalogue.means(incoming.caller.merchant.id, incoming.caller.provider_key.as_ref());
    catalogue
        .target_of_model(&worker.prices(), wanted, &means)
        .map_err(Refusal::Resolve)
}

fn resolve_url(worker: &Worker, incoming: &Incoming<'_>, url: &url::Url) -> Result<Target, Refusal> {
    let catalogue = worker.catalogue_for(incoming.caller.merchant.mode());
    let means = catalogue.means(incoming.caller.merchant.id, incoming.caller.provider_key.as_ref());
    catalogue
        .target_of_url(url, incoming.method.as_str(), &means)
        .map_err(Refusal::Resolve)
}

fn not_named(incoming: &Incoming<'_>, target: &Target, url: &url::Url) -> ResolveError {
    ResolveError::EndpointUnknown {
        method: incoming.method.to_string(),
        path: url.path().to_owned(),
        provider: target.provider.name.clone(),
    }
}

/// Only conversations can be translated.
fn by_rewrite(worker: &Worker, incoming: &Incoming<'_>, url: &url::Url) -> Result<Box<Prepared>, Refusal> {
    let mut target = resolve_url(worker, incoming, url)?;
    if target.endpoint != EndpointKind::Chat {
        return Err(Refusal::Resolve(not_named(incoming, &target, url)));
    }
    // Where the address names the model the caller's format need not.
    let addressed = target.addressed.as_ref().or(incoming.addressed.as_ref());
    let shape = inspect(incoming.speech, &incoming.body, addressed).map_err(Refusal::Body)?;
    let model = target.model.take().unwrap_or_else(|| shape.model.clone());
    target.price = target.provider.price(&worker.prices(), &model).cloned();
    target.model = Some(model);
    target.readdress(if shape.stream { Streams::Yes } else { Streams::No });
    spoken(worker, incoming, shape, target)
}

fn by_url(worker: &Worker, incoming: &Incoming<'_>, url: &url::Url) -> Result<Box<Prepared>, Refusal> {
    let mut target = resolve_url(worker, incoming, url)?;
    // Nothing is read of such a call, so a spend key's limit would not hold on the merchant's account.
    let unread = target.endpoint == EndpointKind::Opaque && target.owner == CredentialOwner::Merchant;
    if unread && incoming.caller.spend_key.is_some() {
        return Err(Refusal::Resolve(not_named(incoming, &target, url)));
    }
    if target.endpoint.is_media() {
        return media::by_url(worker, incoming, target);
    }
    let shape = match target.endpoint {
        EndpointKind::ImageGenerations
        | EndpointKind::ImageEdits
        | EndpointKind::Speech
        | EndpointKind::Transcriptions
        | EndpointKind::Translations
        | EndpointKind::TextToSpeech => None,
        EndpointKind::CountTokens | EndpointKind::Models | EndpointKind::Opaque => None,
        EndpointKind::Chat | EndpointKind::Completions | EndpointKind::Embeddings => {
            let addressed = target.addressed.as_ref();
            let shape = inspect(target.dialect, &incoming.body, addressed).map_err(Refusal::Body)?;
            target.price = target.provider.price(&worker.prices(), &shape.model).cloned();
            Some(shape)
        }
    };
    Ok(Box::new(Prepared {
        include_usage: shape.as_ref().is_some_and(|shape| shape.include_usage),
        shape,
        body: incoming.body.clone(),
        translation: None,
        left_out: None,
        media: None,
        estimate: None,
        target,
    }))
}

/// The same call in the provider's dialect.
fn translated(worker: &Worker, incoming: &Incoming<'_>, mut prepared: Box<Prepared>) -> Result<Box<Prepared>, Refusal> {
    let target = &prepared.target;
    let mut translation = Translation::new(worker, incoming, target);
    translation.include_usage = prepared.include_usage;
    let (pair, write) = (translation.pair, write_target(worker, target));
    let streams = incoming.addressed.as_ref().map(|addressed| addressed.streams);
    let written = match streams {
        Some(Streams::Yes) => translate::streaming_request(pair, &prepared.body, &write),
        Some(Streams::No) | None => translate::request(pair, &prepared.body, &write),
    };
    let written = written.map_err(|error| {
        Refusal::Body(BodyError {
            param: Some(error.param),
            message: error.message,
        })
    })?;
    let asked = prepared.shape.as_ref();
    let addressed = Addressed {
        model: translation.model.clone(),
        streams: match asked {
            Some(shape) if shape.stream => Streams::Yes,
            Some(_) | None => Streams::No,
        },
    };
    let shape = inspect(target.dialect, &written.body, Some(&addressed)).map_err(Refusal::Body)?;
    translation.note_dropped(&written.warnings);
    prepared.shape = Some(shape);
    prepared.body = written.body;
    prepared.translation = Some(translation);
    Ok(prepared)
}

/// What a writer must know of the target.
pub(super) fn write_target<'t>(worker: &Worker, target: &'t Target) -> WriteTarget<'t> {
    let price = target.price.as_deref();
    let most = price.and_then(|price| price.max_output_tokens).unwrap_or(u64::MAX);
    WriteTarget {
        model: target.model.as_deref().unwrap_or_default(),
        cap_field: OutputCapField::of(target.dialect, target.provider.output_cap_field),
        default_output_cap: most.min(worker.options().default_output_cap),
        takes_stream_options: target.provider.takes_stream_options,
        takes_reasoning_effort: price.is_some_and(|price| price.hidden_output != HiddenOutput::Never),
        echoes_reasoning: target.provider.echoes_reasoning,
    }
}
