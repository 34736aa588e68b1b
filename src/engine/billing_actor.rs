//! Carries the journal to Postgres: tails it, writes one transaction a batch, and moves the watermark with it. It has a
//! thread of its own, because writing blocks. A crash loses nothing, since what is not committed is read again; a stop
//! drains the journal. While Postgres is away it backs off and tries again, and the backlog stays on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::journal::{self, tail::Tail};
use super::metrics::Metrics;
use super::options::BillingOptions;
use super::ports::{Batch, BatchSink, SinkError};

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const LEAVING: u8 = 2;

/// What the actor needs besides its journal and its database.
pub struct BillingParts {
    pub options: BillingOptions,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

/// The running actor.
pub struct BillingActor {
    thread: JoinHandle<()>,
    phase: Arc<AtomicU8>,
}

impl BillingActor {
    /// Starts it on a thread of its own.
    pub fn start(tail: Tail, sink: Box<dyn BatchSink>, parts: BillingParts) -> std::io::Result<Self> {
        let phase = Arc::new(AtomicU8::new(RUNNING));
        let BillingParts {
            options,
            metrics,
            clock,
        } = parts;
        let mut worker = Worker {
            tail,
            sink,
            options,
            phase: phase.clone(),
            metrics,
            clock,
        };
        let thread = thread::Builder::new()
            .name("billing".into())
            .spawn(move || worker.run())?;
        Ok(Self { thread, phase })
    }

    /// Writes what the journal holds, for at most so long, and ends. What is left stays in the journal.
    pub fn stop(self, patience: Duration) {
        self.phase.store(DRAINING, Ordering::Release);
        self.thread.thread().unpark();
        let watch = Watch {
            phase: self.phase.clone(),
            billing: self.thread.thread().clone(),
        };
        watch.leave_after(patience);
        if self.thread.join().is_err() {
            tracing::error!("the billing actor had died");
        }
    }
}

struct Watch {
    phase: Arc<AtomicU8>,
    billing: Thread,
}

impl Watch {
    /// Ends the drain when the time is up; a drain that ends before leaves this thread behind, asleep.
    fn leave_after(self, patience: Duration) {
        let watch = thread::Builder::new().name("billing-deadline".into()).spawn(move || {
            thread::sleep(patience);
            self.phase.store(LEAVING, Ordering::Release);
            self.billing.unpark();
        });
        if let Err(error) = watch {
            tracing::warn!(error = %error, "the drain of the journal has no deadline");
        }
    }
}

struct Worker {
    tail: Tail,
    sink: Box<dyn BatchSink>,
    options: BillingOptions,
    phase: Arc<AtomicU8>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Worker {
    fn run(&mut self) {
        let interval = Duration::from_millis(self.options.batch_interval_ms.max(1));
        loop {
            let phase = self.phase.load(Ordering::Acquire);
            let (began, began_ms) = (Instant::now(), self.clock.wall_ms());
            let batch = match self.tail.next_batch(self.options.batch_rows) {
                Ok(batch) => batch,
                Err(error) => journal::fail("the journal could not be read", &error),
            };
            if batch.is_empty() {
                self.note_caught_up(began_ms);
                if phase != RUNNING {
                    return;
                }
                thread::park_timeout(interval);
                continue;
            }
            if !self.write(&batch) {
                return;
            }
            if batch.len() < self.options.batch_rows {
                self.note_caught_up(began_ms);
            }
            if batch.len() < self.options.batch_rows && phase == RUNNING {
                thread::park_timeout(interval.saturating_sub(began.elapsed()));
            }
        }
    }

    /// All that was written before this instant is in Postgres.
    fn note_caught_up(&self, at_ms: i64) {
        self.metrics.billing_caught_up_ms.set(u64::try_from(at_ms).unwrap_or(0));
    }

    /// Writes the batch, however long Postgres is away; `false` where the stop did not wait for it.
    fn write(&mut self, batch: &Batch) -> bool {
        let mut backoff = FIRST_BACKOFF;
        loop {
            match self.sink.write(batch) {
                Ok(()) => break,
                Err(SinkError::Fenced) => journal::fail("this process has lost the database", &SinkError::Fenced),
                Err(error @ (SinkError::Unavailable(_) | SinkError::Refused(_))) => self.report(&error),
            }
            if self.phase.load(Ordering::Acquire) == LEAVING {
                return false;
            }
            thread::park_timeout(backoff);
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
        self.metrics.billing_batches.add(1);
        self.metrics.billing_rows.add(batch.len() as u64);
        self.metrics
            .billing_last_batch_ms
            .set(u64::try_from(self.clock.wall_ms()).unwrap_or(0));
        if let Err(error) = self.tail.commit() {
            journal::fail("a journal segment could not be deleted", &error);
        }
        true
    }

    fn report(&self, error: &SinkError) {
        self.metrics.billing_retries.add(1);
        match error {
            SinkError::Refused(_) => {
                tracing::error!(error = %error, "a billing batch was refused; it is tried again, and nothing passes it")
            }
            SinkError::Unavailable(_) | SinkError::Fenced => tracing::warn!(error = %error, "a billing batch waits"),
        }
    }
}
