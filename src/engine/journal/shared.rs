//! What the threads of the journal share: each lane's segments and how far they are written, on the disk, and in
//! Postgres; and the space that segments take. Locks are held for moments, never across a write or an fsync.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use tokio::sync::watch;

use crate::engine::options::Durability;

use super::segment::{Segment, SharedSegment};

/// One lane as its writer, the flusher and the billing actor see it.
pub struct LaneShared {
    lane: u32,
    segments: Mutex<VecDeque<SharedSegment>>,
    written: AtomicU64,
    durable: watch::Sender<u64>,
    committed: watch::Sender<u64>,
    durability: Durability,
    flusher: Mutex<Option<Thread>>,
}

impl LaneShared {
    pub fn new(lane: u32, durability: Durability, last_sequence: u64) -> Self {
        Self {
            lane,
            segments: Mutex::default(),
            written: AtomicU64::new(last_sequence),
            durable: watch::Sender::new(last_sequence),
            committed: watch::Sender::new(last_sequence),
            durability,
            flusher: Mutex::default(),
        }
    }

    pub fn lane(&self) -> u32 {
        self.lane
    }

    pub fn durability(&self) -> Durability {
        self.durability
    }

    pub fn push(&self, segment: SharedSegment) {
        locked(&self.segments).push_back(segment);
    }

    pub fn segments(&self) -> Vec<SharedSegment> {
        locked(&self.segments).iter().cloned().collect()
    }

    /// Forgets the oldest segment, which Postgres has whole.
    pub fn drop_oldest(&self) -> Option<SharedSegment> {
        locked(&self.segments).pop_front()
    }

    pub fn attach_flusher(&self, thread: Thread) {
        *locked(&self.flusher) = Some(thread);
    }

    pub fn announce_write(&self, sequence: u64) {
        self.written.store(sequence, Ordering::Release);
        if self.durability == Durability::Fsync
            && let Some(flusher) = locked(&self.flusher).as_ref()
        {
            flusher.unpark();
        }
    }

    /// Fsyncs what was written so far and tells those who wait for it.
    pub fn sync(&self) -> io::Result<()> {
        let written = self.written.load(Ordering::Acquire);
        if written == *self.durable.borrow() {
            return Ok(());
        }
        for segment in self.segments() {
            segment.sync()?;
        }
        self.durable.send_replace(written);
        Ok(())
    }

    /// Postgres has every record up to this one.
    pub fn announce_commit(&self, sequence: u64) {
        self.committed.send_replace(sequence);
    }

    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub fn committed(&self) -> u64 {
        *self.committed.borrow()
    }

    pub fn watch_durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    pub fn watch_committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }
}

/// The space of all segments: a spare one ready to be taken, and how much the files may come to.
pub struct Space {
    directory: PathBuf,
    segment_size: u64,
    /// Beyond this no new call is admitted.
    shed_above: u64,
    most: u64,
    used: AtomicU64,
    next_serial: AtomicU64,
    spares: Mutex<Vec<SharedSegment>>,
    spare_count: usize,
}

/// How much space segments may take, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct SpaceLimits {
    pub segment_size: u64,
    pub shed_above: u64,
    pub most: u64,
}

impl Space {
    pub fn new(directory: PathBuf, limits: SpaceLimits, next_serial: u64, lanes: usize) -> Self {
        Self {
            directory,
            segment_size: limits.segment_size,
            shed_above: limits.shed_above,
            most: limits.most,
            used: AtomicU64::new(0),
            next_serial: AtomicU64::new(next_serial),
            spares: Mutex::default(),
            spare_count: lanes,
        }
    }

    /// Whether new calls must be refused, so that those in flight can settle.
    pub fn is_short(&self) -> bool {
        self.used() >= self.shed_above
    }

    /// From how many bytes on new calls are refused.
    pub fn shed_above(&self) -> u64 {
        self.shed_above
    }

    /// Bytes of all segments but the spares.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// A spare segment, or a new one where there is none.
    pub fn take(&self) -> io::Result<SharedSegment> {
        if self.used() + self.segment_size > self.most {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the journal has reached its largest size",
            ));
        }
        let spare = locked(&self.spares).pop();
        let segment = spare.map_or_else(|| self.prepare(), Ok)?;
        self.used.fetch_add(segment.size(), Ordering::Relaxed);
        Ok(segment)
    }

    /// Makes spares, so that no worker waits for one. A full disk is told when a segment is really needed.
    pub fn stock(&self) {
        while locked(&self.spares).len() < self.spare_count {
            let Ok(segment) = self.prepare() else { return };
            locked(&self.spares).push(segment);
        }
    }

    pub fn give_back(&self, segment: &Segment) -> io::Result<()> {
        self.used.fetch_sub(segment.size(), Ordering::Relaxed);
        segment.remove()
    }

    /// Deletes the spares, at a stop.
    pub fn clear(&self) {
        for segment in locked(&self.spares).drain(..) {
            if let Err(error) = segment.remove() {
                tracing::warn!(error = %error, "a spare journal segment could not be deleted");
            }
        }
    }

    fn prepare(&self) -> io::Result<SharedSegment> {
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        Segment::prepare(&self.directory, serial, self.segment_size).map(Arc::new)
    }
}

/// The data of these locks is whole at every step, so a thread that died with one has left nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
