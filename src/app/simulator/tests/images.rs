//! OpenAI's images: what each kind of model reports and costs, streams, and forms with images.

use super::*;

const PATH: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";

fn order(model: &str, more: &Value) -> Value {
    with(json!({"model": model, "prompt": "a cat [[sim tag=a]]"}), more)
}

#[actix_rt::test]
async fn a_model_that_costs_tokens_reports_them_by_size_and_quality() {
    let fixture = Fixture::start();
    for (size, quality, tokens) in [
        ("1024x1024", "low", 272),
        ("1024x1536", "high", 6240),
        ("1536x1024", "medium", 1568),
        ("auto", "auto", 1056),
    ] {
        let body = order("gpt-image-1", &json!({"size": size, "quality": quality, "n": 2}));
        let (status, answer) = fixture.post_json(PATH, &body).await;
        assert_eq!((status.as_u16(), answer["data"].as_array().unwrap().len()), (200, 2));
        assert!(answer["data"][0]["b64_json"].is_string());
        assert_eq!(answer["usage"]["output_tokens"], 2 * tokens);
        assert_eq!(
            answer["usage"]["input_tokens_details"],
            json!({"text_tokens": 5, "image_tokens": 0})
        );
    }
    let sums = &fixture.ledger().await["models"]["gpt-image-1"];
    assert_eq!((&sums["images"], &sums["output_tokens"]), (&json!(8), &json!(2 * 9136)));
    assert_eq!(sums["reported_output_tokens"], sums["output_tokens"]);
}

#[actix_rt::test]
async fn a_model_that_costs_by_the_image_reports_nothing() {
    let fixture = Fixture::start();
    let body = order("dall-e-2", &json!({"n": 3, "size": "256x256"}));
    let (_, answer) = fixture.post_json(PATH, &body).await;
    assert!(answer.get("usage").is_none() && answer["data"][2]["url"].is_string());
    let body = order("dall-e-3", &json!({"quality": "hd", "response_format": "b64_json"}));
    let (_, answer) = fixture.post_json(PATH, &body).await;
    assert!(answer["data"][0]["b64_json"].is_string() && answer["data"][0]["revised_prompt"].is_string());
    let models = &fixture.ledger().await["models"];
    assert_eq!(
        (&models["dall-e-2"]["images"], &models["dall-e-3"]["images"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(models["dall-e-2"]["output_tokens"], 0);
}

#[actix_rt::test]
async fn a_stream_has_its_partial_images_and_ends_with_the_usage() {
    let fixture = Fixture::start();
    let body = order(
        "gpt-image-1",
        &json!({"stream": true, "partial_images": 2, "quality": "low"}),
    );
    let events = events(&chunks(fixture.post(PATH, &body).await).await);
    assert_eq!(events.len(), 3);
    assert_eq!(events[1]["partial_image_index"], 1);
    assert_eq!(events[2]["type"], "image_generation.completed");
    assert_eq!(events[2]["usage"]["output_tokens"], 472);
    let cut = with(body, &json!({"prompt": "a cat [[sim cut_after=1]]"}));
    assert!(fixture.breaks_off(PATH, &cut).await);
    let sums = &fixture.settled_ledger().await["models"]["gpt-image-1"];
    assert_eq!(
        (&sums["output_tokens"], &sums["reported_output_tokens"]),
        (&json!(572), &json!(472))
    );
}

#[actix_rt::test]
async fn a_form_with_an_image_is_edited() {
    let fixture = Fixture::start();
    let fields = [
        ("model", "gpt-image-1"),
        ("prompt", "a hat [[sim tag=hat]]"),
        ("quality", "low"),
    ];
    for name in ["image", "image[]"] {
        let mut answer = fixture.post_form(EDITS, &fields, Some((name, b"\x89PNG\xff"))).await;
        let answer: Value = serde_json::from_slice(&answer.body().await.unwrap()).unwrap();
        assert_eq!(answer["usage"]["input_tokens_details"]["image_tokens"], 323);
        assert_eq!(answer["usage"]["output_tokens"], 272);
    }
    assert_eq!(fixture.get_json("/_sim/requests").await[0]["tag"], "hat");
    let with_failure = [("model", "gpt-image-1"), ("prompt", "[[sim status=503]]")];
    let answer = fixture.post_form(EDITS, &with_failure, Some(("image", b"x"))).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(fixture.post_form(EDITS, &fields, None).await.status(), 400);
}

#[actix_rt::test]
async fn what_openai_would_refuse_is_refused() {
    let fixture = Fixture::start();
    for (model, more, expected) in [
        ("dall-e-3", json!({"n": 2}), "'n'"),
        ("gpt-image-1", json!({"n": 11}), "'n'"),
        ("gpt-image-1", json!({"partial_images": 4}), "partial_images"),
        ("gpt-image-1", json!({"response_format": "url"}), "response_format"),
        ("dall-e-2", json!({"stream": true}), "stream"),
        ("dall-e-2", json!({"prompt": ""}), "prompt"),
    ] {
        let (status, answer) = fixture.post_json(PATH, &order(model, &more)).await;
        assert_eq!(status, 400);
        assert!(
            answer["error"]["message"].as_str().unwrap().contains(expected),
            "{answer}"
        );
    }
}
