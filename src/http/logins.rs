//! Signing a program in by the browser: the signed-in user authorises it on a page of the dashboard, the browser takes a
//! code to the program on its own computer, and the program exchanges the code for a secret key of its own
//! (`POST /v1/auth/callback`), because of those that there are only hashes are stored. A code serves once, for sixty
//! seconds, and is kept as a keyed hash in the memory of this process: a restart makes users click again. It fails
//! closed: a code that is not here buys nothing, and is counted by its sender's address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::domain::credential::KeyHash;
use crate::domain::secret::Secret;
use crate::engine::keyring::Merchant;
use crate::engine::random;

use super::address::client_address;
use super::audit::{self, Actor, Deed};
use super::error::{ApiError, ErrorCode};
use super::fields::Fields;
use super::json_body::JsonBody;
use super::secret_keys;
use super::state::AppState;

const LIFETIME_MS: i64 = 60_000;
/// Codes that were not exchanged yet: in all, and of one merchant.
const LIMIT: usize = 1_000;
const LIMIT_OF_ONE: usize = 100;

/// What a code stands for.
#[derive(Clone, Debug)]
pub struct Login {
    pub merchant: Arc<Merchant>,
    /// Of the secret key that is made for it.
    pub key_name: String,
    /// Who authorised it.
    pub actor: Actor,
    /// The secret key with which the user is signed in, which must hold until the code is exchanged; `None` for one who
    /// came by a link.
    pub authorized_by: Option<KeyHash>,
}

/// A login and until when its code serves, in unix milliseconds.
type Waiting = (Login, i64);

/// The codes that wait to be exchanged.
#[derive(Default)]
pub struct Logins(Mutex<HashMap<KeyHash, Waiting>>);

impl Logins {
    /// Keeps what the code of this hash stands for; `Err` where too many wait.
    pub fn keep(&self, hash: KeyHash, login: Login, now_ms: i64) -> Result<(), ApiError> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, (_, until_ms)| now_ms < *until_ms);
        let of_one = waiting
            .values()
            .filter(|(known, _)| known.merchant.id == login.merchant.id);
        if waiting.len() >= LIMIT || of_one.count() >= LIMIT_OF_ONE {
            return Err(ApiError::new(ErrorCode::Overloaded));
        }
        waiting.insert(hash, (login, now_ms.saturating_add(LIFETIME_MS)));
        Ok(())
    }

    /// What the code of this hash stands for, once.
    pub fn take(&self, hash: &KeyHash, now_ms: i64) -> Option<Waiting> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(hash).filter(|(_, until_ms)| now_ms < *until_ms)
    }

    /// Puts back what could not be exchanged; the code serves no longer for that.
    fn put_back(&self, hash: KeyHash, waiting: Waiting) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hash, waiting);
    }
}

/// A new code for this login.
pub fn issue(state: &AppState, login: Login) -> Result<Secret<String>, ApiError> {
    let bytes: [u8; 32] = random::bytes().map_err(|error| ApiError::internal("making a code", &error))?;
    let code = Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    state
        .logins
        .keep(state.keyring.hash(code.expose()), login, state.now().wall_ms)?;
    Ok(code)
}

/// POST `/v1/auth/callback` `{code}`: the credentials, in the words of every generation of clients.
pub async fn exchange(
    request: HttpRequest,
    state: web::Data<AppState>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    state.phase.require_ready()?;
    let fields = Fields::of_open_body(&body.0);
    let code = Secret::new(fields.required("code", fields.text("code", 255)?)?);
    let hash = state.keyring.hash(code.expose());
    let address = client_address(&request, &state.edge().trusted_proxies);
    let waiting = state.logins.take(&hash, state.now().wall_ms);
    let Some((login, until_ms)) = waiting.filter(|(login, _)| is_authorized(&state, login)) else {
        state.edge().failure_limit.count(address)?;
        return Err(ApiError::invalid(
            "code",
            "is not valid: a code serves once, within 60 seconds. Sign in again for another",
        ));
    };
    let merchant = login.merchant.clone();
    let made = secret_keys::mint(&state, login.merchant.clone(), login.key_name.clone()).await;
    let actor = login.actor.clone();
    let made = made.inspect_err(|_| state.logins.put_back(hash, (login, until_ms)))?;
    let deed = Deed {
        merchant_id: merchant.id,
        actor,
        action: "secret_keys.create",
        target: made["secret_key_id"].as_str().map(str::to_owned),
        address,
    };
    audit::note(&state, deed).await?;
    Ok(HttpResponse::Ok().json(json!({
        "wallet_key_id": null,
        "wallet_key": null,
        "wallet_id": merchant.default_wallet_id,
        "secret_key_id": made["secret_key_id"],
        "secret_key": made["secret_key"],
        "merchant_id": merchant.id,
        "account_id": merchant.id,
    })))
}

/// Whether the key still holds with which the user let the program in.
fn is_authorized(state: &AppState, login: &Login) -> bool {
    login
        .authorized_by
        .is_none_or(|hash| state.keyring.find_by_hash(&hash).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credential::Pepper;
    use crate::domain::ids::{MerchantId, Mode, WalletId};

    fn login() -> Login {
        login_of(1)
    }

    fn login_of(merchant: u128) -> Login {
        Login {
            merchant: Arc::new(Merchant {
                id: MerchantId::compose(Mode::Live, 0, merchant * 2),
                default_wallet_id: WalletId::compose(Mode::Live, 0, 2),
            }),
            key_name: "Login".to_owned(),
            actor: Actor::operator(),
            authorized_by: None,
        }
    }

    #[test]
    fn a_code_serves_once_and_for_a_minute() {
        let (logins, pepper) = (Logins::default(), Pepper::new(&[7; 32]));
        let [first, second, unknown] = ["a", "b", "c"].map(|code| pepper.hash(code));
        logins.keep(first, login(), 1000).unwrap();
        logins.keep(second, login(), 1000).unwrap();
        assert!(logins.take(&unknown, 1000).is_none());
        assert!(logins.take(&first, 60_999).is_some());
        assert!(logins.take(&first, 60_999).is_none());
        assert!(logins.take(&second, 61_000).is_none());
    }

    #[test]
    fn codes_that_nobody_exchanges_are_bounded_and_make_room_when_they_lapse() {
        let (logins, pepper) = (Logins::default(), Pepper::new(&[7; 32]));
        let keep = |number: u128, merchant: u128, now_ms: i64| {
            logins.keep(pepper.hash(&number.to_string()), login_of(merchant), now_ms)
        };
        for number in 0..LIMIT as u128 {
            keep(number, number / LIMIT_OF_ONE as u128, 0).unwrap();
        }
        assert!(keep(1_000, 77, 59_999).is_err(), "there are too many in all");
        assert!(keep(1_000, 77, 60_000).is_ok());
        for number in 1..LIMIT_OF_ONE as u128 {
            keep(1_000 + number, 77, 60_000).unwrap();
        }
        assert!(keep(2_000, 77, 60_000).is_err(), "one merchant has too many");
        assert!(keep(2_000, 78, 60_000).is_ok());
    }
}
