//! From a media call as it came in to what is sent: the body is read for what it asks, the model or the URL says where it
//! goes, and the price is that of the asked size and quality where a model has several. It fails closed: a body of the
//! wrong kind, or one that cannot be read, is refused by name.

use std::sync::Arc;

use crate::domain::price::{ModelPrice, Picture, PriceBook};
use crate::gateway::dialect::{CallShape, Dialect, inspect};
use crate::gateway::prepare::{Prepared, resolve_model};
use crate::gateway::provider::{EndpointKind, Provider, Target};
use crate::gateway::{Incoming, Refusal, Worker};

use super::units::{Unit, has_rate};
use super::{MediaAsk, hearing, images, speech};

/// A call whose model says where it goes.
pub fn by_model(worker: &Worker, incoming: &Incoming<'_>) -> Result<Box<Prepared>, Refusal> {
    let (shape, ask) = read(incoming, incoming.endpoint)?;
    let target = resolve_model(worker, incoming, &shape, incoming.endpoint)?;
    Ok(ready(worker, incoming, Asked { shape, ask, target }))
}

/// A call whose URL says where it goes, and what for.
pub fn by_url(worker: &Worker, incoming: &Incoming<'_>, target: Target) -> Result<Box<Prepared>, Refusal> {
    let (shape, ask) = read(incoming, target.endpoint)?;
    Ok(ready(worker, incoming, Asked { shape, ask, target }))
}

struct Asked {
    shape: CallShape,
    ask: MediaAsk,
    target: Target,
}

fn ready(worker: &Worker, incoming: &Incoming<'_>, asked: Asked) -> Box<Prepared> {
    let Asked { shape, ask, mut target } = asked;
    let model = target.model.as_deref().unwrap_or(&shape.model);
    target.price = price(&target.provider, &worker.prices(), model, &ask).or(target.price);
    Box::new(Prepared {
        body: incoming.body.clone(),
        shape: Some(shape),
        include_usage: true,
        translation: None,
        left_out: None,
        media: Some(ask),
        estimate: None,
        target,
    })
}

fn read(incoming: &Incoming<'_>, endpoint: EndpointKind) -> Result<(CallShape, MediaAsk), Refusal> {
    let read = match endpoint {
        EndpointKind::ImageGenerations => images_of(&incoming.body),
        EndpointKind::ImageEdits => match incoming.upload.form() {
            Some(form) => images::read_form(&form.parts),
            None => images_of(&incoming.body),
        },
        EndpointKind::Transcriptions | EndpointKind::Translations => match incoming.upload.form() {
            Some(form) => hearing::read(&form.parts),
            None => Err(super::not_media()),
        },
        EndpointKind::Speech => speech_of(&incoming.body),
        EndpointKind::TextToSpeech => elevenlabs_of(&incoming.body),
        EndpointKind::Chat
        | EndpointKind::Completions
        | EndpointKind::Embeddings
        | EndpointKind::CountTokens
        | EndpointKind::Models
        | EndpointKind::Opaque => Err(super::not_media()),
    };
    read.map_err(Refusal::Body)
}

type Read = Result<(CallShape, MediaAsk), crate::gateway::dialect::BodyError>;

fn images_of(body: &[u8]) -> Read {
    let shape = inspect(Dialect::OpenAi, body, None)?;
    let ask = images::read(body, &shape)?;
    Ok((bounded(shape), ask))
}

fn speech_of(body: &[u8]) -> Read {
    let shape = inspect(Dialect::OpenAi, body, None)?;
    let asked = speech::read(body)?;
    let mut shape = bounded(shape);
    shape.stream = asked.has_events;
    Ok((shape, asked.ask))
}

fn elevenlabs_of(body: &[u8]) -> Read {
    let (model, ask) = speech::read_elevenlabs(body)?;
    Ok((CallShape::named(Dialect::OpenAi, model), ask))
}

/// What makes a conversation unbounded has another meaning here (`speed`), or none.
fn bounded(mut shape: CallShape) -> CallShape {
    shape.unbounded = None;
    shape
}

/// The price of a model, at the size and quality that are asked for where it is billed by the image.
fn price(provider: &Provider, book: &PriceBook, model: &str, ask: &MediaAsk) -> Option<Arc<ModelPrice>> {
    let plain = provider.price(book, model);
    let images = match ask {
        MediaAsk::Images(ask) => Some(ask),
        MediaAsk::Speech(_) | MediaAsk::Hearing(_) => None,
    };
    let Some(images) = images.filter(|_| plain.is_none_or(|price| !has_rate(price, Unit::Tokens))) else {
        return plain.cloned();
    };
    let picture = Picture {
        size: images.size.as_deref(),
        quality: images.quality.as_deref(),
    };
    provider.image_price(book, model, picture).or_else(|| plain.cloned())
}
