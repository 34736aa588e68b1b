//! Providers that fail again and again are left alone, and come back.

use serde_json::{Value, json};

use crate::fallbacks::{CLAUDE, attempts, rows, with_fallbacks};
use crate::retries::metric;
use crate::support::house::{House, chat, chat_stream, message};
use crate::support::http::Client;
use crate::support::server::{ServerSettings, eventually};
use crate::support::stream::EventStream;
use crate::support::stub::{Stub, event_stream};

/// Opens after three failures, for so long.
fn breaking(settings: ServerSettings, open_ms: u64) -> ServerSettings {
    settings
        .variable("CALDERA__GATEWAY__BREAKER_FAILURES", 3)
        .variable("CALDERA__GATEWAY__BREAKER_OPEN_MS", open_ms)
        .variable("CALDERA__GATEWAY__IDLE_TIMEOUT_MS", 500)
        .variable("CALDERA__GATEWAY__ANSWER_TIMEOUT_MS", 700)
}

fn health(house: &House, name: &str) -> Value {
    let listed = Client::new(&house.server.operator_url())
        .get("/providers")
        .expect_status(200)
        .json();
    let found = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|provider| provider["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {listed}")).clone()
}

#[test]
fn a_failing_provider_is_left_alone_probed_and_taken_back() {
    let house = House::with(|settings| breaking(settings, 300).variable("OPENAI_API_KEYS", "one,two"));
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "1.00", "cycle": "daily" } }));
    let caller = house.caller(&key);
    let failing = chat("status=500 fail_times=4 tag=down output_tokens=2");
    for _ in 0..3 {
        assert_eq!(caller.post("/v1/chat/completions", &failing).status, 500);
    }
    let refused = caller.post("/v1/chat/completions", &failing);
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (503, "provider_unavailable")
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["error"]["provider"], "openai");
    let seen = health(&house, "openai");
    assert_eq!(
        (&seen["state"], &seen["last_error"]),
        (&json!("open"), &json!("server_error"))
    );
    assert!(
        seen["retry_at"].is_string() && seen["host"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{seen}"
    );
    assert_eq!(seen["credentials"], json!({ "count": 2, "cooling": 2 }));
    assert_eq!(health(&house, "anthropic")["state"], "closed");
    caller.post("/v1/messages", &message("")).expect_status(403);
    house
        .server
        .client()
        .post("/v1/messages", &message(""))
        .expect_status(200);
    // The first probe fails as well, so it is left alone for longer; the next one closes the circuit.
    let mut statuses = Vec::new();
    eventually("it serves again", || {
        statuses.push(caller.post("/v1/chat/completions", &failing).status);
        statuses.last() == Some(&200)
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 500).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| [200, 500, 503].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(health(&house, "openai")["state"], "closed");
    assert_eq!(metric(&house, "caldera_circuits_opened_total"), 2);
    let settled = house.settled(&id);
    assert_eq!(settled["total_requests"], 5, "what was refused is no request");
    rows(&house, 6);
    house.books_agree();
}

#[test]
fn what_a_provider_refuses_leaves_its_circuit_closed() {
    let house = House::with(|settings| breaking(settings, 60_000));
    let caller = house.server.client();
    for status in [400, 401, 403, 404, 429, 429, 422, 400] {
        caller.post("/v1/chat/completions", &chat(&format!("status={status}")));
    }
    assert_eq!(health(&house, "openai")["state"], "closed");
    assert_eq!(health(&house, "openai")["failures"], 0);
    caller.post("/v1/chat/completions", &chat("")).expect_status(200);
}

#[test]
fn every_kind_of_failure_opens_it_and_the_fallback_serves_meanwhile() {
    let first = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"}}]}\n\n";
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{\"id\":";
    let table = [
        (Stub::answering(""), chat(""), "broken"),
        (Stub::answering(cut), chat(""), "broken"),
        (Stub::answering(event_stream(first)), chat_stream(""), "broken"),
        (Stub::silent(), chat(""), "timeout"),
        (
            Stub::answering("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
            chat(""),
            "server_error",
        ),
    ];
    for (stub, call, error) in table {
        let house = House::with(|settings| breaking(settings, 60_000).variable("OPENAI_BASE_URL", stub.url()));
        let secret = crate::support::server::secret_key();
        for _ in 0..3 {
            EventStream::post(house.server.port, "/v1/chat/completions", secret, &call).rest();
        }
        eventually("the circuit is open", || health(&house, "openai")["state"] == "open");
        assert_eq!(health(&house, "openai")["last_error"], error);
        let caller = with_fallbacks(house.server.client(), CLAUDE);
        let answer = caller
            .post("/v1/chat/completions", &chat("output_tokens=2"))
            .expect_status(200);
        assert_eq!(
            (answer.header("x-lava-served-by"), attempts(&answer)),
            (Some("anthropic"), "1")
        );
        assert_eq!(stub.calls(), 3, "nothing more is sent");
        rows(&house, 4);
    }
    let dead = House::with(|settings| breaking(settings, 60_000).variable("OPENAI_BASE_URL", crate::fallbacks::DEAD));
    for _ in 0..3 {
        assert_eq!(dead.server.client().post("/v1/chat/completions", &chat("")).status, 502);
    }
    assert_eq!(dead.server.client().post("/v1/chat/completions", &chat("")).status, 503);
    assert_eq!(health(&dead, "openai")["last_error"], "unreachable");
}
