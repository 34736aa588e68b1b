//! What the protocol asks of its transport: refusals, pages of other origins, streams that break off, the server's stop.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::agent::{Agent, initialize, request, session_keys};
use crate::support::house::House;
use crate::support::http::Client;
use crate::support::server::secret_key;
use crate::support::stream::EventStream;

#[test]
fn what_the_transport_refuses_is_said_in_the_envelope_of_all_errors() {
    let house = House::with(|settings| {
        let settings = settings.variable("CALDERA__MCP__ALLOWED_ORIGINS", "https://app.example.com");
        settings.variable("CALDERA__MCP__BODY_LIMIT_BYTES", 2048)
    });
    let client = house.server.client();
    let body = initialize().to_string().into_bytes();
    let accepting = |value: &str| client.clone().with_header("accept", value);
    let both = "application/json, text/event-stream";
    let from = |origin: &str| accepting(both).with_header("origin", origin);
    let session = |id: &str| accepting(both).with_header("mcp-session-id", id);
    let large = vec![b' '; 4096];
    let table = [
        (
            from("https://evil.example"),
            "POST",
            Some(body.clone()),
            403,
            "origin_not_allowed",
        ),
        (from("http://127.0.0.1:1"), "GET", None, 403, "origin_not_allowed"),
        (from("null"), "POST", Some(body.clone()), 403, "origin_not_allowed"),
        (
            accepting("application/json"),
            "POST",
            Some(body.clone()),
            406,
            "not_acceptable",
        ),
        (accepting(both), "PUT", Some(body.clone()), 405, "method_not_allowed"),
        (accepting(both), "POST", Some(large), 413, "payload_too_large"),
        (accepting(both), "DELETE", None, 400, "invalid_request"),
        (session("nobody"), "POST", Some(body.clone()), 404, "not_found"),
        (session("nobody.nothing"), "GET", None, 404, "not_found"),
        (
            accepting(both).with_header("content-type", "text/plain"),
            "POST",
            Some(body.clone()),
            415,
            "unsupported_media_type",
        ),
    ];
    for (client, method, body, status, code) in table {
        let answer = client.send(method, "/mcp", body);
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (status, code),
            "{method} {}",
            answer.text()
        );
    }
    let wrong = Client::new(&house.server.url()).with_key("aks_live_nobody");
    assert_eq!(
        Agent::ask_to_open(&wrong).expect_status(401).error_code(),
        "invalid_api_key"
    );
    Agent::ask_to_open(&client.clone().with_header("origin", "https://app.example.com")).expect_status(200);
    let both_keys = Client::new(&house.server.url()).with_header("authorization", "Bearer of-another-service");
    Agent::ask_to_open(&both_keys.with_header("x-api-key", secret_key())).expect_status(200);
    let junk: [&[u8]; 4] = [b"{", b"[]", b"{\"jsonrpc\":\"2.0\"}", b"\xff"];
    for junk in junk {
        let answer = accepting(both).send("POST", "/mcp", Some(junk.to_vec()));
        assert!(
            (400..500).contains(&answer.status) && !answer.body.is_empty(),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn a_web_page_calls_from_a_listed_origin_only() {
    let origin = "https://app.example.com";
    let house = House::with(|settings| settings.variable("CALDERA__MCP__ALLOWED_ORIGINS", origin));
    let page = |origin: &str| Client::new(&house.server.url()).with_header("origin", origin);
    let asked = page(origin).send("OPTIONS", "/mcp", None).expect_status(200);
    assert_eq!(asked.header("access-control-allow-origin"), Some(origin));
    assert!(
        asked
            .header("access-control-allow-headers")
            .unwrap()
            .contains("authorization")
    );
    let opened = Agent::ask_to_open(&page(origin)).expect_status(200);
    assert_eq!(opened.header("access-control-allow-origin"), Some(origin));
    assert_eq!(opened.header("access-control-expose-headers"), Some("mcp-session-id"));
    for origin in [
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://app.example.com:8443",
    ] {
        let refused = page(origin).send("OPTIONS", "/mcp", None).expect_status(403);
        assert_eq!(refused.error_code(), "origin_not_allowed", "{origin}");
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
}

#[test]
fn an_answer_that_was_lost_on_the_way_is_fetched_again() {
    let house = House::new();
    let agent = Agent::open(&house.server.client());
    let arguments = json!({ "model": "gpt-4o-mini", "messages": "Hello [[sim delay_ms=500]]", "max_tokens": 8 });
    let message = request("tools/call", &json!({ "name": "prompt", "arguments": arguments }));
    let headers = agent.headers();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut lost = EventStream::post_with_headers(house.server.port, "/mcp", &headers, &message);
    let first = lost.next_frame().expect("the stream says how it is resumed");
    let id = first
        .lines()
        .find_map(|line| line.strip_prefix("id:"))
        .expect("an id")
        .trim()
        .to_owned();
    lost.reset();
    let mut headers = headers;
    headers.push(("last-event-id", &id));
    let mut resumed = EventStream::get_with_headers(house.server.port, "/mcp", &headers);
    assert_eq!(resumed.status, 200);
    let message = std::iter::from_fn(|| resumed.next_data()).find(|data| !data.is_empty());
    let message: Value = serde_json::from_str(&message.expect("the answer is there")).unwrap();
    assert_eq!(message["result"]["isError"], false, "{message}");
}

#[test]
fn a_stop_ends_open_streams_at_once_and_revokes_what_sessions_had() {
    let mut house = House::new();
    let agent = Agent::open(&house.server.client());
    let arguments = json!({ "model": "gpt-4o-mini", "messages": "Hello", "max_tokens": 8 });
    assert_eq!(agent.call("prompt", &arguments)["isError"], false);
    assert_eq!(session_keys(&house).len(), 1);
    let headers = agent.headers();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut listening = EventStream::get_with_headers(house.server.port, "/mcp", &headers);
    assert_eq!(listening.status, 200);
    listening.next_frame().expect("the stream is open");
    let start = Instant::now();
    assert!(house.server.stop().success());
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    listening.rest();
    let active = "SELECT count(*) FROM spend_keys WHERE name LIKE 'MCP session%' AND revoked_at IS NULL";
    assert_eq!(house.database.number(active), 0);
}
