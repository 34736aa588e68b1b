//! A year of a thousand customers, over month ends and a leap day, on a clock that is given: they use credit, buy
//! bundles, pay or fail to pay, change plans, leave and come back, while the server is now and then off for days. At
//! every step what was entered less what was drawn is what is there, bucket by bucket.

use super::*;

const CUSTOMERS: u64 = 1_000;
const HOUR_S: i64 = 3_600;

/// A sequence that looks random and is the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn money(&mut self, bound_nanos: u64) -> Money {
        Money::from_nanos(self.below(bound_nanos) as i64)
    }

    fn offer(&mut self) -> Offer {
        let included_credit = self.money(30_000_000_000);
        let mut offer = offer(
            0,
            self.pick(&Interval::ALL),
            self.pick(&Rollover::ALL),
            self.pick(&Rollover::ALL),
        );
        offer.terms.included_credit = included_credit;
        offer.terms.period_amount = self.pick(&[Money::ZERO, included_credit]);
        offer
    }
}

/// One customer, and all that was ever entered and drawn.
struct Customer {
    subscription: Subscription,
    credit: Credit,
    entered: Credit,
    drawn: Credit,
    renewals: u64,
    cancellations: u64,
}

impl Customer {
    fn new(dice: &mut Dice, now_s: i64) -> Self {
        let turn = Subscription::begin(id(), dice.offer(), Credit::ZERO, now_s);
        let mut customer = Self {
            subscription: turn.subscription.clone(),
            credit: Credit::ZERO,
            entered: Credit::ZERO,
            drawn: Credit::ZERO,
            renewals: 0,
            cancellations: 0,
        };
        customer.apply(turn);
        customer
    }

    /// Applies a turn and proves the books.
    fn apply(&mut self, turn: Turn) {
        for entry in turn.entries {
            assert_ne!(entry.amount, Money::ZERO);
            assert_eq!(entry.amount < Money::ZERO, entry.kind == EntryKind::Lapse);
            self.credit.book(entry);
            self.entered.book(entry);
            self.renewals += u64::from(entry.kind == EntryKind::Renewal);
        }
        self.cancellations += u64::from(turn.subscription.status() == Status::Cancelled);
        self.subscription = turn.subscription;
        self.prove();
    }

    fn draw(&mut self, charge: Money) {
        let before = self.credit;
        let draw = self.credit.draw(charge);
        assert_eq!(draw.cycle.saturating_add(draw.bundle), charge);
        assert_eq!(before.total().saturating_sub(charge), self.credit.total());
        self.drawn.add(Credit {
            cycle: draw.cycle,
            bundle: draw.bundle,
        });
        self.prove();
    }

    fn prove(&self) {
        for bucket in [Bucket::Cycle, Bucket::Bundle] {
            let left = self.entered.of(bucket).saturating_sub(self.drawn.of(bucket));
            assert_eq!(left, self.credit.of(bucket));
        }
        assert!(self.credit.bundle >= Money::ZERO);
        assert!(self.credit.cycle >= Money::ZERO || self.credit.bundle == Money::ZERO);
    }

    /// Does what is due, paying now and then.
    fn wake(&mut self, dice: &mut Dice, now_s: i64) {
        while self.subscription.wakes_at_s().is_some_and(|at_s| at_s <= now_s) {
            let turn = self.subscription.catch_up(self.credit, now_s);
            let due = turn.due;
            self.apply(turn);
            let Some(due) = due else { continue };
            let turn = if dice.below(4) == 0 {
                self.subscription.payment_failed(due, self.credit, now_s)
            } else {
                self.subscription.renewed(due, self.credit, now_s)
            };
            self.apply(turn.unwrap());
        }
        let active = self.subscription.status() == Status::Active;
        assert!(!active || self.subscription.arrears.is_some() || now_s < self.subscription.cycle_end_s);
        assert!(self.subscription.cycle_start_s <= now_s);
    }

    fn act(&mut self, dice: &mut Dice, now_s: i64) {
        if self.subscription.status() == Status::Cancelled {
            let turn = Subscription::begin(id(), dice.offer(), self.credit, now_s);
            return self.apply(turn);
        }
        let now = &self.subscription;
        let turn = match dice.below(40) {
            0 => now.cancel(),
            1 => now.withdraw_pending(),
            2 => now.upgrade(dice.offer(), self.credit, now_s),
            3 => now.downgrade(dice.offer()),
            4..8 => now.buy_bundle(Purchase::ByCustomer, dice.money(20_000_000_000), self.credit),
            8 => now.set_auto_top_up(Some(bundle())),
            9 if dice.below(5) == 0 => now.cancel_now(self.credit, now_s),
            _ => return self.draw(dice.money(8_000_000_000)),
        };
        match turn {
            Ok(turn) => self.apply(turn),
            Err(refusal) => assert_eq!(refusal, Refusal::NothingPending),
        }
    }
}

#[test]
fn a_year_of_a_thousand_customers_adds_up_at_every_step() {
    let (begin, end) = (at("2027-08-31"), at("2028-09-01"));
    let (mut renewals, mut cancellations) = (0, 0);
    for seed in 0..CUSTOMERS {
        let mut dice = Dice(seed);
        let mut now_s = begin + dice.below(30 * 24) as i64 * HOUR_S;
        let mut customer = Customer::new(&mut dice, now_s);
        while now_s < end {
            // Mostly hours pass; at times the server is off for up to nine days.
            let hours = if dice.below(20) == 0 { 9 * 24 } else { 30 };
            now_s += dice.below(hours * 3_600) as i64;
            customer.wake(&mut dice, now_s);
            customer.act(&mut dice, now_s);
        }
        renewals += customer.renewals;
        cancellations += customer.cancellations;
    }
    assert!(renewals > 40_000, "{renewals}");
    assert!(cancellations > 500, "{cancellations}");
}
