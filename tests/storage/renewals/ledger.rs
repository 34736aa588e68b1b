//! What a customer has, worked out without the program: by counting calendar days and two numbers.

use caldera::domain::credit::Credit;
use caldera::domain::terms::{Interval, Rollover, Terms};
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

/// Nine o'clock of a day.
pub fn at(day: &str) -> i64 {
    let instant: DateTime<Utc> = format!("{day}T09:00:00Z").parse().unwrap();
    instant.timestamp()
}

/// Numbers that look random and are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 20) % bound as u64) as i64
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as i64) as usize]
    }
}

/// One customer; amounts are nano-dollars.
pub struct Expected {
    begun: DateTime<Utc>,
    interval: Interval,
    included: i64,
    is_paid: bool,
    keeps_cycle: bool,
    keeps_bundle: bool,
    cycle: i64,
    bundle: i64,
    is_leaving: bool,
    pub has_ended: bool,
    pub renewals: u64,
    /// What he did that left a record.
    pub changes: u64,
}

impl Expected {
    pub fn new(terms: &Terms, now_s: i64) -> Self {
        let included = terms.included_credit.nanos();
        Self {
            begun: DateTime::from_timestamp(now_s, 0).unwrap(),
            interval: terms.interval,
            included,
            is_paid: !terms.is_free(),
            keeps_cycle: terms.rollover == Rollover::Full,
            keeps_bundle: terms.bundle_rollover == Rollover::Full,
            cycle: included,
            bundle: 0,
            is_leaving: false,
            has_ended: false,
            renewals: 0,
            changes: 1,
        }
    }

    /// Begins the cycles that have passed, one by one.
    pub fn catch_up(&mut self, now_s: i64) {
        while self.is_over(now_s) && (self.is_leaving || !self.is_paid) {
            if self.is_leaving || !self.keeps_cycle {
                self.cycle = self.cycle.min(0);
            }
            if self.is_leaving || !self.keeps_bundle {
                self.bundle = 0;
            }
            if self.is_leaving {
                self.has_ended = true;
            } else {
                self.renewals += 1;
                self.cycle += self.included;
            }
        }
    }

    /// Nobody has paid for the next cycle.
    pub fn is_unpaid(&self, now_s: i64) -> bool {
        self.is_paid && !self.is_leaving && self.is_over(now_s)
    }

    pub fn draw(&mut self, charge: i64) {
        let of_cycle = charge.min(self.cycle.max(0));
        let of_bundle = (charge - of_cycle).min(self.bundle);
        self.cycle -= charge - of_bundle;
        self.bundle -= of_bundle;
    }

    pub fn buy(&mut self, amount: i64) {
        let debt = (-self.cycle).max(0).min(amount);
        self.cycle += debt;
        self.bundle += amount - debt;
        self.changes += 1;
    }

    /// At the end of the cycle, which may be over where it was not paid for.
    pub fn leave(&mut self, now_s: i64) {
        self.is_leaving = true;
        self.changes += 1;
        self.catch_up(now_s);
    }

    pub fn check(&self, credit: Credit) {
        assert_eq!((credit.cycle.nanos(), credit.bundle.nanos()), (self.cycle, self.bundle));
    }

    fn is_over(&self, now_s: i64) -> bool {
        !self.has_ended && self.boundary(self.renewals as i64 + 1).timestamp() <= now_s
    }

    /// When the cycle of this number begins.
    fn boundary(&self, number: i64) -> DateTime<Utc> {
        match self.interval {
            Interval::Day => self.begun + TimeDelta::days(number),
            Interval::Week => self.begun + TimeDelta::days(7 * number),
            Interval::Month => self.months_later(number),
            Interval::Year => self.months_later(12 * number),
        }
    }

    fn months_later(&self, count: i64) -> DateTime<Utc> {
        let month = i64::from(self.begun.year()) * 12 + i64::from(self.begun.month0()) + count;
        let (year, month) = ((month / 12) as i32, (month % 12) as u32 + 1);
        // The same day, or the last one that there is.
        let day = (1..=self.begun.day())
            .rev()
            .find_map(|day| NaiveDate::from_ymd_opt(year, month, day));
        day.unwrap().and_time(self.begun.time()).and_utc()
    }
}
