//! `/`: what answers here. `/health`, `/healthz`: the process lives. `/readyz`: it serves; 503 while it starts and from the moment it stops,
//! so that whatever sends it traffic stops before it does. None of them asks the database: it may be away while the
//! gateway serves.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::error::ApiError;
use super::state::{AppState, Phase};

/// GET and HEAD `/`: clients ask for it before they know a key, to see whether somebody is there.
pub async fn root() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") }))
}

/// GET `/health` and `/healthz`: always 200.
pub async fn live(state: web::Data<AppState>) -> HttpResponse {
    let phase = match state.phase.current() {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Stopping => "stopping",
    };
    HttpResponse::Ok().json(json!({ "status": "ok", "phase": phase, "version": env!("CARGO_PKG_VERSION") }))
}

/// As [`live`], before there is a state.
pub async fn live_while_starting() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok", "phase": "starting", "version": env!("CARGO_PKG_VERSION") }))
}

/// GET `/readyz`.
pub async fn ready(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    state.phase.require_ready()?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ok" })))
}
