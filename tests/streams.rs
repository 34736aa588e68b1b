//! Streams: passed on as they come, counted, and billed whatever becomes of the client.

mod departures;

use serde_json::json;

use crate::support::house::{House, chat, chat_stream, message, nanos};
use crate::support::server::eventually;
use crate::support::stream::EventStream;

fn row_count(house: &House, count: i64) {
    eventually("the rows are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == count
    });
}

#[test]
fn a_stream_passes_and_its_usage_chunk_is_hidden_from_a_client_that_did_not_ask() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let data = EventStream::post(
        house.server.port,
        "/v1/chat/completions",
        &key,
        &chat_stream("output_tokens=10"),
    )
    .all_data();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    assert!(data.iter().all(|data| !data.contains(r#""choices":[]"#)), "{data:?}");
    assert_eq!(data.iter().filter(|data| data.contains(r#"{"content":""#)).count(), 10);
    row_count(&house, 1);
    assert_eq!(house.database.number("SELECT output_tokens FROM requests"), 10);
    assert_eq!(
        nanos(&house.settled(&id)["current_spend"]),
        house.database.number("SELECT cost FROM requests")
    );
    let mut asked = chat_stream("output_tokens=10");
    asked["stream_options"] = json!({ "include_usage": true });
    let data = EventStream::post(house.server.port, "/v1/chat/completions", &key, &asked).all_data();
    assert!(data.iter().any(|data| data.contains(r#""choices":[]"#)));
    row_count(&house, 2);
    house.books_agree();
}

#[test]
fn a_message_stream_is_billed_by_its_own_events() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "one", "request_shape": "anthropic" }));
    let mut call = message("output_tokens=12 cached_tokens=50");
    call["stream"] = true.into();
    let data = EventStream::post(house.server.port, "/v1/messages", &key, &call).all_data();
    assert!(data.last().unwrap().contains("message_stop"));
    row_count(&house, 1);
    assert_eq!(house.database.number("SELECT output_tokens FROM requests"), 12);
    assert_eq!(house.database.number("SELECT cache_read_tokens FROM requests"), 50);
}

#[test]
fn frames_split_anywhere_arrive_whole_and_are_counted() {
    let house = House::new();
    for split in [1, 2, 3, 7, 64] {
        let call = chat_stream(&format!("output_tokens=20 utf8=1 split={split}"));
        let key = crate::support::server::secret_key();
        let data = EventStream::post(house.server.port, "/v1/chat/completions", key, &call).all_data();
        assert_eq!(
            data.iter().filter(|data| data.contains(r#"{"content":""#)).count(),
            20,
            "split {split}"
        );
    }
    row_count(&house, 5);
    assert_eq!(
        house.database.number("SELECT SUM(output_tokens)::bigint FROM requests"),
        100
    );
}

#[test]
fn a_client_that_leaves_is_billed_exactly_what_the_provider_served_when_the_stream_is_drained() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    for (round, after) in [0, 1, 5, 12].into_iter().enumerate() {
        for reset in [false, true] {
            let call = chat_stream("output_tokens=25 chunk_ms=5");
            let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call);
            for _ in 0..after {
                stream.next_data();
            }
            if reset { stream.reset() } else { stream.close() }
        }
        row_count(&house, 2 * (round as i64 + 1));
    }
    house.settled(&id);
    let served = house.simulator.ledger();
    assert_eq!(
        served["models"]["gpt-4o-mini"]["output_tokens"],
        house.database.number("SELECT SUM(output_tokens)::bigint FROM requests")
    );
    assert_eq!(
        house
            .database
            .number("SELECT COUNT(*) FROM requests WHERE usage_source = 'provider'"),
        8
    );
    house.books_agree();
}

#[test]
fn a_client_that_leaves_a_key_that_cancels_is_billed_what_was_served_by_estimate() {
    let house = House::new();
    let settings =
        json!({ "name": "one", "on_disconnect": "cancel", "spend_limit": { "amount": "5.00", "cycle": "daily" } });
    let (id, key) = house.mint(settings);
    let mut call = chat_stream("output_tokens=2000 chunk_ms=5");
    call["max_tokens"] = 4000.into();
    for reset in [false, true] {
        let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call);
        for _ in 0..50 {
            stream.next_data();
        }
        if reset { stream.reset() } else { stream.close() }
    }
    row_count(&house, 2);
    house.settled(&id);
    eventually("the provider has noticed", || house.simulator.ledger()["open"] == 0);
    let served = house.simulator.ledger()["models"]["gpt-4o-mini"]["output_tokens"]
        .as_i64()
        .unwrap();
    let billed = house.database.number("SELECT SUM(output_tokens)::bigint FROM requests");
    assert!(
        (billed - served).abs() * 10 <= served,
        "billed {billed}, served {served}"
    );
    assert_eq!(
        house
            .database
            .number("SELECT COUNT(*) FROM requests WHERE usage_source = 'estimated'"),
        2
    );
    house.books_agree();
}

#[test]
fn a_provider_that_breaks_off_is_billed_for_what_it_served_and_the_client_sees_no_proper_end() {
    let house = House::new();
    let key = crate::support::server::secret_key();
    let data = EventStream::post(
        house.server.port,
        "/v1/chat/completions",
        key,
        &chat_stream("output_tokens=30 cut_after=7 chunk_ms=5"),
    )
    .all_data();
    assert!(data.iter().all(|data| data != "[DONE]"), "{data:?}");
    row_count(&house, 1);
    assert_eq!(house.database.number("SELECT output_tokens FROM requests"), 7);
    assert_eq!(
        house
            .database
            .number("SELECT COUNT(*) FROM requests WHERE usage_source = 'estimated' AND status = 'error'"),
        1
    );
}

#[test]
fn a_cost_is_told_to_a_client_that_asks() {
    let house = House::new();
    let client = house.server.client().with_header("x-lava-include-cost", "true");
    let whole = client
        .post("/v1/chat/completions", &chat("output_tokens=10"))
        .expect_status(200);
    assert_eq!(
        whole.header("x-lava-cost").unwrap(),
        house.row(&whole)["cost"].as_str().unwrap()
    );
}
