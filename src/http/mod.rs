//! What stands on the callers' port, and what answers where nothing does. A path that is not here is a 404, a method
//! that is not here a 405, each in the envelope of all errors; no answer has an empty body, because the official clients
//! read JSON from every answer.

pub mod address;
pub mod audit;
pub mod auth;
pub mod calls;
pub mod checkout;
pub mod checkout_sessions;
mod connections;
pub mod credit_bundles;
mod csv;
pub mod customers;
pub mod dashboard;
pub mod denial;
mod doubt;
pub mod error;
pub mod fields;
pub mod guides;
pub mod health;
pub mod idempotency;
pub mod inside;
pub mod json_body;
pub mod limits;
pub mod live;
pub mod llm;
pub mod logins;
pub mod mcp;
pub mod meters;
pub mod openapi;
pub mod operator;
pub mod options;
pub mod own_url;
pub mod page;
pub mod payment_methods;
pub mod plans;
pub mod proof;
pub mod provider_keys;
pub mod query;
pub mod refusals;
pub mod requests;
mod routes;
pub mod secret_keys;
pub mod services;
pub mod spend_keys;
pub mod state;
pub mod subscriptions;
mod tariffs;
pub mod time;
mod traffic;
pub mod turns;
pub mod usage;
pub mod vocabulary;
pub mod wallet;
pub mod wallet_keys;
pub mod webhooks;

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use self::error::{ApiError, ErrorCode};
use self::state::AppState;

/// Everything on the callers' port; `Data<AppState>` and the gateway's worker stand in the app's data.
pub fn configure(config: &mut ServiceConfig) {
    // The routes are tried in turn: the busiest come first.
    llm::configure(config);
    let callers = web::scope("/v1").configure(routes::configure);
    let callers = callers.default_service(web::to(not_found));
    let callers = callers.wrap(from_fn(audit::record));
    config.service(callers.wrap(from_fn(idempotency::once)));
    health_routes(config);
    checkout::configure(config);
    dashboard::configure(config);
    mcp::configure(config);
    openapi::configure(config);
    llm::configure_google(config);
    llm::configure_bedrock(config);
    config.default_service(web::to(not_found));
}

/// The same port while there is nothing to serve yet: health, and 503 `starting` to all else. It needs no data.
pub fn configure_starting(config: &mut ServiceConfig) {
    config
        .service(root())
        .service(plain("/health").route(web::get().to(health::live_while_starting)))
        .service(plain("/healthz").route(web::get().to(health::live_while_starting)))
        .default_service(web::to(starting));
}

/// The answer to a method that a path does not take.
pub async fn method_not_allowed(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let message = format!("This path does not take {}.", request.method());
    let refusal = ApiError::new(ErrorCode::MethodNotAllowed).say(message);
    let pattern = request.match_pattern().unwrap_or_default();
    let methods = match openapi::methods_of(&pattern) {
        "" if dashboard::is_page(&pattern) => dashboard::methods_but(request.method()),
        described => described,
    };
    Err(refusal.header(ALLOW, HeaderValue::from_static(methods)))
}

fn health_routes(config: &mut ServiceConfig) {
    config
        .service(root())
        .service(plain("/health").route(web::get().to(health::live)))
        .service(plain("/healthz").route(web::get().to(health::live)))
        .service(plain("/readyz").route(web::get().to(health::ready)));
}

fn root() -> Resource {
    plain("/")
        .route(web::get().to(health::root))
        .route(web::head().to(health::root))
}

/// A resource whose other methods are answered in our envelope; some clients write its words with hyphens.
fn plain(path: &str) -> Resource {
    web::resource([path.to_owned(), path.replace('_', "-")]).default_service(web::to(method_not_allowed))
}

async fn not_found(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    if let Some(state) = request.app_data::<Data<AppState>>() {
        state.phase.require_ready()?;
    }
    // Long paths are cut, so that an answer is never as large as what it refuses.
    let path: String = request.path().chars().take(200).collect();
    Err(ApiError::new(ErrorCode::NotFound).say(format!("There is nothing at {path}.")))
}

async fn starting() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(ErrorCode::Starting))
}
