//! Purges what is older than the operator keeps: a thread with a connection of its own, at the start and each hour. It
//! runs only in the process that holds the lease. Batches are small, and it rests for longer than it works, so that the
//! billing writer hardly feels it. Nothing goes before everything that the journal held when the run began is known to be
//! in Postgres: a batch whose commit was never answered is sent again, and must then meet its rows. A kill loses nothing;
//! the next run goes on.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use diesel::PgConnection;

use crate::domain::ids::MerchantId;
use crate::engine::clock::Clock;
use crate::engine::journal::Journal;
use crate::engine::retention::{Age, Kept, PurgeRun, Retention};
use crate::storage::retention::{self, RequestPurge};
use crate::storage::{Database, StorageError, merchants};

const INTERVAL: Duration = Duration::from_secs(3600);
/// After a run that could not do its work.
const RETRY: Duration = Duration::from_secs(60);
const BATCH_ROWS: i64 = 500;
/// Of the time that a batch took, how often it rests as long.
const RESTS: u32 = 2;
const SHORTEST_REST: Duration = Duration::from_millis(10);
const JOURNAL_POLL: Duration = Duration::from_millis(100);

/// What the purge needs.
pub struct PurgeParts {
    pub database: Database,
    pub journal: Weak<Journal>,
    pub retention: Arc<Retention>,
    pub clock: Clock,
}

enum Word {
    /// The options are others.
    Wake,
    Stop,
}

/// The running thread.
#[derive(Clone)]
pub struct Purger(Sender<Word>);

impl Purger {
    pub fn start(parts: PurgeParts) -> std::io::Result<Self> {
        let (sender, words) = channel();
        let worker = Worker {
            parts,
            words,
            woken: Cell::new(false),
        };
        thread::Builder::new()
            .name("purge".into())
            .spawn(move || worker.run())?;
        Ok(Self(sender))
    }

    /// Begins a run now.
    pub fn wake(&self) {
        self.tell(Word::Wake);
    }

    /// Ends it between two batches; nobody waits for that, because a batch is done whole or not at all.
    pub fn stop(&self) {
        self.tell(Word::Stop);
    }

    fn tell(&self, word: Word) {
        if self.0.send(word).is_err() {
            tracing::debug!("the purge has ended");
        }
    }
}

/// The stop has begun.
struct Stopped;

struct Worker {
    parts: PurgeParts,
    words: Receiver<Word>,
    /// Whether the options became others under the run.
    woken: Cell<bool>,
}

/// Why a run ended early.
enum Cut {
    Stopped,
    Storage(StorageError),
}

impl From<StorageError> for Cut {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Stopped> for Cut {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl Worker {
    fn run(self) {
        loop {
            self.parts.retention.note_next(None);
            let Ok(pause) = self.purge_all() else { return };
            if self.woken.take() {
                continue;
            }
            let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            let next_ms = self.parts.clock.wall_ms().saturating_add(pause_ms);
            self.parts.retention.note_next(Some(next_ms));
            match self.words.recv_timeout(pause) {
                Ok(Word::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long to wait for the next run.
    fn purge_all(&self) -> Result<Duration, Stopped> {
        let options = self.parts.retention.options();
        let mut pause = INTERVAL;
        for kept in [Kept::Requests, Kept::Audit] {
            let Some(days) = kept.days(&options) else { continue };
            if let Some(error) = self.purge(kept, days)? {
                tracing::warn!(error, purged = kept.name(), "the purge was cut short; it goes on later");
                pause = RETRY;
            }
        }
        Ok(pause)
    }

    /// Purges what is older, and says why where it did not come to the end.
    fn purge(&self, kept: Kept, days: u32) -> Result<Option<String>, Stopped> {
        let began_ms = self.parts.clock.wall_ms();
        let mut rows = 0;
        let error = match self.purge_one(kept, days, &mut rows) {
            Ok(()) => None,
            Err(Cut::Storage(error)) => Some(error.to_string()),
            Err(Cut::Stopped) => return Err(Stopped),
        };
        if rows > 0 {
            tracing::info!(rows, days, purged = kept.name(), "old rows were purged");
        }
        let run = PurgeRun {
            began_ms,
            ended_ms: self.parts.clock.wall_ms(),
            rows,
            error: error.clone(),
        };
        self.parts.retention.note(kept, run);
        Ok(error)
    }

    fn purge_one(&self, kept: Kept, days: u32, rows: &mut u64) -> Result<(), Cut> {
        let age = Age {
            now_ms: self.parts.clock.wall_ms(),
            days,
        };
        self.await_journal()?;
        let connection = &mut self.parts.database.connect_alone()?;
        match kept {
            Kept::Requests => {
                for merchant in merchants::list(connection)? {
                    self.purge_requests(connection, merchant.id, age, rows)?;
                }
                self.in_batches(rows, || retention::purge_refusals(connection, age, BATCH_ROWS))
            }
            Kept::Audit => self.in_batches(rows, || retention::purge_audit(connection, age, BATCH_ROWS)),
            // The outbox sweeps what is its own.
            Kept::WebhookDeliveries => Ok(()),
        }
    }

    fn purge_requests(
        &self,
        connection: &mut PgConnection,
        merchant: MerchantId,
        age: Age,
        rows: &mut u64,
    ) -> Result<(), Cut> {
        let mut from = None;
        self.in_batches(rows, || {
            let purge = RequestPurge {
                merchant,
                age,
                from,
                most: BATCH_ROWS,
            };
            let batch = retention::purge_requests(connection, purge)?;
            from = batch.until;
            Ok(batch.count)
        })
    }

    /// Until a batch is not full.
    fn in_batches(&self, rows: &mut u64, mut batch: impl FnMut() -> Result<u64, StorageError>) -> Result<(), Cut> {
        loop {
            let began = Instant::now();
            let count = batch()?;
            *rows += count;
            if count < BATCH_ROWS.unsigned_abs() {
                return Ok(());
            }
            self.rest((began.elapsed() * RESTS).max(SHORTEST_REST))?;
        }
    }

    /// Waits until Postgres has all that stands in the journal now.
    fn await_journal(&self) -> Result<(), Stopped> {
        let written = self.parts.journal.upgrade().ok_or(Stopped)?.written();
        while !self.parts.journal.upgrade().ok_or(Stopped)?.has_committed(&written) {
            self.rest(JOURNAL_POLL)?;
        }
        Ok(())
    }

    fn rest(&self, pause: Duration) -> Result<(), Stopped> {
        let until = Instant::now() + pause;
        loop {
            match self.words.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Word::Wake) => self.woken.set(true),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
        }
    }
}
