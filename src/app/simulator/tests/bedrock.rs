//! Bedrock's Converse: whole answers, framed streams, tools, signatures and errors.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::*;

const MODEL: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";
const PATH: &str = "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse";
const STREAM: &str = "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream";

fn ask(directives: &str) -> Value {
    let content = json!([{"text": format!("hi [[sim {directives}]]")}]);
    json!({"messages": [{"role": "user", "content": content}], "system": [{"text": "be brief"}]})
}

/// One message of a framed stream: what `:event-type` or `:exception-type` says, and the payload.
fn unframed(chunks: &[Bytes]) -> Vec<(String, Value)> {
    let whole = chunks.concat();
    let mut rest = whole.as_slice();
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap());
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let (total, headers) = (number(rest) as usize, number(&rest[4..]) as usize);
        assert_eq!(number(&rest[8..]), crc32fast::hash(&rest[..8]));
        assert_eq!(number(&rest[total - 4..]), crc32fast::hash(&rest[..total - 4]));
        let mut block = &rest[12..12 + headers];
        let mut kind = String::new();
        while !block.is_empty() {
            let (name, after) = block[1..].split_at(usize::from(block[0]));
            assert_eq!(after[0], 7);
            let length = usize::from(u16::from_be_bytes([after[1], after[2]]));
            let (value, after) = after[3..].split_at(length);
            if name == b":event-type" || name == b":exception-type" {
                kind = String::from_utf8(value.to_vec()).unwrap();
            }
            block = after;
        }
        let payload = serde_json::from_slice(&rest[12 + headers..total - 4]).unwrap();
        messages.push((kind, payload));
        rest = &rest[total..];
    }
    messages
}

async fn stream(fixture: &Fixture, body: &Value) -> Vec<(String, Value)> {
    let answer = fixture.post(STREAM, body).await;
    assert_eq!(
        answer.headers().get("content-type").unwrap(),
        "application/vnd.amazon.eventstream"
    );
    unframed(&chunks(answer).await)
}

#[actix_rt::test]
async fn a_whole_answer_has_its_text_and_its_usage_with_the_caches_beside_the_input() {
    let fixture = Fixture::start();
    let body = ask("output_tokens=3 reasoning_tokens=2 cached_tokens=5 cache_write_tokens=7");
    for path in [PATH.to_owned(), format!("/v1{PATH}")] {
        let (status, answer) = fixture.post_json(&path, &body).await;
        assert_eq!(status, 200);
        let content = &answer["output"]["message"]["content"];
        assert_eq!(content[0]["reasoningContent"]["reasoningText"]["text"], "the sun ");
        assert_eq!(content[1]["text"], "the sun has ");
        assert_eq!(answer["stopReason"], "end_turn");
        let usage = &answer["usage"];
        assert_eq!(
            (
                &usage["outputTokens"],
                &usage["cacheReadInputTokens"],
                &usage["cacheWriteInputTokens"]
            ),
            (&json!(5), &json!(5), &json!(7))
        );
    }
    let sums = &fixture.ledger().await["models"][MODEL];
    assert_eq!(
        (
            &sums["output_tokens"],
            &sums["cached_tokens"],
            &sums["cache_write_tokens"]
        ),
        (&json!(10), &json!(10), &json!(14))
    );
}

#[actix_rt::test]
async fn a_stream_has_its_events_in_order_and_ends_with_the_usage() {
    let fixture = Fixture::start();
    let events = stream(&fixture, &ask("output_tokens=2 reasoning_tokens=1")).await;
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    let expected = [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(events[1].1["delta"]["reasoningContent"]["text"], "the ");
    assert!(events[2].1["delta"]["reasoningContent"]["signature"].is_string());
    assert_eq!(
        (&events[4].1["delta"]["text"], &events[4].1["contentBlockIndex"]),
        (&json!("the "), &json!(1))
    );
    assert_eq!(events[8].1["usage"]["outputTokens"], 3);
    let sums = &fixture.settled_ledger().await["models"][MODEL];
    assert_eq!(
        (&sums["output_tokens"], &sums["reported_output_tokens"]),
        (&json!(3), &json!(3))
    );
}

#[actix_rt::test]
async fn tools_are_used_and_their_results_answered() {
    let fixture = Fixture::start();
    let mut body = ask("call_tool=f call_tools=2 tool_input=7b2261223a317d");
    let (_, whole) = fixture.post_json(PATH, &body).await;
    assert_eq!(whole["stopReason"], "tool_use");
    let message = whole["output"]["message"].clone();
    let events = stream(&fixture, &body).await;
    let input: String = events
        .iter()
        .filter(|(_, payload)| payload["contentBlockIndex"] == 1)
        .filter_map(|(_, payload)| payload["delta"]["toolUse"]["input"].as_str())
        .collect();
    assert_eq!(input, r#"{"a":1}"#);
    assert_eq!(events[1].1["start"]["toolUse"]["name"], "f");
    let sums = &fixture.settled_ledger().await["models"][MODEL];
    assert_eq!(
        (&sums["output_tokens"], &sums["reported_output_tokens"]),
        (&json!(24), &json!(24))
    );

    let results: Vec<Value> = message["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| json!({"toolResult": {"toolUseId": block["toolUse"]["toolUseId"], "content": [{"text": "1"}]}}))
        .collect();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(message);
    messages.push(json!({"role": "user", "content": results}));
    let (status, answer) = fixture.post_json(PATH, &body).await;
    assert_eq!((status.as_u16(), &answer["stopReason"]), (200, &json!("end_turn")));
    body["messages"][2]["content"].as_array_mut().unwrap().pop();
    assert_eq!(fixture.post_json(PATH, &body).await.0, 400);
}

#[actix_rt::test]
async fn what_bedrock_would_refuse_is_refused_in_its_shape() {
    let fixture = Fixture::start();
    let user = json!({"role": "user", "content": [{"text": "a"}]});
    for body in [
        json!({}),
        json!({"messages": [user, user]}),
        json!({"messages": [user], "system": "a"}),
        json!({"messages": [user], "inferenceConfig": {"maxTokens": 0}}),
    ] {
        let mut answer = fixture.post(PATH, &body).await;
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.headers().get("x-amzn-errortype").unwrap(), "ValidationException");
        let body: Value = serde_json::from_slice(&answer.body().await.unwrap()).unwrap();
        assert!(body["message"].is_string());
    }
    let answer = fixture.post(PATH, &ask("status=429")).await;
    assert_eq!(answer.headers().get("x-amzn-errortype").unwrap(), "ThrottlingException");
    let events = stream(&fixture, &ask("output_tokens=9 error_after=2")).await;
    assert_eq!((events.len(), events[3].0.as_str()), (4, "throttlingException"));
    let (_, capped) = fixture
        .post_json(
            PATH,
            &with(ask("output_tokens=9"), &json!({"inferenceConfig": {"maxTokens": 4}})),
        )
        .await;
    assert_eq!(
        (&capped["stopReason"], &capped["usage"]["outputTokens"]),
        (&json!("max_tokens"), &json!(4))
    );
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A signer of its own: what it shares with the verifier is only the algorithm.
struct Signer {
    secret: &'static str,
    access_key: &'static str,
    service: &'static str,
    minutes_off: i64,
}

const SIGNER: Signer = Signer {
    secret: "simulated-secret",
    access_key: "AKIDSIMULATED",
    service: "bedrock",
    minutes_off: 0,
};

impl Signer {
    async fn post(&self, fixture: &Fixture, body: &Value) -> Answer {
        let host = fixture.base.trim_start_matches("http://");
        let at = (chrono::Utc::now() + chrono::Duration::minutes(self.minutes_off))
            .format("%Y%m%dT%H%M%SZ")
            .to_string();
        let scope = format!("{}/us-east-1/{}/aws4_request", &at[..8], self.service);
        let body = body.to_string();
        let twice_encoded = PATH.replace('%', "%25");
        let canonical = format!(
            "POST\n{twice_encoded}\n\nhost:{host}\nx-amz-date:{at}\n\nhost;x-amz-date\n{}",
            hexadecimal(&Sha256::digest(&body))
        );
        let text = format!(
            "AWS4-HMAC-SHA256\n{at}\n{scope}\n{}",
            hexadecimal(&Sha256::digest(canonical))
        );
        let key = scope
            .split('/')
            .fold(format!("AWS4{}", self.secret).into_bytes(), |key, part| mac(&key, part));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-date, Signature={}",
            self.access_key,
            hexadecimal(&mac(&key, &text))
        );
        fixture
            .client
            .post(format!("{}{PATH}", fixture.base))
            .insert_header(("authorization", authorization))
            .insert_header(("x-amz-date", at))
            .send_body(body)
            .await
            .unwrap()
    }
}

#[actix_rt::test]
async fn a_signature_is_verified() {
    let fixture = Fixture::start();
    assert_eq!(SIGNER.post(&fixture, &ask("output_tokens=3")).await.status(), 200);
    let (secret, access_key, service) = ("guessed", "AKIDOTHER", "s3");
    for (signer, expected) in [
        (Signer { secret, ..SIGNER }, "InvalidSignatureException"),
        (Signer { access_key, ..SIGNER }, "UnrecognizedClientException"),
        (Signer { service, ..SIGNER }, "InvalidSignatureException"),
        (
            Signer {
                minutes_off: 9,
                ..SIGNER
            },
            "InvalidSignatureException",
        ),
    ] {
        let answer = signer.post(&fixture, &ask("output_tokens=3")).await;
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.headers().get("x-amzn-errortype").unwrap(), expected);
    }
    let unsigned = fixture.client.post(format!("{}{PATH}", fixture.base));
    assert_eq!(unsigned.send_json(&ask("tag=a")).await.unwrap().status(), 403);
    let ledger = fixture.ledger().await;
    assert_eq!((&ledger["completed"], &ledger["errors"]), (&json!(1), &json!(5)));
}
