//! The way to the shards that own spend keys: it picks the shard, sends, and gives out holds as guards. A guard that is
//! dropped without being settled releases its hold, so no path leaves one behind. It fails closed: a full mailbox or a
//! shard that is gone refuses the call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use actix::Addr;
use tokio::sync::{Notify, oneshot};

use crate::domain::ids::SpendKeyId;
use crate::domain::key::KeySettings;
use crate::domain::money::Money;
use crate::domain::rate::RateStatus;
use crate::domain::room::Claim;
use crate::domain::spend::{Call, Denial, Hold, SpendState, StoredCounters};

use super::spend_actor::{Adopt, Apply, Extend, Read, Release, Reserve, Settle, SpendShard, TotalSpend};

/// The shard does not answer: the process is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the spend shards have stopped")]
pub struct Stopped;

/// Why a call got no hold.
#[derive(Debug, PartialEq, Eq)]
pub enum ReserveError {
    Denied {
        denial: Denial,
        rate: Option<RateStatus>,
    },
    /// The shard has more to do than it may take on.
    Overloaded,
    Stopped,
}

/// The state of one key, advanced to the instant of the reading.
#[derive(Clone, Debug)]
pub struct KeySnapshot {
    pub settings: Arc<KeySettings>,
    pub state: SpendState,
}

/// Tells running streams of a key that it was revoked.
#[derive(Debug, Default)]
pub struct Revocation {
    revoked: AtomicBool,
    notify: Notify,
}

impl Revocation {
    pub(super) fn announce(&self) {
        self.revoked.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Ends when the key is revoked; otherwise never.
    pub async fn revoked(&self) {
        loop {
            let notified = self.notify.notified();
            if self.is_revoked() {
                return;
            }
            notified.await;
        }
    }
}

/// Money held for one call; settle it, or drop it to release it.
#[derive(Debug)]
pub struct HoldGuard {
    pub(super) key_id: SpendKeyId,
    pub(super) hold: Hold,
    pub(super) shard: Addr<SpendShard>,
    pub(super) ended: bool,
}

impl HoldGuard {
    pub fn hold(&self) -> Hold {
        self.hold
    }

    /// Asks for more; `Err` where there is no room. The caller must not be cancelled while it waits.
    pub async fn extend(&mut self, claim: Claim) -> Result<Money, ReserveError> {
        let (reply, answer) = oneshot::channel();
        let message = Extend {
            key_id: self.key_id,
            hold: self.hold,
            claim,
            reply,
        };
        self.shard.try_send(message).map_err(|_| ReserveError::Overloaded)?;
        let amount = answer
            .await
            .map_err(|_| ReserveError::Stopped)?
            .map_err(|denial| ReserveError::Denied { denial, rate: None })?;
        self.hold.amount = self.hold.amount.saturating_add(amount);
        Ok(amount)
    }

    /// Ends the hold and books what the call cost.
    pub fn settle(mut self, actual: Money) {
        self.ended = true;
        self.shard.do_send(Settle {
            key_id: self.key_id,
            hold: self.hold,
            actual,
        });
    }
}

impl Drop for HoldGuard {
    fn drop(&mut self) {
        if !self.ended {
            self.shard.do_send(Release {
                key_id: self.key_id,
                hold: self.hold,
            });
        }
    }
}

/// An admitted call.
#[derive(Debug)]
pub struct Granted {
    pub guard: HoldGuard,
    /// Unix milliseconds: the instant that chose the cycles of the hold.
    pub admitted_at_ms: i64,
    /// As of the admission.
    pub settings: Arc<KeySettings>,
    pub rate: Option<RateStatus>,
    pub revocation: Arc<Revocation>,
}

/// All shards. Cheap to clone.
#[derive(Clone)]
pub struct SpendShards {
    shards: Arc<[OnceLock<Addr<SpendShard>>]>,
}

impl SpendShards {
    /// As many places as there will be workers; each is filled by [`SpendShards::enrol`].
    pub fn new(count: usize) -> Self {
        Self {
            shards: (0..count.max(1)).map(|_| OnceLock::new()).collect(),
        }
    }

    pub fn count(&self) -> usize {
        self.shards.len()
    }

    /// The place of a key's shard.
    pub fn place(&self, key_id: SpendKeyId) -> usize {
        // The lowest bit says live or test; the rest of the low bits are random.
        (key_id.bits() >> 1) as usize % self.shards.len()
    }

    /// Fills a place; `Err` where it was filled before, which means that a worker has been restarted.
    pub fn enrol(&self, place: usize, shard: Addr<SpendShard>) -> Result<(), Stopped> {
        self.shards[place].set(shard).map_err(|_| Stopped)
    }

    pub fn is_complete(&self) -> bool {
        self.shards.iter().all(|place| place.get().is_some())
    }

    /// Sets money aside for a call.
    pub async fn reserve(&self, key_id: SpendKeyId, call: Call) -> Result<Granted, ReserveError> {
        let (reply, answer) = oneshot::channel();
        let shard = self.shard(self.place(key_id)).map_err(|_| ReserveError::Stopped)?;
        shard
            .try_send(Reserve { key_id, call, reply })
            .map_err(|_| ReserveError::Overloaded)?;
        answer.await.map_err(|_| ReserveError::Stopped)?
    }

    /// Takes in a new key.
    pub async fn adopt(&self, settings: Arc<KeySettings>, stored: StoredCounters) -> Result<(), Stopped> {
        let shard = self.shard(self.place(settings.id))?;
        shard.send(Adopt { settings, stored }).await.map_err(|_| Stopped)
    }

    /// Puts new settings in force; returns when they are enforced. Running streams of a revoked key are cut.
    pub async fn apply(&self, settings: Arc<KeySettings>) -> Result<(), Stopped> {
        let shard = self.shard(self.place(settings.id))?;
        shard.send(Apply { settings }).await.map_err(|_| Stopped)
    }

    /// The live state of these keys, in their order; `None` for one that is unknown.
    pub async fn read(&self, ids: &[SpendKeyId]) -> Result<Vec<Option<KeySnapshot>>, Stopped> {
        let mut snapshots: Vec<Option<KeySnapshot>> = vec![None; ids.len()];
        for place in 0..self.shards.len() {
            let (indexes, wanted): (Vec<usize>, Vec<SpendKeyId>) = ids
                .iter()
                .copied()
                .enumerate()
                .filter(|(_, id)| self.place(*id) == place)
                .unzip();
            if wanted.is_empty() {
                continue;
            }
            let read = self
                .shard(place)?
                .send(Read { ids: wanted })
                .await
                .map_err(|_| Stopped)?;
            for (index, snapshot) in indexes.into_iter().zip(read) {
                snapshots[index] = snapshot;
            }
        }
        Ok(snapshots)
    }

    /// What all keys that are not revoked have spent, ever.
    pub async fn total_spend(&self) -> Result<Money, Stopped> {
        let mut total = Money::ZERO;
        for place in 0..self.shards.len() {
            let spent = self.shard(place)?.send(TotalSpend).await.map_err(|_| Stopped)?;
            total = total.saturating_add(spent);
        }
        Ok(total)
    }

    fn shard(&self, place: usize) -> Result<&Addr<SpendShard>, Stopped> {
        self.shards[place].get().ok_or(Stopped)
    }
}
