//! What the audit log tells of routes and bodies.

use super::*;

#[test]
fn a_route_is_told_as_noun_and_verb() {
    let table = [
        ("POST", "/v1/spend_keys", "spend_keys.create"),
        ("PUT", "/v1/spend_keys/{id}", "spend_keys.update"),
        ("DELETE", "/v1/manage/spend_keys/{id}", "spend_keys.delete"),
        ("POST", "/v1/spend-keys/{id}/rotate", "spend_keys.rotate"),
        (
            "POST",
            "/v1/webhooks/{id}/deliveries/{delivery}/replay",
            "webhooks.replay",
        ),
        ("POST", "/v1/wallet/fund", "wallet.fund"),
        ("POST", "/dashboard/spend_keys/{id}/pause", "spend_keys.pause"),
        ("POST", "/dashboard/spend_keys/{id}", "spend_keys.update"),
        ("POST", "/operator/wallets/{id}/fund", "wallets.fund"),
    ];
    for (method, pattern, action) in table {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(action_of(&method, pattern), action, "{pattern}");
    }
}

#[test]
fn what_is_changed_is_read_from_the_path() {
    let table = [
        (
            "/v1/spend_keys/{id}/rotate",
            "/v1/spend_keys/spk_1/rotate",
            Some("spk_1"),
        ),
        ("/v1/customers/{id}", "/v1/customers/jane%40x", Some("jane@x")),
        ("/v1/spend_keys", "/v1/spend_keys", None),
    ];
    for (pattern, path, target) in table {
        assert_eq!(named(pattern, path).as_deref(), target, "{path}");
    }
}

#[test]
fn what_was_made_is_found_by_its_noun() {
    assert_eq!(
        id_in(&json!({"spend_key_id": "spk_1", "wallet_id": "wal_1"}), "spend_keys").as_deref(),
        Some("spk_1")
    );
    assert_eq!(id_in(&json!({"id": "x"}), "checkout_sessions").as_deref(), Some("x"));
    assert_eq!(id_in(&json!([1]), "spend_keys"), None);
}
