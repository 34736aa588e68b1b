//! Calls in flight: who sees them, and what becomes of one that is ended.

mod feed;
mod half_answers;

use std::thread;

use serde_json::{Value, json};

use crate::support::crowd::{Connection, Seeded, crowd, request};
use crate::support::house::{House, chat, chat_stream, message, nanos};
use crate::support::http::{Answer, Client};
use crate::support::server::{eventually, secret_key};
use crate::support::stream::EventStream;

/// A stream that goes on for as long as a test looks at it.
fn long_stream() -> Value {
    let mut call = chat_stream("output_tokens=4000 chunk_ms=20");
    call["max_tokens"] = 4000.into();
    call
}

fn limited_key(house: &House) -> (String, String) {
    house.mint(json!({ "name": "limited", "spend_limit": { "amount": "5.00", "cycle": "daily" } }))
}

fn in_flight(client: &Client) -> Vec<Value> {
    let list = client.get("/v1/calls?limit=100").expect_status(200).json();
    let calls = list["data"].as_array().unwrap().clone();
    assert_eq!(list["in_flight"], calls.len(), "{list}");
    calls
}

/// The only call in flight, waited for.
fn the_call(house: &House) -> Value {
    let client = house.server.client();
    eventually("there is a call in flight", || in_flight(&client).len() == 1);
    in_flight(&client).swap_remove(0)
}

fn end(house: &House, id: &Value) -> Answer {
    let path = format!("/v1/calls/{}", id.as_str().unwrap());
    house.server.client().delete(&path)
}

/// That nothing runs, nothing is held and every sum agrees.
fn all_is_settled(house: &House) {
    eventually("the provider has ended every call", || {
        house.simulator.ledger()["open"] == 0
    });
    assert_eq!(in_flight(&house.server.client()), Vec::<Value>::new());
    house.books_agree();
}

#[test]
fn streams_of_every_worker_are_seen_and_the_one_that_is_ended_ends_alone() {
    let house = House::new();
    let (id, key) = limited_key(&house);
    let port = house.server.port;
    let mut streams: Vec<EventStream> = (0..12)
        .map(|_| EventStream::post(port, "/v1/chat/completions", &key, &long_stream()))
        .collect();
    for stream in &mut streams {
        stream.next_data();
    }
    let calls = in_flight(&house.server.client());
    assert_eq!(calls.len(), 12);
    let held: i64 = calls.iter().map(|call| nanos(&call["held"])).sum();
    assert_eq!(held, nanos(&house.key(&id)["reserved_spend"]));
    let ids: Vec<&str> = calls.iter().map(|call| call["request_id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");

    let mut ended = streams.remove(3);
    let its_id = json!(ended.headers["x-lava-request-id"]);
    let answer = end(&house, &its_id).expect_status(200).json();
    assert_eq!(answer["result"], "ended", "{answer}");
    let rest = ended.all_data();
    assert_eq!(rest.last().map(String::as_str), Some("[DONE]"), "{rest:?}");
    eventually("the provider sees it", || house.simulator.ledger()["open"] == 11);
    let row = house.row_of(its_id.as_str().unwrap());
    assert_eq!(row["cost"], answer["cost"]);
    assert_eq!(row["model_usage"]["output_tokens"], answer["output_tokens"]);
    assert_eq!(
        (&row["status"], &row["usage_source"]),
        (&json!("error"), &json!("estimated"))
    );
    assert!(nanos(&row["cost"]) > 0);

    for stream in &mut streams {
        for _ in 0..5 {
            assert!(stream.next_data().is_some(), "the others run on");
        }
    }
    assert_eq!(end(&house, &its_id).expect_status(404).error_code(), "not_found");
    for call in in_flight(&house.server.client()) {
        assert_eq!(
            end(&house, &call["request_id"]).expect_status(200).json()["result"],
            "ended"
        );
    }
    assert_eq!(
        house.key(&id)["reserved_spend"],
        "0.00",
        "an answer comes after the hold has ended"
    );
    all_is_settled(&house);
}

#[test]
fn a_call_is_shown_with_who_made_it_and_how_far_it_has_come() {
    let house = House::new();
    let (id, key) = limited_key(&house);
    let metadata = ("x-lava-metadata", r#"{"team":"red"}"#);
    let headers = [("authorization", &*format!("Bearer {key}")), metadata];
    let mut stream =
        EventStream::post_with_headers(house.server.port, "/v1/chat/completions", &headers, &long_stream());
    for _ in 0..5 {
        stream.next_data();
    }
    let client = house.server.client();
    let path = format!("/v1/calls/{}", stream.headers["x-lava-request-id"]);
    let call = client.get(&path).expect_status(200).json();
    let shown = [
        ("spend_key_id", json!(id)),
        ("spend_key_name", json!("limited")),
        ("provider", json!("openai")),
        ("model", json!("gpt-4o-mini")),
        ("operation", json!("chat")),
        ("dialect", json!("openai")),
        ("streaming", json!(true)),
        ("stage", json!("answering")),
        ("attempt", json!(1)),
        ("attempt_of", Value::Null),
        ("customer_id", Value::Null),
        ("metadata", json!({ "team": "red" })),
    ];
    for (name, value) in shown {
        assert_eq!(call[name], value, "{name} of {call}");
    }
    assert!(call["output_tokens"].as_u64().unwrap() >= 3, "{call}");
    assert!(
        nanos(&call["cost"]) > 0 && nanos(&call["cost"]) <= nanos(&call["held"]),
        "{call}"
    );
    let cost = nanos(&call["cost"]);
    eventually("its cost rises", || nanos(&client.get(&path).json()["cost"]) > cost);
    end(&house, &call["request_id"]).expect_status(200);
    all_is_settled(&house);
}

#[test]
fn lists_have_pages_and_can_be_of_one_key() {
    let house = House::new();
    let (id, key) = limited_key(&house);
    let port = house.server.port;
    let keys = [key.as_str(), secret_key(), key.as_str(), secret_key(), key.as_str()];
    let streams: Vec<EventStream> = keys
        .iter()
        .map(|key| EventStream::post(port, "/v1/chat/completions", key, &long_stream()))
        .collect();
    let client = house.server.client();
    let first = client.get("/v1/calls?limit=3").json();
    assert_eq!((&first["in_flight"], &first["has_more"]), (&json!(5), &json!(true)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = client.get(&format!("/v1/calls?limit=3&cursor={cursor}")).json();
    assert_eq!(second["next_cursor"], Value::Null);
    let pages = [&first, &second]
        .map(|page| page["data"].as_array().unwrap().clone())
        .concat();
    let ids: Vec<&str> = pages.iter().map(|call| call["request_id"].as_str().unwrap()).collect();
    let made: Vec<&str> = streams
        .iter()
        .rev()
        .map(|stream| stream.headers["x-lava-request-id"].as_str())
        .collect();
    assert_eq!(ids, made);
    let own = client.get(&format!("/v1/calls?spend_key_id={id}")).json();
    assert_eq!(own["in_flight"], 3);
    assert_eq!(
        client.get("/v1/calls?spend_key_id=x").expect_status(400).error_code(),
        "invalid_request"
    );
    for call in pages {
        end(&house, &call["request_id"]).expect_status(200);
    }
    all_is_settled(&house);
}

#[test]
fn a_call_that_has_not_been_answered_is_refused_to_its_client_and_billed_by_estimate() {
    let house = House::new();
    let limit = json!({ "amount": "5.00", "cycle": "daily" });
    let (_, openai) = house.mint(json!({ "name": "one", "spend_limit": limit }));
    let shape = json!({ "name": "two", "spend_limit": limit, "request_shape": "anthropic" });
    let (_, anthropic) = house.mint(shape);
    let slow = "delay_ms=30000";
    let cases = [
        ("/v1/chat/completions", &openai, chat(slow)),
        ("/v1/chat/completions", &openai, chat_stream(slow)),
        ("/v1/messages", &anthropic, message(slow)),
    ];
    for (path, key, body) in &cases {
        let fallbacks = json!([{ "model": "gpt-4o" }]).to_string();
        let caller = house.caller(key).with_header("x-lava-fallbacks", &fallbacks);
        let (answer, ended) = thread::scope(|scope| {
            let client = scope.spawn(|| caller.post(path, body));
            let call = the_call(&house);
            assert_eq!(call["stage"], "waiting");
            let ended = end(&house, &call["request_id"]).expect_status(200).json();
            (client.join().unwrap(), ended)
        });
        assert_eq!(ended["result"], "ended", "{ended}");
        let answer = answer.expect_status(403);
        assert_eq!(answer.error_code(), "call_ended");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(
            answer.json()["type"],
            if *path == "/v1/messages" {
                json!("error")
            } else {
                Value::Null
            }
        );
        let row = house.row(&answer);
        assert_eq!(
            (&row["usage_source"], &row["http_status"]),
            (&json!("estimated"), &json!(403))
        );
        assert_eq!(row["cost"], ended["cost"]);
        assert!(nanos(&row["cost"]) > 0);
        all_is_settled(&house);
    }
    assert_eq!(
        house.simulator.ledger()["requests"],
        cases.len(),
        "an ended call goes on to no other provider"
    );
}

#[test]
fn the_answer_of_a_call_that_breaks_off_in_its_middle_is_not_waited_for() {
    let house = House::new();
    let (_, key) = limited_key(&house);
    // The first chunks have come, and no more will.
    let mut call = long_stream();
    call["messages"][0]["content"] = "[[sim output_tokens=50 hang_after=5]]".into();
    let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call);
    for _ in 0..5 {
        stream.next_data();
    }
    let id = json!(stream.headers["x-lava-request-id"]);
    assert_eq!(end(&house, &id).expect_status(200).json()["result"], "ended");
    assert_eq!(stream.all_data().last().map(String::as_str), Some("[DONE]"));
    all_is_settled(&house);
}

#[test]
fn a_stream_that_nobody_reads_is_ended_too() {
    let house = House::new();
    // What its client gives up is read on for the one, and not for the other.
    let (_, drained) = limited_key(&house);
    let (_, cancelled) = house.mint(json!({ "name": "cancelled", "on_disconnect": "cancel" }));
    for key in [drained, cancelled] {
        end_a_stream_that_nobody_reads(&house, &key);
    }
}

fn end_a_stream_that_nobody_reads(house: &House, key: &str) {
    // More than the buffers between the server and its client take.
    let mut call = chat_stream("output_tokens=400000");
    call["max_tokens"] = 400_000.into();
    let kept = crowd(async {
        let mut connection = Connection::open_narrow(house.server.port).await.unwrap();
        connection
            .begin(&request("POST", "/v1/chat/completions", key, Some(&call)))
            .await;
        connection
    });
    let call = the_call(house);
    let mut seen = 0;
    eventually("the stream has stopped for its client", || {
        let now = house.server.client().get("/v1/calls").json()["data"][0]["output_tokens"]
            .as_u64()
            .unwrap();
        std::mem::replace(&mut seen, now) == now && now > 0
    });
    assert_eq!(
        end(house, &call["request_id"]).expect_status(200).json()["result"],
        "ended"
    );
    all_is_settled(house);
    drop(kept);
}

#[test]
fn a_stream_whose_client_has_left_is_ended_while_it_is_read_for_its_usage() {
    let house = House::new();
    let (_, key) = limited_key(&house);
    let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &long_stream());
    stream.next_data();
    stream.close();
    let call = the_call(&house);
    let tokens = call["output_tokens"].as_u64().unwrap();
    let client = house.server.client();
    eventually("it is read on", || {
        client.get("/v1/calls").json()["data"][0]["output_tokens"]
            .as_u64()
            .unwrap()
            > tokens + 5
    });
    assert_eq!(
        end(&house, &call["request_id"]).expect_status(200).json()["result"],
        "ended"
    );
    all_is_settled(&house);
}

#[test]
fn an_end_that_meets_the_natural_end_settles_the_call_once() {
    let house = House::new();
    let (id, key) = limited_key(&house);
    let mut random = Seeded(20);
    let (mut results, rounds) = (Vec::new(), 40);
    for round in 0..rounds {
        let directive = format!("output_tokens=4 chunk_ms={}", random.below(4));
        let body = if round % 2 == 0 {
            chat_stream(&directive)
        } else {
            chat(&format!("delay_ms={}", random.below(12)))
        };
        let (status, text) = thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &body);
                (stream.status, stream.rest())
            });
            while !client.is_finished() {
                for call in in_flight(&house.server.client()) {
                    let answer = end(&house, &call["request_id"]);
                    let result = answer.json()["result"].as_str().unwrap_or("gone").to_owned();
                    assert!(matches!(answer.status, 200 | 404), "{}", answer.text());
                    results.push(result);
                }
            }
            client.join().unwrap()
        });
        match status {
            200 if round % 2 == 0 => assert!(text.contains("[DONE]"), "{text}"),
            200 => assert!(text.contains("choices"), "{text}"),
            status => assert!(status == 403 && text.contains("call_ended"), "{status} {text}"),
        }
    }
    house.settled(&id);
    all_is_settled(&house);
    eventually("every call has its row", || {
        house.database.number("SELECT COUNT(*) FROM requests") == rounds
    });
    assert!(results.iter().any(|result| result == "ended"), "{results:?}");
}

#[test]
fn nobody_sees_or_ends_anothers_call() {
    let house = House::new();
    let (_, key) = limited_key(&house);
    let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &long_stream());
    stream.next_data();
    let path = format!("/v1/calls/{}", stream.headers["x-lava-request-id"]);
    let stranger = house.stranger();
    assert_eq!(in_flight(&stranger), Vec::<Value>::new());
    for answer in [stranger.get(&path), stranger.delete(&path)] {
        assert_eq!(answer.expect_status(404).error_code(), "not_found");
    }
    let caller = house.caller(&key);
    assert_eq!(
        caller.get("/v1/calls").expect_status(403).error_code(),
        "wrong_key_kind"
    );
    let output = house
        .server
        .run(&["--json", "keys", "create", "--wallet", "--name", "his"]);
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keeper = house.caller(made["key"].as_str().unwrap());
    assert_eq!(in_flight(&keeper).len(), 1);
    for wrong in ["/v1/calls/x", "/v1/calls/req_01HF7YAT000000000000000000"] {
        assert_eq!(keeper.delete(wrong).expect_status(404).error_code(), "not_found");
    }
    assert!(stream.next_data().is_some(), "it runs on");
    assert_eq!(keeper.delete(&path).expect_status(200).json()["result"], "ended");
    all_is_settled(&house);
}
