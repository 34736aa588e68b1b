//! Chat completions in other providers' flavours, Anthropic's thoughts, and searches of the web.

use super::*;

#[actix_rt::test]
async fn deepseek_tells_its_reasoning_and_its_cache_apart() {
    let fixture = Fixture::start();
    let directives = "flavour=deepseek output_tokens=2 reasoning_tokens=3 cached_tokens=4";
    let (_, answer) = fixture.post_json(CHAT, &chat(directives)).await;
    let message = &answer["choices"][0]["message"];
    assert_eq!(
        (&message["reasoning_content"], &message["content"]),
        (&json!("the sun has "), &json!("the sun "))
    );
    let usage = &answer["usage"];
    let input = usage["prompt_tokens"].as_u64().unwrap();
    assert_eq!(
        (
            &usage["prompt_cache_hit_tokens"],
            &usage["prompt_cache_miss_tokens"],
            &usage["completion_tokens"]
        ),
        (&json!(4), &json!(input - 4), &json!(5))
    );
    let events = events(&chunks(fixture.post(CHAT, &chat_stream(directives)).await).await);
    let deltas = |name: &str| {
        let deltas = events
            .iter()
            .filter_map(|event| event["choices"][0]["delta"][name].as_str());
        deltas.collect::<String>()
    };
    assert_eq!(
        (deltas("reasoning_content"), deltas("content")),
        ("the sun has ".into(), "the sun ".into())
    );
    assert_eq!(events.last().unwrap()["usage"], *usage);
    let sums = &fixture.settled_ledger().await["models"]["gpt-4o-mini"];
    assert_eq!(
        (&sums["output_tokens"], &sums["reported_output_tokens"]),
        (&json!(10), &json!(10))
    );
}

#[actix_rt::test]
async fn mistral_writes_its_content_as_a_list() {
    let fixture = Fixture::start();
    let directives = "flavour=mistral output_tokens=2 reasoning_tokens=1";
    let (_, answer) = fixture.post_json(CHAT, &chat(directives)).await;
    let thought = json!({"type": "thinking", "thinking": [{"type": "text", "text": "the "}]});
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        json!([thought, {"type": "text", "text": "the sun "}])
    );
    let events = events(&chunks(fixture.post(CHAT, &chat_stream(directives)).await).await);
    assert_eq!(events[1]["choices"][0]["delta"]["content"], json!([thought]));
    assert_eq!(events[3]["choices"][0]["delta"]["content"][0]["text"], "sun ");
    let (_, called) = fixture.post_json(CHAT, &chat("flavour=mistral call_tool=f")).await;
    assert_eq!(called["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(
        called["choices"][0]["message"]["tool_calls"][0]["function"]["name"],
        "f"
    );
}

#[actix_rt::test]
async fn anthropic_thinks_when_it_is_told_to_and_wants_its_signature_back() {
    let fixture = Fixture::start();
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let directives = "reasoning_tokens=2 output_tokens=1";
    let (_, plain) = fixture.post_json(MESSAGES, &message(directives)).await;
    assert_eq!(
        (&plain["content"][0]["type"], &plain["usage"]["output_tokens"]),
        (&json!("text"), &json!(1))
    );
    let (_, whole) = fixture.post_json(MESSAGES, &with(message(directives), &thinking)).await;
    assert_eq!(
        (&whole["content"][0]["thinking"], &whole["content"][1]["text"]),
        (&json!("the sun "), &json!("the "))
    );
    assert_eq!(whole["usage"]["output_tokens"], 3);
    let body = with(message_stream(directives), &thinking);
    let events = events(&chunks(fixture.post(MESSAGES, &body).await).await);
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["delta"]["type"].as_str())
        .collect();
    assert_eq!(
        kinds,
        ["thinking_delta", "thinking_delta", "signature_delta", "text_delta"]
    );
    assert_eq!(
        fixture.settled_ledger().await["models"]["claude-haiku-4-5"]["output_tokens"],
        7
    );

    let mut body = with(message("reasoning_tokens=2 call_tool=f needs_signature=1"), &thinking);
    let (_, called) = fixture.post_json(MESSAGES, &body).await;
    assert_eq!(called["stop_reason"], "tool_use");
    let result = json!({"type": "tool_result", "tool_use_id": called["content"][1]["id"], "content": "1"});
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": called["content"]}));
    messages.push(json!({"role": "user", "content": [result]}));
    assert_eq!(fixture.post(MESSAGES, &body).await.status(), 200);
    body["messages"][1]["content"].as_array_mut().unwrap().remove(0);
    assert_eq!(fixture.post(MESSAGES, &body).await.status(), 400);
}

#[actix_rt::test]
async fn searches_show_in_anthropics_blocks_and_usage() {
    let fixture = Fixture::start();
    let directives = "web_searches=2 output_tokens=2";
    let (_, whole) = fixture.post_json(MESSAGES, &message(directives)).await;
    assert_eq!(whole["usage"]["server_tool_use"]["web_search_requests"], 2);
    assert_eq!(whole["content"][2]["type"], "server_tool_use");
    assert_eq!(whole["content"][3]["tool_use_id"], whole["content"][2]["id"]);
    assert_eq!(whole["content"][4]["text"], "the sun ");
    let events = events(&chunks(fixture.post(MESSAGES, &message_stream(directives)).await).await);
    let starts = events.iter().filter(|event| event["type"] == "content_block_start");
    let starts: Vec<&Value> = starts.map(|event| &event["index"]).collect();
    assert_eq!(starts, [0, 1, 2, 3, 4]);
    let last = &events[events.len() - 2];
    assert_eq!(last["usage"]["server_tool_use"]["web_search_requests"], 2);
    let words = events.iter().filter(|event| event["delta"]["type"] == "text_delta");
    assert!(words.map(|event| &event["index"]).all(|index| index == 4));
    assert_eq!(
        fixture.settled_ledger().await["models"]["claude-haiku-4-5"]["searches"],
        4
    );
}

#[actix_rt::test]
async fn searches_show_in_openais_annotations() {
    let fixture = Fixture::start();
    let (_, whole) = fixture.post_json(CHAT, &chat("web_searches=1")).await;
    let citation = &whole["choices"][0]["message"]["annotations"][0];
    assert_eq!(citation["type"], "url_citation");
    let events = events(&chunks(fixture.post(CHAT, &chat_stream("web_searches=1 output_tokens=1")).await).await);
    assert_eq!(events[2]["choices"][0]["delta"]["annotations"][0], *citation);
    assert_eq!(fixture.settled_ledger().await["models"]["gpt-4o-mini"]["searches"], 2);
}

#[actix_rt::test]
async fn every_providers_header_of_a_key_is_taken() {
    let fixture = Fixture::start();
    for name in ["x-api-key", "api-key", "x-goog-api-key", "xi-api-key"] {
        for (key, expected) in [("k", 200), ("bad", 401)] {
            let request = fixture.client.post(format!("{}{CHAT}", fixture.base));
            let answer = request
                .insert_header((name, key))
                .send_json(&chat("tag=a"))
                .await
                .unwrap();
            assert_eq!(answer.status().as_u16(), expected, "{name}");
        }
    }
}
