//! A customer in the words of older clients, who knew him as a connection: what is shown of him or told of him, with the
//! older names beside today's. His secret was a name in tokens and reports, where his id serves as well.

use serde_json::{Value, json};

use super::money::Money;

/// What the customer's own answer shows, as a connection; `balance` is the decimal credit that he has, which may be
/// below zero.
pub fn of_customer(mut shown: Value, balance: &str) -> Value {
    let (id, contact) = (shown["customer_id"].clone(), shown["contact"].clone());
    let mut wallet = contact.clone();
    wallet["balance"] = Value::from(balance);
    shown["connection_id"] = id.clone();
    shown["connection_secret"] = id;
    shown["customer"] = contact;
    shown["has_lava_credit_balance"] = Value::from(is_above_zero(balance));
    shown["wallet"] = wallet;
    if shown["subscription"].is_object() {
        shown["subscription"]["subscription_config_id"] = shown["subscription"]["plan_id"].clone();
    }
    shown
}

/// No amount that parses is below zero.
fn is_above_zero(balance: &str) -> bool {
    balance.parse().is_ok_and(|balance: Money| balance > Money::ZERO)
}

/// What stands in a body of today's that tells of a customer, in one for an endpoint that asked in older words; `name`
/// is the event's older name. A body that is none of ours stays as it is.
pub fn told(body: &str, name: &str) -> String {
    let told = serde_json::from_str::<Value>(body).unwrap_or_default();
    let data = told["data"].clone();
    if !data.is_object() {
        return body.to_owned();
    }
    let balance = data["credits"]["total_remaining"].as_str().unwrap_or("0.00").to_owned();
    let data = of_customer(data, &balance);
    let (id, at) = (&told["event_id"], &told["created_at"]);
    let name = json!(name);
    format!(r#"{{"event":{name},"event_id":{id},"created_at":{at},"data":{data}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer() -> Value {
        json!({
            "customer_id": "con_1",
            "contact": { "phone": "+4930", "email": "", "first_name": "Jane", "last_name": "Smith" },
            "subscription": { "subscription_id": "sub_1", "plan_id": "sc_1", "name": "Pro", "status": "active" },
        })
    }

    #[test]
    fn a_connection_is_its_customer_with_older_names_beside_todays() {
        let shown = of_customer(customer(), "0.000000001");
        for name in ["customer_id", "connection_id", "connection_secret"] {
            assert_eq!(shown[name], "con_1", "{name}");
        }
        assert_eq!(
            (&shown["customer"], &shown["contact"]),
            (&customer()["contact"], &customer()["contact"])
        );
        assert_eq!(
            (&shown["wallet"]["balance"], &shown["wallet"]["first_name"]),
            (&json!("0.000000001"), &json!("Jane"))
        );
        assert_eq!(shown["subscription"]["subscription_config_id"], "sc_1");
    }

    #[test]
    fn a_balance_is_one_only_above_zero() {
        for (balance, has_credit) in [("0.000000001", true), ("5.00", true), ("0.00", false), ("-0.01", false)] {
            let shown = of_customer(json!({ "contact": {}, "subscription": null }), balance);
            assert_eq!(shown["has_lava_credit_balance"], has_credit, "{balance}");
            assert!(shown["subscription"].is_null());
        }
    }

    #[test]
    fn an_event_keeps_its_id_and_its_time() {
        let mut data = customer();
        data["credits"] = json!({ "total_remaining": "-2.50" });
        let body = format!(r#"{{"event":"customer.deleted","event_id":"evt_1","created_at":"now","data":{data}}}"#);
        let older = told(&body, "connection.deleted");
        assert!(older.starts_with(r#"{"event":"connection.deleted","event_id":"evt_1","created_at":"now","data":{"#));
        let read: Value = serde_json::from_str(&older).unwrap();
        assert_eq!(read["data"], of_customer(data, "-2.50"));
        for other in ["no body", r#"{"data":7}"#] {
            assert_eq!(told(other, "connection.deleted"), other);
        }
    }
}
