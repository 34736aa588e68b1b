//! A call that goes on to other providers: each target has its own permission, hold, record and settlement, and the
//! first good answer is the client's. It goes on only where a provider failed, never where we refused the call, so that
//! no denial is got round. A target that we refuse is passed over; a call that is ended is not tried again. The caller's own credential goes to the provider that
//! he called and to no other; where he brought one, the operator's pays for no other either.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::ids::RequestId;
use crate::engine::random;

use super::call::{Addressed, Fallback, Incoming, Refusal, Route, TargetAnswer};
use super::course::Course;
use super::dialect::{Dialect, with_model};
use super::prepare::{Prepared, prepare};
use super::provider::{CredentialOwner, EndpointKind, ResolveError};
use super::pump::FirstFrame;
use super::{Worker, attempt};

/// Tries the call's own target, and then its fallbacks.
pub(super) async fn serve(
    worker: &Worker,
    incoming: &Incoming<'_>,
    course: &mut Course,
) -> Result<TargetAnswer, Refusal> {
    let fallbacks = incoming.fallbacks.clone();
    let nature = Nature::of(worker, incoming);
    let mut primary = None;
    course.enter(incoming.id, FirstFrame::Awaited);
    let tried = match prepare(worker, incoming) {
        Ok(prepared) => {
            primary = Some(prepared.target.provider.name.clone());
            attempt(worker, &mut incoming.clone(), prepared, course).await
        }
        Err(refusal) => Err(refusal),
    };
    if !goes_on(&tried) {
        return tried;
    }
    let mut kept = Kept {
        id: incoming.id,
        result: tried,
    };
    for (place, fallback) in fallbacks.iter().enumerate() {
        let Some(id) = new_id(worker, incoming) else { break };
        let is_last = place + 1 == fallbacks.len();
        course.enter(
            id,
            if is_last {
                FirstFrame::Passed
            } else {
                FirstFrame::Awaited
            },
        );
        let onward = Onward {
            incoming,
            nature: &nature,
            primary: primary.as_ref(),
        };
        let tried = match onward.prepare(worker, fallback, id) {
            Ok((mut incoming, prepared)) => {
                worker.metrics().fallbacks_tried.add(1);
                attempt(worker, &mut incoming, prepared, course).await
            }
            Err(refusal) => Err(refusal),
        };
        if is_final(&tried) {
            return tried;
        }
        kept.weigh(id, tried);
    }
    course.tell_of(kept.id);
    kept.result
}

/// What the client gets if nothing better comes.
struct Kept {
    id: RequestId,
    result: Result<TargetAnswer, Refusal>,
}

impl Kept {
    /// The last provider's answer stands over a provider's failure, and the first of those over a refusal of ours.
    fn weigh(&mut self, id: RequestId, result: Result<TargetAnswer, Refusal>) {
        let weight = |result: &Result<TargetAnswer, Refusal>| match result {
            Ok(_) => 2,
            Err(refusal) => u8::from(is_providers(refusal)),
        };
        if result.is_ok() || weight(&result) > weight(&self.result) {
            *self = Self { id, result };
        }
    }
}

/// Whether the call may go on to another target.
fn goes_on(tried: &Result<TargetAnswer, Refusal>) -> bool {
    match tried {
        Ok(answer) => answer.reply.status.is_server_error() || answer.reply.status.as_u16() == 429,
        Err(Refusal::Resolve(ResolveError::CredentialMissing { .. }) | Refusal::LeftAlone { .. }) => true,
        Err(refusal) => is_providers(refusal),
    }
}

/// Whether this is the answer, whatever targets are left: a good one, or the end that the call's owner or a stop wanted.
fn is_final(tried: &Result<TargetAnswer, Refusal>) -> bool {
    match tried {
        Ok(_) => !goes_on(tried),
        Err(refusal) => matches!(refusal, Refusal::Ended | Refusal::Stopping),
    }
}

/// Whether it is the provider that failed.
fn is_providers(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::ProviderAuthFailed | Refusal::ProviderRedirected | Refusal::Upstream(_) => true,
        Refusal::Body(_)
        | Refusal::Resolve(_)
        | Refusal::Denied { .. }
        | Refusal::Account(_)
        | Refusal::Credit(_)
        | Refusal::PriceUnknown(_)
        | Refusal::CostUnbounded(_)
        | Refusal::ProviderKeyInvalid
        | Refusal::LeftAlone { .. }
        | Refusal::Overloaded
        | Refusal::Backlog
        | Refusal::Stopping
        | Refusal::Ended => false,
    }
}

fn new_id(worker: &Worker, incoming: &Incoming<'_>) -> Option<RequestId> {
    let bits = random::bits().ok()?;
    let mode = incoming.caller.merchant.mode();
    Some(RequestId::compose_in_order(mode, worker.clock().wall_us(), bits))
}

/// What kind of call it is, which no fallback changes.
#[derive(Clone)]
struct Nature {
    endpoint: EndpointKind,
    /// The format of the body: on a forwarded URL that of the provider there.
    speech: Dialect,
    /// What the address says of the call, in formats that leave it to that.
    addressed: Option<Addressed>,
}

impl Nature {
    fn of(worker: &Worker, incoming: &Incoming<'_>) -> Self {
        let own = Self {
            endpoint: incoming.endpoint,
            speech: incoming.speech,
            addressed: incoming.addressed.clone(),
        };
        let Route::Url(url) = &incoming.route else {
            return own;
        };
        let catalogue = worker.catalogue_for(incoming.caller.merchant.mode());
        let found = catalogue.resolve_url(url, incoming.method.as_str(), CredentialOwner::Caller);
        found.map_or(own, |target| Self {
            endpoint: target.endpoint,
            speech: target.dialect,
            addressed: target.addressed,
        })
    }
}

/// A call on its way from its own target to another.
struct Onward<'c, 'i> {
    incoming: &'c Incoming<'i>,
    nature: &'c Nature,
    /// The provider that the caller called.
    primary: Option<&'c Arc<str>>,
}

impl<'i> Onward<'_, 'i> {
    /// The call as this target gets it.
    fn prepare(
        &self,
        worker: &Worker,
        fallback: &Fallback,
        id: RequestId,
    ) -> Result<(Incoming<'i>, Box<Prepared>), Refusal> {
        let mut incoming = self.aim(fallback, id)?;
        let mut prepared = prepare(worker, &incoming)?;
        let provider = &prepared.target.provider.name;
        if incoming.caller.provider_key.is_some() && self.primary != Some(provider) {
            incoming.caller.provider_key = None;
            prepared = prepare(worker, &incoming)?;
            if prepared.target.owner == CredentialOwner::Operator {
                return Err(Refusal::Resolve(ResolveError::CredentialMissing {
                    provider: prepared.target.provider.name.clone(),
                    variable: prepared.target.provider.key_variable.clone(),
                    subject: "a fallback".to_owned(),
                }));
            }
        }
        if prepared.target.endpoint != self.nature.endpoint {
            return Err(Refusal::Resolve(ResolveError::EndpointUnknown {
                method: incoming.method.to_string(),
                path: prepared.target.url.path().to_owned(),
                provider: prepared.target.provider.name.clone(),
            }));
        }
        Ok((incoming, prepared))
    }

    fn aim(&self, fallback: &Fallback, id: RequestId) -> Result<Incoming<'i>, Refusal> {
        let Nature { endpoint, speech, .. } = *self.nature;
        let route = match &fallback.url {
            None => Route::Model,
            Some(url) if endpoint == EndpointKind::Chat => Route::Rewrite(url.clone()),
            Some(url) => Route::Url(url.clone()),
        };
        let (addressed, body) = match &fallback.model {
            None => (self.nature.addressed.clone(), self.incoming.body.clone()),
            Some(model) => self.renamed(model)?,
        };
        Ok(Incoming {
            id,
            route,
            speech,
            endpoint,
            addressed,
            body,
            ..self.incoming.clone()
        })
    }

    /// The model stands in the address or in the body, by format.
    fn renamed(&self, model: &str) -> Result<(Option<Addressed>, Bytes), Refusal> {
        let body = &self.incoming.body;
        match &self.nature.addressed {
            Some(addressed) => {
                let addressed = Addressed {
                    model: model.to_owned(),
                    ..*addressed
                };
                Ok((Some(addressed), body.clone()))
            }
            None => Ok((None, with_model(body, model).map_err(Refusal::Body)?)),
        }
    }
}
