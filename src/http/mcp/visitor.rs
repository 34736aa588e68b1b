//! Who calls the MCP server: the holder of a secret key, who may use every tool; of a spend key, who may make calls with
//! it; or a guest, who may look things up and sign in. It fails closed: a credential that is not known is refused and
//! counted by its address, and no session makes up for it.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{FORWARDED, HOST, HeaderName, HeaderValue};

use crate::domain::credential::{KeyHash, parse_kind};
use crate::domain::secret::Secret;
use crate::engine::keyring::{Credential, SecretKey};
use crate::http::address::client_address;
use crate::http::auth::presented_tokens;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::own_url::own_url;
use crate::http::state::AppState;

use super::session::Session;

/// What says where the client reached us: links in answers are made from it.
const PLACE_HEADERS: [HeaderName; 4] = [
    HOST,
    FORWARDED,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// The one who sent a request.
pub struct Visitor {
    pub standing: Standing,
    pub address: Option<IpAddr>,
    pub place: Vec<(HeaderName, HeaderValue)>,
    /// `https://host`, where browsers reach us.
    pub base_url: String,
}

/// What a visitor may do.
#[derive(Clone)]
pub enum Standing {
    Guest,
    /// Makes calls with a spend key of his own.
    Spender(Secret<String>),
    /// Manages a merchant's things.
    Manager(Manager),
}

/// A secret key with its plain text, which the calls that his tools make need again.
#[derive(Clone)]
pub struct Manager {
    pub token: Secret<String>,
    pub key: Arc<SecretKey>,
}

/// A request of a visitor, in his session where the protocol has sessions.
pub struct Visit {
    pub visitor: Visitor,
    pub session: Option<Arc<Session>>,
}

impl Visitor {
    /// Who sent the request; a credential that is none of ours is a 401.
    pub fn of(request: &HttpRequest, state: &AppState) -> Result<(Self, Option<KeyHash>), ApiError> {
        let address = client_address(request, &state.edge().trusted_proxies);
        let offered = || presented_tokens(request.headers());
        // A client may send along what is meant for others.
        let ours = offered().find(|token| parse_kind(token).is_some());
        let (standing, owner) = match ours.or_else(|| offered().next()) {
            None => (Standing::Guest, None),
            Some(token) => {
                let standing = standing(token, state).or_else(|refusal| {
                    state.edge().failure_limit.count(address)?;
                    Err(refusal)
                })?;
                (standing, Some(state.keyring.hash(token)))
            }
        };
        let place = PLACE_HEADERS.into_iter().flat_map(|name| {
            let values = request.headers().get_all(&name);
            values.map(move |value| (name.clone(), value.clone()))
        });
        let visitor = Self {
            standing,
            address,
            place: place.collect(),
            base_url: own_url(state, request),
        };
        Ok((visitor, owner))
    }
}

fn standing(token: &str, state: &AppState) -> Result<Standing, ApiError> {
    let known = parse_kind(token).and_then(|_| state.keyring.find(token));
    match known {
        Some(Credential::Secret(key)) => Ok(Standing::Manager(Manager {
            token: Secret::new(token.to_owned()),
            key,
        })),
        Some(Credential::Spend { .. }) => Ok(Standing::Spender(Secret::new(token.to_owned()))),
        Some(Credential::Wallet(_)) => Err(ApiError::new(ErrorCode::WrongKeyKind)
            .say("The MCP server takes a secret key (aks_...) or a spend key (lava_sk_...), not a wallet key.")),
        None => Err(ApiError::new(ErrorCode::InvalidApiKey)),
    }
}
