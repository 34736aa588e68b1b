//! The MCP server: the official client's SDK with every tool, and what the protocol's own rules ask of its transport.
//! Sessions are bounded in number and time, are only their owner's, and take their spend keys with them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clients::{Script, check_books};
use crate::support::house::{House, nanos};
use crate::support::http::{Answer, Client};
use crate::support::server::{eventually, secret_key};
use crate::support::stream::EventStream;
use crate::support::visitor::Visitor;

const VERSION: &str = "2025-11-25";

#[test]
fn the_official_sdk_uses_every_tool() {
    let house = House::new();
    let other = house.test_merchant();
    let script = Script::new("mcp.mjs", &house);
    script.variable("OTHER_KEY", &other).run();
    check_books(house);
}

#[test]
fn an_agent_that_loops_stops_at_its_sessions_limit() {
    let house = House::with(|settings| settings.variable("CALDERA__MCP__SESSION_SPEND_LIMIT", "0.001"));
    let agent = Agent::open(&house.server.client());
    let arguments = json!({ "model": "gpt-4o-mini", "messages": "Hello [[sim output_tokens=200]]", "max_tokens": 200 });
    let refusal = (0..100)
        .map(|_| agent.call("prompt", &arguments))
        .find(|result| result["isError"] == true);
    let refusal = refusal.expect("the limit is reached");
    assert_eq!(
        refusal["structuredContent"]["error"]["code"], "spend_limit_reached",
        "{refusal}"
    );
    let text = refusal["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("spend_limit_reached: "), "{text}");
    let key = session_keys(&house).pop().expect("the session has a key");
    // A stream may pass its limit by what one chunk costs.
    assert_eq!(key["spend_limit"], json!({ "amount": "0.001", "cycle": "daily" }));
    assert!((1..=1_010_000).contains(&nanos(&key["current_spend"])), "{key}");
    check_books(house);
}

#[test]
fn a_protocol_without_sessions_has_one_spend_key_for_a_credential() {
    let house = House::new();
    let call = |client: &Client, tool: &str, arguments: &Value| -> Value {
        let version = "2026-07-28";
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": { "name": "of 2026", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let pairs = [
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", version),
            ("mcp-method", "tools/call"),
            ("mcp-name", tool),
        ];
        let client = pairs
            .iter()
            .fold(client.clone(), |client, (name, value)| client.with_header(name, value));
        let parameters = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let answer = client
            .post("/mcp", &request("tools/call", &parameters))
            .expect_status(200);
        assert_eq!(answer.header("mcp-session-id"), None);
        last_message(&answer)["result"].clone()
    };
    let client = house.server.client();
    let arguments = json!({ "model": "gpt-4o-mini", "messages": "Hello", "max_tokens": 8 });
    for _ in 0..2 {
        let result = call(&client, "prompt", &arguments);
        assert_eq!(result["isError"], false, "{result}");
    }
    let keys = session_keys(&house);
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["name"], "MCP session of of 2026");
    let guest = call(&Client::new(&house.server.url()), "login", &json!({}));
    assert_eq!(guest["structuredContent"]["error"]["code"], "not_supported", "{guest}");
}

#[test]
fn a_guest_signs_in_by_the_browser_and_its_keys_end_with_its_session() {
    let house = House::new();
    let agent = Agent::open(&Client::new(&house.server.url()));
    let asked = agent.call("login", &json!({}))["structuredContent"].clone();
    assert_eq!(asked["status"], "pending", "{asked}");
    let url = asked["url"].as_str().unwrap();
    let path = url.strip_prefix(&house.server.url()).expect("it leads to this server");
    let mut visitor = Visitor::signed_in(&house.server, secret_key());
    let page = visitor.page(path);
    let code = asked["code"].as_str().unwrap();
    assert!(
        page.contains("by hand") && page.contains(code) && page.contains("127.0.0.1"),
        "{page}"
    );
    let answer = visitor.submit(path, "/auth/connect", &[("request", code), ("decision", "authorize")]);
    assert!(answer.expect_status(200).text().contains("Signed in"));
    assert_eq!(visitor.get(path).status, 404, "the code has served");
    let signed_in = agent.call("login", &json!({}))["structuredContent"].clone();
    assert_eq!(signed_in["status"], "authorized", "{signed_in}");
    assert_eq!(session_keys(&house).len(), 1);
    let arguments = json!({ "model": "gpt-4o-mini", "messages": "Hello", "max_tokens": 8 });
    assert_eq!(agent.call("prompt", &arguments)["isError"], false);
    assert_eq!(agent.call("get_balance", &json!({}))["isError"], false);
    let secret_keys = || {
        house.server.client().get("/v1/secret_keys").json()["data"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(secret_keys(), 2);
    agent.end();
    eventually("the keys are revoked", || {
        session_keys(&house).is_empty() && secret_keys() == 1
    });
    let events = house
        .server
        .client()
        .get("/v1/audit_events?limit=100")
        .expect_status(200)
        .text();
    for action in [
        "auth.connect",
        "spend_keys.create",
        "spend_keys.delete",
        "secret_keys.delete",
    ] {
        assert!(events.contains(action), "{action} is not in {events}");
    }
}

#[test]
fn a_guest_whom_nobody_wants_is_told_so() {
    let house = House::new();
    let agent = Agent::open(&Client::new(&house.server.url()));
    let asked = agent.call("login", &json!({}))["structuredContent"].clone();
    let (url, code) = (asked["url"].as_str().unwrap(), asked["code"].as_str().unwrap());
    let path = url.strip_prefix(&house.server.url()).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| agent.call("login", &json!({})));
        let mut visitor = Visitor::signed_in(&house.server, secret_key());
        let answer = visitor.submit(path, "/auth/connect", &[("request", code), ("decision", "cancel")]);
        assert!(answer.expect_status(200).text().contains("Not signed in"));
        let told = waiting.join().unwrap();
        // Whoever asks after the refusal is given another code.
        let is_told = told["structuredContent"]["error"]["code"] == "invalid_api_key";
        assert!(is_told || told["structuredContent"]["code"] != code, "{told}");
    });
    assert_eq!(
        agent.call("get_balance", &json!({}))["structuredContent"]["error"]["code"],
        "invalid_api_key"
    );
}

#[test]
fn sessions_are_bounded_and_each_that_ends_makes_room() {
    let house = House::with(|settings| settings.variable("CALDERA__MCP__MAX_GUESTS", 3));
    let guest = Client::new(&house.server.url());
    let guests: Vec<Agent> = (0..3).map(|_| Agent::open(&guest)).collect();
    let full = Agent::ask_to_open(&guest).expect_status(503);
    assert_eq!(full.error_code(), "overloaded");
    assert!(full.header("retry-after").is_some());
    // Guests take nothing from who has a key.
    let client = house.server.client();
    let mut agents: Vec<Agent> = (0..997).map(|_| Agent::open(&client)).collect();
    assert_eq!(
        Agent::ask_to_open(&client).expect_status(503).error_code(),
        "overloaded"
    );
    agents.pop().unwrap().end();
    agents.push(Agent::open(&client));
    assert_eq!(agents[500].call("get_balance", &json!({}))["isError"], false);
    drop(guests);
}

#[test]
fn an_idle_session_ends_and_its_key_with_it() {
    let house = House::with(|settings| settings.variable("CALDERA__MCP__SESSION_IDLE_S", 1));
    let agent = Agent::open(&house.server.client());
    // A tool that runs longer than that keeps its session.
    let arguments = json!({ "model": "gpt-4o-mini", "messages": "Hello [[sim delay_ms=3000]]", "max_tokens": 8 });
    let answer = agent.call("prompt", &arguments);
    let row = house.row_of(
        answer["structuredContent"]["request_id"]
            .as_str()
            .expect("the call was made"),
    );
    let key = row["spend_key_id"].as_str().expect("a key paid");
    let path = format!("/v1/spend_keys/{key}");
    eventually("the key is revoked", || house.server.client().get(&path).status == 404);
    agent.post("tools/list", &json!({})).expect_status(404);
}

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

/// A session of the protocol, by hand.
struct Agent {
    client: Client,
    pairs: Vec<(&'static str, String)>,
}

impl Agent {
    /// Opens a session as this client.
    fn open(client: &Client) -> Self {
        let answer = Self::ask_to_open(client).expect_status(200);
        let id = answer.header("mcp-session-id").expect("a session has an id").to_owned();
        let pairs = vec![
            ("accept", "application/json, text/event-stream".to_owned()),
            ("mcp-protocol-version", VERSION.to_owned()),
            ("mcp-session-id", id),
        ];
        let client = pairs
            .iter()
            .fold(client.clone(), |client, (name, value)| client.with_header(name, value));
        let agent = Self { client, pairs };
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        agent.client.post("/mcp", &initialized).expect_status(202);
        agent
    }

    fn ask_to_open(client: &Client) -> Answer {
        let client = client
            .clone()
            .with_header("accept", "application/json, text/event-stream");
        client.post("/mcp", &initialize())
    }

    fn post(&self, method: &str, parameters: &Value) -> Answer {
        self.client.post("/mcp", &request(method, parameters))
    }

    /// What a tool came to.
    fn call(&self, tool: &str, arguments: &Value) -> Value {
        let answer = self.post("tools/call", &json!({ "name": tool, "arguments": arguments }));
        let message = last_message(&answer.expect_status(200));
        message["result"].clone()
    }

    fn end(self) {
        self.client.delete("/mcp").expect_status(202);
    }

    /// For a client of another kind, of the first merchant.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut pairs = self.pairs.clone();
        pairs.push(("authorization", format!("Bearer {}", secret_key())));
        pairs
    }
}

fn request(method: &str, parameters: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 2, "method": method, "params": parameters })
}

fn initialize() -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": { "name": "by hand", "version": "1" },
        },
    })
}

/// The last message of a stream of events.
fn last_message(answer: &Answer) -> Value {
    let text = answer.text();
    if text.starts_with('{') {
        return answer.json();
    }
    let data = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim);
    let last = data.filter(|data| !data.is_empty()).next_back();
    serde_json::from_str(last.unwrap_or_default()).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The spend keys of sessions that still work.
fn session_keys(house: &House) -> Vec<Value> {
    let listed = house
        .server
        .client()
        .get("/v1/spend_keys?limit=100")
        .expect_status(200)
        .json();
    let keys = listed["data"].as_array().unwrap().iter();
    let is_meant = |key: &&Value| key["name"].as_str().unwrap().starts_with("MCP session") && key["status"] == "active";
    keys.filter(is_meant).cloned().collect()
}
