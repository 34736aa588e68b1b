//! What was used, as the command line sums it up, and single calls as they come.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use super::{refused, told};
use crate::support::house::{House, chat, chat_stream, message, nanos};
use crate::support::process::signal;
use crate::support::server::{eventually, secret_key};
use crate::support::stream::EventStream;

/// Three calls on two models, whose rows are there.
fn used(house: &House) -> (String, Vec<Value>) {
    let (id, key) = house.mint(json!({ "name": "used" }));
    let (_, other) = house.mint(json!({ "name": "other", "request_shape": "anthropic" }));
    let answers = [
        house
            .caller(&key)
            .post("/v1/chat/completions", &chat("output_tokens=5")),
        house
            .caller(&key)
            .post("/v1/chat/completions", &chat("output_tokens=7")),
        house.caller(&other).post("/v1/messages", &message("output_tokens=9")),
    ];
    let rows = answers.into_iter().map(|answer| house.row(&answer.expect_status(200)));
    (id, rows.collect())
}

#[test]
fn usage_by_day_key_and_model_sums_to_the_same() {
    let house = House::new();
    let (id, rows) = used(&house);
    let cost: i64 = rows.iter().map(|row| nanos(&row["cost"])).sum();
    let by_day = house.server.ask(&["usage"]);
    assert_eq!(nanos(&by_day["totals"]["total_cost"]), cost);
    for by in ["key", "model", "provider"] {
        let summed = house.server.ask(&["usage", "--by", by]);
        let items = summed["items"].as_array().unwrap();
        assert_eq!(items.len(), 2, "{by}: {summed}");
        assert_eq!(
            items.iter().map(|item| nanos(&item["total_cost"])).sum::<i64>(),
            cost,
            "{by}"
        );
        let requests = items.iter().map(|item| item["total_requests"].as_u64().unwrap());
        assert_eq!(requests.sum::<u64>(), 3, "{by}");
    }
    let of_one = house.server.ask(&["usage", "--key", &id]);
    assert_eq!(of_one["totals"]["total_requests"], 2);
    let table = told(&house, &["usage", "--by", "model"]);
    assert!(table.starts_with("MODEL") && table.contains("gpt-4o-mini"), "{table}");
    assert!(told(&house, &["usage"]).contains("all"));
}

#[test]
fn requests_are_listed_and_shown_whole() {
    let house = House::new();
    let (id, rows) = used(&house);
    let listed = house.server.ask(&["requests", "--key", &id]);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    let request = rows[2]["request_id"].as_str().unwrap();
    assert!(told(&house, &["requests", "list"]).contains(request));
    let shown = told(&house, &["requests", "show", request]);
    assert!(
        shown.contains("claude-haiku-4-5") && shown.contains("output_tokens"),
        "{shown}"
    );
    assert_eq!(
        refused(&house, &["requests", "show", "req_01HF7YAT000000000000000000"]).0,
        1
    );
}

#[test]
fn following_shows_each_new_request_once_until_it_is_interrupted() {
    let house = House::new();
    let (_, rows) = used(&house);
    let mut command = house
        .server
        .command(&["requests", "--follow", "--json", "--limit", "1"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["request_id"], rows[2]["request_id"], "the last one first");
    let (_, key) = house.mint(json!({ "name": "later" }));
    for tokens in [1, 2] {
        let answer = house
            .caller(&key)
            .post("/v1/chat/completions", &chat(&format!("output_tokens={tokens}")));
        let row = house.row(&answer.expect_status(200));
        assert_eq!(next()["request_id"], row["request_id"]);
    }
    signal(child.id(), "INT");
    assert!(child.wait().unwrap().success());
}

#[test]
fn following_shows_a_call_that_ran_long_behind_many_others_and_outlives_a_restart_of_the_server() {
    let mut house = House::new();
    let mut long = EventStream::post(
        house.server.port,
        "/v1/chat/completions",
        secret_key(),
        &chat_stream("output_tokens=2000 chunk_ms=500"),
    );
    let calls = || house.server.client().get("/v1/calls").expect_status(200).json();
    eventually("it runs", || calls()["in_flight"] == 1);
    let id = calls()["data"][0]["request_id"].as_str().unwrap().to_owned();
    let mut command = house
        .server
        .command(&["requests", "--follow", "--json", "--limit", "1"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    // More than a page of rows.
    let short = || {
        house
            .server
            .client()
            .post("/v1/chat/completions", &chat("output_tokens=1"))
    };
    for _ in 0..130 {
        short().expect_status(200);
    }
    let last = house.row(&short().expect_status(200));
    loop {
        let row = next();
        assert_ne!(row["request_id"], id, "it still runs");
        if row["request_id"] == last["request_id"] {
            break;
        }
    }
    let ended = house.server.client().delete(&format!("/v1/calls/{id}"));
    ended.expect_status(200);
    long.rest();
    assert_eq!(next()["request_id"], id);
    assert!(house.server.stop().success());
    house.server.start_again();
    let after = house
        .server
        .client()
        .post("/v1/chat/completions", &chat("output_tokens=1"));
    let after = house.row(&after.expect_status(200));
    assert_eq!(next()["request_id"], after["request_id"]);
    signal(child.id(), "INT");
    assert!(child.wait().unwrap().success());
}
