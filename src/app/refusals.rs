//! Stores each second which calls were refused. Where the database is away they wait, and are counted on;
//! where it did not answer in time they may count twice.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;

use crate::http::state::{AppState, Phase};
use crate::storage::refusals;

const INTERVAL: Duration = Duration::from_secs(1);

/// Until the stop begins, which stores the last ones itself.
pub fn keep(state: &web::Data<AppState>) {
    let state = state.clone();
    actix_rt::spawn(async move {
        while state.phase.current() != Phase::Stopping {
            tokio::time::sleep(INTERVAL).await;
            store(&state).await;
        }
    });
}

/// Stores what waits now.
pub async fn store(state: &AppState) {
    let (batch, left_out) = state.refusals.take();
    if left_out > 0 {
        tracing::warn!(calls = left_out, "refused calls of too many kinds: some are not listed");
    }
    if batch.is_empty() {
        return;
    }
    let batch = Arc::new(batch);
    let work = batch.clone();
    let stored = state
        .database
        .run(move |connection| refusals::add(connection, &work))
        .await;
    if let Err(error) = stored {
        tracing::debug!(%error, "refused calls could not be stored; they wait");
        state.refusals.give_back(Arc::unwrap_or_clone(batch));
    }
}
