//! Calls that are sent again, and those that are not: only what cannot have been served is repeated.

use serde_json::json;

use crate::fallbacks::{DEAD, attempts, failing, house_with_openai_at, rows};
use crate::support::house::{House, chat, nanos};
use crate::support::http::Client;
use crate::support::stub::Stub;

#[test]
fn without_the_header_nothing_is_sent_twice_once_its_bytes_went_out() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{\"id\":";
    let busy = "HTTP/1.1 429 Slow\r\ncontent-length: 2\r\n\r\n{}";
    let table = [
        (Stub::answering(""), 502, "estimated"),
        (Stub::answering("HTTP/1.1 200 OK\r\nconte"), 502, "estimated"),
        (Stub::answering(cut), 502, "estimated"),
        (Stub::silent(), 504, "estimated"),
        (
            Stub::answering("HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\n{}"),
            503,
            "none",
        ),
        (Stub::answering(busy), 429, "none"),
    ];
    for (place, (stub, status, source)) in table.into_iter().enumerate() {
        let house = house_with_openai_at(&stub.url());
        let answer = house.server.client().post("/v1/chat/completions", &chat(""));
        assert_eq!(answer.status, status, "{place}: {}", answer.text());
        assert_eq!(stub.calls(), 1, "{place}");
        let row = house.row(&answer);
        assert_eq!(row["usage_source"], source, "{place}: it may have run");
        assert_eq!(nanos(&row["cost"]) > 0, source == "estimated", "{place}");
    }
}

#[test]
fn a_connection_that_did_not_come_about_is_tried_again_within_a_second() {
    let house = house_with_openai_at(DEAD);
    let begun = std::time::Instant::now();
    let refused = house.server.client().post("/v1/chat/completions", &chat(""));
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (502, "provider_unreachable")
    );
    assert!(begun.elapsed().as_millis() < 2_000);
    assert_eq!(house.row(&refused)["usage_source"], "none");
    rows(&house, 1);
    assert_eq!(metric(&house, "caldera_retries_total"), 2);
}

#[test]
fn where_one_credential_is_limited_another_is_tried_at_once_each_of_them_once() {
    let house = House::with(|settings| settings.variable("OPENAI_API_KEYS", "one,two,three"));
    let limited = "status=429 fail_times=2 tag=limited output_tokens=3";
    let answer = house
        .server
        .client()
        .post("/v1/chat/completions", &chat(limited))
        .expect_status(200);
    rows(&house, 1);
    assert_eq!(house.simulator.ledger()["requests"], 3);
    assert_eq!((attempts(&answer), metric(&house, "caldera_retries_total")), ("1", 2));
    let all = house.server.client().post("/v1/chat/completions", &chat("status=429"));
    assert_eq!(all.status, 429, "no other credential is free");
    assert!(house.simulator.ledger()["requests"].as_u64().unwrap() <= 6);
    let failed = House::with(|settings| settings.variable("OPENAI_API_KEYS", "one,two"));
    let answer = failed
        .server
        .client()
        .post("/v1/chat/completions", &chat(&failing("once")));
    assert_eq!(
        (answer.status, &failed.simulator.ledger()["requests"]),
        (503, &json!(1))
    );
    house.books_agree();
}

/// A figure of the operator's metrics.
pub fn metric(house: &House, name: &str) -> u64 {
    let metrics = Client::new(&house.server.operator_url()).get("/metrics").text();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {metrics}"))
        .parse()
        .unwrap()
}
