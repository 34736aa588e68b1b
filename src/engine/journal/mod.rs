//! The usage journal: the queue of everything billable, on disk before it counts. Each worker writes its own lane; one
//! thread fsyncs all lanes in groups; the billing actor reads behind and deletes what Postgres has. A crash loses
//! nothing that was written; lost power loses what was not fsynced, some milliseconds. A failed write or fsync ends the
//! process, because replaying is the only safe answer.

mod charge;
mod fields;
pub mod lane;
pub mod record;
pub mod replay;
mod segment;
mod shared;
pub mod tail;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use lane::Lane;
use shared::{LaneShared, Space, SpaceLimits};
use tail::Tail;

use super::options::{Durability, JournalOptions};

/// No space: new calls must wait until Postgres has taken some of the backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal is full")]
pub struct JournalFull;

/// The journal ended before the record was where it was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal has been closed")]
pub struct Closed;

/// A record that stands in the journal.
pub struct Written {
    shared: Arc<LaneShared>,
    sequence: u64,
}

impl Written {
    /// Ends when the record is as durable as the configuration asks before an answer may leave.
    pub async fn durable(&self) -> Result<(), Closed> {
        match self.shared.durability() {
            Durability::Os => Ok(()),
            Durability::Fsync => self.reached(self.shared.watch_durable()).await,
        }
    }

    /// Ends when the record is in Postgres.
    pub async fn committed(&self) -> Result<(), Closed> {
        self.reached(self.shared.watch_committed()).await
    }

    async fn reached(&self, mut mark: tokio::sync::watch::Receiver<u64>) -> Result<(), Closed> {
        mark.wait_for(|reached| *reached >= self.sequence)
            .await
            .map(|_| ())
            .map_err(|_| Closed)
    }
}

/// All lanes, and the thread that fsyncs them.
pub struct Journal {
    lanes: Vec<Arc<LaneShared>>,
    space: Arc<Space>,
    first_sequences: Vec<u64>,
    stopping: Arc<AtomicBool>,
    flusher: Option<JoinHandle<()>>,
    /// Held as long as the journal is: one process writes a directory.
    _lock: File,
}

/// A journal directory that this process has to itself.
pub struct JournalDirectory {
    path: PathBuf,
    lock: File,
}

impl JournalDirectory {
    /// Makes the directory where needed, for its owner alone, and locks it; `WouldBlock` where another process holds it.
    pub fn lock(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
        let lock = File::create(path.join("lock"))?;
        lock.try_lock()?;
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Journal {
    /// Opens `lanes` new lanes in a directory whose old segments have been replayed and deleted. `last_sequences` are
    /// the highest numbers ever used, by lane; numbers go on above them.
    pub fn open(
        directory: JournalDirectory,
        options: &JournalOptions,
        last_sequences: &[u64],
        lanes: usize,
    ) -> io::Result<Self> {
        let most = options.max_size_mb << 20;
        let limits = SpaceLimits {
            segment_size: options.segment_size_mb << 20,
            shed_above: most / 100 * options.shed_at_percent,
            most,
        };
        let next_serial = segment::list(&directory.path)?
            .last()
            .map_or(1, |(serial, _)| serial + 1);
        let space = Arc::new(Space::new(directory.path, limits, next_serial, lanes));
        let last = |lane: usize| last_sequences.get(lane).copied().unwrap_or(0);
        let shared = |lane: usize| Arc::new(LaneShared::new(lane as u32, options.durability, last(lane)));
        let lanes: Vec<_> = (0..lanes).map(shared).collect();
        let stopping = Arc::new(AtomicBool::new(false));
        let flusher = spawn_flusher(
            &lanes,
            &space,
            &stopping,
            Duration::from_millis(options.fsync_interval_ms.max(1)),
        )?;
        let first_sequences = (0..lanes.len()).map(|lane| last(lane) + 1).collect();
        Ok(Self {
            lanes,
            space,
            first_sequences,
            stopping,
            flusher: Some(flusher),
            _lock: directory.lock,
        })
    }

    /// The writer of a lane, for the worker whose thread calls this. Each lane is taken once.
    pub fn lane(&self, place: usize) -> io::Result<Lane> {
        Lane::new(
            self.lanes[place].clone(),
            self.space.clone(),
            self.first_sequences[place],
        )
    }

    /// The reader behind all lanes, for the billing actor.
    pub fn tail(&self) -> Tail {
        Tail::new(self.lanes.clone(), self.space.clone())
    }

    /// Bytes of segments that Postgres does not have whole.
    pub fn size_bytes(&self) -> u64 {
        self.space.used()
    }

    /// At how many of them new calls are refused.
    pub fn shed_bytes(&self) -> u64 {
        self.space.shed_above()
    }

    /// How far each lane is written.
    pub fn written(&self) -> Vec<u64> {
        self.lanes.iter().map(|lane| lane.written()).collect()
    }

    /// Whether this process has been told that Postgres has everything up to there.
    pub fn has_committed(&self, written: &[u64]) -> bool {
        let mut lanes = self.lanes.iter().zip(written);
        lanes.all(|(lane, written)| lane.committed() >= *written)
    }

    /// Records that Postgres does not have.
    pub fn backlog(&self) -> u64 {
        self.lanes
            .iter()
            .map(|lane| lane.written().saturating_sub(lane.committed()))
            .sum()
    }
}

impl Drop for Journal {
    /// Fsyncs for the last time and deletes the spares; the segments stay for the next start where they are needed.
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(flusher) = self.flusher.take() {
            flusher.thread().unpark();
            if flusher.join().is_err() {
                tracing::error!("the journal's flusher had died");
            }
        }
        self.space.clear();
    }
}

fn spawn_flusher(
    lanes: &[Arc<LaneShared>],
    space: &Arc<Space>,
    stopping: &Arc<AtomicBool>,
    interval: Duration,
) -> io::Result<JoinHandle<()>> {
    let (shared, space, stopping) = (lanes.to_vec(), space.clone(), stopping.clone());
    let flusher = thread::Builder::new().name("journal-flusher".into()).spawn(move || {
        loop {
            let last = stopping.load(Ordering::Acquire);
            for lane in &shared {
                if let Err(error) = lane.sync() {
                    fail("the journal could not be fsynced", &error);
                }
            }
            if last {
                return;
            }
            space.stock();
            thread::park_timeout(interval);
        }
    })?;
    for lane in lanes {
        lane.attach_flusher(flusher.thread().clone());
    }
    Ok(flusher)
}

/// Ends the process at once: what cannot be recorded must not go on, and replay is the restart.
pub(crate) fn fail(what: &str, error: &dyn std::fmt::Display) -> ! {
    tracing::error!(error = %error, "{what}; ending the process, the next start replays");
    std::process::abort()
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
