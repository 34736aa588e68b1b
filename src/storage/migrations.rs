//! The migrations that are compiled in, and their run at the start.
//! They run on a connection of their own under an advisory lock, so that two processes take turns. A database that
//! knows migrations which this program does not is refused: it belongs to a newer one.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{StorageError, with_parameters};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Any number does, as long as it stays: a process of another version must meet the same lock.
const ADVISORY_LOCK: i64 = 0x0063_616c_6465_7261;

/// How long to wait for another process that migrates, and for a table that somebody holds.
const LOCK_TIMEOUT_S: u32 = 60;

/// Brings the database to this program's schema; answers the names of the migrations that it ran. Blocks.
pub fn migrate(url: &str) -> Result<Vec<String>, StorageError> {
    let mut connection = PgConnection::establish(&with_parameters(url))?;
    connection.batch_execute(&format!(
        "SET lock_timeout = '{LOCK_TIMEOUT_S}s'; SET client_min_messages = warning; \
         SELECT pg_advisory_lock({ADVISORY_LOCK})"
    ))?;
    refuse_unknown(&mut connection)?;
    // The lock goes with the connection, whatever happens.
    let ran = connection.run_pending_migrations(MIGRATIONS).map_err(failed)?;
    Ok(ran.iter().map(ToString::to_string).collect())
}

fn refuse_unknown(connection: &mut PgConnection) -> Result<(), StorageError> {
    let known: Vec<String> = diesel::migration::MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS)
        .map_err(failed)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
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
