//! What is in a checkout: a plan with the terms that were shown, or a bundle of credit with its price.

use crate::domain::ids::{CreditBundleId, PlanId};
use crate::domain::money::Money;
use crate::domain::subscription::Subscription;
use crate::domain::terms::Offer;

/// What a checkout is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckoutMode {
    Subscription,
    CreditBundle,
}

impl CheckoutMode {
    pub const ALL: [Self; 2] = [Self::Subscription, Self::CreditBundle];
    pub const WORDS: &'static [&'static str] = &["subscription", "credit_bundle"];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::CreditBundle => "credit_bundle",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// What is bought, at the terms that the customer sees.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Basket {
    Subscription {
        offer: Offer,
    },
    CreditBundle {
        /// Whose subscribers may buy it.
        plan_id: PlanId,
        credit_bundle_id: CreditBundleId,
        name: String,
        cost: Money,
        credit_amount: Money,
    },
}

impl Basket {
    pub const fn mode(&self) -> CheckoutMode {
        match self {
            Self::Subscription { .. } => CheckoutMode::Subscription,
            Self::CreditBundle { .. } => CheckoutMode::CreditBundle,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Subscription { offer } => &offer.terms.name,
            Self::CreditBundle { name, .. } => name,
        }
    }

    /// What it costs, now or later.
    pub const fn price(&self) -> Money {
        match self {
            Self::Subscription { offer } => offer.terms.period_amount,
            Self::CreditBundle { cost, .. } => *cost,
        }
    }

    pub fn is_free(&self) -> bool {
        self.price() <= Money::ZERO
    }
}

/// What a subscription to a plan comes to for one who may have one already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanMove {
    /// He has none.
    Begin,
    /// At once, and paid at once.
    Upgrade,
    /// At the end of the cycle, which he has paid for.
    Downgrade,
    /// He is on it, and takes back what was to happen at the end of the cycle.
    Resume,
}

impl PlanMove {
    /// `None` where he is on this plan already.
    pub fn of(current: Option<&Subscription>, offer: &Offer) -> Option<Self> {
        let Some(current) = current else {
            return Some(Self::Begin);
        };
        if current.terms.plan_id == offer.terms.plan_id {
            return current.pending.is_some().then_some(Self::Resume);
        }
        Some(if offer.terms.is_step_up_from(&current.terms) {
            Self::Upgrade
        } else {
            Self::Downgrade
        })
    }

    /// What is charged now.
    pub const fn due(self, offer: &Offer) -> Money {
        match self {
            Self::Begin | Self::Upgrade => offer.terms.period_amount,
            Self::Downgrade | Self::Resume => Money::ZERO,
        }
    }
}
