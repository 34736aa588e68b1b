//! OpenAI's Responses: whole answers, the order of a stream's events, reasoning, functions and searches.

use super::*;

const PATH: &str = "/v1/responses";
const MODEL: &str = "gpt-5-mini";

fn ask(directives: &str) -> Value {
    json!({"model": MODEL, "input": format!("hi [[sim {directives}]]")})
}

fn streamed(directives: &str) -> Value {
    with(ask(directives), &json!({"stream": true}))
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().map(|event| event["type"].as_str().unwrap());
    kinds
        .map(|kind| kind.strip_prefix("response.").unwrap_or(kind))
        .collect()
}

#[actix_rt::test]
async fn a_whole_answer_has_a_message_and_its_usage() {
    let fixture = Fixture::start();
    let parts = json!([{"type": "input_text", "text": "hi [[sim output_tokens=3 cached_tokens=2]]"}]);
    let body = json!({"model": MODEL, "input": [{"role": "user", "content": parts}], "previous_response_id": "resp_1"});
    let (status, answer) = fixture.post_json(PATH, &body).await;
    assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("completed")));
    assert_eq!(answer["output"][0]["content"][0]["text"], "the sun has ");
    assert_eq!(answer["previous_response_id"], "resp_1");
    let usage = &answer["usage"];
    assert_eq!(
        (&usage["output_tokens"], &usage["input_tokens_details"]["cached_tokens"]),
        (&json!(3), &json!(2))
    );
    let sums = &fixture.ledger().await["models"][MODEL];
    assert_eq!(
        (&sums["input_tokens"], &sums["output_tokens"]),
        (&usage["input_tokens"], &json!(3))
    );
}

#[actix_rt::test]
async fn a_stream_has_its_events_in_order_and_without_a_gap() {
    let fixture = Fixture::start();
    let events = events(&chunks(fixture.post(PATH, &streamed("output_tokens=2")).await).await);
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expected);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    assert_eq!(events[9]["response"]["output"][0], events[8]["item"]);
    assert_eq!(events[9]["response"]["usage"]["output_tokens"], 2);
    assert!(events[0]["response"]["usage"].is_null());
    let sums = &fixture.settled_ledger().await["models"][MODEL];
    assert_eq!(
        (&sums["output_tokens"], &sums["reported_output_tokens"]),
        (&json!(2), &json!(2))
    );
}

#[actix_rt::test]
async fn reasoning_is_an_item_that_is_encrypted_or_summed_up_only_on_request() {
    let fixture = Fixture::start();
    let directives = "output_tokens=2 reasoning_tokens=3";
    for (more, encrypted, summary) in [
        (json!({}), false, 0),
        (json!({"include": ["reasoning.encrypted_content"]}), true, 0),
        (json!({"reasoning": {"summary": "auto"}}), false, 1),
    ] {
        let (_, answer) = fixture.post_json(PATH, &with(ask(directives), &more)).await;
        let item = &answer["output"][0];
        assert_eq!(
            (&item["type"], item["encrypted_content"].is_string()),
            (&json!("reasoning"), encrypted)
        );
        assert_eq!(item["summary"].as_array().unwrap().len(), summary);
        assert_eq!(answer["usage"]["output_tokens"], 5);
        assert_eq!(answer["usage"]["output_tokens_details"]["reasoning_tokens"], 3);
        let body = with(streamed(directives), &more);
        let events = events(&chunks(fixture.post(PATH, &body).await).await);
        let deltas = kinds(&events).iter().filter(|kind| kind.ends_with(".delta")).count();
        assert_eq!(deltas, 2 + 3 * summary);
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number);
        }
    }
    assert_eq!(fixture.settled_ledger().await["models"][MODEL]["output_tokens"], 30);
}

#[actix_rt::test]
async fn functions_are_called_and_their_outputs_answered() {
    let fixture = Fixture::start();
    let directives = "call_tool=f call_tools=2 tool_input=7b2261223a317d";
    let (_, whole) = fixture.post_json(PATH, &ask(directives)).await;
    let calls = whole["output"].as_array().unwrap().clone();
    assert_eq!((calls.len(), &calls[0]["arguments"]), (2, &json!(r#"{"a":1}"#)));
    let events = events(&chunks(fixture.post(PATH, &streamed(directives)).await).await);
    let pieces: String = events
        .iter()
        .filter(|event| event["type"] == "response.function_call_arguments.delta" && event["output_index"] == 1)
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(pieces, r#"{"a":1}"#);
    let sums = &fixture.settled_ledger().await["models"][MODEL];
    assert_eq!(
        (&sums["output_tokens"], &sums["reported_output_tokens"]),
        (&json!(24), &json!(24))
    );

    let output = |call: &Value| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "1"});
    let user = json!({"role": "user", "content": format!("[[sim {directives}]]")});
    let answered = [user.clone(), calls[0].clone(), output(&calls[0])];
    let (status, answer) = fixture
        .post_json(PATH, &with(ask("tag=a"), &json!({"input": answered})))
        .await;
    assert_eq!(
        (status.as_u16(), &answer["output"][0]["type"]),
        (200, &json!("message"))
    );
    let unknown = [user, output(&calls[0])];
    let (status, _) = fixture
        .post_json(PATH, &with(ask("tag=a"), &json!({"input": unknown})))
        .await;
    assert_eq!(status, 400);
}

#[actix_rt::test]
async fn searches_are_items_and_booked() {
    let fixture = Fixture::start();
    let (_, answer) = fixture.post_json(PATH, &ask("web_searches=2 output_tokens=3")).await;
    let kinds: Vec<&Value> = answer["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["type"])
        .collect();
    assert_eq!(kinds, ["web_search_call", "web_search_call", "message"]);
    assert_eq!(
        answer["output"][2]["content"][0]["annotations"][0]["type"],
        "url_citation"
    );
    let body = streamed("web_searches=2 output_tokens=3");
    let events = events(&chunks(fixture.post(PATH, &body).await).await);
    let searching = events
        .iter()
        .filter(|event| event["type"] == "response.web_search_call.searching");
    assert_eq!(searching.count(), 2);
    assert_eq!(fixture.settled_ledger().await["models"][MODEL]["searches"], 4);
}

#[actix_rt::test]
async fn an_answer_ends_at_its_cap_or_fails_as_directed() {
    let fixture = Fixture::start();
    let capped = with(ask("output_tokens=40"), &json!({"max_output_tokens": 16}));
    let (_, answer) = fixture.post_json(PATH, &capped).await;
    assert_eq!(answer["incomplete_details"]["reason"], "max_output_tokens");
    let body = with(capped, &json!({"stream": true}));
    let ended = events(&chunks(fixture.post(PATH, &body).await).await);
    assert_eq!(ended.last().unwrap()["type"], "response.incomplete");
    let failed = events(&chunks(fixture.post(PATH, &streamed("output_tokens=9 error_after=1")).await).await);
    assert_eq!(failed.last().unwrap()["response"]["status"], "failed");
    assert!(fixture.breaks_off(PATH, &streamed("output_tokens=9 cut_after=4")).await);
    for (body, expected) in [
        (json!({"input": "a"}), "model"),
        (json!({"model": MODEL}), "input"),
        (
            with(ask("tag=a"), &json!({"max_output_tokens": 5})),
            "max_output_tokens",
        ),
        (
            with(ask("tag=a"), &json!({"previous_response_id": "chatcmpl-1"})),
            "not found",
        ),
        (
            json!({"model": MODEL, "input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}),
            "content[0].type",
        ),
    ] {
        let (status, answer) = fixture.post_json(PATH, &body).await;
        assert_eq!(status, 400);
        assert!(
            answer["error"]["message"].as_str().unwrap().contains(expected),
            "{answer}"
        );
    }
}
