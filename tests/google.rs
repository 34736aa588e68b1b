//! Google's own clients: the lists of models in their shape, the count of tokens, and a key that Google does not take.

use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::http::Client;
use crate::support::server::eventually;

fn house(keys: &str) -> House {
    House::with(|settings| {
        let google = settings.value("OPENAI_BASE_URL").unwrap();
        settings
            .variable("GEMINI_API_KEYS", keys)
            .variable("GOOGLE_BASE_URL", google)
    })
}

fn contents() -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": "How many tokens are in this?" }] }] })
}

#[test]
fn models_are_listed_and_shown_as_google_does() {
    let house = house("sim");
    let (_, key) = house.mint(json!({ "name": "one", "allowed_models": ["gemini-2.5-*", "gpt-4o-mini"] }));
    let caller = Client::new(&house.server.url()).with_header("x-goog-api-key", &key);
    let listed = caller.get("/v1beta/models?pageSize=50").expect_status(200).json();
    let models = listed["models"].as_array().unwrap();
    let names: Vec<&str> = models.iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert!(
        names.contains(&"models/gemini-2.5-flash") && names.contains(&"models/gpt-4o-mini"),
        "{names:?}"
    );
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("models/gemini-2.5-") || *name == "models/gpt-4o-mini")
    );
    let shown = caller.get("/v1beta/models/gemini-2.5-flash").expect_status(200).json();
    assert_eq!(shown["name"], "models/gemini-2.5-flash");
    assert!(shown["inputTokenLimit"].as_u64().unwrap() > 100_000, "{shown}");
    let methods = shown["supportedGenerationMethods"].as_array().unwrap();
    assert!(methods.contains(&json!("generateContent")), "{shown}");
    let missing = caller.get("/v1beta/models/gpt-4o").expect_status(404).json();
    assert_eq!(missing["error"]["status"], "NOT_FOUND", "{missing}");
}

#[test]
fn tokens_are_counted_by_whoever_has_a_counter_in_each_clients_words() {
    let house = house("sim");
    let (id, key) = house.mint(json!({ "name": "one", "request_shape": "anthropic" }));
    let caller = house.caller(&key);
    for (model, estimated) in [
        ("gemini-2.5-flash", None),
        ("claude-haiku-4-5", None),
        ("gpt-4o-mini", Some("true")),
    ] {
        let path = format!("/v1beta/models/{model}:countTokens");
        let counted = caller.post(&path, &contents()).expect_status(200);
        assert!(
            counted.json()["totalTokens"].as_u64().unwrap() > 5,
            "{model}: {}",
            counted.text()
        );
        assert_eq!(counted.header("x-lava-estimated"), estimated, "{model}");
    }
    let messages = json!([{ "role": "user", "content": "How many tokens are in this?" }]);
    let call = json!({ "model": "gemini-2.5-flash", "messages": messages });
    let counted = caller.post("/v1/messages/count_tokens", &call).expect_status(200);
    assert!(
        counted.json()["input_tokens"].as_u64().unwrap() > 5,
        "{}",
        counted.text()
    );
    assert_eq!(counted.header("x-lava-served-by"), Some("google"));
    eventually("what was counted elsewhere is written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 3
    });
    assert_eq!(house.settled(&id)["current_spend"], "0.00");
    house.books_agree();
}

#[test]
fn a_key_that_google_does_not_take_is_the_operators_fault_and_rests() {
    let house = house("bad*1000,sim");
    let (id, key) = house.mint(json!({ "name": "one" }));
    let caller = house.caller(&key);
    let call = |model: &str| format!("/v1beta/models/{model}:generateContent");
    let refused = caller.post(&call("gemini-2.5-flash"), &contents());
    let reason = &refused.json()["error"]["details"][0]["reason"];
    assert_eq!(
        (refused.status, reason),
        (502, &json!("provider_auth_failed")),
        "{}",
        refused.text()
    );
    // The other key serves while the first one rests.
    for _ in 0..3 {
        caller.post(&call("gemini-2.5-flash"), &contents()).expect_status(200);
    }
    let row = house.row(&refused);
    assert_eq!((&row["status"], &row["cost"]), (&json!("error"), &json!("0.00")));
    // What the caller's own key is refused is his to read.
    let own = caller.with_header("x-goog-api-key", "bad");
    assert_ne!(own.post(&call("gemini-2.5-flash"), &contents()).status, 502);
    eventually("every call is written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 5
    });
    house.settled(&id);
    house.books_agree();
}
