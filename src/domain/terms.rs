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
