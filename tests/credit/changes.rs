//! Changes under running calls: what a call began with is what it is charged by, and nobody else is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Shop, meter};
use crate::durability::load::{Load, Outcome};
use crate::support::house::chat_stream;
use crate::support::server::eventually;
use crate::support::stream::EventStream;

const STREAMS: usize = 10;
const RATE_NANOS: i64 = 10_000;

fn streams(shop: &Shop) -> Vec<EventStream> {
    let call = chat_stream("output_tokens=60 chunk_ms=10");
    let mut streams: Vec<_> = (0..STREAMS)
        .map(|_| EventStream::post(shop.house.server.port, "/v1/chat/completions", &shop.token(), &call))
        .collect();
    for stream in &mut streams {
        stream.next_data();
    }
    streams
}

/// Reads them all to their end; each is charged for all of it.
fn end(shop: &Shop, streams: Vec<EventStream>) {
    for mut stream in streams {
        assert_eq!(stream.all_data().last().map(String::as_str), Some("[DONE]"));
    }
    let exact = format!(
        "SELECT COUNT(*) FROM requests WHERE usage_source = 'provider' AND output_tokens = 60 \
         AND charge = (input_tokens + output_tokens) * {RATE_NANOS}"
    );
    eventually("every stream is charged", || shop.number(&exact) == STREAMS as i64);
}

/// Makes the change while four callers call without pause.
fn under_load(shop: &Shop, change: impl FnOnce()) -> Outcome {
    let (stop, token) = (AtomicBool::new(false), shop.token());
    let load = Load {
        house: &shop.house,
        key: &token,
        callers: 4,
        interval: Duration::ZERO,
    };
    thread::scope(|scope| {
        let callers = scope.spawn(|| load.run(&stop));
        thread::sleep(Duration::from_millis(200));
        change();
        thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::SeqCst);
        callers.join().unwrap()
    })
}

fn shop() -> Shop {
    Shop::new(meter("fixed", "tokens_1m", &[(0, "10")]), "5.00")
}

fn books_agree(shop: &Shop) {
    shop.house.books_agree();
    assert_eq!(shop.house.proof()["holds"], true);
    let stored = "SELECT sum(cycle + bundle)::bigint FROM customer_credit";
    assert_eq!(shop.number(stored), shop.granted() - shop.charged());
}

#[test]
fn calls_on_a_meter_that_is_deleted_or_repriced_are_charged_by_what_they_began_with() {
    let changes: [&dyn Fn(&Shop); 3] = [
        &|shop| {
            let path = format!("/v1/meters/{}", shop.meter);
            let tiers = json!({ "tiers": [{ "start": "0", "rate": "77" }] });
            shop.house.server.client().patch(&path, &tiers).expect_status(200);
        },
        &|shop| {
            let path = format!("/v1/meters/{}", shop.meter);
            shop.house.server.client().delete(&path).expect_status(200);
        },
        &|shop| {
            let plans = shop.house.server.client().get("/v1/plans").expect_status(200).json();
            let path = format!("/v1/plans/{}", plans["data"][0]["plan_id"].as_str().unwrap());
            shop.house.server.client().delete(&path).expect_status(200);
        },
    ];
    for change in changes {
        let shop = shop();
        let running = streams(&shop);
        change(&shop);
        end(&shop, running);
        assert_eq!(shop.credit(), 5_000_000_000 - shop.charged());
        books_agree(&shop);
    }
}

#[test]
fn a_meter_that_is_deleted_under_load_refuses_from_then_on_and_loses_nothing() {
    let mut shop = shop();
    let outcome = under_load(&shop, || {
        let path = format!("/v1/meters/{}", shop.meter);
        shop.house.server.client().delete(&path).expect_status(200);
    });
    assert!(
        outcome.answered > 0 && outcome.failed.iter().all(|status| matches!(status, 403 | 404)),
        "{outcome:?}"
    );
    for _ in 0..2 {
        eventually("every answer is a row", || {
            shop.number("SELECT COUNT(*) FROM requests") == outcome.answered as i64
        });
        assert_eq!(shop.credit(), 5_000_000_000 - shop.charged());
        books_agree(&shop);
        shop.house.server.kill();
        shop.house.server.start_again();
    }
}

#[test]
fn a_customer_who_is_deleted_under_running_calls_owes_what_they_cost() {
    let shop = shop();
    let running = streams(&shop);
    shop.house
        .server
        .client()
        .delete("/v1/customers/jane")
        .expect_status(200);
    end(&shop, running);
    // His credit lapsed before they ended.
    let credit = "SELECT sum(cycle + bundle)::bigint FROM customer_credit";
    eventually("the charges are written", || shop.number(credit) == -shop.charged());
    books_agree(&shop);
    let refused = shop
        .house
        .caller(&shop.token())
        .post("/v1/chat/completions", &chat_stream("output_tokens=1"));
    assert_eq!(refused.error_code(), "customer_not_found");
    // Nobody else inherits it: the next of this name is another.
    let plan = shop.plan("1.00");
    assert!(shop.subscribe("jane", &plan).status == 404);
    shop.customer_on("jane", &plan);
    let next = shop.house.server.client().get("/v1/customers/jane/subscription").json();
    assert_eq!(next["subscription"]["credits"]["total_remaining"], "1.00");
}

#[test]
fn a_customer_who_is_deleted_under_load_is_refused_from_then_on_and_the_books_agree() {
    let mut shop = shop();
    let outcome = under_load(&shop, || {
        shop.house
            .server
            .client()
            .delete("/v1/customers/jane")
            .expect_status(200);
    });
    assert!(
        outcome.answered > 0 && outcome.failed.iter().all(|status| matches!(status, 403 | 404)),
        "{outcome:?}"
    );
    for _ in 0..2 {
        eventually("every answer is a row", || {
            shop.number("SELECT COUNT(*) FROM requests") == outcome.answered as i64
        });
        books_agree(&shop);
        shop.house.server.kill();
        shop.house.server.start_again();
    }
    let active = "SELECT COUNT(*) FROM subscriptions WHERE cancelled_at IS NULL";
    assert_eq!(shop.number(active), 0);
}

#[test]
fn a_plan_that_is_upgraded_under_running_calls_adds_its_credit_and_keeps_their_charges() {
    let mut shop = Shop::new(meter("fixed", "tokens_1m", &[(0, "10")]), "1.00");
    let better = shop.plan("1.10");
    let running = streams(&shop);
    let upgraded = shop.subscribe("jane", &better).expect_status(200).json();
    assert_eq!(upgraded["subscription"]["plan_id"], better);
    end(&shop, running);
    assert_eq!(shop.granted(), 2_100_000_000);
    shop.check_books();
    let plans = ["1.20", "1.30", "1.40"].map(|credit| shop.plan(credit));
    let outcome = under_load(&shop, || {
        for plan in &plans {
            shop.subscribe("jane", plan).expect_status(200);
        }
    });
    assert_eq!(outcome.failed, [0; 0]);
    assert_eq!(shop.granted(), 6_000_000_000);
    let before: Value = shop.subscription();
    shop.house.server.kill();
    shop.house.server.start_again();
    assert_eq!(shop.subscription(), before);
    shop.check_books();
    assert!(before["plan"]["name"] == "1.40");
}
