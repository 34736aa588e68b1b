//! The MCP server: the official client's SDK with every tool, and what the protocol's own rules ask of its transport.
//! Sessions are bounded in number and time, are only their owner's, and take their spend keys with them.

mod agent;
mod transport;

use serde_json::{Value, json};

use self::agent::{Agent, last_message, request, session_keys};
use crate::clients::{Script, check_books};
use crate::support::house::{House, nanos};
use crate::support::http::Client;
use crate::support::server::{eventually, secret_key};
use crate::support::visitor::Visitor;

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
        "secret_keys.create",
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
