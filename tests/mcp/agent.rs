//! A client of the protocol by hand, for what the official one hides.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::http::{Answer, Client};
use crate::support::server::secret_key;

pub const VERSION: &str = "2025-11-25";

/// A session of the protocol, by hand.
pub struct Agent {
    pub client: Client,
    pairs: Vec<(&'static str, String)>,
}

impl Agent {
    /// Opens a session as this client.
    pub fn open(client: &Client) -> Self {
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

    pub fn ask_to_open(client: &Client) -> Answer {
        let client = client
            .clone()
            .with_header("accept", "application/json, text/event-stream");
        client.post("/mcp", &initialize())
    }

    pub fn post(&self, method: &str, parameters: &Value) -> Answer {
        self.client.post("/mcp", &request(method, parameters))
    }

    /// What a tool came to.
    pub fn call(&self, tool: &str, arguments: &Value) -> Value {
        let answer = self.post("tools/call", &json!({ "name": tool, "arguments": arguments }));
        let message = last_message(&answer.expect_status(200));
        message["result"].clone()
    }

    pub fn session_id(&self) -> &str {
        &self.pairs.last().expect("a session has an id").1
    }

    pub fn end(self) {
        self.client.delete("/mcp").expect_status(202);
    }

    /// For a client of another kind, of the first merchant.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut pairs = self.pairs.clone();
        pairs.push(("authorization", format!("Bearer {}", secret_key())));
        pairs
    }
}

/// A request with an id of its own: a session may have several on their way.
pub fn request(method: &str, parameters: &Value) -> Value {
    static NEXT: AtomicU64 = AtomicU64::new(2);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters })
}

pub fn initialize() -> Value {
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
pub fn last_message(answer: &Answer) -> Value {
    let text = answer.text();
    if text.starts_with('{') {
        return answer.json();
    }
    let mut data = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim);
    let last = data.rfind(|data| !data.is_empty());
    serde_json::from_str(last.unwrap_or_default()).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The spend keys of sessions that still work.
pub fn session_keys(house: &House) -> Vec<Value> {
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
