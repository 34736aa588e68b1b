//! What a plan promises a subscriber: its price, its credit, how often, and what unused credit becomes. A subscription
//! keeps the terms under which it runs; a plan that is edited or deleted later changes nothing in them.

use super::ids::{CreditBundleId, PlanId};
use super::money::Money;

/// How long a cycle of a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Day,
    Week,
    Month,
    Year,
}

impl Interval {
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];
    pub const WORDS: &'static [&'static str] = &["day", "week", "month", "year"];

    /// So many cycles, by which plans of different intervals are compared.
    const fn cycles_a_year(self) -> i128 {
        match self {
            Self::Day => 365,
            Self::Week => 52,
            Self::Month => 12,
            Self::Year => 1,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.name() == name)
    }
}

/// What becomes of unused credit at the end of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollover {
    /// It lapses.
    None,
    /// It stays.
    Full,
}

impl Rollover {
    pub const ALL: [Self; 2] = [Self::None, Self::Full];
    pub const WORDS: &'static [&'static str] = &["none", "full"];

    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Full => "full",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rollover| rollover.name() == name)
    }
}

/// A plan as a subscription has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Terms {
    pub plan_id: PlanId,
    pub name: String,
    /// The price of one cycle.
    pub period_amount: Money,
    /// The cycle credit that one cycle brings.
    pub included_credit: Money,
    pub interval: Interval,
    /// Of cycle credit.
    pub rollover: Rollover,
    /// Of bundle credit.
    pub bundle_rollover: Rollover,
}

impl Terms {
    /// Renews without a payment.
    pub fn is_free(&self) -> bool {
        self.period_amount <= Money::ZERO
    }

    /// Whether a change from those terms to these is made at once: they cost more in a year, or the same and bring more
    /// credit. Of two that are alike in both, one is begun at once where it brings no credit: going back and forth must
    /// not bring credit each time.
    pub fn is_step_up_from(&self, before: &Self) -> bool {
        let (ours, theirs) = (self.worth_a_year(), before.worth_a_year());
        ours > theirs || ours == theirs && self.included_credit == Money::ZERO
    }

    fn worth_a_year(&self) -> (i128, i128) {
        let in_a_year = |amount: Money| i128::from(amount.nanos()) * self.interval.cycles_a_year();
        (in_a_year(self.period_amount), in_a_year(self.included_credit))
    }
}

/// What a subscriber of a plan begins with.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Offer {
    pub terms: Terms,
    /// The bundle of the plan that is bought by itself where the subscriber does not say otherwise.
    pub auto_top_up_bundle_id: Option<CreditBundleId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms((price, credit, interval): (i64, i64, Interval)) -> Terms {
        Terms {
            plan_id: PlanId::from_bits(2),
            name: "A plan".to_owned(),
            period_amount: Money::from_nanos(price),
            included_credit: Money::from_nanos(credit),
            interval,
            rollover: Rollover::None,
            bundle_rollover: Rollover::None,
        }
    }

    #[test]
    fn a_step_up_costs_more_in_a_year_or_brings_more_for_the_same() {
        use Interval::{Day, Month, Week, Year};
        let table = [
            ((0, 0, Month), (25, 0, Month), true),
            ((25, 25, Month), (25, 20, Month), false),
            ((25, 20, Month), (25, 25, Month), true),
            ((25, 25, Month), (0, 900, Month), false),
            ((25, 25, Month), (290, 290, Year), false),
            ((25, 25, Month), (6, 0, Week), true),
            ((1, 1, Day), (365, 365, Year), false),
            ((0, 5, Month), (0, 5, Month), false),
            ((0, 0, Month), (0, 0, Day), true),
            ((0, 5, Month), (0, 0, Month), false),
            ((i64::MAX, 0, Day), (i64::MAX, i64::MAX, Day), true),
        ];
        for (from, to, is_step_up) in table {
            assert_eq!(terms(to).is_step_up_from(&terms(from)), is_step_up, "{from:?} {to:?}");
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for interval in Interval::ALL {
            assert_eq!(Interval::from_name(interval.name()), Some(interval));
            assert_eq!(serde_json::to_value(interval).unwrap(), interval.name());
        }
        for rollover in Rollover::ALL {
            assert_eq!(Rollover::from_name(rollover.name()), Some(rollover));
            assert_eq!(serde_json::to_value(rollover).unwrap(), rollover.name());
        }
        assert!(Interval::ALL.map(Interval::name).iter().eq(Interval::WORDS));
        assert!(Rollover::ALL.map(Rollover::name).iter().eq(Rollover::WORDS));
        assert_eq!(Interval::from_name("monthly"), None);
        assert_eq!(Rollover::from_name("Full"), None);
    }
}
