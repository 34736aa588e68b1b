//! One request of somebody who is signed in, with what every handler of a page needs of it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};

use crate::domain::ids::MerchantId;
use crate::http::auth::{KeyManagerAuth, SecretKeyAuth};
use crate::http::error::ApiError;
use crate::http::state::AppState;

use super::session::Session;
use super::shell::{Place, Shell};

/// See the module.
#[derive(Clone)]
pub struct Visit {
    pub request: HttpRequest,
    pub state: web::Data<AppState>,
    session: Session,
    auth: KeyManagerAuth,
}

impl Visit {
    /// What the management handlers take.
    pub fn auth(&self) -> Result<SecretKeyAuth, ApiError> {
        match &self.auth {
            KeyManagerAuth::Secret(key) => Ok(SecretKeyAuth(key.clone())),
            KeyManagerAuth::Wallet(_) => Err(ApiError::internal("opening a page", &"a session has a wallet key")),
        }
    }

    /// What the handlers take that are open to wallet keys too.
    pub fn manager(&self) -> KeyManagerAuth {
        self.auth.clone()
    }

    pub fn merchant_id(&self) -> MerchantId {
        self.auth.merchant_id()
    }

    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// What stands around the page.
    pub fn shell(&self, place: Place) -> Shell {
        Shell::new(&self.session, &self.request, place)
    }

    pub fn now_ms(&self) -> i64 {
        self.state.now().wall_ms
    }
}

impl FromRequest for Visit {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let session = extensions.get::<Session>().cloned();
        let auth = extensions.get::<KeyManagerAuth>().cloned();
        let state = request.app_data::<web::Data<AppState>>().cloned();
        ready(match (session, auth, state) {
            (Some(session), Some(auth), Some(state)) => Ok(Self {
                request: request.clone(),
                state,
                session,
                auth,
            }),
            (..) => Err(ApiError::internal("opening a page", &"the route has no guard")),
        })
    }
}
