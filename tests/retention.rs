//! Old rows go, and what they came to stays: the proof, the usage, and the ids that were used once for ever.

use caldera::domain::ids::SpendKeyId;
use caldera::engine::ports::BatchSink;
use caldera::storage::writer::PgSink;
use caldera::storage::{Database, DatabaseOptions, lease, merchants};
use serde_json::{Value, json};

use crate::storage::fixtures::{NOON_MS, Tenant, batch, settled};
use crate::support::house::{House, chat};
use crate::support::http::Client;
use crate::support::server::eventually;

const DAY_MS: i64 = 86_400_000;

fn house() -> House {
    House::with(|settings| settings.variable("CALDERA__RETENTION__REQUESTS_DAYS", 40))
}

fn operator(house: &House) -> Client {
    let token = std::fs::read_to_string(house.server.data_dir().join("operator-token")).unwrap();
    Client::new(&house.server.operator_url()).with_key(token.trim())
}

fn shown(house: &House) -> Value {
    operator(house).get("/operator/retention").expect_status(200).json()
}

/// Stops the server, makes all requests so many days older, and starts it again: it purges at the start.
fn age(house: &mut House, days: u32) {
    assert!(house.server.stop().success());
    house.database.execute(&format!(
        "UPDATE requests SET admitted_at = admitted_at - interval '{days} days'"
    ));
    house.server.start_again();
}

/// A customer on a plan with a meter.
fn sell(management: &Client) {
    let make = |path: &str, body: Value| management.post(path, &body).expect_status(201).json();
    let tiers = json!([{ "start": 0, "rate": "2" }]);
    let meter = json!({ "name": "Words", "rate_type": "fixed", "tier_type": "tokens_1m", "tiers": tiers });
    let meter = make("/v1/meters", meter);
    let plan = make(
        "/v1/plans",
        json!({
            "name": "Plan", "period_amount": "0", "billing_interval": "month", "included_credit": "1.00",
            "meter_ids": [meter["meter_id"]],
        }),
    );
    let customer = make("/v1/customers", json!({ "reference_id": "jane" }));
    let subscription = json!({ "customer_id": customer["customer_id"], "plan_id": plan["plan_id"] });
    let begun = management.post("/v1/subscriptions", &subscription);
    assert!(matches!(begun.status, 200 | 201), "{}", begun.text());
}

#[test]
fn a_purged_request_is_gone_and_all_that_it_came_to_is_there() {
    let mut house = house();
    let management = house.server.client();
    sell(&management);
    let report = json!({ "request_id": "evt-1", "customer_id": "jane", "meter_slug": "words", "input_tokens": 500 });
    management.post("/v1/requests", &report).expect_status(201);
    let (key_id, key) = house.mint(json!({ "name": "old" }));
    let answer = house
        .caller(&key)
        .post("/v1/chat/completions", &chat("output_tokens=40"))
        .expect_status(200);
    let row = house.row(&answer);
    let usage = |query: &str| {
        let path = format!("/v1/usage?start=2020-01-01T00:00:00Z&{query}");
        house.server.client().get(&path).expect_status(200).json()
    };
    let questions = [
        "".to_owned(),
        format!("spend_key_id={key_id}"),
        "customer_id=jane".to_owned(),
    ];
    let used: Vec<Value> = questions.iter().map(|query| usage(query)).collect();
    assert_eq!(used[0]["totals"]["total_requests"], 2);

    age(&mut house, 39);
    eventually("the first run has ended", || {
        shown(&house)["requests"]["last_run"]["error"].is_null()
    });
    assert_eq!(house.database.number("SELECT count(*) FROM requests"), 2);
    age(&mut house, 2);
    eventually("both are purged", || shown(&house)["requests"]["last_run"]["rows"] == 2);
    let usage = |query: &str| {
        let path = format!("/v1/usage?start=2020-01-01T00:00:00Z&{query}");
        house.server.client().get(&path).expect_status(200).json()
    };
    house.books_agree();
    assert!(house.proof()["holds"].as_bool().unwrap());
    for (query, before) in questions.iter().zip(used) {
        assert_eq!(usage(query), before, "{query}");
    }
    let management = house.server.client();
    for name in ["evt-1", row["request_id"].as_str().unwrap()] {
        assert_eq!(management.get(&format!("/v1/requests/{name}")).status, 404, "{name}");
    }
    assert_eq!(
        management.get("/v1/requests").expect_status(200).json()["data"],
        json!([])
    );
    let again = management.post("/v1/requests", &report);
    assert_eq!(
        (again.status, again.error_code().as_str()),
        (409, "conflict"),
        "{}",
        again.text()
    );
    assert_eq!(again.json()["error"]["param"], "request_id");
    assert_eq!(house.database.number("SELECT count(*) FROM requests"), 0);
    assert_eq!(
        house.key(&key_id)["total_spend"],
        row["cost"].get("amount").unwrap_or(&row["cost"]).clone()
    );
}

#[test]
fn a_purge_that_is_killed_goes_on_at_the_next_start_and_the_books_hold_in_between() {
    const ROWS: usize = 20_000;
    let mut house = house();
    let (key_id, _) = house.mint(json!({ "name": "old" }));
    let key_id: SpendKeyId = key_id.parse().unwrap();
    assert!(house.server.stop().success());
    write_old(&house, key_id, ROWS);
    let kept = |house: &House| house.database.number("SELECT count(*) FROM requests");
    house.server.start_again_unready();
    eventually("a part is purged", || kept(&house) < ROWS as i64);
    house.server.kill();
    let left = kept(&house);
    assert!(left > 0, "the purge was too fast to be killed");
    house.books_agree();
    house.server.start_again();
    eventually("the rest is purged", || kept(&house) == 0);
    house.books_agree();
    let all = house
        .database
        .number("SELECT sum(request_count)::bigint FROM purged_requests");
    assert_eq!(all, ROWS as i64);
    eventually("the run has ended", || shown(&house)["next_run_at"].is_string());
    let shown = shown(&house);
    assert_eq!(shown["requests"]["purged_ever"], ROWS);
    assert_eq!(shown["requests"]["last_run"]["rows"], left);
    assert_eq!(shown["requests"]["days"], 40);
    assert_eq!(shown["audit"], json!({ "days": null, "last_run": null }));
    assert!(house.server.stderr().contains("old rows were purged"));
}

/// As the last run of the server might have.
fn write_old(house: &House, key: SpendKeyId, rows: usize) {
    let database = Database::connect(&house.database.url, &DatabaseOptions::default()).unwrap();
    let merchant = &merchants::list(&mut house.database.connect()).unwrap()[0];
    let tenant = Tenant {
        merchant: merchant.id,
        wallet: merchant.default_wallet_id,
    };
    let lease = lease::acquire(&database).unwrap();
    let mut sink = PgSink::new(database, lease.epoch());
    let old = |_| {
        let mut record = settled(tenant, Some(key), 7);
        record.0.admitted_at_ms = NOON_MS - 100 * DAY_MS;
        record
    };
    for _ in 0..rows / 1_000 {
        sink.write(&batch((0..1_000).map(old).collect())).unwrap();
    }
    lease.release().unwrap();
}

#[test]
fn the_operator_alone_sees_what_is_purged() {
    let house = House::new();
    let stranger = Client::new(&house.server.operator_url());
    assert_eq!(stranger.get("/operator/retention").status, 401);
    assert_eq!(house.server.client().get("/operator/retention").status, 404);
    let shown = shown(&house);
    assert_eq!(
        shown["requests"],
        json!({ "days": null, "last_run": null, "purged_ever": 0 })
    );
    assert_eq!(shown["webhook_deliveries"]["days"], 30);
    assert_eq!(shown["idempotency_keys"], json!({ "days": 1 }));
}
