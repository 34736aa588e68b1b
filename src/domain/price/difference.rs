//! What is different between two books, for people who are about to put one in the place of the other: models that come,
//! models that cost something else and by how much, and models that are in the book before only.

use std::sync::Arc;

use super::leap::{TIERS, fees};
use super::{ModelPrice, PriceBook};
use crate::domain::money::Money;

/// All of it, each in the order of the models' names.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    pub added: Vec<Arc<ModelPrice>>,
    pub changed: Vec<ModelChange>,
    /// In the book before only.
    pub missing: Vec<Arc<ModelPrice>>,
}

/// A model that both books price, and not the same.
#[derive(Clone, Debug)]
pub struct ModelChange {
    pub model: Arc<str>,
    /// Empty where no price is other, but a limit or the hours of a discount.
    pub rates: Vec<RateChange>,
}

/// One rate or fee that is other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateChange {
    /// The unit as people know it, such as `input token`.
    pub what: &'static str,
    /// The tier of service.
    pub tier: &'static str,
    /// For calls with more input than this; zero for all.
    pub above_tokens: u64,
    /// Dollars for a million units.
    pub before: Money,
    pub now: Money,
}

impl RateChange {
    /// By how many tenths of a percent it rises, below zero where it falls; `None` where it was nothing before.
    pub fn permille(&self) -> Option<i64> {
        let (before, now) = (i128::from(self.before.nanos()), i128::from(self.now.nanos()));
        let permille = ((now - before) * 1000).checked_div(before)?;
        i64::try_from(permille).ok()
    }
}

impl PriceBook {
    /// What this book changes of the one before.
    pub fn difference_from(&self, before: &Self) -> Difference {
        let mut difference = Difference::default();
        for price in self.models() {
            match before.get(&price.id) {
                None => difference.added.push(price.clone()),
                Some(old) if !old.costs_the_same_as(price) => difference.changed.push(ModelChange {
                    model: price.id.clone(),
                    rates: rate_changes(old, price),
                }),
                Some(_) => {}
            }
        }
        let is_gone = |price: &&Arc<ModelPrice>| self.get(&price.id).is_none();
        difference.missing.extend(before.models().filter(is_gone).cloned());
        difference.added.sort_by(|one, other| one.id.cmp(&other.id));
        difference.missing.sort_by(|one, other| one.id.cmp(&other.id));
        difference.changed.sort_by(|one, other| one.model.cmp(&other.model));
        difference
    }
}

/// The standard tier as it is, and of the others only what is not the same change once more.
fn rate_changes(before: &ModelPrice, now: &ModelPrice) -> Vec<RateChange> {
    let mut changes: Vec<RateChange> = Vec::new();
    for (tier, name) in TIERS {
        let thresholds = [before, now]
            .into_iter()
            .flat_map(|price| &price.tier(tier).long_context);
        let mut thresholds: Vec<u64> = thresholds.map(|(above, _)| *above).collect();
        thresholds.push(0);
        thresholds.sort_unstable();
        thresholds.dedup();
        for above_tokens in thresholds {
            let length = if above_tokens == 0 {
                0
            } else {
                above_tokens.saturating_add(1)
            };
            let rates = before
                .rates_for(tier, length)
                .named()
                .into_iter()
                .zip(now.rates_for(tier, length).named());
            for ((what, before), (_, now)) in rates.filter(|((_, before), (_, now))| before != now) {
                let change = RateChange {
                    what,
                    tier: name,
                    above_tokens,
                    before: Money::from_nanos(before),
                    now: Money::from_nanos(now),
                };
                let is_told =
                    |told: &RateChange| (told.what, told.before, told.now) == (what, change.before, change.now);
                if !changes.iter().any(is_told) {
                    changes.push(change);
                }
            }
        }
    }
    let million = |fee: Money| Money::from_nanos(fee.nanos().saturating_mul(1_000_000));
    let other = fees(before, now).into_iter().filter(|(_, before, now)| before != now);
    changes.extend(other.map(|(what, before, now)| RateChange {
        what,
        tier: "standard",
        above_tokens: 0,
        before: million(before),
        now: million(now),
    }));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(text: &str) -> PriceBook {
        PriceBook::parse(text).unwrap().0
    }

    #[test]
    fn what_comes_goes_and_costs_something_else_is_told_with_its_percent() {
        let before = book(
            r#"{"a": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6},
                "b": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-6},
                "same": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-6}}"#,
        );
        let now = book(
            r#"{"a": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1.5e-6, "output_cost_per_token": 3e-6},
                "c": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-6},
                "same": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-6}}"#,
        );
        let difference = now.difference_from(&before);
        let ids = |prices: &[Arc<ModelPrice>]| prices.iter().map(|price| price.id.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (ids(&difference.added), ids(&difference.missing)),
            (vec!["c".to_owned()], vec!["b".to_owned()])
        );
        assert_eq!(difference.changed.len(), 1);
        let told = |what| {
            let change = difference.changed[0]
                .rates
                .iter()
                .find(|change| change.what == what)
                .unwrap();
            (change.before.to_string(), change.now.to_string(), change.permille())
        };
        assert_eq!(told("input token"), ("1.00".to_owned(), "1.50".to_owned(), Some(500)));
        assert_eq!(told("output token"), ("4.00".to_owned(), "3.00".to_owned(), Some(-250)));
    }
}
