//! A customer's credit: two buckets and the hold machine over them. A charge draws cycle credit first, then bundle
//! credit; what neither covers is a debt, cycle credit below zero, and whatever is granted next pays it back before it
//! fills a bucket. So there is never a debt beside bundle credit. Reservations fail closed: what is not there in total
//! is refused.

use super::money::Money;
use super::room::{Claim, Fit, Room};

/// Where credit lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// What a plan includes in each cycle; the only bucket that may be below zero.
    Cycle,
    /// What was bought beside it.
    Bundle,
}

/// Why credit moved without a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Included credit, as a subscription or a better plan began.
    Grant,
    /// Included credit of a further cycle.
    Renewal,
    /// Unused credit that did not outlive its cycle.
    Lapse,
    /// A bundle that was bought.
    Bundle,
    /// A bundle that was bought by itself, as credit ran out.
    TopUp,
    /// What should have been taken of the other bucket.
    Correction,
}

/// One movement of one bucket; `amount` is added, negative where it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub bucket: Bucket,
    pub kind: EntryKind,
    pub amount: Money,
}

/// What lies in the two buckets, or what was added to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    pub cycle: Money,
    pub bundle: Money,
}

/// What a charge took of each bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    pub cycle: Money,
    pub bundle: Money,
}

impl Credit {
    pub const ZERO: Self = Self {
        cycle: Money::ZERO,
        bundle: Money::ZERO,
    };

    /// Both buckets together; negative after a call that cost more than its hold.
    pub const fn total(self) -> Money {
        self.cycle.saturating_add(self.bundle)
    }

    /// Takes a charge: cycle credit down to zero, then bundle credit down to zero, the rest as a debt.
    pub fn draw(&mut self, charge: Money) -> Draw {
        let of_cycle = charge.min(self.cycle.or_zero());
        let rest = charge.saturating_sub(of_cycle);
        let bundle = rest.min(self.bundle);
        let debt = rest.saturating_sub(bundle);
        let draw = Draw {
            cycle: of_cycle.saturating_add(debt),
            bundle,
        };
        self.cycle = self.cycle.saturating_sub(draw.cycle);
        self.bundle = self.bundle.saturating_sub(draw.bundle);
        draw
    }

    /// Adds to a bucket, once debts are paid; returns what each bucket got. A correction that takes (a negative
    /// amount) takes as a charge does, whatever its bucket.
    pub fn grant(&mut self, bucket: Bucket, amount: Money) -> Self {
        if amount < Money::ZERO {
            let draw = self.draw(Money::ZERO.saturating_sub(amount));
            return Self {
                cycle: Money::ZERO.saturating_sub(draw.cycle),
                bundle: Money::ZERO.saturating_sub(draw.bundle),
            };
        }
        let debt = Money::ZERO.saturating_sub(self.cycle).or_zero();
        let cycle = match bucket {
            Bucket::Cycle => amount,
            Bucket::Bundle => amount.min(debt),
        };
        let granted = Self {
            cycle,
            bundle: amount.saturating_sub(cycle),
        };
        self.add(granted);
        granted
    }

    /// Adds to each bucket as it says, as when a movement that was decided before is applied again.
    pub fn add(&mut self, delta: Self) {
        self.cycle = self.cycle.saturating_add(delta.cycle);
        self.bundle = self.bundle.saturating_add(delta.bundle);
    }

    /// Applies an entry that a transition has decided.
    pub fn book(&mut self, entry: Entry) {
        self.add(entry.delta());
    }

    /// What lies in this bucket.
    pub const fn of(self, bucket: Bucket) -> Money {
        match bucket {
            Bucket::Cycle => self.cycle,
            Bucket::Bundle => self.bundle,
        }
    }
}

impl Entry {
    /// What the entry adds to each bucket.
    pub const fn delta(self) -> Credit {
        match self.bucket {
            Bucket::Cycle => Credit {
                cycle: self.amount,
                bundle: Money::ZERO,
            },
            Bucket::Bundle => Credit {
                cycle: Money::ZERO,
                bundle: self.amount,
            },
        }
    }
}

/// A customer's credit, and what is held of it for calls in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CustomerCredit {
    pub credit: Credit,
    pub held: Money,
}

impl CustomerCredit {
    pub const fn new(credit: Credit) -> Self {
        Self {
            credit,
            held: Money::ZERO,
        }
    }

    /// What new calls may still use; never negative.
    pub fn available(&self) -> Money {
        self.room().available()
    }

    /// Sets aside what the claim asks for, or says why not.
    pub fn reserve(&mut self, claim: Claim) -> Fit {
        let fit = self.room().fit(claim);
        if let Fit::Granted(amount) = fit {
            self.held = self.held.saturating_add(amount);
        }
        fit
    }

    /// Ends a hold and books what the call is charged: to the credit that is there now, even where the cycle in which
    /// the call was admitted has ended.
    pub fn settle(&mut self, hold: Money, charge: Money) -> Draw {
        self.held = self.held.saturating_sub(hold).or_zero();
        self.credit.draw(charge)
    }

    /// As [`Credit::grant`]; holds stay as they are.
    pub fn grant(&mut self, bucket: Bucket, amount: Money) -> Credit {
        self.credit.grant(bucket, amount)
    }

    /// As [`Credit::book`], for all entries of a transition.
    pub fn book(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.credit.book(*entry);
        }
    }

    const fn room(&self) -> Room {
        Room {
            unspent: self.credit.total(),
            held: self.held,
        }
    }
}

#[cfg(test)]
#[path = "credit_tests.rs"]
mod tests;
