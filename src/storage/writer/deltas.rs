//! What the new rows of a batch add to counters, balances and the ledger, folded so that each account is written once.
//! Pure arithmetic, and checked: what does not fit refuses the batch.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::cycle::Cycle;
use crate::domain::ids::{MerchantId, SpendKeyId, WalletId};
use crate::domain::request::{AccountRef, Movement, OpenRequest, ProviderKeyType, Settlement};

/// The records of a batch that were not in the database before.
pub struct Written<'a> {
    pub settled: Vec<&'a (OpenRequest, Settlement)>,
    pub movements: Vec<&'a Movement>,
}

impl Written<'_> {
    pub fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.movements.is_empty()
    }

    pub fn len(&self) -> usize {
        self.settled.len() + self.movements.len()
    }

    /// The latest instant of any record, in unix milliseconds.
    pub fn latest_instant_ms(&self) -> i64 {
        let settled = self
            .settled
            .iter()
            .map(|(open, settlement)| open.admitted_at_ms.max(settlement.finished_at_ms));
        let movements = self.movements.iter().map(|movement| movement.at_ms);
        settled.chain(movements).max().unwrap_or_default()
    }
}

/// What one account of the ledger is: a wallet's or customer's own, or the merchant's other side of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerAccount {
    pub kind: &'static str,
    pub id: Uuid,
    pub merchant_id: MerchantId,
}

/// What is added to a key's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterDelta {
    /// Day, week, month, and all time.
    pub windows: [WindowDelta; 4],
    pub last_used_ms: i64,
}

/// What is added to the window with this start, in unix seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowDelta {
    pub start: i64,
    pub spend_nanos: i64,
    pub request_count: i64,
}

/// The sums of one batch, in the order of their ids.
#[derive(Debug, Default)]
pub struct Deltas {
    pub counters: BTreeMap<SpendKeyId, CounterDelta>,
    pub wallets: BTreeMap<WalletId, (MerchantId, i64)>,
    pub ledger: BTreeMap<LedgerAccount, i64>,
}

const OVERFLOW: &str = "a sum is out of range";

impl Deltas {
    pub fn of(written: &Written<'_>) -> Result<Self, &'static str> {
        let mut deltas = Self::default();
        for (open, settlement) in &written.settled {
            deltas.add_request(open, settlement)?;
        }
        for movement in &written.movements {
            deltas.add_movement(movement)?;
        }
        deltas.wallets.retain(|_, (_, amount)| *amount != 0);
        deltas.ledger.retain(|_, amount| *amount != 0);
        let sum: i128 = deltas.ledger.values().map(|amount| i128::from(*amount)).sum();
        if sum == 0 {
            Ok(deltas)
        } else {
            Err("the ledger entries of the batch do not sum to zero")
        }
    }

    fn add_request(&mut self, open: &OpenRequest, settlement: &Settlement) -> Result<(), &'static str> {
        let cost = settlement.cost.nanos();
        if let Some(key) = open.spend_key_id {
            self.counters.entry(key).or_default().add(open, cost)?;
        }
        // A call with a credential of the caller's or the merchant's was paid by him.
        match open.provider_key_type {
            ProviderKeyType::Managed => {}
            ProviderKeyType::Unmanaged | ProviderKeyType::Stored => return Ok(()),
        }
        let taken = cost.checked_neg().ok_or(OVERFLOW)?;
        self.add_to_wallet(open.wallet_id, open.merchant_id, taken)?;
        self.add_to_merchant("provider_cost", open.merchant_id, cost)
    }

    fn add_movement(&mut self, movement: &Movement) -> Result<(), &'static str> {
        let amount = movement.amount.nanos();
        match movement.account {
            AccountRef::Wallet(id) => self.add_to_wallet(id, movement.merchant_id, amount)?,
            AccountRef::Customer(id) => {
                let account = LedgerAccount {
                    kind: "customer",
                    id: id.uuid(),
                    merchant_id: movement.merchant_id,
                };
                add(self.ledger.entry(account).or_default(), amount)?;
            }
        }
        let other_side = amount.checked_neg().ok_or(OVERFLOW)?;
        self.add_to_merchant(movement.kind.name(), movement.merchant_id, other_side)
    }

    fn add_to_wallet(&mut self, id: WalletId, merchant_id: MerchantId, nanos: i64) -> Result<(), &'static str> {
        let (owner, amount) = self.wallets.entry(id).or_insert((merchant_id, 0));
        if *owner != merchant_id {
            return Err("two merchants use one wallet");
        }
        add(amount, nanos)?;
        let account = LedgerAccount {
            kind: "wallet",
            id: id.uuid(),
            merchant_id,
        };
        add(self.ledger.entry(account).or_default(), nanos)
    }

    fn add_to_merchant(&mut self, kind: &'static str, merchant: MerchantId, nanos: i64) -> Result<(), &'static str> {
        let account = LedgerAccount {
            kind,
            id: merchant.uuid(),
            merchant_id: merchant,
        };
        add(self.ledger.entry(account).or_default(), nanos)
    }
}

impl CounterDelta {
    fn add(&mut self, open: &OpenRequest, cost: i64) -> Result<(), &'static str> {
        // A call counts once, however many providers it was sent to.
        let one = WindowDelta {
            start: 0,
            spend_nanos: cost,
            request_count: i64::from(open.attempt_of.is_none()),
        };
        for (window, cycle) in self.windows.iter_mut().zip(Cycle::ALL) {
            let start = open.admission.start(cycle);
            window.add(WindowDelta { start, ..one })?;
        }
        self.last_used_ms = self.last_used_ms.max(open.admitted_at_ms);
        Ok(())
    }
}

impl WindowDelta {
    /// A later start begins anew; what belongs to an earlier one is no longer counted in this window.
    fn add(&mut self, one: Self) -> Result<(), &'static str> {
        if one.start > self.start || *self == Self::default() {
            *self = one;
        } else if one.start == self.start {
            add(&mut self.spend_nanos, one.spend_nanos)?;
            add(&mut self.request_count, one.request_count)?;
        }
        Ok(())
    }
}

fn add(sum: &mut i64, amount: i64) -> Result<(), &'static str> {
    *sum = sum.checked_add(amount).ok_or(OVERFLOW)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_only_its_latest_start() {
        let mut window = WindowDelta::default();
        let one = |start, spend_nanos, request_count| WindowDelta {
            start,
            spend_nanos,
            request_count,
        };
        for (start, cost) in [(-5, 1), (10, 2), (10, 3), (5, 100), (20, 4), (10, 100), (20, 5)] {
            window.add(one(start, cost, 1)).unwrap();
        }
        assert_eq!(
            window,
            WindowDelta {
                start: 20,
                spend_nanos: 9,
                request_count: 2
            }
        );
        assert_eq!(window.add(one(20, i64::MAX, 1)), Err(OVERFLOW));
        // A later attempt of a call costs, and is no further request.
        window.add(one(20, 7, 0)).unwrap();
        assert_eq!(window, one(20, 16, 2));
        window.add(one(30, 1, 0)).unwrap();
        window.add(one(30, 1, 1)).unwrap();
        assert_eq!(window, one(30, 2, 1));
    }
}
