//! What goes through, as `/v1/traffic` sums it.

use serde_json::{Value, json};

use crate::support::house::{House, chat, chat_stream, message, nanos};
use crate::support::server::eventually;

fn wait_for(house: &House, count: i64) {
    eventually("every call is in the sums", || {
        house
            .database
            .number("SELECT coalesce(sum(request_count), 0)::bigint AS number FROM traffic_hours")
            == count
    });
}

#[test]
fn what_went_through_is_summed_by_model_provider_and_key() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "blue" }));
    let (_, other) = house.mint(json!({ "name": "red", "request_shape": "anthropic" }));
    let (blue, red) = (house.caller(&key), house.caller(&other));
    for _ in 0..3 {
        blue.post("/v1/chat/completions", &chat("output_tokens=40"))
            .expect_status(200);
    }
    blue.post("/v1/chat/completions", &chat_stream("output_tokens=8"))
        .expect_status(200);
    red.post("/v1/messages", &message("output_tokens=2")).expect_status(200);
    red.post("/v1/messages", &message("status=429"));
    wait_for(&house, 6);
    let get = |query: &str| -> Value {
        house
            .server
            .client()
            .get(&format!("/v1/traffic?{query}"))
            .expect_status(200)
            .json()
    };
    let report = get("");
    let totals = &report["totals"];
    assert_eq!(
        (&report["interval"], &report["group_by"]),
        (&json!("day"), &json!("model"))
    );
    assert_eq!(
        (&totals["total_requests"], &totals["errors"]["throttled"]),
        (&json!(6), &json!(1)),
        "{report}"
    );
    assert_eq!(totals["error_per_mille"], 167);
    assert!(
        totals["latency_ms"]["p99"].is_u64() && totals["first_token_ms"]["p50"].is_u64(),
        "{report}"
    );
    assert_eq!(report["series"].as_array().unwrap().len(), 7);
    nothing_was(&report["previous"]);
    let usage = house
        .server
        .client()
        .get("/v1/usage?start=2020-01-01T00:00:00Z")
        .expect_status(200)
        .json();
    assert_eq!(usage["totals"]["total_cost"], totals["total_cost"]);
    assert_eq!(usage["totals"]["total_usage_tokens"], totals["total_tokens"]);
    groups_add_up(&house, totals);
    assert_eq!(
        get("group_by=spend_key")["groups"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|key| key["name"] == "blue")
            .count(),
        1
    );
    others_see_nothing_and_junk_is_refused(&house);
    assert_eq!(blue.get("/v1/traffic").status, 403);
    house.books_agree();
}

fn nothing_was(totals: &Value) {
    for count in ["total_requests", "total_tokens"] {
        assert_eq!(totals[count], 0, "{totals}");
    }
    for amount in ["total_cost", "total_charge"] {
        assert_eq!(totals[amount], "0.00", "{totals}");
    }
}

/// Groups of each kind, their series and what is left of them come to the totals.
fn groups_add_up(house: &House, totals: &Value) {
    let get = |query: &str| -> Value {
        let path = format!("/v1/traffic?{query}");
        house.server.client().get(&path).expect_status(200).json()
    };
    for group_by in ["model", "provider", "spend_key"] {
        let report = get(&format!("group_by={group_by}&interval=hour"));
        let groups = report["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 2, "{report}");
        assert_eq!(report["other"], Value::Null);
        let sum: i64 = groups.iter().map(|group| nanos(&group["total_cost"])).sum();
        assert_eq!(sum, nanos(&totals["total_cost"]), "{report}");
        for group in groups {
            let points = group["series"].as_array().unwrap();
            assert_eq!(points.len(), 7 * 24);
            let sum: i64 = points.iter().map(|point| nanos(&point["total_cost"])).sum();
            assert_eq!(sum, nanos(&group["total_cost"]), "{group}");
        }
        let one = get(&format!("group_by={group_by}&top=1"));
        let rest = nanos(&totals["total_cost"]) - nanos(&one["groups"][0]["total_cost"]);
        assert_eq!(nanos(&one["other"]["total_cost"]), rest, "{one}");
        let path = format!("/v1/traffic?group_by={group_by}&format=csv");
        let table = house.server.client().get(&path).expect_status(200).text();
        assert_eq!(table.split("\r\n").count(), 2 + 2 * 7, "{table}");
    }
}

fn others_see_nothing_and_junk_is_refused(house: &House) {
    let stranger = house.stranger().get("/v1/traffic").expect_status(200).json();
    assert_eq!(
        (&stranger["totals"]["total_requests"], &stranger["groups"]),
        (&json!(0), &json!([]))
    );
    for (query, param) in [
        ("from=x", "from"),
        ("group_by=colour", "group_by"),
        ("interval=week", "interval"),
        ("top=0", "top"),
        ("from=2025-01-01", "from"),
        ("from=%2B262142-12-31&to=%2B262142-12-31", "to"),
    ] {
        let answer = house
            .server
            .client()
            .get(&format!("/v1/traffic?{query}"))
            .expect_status(400);
        assert_eq!(answer.json()["error"]["param"], param, "{query}");
    }
}

#[test]
fn the_sums_are_whole_after_a_kill() {
    let mut house = House::new();
    let (_, key) = house.mint(json!({ "name": "killed" }));
    for round in 1..=3 {
        let caller = house.caller(&key);
        for _ in 0..5 {
            caller
                .post("/v1/chat/completions", &chat("output_tokens=12"))
                .expect_status(200);
        }
        house.server.kill();
        house.server.start_again();
        wait_for(&house, 5 * round);
    }
    house.books_agree();
    let sides = "SELECT (SELECT sum(cost) FROM requests)::bigint - (SELECT sum(cost) FROM traffic_hours)::bigint \
         + (SELECT sum(cost) FROM requests)::bigint - (SELECT sum(cost) FROM traffic_key_days)::bigint AS number";
    assert_eq!(house.database.number(sides), 0);
    assert!(house.database.execute("UPDATE traffic_hours SET cost = cost + 1") > 0);
    let proof = house.proof();
    let side = proof["invariants"]
        .as_array()
        .unwrap()
        .iter()
        .find(|side| side["name"] == "traffic_by_hours")
        .unwrap();
    assert_ne!(side["difference"], "0", "{proof}");
}
