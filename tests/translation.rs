//! A client of one dialect on a provider of the other: served, billed and limited as in its own.

use serde_json::{Value, json};

use crate::support::house::{House, chat, message, nanos};
use crate::support::server::{eventually, secret_key};
use crate::support::stream::EventStream;

/// A chat completion for Claude.
fn chat_on_claude(directive: &str) -> Value {
    let mut call = chat(directive);
    call["model"] = "claude-haiku-4-5".into();
    call
}

/// A message for GPT.
fn message_on_gpt(directive: &str) -> Value {
    let mut call = message(directive);
    call["model"] = "gpt-4o-mini".into();
    call
}

fn streamed(mut call: Value) -> Value {
    call["stream"] = true.into();
    call
}

#[test]
fn an_openai_client_on_claude_is_served_in_its_own_words_and_billed_by_claudes_prices() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let mut call = chat_on_claude("output_tokens=10 cached_tokens=100");
    call["seed"] = 7.into();
    call["messages"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({ "role": "system", "content": "Be brief." }));
    let answer = house
        .caller(&key)
        .post("/v1/chat/completions", &call)
        .expect_status(200);
    let said = answer.json();
    assert_eq!(said["object"], "chat.completion");
    assert_eq!(said["choices"][0]["message"]["role"], "assistant");
    assert!(!said["choices"][0]["message"]["content"].as_str().unwrap().is_empty());
    assert_eq!(said["choices"][0]["finish_reason"], "stop");
    assert_eq!(said["usage"]["completion_tokens"], 10);
    assert_eq!(said["usage"]["prompt_tokens_details"]["cached_tokens"], 100);
    assert_eq!(answer.header("x-lava-dropped"), Some("seed"));
    assert_eq!(answer.header("x-lava-served-by"), Some("anthropic"));
    let row = house.row(&answer);
    assert_eq!(row["endpoint"], "POST https://api.anthropic.com/v1/messages");
    let input = said["usage"]["prompt_tokens"].as_i64().unwrap() - 100;
    assert_eq!(nanos(&row["cost"]), input * 1000 + 100 * 100 + 10 * 5000);
    house.settled(&id);
    house.books_agree();
}

#[test]
fn an_anthropic_client_on_gpt_is_served_in_its_own_words_and_billed_by_gpts_prices() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "one", "request_shape": "anthropic" }));
    let answer = house
        .caller(&key)
        .post("/v1/messages", &message_on_gpt("output_tokens=10"))
        .expect_status(200);
    let said = answer.json();
    assert_eq!((&said["type"], &said["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(said["content"][0]["type"], "text");
    assert_eq!(said["stop_reason"], "end_turn");
    assert_eq!(said["usage"]["output_tokens"], 10);
    let input = said["usage"]["input_tokens"].as_i64().unwrap();
    assert_eq!(nanos(&house.row(&answer)["cost"]), input * 150 + 10 * 600);
}

#[test]
fn streams_are_translated_as_they_come() {
    let house = House::new();
    let (_, openai) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let call = streamed(chat_on_claude("output_tokens=12 split=7"));
    let data = EventStream::post(house.server.port, "/v1/chat/completions", &openai, &call).all_data();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    assert!(
        data.iter().any(|data| data.contains(r#""finish_reason":"stop""#)),
        "{data:?}"
    );
    assert!(
        data.iter().all(|data| !data.contains(r#""choices":[]"#)),
        "nobody asked for usage"
    );
    let (_, anthropic) = house.mint(json!({ "name": "two", "request_shape": "anthropic" }));
    let call = streamed(message_on_gpt("output_tokens=12 split=7"));
    let data = EventStream::post(house.server.port, "/v1/messages", &anthropic, &call).all_data();
    assert!(data.first().unwrap().contains("message_start"), "{data:?}");
    assert!(data.last().unwrap().contains("message_stop"), "{data:?}");
    assert!(data.iter().any(|data| data.contains("content_block_delta")));
    eventually("both are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 2
    });
    assert_eq!(
        house
            .database
            .number("SELECT SUM(output_tokens)::bigint FROM requests WHERE usage_source = 'provider'"),
        24
    );
    house.books_agree();
}

#[test]
fn a_limit_ends_a_translated_stream_in_the_clients_dialect() {
    let house = House::new();
    let limit = json!({ "amount": "0.002", "cycle": "total" });
    let (id, key) = house.mint(json!({ "name": "cents", "spend_limit": limit }));
    let mut call = streamed(chat_on_claude("output_tokens=3000"));
    call["max_tokens"] = 4000.into();
    let data = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call).all_data();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    assert!(
        data.iter().any(|data| data.contains(r#""finish_reason":"length""#)),
        "{:?}",
        data.last()
    );
    assert!(nanos(&house.settled(&id)["current_spend"]) <= 2_000_000 + 2 * 5000);
    eventually("it is written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 1
    });
    house.books_agree();
}

#[test]
fn a_providers_error_reaches_the_client_in_its_own_shape() {
    let house = House::new();
    let secret = house.server.client();
    let openai = secret.post("/v1/chat/completions", &chat_on_claude("status=529"));
    assert_eq!(openai.status, 529);
    assert!(
        openai.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("Overloaded")
    );
    let anthropic = secret.post("/v1/messages", &message_on_gpt("status=429"));
    assert_eq!((anthropic.status, &anthropic.json()["type"]), (429, &json!("error")));
    let html = secret.post("/v1/chat/completions", &chat_on_claude("html=1"));
    assert_eq!((html.status, html.error_code().as_str()), (502, "provider_unreachable"));
    house.books_agree();
}

#[test]
fn what_a_provider_has_no_word_for_is_refused_by_name() {
    let house = House::new();
    for (member, value) in [
        ("n", json!(2)),
        ("logprobs", json!(true)),
        ("response_format", json!({ "type": "json_object" })),
    ] {
        let mut call = chat_on_claude("");
        call[member] = value;
        let refused = house.server.client().post("/v1/chat/completions", &call);
        assert_eq!(
            (refused.status, refused.error_code().as_str()),
            (400, "invalid_request"),
            "{member}"
        );
        assert!(
            refused.json()["error"]["param"].as_str().unwrap().starts_with(member),
            "{}",
            refused.text()
        );
    }
    assert_eq!(house.simulator.ledger()["requests"], 0);
}

#[test]
fn a_url_is_translated_by_the_format_that_the_path_names() {
    let house = House::new();
    let secret = house.server.client();
    let mut call = chat_on_claude("output_tokens=4");
    let addresses = [
        "api.anthropic.com/v1/messages",
        "https://api.anthropic.com/v1/messages",
        "https:/api.anthropic.com/v1/messages",
        "api.anthropic.com/v1/messages/chat/completions",
        "https://api.anthropic.com/v1/messages/v1/chat/completions",
    ];
    for address in addresses {
        let answer = secret
            .post(&format!("/v1/rewrite/openai/{address}"), &call)
            .expect_status(200);
        assert_eq!(answer.json()["object"], "chat.completion", "{address}");
        assert_eq!(
            house.row(&answer)["endpoint"],
            "POST https://api.anthropic.com/v1/messages"
        );
    }
    call["model"] = "gpt-4o-mini".into();
    for address in [
        "api.openai.com/v1/chat/completions",
        "api.openai.com/v1/chat/completions/chat/completions",
    ] {
        let answer = secret
            .post(&format!("/v1/rewrite/openai/{address}"), &call)
            .expect_status(200);
        assert_eq!(
            house.row(&answer)["endpoint"],
            "POST https://api.openai.com/v1/chat/completions"
        );
    }
    let call = message_on_gpt("output_tokens=4");
    for address in [
        "api.openai.com/v1/chat/completions",
        "https://api.openai.com/v1/chat/completions/v1/messages",
    ] {
        let answer = secret
            .post(&format!("/v1/rewrite/anthropic/{address}"), &call)
            .expect_status(200);
        assert_eq!(answer.json()["type"], "message", "{address}");
    }
    let refused = [
        ("/v1/rewrite/openai", "forward_url_invalid"),
        (
            "/v1/rewrite/cohere/api.openai.com/v1/chat/completions",
            "invalid_request",
        ),
        (
            "/v1/rewrite/openai/evil.example/v1/chat/completions",
            "forward_endpoint_not_supported",
        ),
        (
            "/v1/rewrite/openai/127.0.0.1/v1/chat/completions",
            "forward_url_invalid",
        ),
        (
            "/v1/rewrite/openai/api.openai.com/v1/embeddings",
            "forward_endpoint_not_supported",
        ),
    ];
    for (path, code) in refused {
        let answer = secret.post(path, &call);
        assert_eq!(answer.error_code(), code, "{path}: {}", answer.text());
    }
    house.books_agree();
}

#[test]
fn openais_responses_are_served_by_every_model() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    for model in ["gpt-4o-mini", "claude-haiku-4-5"] {
        let mut call = json!({
            "model": model, "instructions": "Be brief.", "input": "Hello [[sim output_tokens=10]]", "max_output_tokens": 64,
        });
        let whole = house.caller(&key).post("/v1/responses", &call).expect_status(200);
        let said = whole.json();
        assert_eq!(
            (&said["object"], &said["status"]),
            (&json!("response"), &json!("completed")),
            "{said}"
        );
        assert_eq!(said["output"][0]["content"][0]["type"], "output_text");
        assert_eq!(said["usage"]["output_tokens"], 10);
        assert_eq!(house.row(&whole)["model_usage"]["output_tokens"], 10);
        call["stream"] = true.into();
        let data = EventStream::post(house.server.port, "/v1/responses", &key, &call).all_data();
        assert!(data.first().unwrap().contains("response.created"), "{data:?}");
        assert!(data.last().unwrap().contains("response.completed"), "{data:?}");
    }
    house.settled(&id);
    eventually("all are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 4
    });
    house.books_agree();
}

#[test]
fn googles_clients_are_served_by_every_model() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "one" }));
    let caller = crate::support::http::Client::new(&house.server.url()).with_header("x-goog-api-key", &key);
    for model in ["gpt-4o-mini", "claude-haiku-4-5"] {
        let call = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello [[sim output_tokens=10]]" }] }] });
        let path = format!("/v1beta/models/{model}:generateContent");
        let said = caller.post(&path, &call).expect_status(200).json();
        assert_eq!(said["candidates"][0]["finishReason"], "STOP", "{said}");
        assert_eq!(said["candidates"][0]["content"]["role"], "model");
        assert_eq!(said["usageMetadata"]["candidatesTokenCount"], 10);
        let path = format!("/v1beta/models/{model}:streamGenerateContent?alt=sse");
        let headers = [("x-goog-api-key", key.as_str())];
        let data = EventStream::post_with_headers(house.server.port, &path, &headers, &call).all_data();
        assert!(data.last().unwrap().contains("STOP"), "{data:?}");
    }
    let refused = [
        ("/v1beta/models/gpt-4o-mini:streamGenerateContent", 400),
        ("/v1beta/models/gpt-4o-mini:embedContent", 404),
        ("/v1beta/models/gpt-4o-mini", 404),
    ];
    for (path, status) in refused {
        let answer = caller.post(path, &json!({ "contents": [] }));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.json()["error"]["code"], status, "in Google's shape");
    }
    eventually("all are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 4
    });
    house.books_agree();
}

#[test]
fn a_call_goes_on_with_answers_of_its_own_merchant_only() {
    let mut house = House::new();
    let run = |arguments: &[&str]| house.server.ask(arguments);
    let second = run(&["merchants", "create", "--name", "second"]);
    let made = run(&[
        "keys",
        "create",
        "--secret",
        "--merchant",
        second["merchant_id"].as_str().unwrap(),
    ]);
    let stranger = made["secret_key"].as_str().or(made["key"].as_str()).unwrap().to_owned();
    let call = |previous: &str| json!({ "model": "gpt-4o-mini", "input": "Hello", "previous_response_id": previous });
    let first = json!({ "model": "gpt-4o-mini", "input": "Hello [[sim output_tokens=4]]" });
    let first = house.server.client().post("/v1/responses", &first).expect_status(200);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    house.row(&first);
    for round in ["known to the process", "known to the database"] {
        let own = house.server.client().post("/v1/responses", &call(&id));
        assert_eq!(own.status, 200, "{round}: {}", own.text());
        for (key, previous) in [(stranger.as_str(), id.as_str()), (secret_key(), "resp_of_nobody")] {
            let refused = house.server.client_with(key).post("/v1/responses", &call(previous));
            let param = &refused.json()["error"]["param"];
            assert_eq!(
                (refused.status, param),
                (400, &json!("previous_response_id")),
                "{round}"
            );
        }
        assert!(house.server.stop().success());
        house.server.start_again();
    }
    let kept = json!({ "model": "gpt-4o-mini", "input": "Hello", "conversation": "conv_1" });
    let refused = house.server.client().post("/v1/responses", &kept);
    assert_eq!(
        (refused.status, &refused.json()["error"]["param"]),
        (400, &json!("conversation"))
    );
    house.books_agree();
}
