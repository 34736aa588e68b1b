//! What is told, and when: thresholds of spend keys, gathered balances, and what a kill leaves.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::fixtures::{Post, check_signatures, ok, receiver};
use crate::support::house::chat;
use crate::support::http::Client;
use crate::support::scripted::answer;
use crate::support::server::eventually;

#[test]
fn a_spend_keys_thresholds_are_told_once_each_and_signed() {
    let receiver = receiver(|_| ok());
    let post = Post::to(&[&receiver]);
    let endpoint = post.endpoint(&receiver);
    let limit = json!({ "amount": "0.000001", "cycle": "daily" });
    let body = json!({ "name": "near", "spend_limit": limit, "enforcement": "observe" });
    let (id, key) = post.house.mint(body);
    let (_, free) = post.house.mint(json!({ "name": "free" }));
    for key in [&key, &free, &key, &key] {
        let call = post
            .house
            .caller(key)
            .post("/v1/chat/completions", &chat("output_tokens=5"));
        call.expect_status(200);
    }
    post.await_deliveries(&endpoint, "delivered", 3);
    eventually("all calls are counted", || {
        post.house
            .database
            .number("SELECT SUM(total_requests)::bigint FROM spend_key_counters")
            == 4
    });
    post.await_deliveries(&endpoint, "delivered", 3);
    let seen = receiver.seen();
    let mut thresholds = HashSet::new();
    for seen in &seen {
        check_signatures(&endpoint.secret, seen);
        let told: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(told["event"], "spend_key.threshold.reached");
        assert_eq!(seen.header("webhook-id"), told["event_id"].as_str());
        let data = &told["data"];
        assert_eq!((&data["spend_key_id"], &data["spend_limit"]), (&json!(id), &limit));
        assert!(
            data["resets_at"].is_string() && data["current_spend"].is_string(),
            "{data}"
        );
        thresholds.insert(data["threshold"].as_i64().unwrap());
    }
    assert_eq!((seen.len(), thresholds), (3, HashSet::from([50, 80, 100])));
    post.house.books_agree();
    let operator = Client::new(&post.house.server.operator_url());
    let counted = r#"caldera_webhook_attempts_total{outcome="delivered"} 3"#;
    assert!(operator.get("/metrics").text().contains(counted));
}

#[test]
fn balances_of_one_customer_are_gathered_and_what_is_being_sent_is_left_alone() {
    let is_stuck = Arc::new(AtomicBool::new(false));
    let stuck = is_stuck.clone();
    let receiver = receiver(move |_| {
        while stuck.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        ok()
    });
    let post = Post::to(&[&receiver]);
    let endpoint = post.balance_endpoint(&receiver);
    let customers = ["one", "two"].map(|name| post.customer(name));
    let number = |query: &str| post.house.database.number(query);
    let waiting = || number("SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending'");
    for name in ["a", "b", "c"] {
        post.changes(customers[0], name);
    }
    post.changes(customers[1], "d");
    assert_eq!(waiting(), 2);
    let due_ms = "SELECT (extract(epoch FROM min(due_at) - now()) * 1000)::bigint FROM webhook_deliveries";
    assert!((5_000..=10_000).contains(&number(due_ms)));
    is_stuck.store(true, Ordering::SeqCst);
    post.hurry();
    eventually("it is written what both say", || {
        number("SELECT COUNT(*) FROM webhook_events WHERE body IS NOT NULL") == 2
    });
    post.changes(customers[0], "e");
    post.changes(customers[0], "f");
    assert_eq!(waiting(), 3);
    is_stuck.store(false, Ordering::SeqCst);
    eventually("two are told", || waiting() == 1);
    post.hurry();
    eventually("the third is told", || waiting() == 0);
    let mut told: Vec<String> = receiver
        .seen()
        .iter()
        .map(|seen| {
            check_signatures(&endpoint.secret, seen);
            let told: Value = serde_json::from_slice(&seen.body).unwrap();
            assert_eq!(told["event"], "customer.wallet.balance.updated");
            assert_eq!(told["data"]["credits"]["total_remaining"], "0.00");
            told["data"]["contact"]["first_name"].as_str().unwrap().to_owned()
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, ["c", "d", "f"]);
    assert_eq!(number("SELECT COUNT(*) FROM webhook_events"), 3);
}

#[test]
fn a_balance_is_told_in_the_same_words_at_every_attempt_and_to_every_endpoint() {
    let fails = receiver(|place| if place == 0 { answer("500 Oh", &[], b"") } else { ok() });
    let works = receiver(|_| ok());
    let post = Post::to(&[&fails, &works]);
    let endpoints = [post.balance_endpoint(&fails), post.balance_endpoint(&works)];
    let customer = post.customer("one");
    post.changes(customer, "two");
    post.hurry();
    post.await_deliveries(&endpoints[1], "delivered", 1);
    eventually("it failed", || {
        post.deliveries(&endpoints[0], "pending")[0]["last_status"] == 500
    });
    post.changes(customer, "three");
    // The first of the two alone: the other is gathered yet.
    post.house
        .database
        .execute("UPDATE webhook_deliveries SET due_at = now() WHERE status = 'pending' AND attempt_count = 1");
    post.await_deliveries(&endpoints[0], "delivered", 1);
    let (seen, other) = (fails.seen(), works.seen());
    assert_eq!((seen.len(), other.len()), (2, 1));
    assert_eq!((&seen[0].body, &seen[1].body), (&other[0].body, &other[0].body));
    post.hurry();
    // It is the first attempt of another event, which this receiver refuses.
    eventually("it failed again", || {
        post.deliveries(&endpoints[0], "pending")
            .first()
            .is_some_and(|waiting| waiting["last_status"] == 500)
    });
    post.await_deliveries(&endpoints[1], "delivered", 2);
    assert!(fails.last().text().contains("three") && works.last().text().contains("three"));
}

#[test]
fn that_a_customer_came_and_went_is_told_and_his_balance_no_more() {
    let receiver = receiver(|_| ok());
    let post = Post::to(&[&receiver]);
    let endpoint = post.endpoint(&receiver);
    let client = post.house.server.client();
    let body = json!({ "reference_id": "his", "name": "Ada Byron" });
    let made = client.post("/v1/customers", &body).expect_status(201).json();
    client.post("/v1/customers", &body).expect_status(200);
    let customer = made["customer_id"].as_str().unwrap().parse().unwrap();
    post.await_deliveries(&endpoint, "delivered", 1);
    post.changes(customer, "Lovelace");
    client.delete("/v1/customers/his").expect_status(200);
    assert_eq!(client.delete("/v1/customers/his").status, 404);
    post.await_deliveries(&endpoint, "delivered", 2);
    post.hurry();
    eventually("the balance is given up", || {
        post.house.database.number("SELECT COUNT(*) FROM webhook_deliveries") == 2
    });
    let told: Vec<Value> = receiver
        .seen()
        .iter()
        .map(|seen| serde_json::from_slice(&seen.body).unwrap())
        .collect();
    let names: Vec<&str> = told.iter().map(|told| told["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["customer.created", "customer.deleted"]);
    assert_eq!(told[0]["data"], made);
    assert_eq!(told[1]["data"]["contact"]["first_name"], "Lovelace");
}

#[test]
fn a_kill_in_the_middle_of_sending_loses_no_event() {
    const EVENTS: u128 = 300;
    let receiver = receiver(|_| {
        std::thread::sleep(Duration::from_millis(20));
        ok()
    });
    let mut post = Post::to(&[&receiver]);
    let endpoint = post.endpoint(&receiver);
    post.customers_come(EVENTS);
    for round in 1..=3 {
        eventually("some are told", || receiver.seen().len() >= 10 * round);
        post.house.server.kill();
        post.house.server.start_again();
    }
    let left = "SELECT COUNT(*) FROM webhook_deliveries WHERE status <> 'delivered'";
    crate::support::process::wait_until("all are told", Duration::from_secs(60), || {
        post.house.database.number(left) == 0
    });
    let told: HashSet<Value> = receiver
        .seen()
        .iter()
        .map(|seen| {
            check_signatures(&endpoint.secret, seen);
            let told: Value = serde_json::from_slice(&seen.body).unwrap();
            told["data"]["number"].clone()
        })
        .collect();
    assert_eq!(told.len() as u128, EVENTS);
}
