//! Plans and their credit bundles over the real server: made, changed and deleted; what is refused names its field.

mod refusals;

use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::http::Client;

fn meter(secret: &Client, name: &str) -> Value {
    let tiers = json!([{ "start": "0", "rate": "2" }]);
    let body = json!({ "name": name, "rate_type": "fixed", "tier_type": "tokens_1m", "tiers": tiers });
    secret.post("/v1/meters", &body).expect_status(201).json()["meter_id"].clone()
}

fn bundle(name: &str, cost: &str, credit: &str) -> Value {
    json!({ "name": name, "cost": cost, "credit_amount": credit })
}

/// A plan of $25 with two bundles, the second of which is bought automatically.
fn pro() -> Value {
    json!({
        "name": "Pro",
        "period_amount": "25",
        "billing_interval": "month",
        "rollover_type": "full",
        "default_auto_top_up_bundle_index": 1,
        "credit_bundles": [bundle("Small", "9", "10"), bundle("Large", "50.00", "60")],
    })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn path(plan: &Value) -> String {
    format!("/v1/plans/{}", plan["plan_id"].as_str().unwrap())
}

fn bundle_ids(plan: &Value) -> Vec<Value> {
    let bundles = plan["credit_bundles"].as_array().unwrap();
    bundles
        .iter()
        .map(|bundle| bundle["credit_bundle_id"].clone())
        .collect()
}

#[test]
fn every_merchant_has_a_free_plan_from_the_start() {
    let house = House::new();
    for client in [house.server.client(), house.stranger()] {
        let plans = client.get("/v1/plans").expect_status(200).json();
        let plan = &plans["data"][0];
        assert_eq!(plans["data"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&plan["name"], &plan["period_amount"]),
            (&json!("Free"), &json!("0.00"))
        );
        assert_eq!(
            (&plan["included_credit"], &plan["billing_interval"]),
            (&json!("0.00"), &json!("month"))
        );
        // It can be given credit, a name and bundles.
        let change = json!({ "name": "Start", "included_credit": "5", "credit_bundles": [bundle("One", "1", "1")] });
        let changed = client.patch(&path(plan), &change).expect_status(200).json();
        assert_eq!(
            (&changed["name"], &changed["included_credit"]),
            (&json!("Start"), &json!("5.00"))
        );
    }
}

#[test]
fn a_plan_is_made_with_its_defaults_its_bundles_and_its_meters() {
    let house = House::new();
    let secret = house.server.client();
    let meter_id = meter(&secret, "Chat");
    let made = secret
        .post("/v1/plans", &with(pro(), "meter_ids", json!([meter_id])))
        .expect_status(201)
        .json();
    assert!(made["plan_id"].as_str().unwrap().starts_with("sc_"), "{made}");
    assert!(made["merchant_id"].as_str().unwrap().starts_with("mer_"));
    let expected = [
        ("period_amount", "25.00"),
        ("included_credit", "25.00"),
        ("billing_interval", "month"),
        ("rollover_type", "full"),
        ("bundle_rollover_type", "full"),
    ];
    for (field, value) in expected {
        assert_eq!(made[field], value, "{field}");
    }
    assert_eq!(made["linked_meters"], json!([{ "meter_id": meter_id, "name": "Chat" }]));
    let ids = bundle_ids(&made);
    assert_eq!(made["default_auto_top_up_bundle_id"], ids[1]);
    let small = json!({ "credit_bundle_id": ids[0], "name": "Small", "cost": "9.00", "credit_amount": "10.00" });
    assert_eq!(made["credit_bundles"][0], small);
    assert_eq!(secret.get(&path(&made)).expect_status(200).json(), made);
    let plain = json!({ "name": "Plain", "period_amount": "0", "billing_interval": "day" });
    let plain = secret.post("/v1/plans", &plain).expect_status(201).json();
    assert_eq!(plain["rollover_type"], "none");
    assert_eq!(
        (&plain["default_auto_top_up_bundle_id"], &plain["linked_meters"]),
        (&Value::Null, &json!([]))
    );
    let names: Vec<Value> = secret.get("/v1/plans").json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plan| plan["name"].clone())
        .collect();
    assert_eq!(names, ["Plain", "Pro", "Free"]);
}

#[test]
fn an_update_reconciles_bundles_and_replaces_meters() {
    let house = House::new();
    let secret = house.server.client();
    let (one, two) = (meter(&secret, "One"), meter(&secret, "Two"));
    let made = secret
        .post("/v1/plans", &with(pro(), "meter_ids", json!([two, one])))
        .expect_status(201)
        .json();
    let ids = bundle_ids(&made);
    let untouched = secret.patch(&path(&made), &json!({})).expect_status(200).json();
    assert_eq!(untouched, made);
    let change = json!({
        "name": "Pro 2",
        "included_credit": "20",
        "rollover_type": "none",
        "bundle_rollover_type": "none",
        "meter_ids": [two],
        "credit_bundles": [
            { "credit_bundle_id": ids[0], "name": "Smaller", "cost": "8", "credit_amount": "10" },
            { "credit_bundle_id": ids[1], "is_deleted": true },
            bundle("Huge", "500", "700"),
        ],
    });
    let changed = secret.patch(&path(&made), &change).expect_status(200).json();
    let fields = ["name", "included_credit", "rollover_type", "bundle_rollover_type"].map(|name| changed[name].clone());
    assert_eq!(fields, ["Pro 2", "20.00", "none", "none"]);
    assert_eq!(changed["linked_meters"], json!([{ "meter_id": two, "name": "Two" }]));
    let bundles: Vec<(&Value, &Value)> = changed["credit_bundles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bundle| (&bundle["name"], &bundle["cost"]))
        .collect();
    assert_eq!(
        bundles,
        [(&json!("Smaller"), &json!("8.00")), (&json!("Huge"), &json!("500.00"))]
    );
    // The default was the one that is gone; another of the plan may follow it.
    assert!(changed["default_auto_top_up_bundle_id"].is_null());
    for default in [ids[0].clone(), Value::Null] {
        let change = json!({ "default_auto_top_up_bundle_id": default });
        let changed = secret.patch(&path(&made), &change).expect_status(200).json();
        assert_eq!(changed["default_auto_top_up_bundle_id"], default);
    }
    // A deleted meter is gone from the plans, and all links may be taken away.
    secret
        .delete(&format!("/v1/meters/{}", two.as_str().unwrap()))
        .expect_status(200);
    assert_eq!(secret.get(&path(&made)).json()["linked_meters"], json!([]));
    let linked = secret
        .patch(&path(&made), &json!({ "meter_ids": [one] }))
        .expect_status(200)
        .json();
    assert_eq!(linked["linked_meters"].as_array().unwrap().len(), 1);
    let unlinked = secret
        .patch(&path(&made), &json!({ "meter_ids": [] }))
        .expect_status(200)
        .json();
    assert_eq!(unlinked["linked_meters"], json!([]));
}

#[test]
fn bundles_are_listed_by_plan_and_go_with_it() {
    let house = House::new();
    let secret = house.server.client();
    let made = secret.post("/v1/plans", &pro()).expect_status(201).json();
    secret.post("/v1/plans", &pro()).expect_status(201);
    let plan_id = made["plan_id"].as_str().unwrap();
    let listed = secret.get("/v1/credit_bundles?limit=3").expect_status(200).json();
    assert_eq!(
        (listed["data"].as_array().unwrap().len(), &listed["has_more"]),
        (3, &json!(true))
    );
    let of_plan = secret
        .get(&format!("/v1/credit_bundles?plan_id={plan_id}"))
        .expect_status(200)
        .json();
    let mut ids = bundle_ids(&made);
    ids.reverse();
    let listed: Vec<&Value> = of_plan["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["credit_bundle_id"])
        .collect();
    assert_eq!(listed, ids.iter().collect::<Vec<_>>());
    let one = format!("/v1/credit_bundles/{}", ids[0].as_str().unwrap());
    let shown = secret.get(&one).expect_status(200).json();
    assert_eq!((&shown["plan_id"], &shown["cost"]), (&json!(plan_id), &json!("50.00")));
    assert!(shown["created_at"].is_string());
    assert_eq!(secret.get("/v1/credit_bundles?plan_id=x").status, 400);
    assert_eq!(secret.post("/v1/credit_bundles", &json!({})).status, 405);
    let deleted = secret.delete(&path(&made)).expect_status(200).json();
    assert_eq!(deleted, json!({ "id": plan_id, "deleted": true }));
    secret.get(&one).expect_status(404);
    for answer in [
        secret.get(&path(&made)),
        secret.delete(&path(&made)),
        secret.patch(&path(&made), &json!({})),
    ] {
        assert_eq!(
            (answer.status, &answer.json()["error"]["param"]),
            (404, &json!("plan_id"))
        );
    }
    assert_eq!(
        secret.get("/v1/credit_bundles").json()["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_merchant_sees_his_own_plans_and_bundles_only() {
    let house = House::new();
    let (secret, stranger) = (house.server.client(), house.stranger());
    let made = secret.post("/v1/plans", &pro()).expect_status(201).json();
    let mine = meter(&secret, "Chat");
    stranger.get(&path(&made)).expect_status(404);
    stranger
        .patch(&path(&made), &json!({ "name": "his" }))
        .expect_status(404);
    stranger.delete(&path(&made)).expect_status(404);
    let bundle = bundle_ids(&made)[0].clone();
    stranger
        .get(&format!("/v1/credit_bundles/{}", bundle.as_str().unwrap()))
        .expect_status(404);
    let by_plan = format!("/v1/credit_bundles?plan_id={}", made["plan_id"].as_str().unwrap());
    for list in ["/v1/credit_bundles", &by_plan] {
        assert_eq!(stranger.get(list).expect_status(200).json()["data"], json!([]));
    }
    let his = stranger.post("/v1/plans", &pro()).expect_status(201).json();
    let table = [
        (json!({ "meter_ids": [mine] }), "meter_ids[0]"),
        (
            json!({ "default_auto_top_up_bundle_id": bundle }),
            "default_auto_top_up_bundle_id",
        ),
        (
            json!({ "credit_bundles": [{ "credit_bundle_id": bundle, "is_deleted": true }] }),
            "credit_bundles[0].credit_bundle_id",
        ),
    ];
    for (body, param) in table {
        let answer = stranger.patch(&path(&his), &body).expect_status(404);
        assert_eq!(answer.json()["error"]["param"], param);
    }
    assert_eq!(secret.get(&path(&made)).expect_status(200).json(), made);
}
