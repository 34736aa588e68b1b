//! One call, reserved, forwarded, journaled, billed and read back; in both dialects and over `/v1/forward`.

use serde_json::json;

use crate::support::house::{House, chat, message, nanos};

#[test]
fn a_completion_is_forwarded_billed_and_read_back() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let answer = house
        .caller(&key)
        .post("/v1/chat/completions", &chat("output_tokens=10"))
        .expect_status(200);
    let usage = &answer.json()["usage"];
    assert_eq!(usage["completion_tokens"], 10);
    let cost = usage["prompt_tokens"].as_i64().unwrap() * 150 + 10 * 600;
    let shown = house.key(&id);
    assert_eq!(nanos(&shown["current_spend"]), cost);
    assert_eq!(
        (&shown["current_requests"], &shown["reserved_spend"]),
        (&json!(1), &json!("0.00"))
    );
    let row = house.row(&answer);
    assert_eq!(row["status"], "completed");
    assert_eq!(nanos(&row["cost"]), cost);
    assert_eq!(row["usage_source"], "provider");
    assert_eq!(row["endpoint"], "POST https://api.openai.com/v1/chat/completions");
    assert_eq!(row["model_usage"]["output_tokens"], 10);
    house.books_agree();
}

#[test]
fn a_message_is_billed_with_its_cached_tokens_at_their_own_rates() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "one", "request_shape": "anthropic" }));
    let call = message("output_tokens=5 cached_tokens=100 cache_write_tokens=40");
    let answer = house.caller(&key).post("/v1/messages", &call).expect_status(200);
    let usage = answer.json()["usage"].clone();
    assert_eq!(usage["cache_read_input_tokens"], 100);
    // Claude Haiku 4.5: 1.00 in, 0.10 cached, 1.25 cache write, 5.00 out, in dollars a million tokens.
    let cost = usage["input_tokens"].as_i64().unwrap() * 1000 + 100 * 100 + 40 * 1250 + 5 * 5000;
    assert_eq!(nanos(&house.row(&answer)["cost"]), cost);
}

#[test]
fn an_explicit_zero_of_usage_is_a_value_and_missing_usage_is_estimated() {
    let house = House::new();
    let secret = house.server.client();
    let zero = secret
        .post("/v1/chat/completions", &chat("usage=zero"))
        .expect_status(200);
    assert_eq!(
        (&house.row(&zero)["cost"], &house.row(&zero)["usage_source"]),
        (&json!("0.00"), &json!("provider"))
    );
    for broken in ["missing", "negative", "huge"] {
        let call = chat(&format!("usage={broken} output_tokens=10"));
        let row = house.row(&secret.post("/v1/chat/completions", &call).expect_status(200));
        assert_eq!(row["usage_source"], "estimated", "{broken}");
        assert!(nanos(&row["cost"]) >= 10 * 600, "{broken}: {row}");
    }
    house.books_agree();
}

#[test]
fn a_providers_error_passes_as_it_was_sent_and_costs_nothing() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    for status in [400, 404, 429, 500, 503] {
        let answer = house
            .caller(&key)
            .post("/v1/chat/completions", &chat(&format!("status={status}")));
        assert_eq!(answer.status, status);
        assert!(answer.json()["error"]["message"].is_string());
        let row = house.row(&answer);
        assert_eq!(
            (&row["status"], &row["cost"], &row["usage_source"]),
            (&json!("error"), &json!("0.00"), &json!("none"))
        );
        assert_eq!(row["http_status"], status);
    }
    let limited = house.caller(&key).post("/v1/chat/completions", &chat("status=429"));
    assert_eq!(limited.header("retry-after"), Some("1"));
    let refused = house.caller(&key).post("/v1/chat/completions", &chat("status=401"));
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (502, "provider_auth_failed")
    );
    let redirected = house.caller(&key).post("/v1/chat/completions", &chat("redirect=1"));
    assert_eq!(redirected.status, 502);
    assert_eq!(house.settled(&id)["current_spend"], "0.00");
}

#[test]
fn what_the_provider_says_of_the_operators_account_does_not_reach_the_client() {
    let house = House::new();
    let answer = house
        .server
        .client()
        .post("/v1/chat/completions", &chat(""))
        .expect_status(200);
    for hidden in [
        "set-cookie",
        "openai-organization",
        "x-ratelimit-limit-requests",
        "server",
    ] {
        assert_eq!(answer.header(hidden), None, "{hidden}");
    }
    assert!(answer.header("x-lava-request-id").unwrap().starts_with("req_"));
    assert_eq!(answer.header("x-lava-served-by"), Some("openai"));
}

#[test]
fn forward_reaches_the_catalogue_in_every_wire_form_and_nothing_else() {
    let house = House::new();
    let secret = house.server.client();
    let forms = [
        "/v1/forward?u=https%3A%2F%2Fapi.openai.com%2Fv1%2Fchat%2Fcompletions",
        "/v1/forward?u=https://api.openai.com/v1/chat/completions",
        "/v1/forward/?u=https://api.openai.com/v1/chat/completions",
        "/v1/forward/openai?u=https://api.openai.com/v1/chat/completions",
        "/v1/forward/openai/chat/completions",
        "/v1/forward/https://api.openai.com/v1/chat/completions",
    ];
    for form in forms {
        let answer = secret.post(form, &chat("output_tokens=3"));
        assert_eq!(answer.status, 200, "{form}: {}", answer.text());
        assert_eq!(house.row(&answer)["model_usage"]["output_tokens"], 3);
    }
    let anthropic = secret.post(
        "/v1/forward?u=https://api.anthropic.com/v1/messages",
        &message("output_tokens=3"),
    );
    assert_eq!(house.row(&anthropic.expect_status(200))["provider"], "anthropic");
    let refused = [
        "/v1/forward",
        "/v1/forward?u=",
        "/v1/forward?u=/v1/chat/completions",
        "/v1/forward?u=http://api.openai.com/v1/chat/completions",
        "/v1/forward?u=https://127.0.0.1/v1/chat/completions",
        "/v1/forward?u=https://user@api.openai.com/v1/chat/completions",
        "/v1/forward?u=https://api.openai.com.evil.example/v1/chat/completions",
        "/v1/forward?u=https://api.openai.com/v1/files",
    ];
    for form in refused {
        let answer = secret.post(form, &chat(""));
        assert_eq!(answer.status, 400, "{form}: {}", answer.text());
    }
}

#[test]
fn metadata_comes_three_ways_and_can_be_filtered_by() {
    let house = House::new();
    let secret = house.server.client();
    let json_header = secret.clone().with_header("x-lava-metadata", r#"{"user":"one"}"#);
    json_header.post("/v1/chat/completions", &chat("")).expect_status(200);
    secret
        .clone()
        .with_header("x-lava-metadata-user", "two")
        .post("/v1/chat/completions", &chat(""))
        .expect_status(200);
    let by_query = secret
        .post(
            "/v1/chat/completions?metadata=%7B%22user%22%3A%22three%22%7D",
            &chat(""),
        )
        .expect_status(200);
    assert_eq!(house.row(&by_query)["metadata"], json!({ "user": "three" }));
    let listed = secret
        .get("/v1/requests?metadata_filters=%5B%5B%22user%22%2C%22two%22%5D%5D")
        .expect_status(200)
        .json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let wrong = secret.clone().with_header("x-lava-metadata", r#"{"no spaces":"x"}"#);
    assert_eq!(wrong.post("/v1/chat/completions", &chat("")).status, 400);
    for query in ["metadata=%7B", "metadata=%7", "metadata={}&metadata={}"] {
        let refused = secret.post(&format!("/v1/chat/completions?{query}"), &chat(""));
        assert_eq!(
            (refused.status, refused.error_code().as_str()),
            (400, "invalid_request"),
            "{query}"
        );
        assert_eq!(refused.json()["error"]["param"], "metadata");
    }
}

#[test]
fn a_credential_may_stand_in_the_query_of_every_gateway_route() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "one", "allowed_models": ["gpt-4o-mini"] }));
    let nobody = crate::support::http::Client::new(&house.server.url());
    let path = |route: &str| format!("/v1/{route}?key={key}");
    nobody.post(&path("chat/completions"), &chat("")).expect_status(200);
    let listed = nobody.get(&path("models")).expect_status(200).json();
    assert_eq!(listed["data"][0]["id"], "gpt-4o-mini");
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let one = nobody.get(&path("models/gpt-4o-mini")).expect_status(200).json();
    assert_eq!(one["owned_by"], "openai");
    assert_eq!(nobody.get(&path("models/gpt-4o")).error_code(), "model_not_found");
    nobody.get("/v1/models/openai/gpt-4o").expect_status(200);
    let wrong = nobody.post("/v1/chat/completions?key=aks_live_x", &chat(""));
    assert_eq!((wrong.status, wrong.error_code().as_str()), (401, "invalid_api_key"));
}

#[test]
fn no_answer_reaches_a_client_without_a_body() {
    let house = House::new();
    let secret = house.server.client();
    for (empty, status, error) in [
        (204, 200, None),
        (200, 200, None),
        (404, 404, Some(404)),
        (503, 503, Some(503)),
    ] {
        let answer = secret.post("/v1/chat/completions", &chat(&format!("empty={empty}")));
        assert_eq!(answer.status, status, "{empty}");
        assert_eq!(answer.json()["error"]["status"].as_i64(), error, "{empty}");
    }
    let message = secret.post("/v1/messages", &message("empty=529"));
    assert_eq!(message.status, 529);
    assert_eq!(message.json()["type"], "error");
    house.books_agree();
}

#[test]
fn a_bad_body_is_refused_in_the_callers_dialect_before_anything_is_sent() {
    let house = House::new();
    let secret = house.server.client();
    let bodies: [&[u8]; 7] = [
        b"",
        b"{",
        b"[]",
        br#"{"model":7,"messages":[]}"#,
        br#"{"messages":[]}"#,
        br#"{"model":"a","model":"b","messages":[]}"#,
        b"\xff\xfe",
    ];
    for body in bodies {
        let openai = secret.send("POST", "/v1/chat/completions", Some(body.to_vec()));
        assert_eq!(
            (openai.status, openai.error_code().as_str()),
            (400, "invalid_request"),
            "{}",
            openai.text()
        );
        let anthropic = secret.send("POST", "/v1/messages", Some(body.to_vec()));
        assert_eq!(anthropic.json()["type"], "error");
        assert_eq!(anthropic.status, 400);
    }
    assert_eq!(house.simulator.ledger()["requests"], 0);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM requests"), 0);
}

#[test]
fn a_provider_without_a_credential_is_an_error_that_names_the_variable() {
    let house = House::new();
    let answer = house.server.client().post(
        "/v1/chat/completions",
        &json!({ "model": "groq/llama-3.1-8b-instant", "messages": [] }),
    );
    assert_eq!((answer.status, answer.error_code().as_str()), (404, "model_not_found"));
    assert!(answer.text().contains("GROQ_API_KEY"), "{}", answer.text());
}

#[test]
fn usage_is_summed_by_day() {
    let house = House::new();
    let secret = house.server.client();
    for _ in 0..3 {
        secret
            .post("/v1/chat/completions", &chat("output_tokens=10"))
            .expect_status(200);
    }
    crate::support::server::eventually("three rows", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 3
    });
    let usage = secret
        .get("/v1/usage?start=2020-01-01T00:00:00%2B02:00")
        .expect_status(200)
        .json();
    let costs = house.database.number("SELECT SUM(cost)::bigint FROM requests");
    assert_eq!(nanos(&usage["totals"]["total_cost"]), costs);
    assert_eq!(usage["totals"]["total_requests"], 3);
    assert_eq!(usage["items"].as_array().unwrap().len(), 1);
    let table = secret
        .get("/v1/usage?start=2020-01-01T00:00:00%2B02:00&format=csv")
        .expect_status(200)
        .text();
    let lines: Vec<&str> = table.trim_end().split("\r\n").collect();
    assert_eq!(
        lines[0],
        "date,start,end,total_requests,total_usage_tokens,total_cost,total_charge"
    );
    let day = &usage["items"][0];
    let cells: Vec<&str> = lines[1].split(',').collect();
    assert_eq!(
        (lines.len(), cells[0], cells[3]),
        (2, day["date"].as_str().unwrap(), "3")
    );
    assert_eq!(cells[5], day["total_cost"]);
}
