//! What the audit log is told of.

use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::http::Client;

fn events(client: &Client, action: &str) -> Vec<Value> {
    let path = format!("/v1/audit_events?limit=100&action={action}");
    let listed = client.get(&path).expect_status(200).json();
    listed["data"].as_array().unwrap().clone()
}

#[test]
fn an_event_has_its_outcome_whatever_was_asked() {
    let house = House::new();
    let client = house.server.client();
    let names: serde_json::Map<String, Value> = (0..3000).map(|place| (format!("{place:04}-name"), json!(1))).collect();
    let table = [
        json!({ "name": "x", "zz": "a\u{0}b", "\u{0}": { "deep\u{0}": ["\u{0}"] } }),
        json!({ "name": "x", "more": "y".repeat(20_000) }),
        Value::Object(names),
    ];
    for body in table {
        let answer = client.post("/v1/customers", &body);
        let event = &events(&client, "customers.create")[0];
        assert_eq!(event["status"], answer.status, "{event}");
        assert!(!event["asked"].is_null(), "{event}");
        assert!(event["asked"].to_string().len() < 10_000, "{event}");
    }
    let first = &events(&client, "customers.create")[2];
    assert_eq!(first["asked"]["zz"], "a\u{fffd}b");
    assert_eq!(first["asked"]["\u{fffd}"]["deep\u{fffd}"], json!(["\u{fffd}"]));
}
