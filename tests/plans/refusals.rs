//! Bodies that a plan cannot be made of or changed to: each is refused whole and names its field.

use serde_json::{Value, json};

use super::{bundle, bundle_ids, meter, path, pro, with};
use crate::support::house::House;

const INDEX: &str = "default_auto_top_up_bundle_index";

#[test]
fn every_bad_plan_names_its_field_and_writes_nothing() {
    let house = House::new();
    let secret = house.server.client();
    let unknown = "prd_01HF7YAT000000000000000000";
    let meter_id = meter(&secret, "Chat");
    let plan = |field: &str, value: Value| with(pro(), field, value);
    let bundles = |bundle: Value| with(plan("credit_bundles", json!([bundle])), INDEX, Value::Null);
    let many: Vec<Value> = (0..101).map(|_| bundle("x", "1", "1")).collect();
    #[rustfmt::skip]
    let table = [
        (json!({}), 400, "name"),
        (plan("period_amount", json!("10000.01")), 400, "period_amount"),
        (plan("period_amount", json!("-1")), 400, "period_amount"),
        (plan("period_amount", json!(25)), 400, "period_amount"),
        (plan("period_amount", Value::Null), 400, "period_amount"),
        (plan("billing_interval", json!("hour")), 400, "billing_interval"),
        (plan("included_credit", json!("25.01")), 400, "included_credit"),
        (plan("rollover_type", json!("half")), 400, "rollover_type"),
        (plan("bundle_rollover_type", json!(true)), 400, "bundle_rollover_type"),
        (plan(INDEX, json!(2)), 400, INDEX),
        (plan(INDEX, json!(-1)), 400, INDEX),
        (plan(INDEX, json!("0")), 400, INDEX),
        (plan("meter_ids", json!(["x"])), 400, "meter_ids[0]"),
        (plan("meter_ids", json!([meter_id, unknown])), 404, "meter_ids[1]"),
        (plan("meter_ids", json!([meter_id, meter_id])), 400, "meter_ids[1]"),
        (plan("credit_bundles", json!({})), 400, "credit_bundles"),
        (plan("credit_bundles", json!(many)), 400, "credit_bundles"),
        (bundles(bundle("", "1", "1")), 400, "credit_bundles[0].name"),
        (bundles(bundle("x", "0", "1")), 400, "credit_bundles[0].cost"),
        (bundles(bundle("x", "1000000.01", "1")), 400, "credit_bundles[0].cost"),
        (bundles(bundle("x", "1", "1000000.01")), 400, "credit_bundles[0].credit_amount"),
        (bundles(json!({ "name": "x", "cost": "1" })), 400, "credit_bundles[0].credit_amount"),
        (bundles(with(bundle("x", "1", "1"), "is_deleted", json!(true))), 400, "credit_bundles[0].is_deleted"),
        (plan("period_amonut", json!("1")), 400, "period_amonut"),
    ];
    for (body, status, param) in table {
        let answer = secret.post("/v1/plans", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    assert_eq!(
        house.database.number("SELECT COUNT(*) FROM plans WHERE name <> 'Free'"),
        0
    );
    assert_eq!(house.database.number("SELECT COUNT(*) FROM credit_bundles"), 0);
}

#[test]
fn a_bad_change_names_its_field_and_changes_nothing() {
    let house = House::new();
    let secret = house.server.client();
    let made = secret.post("/v1/plans", &pro()).expect_status(201).json();
    let other = secret.post("/v1/plans", &pro()).expect_status(201).json();
    let (ids, others) = (bundle_ids(&made), bundle_ids(&other));
    let bundles = |bundles: Value| json!({ "name": "new", "credit_bundles": bundles });
    let table = [
        (json!({ "period_amount": "25" }), 400, "period_amount"),
        (json!({ "billing_interval": "month" }), 400, "billing_interval"),
        (json!({ "included_credit": "25.01" }), 400, "included_credit"),
        (json!({ "name": Value::Null }), 400, "name"),
        (
            json!({ "default_auto_top_up_bundle_id": others[0] }),
            404,
            "default_auto_top_up_bundle_id",
        ),
        (
            json!({ "default_auto_top_up_bundle_id": "x" }),
            400,
            "default_auto_top_up_bundle_id",
        ),
        (
            bundles(json!([bundle("x", "1", "1"), { "credit_bundle_id": others[0], "name": "mine" }])),
            404,
            "credit_bundles[1].credit_bundle_id",
        ),
        (
            bundles(json!([{ "credit_bundle_id": ids[0] }, { "credit_bundle_id": ids[0], "is_deleted": true }])),
            400,
            "credit_bundles[1].credit_bundle_id",
        ),
        (
            bundles(json!([{ "is_deleted": true }])),
            400,
            "credit_bundles[0].credit_bundle_id",
        ),
        (
            bundles(json!([{ "credit_bundle_id": ids[0], "cost": "0" }])),
            400,
            "credit_bundles[0].cost",
        ),
        (
            bundles(json!([{ "credit_bundle_id": ids[0], "is_deleted": 1 }])),
            400,
            "credit_bundles[0].is_deleted",
        ),
    ];
    for (body, status, param) in table {
        let answer = secret.patch(&path(&made), &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    assert_eq!(secret.get(&path(&made)).expect_status(200).json(), made);
}
