//! SIGHUP reads the price files anew. What is refused changes nothing and is said in the log; no signal ends the task,
//! and the process does not end by it either.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use crate::engine::prices::Prices;

/// Reloads at every signal; one that came before the server was ready counts too.
pub fn watch(mut hangups: Signal, prices: Arc<Prices>) {
    actix_rt::spawn(async move {
        while hangups.recv().await.is_some() {
            let prices = prices.clone();
            match actix_rt::task::spawn_blocking(move || prices.reload(&[])).await {
                Ok(Ok(reloaded)) => tracing::info!(
                    version = reloaded.version,
                    changed = reloaded.changed_count,
                    "SIGHUP: a new price book is in force"
                ),
                Ok(Err(error)) => {
                    tracing::error!(%error, "SIGHUP: the new price book is refused; the one before stays in force");
                }
                Err(error) => tracing::error!(%error, "SIGHUP: the price files were not read"),
            }
        }
    });
}
