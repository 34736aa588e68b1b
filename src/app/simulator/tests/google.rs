//! Google's native interface: whole answers, both framings of streams, embeddings, counts and errors.

use super::*;

const MODEL: &str = "gemini-2.5-flash";

fn path(action: &str) -> String {
    format!("/v1beta/models/{MODEL}:{action}")
}

/// A request with the directives in its text.
fn ask(directives: &str) -> Value {
    let parts = json!([{"text": format!("hi [[sim {directives}]]")}]);
    json!({"contents": [{"role": "user", "parts": parts}]})
}

fn thinking(directives: &str) -> Value {
    with(
        ask(directives),
        &json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}}}),
    )
}

fn parts(answer: &Value) -> &Value {
    &answer["candidates"][0]["content"]["parts"]
}

#[actix_rt::test]
async fn a_whole_answer_has_its_text_and_its_usage_under_every_prefix() {
    let fixture = Fixture::start();
    for prefix in ["/v1beta", "/v1", ""] {
        let path = format!("{prefix}/models/{MODEL}:generateContent");
        let (status, answer) = fixture.post_json(&path, &ask("output_tokens=3 cached_tokens=2")).await;
        assert_eq!(status, 200);
        assert_eq!(parts(&answer), &json!([{"text": "the sun has "}]));
        assert_eq!(answer["candidates"][0]["finishReason"], "STOP");
        assert_eq!(answer["modelVersion"], MODEL);
        let usage = &answer["usageMetadata"];
        assert_eq!(
            (&usage["candidatesTokenCount"], &usage["cachedContentTokenCount"]),
            (&json!(3), &json!(2))
        );
        assert!(usage.get("thoughtsTokenCount").is_none());
    }
    let sums = &fixture.ledger().await["models"][MODEL];
    assert_eq!(
        (
            &sums["output_tokens"],
            &sums["cached_tokens"],
            &sums["reported_output_tokens"]
        ),
        (&json!(9), &json!(6), &json!(9))
    );
}

#[actix_rt::test]
async fn thoughts_are_counted_beside_the_candidates_and_their_signature_comes_after_them() {
    let fixture = Fixture::start();
    let body = thinking("output_tokens=2 reasoning_tokens=3");
    let (_, answer) = fixture.post_json(&path("generateContent"), &body).await;
    assert_eq!(parts(&answer)[0], json!({"text": "the sun has ", "thought": true}));
    assert_eq!(parts(&answer)[1]["text"], "the sun ");
    let signature = &parts(&answer)[1]["thoughtSignature"];
    let usage = &answer["usageMetadata"];
    assert_eq!(
        (&usage["candidatesTokenCount"], &usage["thoughtsTokenCount"]),
        (&json!(2), &json!(3))
    );
    for (body, frames) in [(body, 6), (ask("output_tokens=2 reasoning_tokens=3"), 3)] {
        let events = events(&chunks(fixture.post(&(path("streamGenerateContent") + "?alt=sse"), &body).await).await);
        assert_eq!(events.len(), frames);
        let last = events.last().unwrap();
        assert_eq!(&parts(last)[0]["thoughtSignature"], signature);
        assert_eq!(last["usageMetadata"], *usage);
        assert_eq!(events[frames - 2]["usageMetadata"]["candidatesTokenCount"], 2);
    }
    let sums = &fixture.settled_ledger().await["models"][MODEL];
    assert_eq!(
        (&sums["output_tokens"], &sums["reported_output_tokens"]),
        (&json!(15), &json!(15))
    );
}

#[actix_rt::test]
async fn a_stream_without_events_is_one_array() {
    let fixture = Fixture::start();
    let body = ask("output_tokens=2 utf8=1");
    let whole: Vec<u8> = chunks(fixture.post(&path("streamGenerateContent"), &body).await)
        .await
        .concat();
    let array: Vec<Value> = serde_json::from_slice(&whole).unwrap();
    assert_eq!(array.len(), 3);
    assert_eq!(array[2]["candidates"][0]["finishReason"], "STOP");
}

#[actix_rt::test]
async fn the_cap_ends_an_answer_and_counts_thoughts_first() {
    let fixture = Fixture::start();
    for (cap, thoughts, said) in [(4, 3, 1), (2, 2, 0)] {
        let mut body = ask("output_tokens=9 reasoning_tokens=3");
        body["generation_config"] = json!({"max_output_tokens": cap});
        let (_, answer) = fixture.post_json(&path("generateContent"), &body).await;
        assert_eq!(answer["candidates"][0]["finishReason"], "MAX_TOKENS");
        let usage = &answer["usageMetadata"];
        assert_eq!(
            (&usage["thoughtsTokenCount"], &usage["candidatesTokenCount"]),
            (&json!(thoughts), &json!(said))
        );
    }
}

#[actix_rt::test]
async fn functions_are_called_and_their_responses_answered() {
    let fixture = Fixture::start();
    let directives = "call_tool=f call_tools=2 tool_input=7b2261223a317d reasoning_tokens=1 needs_signature=1";
    let mut body = ask(directives);
    let (_, whole) = fixture.post_json(&path("generateContent"), &body).await;
    let called = parts(&whole).clone();
    assert_eq!(called[1]["functionCall"], json!({"name": "f", "args": {"a": 1}}));
    let streamed = events(&chunks(fixture.post(&path("streamGenerateContent?alt=sse"), &body).await).await);
    assert_eq!(streamed.len(), 3);
    assert_eq!(parts(&streamed[0])[0], called[0]);
    let sums = &fixture.settled_ledger().await["models"][MODEL];
    assert_eq!(
        (&sums["output_tokens"], &sums["reported_output_tokens"]),
        (&json!(26), &json!(26))
    );

    let response = json!({"functionResponse": {"name": "f", "response": {"b": 2}}});
    let contents = body["contents"].as_array_mut().unwrap();
    contents.push(json!({"role": "model", "parts": called}));
    contents.push(json!({"role": "user", "parts": [response, response]}));
    let (status, answer) = fixture.post_json(&path("generateContent"), &body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(parts(&answer)[0]["text"].is_string());
    let mut unsigned = body.clone();
    unsigned["contents"][1]["parts"][0]
        .as_object_mut()
        .unwrap()
        .remove("thoughtSignature");
    let (status, answer) = fixture.post_json(&path("generateContent"), &unsigned).await;
    assert_eq!(
        (status.as_u16(), &answer["error"]["status"]),
        (400, &json!("INVALID_ARGUMENT"))
    );
}

#[actix_rt::test]
async fn what_google_would_refuse_is_refused_in_its_shape() {
    let fixture = Fixture::start();
    let table = [
        (json!({"messages": []}), "Unknown name \"messages\""),
        (json!({}), "contents"),
        (
            json!({"contents": [{"role": "assistant", "parts": [{"text": "a"}]}]}),
            "valid role",
        ),
        (json!({"contents": [{"role": "user", "parts": []}]}), "parts"),
        (
            json!({"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f"}}]}]}),
            "function response parts",
        ),
        (
            with(ask("tag=a"), &json!({"generationConfig": {"maxOutputTokens": 0}})),
            "positive",
        ),
    ];
    for (body, expected) in table {
        let (status, answer) = fixture.post_json(&path("generateContent"), &body).await;
        assert_eq!((status.as_u16(), &answer["error"]["code"]), (400, &json!(400)));
        assert!(
            answer["error"]["message"].as_str().unwrap().contains(expected),
            "{answer}"
        );
    }
    for (status, name) in [(429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE"), (500, "INTERNAL")] {
        let body = ask(&format!("status={status}"));
        let (got, answer) = fixture.post_json(&path("generateContent"), &body).await;
        assert_eq!((got.as_u16(), &answer["error"]["status"]), (status, &json!(name)));
    }
    assert_eq!(fixture.post(&path("dream"), &ask("tag=a")).await.status(), 404);
}

#[actix_rt::test]
async fn a_key_is_taken_from_its_header_or_the_query_and_a_wrong_one_is_a_wrong_argument() {
    let fixture = Fixture::start();
    let url = format!("{}{}", fixture.base, path("generateContent"));
    let body = ask("tag=a");
    for (header, query, expected) in [
        (Some("k"), "", 200),
        (None, "?key=k", 200),
        (Some("bad"), "", 400),
        (None, "?alt=json&key=bad", 400),
        (None, "", 403),
    ] {
        let mut request = fixture.client.post(format!("{url}{query}"));
        if let Some(key) = header {
            request = request.insert_header(("x-goog-api-key", key));
        }
        let answer = request.send_json(&body).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{header:?} {query}");
    }
}

#[actix_rt::test]
async fn tokens_are_counted_and_texts_embedded() {
    let fixture = Fixture::start();
    let contents = json!([{"role": "user", "parts": [
        {"text": "12345678"}, {"inlineData": {"mimeType": "image/png", "data": ""}},
    ]}]);
    for body in [
        json!({"contents": contents}),
        json!({"generateContentRequest": {"model": MODEL, "contents": contents}}),
    ] {
        let (_, counted) = fixture.post_json(&path("countTokens"), &body).await;
        assert_eq!(counted["totalTokens"], 2 + 4 + 3 + 258);
        assert_eq!(
            counted["promptTokensDetails"][1],
            json!({"modality": "IMAGE", "tokenCount": 258})
        );
    }
    let one = json!({"content": {"parts": [{"text": "12345678"}]}});
    let (_, embedded) = fixture.post_json(&path("embedContent"), &one).await;
    assert_eq!(embedded["embedding"]["values"].as_array().unwrap().len(), 8);
    let (_, embedded) = fixture
        .post_json(&path("batchEmbedContents"), &json!({"requests": [one, one]}))
        .await;
    assert_eq!(embedded["embeddings"].as_array().unwrap().len(), 2);
    assert_eq!(fixture.ledger().await["models"][MODEL]["input_tokens"], 6);
}

#[actix_rt::test]
async fn a_stream_is_cut_hung_or_failed_as_directed_and_booked_with_what_it_handed_over() {
    let fixture = Fixture::start();
    let stream = path("streamGenerateContent?alt=sse");
    assert!(fixture.breaks_off(&stream, &ask("output_tokens=9 cut_after=4")).await);
    let failed = events(&chunks(fixture.post(&stream, &ask("output_tokens=9 error_after=2")).await).await);
    assert_eq!(failed.len(), 3);
    assert_eq!(failed[2]["error"]["status"], "UNAVAILABLE");
    let ledger = fixture.settled_ledger().await;
    assert_eq!((&ledger["cut"], &ledger["completed"]), (&json!(1), &json!(1)));
    assert_eq!(ledger["models"][MODEL]["output_tokens"], 6);
}
