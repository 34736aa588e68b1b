//! Calls that are ended in the middle of an answer: a sound, a body that is read whole, a stream whose first frame is
//! awaited because another provider could be asked.

use std::thread;

use serde_json::{Value, json};

use super::{end, in_flight, limited_key, the_call};
use crate::support::house::{House, chat, chat_stream, nanos};
use crate::support::server::eventually;
use crate::support::stream::EventStream;
use crate::support::stub::{Stub, event_stream};

/// A house whose OpenAI says this and then nothing more.
fn house_before(answer: &str) -> (House, Stub) {
    let stub = Stub::holding(answer);
    let url = stub.url();
    (House::with(|settings| settings.variable("OPENAI_BASE_URL", &url)), stub)
}

fn no_call_is_left(house: &House) {
    assert_eq!(in_flight(&house.server.client()), Vec::<Value>::new());
    house.books_agree();
}

#[test]
fn a_sound_is_cut_and_billed_by_what_was_asked_for() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n";
    let (house, _stub) = house_before(&format!("{head}5\r\nabcde\r\n"));
    let (_, key) = limited_key(&house);
    let body = json!({ "model": "tts-1", "input": "Hello", "voice": "alloy" });
    let mut sound = EventStream::post(house.server.port, "/v1/audio/speech", &key, &body);
    let client = house.server.client();
    eventually("its bytes are counted", || {
        client.get("/v1/calls").json()["data"][0]["output_bytes"] == 5
    });
    let call = the_call(&house);
    assert_eq!(
        (&call["operation"], &call["stage"]),
        (&json!("speech"), &json!("answering"))
    );
    let ended = end(&house, &call["request_id"]).expect_status(200).json();
    assert_eq!(ended["result"], "ended", "{ended}");
    assert_eq!(sound.rest(), "abcde");
    let row = house.row_of(&sound.headers["x-lava-request-id"]);
    assert_eq!(
        (&row["status"], &row["usage_source"]),
        (&json!("error"), &json!("provider")),
        "the characters are known from the call"
    );
    assert!(nanos(&row["cost"]) > 0);
    no_call_is_left(&house);
}

#[test]
fn a_body_that_comes_in_part_is_not_waited_for_and_no_other_provider_is_asked() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"id\":";
    for (answer, body) in [
        (half.to_owned(), chat("")),
        // Nothing of a stream may have been passed on where another provider is left.
        (event_stream(""), chat_stream("")),
    ] {
        let (house, stub) = house_before(&answer);
        let (_, key) = limited_key(&house);
        let fallbacks = json!([{ "model": "claude-haiku-4-5" }]).to_string();
        let caller = house.caller(&key).with_header("x-lava-fallbacks", &fallbacks);
        let answer = thread::scope(|scope| {
            let client = scope.spawn(|| caller.post("/v1/chat/completions", &body));
            let call = the_call(&house);
            eventually("the provider has it", || stub.calls() == 1);
            let ended = end(&house, &call["request_id"]).expect_status(200).json();
            assert_eq!(ended["result"], "ended", "{ended}");
            client.join().unwrap()
        });
        assert_eq!(answer.expect_status(403).error_code(), "call_ended");
        assert_eq!(
            (stub.calls(), house.simulator.ledger()["requests"].clone()),
            (1, json!(0))
        );
        no_call_is_left(&house);
    }
}

#[test]
fn an_end_that_meets_a_later_attempt_ends_the_call_and_asks_no_further_provider() {
    let failing = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let stub = Stub::answering(failing);
    let url = stub.url();
    let house = House::with(|settings| settings.variable("OPENAI_BASE_URL", &url));
    let (_, key) = limited_key(&house);
    let fallbacks = json!([{ "model": "claude-haiku-4-5" }, { "model": "gpt-4o" }]).to_string();
    let caller = house.caller(&key).with_header("x-lava-fallbacks", &fallbacks);
    let answer = thread::scope(|scope| {
        let client = scope.spawn(|| caller.post("/v1/chat/completions", &chat("delay_ms=30000")));
        let management = house.server.client();
        eventually("the second provider has it", || {
            in_flight(&management).iter().any(|call| call["attempt"] == 2)
        });
        let call = the_call(&house);
        let ended = end(&house, &call["request_id"]).expect_status(200).json();
        assert_eq!(ended["result"], "ended", "{ended}");
        client.join().unwrap()
    });
    let answer = answer.expect_status(403);
    assert_eq!(answer.error_code(), "call_ended", "no older failure stands for it");
    assert_eq!(answer.header("x-lava-attempts"), Some("2"));
    assert_eq!(stub.calls(), 1, "the third target is left alone");
    no_call_is_left(&house);
}
