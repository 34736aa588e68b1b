//! The management routes: every path under `/v1` that takes a secret key, a wallet key or none, one function for each
//! resource, with the paths that older clients call. A method that a path does not take is a 405 in the envelope of all
//! errors, and every answer to a key says where it stands at its rate limit.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, Resource};

use super::{
    audit, calls, checkout, checkout_sessions, connections, credit_bundles, customers, limits, live, logins, meters,
    payment_methods, plain, plans, proof, provider_keys, refusals, requests, secret_keys, services, spend_keys,
    subscriptions, traffic, usage, wallet, wallet_keys, webhooks,
};

/// All of them, in a scope of `/v1`.
pub fn configure(config: &mut ServiceConfig) {
    spend_key_routes(config, "/spend_keys");
    spend_key_routes(config, "/manage/spend_keys");
    meter_routes(config, "/meters");
    meter_routes(config, "/products");
    plan_routes(config, "/plans");
    plan_routes(config, "/subscription_configs");
    credit_bundle_routes(config);
    checkout_routes(config);
    customer_routes(config);
    connection_routes(config);
    subscription_routes(config);
    webhook_routes(config);
    key_routes(config);
    request_routes(config);
    payment_method_routes(config);
    config
        .service(limited("/calls").route(web::get().to(calls::list)))
        .service(
            limited("/calls/{id}")
                .route(web::get().to(calls::retrieve))
                .route(web::delete().to(calls::end)),
        )
        .service(limited("/refusals").route(web::get().to(refusals::list)))
        .service(limited("/live").route(web::get().to(live::feed)))
        .service(limited("/wallet/fund").route(web::post().to(wallet::fund)))
        .service(limited("/wallet").route(web::get().to(wallet::retrieve)))
        .service(limited("/usage").route(web::get().to(usage::retrieve)))
        .service(limited("/traffic").route(web::get().to(traffic::retrieve)))
        .service(limited("/proof").route(web::get().to(proof::retrieve)))
        .service(limited("/audit_events").route(web::get().to(audit::list)))
        .service(plain("/services").route(web::get().to(services::list)))
        .service(plain("/services/providers").route(web::get().to(services::search)));
}

fn spend_key_routes(config: &mut ServiceConfig, path: &str) {
    config
        .service(
            limited(path)
                .route(web::get().to(spend_keys::list))
                .route(web::post().to(spend_keys::create)),
        )
        .service(
            limited(&format!("{path}/{{id}}"))
                .route(web::get().to(spend_keys::retrieve))
                .route(web::put().to(spend_keys::update))
                .route(web::patch().to(spend_keys::update))
                .route(web::delete().to(spend_keys::revoke)),
        )
        .service(limited(&format!("{path}/{{id}}/rotate")).route(web::post().to(spend_keys::rotate)));
}

fn meter_routes(config: &mut ServiceConfig, path: &str) {
    config
        .service(
            limited(path)
                .route(web::get().to(meters::list))
                .route(web::post().to(meters::create)),
        )
        .service(
            limited(&format!("{path}/{{id}}"))
                .route(web::get().to(meters::retrieve))
                .route(web::patch().to(meters::update))
                .route(web::delete().to(meters::delete)),
        );
}

fn plan_routes(config: &mut ServiceConfig, path: &str) {
    config
        .service(
            limited(path)
                .route(web::get().to(plans::list))
                .route(web::post().to(plans::create)),
        )
        .service(
            limited(&format!("{path}/{{id}}"))
                .route(web::get().to(plans::retrieve))
                .route(web::put().to(plans::update))
                .route(web::patch().to(plans::update))
                .route(web::delete().to(plans::delete)),
        );
}

fn credit_bundle_routes(config: &mut ServiceConfig) {
    config
        .service(limited("/credit_bundles").route(web::get().to(credit_bundles::list)))
        .service(limited("/credit_bundles/{id}").route(web::get().to(credit_bundles::retrieve)));
}

fn checkout_routes(config: &mut ServiceConfig) {
    config
        .service(
            limited("/checkout_sessions")
                .route(web::get().to(checkout_sessions::list))
                .route(web::post().to(checkout_sessions::create)),
        )
        .service(limited("/checkout_sessions/{id}").route(web::get().to(checkout_sessions::retrieve)))
        .service(plain("/payments/stripe/events").route(web::post().to(checkout::stripe_events::take)));
}

fn customer_routes(config: &mut ServiceConfig) {
    config
        .service(
            limited("/customers")
                .route(web::get().to(customers::list))
                .route(web::post().to(customers::create)),
        )
        .service(
            limited("/customers/{id}")
                .route(web::get().to(customers::retrieve))
                .route(web::patch().to(customers::update))
                .route(web::delete().to(customers::delete)),
        )
        .service(limited("/customers/{id}/subscription").route(web::get().to(customers::retrieve_subscription)));
}

fn connection_routes(config: &mut ServiceConfig) {
    config
        .service(limited("/connections").route(web::get().to(connections::list)))
        .service(
            limited("/connections/{id}")
                .route(web::get().to(connections::retrieve))
                .route(web::delete().to(customers::delete)),
        )
        .service(limited("/connections/{id}/subscription").route(web::get().to(customers::retrieve_subscription)));
}

fn subscription_routes(config: &mut ServiceConfig) {
    config
        .service(
            limited("/subscriptions")
                .route(web::get().to(subscriptions::list))
                .route(web::post().to(subscriptions::create)),
        )
        .service(
            limited("/subscriptions/{id}")
                .route(web::patch().to(subscriptions::update))
                .route(web::delete().to(subscriptions::cancel)),
        );
}

fn webhook_routes(config: &mut ServiceConfig) {
    config
        .service(
            limited("/webhooks")
                .route(web::get().to(webhooks::list))
                .route(web::post().to(webhooks::create)),
        )
        .service(
            limited("/webhooks/{id}")
                .route(web::get().to(webhooks::retrieve))
                .route(web::patch().to(webhooks::update))
                .route(web::delete().to(webhooks::delete)),
        )
        .service(limited("/webhooks/{id}/rotate").route(web::post().to(webhooks::rotate)))
        .service(limited("/webhooks/{id}/deliveries").route(web::get().to(webhooks::list_deliveries)))
        .service(limited("/webhooks/{id}/deliveries/{delivery}").route(web::get().to(webhooks::retrieve_delivery)))
        .service(limited("/webhooks/{id}/deliveries/{delivery}/replay").route(web::post().to(webhooks::replay)));
}

/// Every kind of key but spend keys.
fn key_routes(config: &mut ServiceConfig) {
    config
        .service(
            limited("/secret_keys")
                .route(web::get().to(secret_keys::list))
                .route(web::post().to(secret_keys::create)),
        )
        .service(limited("/secret_keys/{id}").route(web::delete().to(secret_keys::delete)))
        .service(limited("/wallet_keys").route(web::get().to(wallet_keys::list)))
        .service(limited("/wallet_keys/{id}").route(web::delete().to(wallet_keys::revoke)))
        .service(limited("/wallet_keys/{id}/rotate").route(web::post().to(wallet_keys::rotate)))
        .service(
            limited("/provider_keys")
                .route(web::get().to(provider_keys::list))
                .route(web::post().to(provider_keys::create)),
        )
        .service(limited("/provider_keys/{id}").route(web::delete().to(provider_keys::delete)));
}

fn request_routes(config: &mut ServiceConfig) {
    config
        .service(plain("/auth/callback").route(web::post().to(logins::exchange)))
        .service(
            limited("/requests")
                .route(web::get().to(requests::list))
                .route(web::post().to(requests::create)),
        )
        .service(limited("/requests/{id}").route(web::get().to(requests::retrieve)));
}

fn payment_method_routes(config: &mut ServiceConfig) {
    config
        .service(
            limited("/payment_methods")
                .route(web::get().to(payment_methods::list))
                .route(web::post().to(payment_methods::create)),
        )
        .service(limited("/payment_methods/setups").route(web::post().to(payment_methods::begin)))
        .service(limited("/payment_methods/{id}").route(web::delete().to(payment_methods::delete)));
}

/// A resource whose answers say where the key stands at its rate limit.
fn limited(path: &str) -> Resource<impl Limited + use<>> {
    plain(path).wrap(from_fn(limits::announce::<BoxBody>))
}

/// What serves a resource, with a middleware around it.
trait Limited:
    ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
{
}

impl<T> Limited for T where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
{
}
