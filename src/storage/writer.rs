//! The billing writer: one transaction a batch, on a connection of its own. A request's id is unique, and only rows
//! that are new move a balance, so the same batch may come any number of times. It fails closed: a process whose lease
//! another has taken writes nothing, and a batch whose entries do not sum to zero is not committed. Every statement
//! touches its rows in the order of their ids, so that writers never wait for each other in a circle.

mod columns;
mod credit;
mod deltas;
mod rollups;
mod statements;
mod thresholds;
mod traffic;

use diesel::Connection as _;
use diesel::PgConnection;
use diesel::result::{DatabaseErrorKind, Error as QueryError};

use super::{Database, StorageError};
use crate::domain::request::{Movement, Turn};
use crate::engine::outbox::Bell;
use crate::engine::ports::{Batch, BatchSink, SinkError};
use deltas::{Deltas, Written};

/// Writes batches to Postgres under one epoch of the lease.
pub struct PgSink {
    database: Database,
    epoch: i64,
    /// Made at the first batch, and anew after any error.
    connection: Option<PgConnection>,
    /// Rung when a batch told something.
    bell: Bell,
}

impl PgSink {
    /// A writer for the holder of this epoch of the lease. Nothing connects yet.
    pub fn new(database: Database, epoch: i64) -> Self {
        Self {
            database,
            epoch,
            connection: None,
            bell: Bell::default(),
        }
    }

    /// The same writer, ringing this bell.
    pub fn ringing(self, bell: Bell) -> Self {
        Self { bell, ..self }
    }
}

impl BatchSink for PgSink {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self
                .database
                .connect_alone()
                .map_err(|error| SinkError::Unavailable(error.to_string()))?,
        };
        let told_count = connection.transaction(|connection| write_batch(connection, self.epoch, batch))?;
        self.connection = Some(connection);
        if told_count > 0 {
            self.bell.ring();
        }
        Ok(())
    }
}

/// Why a transaction was rolled back.
enum WriteError {
    Fenced,
    Refused(String),
    Query(QueryError),
    Storage(StorageError),
}

/// Writes it all, and returns how many deliveries of webhooks came of it.
fn write_batch(connection: &mut PgConnection, epoch: i64, batch: &Batch) -> Result<usize, WriteError> {
    statements::set_limits(connection)?;
    if statements::lock_epoch(connection)? != Some(epoch) {
        return Err(WriteError::Fenced);
    }
    let turned: Vec<Movement> = batch.turns.iter().flat_map(Turn::movements).collect();
    let turned = statements::insert_movements(connection, &turned)?;
    let written = Written {
        settled: statements::insert_requests(connection, &batch.settled)?,
        movements: statements::insert_movements(connection, &batch.movements)?,
        turned: turned.into_iter().cloned().collect(),
    };
    let told_count = if written.is_empty() {
        0
    } else {
        move_balances(connection, &written)?
    };
    credit::write_turns(connection, &batch.turns)?;
    statements::move_marks(connection, &batch.marks)?;
    Ok(told_count)
}

fn move_balances(connection: &mut PgConnection, written: &Written<'_>) -> Result<usize, WriteError> {
    let deltas = Deltas::of(written).map_err(|refusal| WriteError::Refused(refusal.to_owned()))?;
    let batch_id = statements::insert_batch(connection, written)?;
    statements::move_counters(connection, &deltas.counters)?;
    let moved_count = statements::move_wallets(connection, &deltas.wallets)?;
    if moved_count != deltas.wallets.len() {
        return Err(WriteError::Refused(
            "a wallet is not there, or belongs to another merchant".to_owned(),
        ));
    }
    credit::move_credit(connection, &deltas.credit)?;
    credit::move_quantities(connection, &deltas.quantities)?;
    rollups::add(connection, &written.settled)?;
    traffic::add(connection, &written.settled)?;
    statements::insert_ledger(connection, batch_id, &deltas.ledger)?;
    Ok(thresholds::tell(connection, &deltas, written.latest_instant_ms())?)
}

impl From<QueryError> for WriteError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<StorageError> for WriteError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<WriteError> for SinkError {
    /// What contradicts the tables will do so again; all else is taken for the database's trouble, and tried again.
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Fenced => Self::Fenced,
            WriteError::Refused(reason) => Self::Refused(reason),
            WriteError::Query(error) | WriteError::Storage(StorageError::Query(error)) if contradicts(&error) => {
                Self::Refused(error.to_string())
            }
            WriteError::Storage(error) => Self::Unavailable(error.to_string()),
            WriteError::Query(error) => Self::Unavailable(StorageError::from(error).to_string()),
        }
    }
}

fn contradicts(error: &QueryError) -> bool {
    match error {
        QueryError::DatabaseError(
            DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ExclusionViolation,
            _,
        ) => true,
        QueryError::DatabaseError(_, details) => details.message().contains("out of range"),
        QueryError::SerializationError(_) | QueryError::QueryBuilderError(_) => true,
        _ => false,
    }
}
