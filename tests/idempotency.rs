//! `Idempotency-Key` on management POSTs: one resource for a key, however often and however much at once it is sent.

mod twins;

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::prelude::*;
use serde_json::json;

use crate::support::house::{House, settings};
use crate::support::http::{Answer, Client};
use crate::support::postgres::OwnCluster;
use crate::support::server::eventually;
use crate::support::simulator::Simulator;

fn keyed(house: &House, key: &str) -> Client {
    house.server.client().with_header("idempotency-key", key)
}

fn is_replay(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

/// The same status and the same bytes.
fn is_same(one: &Answer, other: &Answer) -> bool {
    (one.status, &one.body, one.header("content-type")) == (other.status, &other.body, other.header("content-type"))
}

#[test]
fn every_management_post_makes_one_thing_for_a_key_and_answers_it_again() {
    let house = House::new();
    let (spend_key, _) = house.mint(json!({ "name": "to be rotated" }));
    let table = [
        ("/v1/spend_keys".to_owned(), json!({ "name": "one" }), "spend_keys", 201),
        (
            "/v1/secret_keys".to_owned(),
            json!({ "name": "one" }),
            "secret_keys",
            201,
        ),
        ("/v1/customers".to_owned(), json!({ "name": "one" }), "customers", 201),
        (
            "/v1/meters".to_owned(),
            json!({
                "name": "one", "rate_type": "fixed", "tier_type": "tokens_1m",
                "tiers": [{ "start": "0", "rate": "1" }],
            }),
            "meters",
            201,
        ),
        (
            "/v1/plans".to_owned(),
            json!({ "name": "one", "period_amount": "0", "billing_interval": "month" }),
            "plans",
            201,
        ),
        (
            "/v1/provider_keys".to_owned(),
            json!({ "provider": "openai", "key": "sk-my-own-key" }),
            "provider_keys",
            201,
        ),
        (
            format!("/v1/spend_keys/{spend_key}/rotate"),
            json!({}),
            "spend_keys",
            200,
        ),
    ];
    for (path, body, relation, status) in table {
        let client = keyed(&house, &format!("key of {path}").replace(' ', "-"));
        let count = || house.database.number(&format!("SELECT COUNT(*) FROM {relation}"));
        let first = client.post(&path, &body).expect_status(status);
        let made = count();
        let second = client.post(&path, &body);
        assert!(
            is_same(&first, &second),
            "{path}: {} and {}",
            first.text(),
            second.text()
        );
        assert_eq!((is_replay(&first), is_replay(&second)), (false, true), "{path}");
        assert_eq!(count(), made, "{path}");
        assert!(second.header("x-ratelimit-remaining").is_some(), "{path}");
    }
    let named = keyed(&house, "once")
        .post("/v1/spend_keys", &json!({ "name": "x" }))
        .json();
    let spend_key = named["key"].as_str().unwrap();
    house.caller(spend_key).get("/v1/models").expect_status(200);
}

#[test]
fn what_the_operator_makes_for_a_merchant_is_made_once_for_a_key_too() {
    let house = House::new();
    let token = std::fs::read_to_string(house.server.data_dir().join("operator-token")).unwrap();
    let operator = Client::new(&house.server.operator_url()).with_key(token.trim());
    let operator = operator.with_header("idempotency-key", "of-the-operator");
    let body = json!({ "name": "once" });
    let post = || operator.post("/operator/v1/spend_keys", &body).expect_status(201);
    let (first, second) = (post(), post());
    assert!(!is_replay(&first) && is_replay(&second) && is_same(&first, &second));
    let other = operator.post("/operator/v1/spend_keys", &json!({ "name": "another" }));
    assert_eq!(other.error_code(), "idempotency_key_reused");
    assert_eq!(house.database.number("SELECT count(*) FROM spend_keys"), 1);
}

#[test]
fn twins_at_the_same_time_make_one_key_and_get_the_same_answer() {
    let house = House::new();
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let twin = || keyed(&house, "twins").post("/v1/spend_keys", &json!({ "name": "one" }));
        let running: Vec<_> = (0..20).map(|_| scope.spawn(twin)).collect();
        running.into_iter().map(|twin| twin.join().unwrap()).collect()
    });
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 201 && is_same(answer, &answers[0]))
    );
    assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM spend_keys"), 1);
}

#[test]
fn another_request_under_a_key_is_refused_until_a_day_has_passed() {
    let house = House::new();
    let client = keyed(&house, "order-1");
    let body = json!({ "name": "one" });
    let first = client.post("/v1/spend_keys", &body).expect_status(201);
    let others = [
        client.post("/v1/spend_keys", &json!({ "name": "two" })),
        client.send("POST", "/v1/spend_keys", Some(br#"{"name":  "one"}"#.to_vec())),
        client.post("/v1/customers", &body),
        client.post("/v1/spend_keys?x=1", &body),
    ];
    for answer in others {
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (422, "idempotency_key_reused")
        );
    }
    assert!(is_same(&first, &client.post("/v1/spend_keys", &body)));
    // Other methods do not know of keys.
    client.get("/v1/spend_keys").expect_status(200);
    house
        .database
        .execute("UPDATE idempotency_keys SET created_at = created_at - INTERVAL '25 hours'");
    let next_day = client
        .post("/v1/spend_keys", &json!({ "name": "two" }))
        .expect_status(201);
    assert!(!is_replay(&next_day));
    assert_eq!(house.database.number("SELECT COUNT(*) FROM spend_keys"), 2);
}

#[test]
fn a_dump_shows_neither_the_key_nor_the_answer_and_a_restart_keeps_both() {
    let mut house = House::new();
    let body = json!({ "name": "one" });
    let first = keyed(&house, "order-1")
        .post("/v1/spend_keys", &body)
        .expect_status(201);
    let readable = "SELECT COUNT(*) FROM idempotency_keys WHERE answer IS NULL \
         OR position('lava_sk_'::bytea IN answer) > 0 OR position('spend_key'::bytea IN answer) > 0 \
         OR key_hash = sha256('order-1'::bytea) OR position('order-1'::bytea IN key_hash || fingerprint) > 0";
    assert_eq!(house.database.number(readable), 0);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM idempotency_keys"), 1);
    house.server.kill();
    house.server.start_again();
    let again = keyed(&house, "order-1").post("/v1/spend_keys", &body);
    assert!(is_replay(&again) && is_same(&first, &again), "{}", again.text());
}

#[test]
fn what_was_refused_before_the_work_may_be_tried_again_under_its_key() {
    let house = House::with(|settings| settings.variable("CALDERA__MANAGEMENT__REQUESTS_PER_MINUTE", 5));
    let (client, good) = (keyed(&house, "order-1"), json!({ "name": "one" }));
    assert_eq!(client.post("/v1/spend_keys", &json!({ "name": "" })).status, 400);
    assert_eq!(
        client.post("/v1/spend_keys", &json!({ "nam": "one" })).error_code(),
        "unknown_field"
    );
    assert_eq!(client.send("POST", "/v1/spend_keys", Some(b"{".to_vec())).status, 400);
    let stranger = Client::new(&house.server.url()).with_header("idempotency-key", "order-1");
    assert_eq!(stranger.post("/v1/spend_keys", &good).status, 401);
    // A call with a key counts once.
    let made = client.post("/v1/spend_keys", &good).expect_status(201);
    assert_eq!(made.header("x-ratelimit-remaining"), Some("1"));
    assert!(is_replay(&client.post("/v1/spend_keys", &good)));
    let limited = client.post("/v1/spend_keys", &good);
    assert_eq!(
        (limited.status, limited.header("x-ratelimit-remaining")),
        (429, Some("0"))
    );
    assert!(limited.header("retry-after").is_some());
}

#[test]
fn keys_that_are_no_keys_are_refused_by_name_and_other_paths_are_as_they_were() {
    let house = House::new();
    let body = json!({ "name": "one" });
    for key in ["", "with space", &"x".repeat(256)] {
        let answer = keyed(&house, key).post("/v1/spend_keys", &body).expect_status(400);
        assert_eq!(answer.json()["error"]["param"], "Idempotency-Key", "{key}");
    }
    let twice = keyed(&house, "a").with_header("idempotency-key", "b");
    assert_eq!(twice.post("/v1/spend_keys", &body).status, 400);
    assert_eq!(keyed(&house, "a").post("/v1/nothing", &body).status, 404);
    let (_, spend_key) = house.mint(json!({ "name": "caller" }));
    let caller = house.caller(&spend_key).with_header("idempotency-key", "a");
    assert_eq!(caller.post("/v1/spend_keys", &body).error_code(), "wrong_key_kind");
    let calls = "SELECT COUNT(*) FROM idempotency_keys";
    assert_eq!(house.database.number(calls), 0);
    keyed(&house, &"x".repeat(255))
        .post("/v1/spend_keys", &body)
        .expect_status(201);
}

#[test]
fn a_wallet_key_and_another_merchant_have_keys_of_their_own() {
    let house = House::new();
    let run = |arguments: &[&str]| house.server.ask(arguments);
    let merchant = run(&["merchants", "create", "--name", "second"]);
    let other = run(&[
        "keys",
        "create",
        "--secret",
        "--merchant",
        merchant["merchant_id"].as_str().unwrap(),
    ]);
    let other = other["secret_key"]
        .as_str()
        .or(other["key"].as_str())
        .unwrap()
        .to_owned();
    let wallet = run(&["keys", "create", "--wallet", "--name", "w"])["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = json!({ "name": "one" });
    let first = keyed(&house, "same").post("/v1/spend_keys", &body).expect_status(201);
    for key in [other, wallet] {
        let client = house.caller(&key).with_header("idempotency-key", "same");
        let answer = client.post("/v1/spend_keys", &body).expect_status(201);
        assert!(!is_replay(&answer) && answer.body != first.body);
    }
    assert_eq!(house.database.number("SELECT COUNT(*) FROM spend_keys"), 3);
}

#[test]
fn a_call_that_was_broken_off_is_not_done_again() {
    let mut house = House::new();
    let body = json!({ "name": "one" });
    keyed(&house, "order-1")
        .post("/v1/spend_keys", &body)
        .expect_status(201);
    // As a process leaves it that ends between the work and its answer.
    house.database.execute("UPDATE idempotency_keys SET answer = NULL");
    house.server.kill();
    house.server.start_again();
    let answer = keyed(&house, "order-1")
        .post("/v1/spend_keys", &body)
        .expect_status(409);
    assert_eq!(answer.error_code(), "idempotency_outcome_unknown");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(house.database.number("SELECT COUNT(*) FROM spend_keys"), 1);
    keyed(&house, "order-2")
        .post("/v1/spend_keys", &body)
        .expect_status(201);
}

#[test]
fn a_kill_under_the_work_leaves_a_key_that_is_not_done_twice() {
    let mut house = House::new();
    let body = json!({ "name": "one" });
    let mut lock = house.database.connect();
    for statement in ["BEGIN", "LOCK TABLE spend_keys IN ACCESS EXCLUSIVE MODE"] {
        diesel::sql_query(statement).execute(&mut lock).unwrap();
    }
    let cut = keyed(&house, "order-1");
    std::thread::scope(|scope| {
        let call = scope.spawn(|| cut.try_send("POST", "/v1/spend_keys", Some(body.to_string().into_bytes())));
        eventually("the call waits for its table", || {
            house.database.number(
                "SELECT COUNT(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation \
                 WHERE relname = 'spend_keys' AND NOT granted",
            ) == 1
        });
        house.server.kill();
        assert!(call.join().unwrap().is_err());
    });
    diesel::sql_query("ROLLBACK").execute(&mut lock).unwrap();
    house.server.start_again();
    let again = || keyed(&house, "order-1").post("/v1/spend_keys", &body);
    assert_eq!(
        [again().error_code(), again().error_code()],
        ["idempotency_outcome_unknown"; 2]
    );
    assert!(house.database.number("SELECT COUNT(*) FROM spend_keys") <= 1);
}

#[test]
fn a_twin_that_waits_too_long_is_told_to_come_back() {
    let house = House::new();
    let body = json!({ "name": "one" });
    let mut lock = house.database.connect();
    for statement in ["BEGIN", "LOCK TABLE spend_keys IN ACCESS EXCLUSIVE MODE"] {
        diesel::sql_query(statement).execute(&mut lock).unwrap();
    }
    let is_busy = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| keyed(&house, "slow").post("/v1/spend_keys", &body));
        eventually("the first call has its key", || {
            house.database.number("SELECT COUNT(*) FROM idempotency_keys") == 1
        });
        let twin = keyed(&house, "slow").post("/v1/spend_keys", &body).expect_status(409);
        is_busy.store(twin.error_code() == "idempotency_in_progress", Ordering::Relaxed);
        assert_eq!(twin.header("retry-after"), Some("1"));
        diesel::sql_query("COMMIT").execute(&mut lock).unwrap();
        let made = first.join().unwrap().expect_status(201);
        assert!(is_same(&made, &keyed(&house, "slow").post("/v1/spend_keys", &body)));
    });
    assert!(is_busy.into_inner());
}

#[test]
fn a_call_that_found_no_database_may_be_made_again() {
    let mut cluster = OwnCluster::start();
    let (database, simulator) = (cluster.database("away"), Simulator::start());
    let server = settings(&database.url, &simulator).start();
    let house = House {
        server,
        database,
        simulator,
    };
    let (client, body) = (keyed(&house, "order-1"), json!({ "name": "one" }));
    cluster.stop();
    assert_eq!(client.post("/v1/spend_keys", &body).status, 503);
    cluster.start_again();
    eventually("the call is done", || {
        client.post("/v1/spend_keys", &body).status == 201
    });
    assert!(is_replay(&client.post("/v1/spend_keys", &body)));
    assert_eq!(house.database.number("SELECT COUNT(*) FROM spend_keys"), 1);
}
