//! What a customer's answers say of his subscription. One place asks for it: the rest shows what it says, whole or in
//! brief. Without a subscription it is null.

use actix_web::web;
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::storage::customers::CustomerRow;

/// The subscription of each of these customers, whole, in their order. Nothing can be subscribed to yet.
pub async fn subscriptions_of(_: &web::Data<AppState>, customers: &[CustomerRow]) -> Result<Vec<Value>, ApiError> {
    Ok(vec![Value::Null; customers.len()])
}

/// The subscription of one customer, whole.
pub async fn subscription_of(state: &web::Data<AppState>, customer: &CustomerRow) -> Result<Value, ApiError> {
    let mut found = subscriptions_of(state, std::slice::from_ref(customer)).await?;
    Ok(found.pop().unwrap_or(Value::Null))
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
