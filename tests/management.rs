//! The management API over the real server: what it refuses, how it pages, what stands in its headers.

use serde_json::{Value, json};

use crate::support::house::House;

/// Bodies of a new key that are wrong, and the parameter that each answer must name.
fn bad_keys() -> Vec<(Value, &'static str)> {
    vec![
        (json!({}), "name"),
        (json!({ "name": 7 }), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(300) }), "name"),
        (
            json!({ "name": "x", "spend_limit": { "amount": "0", "cycle": "daily" } }),
            "spend_limit.amount",
        ),
        (
            json!({ "name": "x", "spend_limit": { "amount": "-1", "cycle": "daily" } }),
            "spend_limit.amount",
        ),
        (
            json!({ "name": "x", "spend_limit": { "amount": "1.00000000001", "cycle": "daily" } }),
            "spend_limit.amount",
        ),
        (
            json!({ "name": "x", "spend_limit": { "amount": 5, "cycle": "daily" } }),
            "spend_limit.amount",
        ),
        (
            json!({ "name": "x", "spend_limit": { "amount": "1e3", "cycle": "daily" } }),
            "spend_limit.amount",
        ),
        (
            json!({ "name": "x", "spend_limit": { "amount": "5.00", "cycle": "hourly" } }),
            "spend_limit.cycle",
        ),
        (
            json!({ "name": "x", "spend_limit": { "amount": "5.00" } }),
            "spend_limit.cycle",
        ),
        (json!({ "name": "x", "spend_limit": "5.00" }), "spend_limit"),
        (
            json!({ "name": "x", "request_limit": { "count": 0, "cycle": "daily" } }),
            "request_limit.count",
        ),
        (
            json!({ "name": "x", "request_limit": { "count": 1.5, "cycle": "daily" } }),
            "request_limit.count",
        ),
        (json!({ "name": "x", "rate_limit": { "rpm": 0 } }), "rate_limit.rpm"),
        (
            json!({ "name": "x", "rate_limit": { "rpm": 5, "burst": -1 } }),
            "rate_limit.burst",
        ),
        (json!({ "name": "x", "allowed_models": [] }), "allowed_models"),
        (
            json!({ "name": "x", "allowed_providers": "openai" }),
            "allowed_providers",
        ),
        (json!({ "name": "x", "allowed_ips": ["not an address"] }), "allowed_ips"),
        (
            json!({ "name": "x", "expires_at": "2020-01-01T00:00:00Z" }),
            "expires_at",
        ),
        (json!({ "name": "x", "expires_at": "tomorrow" }), "expires_at"),
        (json!({ "name": "x", "status": "revoked" }), "status"),
        (json!({ "name": "x", "timezone": "Mars/Olympus" }), "timezone"),
        (json!({ "name": "x", "spend_limti": null }), "spend_limti"),
    ]
}

#[test]
fn every_bad_input_names_its_parameter_and_writes_nothing() {
    let house = House::new();
    let secret = house.server.client();
    for (body, param) in bad_keys() {
        let answer = secret.post("/v1/spend_keys", &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        let named = answer.json()["error"]["param"].as_str().unwrap_or_default().to_owned();
        assert!(named.starts_with(param), "{body}: {named}");
    }
    for body in [&b"{"[..], b"[]", b"null", b"\xff", br#"{"name":"x","name":"y"}"#] {
        assert_eq!(secret.send("POST", "/v1/spend_keys", Some(body.to_vec())).status, 400);
    }
    let large = json!({ "name": "x", "tags": ["y".repeat(70_000)] });
    assert_eq!(secret.post("/v1/spend_keys", &large).status, 413);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM spend_keys"), 0);
}

#[test]
fn bad_queries_and_paths_are_refused_in_the_envelope() {
    let house = House::new();
    let secret = house.server.client();
    let table = [
        ("/v1/spend_keys?limit=0", 400),
        ("/v1/spend_keys?limit=101", 400),
        ("/v1/spend_keys?limit=x", 400),
        ("/v1/spend_keys?cursor=junk", 400),
        ("/v1/usage", 400),
        ("/v1/usage?start=yesterday", 400),
        ("/v1/requests?metadata_filters=junk", 400),
        ("/v1/spend_keys/spk_junk", 404),
        ("/v1/requests/req_00000000000000000000000000", 404),
        ("/v1/nothing", 404),
        ("/nothing", 404),
    ];
    for (path, status) in table {
        let answer = secret.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.json()["error"]["status"], status, "{path}");
        assert!(answer.json()["error"]["code"].is_string(), "{path}");
    }
    assert_eq!(secret.patch("/v1/spend_keys", &json!({})).status, 405);
    assert_eq!(secret.get("/v1/chat/completions").status, 405);
}

#[test]
fn lists_page_newest_first_until_the_cursor_is_null() {
    let house = House::new();
    for number in 0..7 {
        house.mint(json!({ "name": format!("key {number}") }));
    }
    let (mut path, mut names) = ("/v1/spend_keys?limit=3".to_owned(), Vec::new());
    loop {
        let page = house.server.client().get(&path).expect_status(200).json();
        names.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key["name"].as_str().unwrap().to_owned()),
        );
        assert_eq!(page["has_more"], !page["next_cursor"].is_null());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/spend_keys?limit=3&cursor={cursor}");
    }
    let expected: Vec<String> = (0..7).rev().map(|number| format!("key {number}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn an_update_changes_what_it_names_and_null_clears() {
    let house = House::new();
    let limit = json!({ "amount": "5.00", "cycle": "daily" });
    let (id, _) =
        house.mint(json!({ "name": "one", "spend_limit": limit, "rate_limit": { "rpm": 60 }, "tags": ["a"] }));
    let path = format!("/v1/spend_keys/{id}");
    let renamed = house
        .server
        .client()
        .put(&path, &json!({ "name": "two" }))
        .expect_status(200)
        .json();
    assert_eq!((&renamed["name"], &renamed["spend_limit"]), (&json!("two"), &limit));
    assert_eq!(renamed["rate_limit"], json!({ "rpm": 60, "burst": null }));
    let cleared = house
        .server
        .client()
        .patch(&path, &json!({ "spend_limit": null, "rate_limit": null }))
        .expect_status(200)
        .json();
    assert!(cleared["spend_limit"].is_null() && cleared["rate_limit"].is_null());
    assert_eq!(house.key(&id)["name"], "two");
    assert!(house.key(&id)["key_preview"].as_str().unwrap().ends_with("****"));
}

#[test]
fn management_is_limited_by_the_minute_and_says_so() {
    let house = House::with(|settings| settings.variable("CALDERA__MANAGEMENT__REQUESTS_PER_MINUTE", 3));
    let secret = house.server.client();
    let answer = secret.get("/v1/spend_keys").expect_status(200);
    assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
    assert!(answer.header("x-ratelimit-remaining").is_some() && answer.header("x-ratelimit-reset").is_some());
    let limited = (0..4)
        .map(|_| secret.get("/v1/spend_keys"))
        .find(|answer| answer.status == 429)
        .unwrap();
    assert_eq!(limited.error_code(), "rate_limited");
    assert!(limited.header("retry-after").is_some());
}

#[test]
fn junk_credentials_are_refused() {
    let house = House::new();
    for token in [
        "",
        "x",
        "aks_live_",
        "lava_sk_short",
        "Bearer",
        "e30=",
        &"y".repeat(5_000),
    ] {
        let answer = house.caller(token).get("/v1/spend_keys");
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (401, "invalid_api_key"),
            "{token}"
        );
    }
}
