//! The MCP server: the official client's SDK with every tool, and what the protocol's own rules ask of its transport.
//! Sessions are bounded in number and time, are only their owner's, and take their spend keys with them.

pub mod agent;
mod sign_in;
mod transport;

use serde_json::{Value, json};

use self::agent::{Agent, last_message, request, session_keys};
use crate::clients::{Script, check_books};
use crate::support::house::{House, nanos};
use crate::support::http::Client;
use crate::support::server::eventually;

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
fn a_session_whose_spend_key_was_revoked_gets_no_other() {
    let house = House::new();
    let agent = Agent::open(&house.server.client());
    let arguments = json!({ "model": "gpt-4o-mini", "messages": "Hello", "max_tokens": 8 });
    assert_eq!(agent.call("prompt", &arguments)["isError"], false);
    let key = session_keys(&house).pop().expect("the session has a key");
    let path = format!("/v1/spend_keys/{}", key["spend_key_id"].as_str().unwrap());
    house.server.client().delete(&path).expect_status(200);
    for _ in 0..2 {
        let refused = agent.call("prompt", &arguments);
        let text = refused["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("it gets no other"), "{refused}");
    }
    assert_eq!(session_keys(&house).len(), 0);
    assert_eq!(agent.call("get_balance", &json!({}))["isError"], false);
}

#[test]
fn a_session_runs_so_many_tools_at_once_and_no_more() {
    const MOST: usize = 32;
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "busy" }));
    let agent = Agent::open(&house.caller(&key));
    let prompt = json!({ "model": "gpt-4o-mini", "messages": "Hello [[sim delay_ms=5000]]", "max_tokens": 8 });
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..MOST)
            .map(|_| scope.spawn(|| agent.call("prompt", &prompt)))
            .collect();
        let management = house.server.client();
        eventually("all of them run", || {
            management.get("/v1/calls").json()["in_flight"] == MOST
        });
        let refused = agent.call("search", &json!({ "query": "gpt" }));
        assert_eq!(refused["structuredContent"]["error"]["code"], "overloaded", "{refused}");
        for run in running {
            assert_eq!(run.join().unwrap()["isError"], false);
        }
    });
    assert_eq!(agent.call("search", &json!({ "query": "gpt" }))["isError"], false);
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
fn guests_from_one_address_leave_room_for_those_from_another() {
    let house = House::with(|settings| {
        let settings = settings.variable("CALDERA__MCP__MAX_GUESTS", 12);
        settings.variable("CALDERA__SERVER__TRUSTED_PROXIES", "127.0.0.1")
    });
    let guest = |address: &str| Client::new(&house.server.url()).with_header("x-forwarded-for", address);
    let _guests: Vec<Agent> = (0..10).map(|_| Agent::open(&guest("203.0.113.7"))).collect();
    let full = Agent::ask_to_open(&guest("203.0.113.7")).expect_status(503);
    assert_eq!(full.error_code(), "overloaded");
    Agent::ask_to_open(&guest("203.0.113.8")).expect_status(200);
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
