//! `/v1/connections`: customers in the words of older clients, which read them, list them and delete them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use crate::domain::connection;
use crate::storage::customers::CustomerRow;

use super::auth::SecretKeyAuth;
use super::customers::{load, load_page, show, subscription};
use super::error::ApiError;
use super::page::envelope;
use super::query::Query;
use super::state::AppState;

type State = web::Data<AppState>;

/// GET of the list, newest first; `reference_id` names the only one who is asked for.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let found = load_page(&auth, &state, &query).await?;
    let show = |(row, subscription): &(CustomerRow, Value)| show_connection(row, subscription);
    Ok(HttpResponse::Ok().json(envelope(&found, show)))
}

/// GET of one.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let row = load(&auth, &state, &request).await?;
    let subscription = subscription::subscription_of(&state, &row).await?;
    Ok(HttpResponse::Ok().json(show_connection(&row, &subscription)))
}

/// The shapes of three generations in one; the first of them knew cycles and automatic purchases too.
fn show_connection(row: &CustomerRow, subscription: &Value) -> Value {
    let balance = subscription["credits"]["total_remaining"].as_str().unwrap_or("0.00");
    let mut shown = connection::of_customer(show(row, subscription), balance);
    shown["wallet"]["autopay_enabled"] = Value::from(!subscription["auto_top_up_bundle_id"].is_null());
    shown["previous_usage_reset"] = subscription["cycle_start_at"].clone();
    shown["next_usage_reset"] = subscription["cycle_end_at"].clone();
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::customer::CustomerFields;
    use crate::domain::ids::{CustomerId, MerchantId, Mode};

    fn shown(subscription: &Value) -> Value {
        let row = CustomerRow {
            id: CustomerId::compose(Mode::Live, 0, 8),
            merchant_id: MerchantId::compose(Mode::Live, 0, 2),
            fields: CustomerFields::default(),
            created_at_ms: 0,
        };
        show_connection(&row, subscription)
    }

    #[test]
    fn a_connection_shows_the_cycle_and_the_purchases_of_its_subscription() {
        let connection = shown(&json!({
            "plan_id": "sc_1", "plan": { "name": "Pro" }, "auto_top_up_bundle_id": "cb_1",
            "credits": { "total_remaining": "5.00" }, "cycle_start_at": "a", "cycle_end_at": "b",
        }));
        let cycle = (&connection["previous_usage_reset"], &connection["next_usage_reset"]);
        assert_eq!(cycle, (&json!("a"), &json!("b")));
        assert_eq!(connection["wallet"]["autopay_enabled"], true);
        assert_eq!(connection["wallet"]["balance"], "5.00");
        assert_eq!(connection["has_lava_credit_balance"], true);
    }

    #[test]
    fn a_connection_without_a_subscription_has_neither_credit_nor_cycle() {
        let connection = shown(&Value::Null);
        assert_eq!(connection["connection_id"], "con_00000000000000000000000008");
        assert_eq!(
            (
                &connection["wallet"]["balance"],
                &connection["wallet"]["autopay_enabled"]
            ),
            (&json!("0.00"), &json!(false))
        );
        for name in ["subscription", "previous_usage_reset", "next_usage_reset"] {
            assert!(connection[name].is_null(), "{name}");
        }
    }
}
