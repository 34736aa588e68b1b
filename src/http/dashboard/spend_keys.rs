//! AI Spend: a card for each spend key with the bar of its limit, and one key whole. It answers at first glance
//! whether everything is within its limits.

mod card;
mod change;
mod form;
mod live;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;

use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::spend_keys as api;

use super::ask;
use super::history::{self, History, Thing};
use super::listing::Listing;
use super::refusals::{self, Refusal};
use super::shell::{self, Place, Shell};
use super::visit::Visit;
use card::Card;

const PATH: &str = "/dashboard/spend_keys";
/// Cards on one page; a multiple of two, three and four columns.
const CARDS: u32 = 24;
/// What the list may be narrowed by.
const CHOICES: [&str; 3] = ["search", "status", "tag"];

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            plain("/spend_keys")
                .route(web::get().to(list))
                .route(web::post().to(change::create)),
        )
        .service(plain("/spend_keys/new").route(web::get().to(change::show_new)))
        .service(plain("/spend_keys/live").route(web::get().to(live::show)))
        .service(plain("/spend_keys/table").route(web::get().to(table)))
        .service(
            plain("/spend_keys/{id}")
                .route(web::get().to(show))
                .route(web::post().to(change::update)),
        )
        .service(plain("/spend_keys/{id}/edit").route(web::get().to(change::show_edit)))
        .service(plain("/spend_keys/{id}/secret").route(web::get().to(change::show_secret)))
        .service(plain("/spend_keys/{id}/pause").route(web::post().to(change::pause)))
        .service(plain("/spend_keys/{id}/resume").route(web::post().to(change::resume)))
        .service(plain("/spend_keys/{id}/rotate").route(web::post().to(change::rotate)))
        .service(plain("/spend_keys/{id}/revoke").route(web::post().to(change::revoke)));
}

#[derive(Template)]
#[template(path = "dashboard/spend_keys/list.html")]
struct ListPage {
    shell: Shell,
    listing: Listing,
    cards: Vec<Card>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/spend_keys/one.html")]
struct OnePage {
    shell: Shell,
    card: Card,
    /// Its latest refusals.
    refusals: Vec<Refusal>,
    history: History,
}

/// GET of the cards.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &CHOICES)?.of_rows(CARDS);
    let found = ask::answer(api::list(visit.manager(), visit.state.clone(), listing.asked()).await)?;
    let now_ms = visit.now_ms();
    let page = ListPage {
        shell: visit.shell(Place::AiSpend),
        cards: ask::items(&found).iter().map(|key| Card::read(key, now_ms)).collect(),
        next: listing.next(&found),
        listing,
    };
    shell::page(StatusCode::OK, &page)
}

/// GET of all that the filters choose, as CSV.
async fn table(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &CHOICES)?;
    api::list(visit.manager(), visit.state.clone(), listing.asked_as_table()).await
}

/// GET of one key.
async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    let found = api::retrieve(visit.manager(), visit.state.clone(), visit.request.clone()).await;
    let card = Card::read(&ask::answer(found)?, visit.now_ms());
    let thing = Thing {
        nouns: &["spend_keys"],
        ids: &[&card.id],
        name: "",
    };
    let page = OnePage {
        shell: visit.shell(Place::AiSpend),
        refusals: refusals::latest_of(&visit, &card.id).await?,
        history: history::of(&visit, thing).await?,
        card,
    };
    shell::page(StatusCode::OK, &page)
}
