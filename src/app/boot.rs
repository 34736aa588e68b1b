//! Makes the database ready, in order: private cluster, lease, migrations, keys' secrets, first merchant, replay of the
//! journal, replica in memory. All of it blocks, so it runs on a thread of its own. It fails closed: whatever does not
//! fit (a pepper that is not this database's, a damaged journal) stops the start with one line that says what to do.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::engine::clock::Clock;
use crate::engine::journal::JournalDirectory;
use crate::engine::journal::replay::{ReplayError, replay};
use crate::engine::keyring::Keyring;
use crate::engine::ports::SinkError;
use crate::engine::provider_keys::{HeldKey, ProviderKeys};
use crate::engine::sealing::{SealBroken, SealingKey};
use crate::storage::embedded::{EmbeddedCluster, EmbeddedError, EmbeddedOptions};
use crate::storage::keys;
use crate::storage::lease::{self, Lease, LeaseError};
use crate::storage::provider_keys::ProviderKeyRow;
use crate::storage::replica::{self, Replica};
use crate::storage::writer::PgSink;
use crate::storage::{Database, StorageError, lasting_reason, migrations};

use super::bootstrap::{self, BootstrapError, FirstKey};
use super::config::Config;
use super::seal::{self, SealError};

/// How often a database that is away, or another's, is asked again.
const RETRY: Duration = Duration::from_millis(250);

/// Why the start ends.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error("the data directory {path} cannot be used: {error}")]
    Data { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    #[error("the database of DATABASE_URL cannot be used: {0}")]
    Refused(String),
    #[error("the database cannot be used: {0}")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Sealed(#[from] SealBroken),
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Everything that stands when the database is ready.
pub struct Booted {
    pub cluster: Option<Arc<EmbeddedCluster>>,
    pub database: Database,
    pub lease: Lease,
    pub keyring: Keyring,
    pub provider_keys: ProviderKeys,
    pub sealing: SealingKey,
    pub replica: Replica,
    pub clock: Clock,
    pub sink: PgSink,
    pub journal: JournalDirectory,
    pub last_sequences: Vec<u64>,
    /// The secret key of a database that was empty.
    pub first_key: Option<FirstKey>,
}

/// The data directory, and in it the private Postgres where no other is named: made, and not started yet, so that
/// whoever is told to stop meanwhile knows what to stop.
pub fn prepare_cluster(config: &Config) -> Result<Option<Arc<EmbeddedCluster>>, BootError> {
    let data_dir = config.data.dir.clone();
    if let Err(error) = make_private(&data_dir) {
        return Err(BootError::Data { path: data_dir, error });
    }
    if !config.database.url.is_empty() {
        return Ok(None);
    }
    let cluster = EmbeddedCluster::prepare(EmbeddedOptions { data_dir })?;
    Ok(Some(Arc::new(cluster)))
}

/// A directory that is there stays as its owner has it. A private Postgres of another user is let through where needed.
fn make_private(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Does all the rest.
pub fn boot(config: &Config, cluster: Option<Arc<EmbeddedCluster>>) -> Result<Booted, BootError> {
    let data_dir = &config.data.dir;
    let unusable = |error| BootError::Data {
        path: data_dir.clone(),
        error,
    };
    if let Some(cluster) = &cluster {
        tracing::info!("starting the private Postgres");
        cluster.start()?;
        cluster.watch()?;
    }
    let url = cluster
        .as_ref()
        .map_or(config.database.url.as_str(), |cluster| cluster.url());
    let database = Database::connect(url, &config.database)?;
    when_there(|| migrations::begin(url))?;
    let lease = take_lease(&database)?;
    when_there(|| migrations::migrate(url))?;
    let journal = lock_journal(data_dir.join("journal")).map_err(unusable)?;
    let mut connection = database.connect_alone()?;
    let (pepper, sealing) = seal::load(config, &mut connection)?;
    let keyring = Keyring::new(pepper);
    let first_key = bootstrap::first_merchant(config, &mut connection, &keyring)?;
    let (sink, last_sequences, replica) = catch_up(&database, &lease, &journal)?;
    let clock = Clock::new(replica.latest_instant_ms);
    Ok(Booted {
        cluster,
        database,
        lease,
        keyring,
        provider_keys: open_all(&sealing, &replica.provider_keys)?,
        sealing,
        replica,
        clock,
        sink,
        journal,
        last_sequences,
        first_key,
    })
}

/// Opens what merchants stored. One that does not open stops the start: its calls would go to another's account.
fn open_all(sealing: &SealingKey, stored: &[ProviderKeyRow]) -> Result<ProviderKeys, SealBroken> {
    let keys = ProviderKeys::default();
    for row in stored {
        let key = sealing.open(&ProviderKeyRow::place(row.id), &row.sealed)?;
        keys.insert(row.merchant_id, &row.provider, HeldKey { id: row.id, key });
    }
    Ok(keys)
}

/// Waits for a database that is away; one that refuses the connection for good, and a migration that fails, end the
/// start.
fn when_there(migrate: impl Fn() -> Result<Vec<String>, StorageError>) -> Result<(), BootError> {
    loop {
        match migrate() {
            Ok(applied) if applied.is_empty() => return Ok(()),
            Ok(applied) => {
                tracing::info!(count = applied.len(), "migrations applied");
                return Ok(());
            }
            Err(StorageError::Unavailable(reason)) => {
                if let Some(lasting) = lasting_reason(&reason) {
                    return Err(BootError::Refused(lasting.to_owned()));
                }
                tracing::warn!(reason, "the database is away; waiting for it");
                thread::sleep(RETRY * 4);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until no other process serves this database.
fn take_lease(database: &Database) -> Result<Lease, BootError> {
    let mut told = false;
    loop {
        match lease::acquire(database) {
            Ok(lease) => return Ok(lease),
            Err(LeaseError::Storage(StorageError::Unavailable(reason))) => {
                tracing::warn!(reason, "the database is away; waiting for it")
            }
            Err(LeaseError::Storage(error)) => return Err(error.into()),
            Err(LeaseError::Held { holder }) if !told => {
                tracing::warn!(holder, "another process serves this database; waiting for its end");
                told = true;
            }
            Err(LeaseError::Held { .. }) => {}
        }
        thread::sleep(RETRY);
    }
}

fn lock_journal(path: PathBuf) -> std::io::Result<JournalDirectory> {
    loop {
        match JournalDirectory::lock(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => thread::sleep(RETRY),
            locked => return locked,
        }
    }
}

/// What a start begins with: the way to Postgres, the numbers that the journal goes on above, and the state.
type Caught = (PgSink, Vec<u64>, Replica);

/// Writes what the last run left in the journal, then reads the state that all of it comes to. A replay that lost its
/// connection is made again: what Postgres has of it changes nothing the second time.
fn catch_up(database: &Database, lease: &Lease, journal: &JournalDirectory) -> Result<Caught, BootError> {
    loop {
        match try_to_catch_up(database, lease, journal) {
            Err(
                BootError::Storage(StorageError::Unavailable(reason))
                | BootError::Replay(ReplayError::Sink(SinkError::Unavailable(reason))),
            ) => {
                tracing::warn!(reason, "the database went away under the replay; waiting for it");
                thread::sleep(RETRY);
            }
            caught => return caught,
        }
    }
}

fn try_to_catch_up(database: &Database, lease: &Lease, journal: &JournalDirectory) -> Result<Caught, BootError> {
    let connection = &mut database.connect_alone()?;
    let mut sink = PgSink::new(database.clone(), lease.epoch());
    let marks = replica::load_marks(connection)?;
    let now_ms = Clock::new(0).wall_ms();
    let replayed = replay(journal, &mut sink, &marks, now_ms)?;
    if replayed.settled + replayed.movements + replayed.estimated > 0 {
        tracing::warn!(
            settled = replayed.settled,
            movements = replayed.movements,
            estimated = replayed.estimated,
            "the last run left records in the journal; they are in Postgres now"
        );
    }
    let ended = keys::revoke_of_earlier_runs(connection)?;
    if ended > 0 {
        tracing::info!(
            count = ended,
            "secret keys that the last run left to agents' sessions were revoked"
        );
    }
    Ok((sink, replayed.last_sequences, replica::load(connection)?))
}
