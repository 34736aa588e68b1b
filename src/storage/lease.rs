//! One process serves one database. The lease is an advisory lock that lives as long as its connection, and an epoch
//! that grows with every holder. A holder whose connection broke may not know that another process has taken over, so
//! the lock alone protects nothing: the billing writer checks the epoch in every transaction, and fails closed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Timestamptz};

use super::schema::server_lease;
use super::{Database, StorageError};

/// The number of the advisory lock: "lease" in ASCII; migrations have another.
const LOCK: i64 = 0x006c_6561_7365;

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("another process serves this database: {holder}")]
    Held { holder: String },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The right to serve the database; it ends when this is dropped.
pub struct Lease {
    epoch: i64,
    connection: PgConnection,
}

/// Who serves the database, as the database knows it, and what its clock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    pub epoch: i64,
    pub holder: String,
    /// Unix milliseconds.
    pub acquired_ms: i64,
    /// Whether the holder has the name of this process.
    pub is_own: bool,
    /// Unix milliseconds.
    pub database_ms: i64,
}

/// Reads the lease without taking it.
pub fn look(connection: &mut PgConnection) -> Result<LeaseView, StorageError> {
    let clock = diesel::dsl::sql::<Timestamptz>("clock_timestamp()");
    let (epoch, holder, acquired_at, now): (i64, String, DateTime<Utc>, DateTime<Utc>) = server_lease::table
        .select((
            server_lease::epoch,
            server_lease::holder,
            server_lease::acquired_at,
            clock,
        ))
        .first(connection)?;
    Ok(LeaseView {
        epoch,
        is_own: holder == own_name(),
        holder,
        acquired_ms: acquired_at.timestamp_millis(),
        database_ms: now.timestamp_millis(),
    })
}

fn own_name() -> String {
    format!("process {}", std::process::id())
}

/// Takes the lease, or says who holds it. Blocks only for the round trips.
pub fn acquire(database: &Database) -> Result<Lease, LeaseError> {
    let mut connection = database.connect_alone()?;
    let locked = diesel::select(pg_try_advisory_lock(LOCK)).get_result::<bool>(&mut connection);
    if !locked.map_err(StorageError::from)? {
        let holder = server_lease::table.select(server_lease::holder).first(&mut connection);
        return Err(LeaseError::Held {
            holder: holder.map_err(StorageError::from)?,
        });
    }
    let epoch = diesel::update(server_lease::table.find(1))
        .set((
            server_lease::epoch.eq(server_lease::epoch + 1),
            server_lease::holder.eq(own_name()),
            server_lease::acquired_at.eq(diesel::dsl::now),
        ))
        .returning(server_lease::epoch)
        .get_result(&mut connection)
        .map_err(StorageError::from)?;
    Ok(Lease { epoch, connection })
}

impl Lease {
    /// The number that every write of this holder carries.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Asks the database whether this process still holds the lock: `false` once the connection has been lost. Another
    /// process may then take over at any moment; until it does, the epoch still lets this one write.
    pub fn is_held(&mut self) -> bool {
        diesel::select(diesel::dsl::sql::<Bool>("true"))
            .get_result::<bool>(&mut self.connection)
            .is_ok()
    }

    /// Takes the lock again on a new connection, after the old one was lost. `Held` where another process took over in
    /// between: then this one must end. `Unavailable` while Postgres has not noticed the loss: then try again.
    pub fn renew(&mut self, database: &Database) -> Result<(), LeaseError> {
        let mut connection = database.connect_alone()?;
        let locked = diesel::select(pg_try_advisory_lock(LOCK)).get_result::<bool>(&mut connection);
        let (epoch, holder): (i64, String) = server_lease::table
            .select((server_lease::epoch, server_lease::holder))
            .first(&mut connection)
            .map_err(StorageError::from)?;
        if epoch != self.epoch {
            return Err(LeaseError::Held { holder });
        }
        if !locked.map_err(StorageError::from)? {
            let reason = "the lost connection still holds the lock".to_owned();
            return Err(StorageError::Unavailable(reason).into());
        }
        self.connection = connection;
        Ok(())
    }

    /// Gives the lease back at a clean stop, so that the next process need not wait until Postgres sees this one gone.
    pub fn release(mut self) -> Result<(), StorageError> {
        diesel::select(pg_advisory_unlock(LOCK)).get_result::<bool>(&mut self.connection)?;
        Ok(())
    }
}

diesel::define_sql_function! {
    fn pg_try_advisory_lock(key: BigInt) -> Bool;
}

diesel::define_sql_function! {
    fn pg_advisory_unlock(key: BigInt) -> Bool;
}
