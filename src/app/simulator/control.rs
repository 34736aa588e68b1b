//! The simulator's own routes under `/_sim`, by which a test reads the books or clears them.
//! They ask for no credential: the simulator holds nothing and is meant for loopback.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use serde::Deserialize;
use serde_json::json;

use super::ledger::Ledger;

/// The entries that are listed when no limit is given.
const LIMIT_DEFAULT: usize = 100;

/// The query of `GET /_sim/requests`.
#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
}

/// `GET /_sim/ledger`
pub(super) async fn ledger(ledger: web::Data<Ledger>) -> HttpResponse {
    head(StatusCode::OK).json(ledger.sums())
}

/// `GET /_sim/requests`, newest first
pub(super) async fn requests(ledger: web::Data<Ledger>, page: web::Query<Page>) -> HttpResponse {
    head(StatusCode::OK).json(ledger.newest(page.limit.unwrap_or(LIMIT_DEFAULT)))
}

/// `POST /_sim/reset`
pub(super) async fn reset(ledger: web::Data<Ledger>) -> HttpResponse {
    ledger.reset();
    head(StatusCode::NO_CONTENT).finish()
}

/// `GET /_sim/health`
pub(super) async fn health() -> HttpResponse {
    head(StatusCode::OK).json(json!({"status": "ok"}))
}

fn head(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header(("x-simulated-provider", "1"));
    response
}
