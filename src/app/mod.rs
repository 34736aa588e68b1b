//! Starts everything in order and stops it in order. While the database is made ready a small server answers 503
//! `starting` on the same listener; when the journal has been replayed and every shard has its keys, the real one takes
//! over. A stop refuses new calls first, waits for those that run, and lets Postgres have the journal last.

mod boot;
mod bootstrap;
mod catalogues;
mod checkout;
pub mod cli;
pub mod config;
mod crew;
pub mod environment;
mod gauges;
mod hangup;
mod health_check;
mod lease_keeper;
mod listeners;
mod otlp;
mod purge;
mod refusals;
mod reload;
mod seal;
mod serving;
pub mod simulator;
mod stored_answers;
pub mod telemetry;
mod transcript;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::http;
use crate::http::operator::token::{Addresses, write_addresses};
use crate::http::state::{AppState, Phase};
use crate::storage::keys;

use boot::Booted;
use config::Config;
use serving::{Serving, Simulated};

/// How often the stop looks whether calls still run.
const STOP_POLL: Duration = Duration::from_millis(20);

/// How long after the drain of the journal a stop waits for a Postgres that does not answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {error}")]
    Listen { address: String, error: std::io::Error },
    #[error("{0}")]
    Boot(#[from] boot::BootError),
    #[error("the server could not be started: {0}")]
    Server(#[from] std::io::Error),
    #[error("the catalogue of providers is refused: {0}")]
    Catalogue(String),
    #[error("the price book is refused: {0}")]
    Prices(String),
    #[error("the private hosts of webhooks are refused: {0}")]
    Webhooks(String),
    #[error("the trusted certificates are refused: {0}")]
    Certificates(String),
    #[error("the checkout is refused: {0}")]
    Checkout(String),
}

/// Whether calls go to real providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Providers {
    Real,
    /// All of them are the simulated one, and answers say so.
    Simulated,
}

/// Runs the server until it is told to stop.
pub async fn serve(config: Config, providers: Providers) -> Result<(), StartError> {
    // The HTTP client's TLS picks this up; a second start in one process finds it there.
    drop(rustls::crypto::ring::default_provider().install_default());
    let listener = bind(&config.server.host, config.server.port)?;
    let address = listener.local_addr()?;
    let operator = bind(&config.operator.host, config.operator.port)?;
    let waiting = listeners::start_waiting(listener.try_clone()?)?;
    let simulated = Simulated {
        address: start_simulator()?,
        providers,
    };
    let hangups = signal(SignalKind::hangup())?;
    let booted = boot(config.clone()).await?;
    let first_key = booted.first_key.clone();
    let serving = Serving::start(&config, booted, simulated, listener).await?;
    let operator_address = operator.local_addr()?;
    let addresses = Addresses {
        operator: operator_address,
        gateway: address,
    };
    write_addresses(&config.data.dir, addresses)?;
    let operator = listeners::start_operator(operator, serving.state.clone(), serving.gateway.clone())?;
    // Both listen on one socket: whoever has read "ready" must not be answered "starting" on his next connection.
    waiting.stop(true).await;
    serving.state.phase.enter(Phase::Ready);
    hangup::watch(hangups, serving.state.prices.clone(), serving.reloader(config.clone()));
    transcript::print(&transcript::Greeting {
        address,
        operator: operator_address,
        providers,
        first_key: first_key.as_ref(),
    });
    wait_for_stop().await;
    stop(&config, serving, operator).await;
    Ok(())
}

fn bind(host: &str, port: u16) -> Result<TcpListener, StartError> {
    let address = format!("{host}:{port}");
    let wrap = |error| StartError::Listen {
        address: address.clone(),
        error,
    };
    TcpListener::bind((host, port)).map_err(wrap)
}

/// Runs the simulated provider, for test merchants and for the demo, on a free port of this machine.
fn start_simulator() -> Result<SocketAddr, StartError> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let simulator = simulator::start(simulator::SimulatorOptions {
        listener,
        workers: 1,
        tls: None,
    })?;
    actix_rt::spawn(simulator.server);
    Ok(simulator.address)
}

async fn boot(config: Config) -> Result<Booted, StartError> {
    let booted = actix_rt::task::spawn_blocking(move || boot::boot(&config)).await;
    match booted {
        Ok(booted) => Ok(booted?),
        Err(error) => Err(StartError::Server(std::io::Error::other(error))),
    }
}

/// Ends at SIGTERM or SIGINT.
async fn wait_for_stop() {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(error = %error, "signals cannot be received; only a kill ends this process");
            std::future::pending::<()>().await;
        }
    }
}

async fn stop(config: &Config, serving: Serving, operator: ServerHandle) {
    tokio::time::sleep(Duration::from_millis(config.server.drain_delay_ms)).await;
    serving.state.phase.enter(Phase::Stopping);
    drain(&serving, Duration::from_secs(config.server.drain_timeout_s)).await;
    http::mcp::stop(&serving.state).await;
    save_last_uses(&serving.state).await;
    refusals::store(&serving.state).await;
    // The last bytes go from the workers to their sockets.
    tokio::time::sleep(STOP_POLL).await;
    let Serving {
        server,
        billing,
        outbox,
        purger,
        journal,
        lease,
        cluster,
        exporting,
        ..
    } = serving;
    purger.stop();
    server.stop(true).await;
    exporting.stop().await;
    operator.stop(false).await;
    let patience = Duration::from_secs(config.server.flush_timeout_s);
    outbox.stop(patience).await;
    let flushed = actix_rt::task::spawn_blocking(move || {
        billing.stop(patience);
        let left = journal.backlog();
        drop(journal);
        lease.end();
        left
    });
    let flushed = tokio::time::timeout(patience + ANSWER_PATIENCE, flushed).await;
    let stopped = actix_rt::task::spawn_blocking(move || cluster.map(|cluster| cluster.stop()));
    if let Ok(Some(Err(error))) = stopped.await {
        tracing::error!(error = %error, "the private Postgres did not stop in good order");
    }
    match flushed {
        Ok(Ok(0)) => tracing::info!("stopped; Postgres has everything"),
        Ok(Ok(left)) => tracing::warn!(
            records = left,
            "stopped; the rest of the journal is written at the next start"
        ),
        Ok(Err(error)) => tracing::error!(error = %error, "the stop was cut short; the next start replays the journal"),
        Err(_) => {
            tracing::warn!("stopped without an answer from Postgres; the next start replays the journal");
            // The threads that wait for Postgres would keep the process alive for as long as it is frozen.
            std::process::exit(0);
        }
    }
}

/// When wallet keys were last used stands in memory only; it is no loss where the database is away.
async fn save_last_uses(state: &AppState) {
    let used = state.keyring.wallet_key_uses();
    if used.is_empty() {
        return;
    }
    let saved = state
        .database
        .run(move |connection| keys::save_last_used(connection, &used));
    if let Err(error) = saved.await {
        tracing::warn!(%error, "the last use of wallet keys was not saved");
    }
}

/// Waits until no call runs, or the time is up, or a second signal comes.
async fn drain(serving: &Serving, patience: Duration) {
    let deadline = Instant::now() + patience;
    let calm = async {
        // A call that was admitted a moment ago has its pump by now.
        tokio::time::sleep(STOP_POLL).await;
        while !serving.gateway.is_quiet() && Instant::now() < deadline {
            tokio::time::sleep(STOP_POLL).await;
        }
    };
    tokio::select! {
        () = calm => {}
        () = wait_for_stop() => tracing::warn!("a second signal: calls that run are cut and settled by estimate"),
    }
}
