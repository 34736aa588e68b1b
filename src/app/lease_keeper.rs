//! Keeps the lease on the database: a thread that looks every few seconds and takes the lock again after a lost
//! connection. Where another process has taken over, this one ends at once; the billing writer would be refused anyway.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::engine::journal;
use crate::storage::Database;
use crate::storage::lease::{Lease, LeaseError};

const INTERVAL: Duration = Duration::from_secs(2);

/// The running thread.
pub struct LeaseKeeper {
    thread: JoinHandle<()>,
    stop: Sender<()>,
}

impl LeaseKeeper {
    pub fn start(lease: Lease, database: Database) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = thread::Builder::new()
            .name("lease".into())
            .spawn(move || keep(lease, &database, &stopped))?;
        Ok(Self { thread, stop })
    }

    /// Gives the lease up, after the last write.
    pub fn end(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the keeper of the lease had died");
        }
    }
}

fn keep(mut lease: Lease, database: &Database, stopped: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
        if lease.is_held() {
            continue;
        }
        match lease.renew(database) {
            Ok(()) => tracing::info!("the lease on the database was taken again"),
            Err(LeaseError::Storage(error)) => {
                tracing::warn!(error = %error, "the lease on the database cannot be taken again yet")
            }
            Err(error @ LeaseError::Held { .. }) => journal::fail("this process has lost the database", &error),
        }
    }
}
