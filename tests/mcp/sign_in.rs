//! Signing a session in by the browser: what it gets, and that it is gone when its owner or a crash takes it away.

use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};

use super::agent::{Agent, session_keys};
use crate::support::house::House;
use crate::support::http::Client;
use crate::support::server::{eventually, secret_key};
use crate::support::visitor::{Visitor, form_token};

fn secret_keys(house: &House) -> Vec<Value> {
    let listed = house.server.client().get("/v1/secret_keys").expect_status(200).json();
    listed["data"].as_array().unwrap().clone()
}

/// A session that its user has let in.
fn signed_in(house: &House) -> Agent {
    let agent = Agent::open(&Client::new(&house.server.url()));
    let asked = agent.call("login", &json!({}))["structuredContent"].clone();
    authorize(house, &asked);
    assert_eq!(
        agent.call("login", &json!({}))["structuredContent"]["status"],
        "authorized"
    );
    agent
}

/// What the user does whom the agent has asked so.
fn authorize(house: &House, asked: &Value) {
    let (url, code) = (asked["url"].as_str().unwrap(), asked["code"].as_str().unwrap());
    let path = url.strip_prefix(&house.server.url()).unwrap();
    let mut visitor = Visitor::signed_in(&house.server, secret_key());
    let answer = visitor.submit(path, "/auth/connect", &[("request", code), ("decision", "authorize")]);
    answer.expect_status(200);
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
        page.contains("may spend $5.00 a day") && page.contains("without a limit"),
        "{page}"
    );
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
    let token = agent.call("generate_forward_token", &json!({}));
    assert_eq!(token["structuredContent"]["error"]["code"], "not_supported", "{token}");
    assert_eq!(secret_keys(&house).len(), 2);
    agent.end();
    eventually("the keys are revoked", || {
        session_keys(&house).is_empty() && secret_keys(&house).len() == 1
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
fn a_session_ends_with_the_secret_key_of_its_sign_in() {
    let house = House::new();
    let agent = signed_in(&house);
    assert_eq!(session_keys(&house).len(), 1);
    let of_session = secret_keys(&house)
        .into_iter()
        .find(|key| key["name"].as_str().unwrap().starts_with("MCP session of by hand"))
        .expect("the sign-in made a key");
    let path = format!("/v1/secret_keys/{}", of_session["secret_key_id"].as_str().unwrap());
    house.server.client().delete(&path).expect_status(200);
    agent.post("tools/list", &json!({})).expect_status(404);
    eventually("its spend key is revoked", || session_keys(&house).is_empty());

    // Nor does it need the agent to say anything.
    let _silent = signed_in(&house);
    let key = &secret_keys(&house)[0];
    let path = format!("/v1/secret_keys/{}", key["secret_key_id"].as_str().unwrap());
    house.server.client().delete(&path).expect_status(200);
    eventually("the second one's too", || session_keys(&house).is_empty());
}

#[test]
fn a_crash_leaves_no_secret_key_of_a_session() {
    let mut house = House::new();
    let _agent = signed_in(&house);
    assert_eq!(secret_keys(&house).len(), 2);
    house.server.kill();
    house.server.start_again();
    let left = secret_keys(&house);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(
        !left[0]["name"].as_str().unwrap().starts_with("MCP session"),
        "{left:?}"
    );
}

#[test]
fn a_session_asks_with_one_code_which_serves_once() {
    let house = House::new();
    let agent = Agent::open(&Client::new(&house.server.url()));
    thread::scope(|scope| {
        let (sender, told) = mpsc::channel();
        for _ in 0..2 {
            let (sender, agent) = (sender.clone(), &agent);
            scope.spawn(move || {
                let said = agent.call("login", &json!({}))["structuredContent"].clone();
                sender.send(said).unwrap();
            });
        }
        let asked = told.recv().unwrap();
        assert_eq!(asked["status"], "pending", "{asked}");
        let (url, code) = (asked["url"].as_str().unwrap(), asked["code"].as_str().unwrap());
        let path = url.strip_prefix(&house.server.url()).unwrap();
        let mut visitor = Visitor::signed_in(&house.server, secret_key());
        let token = form_token(&visitor.page(path));
        let fields = [("request", code), ("decision", "authorize"), ("form_token", &token)];
        visitor.send("/auth/connect", &fields).expect_status(200);
        visitor.send("/auth/connect", &fields).expect_status(404);
        let waited = told.recv().unwrap();
        assert_eq!(
            waited["status"], "authorized",
            "the second call waits with the code of the first: {waited}"
        );
    });
    assert_eq!(secret_keys(&house).len(), 2);
}
