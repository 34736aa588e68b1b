//! The gateway: takes one request to a provider and back. [`attempt`] is the way of a request, readable from top to
//! bottom: quote, reserve, record, send; the pump does the rest. Where a call names fallbacks it goes that way once for
//! each until one answers. It imports neither storage nor http; it fails closed: whatever cannot be held or recorded is
//! not sent.

mod billing;
pub mod breaker;
mod calibration;
mod call;
pub mod code_webhook;
mod conduit;
mod continued;
mod count;
pub mod courier;
mod course;
pub mod dialect;
mod dispatch;
mod drain;
pub mod egress;
mod fallback;
mod frames;
pub mod headers;
mod in_force;
mod launch;
mod live_call;
mod live_calls;
mod media;
#[cfg(test)]
pub(crate) mod noise;
mod open_call;
pub mod options;
mod passage;
pub mod payments;
mod prepare;
pub mod provider;
mod pump;
mod pumps;
mod quote;
mod roster;
mod spool;
pub mod sse;
mod stream;
pub mod target;
mod telemetry;
pub mod token;
mod trace;
pub mod translate;
mod upload;
mod upstream;
mod watch;
mod worker;

use crate::domain::money::Money;
use crate::domain::request::OpenRequest;
use crate::domain::room::Claim;
use crate::domain::spend::{Admission, Attempt, Call, Denial, Now};
use crate::engine::accounts::AccountHold;
use crate::engine::spend::{Granted, ReserveError};

use billing::Metering;
pub use billing::{Billing, MeterPayer, quantity as metered_quantity};
use breaker::Pass;
pub use call::{Addressed, Caller, Fallback, Incoming, Refusal, Refused, Route, Served, Streams, TargetAnswer};
pub use conduit::ClientSide;
use course::Course;
use dialect::{Dialect, OutputCapField};
use dispatch::Payer;
pub use in_force::GatewaySettings;
use launch::Launch;
pub use live_call::{CallView, EndedBy, EndedCall, Stage};
use live_call::{Facts, LiveCall, Priced};
pub use live_calls::LiveCalls;
pub use media::{FormReader, boundary};
pub use open_call::Costs;
use open_call::{OpenCall, Pricing};
pub use prepare::{BodyKind, body_kind};
use prepare::{Prepared, prepare};
use provider::Target;
pub use pump::{Reply, ReplyBody};
use quote::{Payers, Quote, Terms, quote};
pub use roster::{CallsOf, Figures};
pub use spool::SpoolError;
pub use telemetry::{Instruments, Telemetry};
pub use trace::CallTrace;
pub use upload::{ClientBody, Form, Upload};
pub use upstream::UpstreamFailure;
use watch::Watch;
pub use watch::figures_name;
pub use worker::{Gateway, GatewayParts, Place, Worker};

/// Takes one request to its provider, or on to its fallbacks, and returns the head of the answer.
pub async fn serve(worker: &Worker, incoming: &mut Incoming<'_>) -> Result<Served, Refused> {
    let mut course = Course::new(incoming);
    let Some(place) = worker.enter() else {
        return Err(course.refused(Refusal::Overloaded));
    };
    let answer = if incoming.fallbacks.is_empty() {
        match prepare(worker, incoming) {
            Ok(prepared) => attempt(worker, incoming, prepared, &mut course).await,
            Err(refusal) => Err(refusal),
        }
    } else {
        Box::pin(fallback::serve(worker, incoming, &mut course)).await
    };
    match answer {
        Ok(answer) => Ok(course.served(answer, place)),
        Err(refusal) => Err(course.refused(refusal)),
    }
}

/// Takes a call to one provider.
async fn attempt(
    worker: &Worker,
    incoming: &mut Incoming<'_>,
    mut prepared: Box<Prepared>,
    course: &mut Course,
) -> Result<TargetAnswer, Refusal> {
    // A key that the merchant stored counts from here on as one that the caller sent along.
    incoming.caller.provider_key = prepared.target.key.take();
    continued::check(worker, incoming, prepared.shape.as_ref()).await?;
    let pass = admit(worker, &prepared.target)?;
    if payers(worker, &incoming.caller).need_a_bound() {
        prepared.trim()?;
    }
    let quote = terms(worker, incoming, &prepared)?;
    let asked = Asked {
        claim: quote.claim,
        attempt: course.attempt(),
    };
    let granted = reserve(worker, incoming, &prepared, asked).await?;
    if let Some(tokens) = prepared.estimate {
        return Ok(count::answer(incoming, &prepared, tokens));
    }
    let account_hold = cover(worker, &incoming.caller, granted.as_ref(), quote.claim).await?;
    let metering = Metering::reserve(worker, &incoming.caller, quote.meter_claim).await?;
    let payer = payer(incoming, &prepared.target)?;
    let admitted = Admitted {
        prepared: &prepared,
        quote: &quote,
        granted: granted.as_ref(),
        metering: metering.as_ref(),
        course,
    };
    let mut call = open(worker, incoming, admitted)?;
    if prepared.target.dialect == Dialect::Responses && incoming.caller.provider_key.is_none() {
        call.answers = Some((worker.answers().clone(), incoming.caller.merchant.id));
    }
    call.metering = metering.map(Box::new);
    course.opened(incoming.id);
    let launch = Launch {
        call,
        prepared,
        quote,
        granted,
        account_hold,
        payer,
        pass,
        first_frame: course.first_frame(),
    };
    let (errand, told) = launch.ready(worker, incoming);
    let reply = worker.pumps().carry(pump::run(worker.clone(), errand)).await?;
    Ok(told.with(reply))
}

/// Leave to call the provider, unless it is left alone.
fn admit(worker: &Worker, target: &Target) -> Result<Option<Pass>, Refusal> {
    let admitted = worker.gateway().breakers().admit(&target.provider);
    admitted.map_err(|left_alone| Refusal::LeftAlone {
        provider: target.provider.name.clone(),
        retry_after_s: left_alone.wait_us.div_ceil(1_000_000),
    })
}

/// On the caller's own credential nobody here pays the provider.
fn wallet_must_cover(worker: &Worker, caller: &Caller) -> bool {
    caller.provider_key.is_none() && worker.accounts().must_cover(caller.wallet_id)
}

fn payers<'a>(worker: &Worker, caller: &'a Caller) -> Payers<'a> {
    Payers {
        settings: caller.spend_key.as_deref(),
        wallet_must_cover: wallet_must_cover(worker, caller),
        meter: caller.billing.as_deref().and_then(Billing::charges),
    }
}

fn terms(worker: &Worker, incoming: &Incoming<'_>, prepared: &Prepared) -> Result<Quote, Refusal> {
    let target = &prepared.target;
    let payers = payers(worker, &incoming.caller);
    let Some(shape) = &prepared.shape else {
        return Ok(Quote::free(prepared.body.clone(), payers.meter));
    };
    let terms = Terms {
        payers,
        price: target.price.clone().or_else(|| worker.default_price()),
        media: prepared.media.as_ref(),
        endpoint: target.endpoint,
        cap_field: OutputCapField::of(target.dialect, target.provider.output_cap_field),
        takes_stream_options: target.provider.takes_stream_options
            && target.dialect == Dialect::OpenAi
            && prepared.media.is_none(),
        model: target
            .model
            .as_deref()
            .filter(|model| *model != shape.model && !target.dialect.is_addressed()),
        default_output_cap: worker.options().default_output_cap,
        slice_tokens: worker.slice_tokens(),
        calibration: worker.calibration(),
    };
    quote(shape, &prepared.body, terms)
}

/// What is asked of the key.
struct Asked {
    claim: Claim,
    attempt: Attempt,
}

/// Asks the key's shard; `None` for callers without a spend key.
async fn reserve(
    worker: &Worker,
    incoming: &Incoming<'_>,
    prepared: &Prepared,
    asked: Asked,
) -> Result<Option<Granted>, Refusal> {
    let Some(settings) = &incoming.caller.spend_key else {
        return Ok(None);
    };
    let target = &prepared.target;
    let call = Call {
        secret_version: settings.secret_version,
        shape: incoming.required_shape,
        model: asked_model(prepared).map(Into::into),
        provider: target.provider.name.clone(),
        address: incoming.address,
        claim: asked.claim,
        attempt: asked.attempt,
    };
    let granted = worker
        .spend()
        .reserve(settings.id, call)
        .await
        .map_err(|error| match error {
            ReserveError::Denied { denial, rate } => Refusal::Denied {
                named: not_allowed(&denial, prepared),
                denial,
                rate,
            },
            ReserveError::Overloaded => Refusal::Overloaded,
            ReserveError::Stopped => Refusal::Stopping,
        })?;
    Ok(Some(granted))
}

/// The model that a key must allow.
fn asked_model(prepared: &Prepared) -> Option<&str> {
    let in_body = || prepared.shape.as_ref().map(|shape| shape.model.as_str());
    prepared.target.model.as_deref().or_else(in_body)
}

/// What of the call its key does not allow, where that has a name.
fn not_allowed(denial: &Denial, prepared: &Prepared) -> Option<Box<(&'static str, String)>> {
    match denial {
        Denial::ModelNotAllowed => Some(Box::new(("model", asked_model(prepared)?.to_owned()))),
        Denial::ProviderNotAllowed => Some(Box::new(("provider", prepared.target.provider.name.to_string()))),
        _ => None,
    }
}

/// Asks the wallet where it is prepaid and pays for this call.
async fn cover(
    worker: &Worker,
    caller: &Caller,
    granted: Option<&Granted>,
    claim: Claim,
) -> Result<Option<AccountHold>, Refusal> {
    if !wallet_must_cover(worker, caller) {
        return Ok(None);
    }
    let claim = granted.map_or(claim, |granted| Claim {
        wanted: granted.guard.hold().amount.max(claim.minimum),
        ..claim
    });
    worker
        .accounts()
        .reserve(caller.wallet_id, claim)
        .await
        .map(Some)
        .map_err(Refusal::Account)
}

struct Admitted<'a> {
    prepared: &'a Prepared,
    quote: &'a Quote,
    granted: Option<&'a Granted>,
    metering: Option<&'a Metering>,
    course: &'a Course,
}

/// Records the admitted call; from here on it is billed whatever happens.
fn open(worker: &Worker, incoming: &Incoming<'_>, admitted: Admitted<'_>) -> Result<OpenCall, Refusal> {
    let now = worker.clock().now();
    let Admitted {
        prepared,
        quote,
        granted,
        metering,
        course,
    } = admitted;
    let (target, shape) = (&prepared.target, prepared.shape.as_ref());
    let hold = granted.map(|granted| granted.guard.hold());
    let (input_estimate, output_nanos_per_million) = quote.pricing.forecast();
    let caller = &incoming.caller;
    let admitted = OpenRequest {
        id: incoming.id,
        attempt_of: course.first(),
        merchant_id: caller.merchant.id,
        wallet_id: caller.wallet_id,
        spend_key_id: caller.spend_key.as_ref().map(|settings| settings.id),
        admission: hold.map_or_else(|| admission_at(now), |hold| hold.admission),
        admitted_at_ms: granted.map_or(now.wall_ms, |granted| granted.admitted_at_ms),
        hold: hold.map_or(Money::ZERO, |hold| hold.amount),
        price_version: price_version(worker, &quote.pricing),
        provider_key_type: target.owner.key_type(),
        streaming: shape.is_some_and(|shape| shape.stream),
        simulated: target.provider.simulated,
        input_estimate,
        output_nanos_per_million,
        provider: target.provider.name.to_string(),
        model: shape.map(|shape| shape.model.clone()),
        endpoint: format!("{} {}", incoming.method, public_url(worker, incoming, target)),
        metadata: incoming.metadata.clone(),
        metered: billing::record(caller, metering, &quote.pricing),
    };
    worker.lane().write_open(&admitted).map_err(|_| Refusal::Backlog)?;
    let revocation = granted
        .filter(|_| admitted.streaming)
        .map(|granted| granted.revocation.clone());
    let facts = Facts {
        admitted,
        key: caller.spend_key.clone(),
        speech: incoming.speech,
        endpoint: target.endpoint,
        attempt: course.attempts() + 1,
        priced: Priced::of(&quote.pricing),
    };
    let watch = Watch::begin(worker, incoming, prepared);
    let live = LiveCall::new(facts, revocation);
    Ok(worker.open_call(live, caller, quote.pricing.clone(), watch))
}

/// The book that the call is priced by; a reload on the way changes nothing of it.
fn price_version(worker: &Worker, pricing: &Pricing) -> u32 {
    let own = pricing.price.as_ref().and_then(|price| price.book_version);
    own.unwrap_or_else(|| worker.prices().version())
}

/// The address that clients know, wherever the operator has the call go.
fn public_url(worker: &Worker, incoming: &Incoming<'_>, target: &Target) -> String {
    if let Route::Url(url) | Route::Rewrite(url) = &incoming.route {
        return url.to_string();
    }
    let path = &target.path;
    let catalogue = worker.catalogue();
    let base = catalogue
        .public_base(&target.provider.name)
        .map_or("", |base| base.as_str());
    format!("{}{path}", base.trim_end_matches('/'))
}

/// Whose credential goes along.
fn payer(incoming: &Incoming<'_>, target: &Target) -> Result<Payer, Refusal> {
    match &incoming.caller.provider_key {
        Some(key) => target
            .credential(key)
            .map(Payer::Own)
            .map_err(|_| Refusal::ProviderKeyInvalid),
        None => Ok(Payer::Operator {
            provider: target.provider.clone(),
            style: target.credential_style,
        }),
    }
}

/// The cycles of a call without a spend key, in UTC.
pub fn admission_at(now: Now) -> Admission {
    use crate::domain::cycle::{Cycle, Window};
    let start = |cycle| Window::containing(cycle, now.wall_s(), chrono_tz::Tz::UTC).start;
    Admission {
        day_start: start(Cycle::Daily),
        week_start: start(Cycle::Weekly),
        month_start: start(Cycle::Monthly),
    }
}
