//! The books of one transition: every grant and lapse moves credit and leaves its entry, in order. Nothing else in a
//! transition touches credit.

use super::super::credit::{Bucket, Credit, Entry, EntryKind};
use super::super::money::Money;
use super::super::terms::Rollover;
use super::{Subscription, Turn};

/// Credit as a transition moves it, and the entries that say so.
pub struct Books {
    credit: Credit,
    entries: Vec<Entry>,
}

impl Books {
    pub const fn new(credit: Credit) -> Self {
        Self {
            credit,
            entries: Vec::new(),
        }
    }

    pub fn grant(&mut self, bucket: Bucket, kind: EntryKind, amount: Money) {
        let granted = self.credit.grant(bucket, amount);
        self.push(Bucket::Cycle, kind, granted.cycle);
        self.push(Bucket::Bundle, kind, granted.bundle);
    }

    /// A charge that was decided in haste is taken from cycle credit alone: bundles pay such a debt before they lapse.
    fn repay_debt(&mut self) {
        let debt = Money::ZERO.saturating_sub(self.credit.cycle).or_zero();
        let repaid = debt.min(self.credit.bundle.or_zero());
        for (bucket, amount) in [
            (Bucket::Cycle, repaid),
            (Bucket::Bundle, Money::ZERO.saturating_sub(repaid)),
        ] {
            let entry = self.push(bucket, EntryKind::Correction, amount);
            self.credit.book(entry);
        }
    }

    pub fn lapse(&mut self, bucket: Bucket, rollover: Rollover) {
        self.repay_debt();
        let lapsed = match rollover {
            Rollover::None => Money::ZERO.saturating_sub(self.credit.of(bucket).or_zero()),
            Rollover::Full => Money::ZERO,
        };
        let entry = self.push(bucket, EntryKind::Lapse, lapsed);
        self.credit.book(entry);
    }

    fn push(&mut self, bucket: Bucket, kind: EntryKind, amount: Money) -> Entry {
        let entry = Entry { bucket, kind, amount };
        if amount != Money::ZERO {
            self.entries.push(entry);
        }
        entry
    }

    pub fn close(self, subscription: Subscription) -> Turn {
        Turn {
            subscription,
            entries: self.entries,
            due: None,
        }
    }
}
