//! Keys and customers from the command line.

use serde_json::json;

use super::{refused, told};
use crate::support::house::{House, chat};

#[test]
fn a_key_has_every_limit_that_its_flags_say() {
    let house = House::new();
    let flags = "keys create --name desk --budget 5.00 --cycle daily --request-limit 100 --rpm 60 --burst 5 \
                 --max-parallel 3 --model gpt-* --model claude-* --provider openai --ip 127.0.0.1 --expires 7d \
                 --enforcement strict --on-disconnect cancel --timezone Europe/Berlin --tag one --tag two";
    let made = house.server.ask(&flags.split_whitespace().collect::<Vec<_>>());
    let expected = json!({
        "name": "desk",
        "spend_limit": { "amount": "5.00", "cycle": "daily" },
        "request_limit": { "count": 100, "cycle": "daily" },
        "rate_limit": { "rpm": 60, "burst": 5 },
        "max_parallel": 3,
        "allowed_models": ["gpt-*", "claude-*"],
        "allowed_providers": ["openai"],
        "allowed_ips": ["127.0.0.1"],
        "enforcement": "strict",
        "on_disconnect": "cancel",
        "timezone": "Europe/Berlin",
        "tags": ["one", "two"],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    assert!(made["expires_at"].is_string());
    let id = made["spend_key_id"].as_str().unwrap();
    let edit = format!("keys edit {id} --spend-limit none --model none --name table --expires none");
    let edit: Vec<&str> = edit.split(' ').collect();
    let edited = house.server.ask(&edit);
    assert_eq!(edited["name"], "table");
    for gone in ["spend_limit", "allowed_models", "expires_at"] {
        assert!(edited[gone].is_null(), "{gone}");
    }
    assert_eq!(edited["rate_limit"]["rpm"], 60);
    assert_eq!(refused(&house, &["keys", "edit", id]).0, 2);
    let (status, why) = refused(&house, &["keys", "create", "--budget", "a lot"]);
    assert_eq!(status, 1);
    assert!(why.contains("spend_limit"), "{why}");
}

#[test]
fn an_edit_of_a_limit_leaves_its_cycle_and_its_burst_as_they_were() {
    let house = House::new();
    let create =
        "keys create --budget 5.00 --cycle daily --request-limit 100 --request-cycle weekly --rpm 60 --burst 5";
    let made = house.server.ask(&create.split(' ').collect::<Vec<_>>());
    let id = made["spend_key_id"].as_str().unwrap();
    let edit = |flags: &str| {
        let words = format!("keys edit {id} {flags}");
        house.server.ask(&words.split(' ').collect::<Vec<_>>())
    };
    let edited = edit("--spend-limit 7.00 --request-limit 50 --rpm 100");
    assert_eq!(edited["spend_limit"], json!({ "amount": "7.00", "cycle": "daily" }));
    assert_eq!(edited["request_limit"], json!({ "count": 50, "cycle": "weekly" }));
    assert_eq!(edited["rate_limit"], json!({ "rpm": 100, "burst": 5 }));
    let edited = edit("--spend-limit 7.00 --cycle monthly --burst 9 --rpm 100");
    assert_eq!(edited["spend_limit"]["cycle"], "monthly");
    assert_eq!(edited["rate_limit"]["burst"], 9);
}

#[test]
fn a_script_takes_the_secret_alone_and_the_key_is_paused_rotated_and_revoked() {
    let house = House::new();
    let secret = told(&house, &["keys", "create", "--name", "scripted", "--quiet"]);
    let call = |key: &str| {
        house
            .caller(key.trim())
            .post("/v1/chat/completions", &chat("output_tokens=1"))
    };
    call(&secret).expect_status(200);
    let listed = house.server.ask(&["keys", "list"]);
    let id = listed["data"][0]["spend_key_id"].as_str().unwrap();
    assert!(told(&house, &["keys", "pause", id]).contains("is paused"));
    assert_eq!(call(&secret).error_code(), "key_paused");
    told(&house, &["keys", "resume", id]);
    let second = told(&house, &["keys", "rotate", id, "-q"]);
    assert_eq!(call(&secret).error_code(), "invalid_api_key");
    call(&second).expect_status(200);
    told(&house, &["keys", "revoke", id]);
    assert_eq!(call(&second).error_code(), "invalid_api_key");
}

#[test]
fn the_list_is_a_table_that_says_where_it_goes_on() {
    let house = House::new();
    assert!(told(&house, &["keys", "list"]).starts_with("No spend keys."));
    house.mint(json!({ "name": "Größe 予算", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let (id, _) = house.mint(json!({ "name": "plain" }));
    let table = told(&house, &["keys", "list"]);
    assert!(
        table.starts_with("ID") && table.contains("5.00 daily") && table.contains(&id),
        "{table}"
    );
    let one = told(&house, &["keys", "list", "--limit", "1"]);
    assert!(one.contains("more: --cursor "), "{one}");
    assert!(told(&house, &["keys", "show", &id]).contains("plain"));
}

#[test]
fn secret_keys_and_wallet_keys_are_known_by_their_ids() {
    let house = House::new();
    for kind in ["--secret", "--wallet"] {
        let made = house.server.ask(&["keys", "create", kind, "--name", "other"]);
        let id = ["secret_key_id", "wallet_key_id"]
            .into_iter()
            .find_map(|name| made[name].as_str())
            .unwrap();
        assert!(told(&house, &["keys", "list", kind]).contains(id), "{kind}");
        told(&house, &["keys", "revoke", id]);
        assert!(!told(&house, &["keys", "list", kind]).contains(id), "{kind}");
    }
    let (status, why) = refused(&house, &["keys", "create", "--secret", "--budget", "5"]);
    assert_eq!((status, why.contains("only spend keys")), (2, true));
}

#[test]
fn a_customer_is_made_shown_changed_and_forgotten() {
    let house = House::new();
    let create = [
        "customers",
        "create",
        "--reference-id",
        "jane",
        "--name",
        "Jane Doe",
        "--metadata",
        "team=a",
    ];
    assert_eq!(house.server.ask(&create)["metadata"], json!({ "team": "a" }));
    assert!(told(&house, &["customers", "list"]).contains("jane"));
    house
        .server
        .ask(&["customers", "edit", "jane", "--email", "jane@example.com"]);
    let shown = told(&house, &["customers", "show", "jane"]);
    assert!(
        shown.contains("jane@example.com") && shown.contains("credit left"),
        "{shown}"
    );
    told(&house, &["customers", "delete", "jane"]);
    assert_eq!(refused(&house, &["customers", "show", "jane"]).0, 1);
}
