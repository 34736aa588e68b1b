//! The launch of an admitted call: what goes to the provider, how its answer comes back, and what the pump needs to
//! carry it. From here on the call is the pump's.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::key::{KeySettings, OnDisconnect};
use crate::domain::rate::RateStatus;
use crate::engine::accounts::AccountHold;
use crate::engine::spend::Granted;

use super::breaker::Pass;
use super::call::{Incoming, TargetAnswer};
use super::dialect::CallShape;
use super::dispatch::{Dispatch, Payer};
use super::open_call::OpenCall;
use super::passage::Carriage;
use super::prepare::Prepared;
use super::provider::{EndpointKind, Target};
use super::pump::{self, FirstFrame, Reply};
use super::quote::Quote;
use super::upload::Parcel;
use super::upstream::{Outgoing, SentHeaders};
use super::{Worker, headers};

/// An admitted call with all that goes along.
pub(super) struct Launch {
    pub(super) call: OpenCall,
    pub(super) prepared: Box<Prepared>,
    pub(super) quote: Quote,
    pub(super) granted: Option<Granted>,
    pub(super) account_hold: Option<AccountHold>,
    pub(super) payer: Payer,
    pub(super) pass: Option<Pass>,
    pub(super) first_frame: FirstFrame,
}

/// What is known of the answer before it comes.
pub(super) struct Told {
    rate: Option<RateStatus>,
    output_cap: Option<u64>,
    dropped: Option<String>,
    provider: Arc<str>,
    simulated: bool,
}

impl Told {
    pub(super) fn with(self, reply: Reply) -> TargetAnswer {
        TargetAnswer {
            reply,
            rate: self.rate,
            output_cap: self.output_cap,
            dropped: self.dropped,
            provider: self.provider,
            simulated: self.simulated,
        }
    }
}

impl Launch {
    /// All that a pump needs. The client's upload goes along.
    pub(super) fn ready(self, worker: &Worker, incoming: &mut Incoming<'_>) -> (Box<pump::Errand>, Told) {
        let Launch {
            mut call,
            prepared,
            quote,
            granted,
            account_hold,
            payer,
            pass,
            first_frame,
        } = self;
        call.account_hold = account_hold;
        let (rate, settings) = part(granted, &mut call);
        call.show_holds();
        let usage_frames = prepared.usage_frames();
        let Prepared {
            target,
            shape,
            translation,
            left_out,
            media,
            ..
        } = *prepared;
        let streaming = shape.as_ref().is_some_and(|shape| shape.stream);
        let first_byte_timeout = first_byte_timeout(worker, shape.as_ref());
        let dropped = translation.as_ref().and_then(|translation| translation.dropped.clone());
        let dropped = dropped.or(left_out);
        let mut sent_headers = request_headers(incoming, &target);
        call.watch.propagate(&mut sent_headers);
        let outgoing = Outgoing {
            headers: sent_headers,
            method: incoming.method.clone(),
            url: target.url,
            body: quote.body,
            parcel: Parcel::new(mem::take(&mut incoming.upload), target.model),
            first_byte_timeout,
        };
        let errand = Box::new(pump::Errand {
            dialect: target.dialect,
            streaming,
            usage_frames,
            carriage: carriage(target.endpoint, streaming),
            media,
            reads_usage: shape.is_some(),
            top_up: quote.top_up,
            operators_credential: incoming.caller.provider_key.is_none(),
            drains: settings.is_none_or(|settings| settings.on_disconnect == OnDisconnect::Drain),
            appends_cost: incoming.wants_cost,
            first_frame,
            dispatch: Dispatch::new(outgoing, payer),
            pass,
            translation,
            call,
        });
        let told = Told {
            rate,
            output_cap: quote.output_cap,
            dropped,
            simulated: target.provider.simulated,
            provider: target.provider.name.clone(),
        };
        (errand, told)
    }
}

/// A call that does not stream has its whole answer's time to its first byte.
fn first_byte_timeout(worker: &Worker, shape: Option<&CallShape>) -> Duration {
    let options = worker.options();
    Duration::from_millis(if shape.is_some_and(|shape| shape.stream) {
        options.first_byte_timeout_ms
    } else {
        options.answer_timeout_ms
    })
}

/// How the answer gets to the client, when it is a success.
const fn carriage(endpoint: EndpointKind, streaming: bool) -> Carriage {
    match endpoint {
        EndpointKind::Opaque => Carriage::Unread,
        EndpointKind::Speech | EndpointKind::TextToSpeech => Carriage::Media,
        EndpointKind::ImageGenerations
        | EndpointKind::ImageEdits
        | EndpointKind::Transcriptions
        | EndpointKind::Translations
            if streaming =>
        {
            Carriage::Media
        }
        EndpointKind::ImageGenerations
        | EndpointKind::ImageEdits
        | EndpointKind::Transcriptions
        | EndpointKind::Translations
        | EndpointKind::Chat
        | EndpointKind::Completions
        | EndpointKind::Embeddings
        | EndpointKind::CountTokens
        | EndpointKind::Models => Carriage::Read,
    }
}

/// The client's headers that cross.
fn request_headers(incoming: &Incoming<'_>, target: &Target) -> SentHeaders {
    let mut headers = headers::request_headers(target.dialect, incoming.headers);
    if target.endpoint == EndpointKind::Opaque {
        headers::copy_unread_request_headers(incoming.headers, &mut headers);
    }
    headers
}

type Parts = (Option<RateStatus>, Option<Arc<KeySettings>>);

/// Gives the hold to the call and returns the rest.
fn part(granted: Option<Granted>, call: &mut OpenCall) -> Parts {
    let Some(granted) = granted else {
        return (None, None);
    };
    call.hold = Some(granted.guard);
    (granted.rate, Some(granted.settings))
}
