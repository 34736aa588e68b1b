//! The way to the shards that own balances; the twin of `spend` for wallets. A hold is a guard that releases itself.
//! Movements answer after their record is in Postgres.

use std::sync::{Arc, OnceLock};

use actix::Addr;
use dashmap::DashSet;
use tokio::sync::oneshot;

use crate::domain::account::{Account, Funding};
use crate::domain::ids::WalletId;
use crate::domain::money::Money;
use crate::domain::request::{AccountRef, Movement};
use crate::domain::room::Claim;

use super::account_actor::{AccountShard, Adopt, End, Extend, Post, Read, Reserve, SetFunding};
use super::journal::{JournalFull, Written};
use super::spend::Stopped;

/// Why an account did not cover a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRefusal {
    /// The balance cannot cover it.
    Insufficient {
        balance: Money,
        held: Money,
    },
    /// It could if calls in flight ended.
    Busy {
        balance: Money,
        held: Money,
    },
    Unknown,
    Overloaded,
    Stopped,
}

/// Why a movement was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    #[error("there is no such account")]
    Unknown,
    #[error("the journal is full")]
    JournalFull,
    #[error("the account shards have stopped")]
    Stopped,
}

impl From<JournalFull> for PostError {
    fn from(_: JournalFull) -> Self {
        Self::JournalFull
    }
}

/// Money held of a balance for one call; settle it, or drop it to release it.
#[derive(Debug)]
pub struct AccountHold {
    pub(super) wallet_id: WalletId,
    pub(super) amount: Money,
    pub(super) shard: Addr<AccountShard>,
    pub(super) ended: bool,
}

impl AccountHold {
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// Asks for more. The caller must not be cancelled while it waits.
    pub async fn extend(&mut self, claim: Claim) -> Result<Money, AccountRefusal> {
        let (reply, answer) = oneshot::channel();
        let message = Extend {
            wallet_id: self.wallet_id,
            claim,
            reply,
        };
        self.shard.try_send(message).map_err(|_| AccountRefusal::Overloaded)?;
        let amount = answer.await.map_err(|_| AccountRefusal::Stopped)??;
        self.amount = self.amount.saturating_add(amount);
        Ok(amount)
    }

    pub fn settle(mut self, actual: Money) {
        self.end(actual);
    }

    fn end(&mut self, actual: Money) {
        self.ended = true;
        self.shard.do_send(End {
            wallet_id: self.wallet_id,
            hold: self.amount,
            actual,
        });
    }
}

impl Drop for AccountHold {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Money::ZERO);
        }
    }
}

/// All account shards. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    shards: Arc<[OnceLock<Addr<AccountShard>>]>,
    /// Wallets that must cover a call before it runs; all others need no question.
    prepaid: Arc<DashSet<WalletId>>,
}

impl Accounts {
    pub fn new(count: usize) -> Self {
        Self {
            shards: (0..count.max(1)).map(|_| OnceLock::new()).collect(),
            prepaid: Arc::default(),
        }
    }

    /// Whether a call must be covered by this wallet before it runs.
    pub fn must_cover(&self, wallet_id: WalletId) -> bool {
        self.prepaid.contains(&wallet_id)
    }

    /// Notes how a wallet is funded, for [`Accounts::must_cover`].
    pub fn note_funding(&self, wallet_id: WalletId, funding: Funding) {
        match funding {
            Funding::Prepaid => drop(self.prepaid.insert(wallet_id)),
            Funding::Postpaid => drop(self.prepaid.remove(&wallet_id)),
        }
    }

    pub fn place(&self, wallet_id: WalletId) -> usize {
        (wallet_id.bits() >> 1) as usize % self.shards.len()
    }

    /// Fills a place; `Err` where it was filled before, which means that a worker has been restarted.
    pub fn enrol(&self, place: usize, shard: Addr<AccountShard>) -> Result<(), Stopped> {
        self.shards[place].set(shard).map_err(|_| Stopped)
    }

    pub fn is_complete(&self) -> bool {
        self.shards.iter().all(|place| place.get().is_some())
    }

    /// Sets money aside; a postpaid account always does.
    pub async fn reserve(&self, wallet_id: WalletId, claim: Claim) -> Result<AccountHold, AccountRefusal> {
        let (reply, answer) = oneshot::channel();
        let shard = self.shard(wallet_id).map_err(|_| AccountRefusal::Stopped)?;
        shard
            .try_send(Reserve {
                wallet_id,
                claim,
                reply,
            })
            .map_err(|_| AccountRefusal::Overloaded)?;
        answer.await.map_err(|_| AccountRefusal::Stopped)?
    }

    /// Books a charge that was not held for; for postpaid accounts, which never refuse.
    pub fn charge(&self, wallet_id: WalletId, actual: Money) {
        if let Ok(shard) = self.shard(wallet_id) {
            shard.do_send(End {
                wallet_id,
                hold: Money::ZERO,
                actual,
            });
        }
    }

    pub async fn adopt(&self, wallet_id: WalletId, account: Account) -> Result<(), Stopped> {
        self.note_funding(wallet_id, account.funding);
        self.shard(wallet_id)?
            .send(Adopt { wallet_id, account })
            .await
            .map_err(|_| Stopped)
    }

    pub async fn set_funding(&self, wallet_id: WalletId, funding: Funding) -> Result<(), Stopped> {
        self.shard(wallet_id)?
            .send(SetFunding { wallet_id, funding })
            .await
            .map_err(|_| Stopped)?;
        self.note_funding(wallet_id, funding);
        Ok(())
    }

    pub async fn read(&self, wallet_id: WalletId) -> Result<Option<Account>, Stopped> {
        self.shard(wallet_id)?
            .send(Read { wallet_id })
            .await
            .map_err(|_| Stopped)
    }

    /// Journals a movement of a wallet, applies it, and returns the balance once Postgres has it.
    pub async fn post(&self, movement: Movement) -> Result<Account, PostError> {
        let AccountRef::Wallet(wallet_id) = movement.account else {
            return Err(PostError::Unknown);
        };
        let shard = self.shard(wallet_id).map_err(|_| PostError::Stopped)?;
        let (account, written): (Account, Written) = shard
            .send(Post { wallet_id, movement })
            .await
            .map_err(|_| PostError::Stopped)??;
        written.committed().await.map_err(|_| PostError::Stopped)?;
        Ok(account)
    }

    fn shard(&self, wallet_id: WalletId) -> Result<&Addr<AccountShard>, Stopped> {
        self.shards[self.place(wallet_id)].get().ok_or(Stopped)
    }
}
