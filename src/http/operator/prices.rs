//! The price book on the operator's listener: what is in force, and the call that reads its files anew. A book that is
//! refused leaves the one before in force, and the answer says which entry it is for and why.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::error::{ApiError, ErrorCode};
use super::super::query::Query;
use super::super::state::AppState;
use super::token::OperatorAuth;

type State = web::Data<AppState>;

/// GET `/prices`.
pub async fn show(_: OperatorAuth, state: State) -> HttpResponse {
    let (book, warnings) = (state.prices.book(), state.prices.warnings());
    HttpResponse::Ok().json(json!({
        "price_version": book.version(),
        "models": book.models().count(),
        "warnings": warnings,
    }))
}

/// POST `/prices/reload`; `?accept=MODEL`, as often as there are models, lets their prices leap this once.
pub async fn reload(_: OperatorAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let accepted: Vec<String> = query.texts("accept").map(str::to_owned).collect();
    let prices = state.prices.clone();
    let reloaded = web::block(move || prices.reload(&accepted)).await;
    let reloaded = reloaded.map_err(|error| ApiError::internal("reloading the prices", &error))?;
    let reloaded = reloaded.map_err(|error| {
        tracing::warn!(%error, "the new price book is refused; the one before stays in force");
        ApiError::new(ErrorCode::InvalidRequest).say(format!("The price book is refused: {error}"))
    })?;
    tracing::info!(
        version = reloaded.version,
        changed = reloaded.changed_count,
        "a new price book is in force"
    );
    Ok(HttpResponse::Ok().json(json!({
        "price_version": reloaded.version,
        "models": reloaded.model_count,
        "changed": reloaded.changed_count,
        "warnings": reloaded.warnings,
    })))
}
