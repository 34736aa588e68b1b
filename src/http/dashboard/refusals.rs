//! Refusals: which calls were refused before anything was sent, by hour, key and reason. It answers why.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::Value;

use crate::http::error::{ApiError, ErrorCode};
use crate::http::plain;
use crate::http::query::Query;
use crate::http::refusals as api;

use super::ask;
use super::listing::Listing;
use super::requests::key_names;
use super::shell::{self, Place, Shell};
use super::shown::{Moment, grouped};
use super::visit::Visit;

/// What the list may be narrowed by.
const CHOICES: [&str; 2] = ["spend_key_id", "code"];
/// Those that can be chosen; every other stands in the list all the same.
const REASONS: [ErrorCode; 15] = [
    ErrorCode::SpendLimitReached,
    ErrorCode::RequestLimitReached,
    ErrorCode::RateLimited,
    ErrorCode::TooManyParallel,
    ErrorCode::BudgetBusy,
    ErrorCode::InsufficientBalance,
    ErrorCode::KeyPaused,
    ErrorCode::KeyExpired,
    ErrorCode::ModelNotAllowed,
    ErrorCode::ProviderNotAllowed,
    ErrorCode::IpNotAllowed,
    ErrorCode::MeterNotOnPlan,
    ErrorCode::PriceUnknown,
    ErrorCode::CostUnbounded,
    ErrorCode::InvalidRequest,
];

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(plain("/refusals").route(web::get().to(list)))
        .service(plain("/refusals/table").route(web::get().to(table)));
}

#[derive(Template)]
#[template(path = "dashboard/refusals/list.html")]
struct ListPage {
    shell: Shell,
    listing: Listing,
    refusals: Vec<Refusal>,
    reasons: Vec<(&'static str, String)>,
    next: Option<String>,
    /// What is wrong with what was asked; empty where nothing is.
    refusal: String,
}

/// The refusals of one key for one reason in an hour.
pub struct Refusal {
    pub last: Option<Moment>,
    pub count: String,
    pub reason: String,
    pub status: u64,
    /// What the last one was told.
    pub message: String,
    pub key_id: String,
    pub key_name: String,
    pub request_id: String,
}

impl Refusal {
    fn read(row: &Value, now_ms: i64) -> Self {
        Self {
            last: Moment::read(&ask::text(row, "last_at"), now_ms),
            count: grouped(ask::count(row, "call_count")),
            reason: spelled(&ask::text(row, "code")),
            status: ask::count(row, "status"),
            message: ask::text(row, "message"),
            key_id: ask::text(row, "spend_key_id"),
            key_name: String::new(),
            request_id: ask::text(row, "request_id"),
        }
    }
}

/// The code of an error in words.
fn spelled(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}

/// GET of the list.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &CHOICES)?;
    let answer = ask::answer(api::list(visit.auth()?, visit.state.clone(), listing.asked()).await);
    let (found, refusal) = ask::found_or_refused(answer)?;
    let names = key_names(&visit, ask::items(&found)).await?;
    let now_ms = visit.now_ms();
    let named = |row: &Value| {
        let refusal = Refusal::read(row, now_ms);
        let key_name = names.get(&refusal.key_id).cloned().unwrap_or_default();
        Refusal { key_name, ..refusal }
    };
    let status = if refusal.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    let page = ListPage {
        shell: visit.shell(Place::Refusals),
        refusals: ask::items(&found).iter().map(named).collect(),
        reasons: REASONS.map(|code| (code.word(), spelled(code.word()))).into(),
        next: listing.next(&found),
        listing,
        refusal,
    };
    shell::page(status, &page)
}

/// GET of all that the filters choose, as CSV.
async fn table(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &CHOICES)?;
    api::list(visit.auth()?, visit.state.clone(), listing.asked_as_table()).await
}

/// The last few of a key, for its page.
pub async fn latest_of(visit: &Visit, spend_key_id: &str) -> Result<Vec<Refusal>, ApiError> {
    let asked = Query::parse(&format!("limit=5&spend_key_id={spend_key_id}"));
    let found = ask::answer(api::list(visit.auth()?, visit.state.clone(), asked).await)?;
    let now_ms = visit.now_ms();
    Ok(ask::items(&found)
        .iter()
        .map(|row| Refusal::read(row, now_ms))
        .collect())
}
