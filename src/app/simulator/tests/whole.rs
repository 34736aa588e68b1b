//! Whole answers: their shape in either dialect, their length, what they report, and the list of models.

use super::*;

#[actix_rt::test]
async fn a_whole_chat_answer_has_the_shape_and_the_books_of_openai() {
    let fixture = Fixture::start();
    let body = with(chat("output_tokens=3"), &json!({"n": 2}));
    let answer = fixture.post(CHAT, &body).await;
    for name in [
        "x-request-id",
        "openai-organization",
        "set-cookie",
        "x-ratelimit-limit-requests",
        "x-simulated-provider",
    ] {
        assert!(answer.headers().contains_key(name), "{name}");
    }
    let (status, answer) = fixture.post_json("/chat/completions", &body).await;
    assert_eq!(status, 200);
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][1]["message"]["content"], "the sun has ");
    assert_eq!(answer["choices"][1]["finish_reason"], "stop");
    // "hi [[sim output_tokens=3]]" has 26 bytes.
    assert_eq!(answer["usage"]["prompt_tokens"], 7 + 4 + 3);
    assert_eq!(answer["usage"]["completion_tokens"], 6);
    assert_eq!(answer["usage"]["total_tokens"], 20);
    let expected = json!({"requests": 2, "completed": 2, "errors": 0, "cut": 0, "open": 0, "models": {"gpt-4o-mini": {
        "requests": 2, "input_tokens": 28, "cached_tokens": 0, "cache_write_tokens": 0, "output_tokens": 12,
        "reported_input_tokens": 28, "reported_output_tokens": 12,
            "images": 0, "characters": 0, "audio_ms": 0, "searches": 0}}});
    assert_eq!(fixture.ledger().await, expected);
}

#[actix_rt::test]
async fn a_whole_message_has_the_shape_and_the_books_of_anthropic() {
    let fixture = Fixture::start();
    let body = message("output_tokens=2 cached_tokens=5 cache_write_tokens=6 tag=t1");
    let (status, answer) = fixture.post_json("/messages", &body).await;
    assert_eq!(status, 200);
    assert_eq!(answer["content"][0]["text"], "the sun ");
    assert_eq!(answer["stop_reason"], "end_turn");
    assert_eq!(answer["usage"]["cache_read_input_tokens"], 5);
    assert_eq!(answer["usage"]["cache_creation_input_tokens"], 6);
    assert_eq!(answer["usage"]["cache_creation"]["ephemeral_5m_input_tokens"], 6);
    assert_eq!(answer["usage"]["output_tokens"], 2);
    let sums = &fixture.ledger().await["models"]["claude-haiku-4-5"];
    assert_eq!(sums["input_tokens"], answer["usage"]["input_tokens"]);
    assert_eq!(
        (&sums["cached_tokens"], &sums["cache_write_tokens"]),
        (&json!(5), &json!(6))
    );
    let entry = &fixture.get_json("/_sim/requests?limit=1").await[0];
    assert_eq!((&entry["tag"], &entry["id"]), (&json!("t1"), &answer["id"]));
}

#[actix_rt::test]
async fn the_cap_ends_the_answer_unless_it_is_to_be_ignored() {
    let fixture = Fixture::start();
    for (directives, count, finish) in [
        ("output_tokens=9", 4, "length"),
        ("output_tokens=3", 3, "stop"),
        ("output_tokens=9 ignore_cap=1", 9, "stop"),
    ] {
        let body = with(chat(directives), &json!({"max_completion_tokens": 4}));
        let (_, answer) = fixture.post_json(CHAT, &body).await;
        assert_eq!(answer["usage"]["completion_tokens"], count, "{directives}");
        assert_eq!(answer["choices"][0]["finish_reason"], finish, "{directives}");
    }
    let capped = with(message("output_tokens=9"), &json!({"max_tokens": 4}));
    assert_eq!(
        fixture.post_json(MESSAGES, &capped).await.1["stop_reason"],
        "max_tokens"
    );
}

#[actix_rt::test]
async fn an_answer_of_no_asked_length_is_the_same_each_time() {
    let fixture = Fixture::start();
    let (_, first) = fixture.post_json(CHAT, &chat("tag=a")).await;
    let (_, second) = fixture.post_json(CHAT, &chat("tag=a")).await;
    assert_eq!(first["choices"], second["choices"]);
    assert_ne!(first["id"], second["id"]);
    let count = first["usage"]["completion_tokens"].as_u64().unwrap();
    assert!((8..=64).contains(&count));
}

#[actix_rt::test]
async fn a_reported_lie_leaves_the_served_tokens_true() {
    let fixture = Fixture::start();
    let huge = 1_i64 << 53;
    for (lie, input, output) in [
        ("usage=zero", json!(0), json!(0)),
        ("usage=negative", json!(-1), json!(-1)),
        ("usage=huge", json!(huge), json!(huge)),
        ("usage_input=77 usage_output=88", json!(77), json!(88)),
        ("usage=missing", Value::Null, Value::Null),
    ] {
        fixture
            .client
            .post(format!("{}/_sim/reset", fixture.base))
            .send()
            .await
            .unwrap();
        let directives = format!("output_tokens=5 {lie}");
        let (_, answer) = fixture.post_json(CHAT, &chat(&directives)).await;
        assert_eq!(answer["usage"]["prompt_tokens"], input, "{lie}");
        assert_eq!(answer["usage"]["completion_tokens"], output, "{lie}");
        assert_eq!(answer.get("usage").is_none(), lie == "usage=missing");
        let (_, answer) = fixture.post_json(MESSAGES, &message(&directives)).await;
        assert_eq!(answer["usage"]["output_tokens"], output, "{lie}");
        let sums = &fixture.ledger().await["models"]["gpt-4o-mini"];
        assert_eq!(sums["output_tokens"], 5, "{lie}");
        assert_eq!(
            sums["reported_output_tokens"].as_i64(),
            Some(output.as_i64().unwrap_or(0)),
            "{lie}"
        );
    }
}

#[actix_rt::test]
async fn the_details_of_openais_usage_are_parts_of_its_counts() {
    let fixture = Fixture::start();
    let (_, answer) = fixture
        .post_json(CHAT, &chat("output_tokens=9 cached_tokens=3 reasoning_tokens=4"))
        .await;
    assert_eq!(answer["usage"]["completion_tokens"], 9);
    assert_eq!(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 4);
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 3);
    assert_eq!(fixture.ledger().await["models"]["gpt-4o-mini"]["cached_tokens"], 3);
}

#[actix_rt::test]
async fn a_delay_comes_before_the_answer() {
    let fixture = Fixture::start();
    let start = Instant::now();
    fixture.post_json(CHAT, &chat("delay_ms=60")).await;
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[actix_rt::test]
async fn a_whole_answer_that_is_cut_breaks_in_its_middle_and_reports_nothing() {
    let fixture = Fixture::start();
    for cut_after in ["cut_after=0", "cut_after=2"] {
        let body = chat(&format!("output_tokens=5 {cut_after}"));
        assert!(fixture.breaks_off(CHAT, &body).await);
    }
    let ledger = fixture.settled_ledger().await;
    assert_eq!(ledger["cut"], 2);
    assert_eq!(ledger["models"]["gpt-4o-mini"]["reported_output_tokens"], 0);
    assert_eq!(ledger["models"]["gpt-4o-mini"]["output_tokens"], 10);
}

#[actix_rt::test]
async fn models_are_listed_in_the_shape_of_the_caller() {
    let fixture = Fixture::start();
    let get = |path: &str| fixture.client.get(format!("{}{path}", fixture.base));
    let mut list = get("/v1/models").bearer_auth("x").send().await.unwrap();
    assert_eq!(list.json::<Value>().await.unwrap()["data"][0]["id"], "gpt-4o-mini");
    let mut list = get("/models").insert_header(("x-api-key", "x")).send().await.unwrap();
    assert_eq!(list.json::<Value>().await.unwrap()["data"][0]["type"], "model");
    for (path, status) in [("/v1/models/gpt-4o", 200), ("/models/none", 404), ("/v1/other", 404)] {
        assert_eq!(
            get(path).bearer_auth("x").send().await.unwrap().status(),
            status,
            "{path}"
        );
    }
    assert_eq!(get("/v1/models").send().await.unwrap().status(), 401);
    assert_eq!(get("/_sim/health").send().await.unwrap().status(), 200);
}
