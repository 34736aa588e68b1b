//! A customer's subscription as transitions: state, credit and the instant go in; the state from then on and the
//! movements of credit come out, to be written as one record. There is no renewal job that could be missed: whoever
//! calls [`Subscription::catch_up`], however late, gets every cycle that has passed. A paid cycle begins only with its
//! payment; until then, and while payments are tried again, what is left of the old cycle's credit may be used.

mod arrears;
mod books;
mod paid;

use super::billing_period::BillingPeriod;
use super::credit::{Bucket, Credit, Entry, EntryKind};
use super::ids::{CreditBundleId, CustomerId, PaymentId, SubscriptionId};
use super::money::Money;
use super::terms::{Offer, Rollover, Terms};
pub use arrears::{Arrears, Due, RETRY_DAYS};
use books::Books;

/// How many cycles one call of [`Subscription::catch_up`] begins at most, so that a record has a bounded size.
pub const CYCLES_A_TURN: usize = 100;

/// One subscription of one customer. Instants are in unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub terms: Terms,
    /// From where cycles are counted; see [`BillingPeriod`].
    pub anchor_s: i64,
    pub period_index: u32,
    pub started_at_s: i64,
    pub cycle_start_s: i64,
    /// Over already where a payment is due.
    pub cycle_end_s: i64,
    pub auto_top_up_bundle_id: Option<CreditBundleId>,
    pub pending: Option<Pending>,
    /// Failed payments of the next cycle.
    pub arrears: Option<Arrears>,
    /// Once it has ended for good.
    pub cancelled_at_s: Option<i64>,
    /// See [`Turn::paid_by`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_payments: Vec<PaymentId>,
}

/// What happens at the end of the cycle.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Pending {
    Cancellation,
    Downgrade(Box<Offer>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Active,
    Cancelled,
}

/// What a transition comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub subscription: Subscription,
    /// In order; none is zero.
    pub entries: Vec<Entry>,
    /// What must be paid before anything else happens.
    pub due: Option<Due>,
}

/// Why a transition is refused. Nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the subscription is cancelled")]
    Cancelled,
    #[error("no change is pending")]
    NothingPending,
    /// Paid or failed already, or overtaken by a change of plan.
    #[error("no such payment is due")]
    NotDue,
}

impl Subscription {
    /// Begins a subscription, with its included credit. Where the plan is paid, the first payment has been made.
    pub fn begin(id: SubscriptionId, offer: Offer, credit: Credit, now_s: i64) -> Turn {
        Self::begin_with(Books::new(credit), id, offer, now_s)
    }

    /// The id of a customer's subscription to the plan on which he begins: known before it has begun.
    pub const fn first_id(customer: CustomerId) -> SubscriptionId {
        SubscriptionId::from_bits(customer.bits())
    }

    pub const fn status(&self) -> Status {
        match self.cancelled_at_s {
            None => Status::Active,
            Some(_) => Status::Cancelled,
        }
    }

    /// When [`Self::catch_up`] has something to do next.
    pub fn wakes_at_s(&self) -> Option<i64> {
        match self.status() {
            Status::Cancelled => None,
            Status::Active => Some(match self.arrears {
                Some(arrears) if self.needs_payment() => arrears.next_attempt_s(),
                Some(_) | None => self.cycle_end_s,
            }),
        }
    }

    /// Does all that has become due: begins the cycles that have passed, each with its own entries, or ends the
    /// subscription. It stops where a payment is due, and says so as often as it is asked; and after
    /// [`CYCLES_A_TURN`] cycles, where [`Self::wakes_at_s`] is still not later than `now_s`.
    pub fn catch_up(&self, credit: Credit, now_s: i64) -> Turn {
        let (mut next, mut books, mut due) = (self.clone(), Books::new(credit), None);
        for _ in 0..CYCLES_A_TURN {
            if next.wakes_at_s().is_none_or(|at_s| at_s > now_s) {
                break;
            }
            if next.is_leaving() {
                next.end(&mut books, next.cycle_end_s);
            } else if next.needs_payment() {
                due = Some(next.due());
                break;
            } else {
                next.renew(&mut books, next.cycle_end_s);
            }
        }
        Turn {
            due,
            ..books.close(next)
        }
    }

    /// Begins the cycle that this payment was for. Of cycles that passed unpaid only the one at `now_s` begins: nobody
    /// pays for, or is granted, what is over. A payment of an earlier attempt that arrives late counts as well; what
    /// was decided while it was under way, and what it does not pay for, waits for the end of the cycle it paid for.
    pub fn renewed(&self, paid: Due, credit: Credit, now_s: i64) -> Result<Turn, Refusal> {
        self.check_due(paid)?;
        let (mut next, mut books) = (self.clone(), Books::new(credit));
        let is_for_next_terms = !self.is_leaving() && paid.amount == self.next_terms().period_amount;
        let put_off = if is_for_next_terms { None } else { next.pending.take() };
        next.renew(&mut books, now_s.max(self.cycle_end_s));
        next.pending = put_off;
        Ok(books.close(next))
    }

    /// Waits for the next attempt, or ends the subscription, with all credit, where there is none.
    pub fn payment_failed(&self, failed: Due, credit: Credit, now_s: i64) -> Result<Turn, Refusal> {
        self.check_due(failed)?;
        if failed.attempt != self.due().attempt {
            return Err(Refusal::NotDue);
        }
        let (mut next, mut books) = (self.clone(), Books::new(credit));
        let arrears = Arrears {
            failures: failed.attempt,
            first_failed_at_s: self.arrears.map_or(now_s, |arrears| arrears.first_failed_at_s),
        };
        if arrears.is_last() {
            next.end(&mut books, now_s);
        } else {
            next.arrears = Some(arrears);
        }
        Ok(books.close(next))
    }

    /// Changes the plan, which is paid where it has a price: at once if it is a step up, else at the end of the cycle.
    pub fn change_plan(&self, offer: Offer, credit: Credit, now_s: i64) -> Result<Turn, Refusal> {
        if offer.terms.is_step_up_from(&self.terms) {
            self.upgrade(offer, credit, now_s)
        } else {
            self.downgrade(offer)
        }
    }

    /// Changes the plan at once: a cycle of the new one begins now, with all its credit. Nothing is prorated: what is
    /// left of the old cycle's credit was paid for and stays, unless that cycle is over and only its renewal unpaid.
    pub fn upgrade(&self, offer: Offer, credit: Credit, now_s: i64) -> Result<Turn, Refusal> {
        self.check_active()?;
        let mut books = Books::new(credit);
        if now_s >= self.cycle_end_s {
            self.lapse(&mut books);
        }
        let mut turn = Self::begin_with(books, self.id, offer, now_s);
        turn.subscription.started_at_s = self.started_at_s;
        turn.subscription.recent_payments.clone_from(&self.recent_payments);
        Ok(turn)
    }

    /// Takes up another plan at once in the place of the one on which customers begin: his time on a plan begins now.
    pub fn take_up(&self, offer: Offer, credit: Credit, now_s: i64) -> Result<Turn, Refusal> {
        let mut turn = self.upgrade(offer, credit, now_s)?;
        turn.subscription.started_at_s = now_s;
        Ok(turn)
    }

    /// Changes the plan at the end of the cycle; takes the place of what was pending.
    pub fn downgrade(&self, offer: Offer) -> Result<Turn, Refusal> {
        self.with_pending(Some(Pending::Downgrade(Box::new(offer))))
    }

    /// Ends the subscription at the end of its cycle; takes the place of what was pending.
    pub fn cancel(&self) -> Result<Turn, Refusal> {
        self.with_pending(Some(Pending::Cancellation))
    }

    /// Takes back what was to happen at the end of the cycle, while the subscription is still active.
    pub fn withdraw_pending(&self) -> Result<Turn, Refusal> {
        self.check_active()?;
        match self.pending {
            Some(Pending::Cancellation | Pending::Downgrade(_)) => self.with_pending(None),
            None => Err(Refusal::NothingPending),
        }
    }

    /// Ends the subscription now, as when its customer is deleted.
    pub fn cancel_now(&self, credit: Credit, now_s: i64) -> Result<Turn, Refusal> {
        self.check_active()?;
        let (mut next, mut books) = (self.clone(), Books::new(credit));
        next.end(&mut books, now_s);
        Ok(books.close(next))
    }

    /// Adds the credit of a bundle, which has been paid; `kind` says whether it was bought by itself.
    pub fn buy_bundle(&self, kind: Purchase, amount: Money, credit: Credit) -> Result<Turn, Refusal> {
        self.check_active()?;
        let mut books = Books::new(credit);
        books.grant(Bucket::Bundle, kind.entry(), amount);
        Ok(books.close(self.clone()))
    }

    /// Which bundle is bought by itself as credit runs out, if any. It must be of the plan.
    pub fn set_auto_top_up(&self, bundle: Option<CreditBundleId>) -> Result<Turn, Refusal> {
        self.check_active()?;
        let next = Self {
            auto_top_up_bundle_id: bundle,
            ..self.clone()
        };
        Ok(Books::new(Credit::ZERO).close(next))
    }

    /// The terms of the next cycle.
    pub fn next_terms(&self) -> &Terms {
        match &self.pending {
            Some(Pending::Downgrade(offer)) => &offer.terms,
            Some(Pending::Cancellation) | None => &self.terms,
        }
    }

    fn begin_with(mut books: Books, id: SubscriptionId, offer: Offer, now_s: i64) -> Turn {
        let first = BillingPeriod::nth(now_s, offer.terms.interval, 0);
        books.grant(Bucket::Cycle, EntryKind::Grant, offer.terms.included_credit);
        books.close(Self {
            id,
            terms: offer.terms,
            anchor_s: now_s,
            period_index: first.index,
            started_at_s: now_s,
            cycle_start_s: first.start_s,
            cycle_end_s: first.end_s,
            auto_top_up_bundle_id: offer.auto_top_up_bundle_id,
            pending: None,
            arrears: None,
            cancelled_at_s: None,
            recent_payments: Vec::new(),
        })
    }

    fn needs_payment(&self) -> bool {
        !self.is_leaving() && !self.next_terms().is_free()
    }

    const fn is_leaving(&self) -> bool {
        matches!(self.pending, Some(Pending::Cancellation))
    }

    fn due(&self) -> Due {
        Due {
            amount: self.next_terms().period_amount,
            cycle_end_s: self.cycle_end_s,
            attempt: self.arrears.map_or(0, |arrears| arrears.failures) + 1,
        }
    }

    fn check_active(&self) -> Result<(), Refusal> {
        match self.status() {
            Status::Active => Ok(()),
            Status::Cancelled => Err(Refusal::Cancelled),
        }
    }

    fn check_due(&self, due: Due) -> Result<(), Refusal> {
        self.check_active()?;
        if due.cycle_end_s == self.cycle_end_s && due.attempt <= self.due().attempt {
            Ok(())
        } else {
            Err(Refusal::NotDue)
        }
    }

    fn with_pending(&self, pending: Option<Pending>) -> Result<Turn, Refusal> {
        self.check_active()?;
        let next = Self {
            pending,
            ..self.clone()
        };
        Ok(Books::new(Credit::ZERO).close(next))
    }

    /// Begins the cycle at `at_s`. A plan of another interval is counted from here; one of the same keeps the anchor,
    /// and with it its day of the month.
    fn renew(&mut self, books: &mut Books, at_s: i64) {
        self.lapse(books);
        if let Some(Pending::Downgrade(offer)) = self.pending.take() {
            if offer.terms.interval != self.terms.interval {
                self.anchor_s = self.cycle_end_s;
            }
            self.terms = offer.terms;
            self.auto_top_up_bundle_id = offer.auto_top_up_bundle_id;
        }
        let period = BillingPeriod::containing(self.anchor_s, self.terms.interval, at_s);
        self.period_index = period.index;
        self.cycle_start_s = period.start_s;
        self.cycle_end_s = period.end_s;
        self.arrears = None;
        books.grant(Bucket::Cycle, EntryKind::Renewal, self.terms.included_credit);
    }

    /// Ends a cycle: credit lapses by the terms under which it was granted.
    fn lapse(&self, books: &mut Books) {
        books.lapse(Bucket::Cycle, self.terms.rollover);
        books.lapse(Bucket::Bundle, self.terms.bundle_rollover);
    }

    /// All credit lapses; a debt stays.
    fn end(&mut self, books: &mut Books, at_s: i64) {
        books.lapse(Bucket::Cycle, Rollover::None);
        books.lapse(Bucket::Bundle, Rollover::None);
        self.pending = None;
        self.arrears = None;
        self.cancelled_at_s = Some(at_s);
    }
}

impl Status {
    pub const WORDS: &'static [&'static str] = &["active", "cancelled"];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Who bought a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purchase {
    ByCustomer,
    AutoTopUp,
}

impl Purchase {
    const fn entry(self) -> EntryKind {
        match self {
            Self::ByCustomer => EntryKind::Bundle,
            Self::AutoTopUp => EntryKind::TopUp,
        }
    }
}

#[cfg(test)]
#[path = "subscription_tests.rs"]
mod tests;
