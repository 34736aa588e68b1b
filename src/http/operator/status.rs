//! GET `/operator/status`: how this process stands, for `caldera doctor`: its phase and version, the lease and the clock
//! of its database, the journal's backlog, files, and webhooks. A database that is away is said, not an error.

use actix_web::{HttpResponse, web};
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};

use super::token::OperatorAuth;
use crate::http::state::{AppState, Phase};
use crate::http::time::iso_millis;
use crate::storage::lease::{self, LeaseView};

/// Everything that the process knows of itself.
pub async fn show(_: OperatorAuth, state: web::Data<AppState>) -> HttpResponse {
    let phase = match state.phase.current() {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Stopping => "stopping",
    };
    let seen = state.database.run(lease::look).await;
    let now_ms = state.now().wall_ms;
    let metrics = &state.metrics;
    let last_batch_ms = i64::try_from(metrics.billing_last_batch_ms.value()).unwrap_or(0);
    let database = match &seen {
        Ok(view) => json!({ "reachable": true, "clock": iso_millis(view.database_ms), "lease": show_lease(view) }),
        Err(error) => json!({ "reachable": false, "error": error.to_string(), "clock": null, "lease": null }),
    };
    HttpResponse::Ok().json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "phase": phase,
        "process_id": std::process::id(),
        "clock": iso_millis(now_ms),
        "database": database,
        "journal": {
            "backlog_records": metrics.journal_backlog_records.value(),
            "size_bytes": metrics.journal_backlog_bytes.value(),
            "last_batch_at": (last_batch_ms > 0).then(|| iso_millis(last_batch_ms)),
        },
        "calls_in_flight": metrics.calls_in_flight.value(),
        "open_files": { "count": open_files(), "limit": getrlimit(Resource::Nofile).current },
        "webhooks": { "pending": metrics.webhooks_pending.value(), "dead": metrics.webhooks_dead.value() },
    }))
}

fn show_lease(view: &LeaseView) -> Value {
    json!({
        "epoch": view.epoch,
        "holder": view.holder,
        "acquired_at": iso_millis(view.acquired_ms),
        "is_own": view.is_own,
    })
}

/// `None` where the system has no `/proc`.
fn open_files() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").map(Iterator::count).ok()
}
