//! One call as the gateway takes it in and as it gives it back, and every reason for which it refuses one.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use url::Url;

use crate::domain::ids::{RequestId, WalletId};
use crate::domain::key::{KeySettings, RequestShape};
use crate::domain::rate::RateStatus;
use crate::domain::secret::Secret;
use crate::domain::spend::Denial;
use crate::engine::accounts::AccountRefusal;
use crate::engine::customer_accounts::CreditRefusal;
use crate::engine::keyring::Merchant;

use super::billing::Billing;
use super::dialect::{BodyError, Speech};
use super::provider::{EndpointKind, ResolveError};
use super::pump::Reply;
use super::trace::CallTrace;
use super::upload::Upload;
use super::upstream::UpstreamFailure;
use super::worker::Place;

/// Who calls, as his credential says.
#[derive(Clone)]
pub struct Caller {
    pub merchant: Arc<Merchant>,
    pub wallet_id: WalletId,
    /// `None` for secret keys and forward tokens.
    pub spend_key: Option<Arc<KeySettings>>,
    /// The caller's own credential at the provider.
    pub provider_key: Option<Secret<String>>,
    /// The meter that the call is counted on, and its customer.
    pub billing: Option<Arc<Billing>>,
}

/// Where a call goes.
#[derive(Clone)]
pub enum Route {
    /// A unified endpoint: the model decides.
    Model,
    /// The caller named the address.
    Url(Url),
    /// The caller named the address and speaks the dialect of the route, whatever is spoken there.
    Rewrite(Url),
}

/// What an address says of a call whose body does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    pub model: String,
    pub streams: Streams,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    Yes,
    No,
}

/// Where a call goes on to where its first provider failed; at least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// `None`: the model decides, as on a unified endpoint.
    pub url: Option<Url>,
    /// `None`: the model that the call names.
    pub model: Option<String>,
}

/// One call as it came in.
#[derive(Clone)]
pub struct Incoming<'a> {
    pub id: RequestId,
    pub caller: Caller,
    /// The wire format of the route.
    pub speech: Speech,
    /// What stands in the address and not in the body (Google's and Bedrock's formats).
    pub addressed: Option<Addressed>,
    /// The format that a key must have been made for; `None` where any will do.
    pub required_shape: Option<RequestShape>,
    pub route: Route,
    /// What a unified endpoint is for; a URL says it itself.
    pub endpoint: EndpointKind,
    pub method: Method,
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    /// What came instead of a body in memory.
    pub upload: Upload,
    /// A JSON object of strings, or empty.
    pub metadata: String,
    pub address: Option<IpAddr>,
    pub wants_cost: bool,
    /// In the order in which they are tried.
    pub fallbacks: Rc<[Fallback]>,
    /// Its span, where traces are exported.
    pub trace: Option<CallTrace>,
}

/// An answer on its way to the client.
pub struct Served {
    pub answer: TargetAnswer,
    /// Our id of the attempt that was answered.
    pub request_id: RequestId,
    /// To how many providers the call was sent.
    pub attempts: u32,
    /// Kept until the client has the whole answer.
    pub place: Place,
}

/// A call without an answer.
#[derive(Debug)]
pub struct Refused {
    pub refusal: Refusal,
    /// Our id of the attempt that was refused.
    pub request_id: RequestId,
    pub attempts: u32,
}

/// What one provider answered.
pub struct TargetAnswer {
    pub reply: Reply,
    pub rate: Option<RateStatus>,
    /// The output cap that was set because the call had none.
    pub output_cap: Option<u64>,
    /// Members of the call that the provider has no word for, and that were dropped.
    pub dropped: Option<String>,
    pub provider: Arc<str>,
    pub simulated: bool,
}

/// Why a call is refused or has no answer.
#[derive(Debug)]
pub enum Refusal {
    Body(BodyError),
    Resolve(ResolveError),
    Denied {
        denial: Denial,
        rate: Option<RateStatus>,
        /// The model or the provider that the key does not allow, by its field.
        named: Option<Box<(&'static str, String)>>,
    },
    Account(AccountRefusal),
    /// The customer's credit, or his plan, does not allow the call.
    Credit(CreditRefusal),
    /// The model has no price, and somebody must be covered.
    PriceUnknown(String),
    /// This field makes the cost unknowable, and somebody must be covered.
    CostUnbounded(&'static str),
    /// The caller's own credential cannot stand in a header.
    ProviderKeyInvalid,
    /// The provider fails again and again; nothing is sent to it for so long.
    LeftAlone {
        provider: Arc<str>,
        retry_after_s: u64,
    },
    Overloaded,
    /// The journal holds as much as it may.
    Backlog,
    Stopping,
    ProviderAuthFailed,
    ProviderRedirected,
    Upstream(UpstreamFailure),
    /// The call's owner ended it before it was answered.
    Ended,
}
