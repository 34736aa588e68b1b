//! Sessions: a cookie of 32 random bytes, of which only a keyed hash is stored. A session ends after seven days, after
//! twelve hours without use, when its key is revoked, when somebody signs out, here or everywhere, and when its browser
//! signs in again. What an open page asks by itself is no use. The token that every form carries is made of the cookie,
//! so it needs no place of its own and is of no use with another cookie.

use std::sync::Arc;

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::http::Method;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::future::{Ready, ready};
use subtle::ConstantTimeEq as _;

use crate::domain::credential::KeyHash;
use crate::domain::ids::{MerchantId, Mode, SecretKeyId};
use crate::domain::secret::Secret;
use crate::engine::keyring::{Merchant, SecretKey};
use crate::engine::random;
use crate::http::address::client_address;
use crate::http::audit::{self, Actor, Deed};
use crate::http::auth::KeyManagerAuth;
use crate::http::error::ApiError;
use crate::http::own_url::is_over_tls;
use crate::http::state::AppState;
use crate::storage::StorageError;
use crate::storage::audit::ActorKind;
use crate::storage::sessions::{self as rows, NewSession, SessionRow, Use};

const COOKIE: &str = "caldera_session";
/// Over TLS; browsers let nobody but this very host set it.
const SECURE_COOKIE: &str = "__Host-caldera_session";
/// On what an open page asks by itself.
const REFRESH_HEADER: &str = "x-refresh";

/// Who is signed in, among the extensions of every request that the guard lets in.
#[derive(Clone, Debug)]
pub struct Session {
    hash: KeyHash,
    pub row: Arc<SessionRow>,
    /// What every form of this session carries.
    pub form_token: Arc<str>,
}

/// Whose session is to be opened.
#[derive(Clone, Copy, Debug)]
pub struct Entrant {
    pub merchant_id: MerchantId,
    /// `None`: he comes by a link.
    pub secret_key_id: Option<SecretKeyId>,
}

impl Session {
    /// The session of this request's cookie; `None` where there is none that holds.
    pub async fn find(state: &web::Data<AppState>, request: &HttpRequest) -> Result<Option<Self>, ApiError> {
        let Some(token) = presented(request) else {
            return Ok(None);
        };
        let (hash, now_ms) = (state.keyring.hash(token.expose()), state.now().wall_ms);
        let usage = if is_refresh(request) {
            Use::DoesNotCount
        } else {
            Use::Counts
        };
        let found = state
            .database
            .run(move |connection| rows::find(connection, &hash, usage, now_ms))
            .await;
        match found {
            Ok(row) => Ok(Some(Self {
                hash,
                row: Arc::new(row),
                form_token: form_token(state, &token).into(),
            })),
            Err(StorageError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a session in place of the one that the browser had; the cookie that carries it.
    pub async fn open(
        state: &web::Data<AppState>,
        request: &HttpRequest,
        entrant: Entrant,
    ) -> Result<Cookie<'static>, ApiError> {
        let bytes = random::bytes::<32>().map_err(|error| ApiError::internal("opening a session", &error))?;
        let token = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
        let new = NewSession {
            hash: state.keyring.hash(token.expose()),
            merchant_id: entrant.merchant_id,
            secret_key_id: entrant.secret_key_id,
            replaces: presented(request).map(|token| state.keyring.hash(token.expose())),
            now_ms: state.now().wall_ms,
        };
        state
            .database
            .run(move |connection| rows::open(connection, new))
            .await?;
        let deed = Deed {
            merchant_id: entrant.merchant_id,
            actor: actor(entrant.secret_key_id),
            action: "sessions.create",
            target: None,
            address: client_address(request, &state.edge().trusted_proxies),
        };
        audit::note(state, deed).await?;
        Ok(cookie(
            request,
            token.expose().clone(),
            Duration::milliseconds(rows::LIFETIME_MS),
        ))
    }

    /// Ends this session; the cookie that takes its place.
    pub async fn close(&self, state: &web::Data<AppState>, request: &HttpRequest) -> Result<Cookie<'static>, ApiError> {
        let hash = self.hash;
        state
            .database
            .run(move |connection| rows::close(connection, &hash))
            .await?;
        Ok(cookie(request, String::new(), Duration::ZERO))
    }

    /// Ends every session of this one's merchant; the cookie that takes its place.
    pub async fn close_all(
        &self,
        state: &web::Data<AppState>,
        request: &HttpRequest,
    ) -> Result<Cookie<'static>, ApiError> {
        let merchant_id = self.row.merchant_id;
        state
            .database
            .run(move |connection| rows::close_all(connection, merchant_id))
            .await?;
        Ok(cookie(request, String::new(), Duration::ZERO))
    }

    /// The session as the management handlers take it: a secret key that is the merchant's. A session that was opened
    /// by a link counts at the rate limit by itself.
    pub fn credential(&self) -> KeyManagerAuth {
        let mode = self.row.merchant_id.mode();
        let bits = u128::from_be_bytes(std::array::from_fn(|place| self.hash[place]));
        let own_id = SecretKeyId::compose(mode, self.row.created_at_ms, bits);
        KeyManagerAuth::Secret(Arc::new(SecretKey {
            id: self.row.secret_key_id.unwrap_or(own_id),
            merchant: Arc::new(Merchant {
                id: self.row.merchant_id,
                default_wallet_id: self.row.default_wallet_id,
            }),
        }))
    }

    /// How the audit log names it.
    pub fn actor(&self) -> Actor {
        actor(self.row.secret_key_id)
    }

    /// What belongs to this session alone is kept under this.
    pub const fn hash(&self) -> KeyHash {
        self.hash
    }

    pub fn is_test(&self) -> bool {
        self.row.merchant_id.mode() == Mode::Test
    }

    /// Whether a form's token is this session's; comparing takes the same time for all.
    pub fn has_token(&self, token: &str) -> bool {
        bool::from(token.as_bytes().ct_eq(self.form_token.as_bytes()))
    }
}

/// The session that the guard found.
impl FromRequest for Session {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = request.extensions().get::<Self>().cloned();
        ready(found.ok_or_else(|| ApiError::internal("reading the session", &"the route has no guard")))
    }
}

/// Whether an open page asks this by itself, rather than somebody who looks at it.
pub fn is_refresh(request: &HttpRequest) -> bool {
    request.method() == Method::GET && request.headers().contains_key(REFRESH_HEADER)
}

fn actor(secret_key_id: Option<SecretKeyId>) -> Actor {
    Actor {
        kind: ActorKind::Dashboard,
        name: match secret_key_id {
            Some(id) => id.to_string(),
            None => "sign-in link".to_owned(),
        },
    }
}

/// What the browser holds, where it has the form of a session's. Over TLS only what came over TLS is one, because a
/// neighbouring host can set the other.
fn presented(request: &HttpRequest) -> Option<Secret<String>> {
    let plain = || (request.connection_info().scheme() != "https").then(|| request.cookie(COOKIE));
    let cookie = request.cookie(SECURE_COOKIE).or_else(|| plain().flatten())?;
    let token = Secret::new(cookie.value().to_owned());
    (token.expose().len() == 43).then_some(token)
}

fn form_token(state: &AppState, token: &Secret<String>) -> String {
    URL_SAFE_NO_PAD.encode(state.keyring.hash(&format!("form of {}", token.expose())).as_slice())
}

/// Scripts cannot read it, other sites cannot send it with a form, and over TLS it never travels without.
fn cookie(request: &HttpRequest, value: String, age: Duration) -> Cookie<'static> {
    let is_secure = is_over_tls(request);
    Cookie::build(if is_secure { SECURE_COOKIE } else { COOKIE }, value)
        .path("/")
        .http_only(true)
        .secure(is_secure)
        .same_site(SameSite::Lax)
        .max_age(age)
        .finish()
}
