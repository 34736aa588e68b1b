//! The migrations that are compiled in, and their run at the start.
//! They run on a connection of their own under an advisory lock, so that two processes take turns. A database that
//! knows migrations which this program does not is refused: it belongs to a newer one. A schema that is served is changed
//! only by the holder of the lease: an older process that went on would write rows of which new tables know nothing.

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Bool, Integer, Text};
use diesel::{Connection, PgConnection, RunQueryDsl as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{StorageError, with_parameters};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Any number does, as long as it stays: a process of another version must meet the same lock.
const ADVISORY_LOCK: i64 = 0x0063_616c_6465_7261;

/// How long to wait for another process that migrates, and for a table that somebody holds.
const LOCK_TIMEOUT_S: u32 = 60;

/// Makes the schema of a database that has no lease to be taken yet, and leaves any other as it is. Blocks.
pub fn begin(url: &str) -> Result<Vec<String>, StorageError> {
    let mut connection = lock(url)?;
    let has_lease = diesel::dsl::sql::<Bool>("to_regclass('server_lease') IS NOT NULL");
    if diesel::select(has_lease).get_result(&mut connection)? {
        return Ok(Vec::new());
    }
    run(&mut connection)
}

/// Brings the database to this program's schema; answers the names of the migrations that it ran. It is for whoever holds
/// the lease, where there is one. Blocks.
pub fn migrate(url: &str) -> Result<Vec<String>, StorageError> {
    run(&mut lock(url)?)
}

/// A connection with the lock, on a database that is not of a newer program.
fn lock(url: &str) -> Result<PgConnection, StorageError> {
    let mut connection = PgConnection::establish(&with_parameters(url))?;
    connection.batch_execute(&format!(
        "SET lock_timeout = '{LOCK_TIMEOUT_S}s'; SET client_min_messages = warning; \
         SELECT pg_advisory_lock({ADVISORY_LOCK})"
    ))?;
    refuse_unknown(&mut connection)?;
    Ok(connection)
}

/// The lock goes with the connection, whatever happens.
fn run(connection: &mut PgConnection) -> Result<Vec<String>, StorageError> {
    let ran = connection.run_pending_migrations(MIGRATIONS).map_err(failed)?;
    Ok(ran.iter().map(ToString::to_string).collect())
}

/// What a database knows of migrations, beside what this program does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// As PostgreSQL's `server_version_num`: 150018 for 15.18.
    pub server_version: i32,
    pub applied: Vec<String>,
    /// Known here and not yet there.
    pub pending: Vec<String>,
    /// Known there and not here: they are of a newer program.
    pub unknown: Vec<String>,
}

/// Reads the state of a database and changes nothing. Blocks.
pub fn inspect(url: &str) -> Result<SchemaState, StorageError> {
    let mut connection = PgConnection::establish(&with_parameters(url))?;
    connection.batch_execute("SET default_transaction_read_only = on; SET client_min_messages = warning")?;
    let version = diesel::dsl::sql::<Integer>("current_setting('server_version_num')::integer");
    let server_version = diesel::select(version).get_result(&mut connection)?;
    let known = known()?;
    // Asking for what is applied makes the table of it; a database that has none is new.
    let is_new = diesel::dsl::sql::<Bool>("to_regclass('__diesel_schema_migrations') IS NULL");
    let applied: Vec<String> = if diesel::select(is_new).get_result(&mut connection)? {
        Vec::new()
    } else {
        let applied = diesel::sql_query("SELECT version FROM __diesel_schema_migrations ORDER BY version");
        let rows: Vec<AppliedMigration> = applied.load(&mut connection)?;
        rows.into_iter().map(|row| row.version).collect()
    };
    let without = |from: &[String], others: &[String]| -> Vec<String> {
        from.iter()
            .filter(|version| !others.contains(version))
            .cloned()
            .collect()
    };
    Ok(SchemaState {
        server_version,
        pending: without(&known, &applied),
        unknown: without(&applied, &known),
        applied,
    })
}

#[derive(diesel::QueryableByName)]
struct AppliedMigration {
    #[diesel(sql_type = Text)]
    version: String,
}

/// The versions of the migrations that are compiled in.
fn known() -> Result<Vec<String>, StorageError> {
    let migrations = diesel::migration::MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS).map_err(failed)?;
    let versions = migrations
        .iter()
        .map(|migration| migration.name().version().to_string());
    Ok(versions.collect())
}

fn refuse_unknown(connection: &mut PgConnection) -> Result<(), StorageError> {
    let known = known()?;
    let applied = connection.applied_migrations().map_err(failed)?;
    match applied
        .iter()
        .map(ToString::to_string)
        .find(|version| !known.contains(version))
    {
        None => Ok(()),
        Some(version) => Err(StorageError::Migration(format!(
            "the database has migration {version}, which this version of Caldera does not know; start a newer one"
        ))),
    }
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StorageError {
    match error.downcast::<diesel::result::Error>() {
        Ok(error) => StorageError::from(*error),
        Err(error) => StorageError::Migration(error.to_string()),
    }
}
