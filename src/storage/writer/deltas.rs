//! What the new rows of a batch add to counters, balances and the ledger, folded so that each account is written once.
//! Pure arithmetic, and checked: what does not fit refuses the batch.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::cycle::Cycle;
use crate::domain::ids::{CustomerId, MerchantId, MeterId, SpendKeyId, WalletId};
use crate::domain::request::{AccountRef, Charge, Metered, Movement, OpenRequest, ProviderKeyType, Settlement};

/// The records of a batch that were not in the database before.
pub struct Written<'a> {
    pub settled: Vec<&'a (OpenRequest, Settlement)>,
    pub movements: Vec<&'a Movement>,
    /// What is new of the movements that turns are made of.
    pub turned: Vec<Movement>,
}

impl Written<'_> {
    pub fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.movements.is_empty() && self.turned.is_empty()
    }

    pub fn len(&self) -> usize {
        self.settled.len() + self.movements.len() + self.turned.len()
    }

    /// The latest instant of any record, in unix milliseconds.
    pub fn latest_instant_ms(&self) -> i64 {
        let settled = self
            .settled
            .iter()
            .map(|(open, settlement)| open.admitted_at_ms.max(settlement.finished_at_ms));
        let moved = self.movements.iter().copied().chain(&self.turned);
        settled
            .chain(moved.map(|movement| movement.at_ms))
            .max()
            .unwrap_or_default()
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
    pub credit: BTreeMap<CustomerId, CreditDelta>,
    pub quantities: BTreeMap<QuantityPlace, (MerchantId, i64)>,
    pub ledger: BTreeMap<LedgerAccount, i64>,
}

/// What is added to a customer's credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditDelta {
    pub merchant_id: MerchantId,
    pub cycle_nanos: i64,
    pub bundle_nanos: i64,
}

/// What a customer used of a meter since this instant (unix seconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuantityPlace {
    pub customer_id: CustomerId,
    pub meter_id: MeterId,
    pub period_start_s: i64,
}

const OVERFLOW: &str = "a sum is out of range";

impl Deltas {
    pub fn of(written: &Written<'_>) -> Result<Self, &'static str> {
        let mut deltas = Self::default();
        for (open, settlement) in &written.settled {
            deltas.add_request(open, settlement)?;
        }
        for movement in written.movements.iter().copied().chain(&written.turned) {
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
        if let (Some(metered), Some(charge)) = (&open.metered, &settlement.charge) {
            self.add_charge(open.merchant_id, metered, charge)?;
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
            AccountRef::CycleCredit(_) | AccountRef::BundleCredit(_) => {
                self.add_to_credit(movement.account, movement.merchant_id, amount)?
            }
        }
        let other_side = amount.checked_neg().ok_or(OVERFLOW)?;
        self.add_to_merchant(movement.kind.name(), movement.merchant_id, other_side)
    }

    fn add_charge(&mut self, merchant_id: MerchantId, metered: &Metered, charge: &Charge) -> Result<(), &'static str> {
        let Some(customer_id) = metered.customer_id else {
            return Err("a charge without a customer");
        };
        let place = QuantityPlace {
            customer_id,
            meter_id: metered.meter_id,
            period_start_s: charge.period_start_s,
        };
        let quantity = i64::try_from(charge.quantity).map_err(|_| OVERFLOW)?;
        add(
            &mut self.quantities.entry(place).or_insert((merchant_id, 0)).1,
            quantity,
        )?;
        let (amount, cycle) = (charge.amount.nanos(), charge.from_cycle.nanos());
        let bundle = amount.checked_sub(cycle).ok_or(OVERFLOW)?;
        for (account, taken) in [
            (AccountRef::CycleCredit(customer_id), cycle),
            (AccountRef::BundleCredit(customer_id), bundle),
        ] {
            self.add_to_credit(account, merchant_id, taken.checked_neg().ok_or(OVERFLOW)?)?;
        }
        self.add_to_merchant("revenue", merchant_id, amount)
    }

    fn add_to_credit(&mut self, account: AccountRef, merchant_id: MerchantId, nanos: i64) -> Result<(), &'static str> {
        let (AccountRef::CycleCredit(id) | AccountRef::BundleCredit(id)) = account else {
            return Err("a wallet is no customer's credit");
        };
        let delta = self.credit.entry(id).or_insert(CreditDelta {
            merchant_id,
            cycle_nanos: 0,
            bundle_nanos: 0,
        });
        if delta.merchant_id != merchant_id {
            return Err("two merchants have one customer");
        }
        match account {
            AccountRef::BundleCredit(_) => add(&mut delta.bundle_nanos, nanos)?,
            AccountRef::CycleCredit(_) | AccountRef::Wallet(_) => add(&mut delta.cycle_nanos, nanos)?,
        }
        let entry = LedgerAccount {
            kind: account.kind(),
            id: id.uuid(),
            merchant_id,
        };
        add(self.ledger.entry(entry).or_default(), nanos)
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
    use crate::domain::ids::MovementId;
    use crate::domain::money::Money;
    use crate::domain::request::{MovementKind, Turn, TurnEntry};

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

    #[test]
    fn a_charge_is_revenue_and_leaves_both_credits_and_a_turn_moves_them_too() {
        let (merchant_id, customer_id) = (MerchantId::from_bits(2), CustomerId::from_bits(4));
        let money = Money::from_nanos;
        let metered = Metered {
            meter_id: MeterId::from_bits(6),
            customer_id: Some(customer_id),
            caller_id: String::new(),
            forecast: None,
        };
        let charge = Charge {
            amount: money(10),
            from_cycle: money(7),
            quantity: 100,
            period_start_s: 5,
            parts: Vec::new(),
        };
        let mut deltas = Deltas::default();
        deltas.add_charge(merchant_id, &metered, &charge).unwrap();
        deltas.add_charge(merchant_id, &metered, &charge).unwrap();
        let entry = |account, nanos| TurnEntry {
            account,
            kind: MovementKind::Renewal,
            amount: money(nanos),
        };
        let turn = Turn {
            id: MovementId::from_bits(8),
            merchant_id,
            customer_id,
            version: 1,
            at_ms: 0,
            subscription: String::new(),
            entries: vec![
                entry(AccountRef::CycleCredit(customer_id), 30),
                entry(AccountRef::BundleCredit(customer_id), 1),
            ],
        };
        for movement in turn.movements() {
            deltas.add_movement(&movement).unwrap();
        }
        let delta = deltas.credit[&customer_id];
        assert_eq!((delta.cycle_nanos, delta.bundle_nanos), (30 - 14, 1 - 6));
        assert_eq!(deltas.quantities.values().next(), Some(&(merchant_id, 200)));
        assert_eq!(deltas.ledger.values().sum::<i64>(), 0);
        let revenue = deltas.ledger.iter().find(|(account, _)| account.kind == "revenue");
        assert_eq!(revenue.map(|(_, amount)| *amount), Some(20));
        let other = deltas.add_charge(MerchantId::from_bits(12), &metered, &charge);
        assert_eq!(other, Err("two merchants have one customer"));
    }
}
