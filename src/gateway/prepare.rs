//! What is sent for a call, and where: the target, the body in the provider's dialect, and what that body asks for. Where
//! client and provider speak different dialects the body is translated first, so that everything after it reads the
//! bytes that will be sent. It fails closed: what cannot be read, placed or translated is refused by name.

use bytes::Bytes;

use crate::domain::price::HiddenOutput;

use super::dialect::{BodyError, CallShape, Changes, Dialect, inspect, rewrite};
use super::provider::{CredentialOwner, EndpointKind, Target, Wanted};
use super::translate::{self, Pair, WriteTarget};
use super::{Incoming, Refusal, Route, Worker};

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
}

/// How the answer gets back into the client's dialect.
#[derive(Clone, Debug)]
pub struct Translation {
    pub pair: Pair,
    /// The client asked for the usage chunk (OpenAI's dialect).
    pub include_usage: bool,
    /// The model's name at the provider.
    pub model: String,
    /// Names of members that were dropped because the provider has no word for them.
    pub dropped: Vec<String>,
}

/// Reads what the call asks for, finds out where it goes, and translates it where it must be.
pub(super) fn prepare(worker: &Worker, incoming: &Incoming<'_>) -> Result<Prepared, Refusal> {
    match &incoming.route {
        Route::Model => by_model(worker, incoming),
        Route::Url(url) => by_url(worker, incoming, url),
    }
}

fn by_model(worker: &Worker, incoming: &Incoming<'_>) -> Result<Prepared, Refusal> {
    let shape = inspect(incoming.dialect, &incoming.body).map_err(Refusal::Body)?;
    let wanted = Wanted {
        model: &shape.model,
        dialect: incoming.dialect,
        endpoint: incoming.endpoint,
    };
    let target = worker
        .catalogue_for(incoming.caller.merchant.mode())
        .resolve_model(worker.prices(), wanted)
        .map_err(Refusal::Resolve)?;
    if target.endpoint.is_free() {
        let model = target.model.as_deref().filter(|model| *model != shape.model);
        let changes = Changes {
            model,
            ..Changes::default()
        };
        return Ok(Prepared {
            body: rewrite(&incoming.body, &shape, changes),
            shape: None,
            include_usage: false,
            translation: None,
            target,
        });
    }
    let prepared = Prepared {
        include_usage: shape.include_usage,
        shape: Some(shape),
        body: incoming.body.clone(),
        translation: None,
        target,
    };
    if prepared.target.dialect == incoming.dialect {
        return Ok(prepared);
    }
    translated(worker, incoming.dialect, prepared)
}

fn by_url(worker: &Worker, incoming: &Incoming<'_>, url: &url::Url) -> Result<Prepared, Refusal> {
    let owner = if incoming.caller.provider_key.is_some() {
        CredentialOwner::Caller
    } else {
        CredentialOwner::Operator
    };
    let mut target = worker
        .catalogue_for(incoming.caller.merchant.mode())
        .resolve_url(url, incoming.method.as_str(), owner)
        .map_err(Refusal::Resolve)?;
    let shape = match target.endpoint {
        EndpointKind::CountTokens | EndpointKind::Models | EndpointKind::Opaque => None,
        EndpointKind::Chat | EndpointKind::Completions | EndpointKind::Embeddings => {
            let shape = inspect(target.dialect, &incoming.body).map_err(Refusal::Body)?;
            target.price = target.provider.price(worker.prices(), &shape.model).cloned();
            Some(shape)
        }
    };
    Ok(Prepared {
        include_usage: shape.as_ref().is_some_and(|shape| shape.include_usage),
        shape,
        body: incoming.body.clone(),
        translation: None,
        target,
    })
}

/// The same call in the provider's dialect.
fn translated(worker: &Worker, client: Dialect, prepared: Prepared) -> Result<Prepared, Refusal> {
    let target = &prepared.target;
    let pair = Pair {
        client,
        provider: target.dialect,
    };
    let price = target.price.as_deref();
    let most = price.and_then(|price| price.max_output_tokens).unwrap_or(u64::MAX);
    let model = target.model.as_deref().unwrap_or_default();
    let write = WriteTarget {
        model,
        cap_field: target.provider.output_cap_field,
        default_output_cap: most.min(worker.options().default_output_cap),
        takes_stream_options: target.provider.takes_stream_options,
        takes_reasoning_effort: price.is_some_and(|price| price.hidden_output != HiddenOutput::Never),
    };
    let written = translate::request(pair, &prepared.body, &write).map_err(|error| {
        Refusal::Body(BodyError {
            param: Some(error.param),
            message: error.message,
        })
    })?;
    let shape = inspect(target.dialect, &written.body).map_err(Refusal::Body)?;
    let translation = Translation {
        pair,
        include_usage: prepared.include_usage,
        model: model.to_owned(),
        dropped: written.warnings.names().to_vec(),
    };
    Ok(Prepared {
        shape: Some(shape),
        body: written.body,
        translation: Some(translation),
        ..prepared
    })
}
