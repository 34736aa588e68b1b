//! GET `/operator/retention`: how long rows are kept, what the last purge of each came to, and when the next one begins.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use super::super::error::ApiError;
use super::super::time::iso_millis;
use super::State;
use super::token::OperatorAuth;
use crate::engine::retention::{Kept, PurgeRun};
use crate::storage::idempotency::LIFETIME_MS;
use crate::storage::retention::purged_count;

/// GET. `days` is null for what is kept for ever, `last_run` where this process has purged nothing of it yet.
pub async fn show(_: OperatorAuth, state: State) -> Result<HttpResponse, ApiError> {
    let purged = state.database.run(purged_count).await?;
    let view = state.retention.view();
    let mut shown = Map::new();
    for kept in Kept::ALL {
        let one = json!({
            "days": kept.days(&view.options),
            "last_run": view.last[kept as usize].as_ref().map(show_run),
        });
        shown.insert(kept.name().to_owned(), one);
    }
    shown["requests"]["purged_ever"] = purged.into();
    shown.insert(
        "idempotency_keys".to_owned(),
        json!({ "days": LIFETIME_MS / 86_400_000 }),
    );
    shown.insert("next_run_at".to_owned(), json!(view.next_ms.map(iso_millis)));
    Ok(HttpResponse::Ok().json(shown))
}

fn show_run(run: &PurgeRun) -> Value {
    json!({
        "began_at": iso_millis(run.began_ms),
        "ended_at": iso_millis(run.ended_ms),
        "rows": run.rows,
        "error": run.error,
    })
}
