//! Every bad body is refused by the name of what is wrong with it, and a good one changes just what it says.

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::*;
use crate::domain::ids::{MerchantId, SpendKeyId};
use crate::domain::money::Money;
use crate::http::error::ErrorCode;

const NOW_MS: i64 = 1_800_000_000_000;

fn body(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn settings() -> KeySettings {
    KeySettings {
        id: SpendKeyId::from_bits(2),
        merchant_id: MerchantId::from_bits(4),
        wallet_id: WalletId::from_bits(6),
        secret_version: 1,
        name: Arc::from("before"),
        status: KeyStatus::Active,
        request_shape: RequestShape::OpenAi,
        allowed_models: Some(vec!["gpt-4o".to_owned()]),
        allowed_providers: None,
        allowed_ips: None,
        spend_limit: Some(SpendLimit {
            amount: Money::from_nanos(1),
            cycle: Cycle::Daily,
        }),
        request_limit: None,
        rate_limit: None,
        max_parallel: None,
        enforcement: Enforcement::Strict,
        on_disconnect: OnDisconnect::Cancel,
        timezone: Tz::Europe__Berlin,
        expires_at_ms: Some(1),
    }
}

/// A bad value of each field, and the parameter that the refusal names.
const BAD: &[(&str, &str)] = &[
    (r#"{"name": 5}"#, "name"),
    (r#"{"name": null}"#, "name"),
    (r#"{"name": ""}"#, "name"),
    (r#"{"name": "   "}"#, "name"),
    (r#"{"name": ["x"]}"#, "name"),
    (r#"{"status": "revoked"}"#, "status"),
    (r#"{"status": "Active"}"#, "status"),
    (r#"{"status": null}"#, "status"),
    (r#"{"status": true}"#, "status"),
    (r#"{"request_shape": "google"}"#, "request_shape"),
    (r#"{"request_shape": null}"#, "request_shape"),
    (r#"{"request_shape": 1}"#, "request_shape"),
    (r#"{"allowed_models": []}"#, "allowed_models"),
    (r#"{"allowed_models": "gpt-4o"}"#, "allowed_models"),
    (r#"{"allowed_models": {}}"#, "allowed_models"),
    (r#"{"allowed_models": ["gpt-4o", 5]}"#, "allowed_models[1]"),
    (r#"{"allowed_models": [""]}"#, "allowed_models[0]"),
    (r#"{"allowed_providers": []}"#, "allowed_providers"),
    (r#"{"allowed_providers": [null]}"#, "allowed_providers[0]"),
    (r#"{"allowed_ips": []}"#, "allowed_ips"),
    (r#"{"allowed_ips": ["10.0.0.0/33"]}"#, "allowed_ips[0]"),
    (r#"{"allowed_ips": ["10.0.0.1", "localhost"]}"#, "allowed_ips[1]"),
    (r#"{"spend_limit": "5.00"}"#, "spend_limit"),
    (r#"{"spend_limit": []}"#, "spend_limit"),
    (r#"{"spend_limit": {}}"#, "spend_limit.amount"),
    (r#"{"spend_limit": {"cycle": "daily"}}"#, "spend_limit.amount"),
    (
        r#"{"spend_limit": {"amount": null, "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": 5, "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": 0.1, "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": "0", "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": "0.00", "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": "-1", "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": "", "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": "1e3", "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": "NaN", "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": "$5", "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": "0.00000000001", "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (
        r#"{"spend_limit": {"amount": "99999999999999999999", "cycle": "daily"}}"#,
        "spend_limit.amount",
    ),
    (r#"{"spend_limit": {"amount": "5"}}"#, "spend_limit.cycle"),
    (
        r#"{"spend_limit": {"amount": "5", "cycle": "hourly"}}"#,
        "spend_limit.cycle",
    ),
    (
        r#"{"spend_limit": {"amount": "5", "cycle": null}}"#,
        "spend_limit.cycle",
    ),
    (r#"{"spend_limit": {"amount": "5", "cycle": 1}}"#, "spend_limit.cycle"),
    (r#"{"request_limit": 5}"#, "request_limit"),
    (r#"{"request_limit": {"cycle": "daily"}}"#, "request_limit.count"),
    (
        r#"{"request_limit": {"count": 0, "cycle": "daily"}}"#,
        "request_limit.count",
    ),
    (
        r#"{"request_limit": {"count": -1, "cycle": "daily"}}"#,
        "request_limit.count",
    ),
    (
        r#"{"request_limit": {"count": 1.5, "cycle": "daily"}}"#,
        "request_limit.count",
    ),
    (
        r#"{"request_limit": {"count": "5", "cycle": "daily"}}"#,
        "request_limit.count",
    ),
    (
        r#"{"request_limit": {"count": 1000000001, "cycle": "daily"}}"#,
        "request_limit.count",
    ),
    (
        r#"{"request_limit": {"count": 5, "cycle": "never"}}"#,
        "request_limit.cycle",
    ),
    (r#"{"rate_limit": {"rpm": 0}}"#, "rate_limit.rpm"),
    (r#"{"rate_limit": {}}"#, "rate_limit.rpm"),
    (r#"{"rate_limit": {"rpm": 1000001}}"#, "rate_limit.rpm"),
    (r#"{"rate_limit": {"rpm": 60, "burst": 0}}"#, "rate_limit.burst"),
    (r#"{"rate_limit": {"rpm": 60, "burst": "5"}}"#, "rate_limit.burst"),
    (r#"{"rate_limit": true}"#, "rate_limit"),
    (r#"{"max_parallel": 0}"#, "max_parallel"),
    (r#"{"max_parallel": -4}"#, "max_parallel"),
    (r#"{"max_parallel": "4"}"#, "max_parallel"),
    (r#"{"enforcement": "hard"}"#, "enforcement"),
    (r#"{"enforcement": 1}"#, "enforcement"),
    (r#"{"on_disconnect": "stop"}"#, "on_disconnect"),
    (r#"{"timezone": "Mars/Olympus"}"#, "timezone"),
    (r#"{"timezone": "+02:00"}"#, "timezone"),
    (r#"{"timezone": 2}"#, "timezone"),
    (r#"{"expires_at": "2020-01-01T00:00:00Z"}"#, "expires_at"),
    (r#"{"expires_at": "2030-01-01"}"#, "expires_at"),
    (r#"{"expires_at": "tomorrow"}"#, "expires_at"),
    (r#"{"expires_at": 1900000000}"#, "expires_at"),
    (r#"{"tags": "x"}"#, "tags"),
    (r#"{"tags": [1]}"#, "tags[0]"),
];

fn refuses(value: &Value, param: &str) {
    let error = SettingsChange::read(&body(value.clone()), NOW_MS).unwrap_err();
    assert_eq!(
        (error.code(), &error.extra()["param"]),
        (ErrorCode::InvalidRequest, &json!(param)),
        "{value}"
    );
    let mut whole = body(json!({"name": "n"}));
    whole.extend(body(value.clone()));
    assert_eq!(
        Creation::read(&whole, NOW_MS).unwrap_err().extra()["param"],
        param,
        "{value}"
    );
}

#[test]
fn every_bad_field_is_refused_by_its_name() {
    for (text, param) in BAD {
        refuses(&serde_json::from_str(text).unwrap(), param);
    }
}

#[test]
fn texts_and_lists_are_bounded() {
    let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    refuses(&json!({"name": "x".repeat(256)}), "name");
    refuses(&json!({"name": "x".repeat(300)}), "name");
    refuses(&json!({"name": "a\u{0}b"}), "name");
    refuses(&json!({"allowed_models": many}), "allowed_models");
    refuses(&json!({"allowed_models": ["x".repeat(256)]}), "allowed_models[0]");
    refuses(&json!({"tags": ["a\nb"]}), "tags[0]");
}

#[test]
fn an_unknown_field_is_refused_by_its_name_at_every_depth() {
    let table = [
        (json!({"spend_limt": null}), "spend_limt"),
        (
            json!({"spend_limit": {"amount": "5", "cycle": "daily", "currency": "USD"}}),
            "spend_limit.currency",
        ),
        (
            json!({"request_limit": {"count": 5, "cycle": "daily", "x": 1}}),
            "request_limit.x",
        ),
        (json!({"rate_limit": {"rpm": 5, "brust": 1}}), "rate_limit.brust"),
        (json!({"wallet_id": "wal_01HF7YAT000000000000000000"}), "wallet_id"),
        (json!({"current_spend": "0"}), "current_spend"),
    ];
    for (value, param) in table {
        let error = SettingsChange::read(&body(value.clone()), NOW_MS).unwrap_err();
        assert_eq!(
            (error.code(), &error.extra()["param"]),
            (ErrorCode::UnknownField, &json!(param)),
            "{value}"
        );
    }
    let grace = read_grace_seconds(&body(json!({"grace": 5}))).unwrap_err();
    assert_eq!(grace.code(), ErrorCode::UnknownField);
}

#[test]
fn a_creation_needs_a_name_and_takes_a_wallet_and_an_older_word() {
    for (value, param) in [
        (json!({}), "name"),
        (json!({"name": "n", "wallet_id": "mine"}), "wallet_id"),
        (json!({"name": "n", "wallet_id": 5}), "wallet_id"),
        (json!({"name": "n", "connection_id": 5}), "connection_id"),
    ] {
        assert_eq!(
            Creation::read(&body(value.clone()), NOW_MS).unwrap_err().extra()["param"],
            param,
            "{value}"
        );
    }
    let wallet = "wal_01HF7YAT000000000000000000";
    let creation = Creation::read(
        &body(json!({"name": "n", "wallet_id": wallet, "connection_id": "con_x"})),
        NOW_MS,
    )
    .unwrap();
    assert_eq!(creation.wallet_id.unwrap().to_string(), wallet);
}

#[test]
fn what_a_body_does_not_mention_stays() {
    let mut changed = settings();
    SettingsChange::read(&body(json!({})), NOW_MS)
        .unwrap()
        .apply(&mut changed);
    assert_eq!(changed, settings());
    let value = json!({"spend_limit": {"amount": "2.5", "cycle": "monthly"}, "status": "paused"});
    SettingsChange::read(&body(value), NOW_MS).unwrap().apply(&mut changed);
    let limit = SpendLimit {
        amount: Money::from_nanos(2_500_000_000),
        cycle: Cycle::Monthly,
    };
    let expected = KeySettings {
        spend_limit: Some(limit),
        status: KeyStatus::Paused,
        ..settings()
    };
    assert_eq!(changed, expected);
}

#[test]
fn null_clears_and_brings_defaults_back() {
    let nulls = json!({
        "allowed_models": null, "spend_limit": null, "enforcement": null, "on_disconnect": null,
        "timezone": null, "expires_at": null, "tags": null,
    });
    let mut changed = settings();
    SettingsChange::read(&body(nulls), NOW_MS).unwrap().apply(&mut changed);
    let expected = KeySettings {
        allowed_models: None,
        spend_limit: None,
        enforcement: Enforcement::Adaptive,
        on_disconnect: OnDisconnect::Drain,
        timezone: Tz::UTC,
        expires_at_ms: None,
        ..settings()
    };
    assert_eq!(changed, expected);
}

#[test]
fn good_values_at_the_edges_are_taken() {
    let value = json!({
        "name": "ü".repeat(255),
        "spend_limit": {"amount": "0.000000001", "cycle": "total"},
        "request_limit": {"count": 1_000_000_000, "cycle": "weekly"},
        "rate_limit": {"rpm": 1_000_000, "burst": null},
        "allowed_ips": ["::ffff:10.0.0.1", "10.1.2.3/8", "2001:db8::/32"],
        "expires_at": "2030-01-01T00:00:00+02:00",
    });
    let mut changed = settings();
    SettingsChange::read(&body(value), NOW_MS).unwrap().apply(&mut changed);
    let networks: Vec<String> = changed.allowed_ips.unwrap().iter().map(IpNet::to_string).collect();
    assert_eq!(networks, ["10.0.0.1/32", "10.0.0.0/8", "2001:db8::/32"]);
    assert_eq!(
        changed.rate_limit,
        Some(RateLimit {
            rpm: 1_000_000,
            burst: None
        })
    );
    assert_eq!(changed.expires_at_ms, Some(1_893_448_800_000));
    for (value, seconds) in [
        (json!({}), 0),
        (json!({"grace_seconds": 0}), 0),
        (json!({"grace_seconds": 86_400}), 86_400),
    ] {
        assert_eq!(read_grace_seconds(&body(value)).unwrap(), seconds);
    }
    for value in [
        json!({"grace_seconds": 86_401}),
        json!({"grace_seconds": -1}),
        json!({"grace_seconds": "5"}),
    ] {
        assert!(read_grace_seconds(&body(value)).is_err());
    }
}
