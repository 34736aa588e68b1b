//! Who calls the management API. A handler's signature says which keys it takes: [`SecretKeyAuth`] a merchant's secret
//! key, [`KeyManagerAuth`] that or a wallet key. It fails closed: a credential that is not in the keyring is refused,
//! junk is refused by its form before any look-up, and failures are counted by address.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};

use crate::domain::credential::parse_kind;
use crate::domain::ids::{MerchantId, WalletId};
use crate::engine::keyring::{Credential, Merchant, SecretKey, WalletKey};
use crate::storage::keys::Owner;

use super::address::client_address;
use super::error::{ApiError, ErrorCode};
use super::state::AppState;

/// A merchant's secret key.
pub struct SecretKeyAuth(pub Arc<SecretKey>);

impl SecretKeyAuth {
    pub fn merchant_id(&self) -> MerchantId {
        self.0.merchant.id
    }
}

/// A key that manages spend keys: all of a merchant's, or those of one wallet.
#[derive(Clone)]
pub enum KeyManagerAuth {
    Secret(Arc<SecretKey>),
    Wallet(Arc<WalletKey>),
}

impl KeyManagerAuth {
    pub fn merchant(&self) -> &Arc<Merchant> {
        match self {
            Self::Secret(key) => &key.merchant,
            Self::Wallet(key) => &key.merchant,
        }
    }

    pub fn merchant_id(&self) -> MerchantId {
        self.merchant().id
    }

    /// The one wallet that this key may manage; `None` for all of the merchant's.
    pub fn only_wallet(&self) -> Option<WalletId> {
        match self {
            Self::Secret(_) => None,
            Self::Wallet(key) => Some(key.wallet_id),
        }
    }

    /// What this key may see, as the queries ask for it.
    pub fn owner(&self) -> Owner {
        Owner {
            merchant_id: self.merchant_id(),
            wallet_id: self.only_wallet(),
        }
    }

    /// What the key is counted by at the limit of requests.
    pub fn key_bits(&self) -> u128 {
        match self {
            Self::Secret(key) => key.id.bits(),
            Self::Wallet(key) => key.id.bits(),
        }
    }
}

impl FromRequest for SecretKeyAuth {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request).and_then(|auth| match auth {
            KeyManagerAuth::Secret(key) => Ok(Self(key)),
            KeyManagerAuth::Wallet(_) => Err(wrong_kind("a wallet key", "a secret key (aks_...)")),
        }))
    }
}

impl FromRequest for KeyManagerAuth {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request))
    }
}

/// The texts that a caller offers as his credential, in the order in which they count.
pub fn presented_tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let bearer = headers
        .get_all(AUTHORIZATION)
        .filter_map(|value| bearer_token(value.to_str().ok()?));
    let api_keys = headers.get_all("x-api-key").filter_map(|value| value.to_str().ok());
    bearer.chain(api_keys).map(str::trim)
}

/// What follows `Bearer `, in any case.
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim_start().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Who calls, before any route asks; `None` where he has no key that manages, which the route says better.
pub fn manager(request: &HttpRequest, state: &AppState) -> Option<Result<KeyManagerAuth, ApiError>> {
    // The operator, who acts as a merchant.
    if let Some(known) = request.extensions().get::<KeyManagerAuth>() {
        return Some(Ok(known.clone()));
    }
    let ours = presented_tokens(request.headers()).find(|token| parse_kind(token).is_some())?;
    match state.keyring.find(ours)? {
        Credential::Secret(_) | Credential::Wallet(_) => Some(admit(request)),
        Credential::Spend { .. } => None,
    }
}

/// Counts a request once, however often it is asked who makes it.
fn admit(request: &HttpRequest) -> Result<KeyManagerAuth, ApiError> {
    if let Some(known) = request.extensions().get::<KeyManagerAuth>() {
        return Ok(known.clone());
    }
    let Some(state) = request.app_data::<web::Data<AppState>>() else {
        return Err(ApiError::internal("reading the state", &"the route has none"));
    };
    state.phase.require_ready()?;
    let auth = authenticate(request, state)?;
    let now = state.now();
    if let KeyManagerAuth::Wallet(key) = &auth {
        key.touch(now.wall_ms);
    }
    let (standing, verdict) = state.edge().management_limit.count(auth.key_bits(), now.wall_s());
    request.extensions_mut().insert(standing);
    verdict?;
    request.extensions_mut().insert(auth.clone());
    Ok(auth)
}

fn authenticate(request: &HttpRequest, state: &AppState) -> Result<KeyManagerAuth, ApiError> {
    let ours = presented_tokens(request.headers()).find(|token| parse_kind(token).is_some());
    match ours.and_then(|token| state.keyring.find(token)) {
        Some(Credential::Secret(key)) => Ok(KeyManagerAuth::Secret(key)),
        Some(Credential::Wallet(key)) => Ok(KeyManagerAuth::Wallet(key)),
        Some(Credential::Spend { .. }) => Err(wrong_kind("a spend key", "a secret key (aks_...)")),
        None => {
            state
                .edge()
                .failure_limit
                .count(client_address(request, &state.edge().trusted_proxies))?;
            Err(ApiError::new(ErrorCode::InvalidApiKey))
        }
    }
}

fn wrong_kind(given: &str, wanted: &str) -> ApiError {
    ApiError::new(ErrorCode::WrongKeyKind).say(format!("This route takes {wanted}, not {given}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    #[test]
    fn the_bearer_comes_first_and_other_schemes_are_no_credentials() {
        type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);
        let table: [Case; 6] = [
            (
                &[("authorization", "Bearer one"), ("x-api-key", "two")],
                &["one", "two"],
            ),
            (
                &[("x-api-key", "two"), ("authorization", "bearer  one ")],
                &["one", "two"],
            ),
            (&[("authorization", "Basic one")], &[]),
            (&[("authorization", "one")], &[]),
            (&[("authorization", "")], &[]),
            (&[], &[]),
        ];
        for (lines, tokens) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(presented_tokens(&headers).collect::<Vec<_>>(), tokens, "{lines:?}");
        }
    }
}
