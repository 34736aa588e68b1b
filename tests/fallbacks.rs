//! Calls that go on to other providers: what falls back and what does not, and that the books and limits hold.

mod header;

use serde_json::{Value, json};

use crate::support::house::{House, chat, chat_stream, message, nanos};
use crate::support::http::{Answer, Client};
use crate::support::server::eventually;
use crate::support::stream::EventStream;
use crate::support::stub::{Stub, event_stream};

pub const CLAUDE: &str = r#"[{"model":"claude-haiku-4-5"}]"#;
const GPT: &str = r#"[{"model":"gpt-4o-mini"}]"#;
/// A port on which nobody listens.
pub const DEAD: &str = "http://127.0.0.1:9/v1";

pub fn with_fallbacks(client: Client, fallbacks: &str) -> Client {
    client.with_header("x-lava-fallbacks", fallbacks)
}

/// A house whose OpenAI is at this address.
pub fn house_with_openai_at(url: &str) -> House {
    House::with(|settings| {
        settings
            .variable("OPENAI_BASE_URL", url)
            .variable("CALDERA__GATEWAY__IDLE_TIMEOUT_MS", 500)
            .variable("CALDERA__GATEWAY__FIRST_BYTE_TIMEOUT_MS", 700)
            .variable("CALDERA__GATEWAY__ANSWER_TIMEOUT_MS", 700)
    })
}

pub fn rows(house: &House, count: i64) {
    eventually("every attempt has its row", || {
        house.database.number("SELECT COUNT(*) FROM requests") == count
    });
}

pub fn failing(tag: &str) -> String {
    format!("status=503 fail_times=1 tag={tag} output_tokens=5")
}

pub fn attempts(answer: &Answer) -> &str {
    answer.header("x-lava-attempts").unwrap_or("1")
}

#[test]
fn a_call_goes_on_across_dialects_and_each_attempt_has_its_row() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "1.00", "cycle": "daily" } }));
    let caller = with_fallbacks(house.caller(&key), CLAUDE);
    let answer = caller
        .post("/v1/chat/completions", &chat(&failing("a")))
        .expect_status(200);
    assert_eq!(answer.json()["object"], "chat.completion");
    assert_eq!(answer.header("x-lava-served-by"), Some("anthropic"));
    assert_eq!(attempts(&answer), "2");
    let row = house.row(&answer);
    assert_eq!(
        (&row["provider"], &row["status"]),
        (&json!("anthropic"), &json!("completed"))
    );
    rows(&house, 2);
    let failed = "SELECT COUNT(*) FROM requests WHERE provider = 'openai' AND cost = 0 AND http_status = 503";
    assert_eq!(house.database.number(failed), 1);
    let settled = house.settled(&id);
    assert_eq!(settled["current_spend"], row["cost"]);
    assert_eq!(settled["total_requests"], 1, "the call counts once");
    let anthropic = with_fallbacks(house.server.client(), GPT);
    let answer = anthropic
        .post("/v1/messages", &message(&failing("b")))
        .expect_status(200);
    assert_eq!(answer.json()["type"], "message");
    assert_eq!(answer.header("x-lava-served-by"), Some("openai"));
    assert_eq!(house.simulator.ledger()["requests"], 4);
    rows(&house, 4);
    house.books_agree();
}

#[test]
fn an_address_names_the_target_on_every_route() {
    let house = House::new();
    let url = r#"[{"url":"api.anthropic.com/v1/messages","model":"claude-haiku-4-5"}]"#;
    let caller = with_fallbacks(house.server.client(), url);
    let google = json!({ "contents": [{ "role": "user", "parts": [{ "text": format!("Hi [[sim {}]]", failing("g")) }] }],
        "generationConfig": { "maxOutputTokens": 50 } });
    let responses = json!({ "model": "gpt-4o-mini", "input": format!("Hi [[sim {}]]", failing("r")) });
    let forward = "/v1/forward?u=https://api.openai.com/v1/chat/completions";
    let rewrite = "/v1/rewrite/anthropic/https://api.openai.com/v1/chat/completions";
    let mut on_gpt = message(&failing("w"));
    on_gpt["model"] = "gpt-4o-mini".into();
    let table: [(&str, Value, &str); 5] = [
        (
            "/v1/chat/completions",
            chat(&failing("c")),
            "/choices/0/message/content",
        ),
        (forward, chat(&failing("f")), "/choices/0/message/content"),
        (rewrite, on_gpt, "/content/0/text"),
        ("/v1/responses", responses, "/output/0/content/0/text"),
        (
            "/v1beta/models/gpt-4o-mini:generateContent",
            google,
            "/candidates/0/content/parts/0/text",
        ),
    ];
    for (path, body, text) in table {
        let answer = caller.post(path, &body).expect_status(200);
        assert_eq!(answer.header("x-lava-served-by"), Some("anthropic"), "{path}");
        assert_eq!(attempts(&answer), "2", "{path}");
        assert!(
            answer.json().pointer(text).is_some_and(Value::is_string),
            "{path}: {}",
            answer.text()
        );
        let row = house.row(&answer);
        assert_eq!(row["endpoint"], "POST https://api.anthropic.com/v1/messages", "{path}");
    }
    let embeddings = json!({ "model": "text-embedding-3-small", "input": "hi" });
    let refused = caller.post("/v1/embeddings", &embeddings);
    assert_eq!(
        attempts(&refused),
        "1",
        "no conversation, so no such target: {}",
        refused.text()
    );
    rows(&house, 11);
    house.books_agree();
}

#[test]
fn a_stream_goes_on_as_long_as_nothing_of_it_was_passed_on() {
    let error = "data: {\"error\":{\"message\":\"Overloaded\"}}\n\n";
    let first = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"}}]}\n\n";
    let table = [
        (Stub::answering(event_stream("")), 2),
        (Stub::answering(event_stream(": hello\n\ndata: {\"cho")), 2),
        (Stub::answering(event_stream(error)), 2),
        (Stub::answering("HTTP/1.1 200 OK\r\nconte"), 2),
        (Stub::answering(""), 2),
        (Stub::silent(), 2),
        (Stub::answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"), 2),
        (Stub::answering(event_stream(first)), 1),
        (Stub::holding(event_stream(first)), 1),
    ];
    for (place, (stub, wanted)) in table.into_iter().enumerate() {
        let house = house_with_openai_at(&stub.url());
        let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "1.00", "cycle": "daily" } }));
        let headers = [
            ("authorization", format!("Bearer {key}")),
            ("x-lava-fallbacks", CLAUDE.to_owned()),
        ];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let call = chat_stream("output_tokens=5");
        let mut stream = EventStream::post_with_headers(house.server.port, "/v1/chat/completions", &headers, &call);
        assert_eq!(stream.status, 200, "{place}");
        let said = stream
            .headers
            .get("x-lava-attempts")
            .map_or(1, |count| count.parse().unwrap());
        assert_eq!(said, wanted, "{place}");
        let data = stream.all_data();
        assert_eq!(
            data.last().is_some_and(|last| last == "[DONE]"),
            wanted == 2,
            "{place}: {data:?}"
        );
        assert_eq!(stub.calls(), 1, "{place}");
        house.settled(&id);
        rows(&house, wanted);
        house.books_agree();
    }
}

#[test]
fn what_the_provider_did_falls_back_and_what_we_refuse_does_not() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{\"id\":";
    let answer = |head: &str| Stub::answering(format!("HTTP/1.1 {head}\r\ncontent-length: 2\r\n\r\n{{}}"));
    let table = [
        (answer("500 No"), 200, 2),
        (answer("529 Busy"), 200, 2),
        (answer("429 Slow"), 200, 2),
        (answer("401 Who"), 200, 2),
        (answer("403 Who"), 200, 2),
        (answer("302 There\r\nlocation: http://127.0.0.1:9/"), 200, 2),
        (Stub::answering(cut), 200, 2),
        (Stub::answering(""), 200, 2),
        (Stub::silent(), 200, 2),
        (answer("400 Bad"), 400, 1),
        (answer("404 None"), 404, 1),
        (answer("422 Odd"), 422, 1),
    ];
    for (place, (stub, status, wanted)) in table.into_iter().enumerate() {
        let house = house_with_openai_at(&stub.url());
        let caller = with_fallbacks(house.server.client(), CLAUDE);
        let answer = caller.post("/v1/chat/completions", &chat("output_tokens=5"));
        assert_eq!(
            (answer.status, attempts(&answer)),
            (status, &*wanted.to_string()),
            "{place}: {}",
            answer.text()
        );
        assert_eq!(stub.calls(), 1, "{place}: nothing is sent twice to one provider");
        rows(&house, wanted);
    }
    let house = house_with_openai_at(DEAD);
    let (_, denied) = house.mint(json!({ "name": "denied", "allowed_models": ["claude-*"] }));
    let refused = with_fallbacks(house.caller(&denied), CLAUDE).post("/v1/chat/completions", &chat(""));
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (403, "model_not_allowed")
    );
    let (_, poor) = house.mint(json!({ "name": "poor", "spend_limit": { "amount": "0.000000001", "cycle": "total" } }));
    let refused = with_fallbacks(house.caller(&poor), CLAUDE).post("/v1/chat/completions", &chat(""));
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (402, "spend_limit_reached")
    );
    let bad = with_fallbacks(house.server.client(), CLAUDE).post("/v1/chat/completions", &json!({ "messages": [] }));
    assert_eq!(bad.status, 400);
    rows(&house, 0);
}

#[test]
fn a_target_that_we_refuse_is_passed_over() {
    let house = house_with_openai_at(DEAD);
    let limit = json!({ "amount": "1.00", "cycle": "daily" });
    let body =
        json!({ "name": "one", "spend_limit": limit, "allowed_models": ["gpt-*", "claude-haiku-*", "no-*", "llama*"] });
    let (id, key) = house.mint(body);
    let four = r#"[{"model":"claude-opus-4-1"},{"model":"no-such-model"},{"model":"groq/llama-3.1-8b-instant"},{"model":"claude-haiku-4-5"}]"#;
    let answer = with_fallbacks(house.caller(&key), four).post("/v1/chat/completions", &chat("output_tokens=5"));
    let answer = answer.expect_status(200);
    assert_eq!(answer.header("x-lava-served-by"), Some("anthropic"));
    assert_eq!(house.row(&answer)["model"], "claude-haiku-4-5");
    let three = r#"[{"model":"claude-opus-4-1"},{"model":"no-such-model"}]"#;
    let refused = with_fallbacks(house.caller(&key), three).post("/v1/chat/completions", &chat(""));
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (502, "provider_unreachable")
    );
    assert_eq!(
        house.settled(&id)["total_requests"].as_i64().unwrap(),
        2 + i64::from(attempts(&refused) != "1")
    );
    let unset = json!({ "model": "groq/llama-3.1-8b-instant", "max_tokens": 9,
        "messages": [{ "role": "user", "content": "Hi" }] });
    let answer = with_fallbacks(house.server.client(), CLAUDE).post("/v1/chat/completions", &unset);
    assert_eq!(answer.expect_status(200).header("x-lava-served-by"), Some("anthropic"));
    rows(&house, 4);
    house.books_agree();
}

#[test]
fn the_last_providers_answer_is_given_where_none_is_good() {
    let house = House::new();
    let caller = with_fallbacks(house.server.client(), CLAUDE);
    let answer = caller.post("/v1/chat/completions", &chat("status=529"));
    assert_eq!(
        (answer.status, answer.header("x-lava-served-by")),
        (529, Some("anthropic"))
    );
    assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text());
    assert_eq!(house.row(&answer)["provider"], "anthropic");
    let all_dead = house_with_openai_at(DEAD);
    let dead = r#"[{"model":"gpt-4o"},{"model":"gpt-4.1-mini"}]"#;
    let refused = with_fallbacks(all_dead.server.client(), dead).post("/v1/chat/completions", &chat(""));
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (502, "provider_unreachable")
    );
    assert_eq!(attempts(&refused), "3");
    assert_eq!(all_dead.row(&refused)["model"], "gpt-4o-mini", "the first of them");
    rows(&all_dead, 3);
}

#[test]
fn limits_hold_over_all_attempts_of_all_calls() {
    let silent = Stub::silent();
    let house = house_with_openai_at(&silent.url());
    let limit = json!({ "amount": "0.01", "cycle": "total" });
    let body = json!({ "name": "cents", "spend_limit": limit, "max_parallel": 1, "rate_limit": { "rpm": 60, "burst": 60 },
        "request_limit": { "count": 50, "cycle": "daily" } });
    let (id, key) = house.mint(body);
    let caller = with_fallbacks(house.caller(&key), CLAUDE);
    let mut served = 0;
    for _ in 0..3 {
        let answer = caller
            .post("/v1/chat/completions", &chat("output_tokens=40"))
            .expect_status(200);
        assert_eq!(
            attempts(&answer),
            "2",
            "its own first attempt does not stand in its way"
        );
        served += 1;
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("60"));
    }
    let settled = house.settled(&id);
    assert_eq!(settled["current_requests"], served);
    assert!(nanos(&settled["current_spend"]) <= 10_000_000, "{settled}");
    let estimated =
        "SELECT COUNT(*) FROM requests WHERE provider = 'openai' AND usage_source = 'estimated' AND cost > 0";
    rows(&house, 2 * served);
    assert_eq!(house.database.number(estimated), served);
    house.books_agree();
}

#[test]
fn a_hundred_calls_at_once_over_a_flaky_provider_lose_nothing() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "many", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let caller = with_fallbacks(house.caller(&key), CLAUDE);
    std::thread::scope(|scope| {
        for worker in 0..10 {
            let caller = &caller;
            scope.spawn(move || {
                for call in 0..10 {
                    let directive = failing(&format!("t{worker}-{call}"));
                    let answer = caller
                        .post("/v1/chat/completions", &chat(&directive))
                        .expect_status(200);
                    assert!(answer.json()["choices"][0]["message"]["content"].is_string());
                }
            });
        }
    });
    let ledger = house.simulator.ledger();
    rows(&house, ledger["requests"].as_i64().unwrap());
    assert_eq!(ledger["completed"], 100);
    let settled = house.settled(&id);
    assert_eq!(settled["total_requests"], 100);
    house.books_agree();
}

#[test]
fn a_callers_own_credential_goes_to_no_other_provider() {
    let house = House::new();
    let token = json!({ "secret_key": crate::support::server::secret_key(), "provider_key": "own" });
    let token = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(token.to_string())
    };
    let caller = with_fallbacks(house.caller(&token), CLAUDE);
    let refused = caller.post("/v1/chat/completions", &chat("status=503"));
    assert_eq!((refused.status, attempts(&refused)), (503, "1"), "{}", refused.text());
    assert_eq!(house.row(&refused)["provider_key_type"], "unmanaged");
    let same = with_fallbacks(house.caller(&token), r#"[{"model":"gpt-4.1-mini"}]"#);
    let answer = same
        .post("/v1/chat/completions", &chat(&failing("own")))
        .expect_status(200);
    assert_eq!(house.row(&answer)["provider_key_type"], "unmanaged");
    let stored = json!({ "provider": "anthropic", "key": "stored-at-anthropic", "name": "mine" });
    house
        .server
        .client()
        .post("/v1/provider_keys", &stored)
        .expect_status(201);
    let answer = caller
        .post("/v1/chat/completions", &chat(&failing("stored")))
        .expect_status(200);
    assert_eq!(house.row(&answer)["provider_key_type"], "stored");
    assert_eq!(
        house
            .database
            .number("SELECT COALESCE(SUM(balance), 0)::bigint FROM wallets"),
        0
    );
}
