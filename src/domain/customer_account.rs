//! All that a customer's calls and his subscription may change at once: his credit and what is held of it, his
//! subscription, and what he has used of each meter in the period that runs. One actor owns it; a charge is decided
//! here from the quantity so far, so that any two calls that end together are charged as if one had ended first. It
//! fails closed: a call that his credit cannot cover is refused.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::credit::{Credit, CustomerCredit};
use super::ids::{MerchantId, MeterId, PlanId};
use super::meter::{ChargeOverflow, Meter, Metered};
use super::money::Money;
use super::request::{Charge, ChargePart};
use super::room::{Claim, Fit};
use super::subscription::{Status, Subscription, Turn};

/// One customer's account.
#[derive(Clone, Debug)]
pub struct CustomerAccount {
    pub merchant_id: MerchantId,
    pub credit: CustomerCredit,
    /// The latest, which may be over.
    pub subscription: Option<Subscription>,
    /// Counts the turns of the subscription.
    pub version: u64,
    tallies: HashMap<MeterId, Tally>,
}

/// What was used of a meter since an instant, in unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub period_start_s: i64,
    pub quantity: u64,
}

impl Tally {
    /// What a usage is charged after it, all of it by the credit of the cycle. What is too large to be an amount is
    /// charged what was held for it.
    pub fn charge(self, meter: &Meter, used: Metered, hold: Money) -> Charge {
        let (amount, parts) = match meter.charge(self.quantity, used) {
            Ok(charge) => (charge.amount, charge.parts.iter().map(part).collect()),
            Err(ChargeOverflow) => (hold, Vec::new()),
        };
        Charge {
            amount,
            from_cycle: amount,
            quantity: used.quantity,
            period_start_s: self.period_start_s,
            parts: gathered(parts),
        }
    }
}

impl CustomerAccount {
    /// A customer who has nothing.
    pub fn new(merchant_id: MerchantId) -> Self {
        Self {
            merchant_id,
            credit: CustomerCredit::default(),
            subscription: None,
            version: 0,
            tallies: HashMap::new(),
        }
    }

    /// As it was stored.
    pub fn restored(merchant_id: MerchantId, credit: Credit, version: u64) -> Self {
        Self {
            credit: CustomerCredit::new(credit),
            version,
            ..Self::new(merchant_id)
        }
    }

    /// Sets what was used of a meter, as it was stored.
    pub fn recall(&mut self, meter_id: MeterId, tally: Tally) {
        self.tallies.insert(meter_id, tally);
    }

    /// The subscription, while it is active.
    pub fn active_subscription(&self) -> Option<&Subscription> {
        let subscription = self.subscription.as_ref();
        subscription.filter(|subscription| subscription.status() == Status::Active)
    }

    /// Whether he belongs on the plan on which customers begin: he is on none yet, or has lost another. Who has left that
    /// very plan stays without.
    pub fn lacks_plan(&self, first: PlanId) -> bool {
        match &self.subscription {
            None => self.version == 0,
            Some(last) => last.status() == Status::Cancelled && last.terms.plan_id != first,
        }
    }

    /// When the period began that usage is counted in: the cycle of the subscription, or the calendar month (UTC).
    pub fn period_start_s(&self, now_s: i64) -> i64 {
        self.active_subscription()
            .map_or_else(|| month_start_s(now_s), |subscription| subscription.cycle_start_s)
    }

    /// What was used of the meter in the period that runs.
    pub fn tally(&self, meter_id: MeterId, now_s: i64) -> Tally {
        let none = Tally {
            period_start_s: self.period_start_s(now_s),
            quantity: 0,
        };
        let tally = self.tallies.get(&meter_id);
        let current = tally.filter(|tally| tally.period_start_s == none.period_start_s);
        current.copied().unwrap_or(none)
    }

    /// What a usage within the bound is charged at most, whatever other calls end before it.
    pub fn bound(&self, meter: &Meter, bound: Metered, now_s: i64) -> Result<Money, ChargeOverflow> {
        meter.upper_bound(self.tally(meter.id, now_s).quantity, bound)
    }

    /// Sets credit aside, or says why not.
    pub fn reserve(&mut self, claim: Claim) -> Fit {
        self.credit.reserve(claim)
    }

    /// Ends a hold and charges the usage. What is too large to be an amount is charged the hold.
    pub fn settle(&mut self, hold: Money, meter: &Meter, used: Metered, now_s: i64) -> Charge {
        let mut charge = self.tally(meter.id, now_s).charge(meter, used, hold);
        charge.from_cycle = self.credit.settle(hold, charge.amount).cycle;
        self.count(meter.id, &charge);
        charge
    }

    /// Ends a hold with a charge that was decided elsewhere, because nobody could wait for it here.
    pub fn book(&mut self, hold: Money, meter_id: MeterId, charge: &Charge) {
        self.credit.settle(hold, Money::ZERO);
        let taken = |amount: Money| Money::ZERO.saturating_sub(amount);
        self.credit.credit.add(Credit {
            cycle: taken(charge.from_cycle),
            bundle: taken(charge.amount.saturating_sub(charge.from_cycle)),
        });
        self.count(meter_id, charge);
    }

    /// Ends the hold of a call that is not charged.
    pub fn release(&mut self, hold: Money) {
        self.credit.settle(hold, Money::ZERO);
    }

    /// Makes a transition of the subscription true.
    pub fn apply(&mut self, turn: &Turn) {
        self.subscription = Some(turn.subscription.clone());
        self.credit.book(&turn.entries);
        self.version += 1;
    }

    fn count(&mut self, meter_id: MeterId, charge: &Charge) {
        let new = Tally {
            period_start_s: charge.period_start_s,
            quantity: 0,
        };
        let tally = self.tallies.entry(meter_id).or_insert(new);
        if tally.period_start_s < charge.period_start_s {
            *tally = new;
        }
        if tally.period_start_s == charge.period_start_s {
            tally.quantity = tally.quantity.saturating_add(charge.quantity);
        }
    }
}

/// Midnight of the month's first day.
fn month_start_s(now_s: i64) -> i64 {
    let first = DateTime::<Utc>::from_timestamp(now_s, 0)
        .and_then(|now| NaiveDate::from_ymd_opt(now.year(), now.month(), 1))
        .and_then(|day| day.and_hms_opt(0, 0, 0));
    first.map_or(0, |start| start.and_utc().timestamp())
}

fn part(part: &super::meter::ChargePart) -> ChargePart {
    ChargePart {
        start: part.tier.start,
        rate_nanos: part.tier.rate.nanos(),
        quantity: part.quantity,
        cost: part.cost,
    }
}

/// A usage that lies in more tiers than a record has room for has the last of them told as one.
fn gathered(mut parts: Vec<ChargePart>) -> Vec<ChargePart> {
    while parts.len() > Charge::PARTS_MOST {
        let (Some(last), Some(before)) = (parts.pop(), parts.last_mut()) else {
            break;
        };
        before.quantity = before.quantity.saturating_add(last.quantity);
        before.cost = before.cost.saturating_add(last.cost);
    }
    parts
}

#[cfg(test)]
#[path = "customer_account_tests.rs"]
mod tests;
