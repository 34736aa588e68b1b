//! A subscription as pages show it, read from the API's answer: its plan, its cycle, the credit that goes with it, and
//! what is to be said of it at first glance.

use serde_json::Value;

use crate::domain::money::Money;
use crate::engine::tariffs::ListedPlan;

use super::ask;
use super::shown::{Amount, Moment};
use super::visit::Visit;

/// See the module.
pub struct Subscribed {
    pub id: String,
    pub plan_id: String,
    pub plan: String,
    pub price: Amount,
    pub is_free: bool,
    /// As `a month`.
    pub interval: &'static str,
    pub included: Amount,
    pub left: Amount,
    pub cycle: Amount,
    pub bundle: Amount,
    pub cycle_lapses: bool,
    pub bundle_lapses: bool,
    pub started: Option<Moment>,
    pub cycle_start: Option<Moment>,
    pub cycle_end: Option<Moment>,
    pub cancelled: Option<Moment>,
    /// What happens at the end of the cycle, as `Renews` or `Changes to Pro`.
    pub next: String,
    pub is_pending: bool,
    pub top_up_bundle_id: String,
    pub state: Standing,
}

/// What is to be said of a customer at first glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Active,
    /// Something ends or changes with the cycle.
    Ends,
    Changes,
    /// He has none, and his plan charges or sells it: his calls are refused.
    NoCredit,
    /// His calls cost more than he had.
    Overdrawn,
    Cancelled,
    /// He is on no plan.
    NoPlan,
}

impl Standing {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Ends => "Ends",
            Self::Changes => "Changes",
            Self::NoCredit => "No credit left",
            Self::Overdrawn => "Overdrawn",
            Self::Cancelled => "Cancelled",
            Self::NoPlan => "No plan",
        }
    }

    /// The class of its mark: colour only where it means a state.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Active => "good",
            Self::Ends | Self::Changes => "warn",
            Self::NoCredit | Self::Overdrawn => "bad",
            Self::Cancelled | Self::NoPlan => "off",
        }
    }
}

impl Subscribed {
    /// From the API's answer; `None` for no subscription.
    pub fn of(visit: &Visit, whole: &Value) -> Option<Self> {
        let plan_id = ask::text(whole, "plan_id").parse().ok();
        let plan = plan_id.and_then(|id| visit.state.tariffs.plan(id));
        Self::read(whole, plan.as_deref(), visit.now_ms())
    }

    fn read(whole: &Value, listed: Option<&ListedPlan>, now_ms: i64) -> Option<Self> {
        let (plan, credits) = (whole.get("plan")?, whole.get("credits")?);
        let money = |object: &Value, name: &str| Amount::of(ask::money(object, name));
        let moment = |name: &str| Moment::read(&ask::text(whole, name), now_ms);
        let pending = whole.get("pending_change").filter(|pending| pending.is_object());
        Some(Self {
            id: ask::text(whole, "subscription_id"),
            plan_id: ask::text(whole, "plan_id"),
            plan: ask::text(plan, "name"),
            price: money(plan, "period_amount"),
            is_free: ask::money(plan, "period_amount") == Money::ZERO,
            interval: interval(&ask::text(plan, "billing_interval")),
            included: money(plan, "included_credit"),
            left: money(credits, "total_remaining"),
            cycle: money(credits, "cycle_remaining"),
            bundle: money(credits, "bundle_remaining"),
            cycle_lapses: ask::text(plan, "rollover_type") != "full",
            bundle_lapses: ask::text(plan, "bundle_rollover_type") != "full",
            started: moment("started_at"),
            cycle_start: moment("cycle_start_at"),
            cycle_end: moment("cycle_end_at"),
            cancelled: moment("cancelled_at"),
            next: next(pending),
            is_pending: pending.is_some(),
            top_up_bundle_id: ask::text(whole, "auto_top_up_bundle_id"),
            state: standing(whole, listed, pending),
        })
    }
}

/// What is to be said of a customer with this subscription, or with none.
pub fn standing_of(subscription: Option<&Subscribed>) -> Standing {
    subscription.map_or(Standing::NoPlan, |subscription| subscription.state)
}

/// A plan's interval as it stands behind a price.
pub fn interval(word: &str) -> &'static str {
    match word {
        "day" => "a day",
        "week" => "a week",
        "year" => "a year",
        _ => "a month",
    }
}

fn standing(whole: &Value, listed: Option<&ListedPlan>, pending: Option<&Value>) -> Standing {
    let amount = |object: &str, name: &str| whole.get(object).map_or(Money::ZERO, |object| ask::money(object, name));
    let left = amount("credits", "total_remaining");
    let charges = listed.is_some_and(|plan| !plan.meter_ids.is_empty() || !plan.plan.bundles.is_empty());
    if ask::text(whole, "status") == "cancelled" {
        Standing::Cancelled
    } else if left < Money::ZERO {
        Standing::Overdrawn
    } else if left == Money::ZERO && (charges || amount("plan", "included_credit") > Money::ZERO) {
        Standing::NoCredit
    } else {
        match pending.map(|pending| ask::text(pending, "type")).as_deref() {
            None => Standing::Active,
            Some("cancellation") => Standing::Ends,
            Some(_) => Standing::Changes,
        }
    }
}

fn next(pending: Option<&Value>) -> String {
    match pending.map(|pending| (ask::text(pending, "type"), ask::text(pending, "name"))) {
        None => "Renews".to_owned(),
        Some((kind, _)) if kind == "cancellation" => "Ends".to_owned(),
        Some((_, name)) => format!("Changes to {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{MerchantId, MeterId};
    use serde_json::json;

    fn standing(status: &str, (left, included): (&str, &str), pending: Value) -> Standing {
        standing_on(None, status, (left, included), pending)
    }

    fn standing_on(
        listed: Option<&ListedPlan>,
        status: &str,
        (left, included): (&str, &str),
        pending: Value,
    ) -> Standing {
        let whole = json!({
            "status": status, "pending_change": pending,
            "plan": { "name": "Pro", "included_credit": included, "period_amount": "5.00", "billing_interval": "week" },
            "credits": { "total_remaining": left, "cycle_remaining": left, "bundle_remaining": "0.00" },
        });
        Subscribed::read(&whole, listed, 0).unwrap().state
    }

    #[test]
    fn a_subscription_says_at_first_glance_where_its_customer_stands() {
        let (leaving, cheaper) = (
            json!({ "type": "cancellation" }),
            json!({ "type": "downgrade", "name": "Small" }),
        );
        let table = [
            ("active", "1.00", "5.00", Value::Null, Standing::Active),
            ("active", "0.00", "0.00", Value::Null, Standing::Active),
            ("active", "0.00", "5.00", Value::Null, Standing::NoCredit),
            ("active", "-0.01", "5.00", leaving.clone(), Standing::Overdrawn),
            ("active", "1.00", "5.00", leaving, Standing::Ends),
            ("active", "1.00", "5.00", cheaper, Standing::Changes),
            ("cancelled", "0.00", "5.00", Value::Null, Standing::Cancelled),
        ];
        for (status, left, included, pending, expected) in table {
            assert_eq!(
                standing(status, (left, included), pending),
                expected,
                "{status} {left} {included}"
            );
        }
        assert!(Subscribed::read(&Value::Null, None, 0).is_none());
        assert_eq!(standing_of(None), Standing::NoPlan);
    }

    #[test]
    fn without_credit_on_a_plan_that_charges_nobody_is_active() {
        let free = ListedPlan::free_of(MerchantId::from_bits(2));
        let charges = ListedPlan {
            meter_ids: vec![MeterId::from_bits(2)],
            ..free.clone()
        };
        let told = |plan| standing_on(Some(plan), "active", ("0.00", "0.00"), Value::Null);
        assert_eq!((told(&free), told(&charges)), (Standing::Active, Standing::NoCredit));
    }
}
