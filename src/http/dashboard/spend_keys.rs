//! AI Spend: a card for each spend key with the bar of its limit, and one key whole. It answers at first glance
//! whether everything is within its limits.

mod card;
mod change;
mod form;
mod live;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::http::auth::KeyManagerAuth;
use crate::http::error::ApiError;
use crate::http::query::Query;
use crate::http::spend_keys as api;
use crate::http::state::AppState;
use crate::http::{audit, plain};

use super::ask;
use super::session::Session;
use super::shell::{self, Place, Shell};
use card::Card;

type State = web::Data<AppState>;

const PATH: &str = "/dashboard/spend_keys";
/// Cards on one page; a multiple of two, three and four columns.
const CARDS: u32 = 24;

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
    cards: Vec<Card>,
    search: String,
    status: String,
    tag: String,
    /// Whether the list was narrowed, so that an empty one is no reason to mint a first key.
    is_narrowed: bool,
    is_first_page: bool,
    next: Option<String>,
    /// Where the same is as CSV.
    table: String,
}

#[derive(Template)]
#[template(path = "dashboard/spend_keys/one.html")]
struct OnePage {
    shell: Shell,
    card: Card,
    history: Vec<Change>,
}

/// One line of the key's history.
struct Change {
    verb: String,
    actor: String,
    moment: Option<super::shown::Moment>,
    status: String,
}

/// GET of the cards.
async fn list(
    request: HttpRequest,
    session: Session,
    auth: KeyManagerAuth,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let text = |name: &str| query.text(name).map(|text| text.unwrap_or("").to_owned());
    let (search, status, tag, cursor) = (text("search")?, text("status")?, text("tag")?, text("cursor")?);
    let asked = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("limit", &CARDS.to_string())
        .append_pair("search", &search)
        .append_pair("status", &status)
        .append_pair("tag", &tag)
        .append_pair("cursor", &cursor)
        .finish();
    let found = ask::answer(api::list(auth, state.clone(), Query::parse(&asked)).await)?;
    let now_ms = state.now().wall_ms;
    let choices = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("search", &search)
        .append_pair("status", &status)
        .append_pair("tag", &tag)
        .finish();
    let next = ask::next_cursor(&found).map(|cursor| format!("{PATH}?{choices}&cursor={cursor}"));
    let page = ListPage {
        shell: Shell::new(&session, &request, Place::AiSpend),
        cards: ask::items(&found).iter().map(|key| Card::read(key, now_ms)).collect(),
        is_narrowed: [&search, &status, &tag].iter().any(|text| !text.is_empty()),
        is_first_page: cursor.is_empty(),
        search,
        status,
        tag,
        next,
        table: format!("{PATH}/table?{choices}"),
    };
    shell::page(StatusCode::OK, &page)
}

/// GET of all that the filters choose, as CSV.
async fn table(request: HttpRequest, auth: KeyManagerAuth, state: State) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(&format!("{}&format=csv", request.query_string()));
    api::list(auth, state, query).await
}

/// GET of one key.
async fn show(
    request: HttpRequest,
    session: Session,
    auth: KeyManagerAuth,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let merchant_id = auth.merchant_id();
    let key = ask::answer(api::retrieve(auth, state.clone(), request.clone()).await)?;
    let now_ms = state.now().wall_ms;
    let history = audit::of_target(&state, merchant_id, ask::text(&key, "spend_key_id")).await?;
    let page = OnePage {
        shell: Shell::new(&session, &request, Place::AiSpend),
        card: Card::read(&key, now_ms),
        history: history.iter().map(|event| Change::read(event, now_ms)).collect(),
    };
    shell::page(StatusCode::OK, &page)
}

impl Change {
    fn read(event: &serde_json::Value, now_ms: i64) -> Self {
        let action = ask::text(event, "action");
        Self {
            verb: action.split_once('.').map_or("", |(_, verb)| verb).to_owned(),
            actor: ask::text(event, "actor"),
            moment: super::shown::Moment::read(&ask::text(event, "created_at"), now_ms),
            status: event.get("status").map(ToString::to_string).unwrap_or_default(),
        }
    }
}
