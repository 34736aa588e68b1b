//! The way to the shards that own customers' accounts; the twin of `accounts` for credit. A hold is a guard that
//! releases itself. A change of a subscription answers after its record is in Postgres.

use std::sync::{Arc, OnceLock};

use actix::Addr;
use dashmap::DashSet;
use tokio::sync::oneshot;

use crate::domain::customer_account::{CustomerAccount, Tally};
use crate::domain::ids::{CustomerId, MerchantId, MeterId};
use crate::domain::meter::{Meter, Metered};
use crate::domain::money::Money;
use crate::domain::request::{Charge, OpenRequest, Settlement};
use crate::domain::room::Claim;
use crate::domain::subscription::{Refusal, Turn};

use super::accounts::AccountRefusal;
use super::customer_actor::{
    Begin, Book, Change, CustomerShard, Entitle, Extend, Read, Report, Reserve, Settle, Transition,
};
use super::journal::{JournalFull, Written};
use super::spend::Stopped;
use super::top_ups::TopUps;

/// Why a customer does not have a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditRefusal {
    /// He has no active subscription, or none to a plan with this meter.
    NotOnPlan,
    /// His credit does not cover it.
    Account(AccountRefusal),
}

impl From<AccountRefusal> for CreditRefusal {
    fn from(refusal: AccountRefusal) -> Self {
        Self::Account(refusal)
    }
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the customer has no active subscription")]
    NoSubscription,
    #[error("the customer has a subscription already")]
    HasSubscription,
    #[error("the meter is not on the customer's plan")]
    NotOnPlan,
    /// Deleted meanwhile.
    #[error("there is no such customer")]
    NoCustomer,
    #[error("the plan of the subscription has no such bundle")]
    NoBundle,
    #[error("the journal is full")]
    JournalFull,
    #[error("the customers' shards have stopped")]
    Stopped,
}

impl From<JournalFull> for ChangeError {
    fn from(_: JournalFull) -> Self {
        Self::JournalFull
    }
}

/// A customer and his merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Whose {
    pub customer_id: CustomerId,
    pub merchant_id: MerchantId,
}

/// Credit held of a customer for one call; settle it, or drop it to release it.
#[derive(Debug)]
pub struct CreditHold {
    pub(super) whose: Whose,
    pub(super) amount: Money,
    /// What the customer had used of the meter when the call was admitted.
    pub(super) tally: Tally,
    pub(super) shard: Addr<CustomerShard>,
    pub(super) ended: bool,
}

impl CreditHold {
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// What the customer had used of the meter when the call was admitted.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Asks for more. The caller must not be cancelled while it waits.
    pub async fn extend(&mut self, claim: Claim) -> Result<Money, AccountRefusal> {
        let (reply, answer) = oneshot::channel();
        let message = Extend {
            whose: self.whose,
            claim,
            reply,
        };
        self.shard.try_send(message).map_err(|_| AccountRefusal::Overloaded)?;
        let amount = answer.await.map_err(|_| AccountRefusal::Stopped)??;
        self.amount = self.amount.saturating_add(amount);
        Ok(amount)
    }

    /// Charges what was used; `None` where the shard is gone. The caller must not be cancelled while it waits, and must
    /// record the charge.
    pub async fn settle(mut self, meter: Arc<Meter>, used: Metered) -> Option<Charge> {
        let (reply, answer) = oneshot::channel();
        self.ended = true;
        self.shard.do_send(Settle {
            whose: self.whose,
            hold: self.amount,
            meter,
            used,
            reply,
        });
        answer.await.ok()
    }

    /// Books a charge that the caller has decided and recorded, because he could not wait.
    pub fn book(mut self, meter: &Meter, charge: Charge) {
        self.ended = true;
        self.shard.do_send(Book {
            whose: self.whose,
            hold: self.amount,
            charge: Some((meter.id, charge)),
        });
    }
}

impl Drop for CreditHold {
    fn drop(&mut self) {
        if !self.ended {
            self.shard.do_send(Book {
                whose: self.whose,
                hold: self.amount,
                charge: None,
            });
        }
    }
}

/// What a call asks of a customer's credit.
#[derive(Clone, Debug)]
pub struct CreditAsk {
    pub meter: Arc<Meter>,
    /// What the call may use at most.
    pub bound: Metered,
    /// What it may use before it asks for more.
    pub least: Metered,
}

/// All customers' shards. Cheap to clone.
#[derive(Clone)]
pub struct CustomerAccounts {
    shards: Arc<[OnceLock<Addr<CustomerShard>>]>,
    /// Ids of requests that are being reported: one that was billed twice could not be taken back.
    reports: Arc<DashSet<(MerchantId, String)>>,
    top_ups: TopUps,
}

impl CustomerAccounts {
    pub fn new(count: usize) -> Self {
        Self {
            shards: (0..count.max(1)).map(|_| OnceLock::new()).collect(),
            reports: Arc::default(),
            top_ups: TopUps::default(),
        }
    }

    pub fn place(&self, customer_id: CustomerId) -> usize {
        (customer_id.bits() >> 1) as usize % self.shards.len()
    }

    /// Fills a place; `Err` where it was filled before, which means that a worker has been restarted.
    pub fn enrol(&self, place: usize, shard: Addr<CustomerShard>) -> Result<(), Stopped> {
        self.shards[place].set(shard).map_err(|_| Stopped)
    }

    pub fn is_complete(&self) -> bool {
        self.shards.iter().all(|place| place.get().is_some())
    }

    /// Whether the customer's plan has the meter.
    pub async fn entitle(&self, whose: Whose, meter_id: MeterId) -> Result<(), CreditRefusal> {
        let shard = self.shard(whose).map_err(|_| AccountRefusal::Stopped)?;
        let entitled = shard.send(Entitle { whose, meter_id }).await;
        entitled.map_err(|_| AccountRefusal::Stopped)?
    }

    /// Sets credit aside for a call on a meter of the customer's plan.
    pub async fn reserve(&self, whose: Whose, ask: CreditAsk) -> Result<CreditHold, CreditRefusal> {
        let (reply, answer) = oneshot::channel();
        let shard = self.shard(whose).map_err(|_| AccountRefusal::Stopped)?;
        shard
            .try_send(Reserve { whose, ask, reply })
            .map_err(|_| AccountRefusal::Overloaded)?;
        let held = answer.await.map_err(|_| AccountRefusal::Stopped)?;
        if let Err(CreditRefusal::Account(AccountRefusal::Insufficient { .. })) = &held {
            self.top_ups.wish(whose);
        }
        held
    }

    /// Customers who were refused for want of credit.
    pub const fn top_ups(&self) -> &TopUps {
        &self.top_ups
    }

    /// The account as it is now, with all cycles begun that have passed.
    pub async fn read(&self, whose: Whose) -> Result<CustomerAccount, Stopped> {
        self.shard(whose)?.send(Read { whose }).await.map_err(|_| Stopped)
    }

    /// Puts a new customer on the plan on which customers begin; answers once Postgres has it.
    pub async fn begin(&self, whose: Whose) -> Result<(), Stopped> {
        let begun = self.shard(whose)?.send(Begin { whose }).await.map_err(|_| Stopped)?;
        match begun {
            Some(written) => written.committed().await.map(drop).map_err(|_| Stopped),
            None => Ok(()),
        }
    }

    /// Makes a transition of the subscription, and returns the account once Postgres has it.
    pub async fn change(
        &self,
        whose: Whose,
        transition: impl FnOnce(&CustomerAccount, i64) -> Result<Turn, ChangeError> + Send + 'static,
    ) -> Result<CustomerAccount, ChangeError> {
        let transition: Transition = Box::new(transition);
        let shard = self.shard(whose).map_err(|_| ChangeError::Stopped)?;
        let changed = shard.send(Change { whose, transition }).await;
        let (account, written) = changed.map_err(|_| ChangeError::Stopped)??;
        written.committed().await.map_err(|_| ChangeError::Stopped)?;
        Ok(account)
    }

    /// Charges a request that a merchant reports, and returns the charge once Postgres has it. Who calls this holds the
    /// [`ReportClaim`] of its id, and has looked whether Postgres knows it.
    pub async fn report(&self, whose: Whose, report: Reported) -> Result<Charge, ChangeError> {
        let shard = self.shard(whose).map_err(|_| ChangeError::Stopped)?;
        let reported = shard.send(Report { whose, report }).await;
        let (charge, written): (Charge, Written) = reported.map_err(|_| ChangeError::Stopped)??;
        written.committed().await.map_err(|_| ChangeError::Stopped)?;
        Ok(charge)
    }

    /// The sole right to report a request of this id; `None` while another has it.
    pub fn claim_report(&self, merchant_id: MerchantId, caller_id: &str) -> Option<ReportClaim> {
        let name = (merchant_id, caller_id.to_owned());
        self.reports.insert(name.clone()).then(|| ReportClaim {
            reports: self.reports.clone(),
            name,
        })
    }

    fn shard(&self, whose: Whose) -> Result<&Addr<CustomerShard>, Stopped> {
        self.shards[self.place(whose.customer_id)].get().ok_or(Stopped)
    }
}

/// A request that was served elsewhere.
#[derive(Clone, Debug)]
pub struct Reported {
    pub open: OpenRequest,
    /// Its charge is filled in.
    pub settlement: Settlement,
    pub meter: Arc<Meter>,
    pub used: Metered,
}

/// See [`CustomerAccounts::claim_report`]; given up when it is dropped.
pub struct ReportClaim {
    reports: Arc<DashSet<(MerchantId, String)>>,
    name: (MerchantId, String),
}

impl Drop for ReportClaim {
    fn drop(&mut self) {
        self.reports.remove(&self.name);
    }
}
