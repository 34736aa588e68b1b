//! The hosted checkout at `/embed/checkout/{secret}`: rendered here, one step a page, in a frame on the merchant's page
//! and nowhere else. Whoever has the secret of a session may go through it, and nothing else opens it. A step that does
//! not fit changes nothing and says why. No card number of a live card comes here, and none is logged.

pub mod charges;
mod form;
pub mod funding;
mod purchase;
pub mod settle;
mod steps;
pub mod stripe_events;
mod turn;
mod view;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use crate::domain::checkout::Step;
use crate::domain::ids::Mode;
use crate::domain::secret::Secret;
use crate::engine::codes::CodeSender;
use crate::engine::payments::{Approval, Payments};
use crate::storage::StorageError;
use crate::storage::checkouts::{self as rows, CheckoutRow};

use super::address::client_address;
use super::checkout_sessions::body::origin_of;
use super::error::{ApiError, ErrorCode};
use super::json_body::read_bytes;
use super::options::CheckoutOptions;
use super::plain;
use super::state::AppState;
use form::Form;

pub use form::read_expiry;
use steps::Event;

type State = Data<AppState>;

const STYLE: &str = include_str!("checkout/assets/checkout.css");
const SCRIPT: &str = include_str!("checkout/assets/checkout.js");

/// What a server needs for customers to pay.
pub struct CheckoutParts {
    pub payments: Payments,
    /// `None`: live merchants' customers are asked for no code.
    pub codes: Option<Arc<dyn CodeSender>>,
    pub options: CheckoutOptions,
    /// What signs Stripe's messages.
    pub stripe_webhook_secret: Option<Secret<String>>,
}

/// A session that is open in a browser.
struct Visit {
    state: State,
    row: CheckoutRow,
    secret: Secret<String>,
}

impl Visit {
    fn mode(&self) -> Mode {
        self.row.merchant_id.mode()
    }

    fn path(&self) -> String {
        format!("/embed/checkout/{}", self.secret.expose())
    }
}

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(plain("/embed/assets/checkout.css").route(web::get().to(style)))
        .service(plain("/embed/assets/checkout.js").route(web::get().to(script)))
        .service(plain("/embed/checkout/{secret}").route(web::get().to(show)))
        .service(plain("/embed/checkout/{secret}/{event}").route(web::post().to(act)));
}

/// The page of the step that the session is at.
async fn show(request: HttpRequest, state: State) -> Result<HttpResponse, ApiError> {
    let mut visit = match visit(&request, &state).await {
        Ok(visit) => visit,
        Err(error) if error.code() == ErrorCode::NotFound => return view::unknown(),
        Err(error) => return Err(error),
    };
    if let Step::Paying { payment, .. } = visit.row.checkout.step {
        settle::settle(&state, payment, Approval::Unknown).await?;
        visit = self::visit(&request, &state).await?;
    }
    page(&visit, StatusCode::OK, None).await
}

/// One event; then the page of the next step.
async fn act(request: HttpRequest, state: State, payload: web::Payload) -> Result<HttpResponse, ApiError> {
    let mut payload = payload.into_inner();
    let visit = visit(&request, &state).await?;
    let event = request.match_info().get("event").and_then(Event::from_name);
    let event = event.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    let body = read_bytes(&request, payload.take()).await?;
    match steps::act(&visit, event, &Form::read(&body)).await? {
        None => Ok(HttpResponse::SeeOther()
            .insert_header((LOCATION, visit.path()))
            .insert_header((CACHE_CONTROL, "no-store"))
            .finish()),
        Some(notice) => {
            let again = self::visit(&request, &state).await?;
            page(&again, StatusCode::UNPROCESSABLE_ENTITY, Some(notice)).await
        }
    }
}

async fn visit(request: &HttpRequest, state: &State) -> Result<Visit, ApiError> {
    state.phase.require_ready()?;
    let secret = Secret::new(request.match_info().get("secret").unwrap_or("").to_owned());
    let hash = state.keyring.hash(secret.expose());
    let found = state
        .database
        .run(move |connection| rows::find_by_secret(connection, &hash))
        .await;
    match found {
        Ok(row) => Ok(Visit {
            state: state.clone(),
            row,
            secret,
        }),
        Err(StorageError::NotFound) => {
            let address = client_address(request, &state.edge().trusted_proxies);
            state.edge().failure_limit.count(address)?;
            Err(ApiError::missing("secret", "checkout session"))
        }
        Err(error) => Err(error.into()),
    }
}

async fn page(visit: &Visit, status: StatusCode, notice: Option<String>) -> Result<HttpResponse, ApiError> {
    let body = view::render(visit, notice).await?;
    Ok(HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CONTENT_SECURITY_POLICY, policy(visit)))
        .insert_header((
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=()",
        ))
        .body(body))
}

/// Nothing from elsewhere but the processor's own script and frames, and in a frame only on the merchant's origin.
fn policy(visit: &Visit) -> String {
    let ancestor = origin_of(&visit.row.origin_url).unwrap_or_else(|| "'none'".to_owned());
    let options = &visit.state.checkout.options;
    let script = match visit.mode() {
        Mode::Live => Url::parse(&options.stripe_script_url).map(|url| url.origin().ascii_serialization()),
        Mode::Test => Ok(String::new()),
    };
    let script = script.unwrap_or_default();
    let (frames, connections) = if script.is_empty() {
        ("'none'".to_owned(), "'none'".to_owned())
    } else {
        let frames = format!("{script} https://*.js.stripe.com https://hooks.stripe.com");
        (frames, format!("{script} https://api.stripe.com"))
    };
    format!(
        "default-src 'none'; style-src 'self'; script-src 'self' {script}; frame-src {frames}; \
         connect-src {connections}; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors {ancestor}"
    )
}

async fn style() -> HttpResponse {
    asset("text/css; charset=utf-8", STYLE)
}

async fn script() -> HttpResponse {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

fn asset(media_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text)
}
