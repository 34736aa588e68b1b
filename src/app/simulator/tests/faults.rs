//! Answers that are no completion: asked failures, refused credentials and malformed calls.

use super::*;

#[actix_rt::test]
async fn a_status_is_answered_in_the_providers_own_shape() {
    let fixture = Fixture::start();
    for (status, openai, anthropic) in [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "invalid_request_error", "authentication_error"),
        (403, "request_forbidden", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (429, "requests", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (529, "server_error", "overloaded_error"),
    ] {
        let directives = format!("status={status}");
        let answer = fixture.post(CHAT, &chat(&directives)).await;
        assert_eq!(answer.headers().contains_key("retry-after"), status == 429);
        let (got, body) = fixture.post_json(CHAT, &chat(&directives)).await;
        assert_eq!((got.as_u16(), &body["error"]["type"]), (status, &json!(openai)));
        let (got, body) = fixture.post_json(MESSAGES, &message(&directives)).await;
        assert_eq!((got.as_u16(), &body["error"]["type"]), (status, &json!(anthropic)));
        assert_eq!(body["type"], "error");
    }
    let ledger = fixture.ledger().await;
    assert_eq!((&ledger["errors"], &ledger["models"]), (&json!(24), &json!({})));
}

#[actix_rt::test]
async fn a_status_with_fail_times_fails_only_so_often_for_each_tag() {
    let fixture = Fixture::start();
    for tag in ["a", "b"] {
        let body = chat(&format!("status=503 fail_times=2 tag={tag}"));
        for expected in [503, 503, 200, 200] {
            assert_eq!(fixture.post_json(CHAT, &body).await.0, expected);
        }
    }
}

#[actix_rt::test]
async fn junk_broken_json_and_a_redirect_are_answered_as_asked() {
    let fixture = Fixture::start();
    let mut html = fixture.post(CHAT, &chat("html=1")).await;
    assert_eq!(
        (
            html.status(),
            html.headers().get("content-type").unwrap().to_str().unwrap()
        ),
        (StatusCode::OK, "text/html")
    );
    assert!(html.body().await.unwrap().starts_with(b"<!DOCTYPE"));
    let mut broken = fixture.post(CHAT, &chat("bad_json=1")).await;
    assert_eq!(broken.status(), 200);
    assert!(serde_json::from_slice::<Value>(&broken.body().await.unwrap()).is_err());
    let redirect = fixture.post(CHAT, &chat("redirect=1")).await;
    assert_eq!(
        (
            redirect.status().as_u16(),
            redirect.headers().get("location").unwrap().to_str().unwrap()
        ),
        (302, "http://127.0.0.1:1/")
    );
    assert_eq!(fixture.ledger().await["errors"], 3);
}

#[actix_rt::test]
async fn a_missing_or_bad_credential_is_refused() {
    let fixture = Fixture::start();
    for (path, header, expected) in [
        (CHAT, None, 401),
        (CHAT, Some(("authorization", "Bearer bad")), 401),
        (MESSAGES, Some(("x-api-key", "bad")), 401),
        (MESSAGES, Some(("x-api-key", "good")), 200),
        (CHAT, Some(("authorization", "Bearer good")), 200),
    ] {
        let mut request = fixture.client.post(format!("{}{path}", fixture.base));
        if let Some(header) = header {
            request = request.insert_header(header);
        }
        assert_eq!(
            request.send_json(&message("tag=a")).await.unwrap().status(),
            expected,
            "{path} {header:?}"
        );
    }
}

#[actix_rt::test]
async fn malformed_calls_and_unknown_directives_are_bad_requests() {
    let fixture = Fixture::start();
    let mut no_cap = message("tag=a");
    no_cap.as_object_mut().unwrap().remove("max_tokens");
    for (path, body) in [
        (CHAT, json!({"model": "m"})),
        (CHAT, json!({"messages": [{"role": "user", "content": "a"}]})),
        (CHAT, json!("text")),
        (CHAT, chat("dealy_ms=5")),
        (MESSAGES, no_cap),
    ] {
        let (status, answer) = fixture.post_json(path, &body).await;
        assert_eq!(
            (status.as_u16(), &answer["error"]["type"]),
            (400, &json!("invalid_request_error")),
            "{body}"
        );
    }
}

#[actix_rt::test]
async fn directives_are_taken_from_the_header_too() {
    let fixture = Fixture::start();
    let request = fixture.client.post(format!("{}{CHAT}", fixture.base)).bearer_auth("x");
    let answer = request
        .insert_header(("x-sim", "status=529"))
        .send_json(&json!({}))
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 529);
}
