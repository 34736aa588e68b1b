//! Plans: what a customer pays a cycle, the credit that it brings, and the bundles of credit that he may buy on top.
//! Changes are worked out here, on values; who stores them does so under one lock on the plan.
//! A plan's price and interval never change: those who are on it keep what they agreed to.

use super::ids::{CreditBundleId, MerchantId, PlanId};
use super::money::Money;
use super::terms::{Interval, Offer, Rollover, Terms};

/// The most that a plan may cost a cycle, and the most credit that it may bring.
pub const HIGHEST_PERIOD_AMOUNT: Money = Money::from_nanos(10_000_000_000_000);
/// The most that a bundle may cost, and the most credit that it may bring.
pub const HIGHEST_BUNDLE_AMOUNT: Money = Money::from_nanos(1_000_000_000_000_000);
/// The most bundles that a plan may have.
pub const MOST_BUNDLES: usize = 100;

/// What a bundle costs, and what it brings; the one need not be the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditBundle {
    pub id: CreditBundleId,
    pub name: String,
    pub cost: Money,
    pub credit_amount: Money,
}

/// A plan without the meters that may draw on its credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub terms: Terms,
    /// What a new subscriber buys automatically when his credit runs out; one of `bundles`.
    pub default_bundle_id: Option<CreditBundleId>,
    /// Oldest first.
    pub bundles: Vec<CreditBundle>,
}

/// What an update makes of a plan; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanChange {
    pub name: Option<String>,
    pub included_credit: Option<Money>,
    pub rollover: Option<Rollover>,
    pub bundle_rollover: Option<Rollover>,
    /// `Some(None)`: no bundle is bought automatically.
    pub default_bundle_id: Option<Option<CreditBundleId>>,
    pub bundles: Vec<BundleChange>,
}

/// What an update says of one bundle. Bundles that it does not mention stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleChange {
    Create(CreditBundle),
    Update {
        id: CreditBundleId,
        name: Option<String>,
        cost: Option<Money>,
        credit_amount: Option<Money>,
    },
    Remove(CreditBundleId),
}

/// Why a plan cannot be so; a number is the place in the list of bundles of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("must be at most \"10000.00\"")]
    PriceTooHigh,
    #[error("must be at most the plan's `period_amount`")]
    CreditAbovePrice,
    #[error("must be at most \"10000.00\"")]
    CreditTooHigh,
    #[error("must be at most \"1000000.00\"")]
    BundleCostTooHigh(usize),
    #[error("must be at most \"1000000.00\"")]
    BundleCreditTooHigh(usize),
    #[error("is in the list twice")]
    BundleTwice(usize),
    #[error("is not a credit bundle of this plan")]
    NoSuchBundle(usize),
    #[error("is not a credit bundle of this plan")]
    NoSuchDefaultBundle,
    #[error("must not make more than {MOST_BUNDLES} bundles of a plan")]
    TooManyBundles,
}

impl PlanError {
    /// The field that is wrong, such as `credit_bundles[1].cost`.
    pub fn param(self) -> String {
        match self {
            Self::PriceTooHigh => "period_amount".to_owned(),
            Self::CreditAbovePrice | Self::CreditTooHigh => "included_credit".to_owned(),
            Self::BundleCostTooHigh(place) => format!("credit_bundles[{place}].cost"),
            Self::BundleCreditTooHigh(place) => format!("credit_bundles[{place}].credit_amount"),
            Self::BundleTwice(place) | Self::NoSuchBundle(place) => {
                format!("credit_bundles[{place}].credit_bundle_id")
            }
            Self::NoSuchDefaultBundle => "default_auto_top_up_bundle_id".to_owned(),
            Self::TooManyBundles => "credit_bundles".to_owned(),
        }
    }
}

impl Plan {
    /// The plan that every merchant has from the start: free, monthly, without credit. His customers are on it until they
    /// are on another.
    pub fn free_of(merchant: MerchantId) -> Self {
        let terms = Terms {
            plan_id: Self::free_id(merchant),
            name: "Free".to_owned(),
            period_amount: Money::ZERO,
            included_credit: Money::ZERO,
            interval: Interval::Month,
            rollover: Rollover::None,
            bundle_rollover: Rollover::Full,
        };
        Self {
            terms,
            default_bundle_id: None,
            bundles: Vec::new(),
        }
    }

    /// The id of a merchant's free plan, which has the bits of his own.
    pub const fn free_id(merchant: MerchantId) -> PlanId {
        PlanId::from_bits(merchant.bits())
    }

    pub const fn id(&self) -> PlanId {
        self.terms.plan_id
    }

    /// What a new subscriber begins with.
    pub fn offer(&self) -> Offer {
        Offer {
            terms: self.terms.clone(),
            auto_top_up_bundle_id: self.default_bundle_id,
        }
    }

    pub fn bundle(&self, id: CreditBundleId) -> Option<&CreditBundle> {
        self.bundles.iter().find(|bundle| bundle.id == id)
    }

    /// Refuses terms, bundles and a default that a plan cannot have. Called for a new plan, whose bundles stand in the
    /// order of the body.
    pub fn check(&self) -> Result<(), PlanError> {
        check_terms(&self.terms)?;
        for (place, bundle) in self.bundles.iter().enumerate() {
            check_bundle(place, bundle)?;
        }
        self.check_whole()
    }

    /// The plan after a change, or the first thing that is wrong with the change. A default bundle that is removed is
    /// no default any more.
    pub fn changed(mut self, change: PlanChange) -> Result<Self, PlanError> {
        let terms = &mut self.terms;
        if let Some(name) = change.name {
            terms.name = name;
        }
        terms.included_credit = change.included_credit.unwrap_or(terms.included_credit);
        terms.rollover = change.rollover.unwrap_or(terms.rollover);
        terms.bundle_rollover = change.bundle_rollover.unwrap_or(terms.bundle_rollover);
        check_terms(terms)?;
        let mut seen = Vec::new();
        for (place, change) in change.bundles.into_iter().enumerate() {
            let id = change.id();
            if seen.contains(&id) {
                return Err(PlanError::BundleTwice(place));
            }
            seen.push(id);
            self.change_bundle(place, change)?;
        }
        if let Some(default) = change.default_bundle_id {
            self.default_bundle_id = default;
        } else if self.default_bundle_id.is_some_and(|id| self.bundle(id).is_none()) {
            self.default_bundle_id = None;
        }
        self.check_whole()?;
        Ok(self)
    }

    fn check_whole(&self) -> Result<(), PlanError> {
        if self.bundles.len() > MOST_BUNDLES {
            return Err(PlanError::TooManyBundles);
        }
        match self.default_bundle_id {
            Some(id) if self.bundle(id).is_none() => Err(PlanError::NoSuchDefaultBundle),
            Some(_) | None => Ok(()),
        }
    }

    fn change_bundle(&mut self, place: usize, change: BundleChange) -> Result<(), PlanError> {
        let known = self.bundles.iter().position(|bundle| bundle.id == change.id());
        match (change, known) {
            (BundleChange::Create(bundle), _) => {
                check_bundle(place, &bundle)?;
                self.bundles.push(bundle);
            }
            (BundleChange::Update { .. } | BundleChange::Remove(_), None) => {
                return Err(PlanError::NoSuchBundle(place));
            }
            (BundleChange::Remove(_), Some(known)) => {
                self.bundles.remove(known);
            }
            (
                BundleChange::Update {
                    id: _,
                    name,
                    cost,
                    credit_amount,
                },
                Some(known),
            ) => {
                let bundle = &mut self.bundles[known];
                bundle.cost = cost.unwrap_or(bundle.cost);
                bundle.credit_amount = credit_amount.unwrap_or(bundle.credit_amount);
                if let Some(name) = name {
                    bundle.name = name;
                }
                check_bundle(place, bundle)?;
            }
        }
        Ok(())
    }
}

impl BundleChange {
    fn id(&self) -> CreditBundleId {
        match self {
            Self::Create(bundle) => bundle.id,
            Self::Update { id, .. } | Self::Remove(id) => *id,
        }
    }
}

/// Refuses a price above the highest and credit above the price. A free plan may bring credit all the same: it is the
/// merchant's gift, and the only credit that a customer who never pays can have.
fn check_terms(terms: &Terms) -> Result<(), PlanError> {
    if terms.period_amount > HIGHEST_PERIOD_AMOUNT {
        Err(PlanError::PriceTooHigh)
    } else if !terms.is_free() && terms.included_credit > terms.period_amount {
        Err(PlanError::CreditAbovePrice)
    } else if terms.included_credit > HIGHEST_PERIOD_AMOUNT {
        Err(PlanError::CreditTooHigh)
    } else {
        Ok(())
    }
}

fn check_bundle(place: usize, bundle: &CreditBundle) -> Result<(), PlanError> {
    if bundle.cost > HIGHEST_BUNDLE_AMOUNT {
        return Err(PlanError::BundleCostTooHigh(place));
    }
    if bundle.credit_amount > HIGHEST_BUNDLE_AMOUNT {
        return Err(PlanError::BundleCreditTooHigh(place));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn id(number: u128) -> CreditBundleId {
        CreditBundleId::from_bits(number)
    }

    fn bundle(number: u128, cost: &str) -> CreditBundle {
        CreditBundle {
            id: id(number),
            name: format!("bundle {number}"),
            cost: money(cost),
            credit_amount: money("10"),
        }
    }

    fn plan(period_amount: &str, included_credit: &str) -> Plan {
        let free = Plan::free_of(MerchantId::from_bits(2));
        Plan {
            terms: Terms {
                period_amount: money(period_amount),
                included_credit: money(included_credit),
                ..free.terms
            },
            default_bundle_id: Some(id(1)),
            bundles: vec![bundle(1, "9"), bundle(2, "20")],
        }
    }

    fn cheaper(number: u128, cost: &str) -> BundleChange {
        BundleChange::Update {
            id: id(number),
            name: None,
            cost: Some(money(cost)),
            credit_amount: None,
        }
    }

    #[test]
    fn credit_is_at_most_the_price_unless_the_plan_is_free() {
        let table = [
            ("25", "25", Ok(())),
            ("25", "0", Ok(())),
            ("25", "25.000000001", Err(PlanError::CreditAbovePrice)),
            ("0", "5", Ok(())),
            ("0", "10000.01", Err(PlanError::CreditTooHigh)),
            ("10000", "10000", Ok(())),
            ("10000.01", "0", Err(PlanError::PriceTooHigh)),
        ];
        for (price, credit, verdict) in table {
            assert_eq!(plan(price, credit).check(), verdict, "{price} {credit}");
        }
        let change = PlanChange {
            included_credit: Some(money("26")),
            ..PlanChange::default()
        };
        assert_eq!(plan("25", "25").changed(change).unwrap_err().param(), "included_credit");
    }

    #[test]
    fn bundles_are_reconciled_and_those_not_mentioned_stay() {
        let change = PlanChange {
            bundles: vec![
                cheaper(2, "19"),
                BundleChange::Create(bundle(3, "30")),
                BundleChange::Remove(id(1)),
            ],
            ..PlanChange::default()
        };
        let changed = plan("25", "25").changed(change).unwrap();
        assert_eq!(changed.bundles, [bundle(2, "19"), bundle(3, "30")]);
        // Its default went with the first bundle.
        assert_eq!(changed.default_bundle_id, None);
        let same = plan("25", "25").changed(PlanChange::default()).unwrap();
        assert_eq!(same, plan("25", "25"));
    }

    #[test]
    fn a_change_of_bundles_that_is_wrong_names_its_place() {
        let table = [
            (vec![cheaper(9, "1")], "credit_bundles[0].credit_bundle_id"),
            (
                vec![cheaper(1, "1"), BundleChange::Remove(id(1))],
                "credit_bundles[1].credit_bundle_id",
            ),
            (
                vec![BundleChange::Create(bundle(3, "1000000.01"))],
                "credit_bundles[0].cost",
            ),
            (
                (3..102)
                    .map(|number| BundleChange::Create(bundle(number, "1")))
                    .collect(),
                "credit_bundles",
            ),
        ];
        for (bundles, param) in table {
            let change = PlanChange {
                bundles,
                ..PlanChange::default()
            };
            assert_eq!(plan("25", "25").changed(change).unwrap_err().param(), param);
        }
    }

    #[test]
    fn the_default_bundle_is_one_of_the_plan() {
        let default = |default: Option<u128>| PlanChange {
            default_bundle_id: Some(default.map(id)),
            bundles: vec![BundleChange::Remove(id(1))],
            ..PlanChange::default()
        };
        let refused = plan("25", "25").changed(default(Some(1))).unwrap_err();
        assert_eq!(refused, PlanError::NoSuchDefaultBundle);
        let changed = |change| plan("25", "25").changed(change).unwrap().default_bundle_id;
        assert_eq!(changed(default(Some(2))), Some(id(2)));
        assert_eq!(changed(default(None)), None);
    }
}
