//! The dashboard at `/dashboard`: pages rendered here, one question a page, with nothing loaded from elsewhere. It is a
//! client of the management API inside this process: a session becomes the credential that the same handlers take
//! (`guard`), so a page can do nothing that a key could not. It fails closed: without a session there is only the
//! sign-in, and without its token no form is taken.
//!
//! A page is a file here and a template in `templates/dashboard`; its route stands in [`configure`], its place in the
//! navigation in `shell`.

mod ask;
mod assets;
mod audit_events;
mod calls;
mod chart;
mod connect;
mod credit_bundles;
mod customers;
mod error_page;
mod form;
mod guard;
mod history;
mod links;
mod listing;
mod meters;
mod overview;
mod plans;
mod proof;
mod providers;
mod refusals;
mod requests;
mod reveal;
mod secret_keys;
mod session;
mod sheet;
mod shell;
mod shown;
mod sign_in;
mod spend_keys;
mod subscribed;
mod subscriptions;
mod visit;
mod wallet;
mod webhooks;

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use super::audit;
use super::error::ApiError;
use super::plain;

pub use self::links::{create as create_link, end_sessions};
pub use self::proof::Proofs;
pub use self::reveal::Reveals;
pub use self::session::Session;

/// Everything under `/dashboard`.
pub fn configure(config: &mut ServiceConfig) {
    let asset = plain("/dashboard/assets/{file}");
    config.service(
        asset
            .route(web::get().to(assets::serve))
            .route(web::head().to(assets::serve)),
    );
    let open = web::scope("/dashboard")
        .service(
            plain("/sign_in")
                .route(web::get().to(sign_in::show))
                .route(web::post().to(sign_in::enter)),
        )
        .service(
            plain("/link/{link}")
                .route(web::get().to(links::show))
                .route(web::post().to(links::enter)),
        );
    let pages = web::scope("").configure(pages);
    let pages = pages
        .default_service(web::to(nothing))
        .wrap(from_fn(audit::record))
        .wrap(from_fn(guard::admit));
    let letting_in = web::scope("/auth")
        .service(connect_page("/connect"))
        .service(connect_page("/cli"));
    let letting_in = letting_in.wrap(from_fn(audit::record)).wrap(from_fn(guard::admit));
    config.service(letting_in.wrap(from_fn(error_page::in_words)));
    config.service(open.service(pages).wrap(from_fn(error_page::in_words)));
}

fn connect_page(path: &str) -> Resource {
    plain(path)
        .route(web::get().to(connect::show))
        .route(web::post().to(connect::decide))
}

fn pages(config: &mut ServiceConfig) {
    config
        .service(web::resource(["", "/"]).route(web::get().to(home)))
        .service(plain("/sign_out").route(web::post().to(sign_in::leave)))
        .service(plain("/sessions/end").route(web::post().to(sign_in::leave_everywhere)));
    spend_keys::configure(config);
    calls::configure(config);
    wallet::configure(config);
    secret_keys::configure(config);
    providers::configure(config);
    proof::configure(config);
    audit_events::configure(config);
    customers::configure(config);
    subscriptions::configure(config);
    plans::configure(config);
    credit_bundles::configure(config);
    meters::configure(config);
    webhooks::configure(config);
    overview::configure(config);
    requests::configure(config);
    refusals::configure(config);
}

/// Whether an address of this pattern answers with pages.
pub fn is_page(pattern: &str) -> bool {
    pattern.starts_with("/dashboard") || pattern.starts_with("/auth/")
}

/// What an address of pages takes, where it does not take this method: every one is shown, or sent a form, or both.
pub const fn methods_but(refused: &Method) -> &'static str {
    match *refused {
        Method::GET | Method::HEAD => "POST",
        Method::POST => "GET, HEAD",
        _ => "GET, HEAD, POST",
    }
}

/// The first page answers the first question: am I within my limits?
async fn home() -> HttpResponse {
    shell::see_other("/dashboard/spend_keys")
}

async fn nothing(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    super::not_found(request).await
}
