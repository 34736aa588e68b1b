//! A limit is a limit: every denial, and no overspending however many call at once.

use serde_json::{Value, json};

use crate::support::house::{House, chat, chat_stream, message, nanos};
use crate::support::server::eventually;
use crate::support::stream::EventStream;

const DOLLAR: i64 = 1_000_000_000;

#[test]
fn each_setting_of_a_key_has_its_denial() {
    let house = House::new();
    let table: [(Value, u16, &str); 9] = [
        (json!({ "status": "paused" }), 401, "key_paused"),
        (json!({ "request_shape": "anthropic" }), 403, "request_shape_mismatch"),
        (json!({ "allowed_models": ["claude-*"] }), 403, "model_not_allowed"),
        (
            json!({ "allowed_providers": ["anthropic"] }),
            403,
            "provider_not_allowed",
        ),
        (json!({ "allowed_ips": ["10.0.0.0/8"] }), 403, "ip_not_allowed"),
        (
            json!({ "spend_limit": { "amount": "0.000000001", "cycle": "total" } }),
            402,
            "spend_limit_reached",
        ),
        (
            json!({ "request_limit": { "count": 1, "cycle": "daily" } }),
            429,
            "request_limit_reached",
        ),
        (json!({ "rate_limit": { "rpm": 1 } }), 429, "rate_limited"),
        (
            json!({ "spend_limit": { "amount": "1.00", "cycle": "daily" }, "model": true }),
            400,
            "price_unknown",
        ),
    ];
    for (mut settings, status, code) in table {
        settings["name"] = "denied".into();
        let unpriced = settings.as_object_mut().unwrap().remove("model").is_some();
        let (_, key) = house.mint(settings);
        let mut call = chat("output_tokens=1");
        if unpriced {
            call["model"] = "no-such-model".into();
        }
        let first = house.caller(&key).post("/v1/chat/completions", &call);
        let denied = if first.status == 200 {
            house.caller(&key).post("/v1/chat/completions", &call)
        } else {
            first
        };
        assert_eq!(
            (denied.status, denied.error_code().as_str()),
            (status, code),
            "{}",
            denied.text()
        );
        assert!(denied.header("x-lava-request-id").is_some());
        if code == "spend_limit_reached" || code == "request_limit_reached" {
            assert_eq!(denied.header("x-should-retry"), Some("false"));
        }
        if status == 429 {
            assert!(denied.header("retry-after").is_some(), "{code}");
        }
    }
}

#[test]
fn an_expired_key_and_a_key_of_the_wrong_kind_are_refused() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "short" }));
    house
        .database
        .execute("UPDATE spend_keys SET expires_at = now() - interval '1 second'");
    let soon = chrono::Utc::now() + chrono::TimeDelta::milliseconds(300);
    house
        .server
        .client()
        .patch(
            &format!("/v1/spend_keys/{id}"),
            &json!({ "expires_at": soon.to_rfc3339() }),
        )
        .expect_status(200);
    eventually("the key has expired", || {
        house
            .caller(&key)
            .post("/v1/chat/completions", &chat("output_tokens=1"))
            .status
            == 401
    });
    assert_eq!(
        house.caller(&key).post("/v1/chat/completions", &chat("")).error_code(),
        "key_expired"
    );
    assert_eq!(house.caller(&key).get("/v1/spend_keys").error_code(), "wrong_key_kind");
    let unknown = house.caller("lava_sk_junk").post("/v1/chat/completions", &chat(""));
    assert_eq!(
        (unknown.status, unknown.error_code().as_str()),
        (401, "invalid_api_key")
    );
}

#[test]
fn a_rotated_secret_is_dead_when_the_answer_comes_and_the_spend_stays() {
    let house = House::new();
    let (id, mut key) = house.mint(json!({ "name": "turning" }));
    for round in 1..=20 {
        house
            .caller(&key)
            .post("/v1/chat/completions", &chat("output_tokens=1"))
            .expect_status(200);
        let rotated = house
            .server
            .client()
            .post(&format!("/v1/spend_keys/{id}/rotate"), &json!({}))
            .expect_status(200)
            .json();
        let old = std::mem::replace(&mut key, rotated["key"].as_str().unwrap().to_owned());
        assert_eq!(house.caller(&old).post("/v1/chat/completions", &chat("")).status, 401);
        assert_eq!(rotated["current_requests"], round);
    }
    house
        .server
        .client()
        .delete(&format!("/v1/spend_keys/{id}"))
        .expect_status(200);
    assert_eq!(
        house.caller(&key).post("/v1/chat/completions", &chat("")).error_code(),
        "invalid_api_key"
    );
    assert_eq!(house.server.client().get(&format!("/v1/spend_keys/{id}")).status, 404);
}

#[test]
fn a_prepaid_wallet_that_is_empty_refuses_and_funding_lets_calls_through() {
    let house = House::new();
    let wallet = house.server.client().get("/v1/wallet").expect_status(200).json();
    let id = wallet["wallet_id"].as_str().unwrap();
    assert!(
        house
            .server
            .run(&["wallets", "set", id, "--funding", "prepaid"])
            .status
            .success()
    );
    let refused = house
        .server
        .client()
        .post("/v1/chat/completions", &chat("output_tokens=1"));
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (402, "insufficient_balance")
    );
    assert!(house.server.run(&["wallets", "fund", id, "10.00"]).status.success());
    house
        .server
        .client()
        .post("/v1/chat/completions", &chat("output_tokens=1"))
        .expect_status(200);
    let left = house.server.client().get("/v1/wallet").json();
    assert!(nanos(&left["balance"]) < 10 * DOLLAR && nanos(&left["balance"]) > 9 * DOLLAR);
    eventually("the row is written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 1
    });
    house.books_agree();
}

#[test]
fn an_adaptive_stream_is_ended_in_its_own_dialect_when_its_limit_is_reached() {
    let house = House::new();
    let limit = json!({ "amount": "0.0004", "cycle": "total" });
    let (id, key) = house.mint(json!({ "name": "cents", "spend_limit": limit }));
    let mut call = chat_stream("output_tokens=5000");
    call.as_object_mut().unwrap().remove("max_tokens");
    let data = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call).all_data();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    let finish = data
        .iter()
        .filter(|data| data.contains(r#""finish_reason":"length""#))
        .count();
    assert_eq!(finish, 1, "{:?}", data.iter().rev().take(3).collect::<Vec<_>>());
    let spent = nanos(&house.settled(&id)["current_spend"]);
    // One chunk is one token of 600 nano-dollars here; the last read may hold several.
    assert!((350_000..=400_000 + 100 * 600).contains(&spent), "{spent}");
}

#[test]
fn a_whole_answer_of_a_provider_that_ignores_the_cap_is_billed_as_it_was_served() {
    let house = House::new();
    let limit = json!({ "amount": "0.001", "cycle": "total" });
    let (id, key) = house.mint(json!({ "name": "cents", "spend_limit": limit, "enforcement": "strict" }));
    let mut call = chat("ignore_cap=1 output_tokens=50");
    call["max_tokens"] = 10.into();
    let answer = house
        .caller(&key)
        .post("/v1/chat/completions", &call)
        .expect_status(200);
    assert_eq!(answer.json()["usage"]["completion_tokens"], 50);
    let row = house.row(&answer);
    assert_eq!(row["model_usage"]["output_tokens"], 50);
    assert!(nanos(&house.settled(&id)["current_spend"]) >= 50 * 600);
}

/// A stream of five thousand tokens, of which the limit covers a third, though only ten were asked for; what was spent
/// beyond the limit.
fn overrun(house: &House, enforcement: &str) -> i64 {
    let limit = json!({ "amount": "0.001", "cycle": "total" });
    let (id, key) = house.mint(json!({ "name": "cents", "spend_limit": limit, "enforcement": enforcement }));
    let mut call = chat_stream("ignore_cap=1 output_tokens=5000 chunk_ms=1");
    call["max_tokens"] = 10.into();
    let data = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call).all_data();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    let overrun = nanos(&house.settled(&id)["current_spend"]) - 1_000_000;
    eprintln!("{enforcement}: {overrun} nano-dollars beyond the limit");
    overrun
}

#[test]
fn an_adaptive_stream_of_a_provider_that_ignores_the_cap_passes_the_limit_by_a_chunk_at_most() {
    // A chunk is a token here, or a few where the machine was slow.
    assert!(overrun(&House::new(), "adaptive") <= 100 * 600);
}

#[test]
fn a_strict_stream_of_a_provider_that_ignores_the_cap_passes_the_limit_by_a_chunk_at_most() {
    assert!(overrun(&House::new(), "strict") <= 100 * 600);
}

#[test]
fn soft_lets_running_calls_pass_and_observe_never_blocks() {
    let house = House::new();
    let limit = json!({ "amount": "0.000010", "cycle": "total" });
    let (_, soft) = house.mint(json!({ "name": "soft", "spend_limit": limit, "enforcement": "soft" }));
    house
        .caller(&soft)
        .post("/v1/chat/completions", &chat("output_tokens=60"))
        .expect_status(200);
    assert_eq!(
        house.caller(&soft).post("/v1/chat/completions", &chat("")).error_code(),
        "spend_limit_reached"
    );
    let (id, observe) = house.mint(json!({ "name": "observe", "spend_limit": limit, "enforcement": "observe", "request_limit": { "count": 1, "cycle": "total" } }));
    for _ in 0..3 {
        house
            .caller(&observe)
            .post("/v1/chat/completions", &chat("output_tokens=60"))
            .expect_status(200);
    }
    assert!(nanos(&house.key(&id)["current_spend"]) > 10_000);
}

#[test]
fn too_many_at_once_are_told_to_come_back() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "narrow", "max_parallel": 1 }));
    let mut running = EventStream::post(
        house.server.port,
        "/v1/chat/completions",
        &key,
        &chat_stream("output_tokens=20 chunk_ms=50"),
    );
    running.next_data();
    let denied = house.caller(&key).post("/v1/chat/completions", &chat(""));
    assert_eq!(
        (denied.status, denied.error_code().as_str()),
        (429, "too_many_parallel")
    );
    running.all_data();
    eventually("the stream has ended", || {
        house.caller(&key).post("/v1/chat/completions", &chat("")).status == 200
    });
}

#[test]
fn a_message_call_is_refused_in_anthropics_shape() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "small", "request_shape": "anthropic", "spend_limit": { "amount": "0.000001", "cycle": "daily" } }));
    let denied = house.caller(&key).post("/v1/messages", &message(""));
    assert_eq!(denied.status, 402);
    let body = denied.json();
    assert_eq!(body["type"], "error");
    assert_eq!(body["error"]["code"], "spend_limit_reached");
    assert!(body["request_id"].is_string());
}
