//! Customers over the real server: what is kept of them, by which names they are found, and by whom.

use std::collections::HashSet;

use caldera::domain::ids::CustomerId;
use serde_json::{Map, Value, json};

use crate::support::house::{House, chat};
use crate::support::http::Client;

fn make(house: &House, body: Value) -> Value {
    house
        .server
        .client()
        .post("/v1/customers", &body)
        .expect_status(201)
        .json()
}

fn id_of(customer: &Value) -> String {
    customer["customer_id"].as_str().unwrap().to_owned()
}

/// A client of a merchant of his own.
fn other_merchant(house: &House) -> Client {
    let run = |arguments: &[&str]| house.server.ask(arguments);
    let merchant = run(&["merchants", "create", "--name", "second"]);
    let merchant_id = merchant["merchant_id"].as_str().unwrap();
    let key = run(&["keys", "create", "--secret", "--merchant", merchant_id]);
    house.caller(key["secret_key"].as_str().or(key["key"].as_str()).unwrap())
}

#[test]
fn a_customer_is_kept_as_he_was_given_and_found_by_both_names() {
    let mut house = House::new();
    let metadata = json!({ "seats": 3, "vip": true, "tags": ["a", { "b": null }], "ratio": 0.5 });
    let made = make(
        &house,
        json!({
            "reference_id": "user 1/é+%", "name": "Jane van Smith", "email": "jane@example.com",
            "phone": "+15551234567", "metadata": metadata, "unknown": "is ignored",
        }),
    );
    assert!(id_of(&made).starts_with("con_"));
    let contact = json!({
        "phone": "+15551234567", "email": "jane@example.com", "first_name": "Jane", "last_name": "van Smith",
    });
    assert_eq!((&made["contact"], &made["metadata"]), (&contact, &metadata));
    assert_eq!(made["reference_id"], "user 1/é+%");
    let brief = &made["subscription"];
    assert_eq!((&brief["name"], &brief["status"]), (&json!("Free"), &json!("active")));
    let bare = make(&house, json!({}));
    let nothing = json!({ "phone": "", "email": "", "first_name": "", "last_name": "" });
    assert_eq!((&bare["contact"], &bare["metadata"]), (&nothing, &Value::Null));
    let paths = [
        format!("/v1/customers/{}", id_of(&made)),
        "/v1/customers/user%201%2F%C3%A9%2B%25".to_owned(),
    ];
    for path in &paths {
        assert_eq!(
            house.server.client().get(path).expect_status(200).json(),
            made,
            "{path}"
        );
        let subscription = house.server.client().get(&format!("{path}/subscription"));
        let whole = subscription.expect_status(200).json()["subscription"].clone();
        assert_eq!(whole["subscription_id"], brief["subscription_id"]);
        assert_eq!(
            (&whole["plan"]["period_amount"], &whole["credits"]["total_remaining"]),
            (&json!("0.00"), &json!("0.00"))
        );
    }
    house.server.kill();
    house.server.start_again();
    assert_eq!(house.server.client().get(&paths[1]).expect_status(200).json(), made);
}

#[test]
fn every_bad_field_is_named_and_nothing_is_written() {
    let house = House::new();
    let secret = house.server.client();
    let pairs = |count: usize| -> Map<String, Value> { (0..count).map(|n| (format!("k{n}"), json!("v"))).collect() };
    let long = "x".repeat(256);
    let table = [
        (json!({ "reference_id": "con_mine" }), "reference_id"),
        (json!({ "reference_id": "" }), "reference_id"),
        (json!({ "reference_id": 7 }), "reference_id"),
        (json!({ "reference_id": long }), "reference_id"),
        (json!({ "name": long }), "name"),
        (json!({ "email": "jane@example" }), "email"),
        (json!({ "phone": "5551234567" }), "phone"),
        (json!({ "metadata": pairs(101) }), "metadata"),
        (json!({ "metadata": { "a": "x".repeat(17_000) } }), "metadata"),
        (json!({ "metadata": { "a": "\u{0}" } }), "metadata"),
        (json!({ "metadata": "x" }), "metadata"),
    ];
    let kept = make(&house, json!({ "metadata": pairs(100) }));
    for (body, param) in &table {
        let path = format!("/v1/customers/{}", id_of(&kept));
        for answer in [secret.post("/v1/customers", body), secret.patch(&path, body)] {
            assert_eq!(answer.status, 400, "{body}: {}", answer.text());
            assert_eq!(answer.json()["error"]["param"], *param, "{body}");
        }
    }
    for body in [&b"{"[..], b"[]", b"null", br#"{"metadata":{"a":1,"a":2}}"#] {
        assert_eq!(secret.send("POST", "/v1/customers", Some(body.to_vec())).status, 400);
    }
    assert_eq!(secret.get("/v1/customers?limit=0").status, 400);
    assert_eq!(secret.get("/v1/customers?cursor=junk").status, 400);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM customers"), 1);
    assert_eq!(secret.get(&format!("/v1/customers/{}", id_of(&kept))).json(), kept);
}

#[test]
fn a_change_leaves_what_it_does_not_mention_and_null_clears() {
    let house = House::new();
    let secret = house.server.client();
    let made = make(
        &house,
        json!({ "reference_id": "u1", "name": "Jane Smith", "metadata": { "a": 1 } }),
    );
    make(&house, json!({ "reference_id": "taken" }));
    let path = format!("/v1/customers/{}", id_of(&made));
    let changed = secret.patch("/v1/customers/u1", &json!({ "email": "j@example.com" }));
    let changed = changed.expect_status(200).json();
    assert_eq!(
        (
            &changed["contact"]["email"],
            &changed["contact"]["last_name"],
            &changed["metadata"]
        ),
        (&json!("j@example.com"), &json!("Smith"), &json!({ "a": 1 }))
    );
    let conflict = secret
        .patch(&path, &json!({ "reference_id": "taken" }))
        .expect_status(409);
    assert_eq!(conflict.json()["error"]["param"], "reference_id");
    let renamed = json!({ "reference_id": "u2", "name": null, "metadata": null, "email": null });
    let renamed = secret.patch(&path, &renamed).expect_status(200).json();
    assert_eq!(
        (
            &renamed["reference_id"],
            &renamed["metadata"],
            &renamed["contact"]["email"]
        ),
        (&json!("u2"), &Value::Null, &json!(""))
    );
    assert_eq!(secret.get("/v1/customers/u1").status, 404);
    assert_eq!(secret.get("/v1/customers/u2").expect_status(200).json(), renamed);
    let cleared = secret.patch(&path, &json!({ "reference_id": null })).expect_status(200);
    assert!(cleared.json()["reference_id"].is_null());
    assert_eq!(secret.get("/v1/customers/u2").status, 404);
}

#[test]
fn a_deleted_customer_is_unknown_and_his_reference_id_is_free() {
    let house = House::new();
    let secret = house.server.client();
    let first = make(&house, json!({ "reference_id": "u1" }));
    let deleted = secret.delete("/v1/customers/u1").expect_status(200).json();
    assert_eq!(deleted, json!({ "success": true }));
    for path in [
        format!("/v1/customers/{}", id_of(&first)),
        "/v1/customers/u1".to_owned(),
    ] {
        let missing = [
            secret.get(&path),
            secret.get(&format!("{path}/subscription")),
            secret.patch(&path, &json!({ "name": "x" })),
            secret.delete(&path),
        ];
        for answer in missing {
            assert_eq!(
                (answer.status, answer.error_code().as_str()),
                (404, "customer_not_found")
            );
        }
    }
    let second = make(&house, json!({ "reference_id": "u1" }));
    assert_ne!(id_of(&second), id_of(&first));
    assert_eq!(house.database.number("SELECT COUNT(*) FROM customers"), 2);
    let listed = secret.get("/v1/customers").expect_status(200).json();
    assert_eq!(listed["data"], json!([second]));
}

#[test]
fn a_customer_of_another_merchant_is_not_there_by_any_name() {
    let house = House::new();
    let other = other_merchant(&house);
    let mine = make(&house, json!({ "reference_id": "shared" }));
    let theirs = other
        .post("/v1/customers", &json!({ "reference_id": "shared" }))
        .expect_status(201)
        .json();
    assert_ne!(id_of(&mine), id_of(&theirs));
    assert_eq!(other.get("/v1/customers/shared").expect_status(200).json(), theirs);
    let path = format!("/v1/customers/{}", id_of(&mine));
    assert_eq!(other.get(&path).status, 404);
    assert_eq!(other.get(&format!("{path}/subscription")).status, 404);
    assert_eq!(other.patch(&path, &json!({ "name": "x" })).status, 404);
    assert_eq!(other.delete(&path).status, 404);
    // A reference id cannot be made to look like the other's id.
    let imitation = json!({ "reference_id": id_of(&mine) });
    assert_eq!(other.post("/v1/customers", &imitation).status, 400);
    let listed = other.get("/v1/customers").expect_status(200).json();
    assert_eq!(listed["data"], json!([theirs]));
    assert_eq!(house.server.client().get(&path).expect_status(200).json(), mine);
}

#[test]
fn lists_page_newest_first() {
    let house = House::new();
    let mut made: Vec<String> = (0..7)
        .map(|n| id_of(&make(&house, json!({ "reference_id": format!("u{n}") }))))
        .collect();
    made.reverse();
    let (mut path, mut seen) = ("/v1/customers?limit=3".to_owned(), Vec::new());
    loop {
        let page = house.server.client().get(&path).expect_status(200).json();
        seen.extend(page["data"].as_array().unwrap().iter().map(id_of));
        assert_eq!(page["has_more"], !page["next_cursor"].is_null());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/customers?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, made);
}

#[test]
fn twins_with_one_reference_id_get_one_customer() {
    let house = House::new();
    let body = json!({ "reference_id": "twin", "name": "First" });
    let answers: Vec<_> = std::thread::scope(|scope| {
        let twin = || house.server.client().post("/v1/customers", &body);
        let running: Vec<_> = (0..20).map(|_| scope.spawn(twin)).collect();
        running.into_iter().map(|twin| twin.join().unwrap()).collect()
    });
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(
        (made, answers.iter().filter(|answer| answer.status == 200).count()),
        (1, 19)
    );
    let ids: HashSet<String> = answers.iter().map(|answer| id_of(&answer.json())).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM customers"), 1);
    // Who comes later changes nothing.
    let again = house
        .server
        .client()
        .post("/v1/customers", &json!({ "reference_id": "twin", "name": "Second" }));
    assert_eq!(again.expect_status(200).json()["contact"]["first_name"], "First");
}

#[test]
fn lists_and_usage_take_his_reference_id_for_him() {
    let house = House::new();
    let client = house.server.client();
    let him = make(&house, json!({ "reference_id": "user-1" }));
    make(&house, json!({ "reference_id": "user-2" }));
    for _ in 0..2 {
        let answer = client.post("/v1/chat/completions", &chat("")).expect_status(200);
        house.row(&answer);
    }
    let id: CustomerId = id_of(&him).parse().unwrap();
    let uuid = id.uuid();
    house.database.execute(&format!(
        "UPDATE requests SET customer_id = '{uuid}' WHERE id = (SELECT id FROM requests LIMIT 1)"
    ));
    house.database.execute(&format!(
        "INSERT INTO usage_quarters SELECT merchant_id, '{uuid}', meter_id, quarter, 1, 0, 0, 0 FROM usage_quarters \
         WHERE owner_id = merchant_id LIMIT 1"
    ));
    for (name, count) in [(id_of(&him).as_str(), 1), ("user-1", 1), ("user-2", 0)] {
        let listed = client.get(&format!("/v1/requests?customer_id={name}")).json();
        assert_eq!(listed["data"].as_array().unwrap().len(), count, "{name}");
        let usage = client.get(&format!("/v1/usage?start=2020-01-01T00:00:00Z&customer_id={name}"));
        assert_eq!(usage.json()["totals"]["total_requests"], count, "{name}");
    }
    for path in ["/v1/requests?", "/v1/usage?start=2020-01-01T00:00:00Z&"] {
        let unknown = client.get(&format!("{path}customer_id=user-3")).expect_status(404);
        assert_eq!(unknown.error_code(), "customer_not_found");
        assert_eq!(unknown.json()["error"]["param"], "customer_id");
    }
    // Another's reference ids are his own.
    assert_eq!(
        other_merchant(&house).get("/v1/requests?customer_id=user-1").status,
        404
    );
    // Who is deleted keeps his usage, under his id alone.
    client.delete("/v1/customers/user-1").expect_status(200);
    assert_eq!(client.get("/v1/requests?customer_id=user-1").status, 404);
    let kept = client.get(&format!("/v1/requests?customer_id={id}")).json();
    assert_eq!(kept["data"].as_array().unwrap().len(), 1);
}
