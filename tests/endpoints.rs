//! The unified endpoints beside the conversation: each held, billed and counted by what its provider says.

use serde_json::json;

use crate::support::house::{House, nanos};
use crate::support::server::eventually;
use crate::support::stream::EventStream;

#[test]
fn embeddings_are_billed_by_their_input() {
    let house = House::new();
    let limit = json!({ "amount": "0.00001", "cycle": "total" });
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": limit }));
    let call =
        json!({ "model": "text-embedding-3-small", "input": ["a text of twenty-four b", "and one of twenty-four b"] });
    let answer = house.caller(&key).post("/v1/embeddings", &call).expect_status(200);
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 2);
    let tokens = answer.json()["usage"]["prompt_tokens"].as_i64().unwrap();
    let row = house.row(&answer);
    // 0.02 dollars a million tokens.
    assert_eq!(nanos(&row["cost"]), tokens * 20);
    assert_eq!(row["endpoint"], "POST https://api.openai.com/v1/embeddings");
    house.settled(&id);
    let large = json!({ "model": "text-embedding-3-small", "input": "x".repeat(4000) });
    assert_eq!(
        house.caller(&key).post("/v1/embeddings", &large).error_code(),
        "spend_limit_reached"
    );
    house.books_agree();
}

#[test]
fn older_completions_are_held_capped_streamed_and_billed() {
    let house = House::new();
    let limit = json!({ "amount": "1.00", "cycle": "daily" });
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": limit, "enforcement": "strict" }));
    let mut call =
        json!({ "model": "gpt-3.5-turbo-instruct", "prompt": "Say [[sim output_tokens=12]]", "max_tokens": 20 });
    let whole = house.caller(&key).post("/v1/completions", &call).expect_status(200);
    assert_eq!(whole.json()["choices"][0]["finish_reason"], "stop");
    let usage = whole.json()["usage"].clone();
    // 1.50 in, 2.00 out, in dollars a million tokens.
    let cost = usage["prompt_tokens"].as_i64().unwrap() * 1500 + 12 * 2000;
    assert_eq!(nanos(&house.row(&whole)["cost"]), cost);
    call["stream"] = true.into();
    let data = EventStream::post(house.server.port, "/v1/completions", &key, &call).all_data();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    assert!(data.iter().all(|data| !data.contains(r#""choices":[]"#)));
    eventually("both are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 2
    });
    assert_eq!(nanos(&house.settled(&id)["current_spend"]), 2 * cost);
    house.books_agree();
}

#[test]
fn counting_tokens_costs_nothing_and_still_asks_the_key() {
    let house = House::new();
    let settings = json!({ "name": "one", "request_shape": "anthropic", "allowed_models": ["claude-haiku-*"] });
    let (id, key) = house.mint(settings);
    let messages = json!([{ "role": "user", "content": "How many tokens are in this?" }]);
    let call = json!({ "model": "claude-haiku-4-5", "messages": messages });
    let counted = house
        .caller(&key)
        .post("/v1/messages/count_tokens", &call)
        .expect_status(200);
    assert!(counted.json()["input_tokens"].as_u64().unwrap() > 5);
    let named = json!({ "model": "anthropic/claude-haiku-4-5", "messages": messages });
    house
        .caller(&key)
        .post("/v1/messages/count_tokens", &named)
        .expect_status(200);
    let other = json!({ "model": "claude-opus-4-6", "messages": messages });
    assert_eq!(
        house
            .caller(&key)
            .post("/v1/messages/count_tokens", &other)
            .error_code(),
        "model_not_allowed"
    );
    eventually("both are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 2
    });
    assert_eq!(house.settled(&id)["current_spend"], "0.00");
    house.books_agree();
}

#[test]
fn counting_tokens_of_a_model_without_a_counter_is_an_estimate_that_leaves_no_row() {
    let house = House::new();
    let (id, key) =
        house.mint(json!({ "name": "one", "request_shape": "anthropic", "allowed_models": ["gpt-4o-mini"] }));
    let caller = house.caller(&key);
    let text = "How many tokens are in this? ".repeat(40);
    let call = |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": text }] });
    let counted = caller
        .post("/v1/messages/count_tokens", &call("gpt-4o-mini"))
        .expect_status(200);
    assert_eq!(counted.header("x-lava-estimated"), Some("true"));
    let tokens = counted.json()["input_tokens"].as_u64().unwrap();
    assert!((280..=330).contains(&tokens), "{tokens}");
    let refused = caller.post("/v1/messages/count_tokens", &call("gpt-4o"));
    assert_eq!(refused.error_code(), "model_not_allowed");
    assert_eq!(house.settled(&id)["current_spend"], "0.00");
    assert_eq!(house.database.number("SELECT COUNT(*) FROM requests"), 0);
    house.books_agree();
}

#[test]
fn the_root_says_who_is_there_to_whoever_asks() {
    let house = House::new();
    let caller = house.caller("no key at all");
    let answer = caller.get("/").expect_status(200).json();
    assert_eq!(answer["name"], "caldera");
    assert!(answer["version"].is_string());
    let head = caller.send("HEAD", "/", None).expect_status(200);
    assert!(head.body.is_empty());
    caller.send("POST", "/", None).expect_status(405);
}
