//! The guard of every page but the sign-in. It finds the session, and turns it into the credential that the management
//! handlers take, and counts it at the limit of requests; of a POST it reads the form, and refuses one without the
//! session's token. A handler cannot forget any of it, because it is done before there is a handler.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, web};

use crate::http::error::{ApiError, ErrorCode};
use crate::http::json_body::read_bytes;
use crate::http::own_url::is_of_own_page;
use crate::http::state::AppState;

use super::form::Form;
use super::session::{Session, is_refresh};
use super::shell::see_other;
use super::sign_in;

/// The middleware.
pub async fn admit(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let payload = request.take_payload();
    let (session, form) = match enter(request.request(), payload).await {
        Ok(Entry::Admitted(session, form)) => (session, form),
        Ok(Entry::SignIn) => {
            let answer = see_other(&sign_in::path_back_to(request.request()));
            return Ok(request.into_response(answer));
        }
        Err(refusal) => return Ok(request.error_response(refusal)),
    };
    {
        let mut extensions = request.extensions_mut();
        extensions.insert(session.credential());
        extensions.insert(session.actor());
        if let Some(form) = form {
            extensions.insert(form);
        }
    }
    next.call(request).await
}

enum Entry {
    Admitted(Session, Option<Form>),
    SignIn,
}

async fn enter(request: &HttpRequest, payload: actix_web::dev::Payload) -> Result<Entry, ApiError> {
    let Some(state) = request.app_data::<web::Data<AppState>>() else {
        return Err(ApiError::internal("reading the state", &"the route has none"));
    };
    state.phase.require_ready()?;
    let session = Session::find(state, request).await?;
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let Some(session) = session else {
        return if is_read {
            Ok(Entry::SignIn)
        } else {
            Err(ApiError::new(ErrorCode::InvalidApiKey)
                .say("You are not signed in any more. Sign in and try again; nothing was changed."))
        };
    };
    // Whoever is refused below is signed in all the same.
    request.extensions_mut().insert(session.clone());
    require_quota(state, &session, request)?;
    if is_read {
        return Ok(Entry::Admitted(session, None));
    }
    require_own_origin(state, request)?;
    let form = Form::of_body(&read_bytes(request, payload).await?)?;
    if !session.has_token(form.text("form_token")) {
        return Err(ApiError::new(ErrorCode::InvalidRequest)
            .say("This form did not come from a page of yours, or you have signed in again since. Nothing was changed; go back, reload the page, and try again."));
    }
    Ok(Entry::Admitted(session, Some(form)))
}

/// What the session's key has left in this minute. A page that asks by itself counts beside the person who looks at it,
/// so that it never takes his place.
fn require_quota(state: &AppState, session: &Session, request: &HttpRequest) -> Result<(), ApiError> {
    let bits = session.credential().key_bits();
    let bits = if is_refresh(request) { !bits } else { bits };
    let (_, verdict) = state.edge().management_limit.count(bits, state.now().wall_s());
    verdict
}

/// A browser names the site that a form comes from; another site's is refused whatever it carries.
pub fn require_own_origin(state: &AppState, request: &HttpRequest) -> Result<(), ApiError> {
    if is_of_own_page(state, request) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::InvalidRequest).say("This form came from another site. Nothing was changed."))
}
