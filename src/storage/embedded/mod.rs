//! A private Postgres for a machine without one: made, started, watched and stopped by this process.
//! It listens on a unix socket that only its owner reaches, and on no network address. A cluster that a killed process
//! left running is adopted; one that dies is started again by the watch; a clean stop stops it, a crash of ours does
//! not. `app` calls it before the first connection and after the last, and may block.

mod cluster;
mod owner;
mod place;
mod programs;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use diesel::PgConnection;
use diesel::prelude::*;

use cluster::Cluster;

pub use owner::{ServerUser, effective_user_id};
pub use place::cluster_version;
pub use programs::Programs;

/// The database that Caldera uses in its cluster, and the user that owns it.
const NAME: &str = "caldera";
/// How often the watch looks, and how long it waits at most after a start that failed.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
const BACK_OFF_LIMIT: Duration = Duration::from_secs(30);
/// How often a first start is tried again, and how long between.
const START_RETRIES: u32 = 5;
const START_PAUSE: Duration = Duration::from_secs(1);

/// Where the cluster lives.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Caldera's data directory; the cluster is its `postgres`.
    pub data_dir: PathBuf,
}

/// Why there is no private Postgres.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no PostgreSQL server programs found{detail}; install them (Debian, Ubuntu: apt-get install postgresql; \
         Fedora, RHEL: dnf install postgresql-server; macOS: brew install postgresql@17), \
         or name a database with DATABASE_URL"
    )]
    NoPrograms { detail: String },
    #[error("cannot {doing} {path}: {reason}")]
    Files {
        doing: &'static str,
        path: String,
        reason: String,
    },
    #[error("PostgreSQL will not run as root, and there is neither a user `postgres` nor a user `nobody` to run it as")]
    NoUser,
    #[error("the private PostgreSQL did not {doing}: {reason}")]
    Server { doing: &'static str, reason: String },
}

/// Which server a stop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Whichever runs.
    Any,
    /// Only one that this process started. One that was found running may be another process's.
    Own,
}

/// The cluster. Dropping it leaves its server running; `stop` ends it.
pub struct EmbeddedCluster {
    cluster: Arc<Cluster>,
    url: String,
    watch: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedCluster {
    /// Makes the cluster where there is none; nothing is started yet.
    pub fn prepare(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let cluster = Cluster::prepare(&options.data_dir)?;
        Ok(Self {
            url: cluster.url_of(NAME),
            cluster: Arc::new(cluster),
            watch: Mutex::new(None),
        })
    }

    /// Adopts the server where it runs, and starts it where it does not. Returns when it takes connections and its
    /// database is there; after a crash that takes as long as its recovery. A stop cuts it short.
    pub fn start(&self) -> Result<(), EmbeddedError> {
        start_patiently(&self.cluster)?;
        create_database(&self.cluster.url_of("postgres"))
    }

    /// The address for libpq.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts the thread that starts the server again whenever it dies.
    pub fn watch(&self) -> Result<(), EmbeddedError> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.is_some() {
            return Ok(());
        }
        let cluster = Arc::clone(&self.cluster);
        let spawned = std::thread::Builder::new()
            .name("postgres-watch".to_owned())
            .spawn(move || keep_running(&cluster));
        let thread = spawned.map_err(|error| EmbeddedError::Server {
            doing: "get its watch",
            reason: error.to_string(),
        })?;
        *watch = Some(thread);
        Ok(())
    }

    /// Ends the watch, then the server: open transactions are rolled back, what is committed is on the disk.
    /// Nothing is started by this value any more.
    pub fn stop(&self, which: Which) -> Result<(), EmbeddedError> {
        self.cluster.begin_stop();
        let thread = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the watch leaves nothing to undo; the server is stopped below in any case.
            drop(thread.join());
        }
        self.cluster.stop(which)
    }
}

/// Processes of a server that was killed may take a moment to end, and no new one starts until they have.
fn start_patiently(cluster: &Cluster) -> Result<(), EmbeddedError> {
    for _ in 0..START_RETRIES {
        match cluster.ensure_running() {
            Ok(()) => return Ok(()),
            Err(error) if cluster.is_stopping() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "the private PostgreSQL did not start; trying again")
            }
        }
        cluster.wait_for_stop(START_PAUSE);
    }
    cluster.ensure_running()
}

/// The watch: looks, starts again, and waits longer after each failure.
fn keep_running(cluster: &Cluster) {
    let mut pause = WATCH_INTERVAL;
    while !cluster.wait_for_stop(pause) {
        if cluster.is_running() {
            pause = WATCH_INTERVAL;
            continue;
        }
        tracing::warn!("the private PostgreSQL ended; starting it again");
        match cluster.ensure_running() {
            Ok(()) => {
                pause = WATCH_INTERVAL;
                tracing::info!("the private PostgreSQL runs again");
            }
            Err(_) if cluster.is_stopping() => return,
            Err(error) => {
                pause = (pause * 2).min(BACK_OFF_LIMIT);
                tracing::error!(%error, "the private PostgreSQL could not be started");
            }
        }
    }
}

fn create_database(url: &str) -> Result<(), EmbeddedError> {
    let failed = |reason: String| EmbeddedError::Server {
        doing: "create its database",
        reason,
    };
    let mut connection = PgConnection::establish(url).map_err(|error| failed(error.to_string()))?;
    let found = diesel::sql_query("SELECT 1 FROM pg_database WHERE datname = $1")
        .bind::<diesel::sql_types::Text, _>(NAME)
        .execute(&mut connection)
        .map_err(|error| failed(error.to_string()))?;
    if found == 0 {
        diesel::sql_query(format!("CREATE DATABASE {NAME} TEMPLATE template0"))
            .execute(&mut connection)
            .map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
