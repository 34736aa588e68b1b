//! SIGHUP reads the configuration and the price files anew. What is refused changes nothing and is said in the log; no
//! signal ends the task, and the process does not end by it either.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use crate::engine::prices::Prices;

use super::reload::Reloader;

/// Reloads at every signal; one that came before the server was ready counts too.
pub fn watch(mut hangups: Signal, prices: Arc<Prices>, reloader: Reloader) {
    let reloader = Arc::new(reloader);
    actix_rt::spawn(async move {
        while hangups.recv().await.is_some() {
            let (prices, reloader) = (prices.clone(), reloader.clone());
            let done = actix_rt::task::spawn_blocking(move || {
                reload_configuration(&reloader);
                reload_prices(&prices);
            });
            if let Err(error) = done.await {
                tracing::error!(%error, "SIGHUP: nothing was read");
            }
        }
    });
}

fn reload_configuration(reloader: &Reloader) {
    match reloader.reload() {
        Ok(reloaded) => {
            let changed = reloaded.changed.join(", ");
            tracing::info!(changed, "SIGHUP: the configuration and the providers were read anew");
            if !reloaded.waiting.is_empty() {
                let waiting = reloaded.waiting.join(", ");
                tracing::warn!(waiting, "SIGHUP: these options change with a restart only");
            }
        }
        Err(error) => tracing::error!(%error, "SIGHUP: the new configuration is refused; nothing of it is in force"),
    }
}

fn reload_prices(prices: &Prices) {
    match prices.reload(&[]) {
        Ok(reloaded) => tracing::info!(
            version = reloaded.version,
            changed = reloaded.changed_count,
            "SIGHUP: a new price book is in force"
        ),
        Err(error) => {
            tracing::error!(%error, "SIGHUP: the new price book is refused; the one before stays in force");
        }
    }
}
