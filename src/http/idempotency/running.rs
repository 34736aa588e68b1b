//! Which idempotency keys are at work in this process: one call of a key at a time, and the next waits for its end. One
//! process serves a database, so whoever has a key's turn here is alone with its row.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::domain::credential::KeyHash;

/// How often old rows are looked for.
const PRUNE_INTERVAL_MS: i64 = 60_000;

type Keys = DashMap<KeyHash, watch::Receiver<()>>;

/// The keys at work, of all workers.
#[derive(Default)]
pub struct Running {
    keys: Arc<Keys>,
    /// Unix milliseconds.
    pruned_ms: AtomicI64,
}

impl Running {
    /// Waits for the key's turn; `None` where it does not come in time. The turn ends with what is returned.
    pub async fn take(&self, key: KeyHash, patience: Duration) -> Option<Turn> {
        let deadline = Instant::now() + patience;
        loop {
            let mut other = match self.enter(key) {
                Ok(turn) => return Some(turn),
                Err(other) => other,
            };
            // Nothing is ever sent: what is awaited is the end of the sender, which is the end of the turn.
            if timeout_at(deadline, other.changed()).await.is_err() {
                return None;
            }
        }
    }

    /// Whether it is time to look for old rows; whoever is told so looks.
    pub fn is_prune_due(&self, now_ms: i64) -> bool {
        let last = self.pruned_ms.load(Ordering::Relaxed);
        let swap = |now_ms| {
            self.pruned_ms
                .compare_exchange(last, now_ms, Ordering::Relaxed, Ordering::Relaxed)
        };
        now_ms.saturating_sub(last) >= PRUNE_INTERVAL_MS && swap(now_ms).is_ok()
    }

    fn enter(&self, key: KeyHash) -> Result<Turn, watch::Receiver<()>> {
        match self.keys.entry(key) {
            Entry::Occupied(entry) => Err(entry.get().clone()),
            Entry::Vacant(entry) => {
                let (sender, receiver) = watch::channel(());
                entry.insert(receiver);
                Ok(Turn {
                    keys: self.keys.clone(),
                    key,
                    _end: sender,
                })
            }
        }
    }
}

/// The right to work under a key.
pub struct Turn {
    keys: Arc<Keys>,
    key: KeyHash,
    /// Dropped after the entry is gone, so that whoever wakes finds the place free.
    _end: watch::Sender<()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.keys.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_key_is_at_work_once_and_the_next_waits_for_its_end() {
        actix_rt::System::new().block_on(async {
            let running = Running::default();
            let first = running.take([1; 32], LONG).await.unwrap();
            assert!(running.take([1; 32], Duration::from_millis(5)).await.is_none());
            let other = running.take([2; 32], LONG).await.unwrap();
            let end = async move { drop(first) };
            let (next, ()) = tokio::join!(running.take([1; 32], LONG), end);
            assert!(next.is_some());
            drop((next, other));
            assert!(running.keys.is_empty());
        });
    }

    #[test]
    fn old_rows_are_looked_for_once_a_minute() {
        let running = Running::default();
        let asked = [1_000_000, 1_000_001, 1_059_999, 1_060_000, 1_060_000];
        let told: Vec<bool> = asked.iter().map(|now_ms| running.is_prune_due(*now_ms)).collect();
        assert_eq!(told, [true, false, false, true, false]);
    }
}
