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
mod stops;
mod stored_answers;
pub mod telemetry;
mod transcript;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::http;
use crate::http::operator::token::{Addresses, write_addresses};
use crate::http::state::{AppState, Phase};
use crate::storage::embedded::{EmbeddedCluster, Which};
use crate::storage::keys;

use boot::{BootError, Booted};
use bootstrap::FirstKey;
use config::Config;
use serving::{Serving, Simulated};
use stops::Stops;

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
    Boot(#[from] BootError),
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

/// The private Postgres, where there is one.
type Cluster = Option<Arc<EmbeddedCluster>>;

/// Runs the server until it is told to stop.
pub async fn serve(config: Config, providers: Providers) -> Result<(), StartError> {
    // The HTTP client's TLS picks this up; a second start in one process finds it there.
    drop(rustls::crypto::ring::default_provider().install_default());
    let (mut stops, hangups) = (Stops::listen()?, signal(SignalKind::hangup())?);
    let sockets = Sockets::open(&config)?;
    let waiting = listeners::start_waiting(sockets.gateway.try_clone()?)?;
    let simulated = Simulated {
        address: start_simulator()?,
        providers,
    };
    let cluster = apart(config.clone(), |config| boot::prepare_cluster(&config)).await?;
    let (making, own) = (config.clone(), cluster.clone());
    let booted = tokio::select! {
        booted = apart(making, |config| boot::boot(&config, own)) => Some(booted),
        () = stops.next() => None,
    };
    let booted = match booted {
        Some(Ok(booted)) => booted,
        Some(Err(error)) => return Err(after_stop(error, &cluster, Which::Own).await),
        None => leave(&cluster).await,
    };
    let first_key = booted.first_key.clone();
    // Whoever has the lease has the cluster to himself.
    let opened = open(&config, booted, simulated, sockets).await;
    let (serving, operator, addresses) = match opened {
        Ok(opened) => opened,
        Err(error) => return Err(after_stop(error, &cluster, Which::Any).await),
    };
    // Both listen on one socket: whoever has read "ready" must not be answered "starting" on his next connection.
    waiting.stop(true).await;
    serving.state.phase.enter(Phase::Ready);
    hangup::watch(hangups, serving.state.prices.clone(), serving.reloader(config.clone()));
    greet(&transcript::Greeting {
        address: addresses.gateway,
        operator: addresses.operator,
        providers,
        first_key: first_key.as_ref(),
    });
    stops.next().await;
    stop(&config, serving, operator, &mut stops).await;
    Ok(())
}

/// Says that the server is ready. It serves on where nobody reads that.
fn greet(greeting: &transcript::Greeting<'_>) {
    let shown = transcript::write(greeting).and_then(|()| greeting.first_key.map_or(Ok(()), FirstKey::forget_file));
    if let Err(error) = shown {
        tracing::warn!(%error, "the greeting was not shown; a first key is in its file");
    }
}

/// What the server listens on.
struct Sockets {
    gateway: TcpListener,
    operator: TcpListener,
}

impl Sockets {
    fn open(config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            gateway: bind(&config.server.host, config.server.port)?,
            operator: bind(&config.operator.host, config.operator.port)?,
        })
    }
}

/// Starts both servers, and writes down where they are.
async fn open(
    config: &Config,
    booted: Booted,
    simulated: Simulated,
    sockets: Sockets,
) -> Result<(Serving, ServerHandle, Addresses), StartError> {
    let addresses = Addresses {
        operator: sockets.operator.local_addr()?,
        gateway: sockets.gateway.local_addr()?,
    };
    let serving = Serving::start(config, booted, simulated, sockets.gateway).await?;
    write_addresses(&config.data.dir, addresses)?;
    let operator = listeners::start_operator(sockets.operator, serving.state.clone(), serving.gateway.clone())?;
    Ok((serving, operator, addresses))
}

/// A start that failed takes its Postgres along.
async fn after_stop(error: StartError, cluster: &Cluster, which: Which) -> StartError {
    stop_cluster(cluster, which).await;
    error
}

/// Ends a start that was told to stop. What waits for Postgres on another thread would keep the process alive.
async fn leave(cluster: &Cluster) -> ! {
    stop_cluster(cluster, Which::Own).await;
    tracing::info!("stopped before anything was served");
    std::process::exit(0)
}

async fn stop_cluster(cluster: &Cluster, which: Which) {
    let Some(cluster) = cluster.clone() else { return };
    let stopped = actix_rt::task::spawn_blocking(move || cluster.stop(which));
    if let Ok(Err(error)) = stopped.await {
        tracing::error!(error = %error, "the private Postgres did not stop in good order");
    }
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

/// Does a part of the start that blocks on a thread of its own.
async fn apart<T: Send + 'static>(
    config: Config,
    work: impl FnOnce(Config) -> Result<T, BootError> + Send + 'static,
) -> Result<T, StartError> {
    match actix_rt::task::spawn_blocking(move || work(config)).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(StartError::Server(std::io::Error::other(error))),
    }
}

async fn stop(config: &Config, serving: Serving, operator: ServerHandle, stops: &mut Stops) {
    tokio::time::sleep(Duration::from_millis(config.server.drain_delay_ms)).await;
    serving.state.phase.enter(Phase::Stopping);
    drain(&serving, Duration::from_secs(config.server.drain_timeout_s), stops).await;
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
    stop_cluster(&cluster, Which::Any).await;
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
async fn drain(serving: &Serving, patience: Duration, stops: &mut Stops) {
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
        () = stops.next() => tracing::warn!("a second signal: calls that run are cut and settled by estimate"),
    }
}
