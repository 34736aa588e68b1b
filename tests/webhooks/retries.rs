//! Receivers that fail, hang, redirect, ask for patience or for nothing more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::fixtures::{Post, check_signatures, ok, receiver, url_of};
use crate::support::http::Client;
use crate::support::process::wait_until;
use crate::support::scripted::{Scripted, answer};
use crate::support::server::eventually;

const SCHEDULE_S: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

fn fails() -> Vec<u8> {
    answer("500 Internal Server Error", &[], b"broken")
}

/// An endpoint whose one event has just failed for the first time.
fn failed_once(receiver: &Scripted) -> (Post, super::fixtures::Endpoint) {
    let post = Post::to(&[receiver]);
    let endpoint = post.endpoint(receiver);
    post.customers_come(1);
    post_fails(&post, 1);
    (post, endpoint)
}

fn post_fails(post: &Post, count: i64) {
    let query = "SELECT COALESCE(MAX(attempt_count), 0)::bigint FROM webhook_deliveries WHERE leased_until IS NULL";
    eventually("an attempt has failed", || post.house.database.number(query) == count);
}

#[test]
fn what_fails_is_tried_again_by_the_schedule_until_it_is_delivered() {
    let receiver = receiver(|place| if place < 3 { fails() } else { ok() });
    let (post, endpoint) = failed_once(&receiver);
    for (place, delay_s) in SCHEDULE_S.iter().take(3).enumerate() {
        post_fails(&post, place as i64 + 1);
        let (delay_ms, planned_ms) = (post.delay_ms(), delay_s * 1000);
        // The delay counts from the end of the attempt, which is a little after its beginning.
        let range = planned_ms * 8 / 10..=planned_ms * 12 / 10 + 500;
        assert!(range.contains(&delay_ms), "{delay_ms} ms of {planned_ms} ms");
        let waiting = &post.deliveries(&endpoint, "pending")[0];
        assert_eq!(
            (&waiting["last_status"], &waiting["attempt_count"]),
            (&json!(500), &json!(place + 1))
        );
        post.hurry();
    }
    let delivered = &post.await_deliveries(&endpoint, "delivered", 1)[0];
    assert_eq!(
        (&delivered["attempt_count"], &delivered["last_status"]),
        (&json!(4), &json!(200))
    );
    let seen = receiver.seen();
    for one in &seen {
        check_signatures(&endpoint.secret, one);
        assert_eq!(
            (&one.body, one.header("webhook-id")),
            (&seen[0].body, seen[0].header("webhook-id"))
        );
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn after_the_last_attempt_it_is_dead_listed_and_replayed() {
    let receiver = receiver(|place| if place < 2 { fails() } else { ok() });
    let (post, endpoint) = failed_once(&receiver);
    post.house
        .database
        .execute("UPDATE webhook_deliveries SET attempt_count = 9, due_at = now()");
    let dead = post.await_deliveries(&endpoint, "dead", 1).remove(0);
    assert_eq!(
        (&dead["attempt_count"], &dead["next_attempt_at"]),
        (&json!(10), &Value::Null)
    );
    let path = format!(
        "{}/deliveries/{}",
        endpoint.path(),
        dead["delivery_id"].as_str().unwrap()
    );
    let shown = post.get(&path);
    assert_eq!(shown["last_answer"], "broken");
    assert!(
        shown["body"]
            .as_str()
            .unwrap()
            .starts_with(r#"{"event":"customer.created""#)
    );
    let operator = Client::new(&post.house.server.operator_url());
    eventually("it is counted", || {
        let metrics = operator.get("/metrics").text();
        metrics.contains("caldera_webhook_deliveries_dead 1") && metrics.contains(r#"{outcome="failed"} 2"#)
    });
    let replayed = post.house.server.client().post(&format!("{path}/replay"), &json!({}));
    assert_eq!(replayed.expect_status(200).json()["status"], "pending");
    let delivered = &post.await_deliveries(&endpoint, "delivered", 1)[0];
    assert_eq!(
        (&delivered["delivery_id"], &delivered["attempt_count"]),
        (&dead["delivery_id"], &json!(1))
    );
}

#[test]
fn a_redirect_is_a_failure_and_nobody_follows_it() {
    let trap = receiver(|_| ok());
    let away = url_of(&trap);
    let receiver = receiver(move |_| answer("307 Temporary Redirect", &[("location", &away)], b""));
    let (post, endpoint) = failed_once(&receiver);
    assert_eq!(post.deliveries(&endpoint, "pending")[0]["last_status"], 307);
    assert!(trap.seen().is_empty());
}

#[test]
fn an_endpoint_that_asks_for_patience_gets_it() {
    let receiver = receiver(|_| answer("429 Too Many Requests", &[("retry-after", "3600")], b""));
    let (post, _) = failed_once(&receiver);
    assert!((3_600_000..3_601_000).contains(&post.delay_ms()), "{}", post.delay_ms());
}

#[test]
fn an_endpoint_that_is_gone_is_disabled_and_what_waited_is_dead() {
    let receiver = receiver(|place| if place == 0 { answer("410 Gone", &[], b"") } else { ok() });
    let post = Post::to(&[&receiver]);
    let endpoint = post.endpoint(&receiver);
    post.customers_come(10);
    let dead = post.await_deliveries(&endpoint, "dead", 10);
    let shown = post.get(&endpoint.path());
    assert_eq!(
        (&shown["enabled"], &shown["disabled_reason"]),
        (&json!(false), &json!("gone"))
    );
    let path = |delivery: &Value| {
        let id = delivery["delivery_id"].as_str().unwrap();
        format!("{}/deliveries/{id}/replay", endpoint.path())
    };
    let client = post.house.server.client();
    assert_eq!(client.post(&path(&dead[0]), &json!({})).status, 409);
    let enabled = client
        .patch(&endpoint.path(), &json!({ "enabled": true }))
        .expect_status(200);
    assert!(enabled.json()["disabled_reason"].is_null());
    let refused = dead.iter().find(|delivery| delivery["last_status"] == 410).unwrap();
    client.post(&path(refused), &json!({})).expect_status(200);
    post.await_deliveries(&endpoint, "delivered", 1);
}

#[test]
fn an_endpoint_that_only_failed_for_five_days_is_disabled() {
    let receiver = receiver(|_| fails());
    let (post, endpoint) = failed_once(&receiver);
    post.house
        .database
        .execute("UPDATE webhooks SET failing_since = now() - interval '5 days'");
    post.hurry();
    post.await_deliveries(&endpoint, "dead", 1);
    assert_eq!(post.get(&endpoint.path())["disabled_reason"], "failing");
}

#[test]
fn an_endpoint_that_hangs_starves_no_other() {
    let hung = Scripted::start(|_| {
        std::thread::sleep(Duration::from_secs(60));
        Vec::new()
    });
    let healthy = receiver(|_| ok());
    let post = Post::to(&[&hung, &healthy]);
    let (stuck, works) = (post.endpoint(&hung), post.endpoint(&healthy));
    post.customers_come(80);
    post.await_deliveries(&works, "delivered", 80);
    assert_eq!(post.deliveries(&stuck, "pending").len(), 80);
    let sent = "SELECT COUNT(*) FROM webhook_deliveries WHERE leased_until IS NOT NULL";
    assert_eq!(post.house.database.number(sent), 4);
    wait_until("the first attempts are given up", Duration::from_secs(30), || {
        post.deliveries(&stuck, "pending")
            .iter()
            .any(|delivery| delivery["last_error"] == "no answer came in time")
    });
}

#[test]
fn a_host_that_the_operator_did_not_list_gets_no_connection() {
    let (listed, trap) = (receiver(|_| ok()), receiver(|_| ok()));
    let post = Post::to(&[&listed]);
    let endpoint = post.endpoint(&listed);
    let url = url_of(&trap);
    post.house
        .database
        .execute(&format!("UPDATE webhooks SET url = '{url}'"));
    post.customers_come(1);
    post_fails(&post, 1);
    let waiting = &post.deliveries(&endpoint, "pending")[0];
    assert_eq!(waiting["last_error"], "the host's name leads to no public address");
    assert!(trap.seen().is_empty() && listed.seen().is_empty());
}

#[test]
fn of_an_answer_of_many_megabytes_only_the_beginning_is_read() {
    let receiver = receiver(|_| answer("500 Internal Server Error", &[], &vec![b'x'; 64 << 20]));
    let (post, endpoint) = failed_once(&receiver);
    let waiting = post.deliveries(&endpoint, "pending").remove(0);
    assert_eq!(waiting["last_status"], 500);
    let id = waiting["delivery_id"].as_str().unwrap();
    let shown = post.get(&format!("{}/deliveries/{id}", endpoint.path()));
    assert_eq!(shown["last_answer"].as_str().map(str::len), Some(16 * 1024));
}

#[test]
fn an_endpoint_that_is_deleted_while_it_is_sent_to_takes_all_that_waits_along() {
    let is_stuck = Arc::new(AtomicBool::new(true));
    let stuck = is_stuck.clone();
    let hung = receiver(move |_| {
        while stuck.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        ok()
    });
    let works = receiver(|_| ok());
    let post = Post::to(&[&hung, &works]);
    let (deleted, kept) = (post.endpoint(&hung), post.endpoint(&works));
    post.customers_come(8);
    post.await_deliveries(&kept, "delivered", 8);
    let sent = "SELECT COUNT(*) FROM webhook_deliveries WHERE leased_until IS NOT NULL";
    eventually("some are being sent", || post.house.database.number(sent) == 4);
    post.house.server.client().delete(&deleted.path()).expect_status(200);
    let left = post.house.database.number("SELECT COUNT(*) FROM webhook_deliveries");
    assert_eq!(left, 8);
    is_stuck.store(false, Ordering::SeqCst);
    // What was being sent then ends without a row, and nothing more is sent.
    post.customers_come(1);
    post.await_deliveries(&kept, "delivered", 9);
    let operator = Client::new(&post.house.server.operator_url());
    eventually("all attempts have ended", || {
        let metrics = operator.get("/metrics").text();
        metrics.contains(r#"caldera_webhook_attempts_total{outcome="delivered"} 13"#)
    });
    assert_eq!(hung.seen().len(), 4);
}

#[test]
fn what_a_wrong_clock_put_far_away_is_told_after_a_restart() {
    let receiver = receiver(|_| fails());
    let (mut post, endpoint) = failed_once(&receiver);
    post.house
        .database
        .execute("UPDATE webhook_deliveries SET due_at = now() + interval '1 year'");
    post.house.server.kill();
    post.house.server.start_again();
    eventually("it is tried again", || {
        post.deliveries(&endpoint, "pending")[0]["attempt_count"] == 2
    });
}
