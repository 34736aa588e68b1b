//! What a customer's answers say of his subscription, whole or in brief. Without an active one it is null.

use actix_web::web;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::domain::plan::Plan;
use crate::domain::subscription::{Status, Subscription};
use crate::engine::customer_accounts::Whose;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::http::subscriptions::show_active;
use crate::storage::customers::CustomerRow;

/// The subscription of each of these customers, whole, in their order.
pub async fn subscriptions_of(state: &web::Data<AppState>, customers: &[CustomerRow]) -> Result<Vec<Value>, ApiError> {
    try_join_all(customers.iter().map(|customer| subscription_of(state, customer))).await
}

/// The subscription of one customer, whole.
pub async fn subscription_of(state: &web::Data<AppState>, customer: &CustomerRow) -> Result<Value, ApiError> {
    let whose = Whose {
        customer_id: customer.id,
        merchant_id: customer.merchant_id,
    };
    show_active(state, whose).await
}

/// What a customer's subscription will be as he is created, as far as his own answer shows it.
pub fn first_subscription(state: &AppState, customer: &CustomerRow) -> Value {
    let plan = state.tariffs.plan(Plan::free_id(customer.merchant_id));
    let Some(plan) = plan.filter(|plan| !plan.is_deleted) else {
        return Value::Null;
    };
    json!({
        "subscription_id": Subscription::first_id(customer.id),
        "plan_id": plan.plan.id(),
        "plan": { "name": plan.plan.terms.name },
        "status": Status::Active.name(),
    })
}

/// What a customer's own answer shows of his subscription.
pub fn in_brief(whole: &Value) -> Value {
    if whole.is_null() {
        return Value::Null;
    }
    json!({
        "subscription_id": whole["subscription_id"],
        "plan_id": whole["plan_id"],
        "name": whole["plan"]["name"],
        "status": whole["status"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brief_form_names_the_plan() {
        let whole = json!({
            "subscription_id": "sub_1", "plan_id": "sc_1", "status": "active", "plan": { "name": "Pro" }, "credits": {},
        });
        let brief = json!({ "subscription_id": "sub_1", "plan_id": "sc_1", "name": "Pro", "status": "active" });
        assert_eq!(in_brief(&whole), brief);
        assert_eq!(in_brief(&Value::Null), Value::Null);
    }
}
