//! The way to Postgres: a pool for requests, and a connection of one's own for whoever lives long.
//! `run` is the only way for a request: it leaves the worker's thread, waits a short time for a connection, and fails
//! closed, with `Unavailable`, when the database is away; the gateway never waits for any of this.
//! Nothing connects before it is needed, so a process starts and serves without its database.

pub mod audit;
pub mod checkouts;
mod column;
pub mod credit_bundles;
pub mod customer_credit;
pub mod customers;
pub mod embedded;
mod failure;
pub mod idempotency;
pub mod keys;
pub mod lease;
pub mod merchants;
pub mod meters;
pub mod migrations;
pub mod movements;
pub mod page;
pub mod payments;
pub mod plans;
pub mod proof;
pub mod provider_keys;
pub mod refusals;
pub mod replica;
pub mod requests;
pub mod retention;
mod schema;
pub mod search;
pub mod sessions;
pub mod spend_keys;
pub mod subscriptions;
pub mod traffic;
pub mod usage;
pub mod wallets;
pub mod webhooks;
pub mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, NopErrorHandler, Pool};
use diesel::result::Error as QueryError;
use diesel::{Connection, PgConnection};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

pub use self::failure::{StorageError, lasting_reason};

/// How long a request waits for its work in the database, so that a server that hangs is as one that is away.
const WORK_TIMEOUT: Duration = Duration::from_secs(10);

/// After how long Postgres ends a statement: of a connection of the pool before the request gives up, so that the
/// connection comes back; and of work that is long.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(9_500);
const LONG_STATEMENT_TIMEOUT: Duration = Duration::from_secs(50);

/// What the connection asks of libpq where the address does not say otherwise: a server that cannot be reached is
/// given up in seconds, and one whose machine vanished is noticed before the kernel's quarter of an hour.
const CONNECTION_PARAMETERS: [(&str, &str); 3] = [
    ("application_name", "caldera"),
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "20000"),
];

/// `[database]`: which Postgres, and how many connections.
#[derive(Clone, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct DatabaseOptions {
    /// Empty means a private cluster.
    pub url: String,
    pub pool_size: u32,
    /// How long a request waits for a connection.
    pub pool_timeout_ms: u64,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            url: String::new(),
            pool_size: 8,
            pool_timeout_ms: 1000,
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DatabaseOptions")
            .field("pool_size", &self.pool_size)
            .field("pool_timeout_ms", &self.pool_timeout_ms)
            .finish_non_exhaustive()
    }
}

/// Connections of the pool (counts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    pub open: u32,
    /// Those of the open ones that nobody uses.
    pub idle: u32,
    pub limit: u32,
}

/// Makes connections of the pool end what takes too long.
#[derive(Debug)]
struct Impatience;

impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for Impatience {
    fn on_acquire(&self, connection: &mut PgConnection) -> Result<(), diesel::r2d2::Error> {
        limit_statements(connection, STATEMENT_TIMEOUT).map_err(diesel::r2d2::Error::QueryError)
    }
}

fn limit_statements(connection: &mut PgConnection, timeout: Duration) -> Result<(), QueryError> {
    connection.batch_execute(&format!("SET statement_timeout = {}", timeout.as_millis()))
}

/// The database, as everything that stands right of this layer sees it.
#[derive(Clone)]
pub struct Database {
    pool: Pool<ConnectionManager<PgConnection>>,
    url: String,
    /// The turn of long work.
    turn: Arc<Semaphore>,
}

impl Database {
    /// A handle on the database at this address. Connects in the background; a database that is away is no error here.
    pub fn connect(url: &str, options: &DatabaseOptions) -> Result<Self, StorageError> {
        if url.is_empty() || options.pool_size == 0 {
            return Err(StorageError::Unavailable("no address or no connections".to_owned()));
        }
        let url = with_parameters(url);
        let pool = Pool::builder()
            .max_size(options.pool_size)
            .min_idle(Some(1))
            .connection_timeout(Duration::from_millis(options.pool_timeout_ms.max(1)))
            .error_handler(Box::new(NopErrorHandler))
            .connection_customizer(Box::new(Impatience))
            .build_unchecked(ConnectionManager::new(&url));
        let turn = Arc::new(Semaphore::new(1));
        Ok(Self { pool, url, turn })
    }

    /// Does this work on a connection of the pool, on a thread that may block.
    /// It answers `Unavailable` when no connection comes free in time, and when the work takes longer than ten
    /// seconds; then the work may yet be done.
    pub async fn run<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StorageError> + Send + 'static,
    {
        let pool = self.pool.clone();
        let task = actix_rt::task::spawn_blocking(move || {
            let mut connection = pool
                .get()
                .map_err(|error| StorageError::Unavailable(error.to_string()))?;
            work(&mut connection)
        });
        in_time(WORK_TIMEOUT, task).await
    }

    /// Does work of one long statement on a connection of its own, so that those of the pool stay free for others. One
    /// at a time in this process; it answers `Unavailable` when its turn does not come in ten seconds, and when the
    /// statement takes longer than fifty.
    pub async fn run_long<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StorageError> + Send + 'static,
    {
        let busy = || StorageError::Unavailable("other long work is under way".to_owned());
        let turn = tokio::time::timeout(WORK_TIMEOUT, self.turn.clone().acquire_owned());
        let turn = turn.await.map_err(|_| busy())?.map_err(|_| busy())?;
        let database = self.clone();
        let task = actix_rt::task::spawn_blocking(move || {
            // The next one begins when this one has ended, also where nobody waits for it any more.
            let _turn = turn;
            let mut connection = database.connect_alone()?;
            limit_statements(&mut connection, LONG_STATEMENT_TIMEOUT)?;
            work(&mut connection)
        });
        in_time(LONG_STATEMENT_TIMEOUT + WORK_TIMEOUT, task).await
    }

    /// How the pool fares.
    pub fn pool_state(&self) -> PoolState {
        let state = self.pool.state();
        PoolState {
            open: state.connections,
            idle: state.idle_connections,
            limit: self.pool.max_size(),
        }
    }

    /// A connection outside the pool, for an owner that lives long; blocks while it connects.
    pub fn connect_alone(&self) -> Result<PgConnection, StorageError> {
        Ok(PgConnection::establish(&self.url)?)
    }

    /// The address, with what the connection asks for added.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Database").finish_non_exhaustive()
    }
}

async fn in_time<T>(limit: Duration, task: JoinHandle<Result<T, StorageError>>) -> Result<T, StorageError> {
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(StorageError::Unavailable(format!("the work did not end: {error}"))),
        Err(_) => Err(StorageError::Unavailable("no answer in time".to_owned())),
    }
}

/// The address, URL or `name=value` form, with our parameters where it does not set them.
fn with_parameters(url: &str) -> String {
    let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let mut whole = url.to_owned();
    for (name, value) in CONNECTION_PARAMETERS {
        if url.contains(&format!("{name}=")) {
            continue;
        }
        let joint = match (is_url, whole.contains('?')) {
            (true, true) => '&',
            (true, false) => '?',
            (false, _) => ' ',
        };
        whole.push_str(&format!("{joint}{name}={value}"));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_added_to_both_forms_of_an_address_and_never_twice() {
        let added = "application_name=caldera&connect_timeout=5&tcp_user_timeout=20000";
        for (given, expected) in [
            ("postgres://a@b/c", format!("postgres://a@b/c?{added}")),
            (
                "postgres://a@b/c?sslmode=require",
                format!("postgres://a@b/c?sslmode=require&{added}"),
            ),
            (
                "host=/run dbname=c",
                format!("host=/run dbname=c {}", added.replace('&', " ")),
            ),
            (
                "postgres://a@b/c?connect_timeout=1&application_name=x",
                "postgres://a@b/c?connect_timeout=1&application_name=x&tcp_user_timeout=20000".to_owned(),
            ),
        ] {
            assert_eq!(with_parameters(given), expected);
        }
    }

    #[test]
    fn a_database_that_is_away_is_an_error_of_the_call_and_not_of_the_start() {
        let options = DatabaseOptions {
            pool_timeout_ms: 50,
            ..DatabaseOptions::default()
        };
        let database = Database::connect("host=/nowhere dbname=caldera", &options).unwrap();
        let result = actix_rt::System::new().block_on(database.run(|_| Ok(())));
        assert!(matches!(result, Err(StorageError::Unavailable(_))), "{result:?}");
        assert!(matches!(database.connect_alone(), Err(StorageError::Unavailable(_))));
    }
}
