//! Subscriptions as callers see them: the subscription as the customer's shard has it, and the credit that goes with it.
//! A subscription that has ended has no credit, whatever its customer has by now.

use serde_json::{Value, json};

use crate::domain::credit::Credit;
use crate::domain::ids::CustomerId;
use crate::domain::subscription::{Pending, Status, Subscription};

use crate::http::time::iso_seconds;

/// All fields of one subscription; `credit` is its customer's.
pub fn show(subscription: &Subscription, credit: Credit) -> Value {
    let terms = &subscription.terms;
    let status = subscription.status();
    json!({
        "subscription_id": subscription.id,
        "plan_id": terms.plan_id,
        "subscription_config_id": terms.plan_id,
        "status": status.name(),
        "auto_top_up_bundle_id": subscription.auto_top_up_bundle_id,
        "started_at": iso_seconds(subscription.started_at_s),
        "cancelled_at": subscription.cancelled_at_s.map(iso_seconds),
        "cycle_start_at": iso_seconds(subscription.cycle_start_s),
        "cycle_end_at": iso_seconds(subscription.cycle_end_s),
        "plan": {
            "name": terms.name,
            "period_amount": terms.period_amount,
            "included_credit": terms.included_credit,
            "billing_interval": terms.interval,
            "rollover_type": terms.rollover,
            "bundle_rollover_type": terms.bundle_rollover,
        },
        "credits": show_credit(match status {
            Status::Active => credit,
            Status::Cancelled => Credit::ZERO,
        }),
        "pending_change": show_pending(subscription),
    })
}

/// As [`show`], with whose it is, as lists have it; `contact` is how the customer's own answer shows it.
pub fn show_in_list(subscription: &Subscription, credit: Credit, customer: CustomerId, contact: Value) -> Value {
    let mut shown = show(subscription, credit);
    shown["customer_id"] = json!(customer);
    shown["connection_id"] = json!(customer);
    shown["customer"] = contact;
    shown
}

fn show_credit(credit: Credit) -> Value {
    json!({
        "total_remaining": credit.total(),
        "cycle_remaining": credit.cycle,
        "bundle_remaining": credit.bundle,
    })
}

fn show_pending(subscription: &Subscription) -> Value {
    let effective_at = iso_seconds(subscription.cycle_end_s);
    match &subscription.pending {
        None => Value::Null,
        Some(Pending::Cancellation) => json!({ "type": "cancellation", "effective_at": effective_at }),
        Some(Pending::Downgrade(offer)) => json!({
            "type": "downgrade",
            "effective_at": effective_at,
            "plan_id": offer.terms.plan_id,
            "subscription_config_id": offer.terms.plan_id,
            "name": offer.terms.name,
            "period_amount": offer.terms.period_amount,
            "included_credit": offer.terms.included_credit,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CreditBundleId, Mode, PlanId, SubscriptionId};
    use crate::domain::money::Money;
    use crate::domain::terms::{Interval, Offer, Rollover, Terms};

    const NOON_S: i64 = 1_795_262_400;

    fn offer(price: i64) -> Offer {
        Offer {
            terms: Terms {
                plan_id: PlanId::compose(Mode::Live, 0, 2),
                name: "Pro".to_owned(),
                period_amount: Money::from_nanos(price * 1_000_000_000),
                included_credit: Money::from_nanos(20_000_000_000),
                interval: Interval::Month,
                rollover: Rollover::None,
                bundle_rollover: Rollover::Full,
            },
            auto_top_up_bundle_id: Some(CreditBundleId::compose(Mode::Live, 0, 4)),
        }
    }

    fn subscription() -> Subscription {
        let id = SubscriptionId::compose(Mode::Live, 0, 6);
        Subscription::begin(id, offer(25), Credit::ZERO, NOON_S).subscription
    }

    fn credit() -> Credit {
        Credit {
            cycle: Money::from_nanos(-1_500_000_000),
            bundle: Money::from_nanos(1),
        }
    }

    #[test]
    fn an_active_subscription_shows_its_plan_its_cycle_and_its_credit() {
        let expected = json!({
            "subscription_id": "sub_00000000000000000000000006",
            "plan_id": "sc_00000000000000000000000002",
            "subscription_config_id": "sc_00000000000000000000000002",
            "status": "active",
            "auto_top_up_bundle_id": "cb_00000000000000000000000004",
            "started_at": "2026-11-21T12:00:00.000Z",
            "cancelled_at": null,
            "cycle_start_at": "2026-11-21T12:00:00.000Z",
            "cycle_end_at": "2026-12-21T12:00:00.000Z",
            "plan": {
                "name": "Pro", "period_amount": "25.00", "included_credit": "20.00", "billing_interval": "month",
                "rollover_type": "none", "bundle_rollover_type": "full",
            },
            "credits": {
                "total_remaining": "-1.499999999", "cycle_remaining": "-1.50", "bundle_remaining": "0.000000001",
            },
            "pending_change": null,
        });
        assert_eq!(show(&subscription(), credit()), expected);
        let customer = CustomerId::compose(Mode::Live, 0, 8);
        let listed = show_in_list(&subscription(), credit(), customer, json!({ "phone": "+4930" }));
        assert_eq!(listed["customer_id"], "con_00000000000000000000000008");
        assert_eq!(listed["connection_id"], listed["customer_id"]);
        assert_eq!(listed["customer"], json!({ "phone": "+4930" }));
        assert_eq!(listed["plan"], expected["plan"]);
    }

    #[test]
    fn a_pending_change_says_what_comes_and_when() {
        let leaving = subscription().cancel().unwrap().subscription;
        assert_eq!(
            show(&leaving, credit())["pending_change"],
            json!({ "type": "cancellation", "effective_at": "2026-12-21T12:00:00.000Z" })
        );
        let cheaper = subscription().downgrade(offer(9)).unwrap().subscription;
        assert_eq!(
            show(&cheaper, credit())["pending_change"],
            json!({
                "type": "downgrade", "effective_at": "2026-12-21T12:00:00.000Z",
                "plan_id": "sc_00000000000000000000000002", "subscription_config_id": "sc_00000000000000000000000002",
                "name": "Pro", "period_amount": "9.00", "included_credit": "20.00",
            })
        );
    }

    #[test]
    fn a_subscription_that_has_ended_has_no_credit_of_its_own() {
        let ended = subscription()
            .cancel_now(Credit::ZERO, NOON_S + 60)
            .unwrap()
            .subscription;
        let shown = show(&ended, credit());
        assert_eq!(
            (
                &shown["status"],
                &shown["cancelled_at"],
                &shown["credits"]["total_remaining"]
            ),
            (&json!("cancelled"), &json!("2026-11-21T12:01:00.000Z"), &json!("0.00"))
        );
    }
}
