//! Meters over the real server: made, read, changed and deleted by id and by slug; what is refused names its field.

use serde_json::{Value, json};

use crate::support::house::House;

/// The 5/3/1 ladder.
fn ladder() -> Value {
    let tiers = json!([{ "start": "0", "rate": "5" }, { "start": "1000000", "rate": "3.00" }, { "start": 10_000_000, "rate": "1" }]);
    json!({ "name": "Chat (GPT)", "rate_type": "fixed", "tier_type": "tokens_1m", "tiers": tiers })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[test]
fn a_meter_is_made_read_changed_and_deleted_by_id_and_by_slug() {
    let house = House::new();
    let secret = house.server.client();
    let made = secret.post("/v1/meters", &ladder()).expect_status(201).json();
    let id = made["meter_id"].as_str().unwrap();
    assert!(id.starts_with("prd_"), "{made}");
    assert_eq!(made["meter_slug"], "chat-gpt");
    let expected = json!([
        { "start": 0, "rate": "5.00", "type": "tokens_1m" },
        { "start": 1_000_000, "rate": "3.00", "type": "tokens_1m" },
        { "start": 10_000_000, "rate": "1.00", "type": "tokens_1m" },
    ]);
    assert_eq!(made["tiers"], expected);
    assert!(made["created_at"].is_string() && made.get("tier_type").is_none());
    for name in [id, "chat-gpt"] {
        let path = format!("/v1/meters/{name}");
        assert_eq!(secret.get(&path).expect_status(200).json(), made);
        let change = json!({ "name": name, "tiers": [{ "start": 0, "rate": "0.000000001" }] });
        let changed = secret.patch(&path, &change).expect_status(200).json();
        assert_eq!(
            (&changed["name"], &changed["tiers"][0]["rate"]),
            (&json!(name), &json!("0.000000001"))
        );
        let back = json!({ "name": "Chat (GPT)", "tiers": ladder()["tiers"] });
        assert_eq!(secret.patch(&path, &back).expect_status(200).json(), made);
    }
    let deleted = secret.delete("/v1/meters/chat-gpt").expect_status(200).json();
    assert_eq!(deleted, json!({ "id": id, "deleted": true }));
    for name in [id, "chat-gpt"] {
        let path = format!("/v1/meters/{name}");
        assert_eq!(
            secret.get(&path).expect_status(404).json()["error"]["param"],
            "meter_id"
        );
        secret.patch(&path, &json!({ "name": "x" })).expect_status(404);
        secret.delete(&path).expect_status(404);
    }
    assert_eq!(secret.get("/v1/meters").json()["data"], json!([]));
    // The row stays for the requests that name it.
    assert_eq!(house.database.number("SELECT COUNT(*) FROM meters"), 1);
}

#[test]
fn a_slug_is_taken_once_and_free_again_when_its_meter_is_deleted() {
    let house = House::new();
    let secret = house.server.client();
    let mine = with(ladder(), "meter_slug", json!("my_Meter.1"));
    secret.post("/v1/meters", &mine).expect_status(201);
    for _ in 0..2 {
        let refused = secret.post("/v1/meters", &mine).expect_status(409).json();
        assert_eq!(refused["error"]["param"], "meter_slug");
        assert_eq!(refused["error"]["code"], "conflict");
    }
    // Another merchant has slugs of his own.
    house.stranger().post("/v1/meters", &mine).expect_status(201);
    secret.delete("/v1/meters/my_Meter.1").expect_status(200);
    secret.post("/v1/meters", &mine).expect_status(201);
    let slugs: Vec<Value> = (0..3)
        .map(|_| secret.post("/v1/meters", &ladder()).expect_status(201).json()["meter_slug"].clone())
        .collect();
    assert_eq!(slugs, ["chat-gpt", "chat-gpt-2", "chat-gpt-3"]);
}

#[test]
fn every_bad_meter_names_its_field_and_writes_nothing() {
    let house = House::new();
    let secret = house.server.client();
    let tiers = |tiers: Value| with(ladder(), "tiers", tiers);
    let starts = |starts: &[i64]| {
        let tier = |start: &i64| json!({ "start": start.to_string(), "rate": "1" });
        tiers(starts.iter().map(tier).collect())
    };
    let many: Vec<i64> = (0..101).collect();
    let table = [
        (json!({}), "name"),
        (with(ladder(), "name", json!("")), "name"),
        (with(ladder(), "rate_type", json!("flat")), "rate_type"),
        (with(ladder(), "rate_type", Value::Null), "rate_type"),
        (with(ladder(), "tier_type", json!("tokens")), "tier_type"),
        (with(ladder(), "meter_slug", json!("a b")), "meter_slug"),
        (
            with(ladder(), "meter_slug", json!("prd_01HF7YAT000000000000000000")),
            "meter_slug",
        ),
        (with(ladder(), "tears", json!([])), "tears"),
        (tiers(Value::Null), "tiers"),
        (tiers(json!([])), "tiers"),
        (tiers(json!({})), "tiers"),
        (tiers(json!([7])), "tiers[0]"),
        (starts(&many), "tiers"),
        (starts(&[1]), "tiers[0].start"),
        (starts(&[0, 5, 5]), "tiers[2].start"),
        (starts(&[0, 5, 4]), "tiers[2].start"),
        (starts(&[0, -5]), "tiers[1].start"),
        (starts(&[0, i64::MAX]), "tiers[1].start"),
        (tiers(json!([{ "start": "0.5", "rate": "1" }])), "tiers[0].start"),
        (tiers(json!([{ "start": 0.5, "rate": "1" }])), "tiers[0].start"),
        (tiers(json!([{ "rate": "1" }])), "tiers[0].start"),
        (tiers(json!([{ "start": "0" }])), "tiers[0].rate"),
        (tiers(json!([{ "start": "0", "rate": 1 }])), "tiers[0].rate"),
        (tiers(json!([{ "start": "0", "rate": "-1" }])), "tiers[0].rate"),
        (tiers(json!([{ "start": "0", "rate": "1e3" }])), "tiers[0].rate"),
        (
            tiers(json!([{ "start": "0", "rate": "0.0000000001" }])),
            "tiers[0].rate",
        ),
        (
            tiers(json!([{ "start": "0", "rate": "1", "rat": "2" }])),
            "tiers[0].rat",
        ),
    ];
    for (body, param) in table {
        let answer = secret.post("/v1/meters", &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    assert_eq!(house.database.number("SELECT COUNT(*) FROM meters"), 0);
}

#[test]
fn what_a_meter_counts_never_changes() {
    let house = House::new();
    let secret = house.server.client();
    let made = secret.post("/v1/meters", &ladder()).expect_status(201).json();
    let table = [
        (json!({ "rate_type": "percentage" }), "rate_type"),
        (json!({ "tier_type": "requests" }), "tier_type"),
        (json!({ "meter_slug": "other" }), "meter_slug"),
        (json!({ "name": Value::Null }), "name"),
        (json!({ "tiers": Value::Null }), "tiers"),
        (
            json!({ "name": "new", "tiers": [{ "start": "1", "rate": "1" }] }),
            "tiers[0].start",
        ),
        (json!({ "created_at": "x" }), "created_at"),
    ];
    for (body, param) in table {
        let answer = secret.patch("/v1/meters/chat-gpt", &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    assert_eq!(
        secret
            .patch("/v1/meters/chat-gpt", &json!({}))
            .expect_status(200)
            .json(),
        made
    );
}

#[test]
fn a_merchant_sees_his_own_meters_only() {
    let house = House::new();
    let (secret, stranger) = (house.server.client(), house.stranger());
    let made = secret.post("/v1/meters", &ladder()).expect_status(201).json();
    for name in [made["meter_id"].as_str().unwrap(), "chat-gpt", "prd_junk", "%2E%2E"] {
        let path = format!("/v1/meters/{name}");
        stranger.get(&path).expect_status(404);
        stranger.patch(&path, &json!({ "name": "mine" })).expect_status(404);
        stranger.delete(&path).expect_status(404);
    }
    assert_eq!(stranger.get("/v1/meters").json()["data"], json!([]));
    assert_eq!(secret.get("/v1/meters/chat-gpt").expect_status(200).json(), made);
    let (_, spend_key) = house.mint(json!({ "name": "one" }));
    assert_eq!(
        house.caller(&spend_key).get("/v1/meters").error_code(),
        "wrong_key_kind"
    );
    assert_eq!(secret.put("/v1/meters/chat-gpt", &json!({})).status, 405);
}

#[test]
fn meters_page_newest_first() {
    let house = House::new();
    let secret = house.server.client();
    for _ in 0..3 {
        secret.post("/v1/meters", &ladder()).expect_status(201);
    }
    let first = secret.get("/v1/meters?limit=2").expect_status(200).json();
    let slugs: Vec<&Value> = first["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|meter| &meter["meter_slug"])
        .collect();
    assert_eq!(slugs, ["chat-gpt-3", "chat-gpt-2"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let last = secret
        .get(&format!("/v1/meters?limit=2&cursor={cursor}"))
        .expect_status(200)
        .json();
    assert_eq!(last["data"][0]["meter_slug"], "chat-gpt");
    assert_eq!((&last["has_more"], &last["next_cursor"]), (&json!(false), &Value::Null));
}
