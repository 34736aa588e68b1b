//! A hundred twins at once of many keys on every kind of POST, with a kill in their middle: one thing for a key, and the
//! same bytes for all who are answered.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::durability::load::rounds;
use crate::support::crowd::{Connection, Reply, crowd, request};
use crate::support::house::House;
use crate::support::process::signal;
use crate::support::server::secret_key;

const TWINS: usize = 100;

/// A kind of POST: its path, its body by number, and what counts the things that it has made.
struct Kind {
    path: &'static str,
    body: fn(&Ground, u64) -> Value,
    count: &'static str,
}

/// What some of the kinds stand on.
struct Ground {
    plan: Value,
}

const KINDS: [Kind; 7] = [
    Kind {
        path: "/v1/spend_keys",
        body: |_, number| json!({ "name": format!("key {number}") }),
        count: "SELECT COUNT(*) FROM spend_keys",
    },
    Kind {
        path: "/v1/secret_keys",
        body: |_, number| json!({ "name": format!("key {number}") }),
        count: "SELECT COUNT(*) FROM secret_keys",
    },
    Kind {
        path: "/v1/customers",
        body: |_, number| json!({ "name": format!("customer {number}") }),
        count: "SELECT COUNT(*) FROM customers WHERE reference_id IS NULL",
    },
    Kind {
        path: "/v1/meters",
        body: |_, number| {
            let tiers = json!([{ "start": "0", "rate": "1" }]);
            json!({ "name": format!("meter {number}"), "rate_type": "fixed", "tier_type": "requests", "tiers": tiers })
        },
        count: "SELECT COUNT(*) FROM meters",
    },
    Kind {
        path: "/v1/plans",
        body: |_, number| json!({ "name": format!("plan {number}"), "period_amount": "0", "billing_interval": "month" }),
        count: "SELECT COUNT(*) FROM plans",
    },
    Kind {
        path: "/v1/subscriptions",
        body: |ground, number| json!({ "customer_id": format!("c{number}"), "plan_id": ground.plan }),
        count: "SELECT COUNT(*) FROM subscriptions WHERE plan_id <> merchant_id",
    },
    Kind {
        path: "/v1/requests",
        body: |_, number| json!({ "request_id": format!("r{number}"), "customer_id": "reported", "meter_slug": "words", "input_tokens": 5 }),
        count: "SELECT COUNT(*) FROM requests",
    },
];

impl Ground {
    fn lay(house: &House, customers: u64) -> Self {
        let client = house.server.client();
        let post = |path: &str, body: Value| client.post(path, &body).expect_status(201).json();
        let tiers = json!([{ "start": "0", "rate": "1" }]);
        let meter = post(
            "/v1/meters",
            json!({ "name": "Words", "meter_slug": "words", "rate_type": "fixed", "tier_type": "tokens_1m", "tiers": tiers }),
        );
        let plan = post(
            "/v1/plans",
            json!({
                "name": "Base", "period_amount": "0", "included_credit": "5", "billing_interval": "month",
                "meter_ids": [meter["meter_id"]],
            }),
        );
        for number in 0..customers {
            post("/v1/customers", json!({ "reference_id": format!("c{number}") }));
        }
        post("/v1/customers", json!({ "reference_id": "reported" }));
        let plan = plan["plan_id"].clone();
        post(
            "/v1/subscriptions",
            json!({ "customer_id": "reported", "plan_id": plan }),
        );
        Self { plan }
    }
}

fn keyed(path: &str, key: &str, body: &Value) -> Vec<u8> {
    let bytes = String::from_utf8(request("POST", path, secret_key(), Some(body))).unwrap();
    let header = format!("\r\nidempotency-key: {key}\r\ncontent-length");
    bytes.replacen("\r\ncontent-length", &header, 1).into_bytes()
}

/// What each twin was answered, those aside to whom nobody answers any more.
fn twins(house: &House, request: &[u8], kill_after: Option<Duration>) -> Vec<Reply> {
    let process = house.server.process_id();
    crowd(async {
        let mut running = JoinSet::new();
        for mut connection in Connection::open_many(house.server.port, TWINS).await {
            let request = request.to_vec();
            running.spawn_local(async move {
                loop {
                    let reply = connection.call(&request).await.ok()?;
                    if !reply.text().contains("idempotency_in_progress") {
                        return Some(reply);
                    }
                }
            });
        }
        if let Some(delay) = kill_after {
            tokio::time::sleep(delay).await;
            signal(process, "KILL");
        }
        running.join_all().await.into_iter().flatten().collect()
    })
}

fn all_same(replies: &[Reply]) -> bool {
    let same = |reply: &Reply| (reply.status, &reply.body) == (replies[0].status, &replies[0].body);
    replies.iter().all(same)
}

#[test]
fn a_hundred_twins_of_any_post_make_one_thing_and_get_the_same_bytes() {
    let keys = rounds(4, 200);
    let house = House::new();
    let ground = Ground::lay(&house, keys);
    for kind in KINDS {
        let before = house.database.number(kind.count);
        for number in 0..keys {
            let body = (kind.body)(&ground, number);
            let replies = twins(
                &house,
                &keyed(kind.path, &format!("{}-{number}", kind.path), &body),
                None,
            );
            let text = replies[0].text();
            assert_eq!(
                (replies.len(), replies[0].status),
                (TWINS, 201),
                "{}: {text}",
                kind.path
            );
            assert!(all_same(&replies), "{}: {text}", kind.path);
        }
        assert_eq!(house.database.number(kind.count), before + keys as i64, "{}", kind.path);
        // No secret that was answered can be read.
        let readable = "SELECT COUNT(*) FROM idempotency_keys WHERE position('lava_sk_'::bytea IN answer) > 0 \
                        OR position('aks_live_'::bytea IN answer) > 0";
        assert_eq!(house.database.number(readable), 0);
    }
    house.books_agree();
}

#[test]
fn twins_that_a_kill_meets_have_made_one_thing_at_most_whatever_they_are_told_afterwards() {
    let keys = rounds(3, 30);
    let mut house = House::new();
    let ground = Ground::lay(&house, keys);
    let (mut unknown, mut replayed) = (0, 0);
    for kind in KINDS {
        for number in 0..keys {
            let before = house.database.number(kind.count);
            let call = keyed(
                kind.path,
                &format!("{}-{number}", kind.path),
                &(kind.body)(&ground, number),
            );
            let delay = Duration::from_millis(1 + number * 9 % 30);
            let answered = twins(&house, &call, Some(delay));
            house.server.kill();
            house.server.start_again();
            let again = twins(&house, &call, None);
            let made = house.database.number(kind.count) - before;
            let text = again[0].text();
            assert!(all_same(&again) && again.len() == TWINS, "{}: {text}", kind.path);
            let is_unknown = again[0].status == 409 && text.contains("idempotency_outcome_unknown");
            if is_unknown {
                assert!(made <= 1, "{}: {made}", kind.path);
                unknown += 1;
            } else {
                assert_eq!((again[0].status, made), (201, 1), "{}: {text}", kind.path);
                replayed += 1;
            }
            // Whoever was answered before the kill was answered the same.
            let same = |reply: &Reply| reply.status != 201 || reply.body == again[0].body;
            assert!(answered.iter().all(same), "{}: {text}", kind.path);
        }
    }
    eprintln!("kills: {replayed} keys were answered afterwards, of {unknown} the outcome is unknown");
    house.books_agree();
}
