//! The log: one line a call that says what it was, and never a secret, a prompt or an answer, however much is logged.

use serde_json::{Value, json};

use crate::support::house::{House, chat, message};
use crate::support::server::{eventually, secret_key};
use crate::support::stream::EventStream;

const PROMPT: &str = "the-prompt-that-nobody-may-read";
const ANSWER: &str = "the-answer-that-nobody-may-read";

/// A body whose answer says [`ANSWER`].
fn telling(mut body: Value) -> Value {
    let said: String = ANSWER.bytes().map(|byte| format!("{byte:02x}")).collect();
    body["messages"][0]["content"] = json!(format!("{PROMPT} [[sim say={said}]]"));
    body
}

/// What must not stand in the log, by what it is.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: &Value) {
        let secret = secret.as_str().unwrap_or_else(|| panic!("{what} is a text"));
        self.0.push((what, secret.to_owned()));
    }
}

/// Makes, uses, changes and ends one of each thing that has a secret.
fn live(house: &House) -> Secrets {
    let secret = house.server.client();
    let mut secrets = Secrets(vec![
        ("the secret key", secret_key().to_owned()),
        ("a prompt", PROMPT.to_owned()),
        ("an answer", ANSWER.to_owned()),
        (
            "a caller's own credential",
            "sk-own-credential-of-the-caller".to_owned(),
        ),
    ]);
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    secrets.0.push(("a spend key", key.clone()));
    call(house, &key);
    let rotated = secret
        .post(&format!("/v1/spend_keys/{id}/rotate"), &json!({}))
        .expect_status(200)
        .json();
    secrets.add("a rotated spend key", &rotated["key"]);
    let stored = json!({ "provider": "groq", "key": "gsk-stored-credential-1234", "name": "mine" });
    secret.post("/v1/provider_keys", &stored).expect_status(201);
    secrets.add("a stored credential", &stored["key"]);
    let webhook = json!({ "name": "mine", "url": "https://hooks.example.com/a-path-that-is-a-secret" });
    let webhook = secret.post("/v1/webhooks", &webhook).expect_status(201).json();
    secrets.add("a webhook's secret", &webhook["webhook_secret"]);
    let wallet_key = house.server.ask(&["keys", "create", "--wallet", "--name", "desk"]);
    house
        .caller(wallet_key["key"].as_str().unwrap())
        .get("/v1/spend_keys")
        .expect_status(200);
    secrets.add("a wallet key", &wallet_key["key"]);
    let token = std::fs::read_to_string(house.server.data_dir().join("operator-token")).unwrap();
    secrets.0.push(("the operator's token", token.trim().to_owned()));
    assert!(house.server.run(&["merchants", "list"]).status.success());
    secret.delete(&format!("/v1/spend_keys/{id}")).expect_status(200);
    secrets
}

/// Calls in several dialects, whole and streamed, with credentials in every place.
fn call(house: &House, key: &str) {
    let caller = house.caller(key);
    let answer = caller
        .post("/v1/chat/completions", &telling(chat("")))
        .expect_status(200);
    assert!(answer.text().contains(ANSWER), "{}", answer.text());
    let mut stream = telling(chat(""));
    stream["stream"] = true.into();
    EventStream::post(house.server.port, "/v1/chat/completions", key, &stream).all_data();
    let secret = house.server.client();
    secret.post("/v1/messages", &telling(message(""))).expect_status(200);
    let translated =
        json!({ "model": "claude-haiku-4-5", "max_tokens": 64, "messages": [{ "role": "user", "content": PROMPT }] });
    caller.post("/v1/chat/completions", &translated).expect_status(200);
    caller
        .post(&format!("/v1/chat/completions?key={key}"), &telling(chat("")))
        .expect_status(200);
    caller.post(
        "/v1/chat/completions",
        &json!({ "model": "gpt-4o-mini", "messages": PROMPT }),
    );
    caller.post("/v1/chat/completions", &telling(chat("status=500")));
    caller.send(
        "POST",
        "/v1/chat/completions",
        Some(format!("{{\"{PROMPT}\"").into_bytes()),
    );
    let own = house
        .server
        .client()
        .with_header("x-lava-provider-key", "sk-own-credential-of-the-caller");
    own.post(
        "/v1/forward?u=https://api.openai.com/v1/chat/completions",
        &telling(chat("")),
    );
    house
        .caller(&format!("{key}x"))
        .post("/v1/chat/completions", &telling(chat("")));
}

#[test]
fn nothing_secret_stands_in_the_log_however_much_is_logged() {
    for format in ["text", "json"] {
        let mut house = House::with(|settings| {
            settings
                .variable("RUST_LOG", "trace")
                .variable("CALDERA__LOG__FORMAT", format)
        });
        let secrets = live(&house);
        assert!(house.server.stop().success());
        let log = house.server.stderr();
        assert!(log.contains("a call ended"), "the log is of calls");
        for (what, secret) in &secrets.0 {
            let line = log.lines().find(|line| line.contains(secret.as_str()));
            assert!(line.is_none(), "{what} stands in the log: {}", line.unwrap_or_default());
            let bytes: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
            assert!(
                !log.contains(&bytes.join(", ")),
                "{what} stands in the log byte by byte"
            );
        }
    }
}

#[test]
fn a_call_is_one_line_with_dotted_names() {
    let house = House::with(|settings| {
        settings
            .variable("RUST_LOG", "caldera=debug")
            .variable("CALDERA__LOG__FORMAT", "json")
    });
    let (id, key) = house.mint(json!({ "name": "one" }));
    let answer = house
        .caller(&key)
        .post("/v1/chat/completions", &chat("output_tokens=10"))
        .expect_status(200);
    house
        .caller(&key)
        .post("/v1/chat/completions", &json!({ "model": 7 }))
        .expect_status(400);
    let lines = |message: &str| -> Vec<Value> {
        let log = house.server.stderr();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    };
    eventually("both lines are written", || {
        lines("a call ended").len() == 1 && lines("a call was refused").len() == 1
    });
    let line = &lines("a call ended")[0];
    for (name, expected) in [
        ("request.id", json!(answer.header("x-lava-request-id"))),
        ("key.id", json!(id)),
        ("provider.name", json!("openai")),
        ("model.name", json!("gpt-4o-mini")),
        ("http.status", json!(200)),
        ("output_tokens", json!(10)),
        ("cost", house.row(&answer)["cost"].clone()),
    ] {
        assert_eq!(line[name], expected, "{name} of {line}");
    }
    assert!(line["duration_ms"].is_number(), "{line}");
    assert_eq!(lines("a call was refused")[0]["error.code"], "invalid_request");
}
