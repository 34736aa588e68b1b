//! What the engine needs from the layers above: somebody who writes a billing batch. Storage answers it with one
//! Postgres transaction; tests answer it in memory.

use crate::domain::request::{Movement, OpenRequest, Settlement, Turn};

/// How far one lane of the journal has been written to the database: the highest sequence number of a record that
/// is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneMark {
    pub lane: i32,
    pub sequence: i64,
}

/// Records to be written in one transaction, each exactly once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub settled: Vec<(OpenRequest, Settlement)>,
    pub movements: Vec<Movement>,
    pub turns: Vec<Turn>,
    /// The marks that this batch moves forward, one a lane.
    pub marks: Vec<LaneMark>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.settled.len() + self.movements.len() + self.turns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.marks.is_empty()
    }
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Nothing is known to be written: the same batch will be sent again, which is safe because a request's id is
    /// unique and marks only move forward.
    #[error("the database is away: {0}")]
    Unavailable(String),
    /// Another process holds the lease: this one must end at once.
    #[error("another process has taken over this database")]
    Fenced,
    /// The batch contradicts the database; somebody must look.
    #[error("the batch was refused: {0}")]
    Refused(String),
}

/// Writes batches; called from one thread only, and may block.
pub trait BatchSink: Send {
    /// Writes the batch in one transaction. Records that are there already move no balance.
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError>;
}
