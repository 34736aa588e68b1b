//! The route table: every path of `/v1` and of the operator's listener, and what answers when none fits. A path that
//! is not here is a 404, a method that is not here a 405, each in the envelope of all errors; no answer has an empty
//! body, because the official clients read JSON from every answer.

pub mod address;
pub mod auth;
pub mod checkout;
pub mod checkout_sessions;
pub mod credit_bundles;
pub mod customers;
pub mod denial;
mod doubt;
pub mod error;
pub mod fields;
pub mod health;
pub mod idempotency;
pub mod json_body;
pub mod limits;
pub mod llm;
pub mod meters;
pub mod operator;
pub mod options;
pub mod page;
pub mod plans;
pub mod proof;
pub mod provider_keys;
pub mod query;
pub mod requests;
pub mod secret_keys;
pub mod services;
pub mod spend_keys;
pub mod state;
pub mod subscriptions;
mod tariffs;
pub mod time;
pub mod turns;
pub mod usage;
pub mod wallet;
pub mod wallet_keys;
pub mod webhooks;

use actix_web::body::BoxBody;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use self::error::{ApiError, ErrorCode};
use self::state::AppState;

/// Everything on the callers' port; `Data<AppState>` and the gateway's worker stand in the app's data.
pub fn configure(config: &mut ServiceConfig) {
    // The routes are tried in turn: the busiest come first.
    llm::configure(config);
    let callers = web::scope("/v1").configure(management_routes);
    let callers = callers.default_service(web::to(not_found));
    config.service(callers.wrap(from_fn(idempotency::once)));
    health_routes(config);
    checkout::configure(config);
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
    Err(ApiError::new(ErrorCode::MethodNotAllowed).say(message))
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

fn management_routes(config: &mut ServiceConfig) {
    spend_key_routes(config, "/spend_keys");
    spend_key_routes(config, "/manage/spend_keys");
    meter_routes(config);
    plan_routes(config);
    checkout_routes(config);
    customer_routes(config, "/customers");
    subscription_routes(config);
    webhook_routes(config);
    let announce = || from_fn(limits::announce::<BoxBody>);
    config
        .service(
            plain("/secret_keys")
                .route(web::get().to(secret_keys::list))
                .route(web::post().to(secret_keys::create))
                .wrap(announce()),
        )
        .service(
            plain("/secret_keys/{id}")
                .route(web::delete().to(secret_keys::delete))
                .wrap(announce()),
        )
        .service(
            plain("/wallet_keys")
                .route(web::get().to(wallet_keys::list))
                .wrap(announce()),
        )
        .service(
            plain("/wallet_keys/{id}")
                .route(web::delete().to(wallet_keys::revoke))
                .wrap(announce()),
        )
        .service(
            plain("/wallet_keys/{id}/rotate")
                .route(web::post().to(wallet_keys::rotate))
                .wrap(announce()),
        )
        .service(
            plain("/provider_keys")
                .route(web::get().to(provider_keys::list))
                .route(web::post().to(provider_keys::create))
                .wrap(announce()),
        )
        .service(
            plain("/provider_keys/{id}")
                .route(web::delete().to(provider_keys::delete))
                .wrap(announce()),
        )
        .service(plain("/wallet").route(web::get().to(wallet::retrieve)).wrap(announce()))
        .service(
            plain("/requests")
                .route(web::get().to(requests::list))
                .route(web::post().to(requests::create))
                .wrap(announce()),
        )
        .service(
            plain("/requests/{id}")
                .route(web::get().to(requests::retrieve))
                .wrap(announce()),
        )
        .service(plain("/usage").route(web::get().to(usage::retrieve)).wrap(announce()))
        .service(plain("/proof").route(web::get().to(proof::retrieve)).wrap(announce()))
        .service(plain("/services").route(web::get().to(services::list)))
        .service(plain("/services/providers").route(web::get().to(services::search)));
}

fn checkout_routes(config: &mut ServiceConfig) {
    let announce = || from_fn(limits::announce::<BoxBody>);
    config
        .service(
            plain("/checkout_sessions")
                .route(web::get().to(checkout_sessions::list))
                .route(web::post().to(checkout_sessions::create))
                .wrap(announce()),
        )
        .service(
            plain("/checkout_sessions/{id}")
                .route(web::get().to(checkout_sessions::retrieve))
                .wrap(announce()),
        )
        .service(plain("/payments/stripe/events").route(web::post().to(checkout::stripe_events::take)));
}

fn customer_routes(config: &mut ServiceConfig, path: &str) {
    let announce = || from_fn(limits::announce::<BoxBody>);
    config
        .service(
            plain(path)
                .route(web::get().to(customers::list))
                .route(web::post().to(customers::create))
                .wrap(announce()),
        )
        .service(
            plain(&format!("{path}/{{id}}"))
                .route(web::get().to(customers::retrieve))
                .route(web::patch().to(customers::update))
                .route(web::delete().to(customers::delete))
                .wrap(announce()),
        )
        .service(
            plain(&format!("{path}/{{id}}/subscription"))
                .route(web::get().to(customers::retrieve_subscription))
                .wrap(announce()),
        );
}

fn subscription_routes(config: &mut ServiceConfig) {
    let announce = || from_fn(limits::announce::<BoxBody>);
    config
        .service(
            plain("/subscriptions")
                .route(web::get().to(subscriptions::list))
                .route(web::post().to(subscriptions::create))
                .wrap(announce()),
        )
        .service(
            plain("/subscriptions/{id}")
                .route(web::patch().to(subscriptions::update))
                .route(web::delete().to(subscriptions::cancel))
                .wrap(announce()),
        );
}

fn spend_key_routes(config: &mut ServiceConfig, path: &str) {
    let announce = || from_fn(limits::announce::<BoxBody>);
    config
        .service(
            plain(path)
                .route(web::get().to(spend_keys::list))
                .route(web::post().to(spend_keys::create))
                .wrap(announce()),
        )
        .service(
            plain(&format!("{path}/{{id}}"))
                .route(web::get().to(spend_keys::retrieve))
                .route(web::put().to(spend_keys::update))
                .route(web::patch().to(spend_keys::update))
                .route(web::delete().to(spend_keys::revoke))
                .wrap(announce()),
        )
        .service(
            plain(&format!("{path}/{{id}}/rotate"))
                .route(web::post().to(spend_keys::rotate))
                .wrap(announce()),
        );
}

fn meter_routes(config: &mut ServiceConfig) {
    let announce = || from_fn(limits::announce::<BoxBody>);
    config
        .service(
            plain("/meters")
                .route(web::get().to(meters::list))
                .route(web::post().to(meters::create))
                .wrap(announce()),
        )
        .service(
            plain("/meters/{id}")
                .route(web::get().to(meters::retrieve))
                .route(web::patch().to(meters::update))
                .route(web::delete().to(meters::delete))
                .wrap(announce()),
        );
}

fn plan_routes(config: &mut ServiceConfig) {
    let announce = || from_fn(limits::announce::<BoxBody>);
    config
        .service(
            plain("/plans")
                .route(web::get().to(plans::list))
                .route(web::post().to(plans::create))
                .wrap(announce()),
        )
        .service(
            plain("/plans/{id}")
                .route(web::get().to(plans::retrieve))
                .route(web::patch().to(plans::update))
                .route(web::delete().to(plans::delete))
                .wrap(announce()),
        )
        .service(
            plain("/credit_bundles")
                .route(web::get().to(credit_bundles::list))
                .wrap(announce()),
        )
        .service(
            plain("/credit_bundles/{id}")
                .route(web::get().to(credit_bundles::retrieve))
                .wrap(announce()),
        );
}

fn webhook_routes(config: &mut ServiceConfig) {
    let announce = || from_fn(limits::announce::<BoxBody>);
    config
        .service(
            plain("/webhooks")
                .route(web::get().to(webhooks::list))
                .route(web::post().to(webhooks::create))
                .wrap(announce()),
        )
        .service(
            plain("/webhooks/{id}")
                .route(web::get().to(webhooks::retrieve))
                .route(web::patch().to(webhooks::update))
                .route(web::delete().to(webhooks::delete))
                .wrap(announce()),
        )
        .service(
            plain("/webhooks/{id}/rotate")
                .route(web::post().to(webhooks::rotate))
                .wrap(announce()),
        )
        .service(
            plain("/webhooks/{id}/deliveries")
                .route(web::get().to(webhooks::list_deliveries))
                .wrap(announce()),
        )
        .service(
            plain("/webhooks/{id}/deliveries/{delivery}")
                .route(web::get().to(webhooks::retrieve_delivery))
                .wrap(announce()),
        )
        .service(
            plain("/webhooks/{id}/deliveries/{delivery}/replay")
                .route(web::post().to(webhooks::replay))
                .wrap(announce()),
        );
}

/// A resource whose other methods are answered in our envelope.
fn plain(path: &str) -> Resource {
    web::resource(path).default_service(web::to(method_not_allowed))
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
