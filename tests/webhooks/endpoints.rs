//! The endpoints themselves: what is made, shown, changed and refused.

use serde_json::{Value, json};

use super::fixtures::{Post, check_signatures, hex, hmac, ok, receiver, standard_signature, url_of};
use crate::support::house::House;
use crate::support::server::eventually;

#[test]
fn an_endpoint_is_made_shown_without_its_secret_changed_and_deleted() {
    let house = House::new();
    let secret = house.server.client();
    let body = json!({ "name": "mine", "url": "https://8.8.8.8/hooks", "unknown": 1 });
    let made = secret.post("/v1/webhooks", &body).expect_status(201).json();
    assert!(made["webhook_secret"].as_str().unwrap().starts_with("whsec_"));
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("webhook_secret");
    let path = format!("/v1/webhooks/{}", made["webhook_id"].as_str().unwrap());
    assert_eq!(secret.get(&path).expect_status(200).json(), shown);
    let list = secret.get("/v1/webhooks").expect_status(200).json();
    assert_eq!(list, json!({ "data": [shown], "has_more": false, "next_cursor": null }));
    let events = json!(["customer.deleted", "customer.created", "customer.deleted"]);
    let changed = secret.patch(&path, &json!({ "name": "new", "events": events, "enabled": false }));
    let changed = changed.expect_status(200).json();
    assert_eq!(
        (&changed["name"], &changed["url"], &changed["enabled"]),
        (&json!("new"), &made["url"], &json!(false))
    );
    assert_eq!(changed["events"], json!(["customer.created", "customer.deleted"]));
    let all = secret
        .patch(&path, &json!({ "events": null }))
        .expect_status(200)
        .json();
    assert!(all["events"].is_null());
    let plain = "SELECT COUNT(*) FROM webhooks WHERE encode(secret, 'escape') LIKE '%whsec%'";
    assert_eq!(house.database.number(plain), 0);
    let deleted = secret.delete(&path).expect_status(200).json();
    assert_eq!(deleted, json!({ "id": made["webhook_id"], "deleted": true }));
    for answer in [secret.get(&path), secret.delete(&path), secret.patch(&path, &json!({}))] {
        assert_eq!(answer.status, 404);
    }
}

#[test]
fn what_is_wrong_is_named_and_a_fourth_endpoint_is_refused() {
    let house = House::new();
    let secret = house.server.client();
    let good = "https://8.8.8.8/hooks";
    let url = |url: &str| json!({ "name": "x", "url": url });
    #[rustfmt::skip]
    let table: Vec<(Value, &str)> = vec![
        (json!({ "url": good }), "name"), (json!({ "name": "x" }), "url"), (json!({ "name": "x", "url": 7 }), "url"),
        (url("http://8.8.8.8/hooks"), "url"), (url("https://127.0.0.1/"), "url"), (url("https://localhost/"), "url"),
        (url("https://10.0.0.7/"), "url"), (url("https://[::1]/"), "url"), (url("https://169.254.169.254/"), "url"),
        (url("https://0x7f.1/"), "url"), (url("https://2130706433/"), "url"), (url("hooks"), "url"),
        (url("https://me:secret@8.8.8.8/"), "url"), (url(&format!("{good}{}", "x".repeat(2048))), "url"),
        (json!({ "name": "x", "url": good, "events": [] }), "events"),
        (json!({ "name": "x", "url": good, "events": ["customer.eaten"] }), "events[0]"),
        (json!({ "name": "x", "url": good, "enabled": "yes" }), "enabled"),
    ];
    for (body, param) in table {
        let answer = secret.post("/v1/webhooks", &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    assert_eq!(house.database.number("SELECT COUNT(*) FROM webhooks"), 0);
    let made: Vec<Value> = (0..3)
        .map(|_| secret.post("/v1/webhooks", &url(good)).expect_status(201).json())
        .collect();
    assert_eq!(secret.post("/v1/webhooks", &url(good)).status, 400);
    let path = format!("/v1/webhooks/{}", made[0]["webhook_id"].as_str().unwrap());
    for body in [
        json!({ "url": "https://10.0.0.7/" }),
        json!({ "name": null }),
        json!({ "enabled": null }),
    ] {
        assert_eq!(secret.patch(&path, &body).status, 400, "{body}");
    }
    let rotate = secret.post(&format!("{path}/rotate"), &json!({ "grace_seconds": -1 }));
    assert_eq!(rotate.json()["error"]["param"], "grace_seconds");
    let listed = secret.get(&format!("{path}/deliveries?status=lost"));
    assert_eq!(listed.json()["error"]["param"], "status");
    assert_eq!(house.database.number("SELECT COUNT(*) FROM webhooks"), 3);
}

#[test]
fn another_merchant_sees_nothing_of_it() {
    let receiver = receiver(|_| ok());
    let post = Post::to(&[&receiver]);
    let endpoint = post.endpoint(&receiver);
    post.customers_come(1);
    let delivery = post.await_deliveries(&endpoint, "delivered", 1)[0]["delivery_id"].clone();
    let delivery = format!("{}/deliveries/{}", endpoint.path(), delivery.as_str().unwrap());
    let merchant = post.house.server.ask(&["merchants", "create", "--name", "Another"]);
    let arguments = ["keys", "create", "--secret", "--name", "x", "--merchant"];
    let merchant_id = merchant["merchant_id"].as_str().unwrap();
    let key = post.house.server.ask(&[&arguments[..], &[merchant_id]].concat());
    let other = post.house.caller(key["secret_key"].as_str().unwrap());
    let path = endpoint.path();
    let answers = [
        other.get(&path),
        other.patch(&path, &json!({ "name": "x" })),
        other.delete(&path),
        other.post(&format!("{path}/rotate"), &json!({})),
        other.get(&format!("{path}/deliveries")),
        other.get(&delivery),
        other.post(&format!("{delivery}/replay"), &json!({})),
    ];
    for answer in answers {
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
    assert_eq!(other.get("/v1/webhooks").expect_status(200).json()["data"], json!([]));
    assert_eq!(post.get(&path)["name"], "mine");
}

#[test]
fn both_secrets_sign_until_a_rotations_grace_has_ended() {
    let receiver = receiver(|_| ok());
    let post = Post::to(&[&receiver]);
    let endpoint = post.endpoint(&receiver);
    let secret = post.house.server.client();
    let rotate = |grace_s: u64| {
        let path = format!("{}/rotate", endpoint.path());
        let rotated = secret.post(&path, &json!({ "grace_seconds": grace_s }));
        rotated.expect_status(200).json()
    };
    let rotated = rotate(600);
    assert!(!rotated["previous_secret_expires_at"].is_null());
    let new = rotated["webhook_secret"].as_str().unwrap().to_owned();
    post.customers_come(1);
    eventually("it is told", || receiver.seen().len() == 1);
    let seen = receiver.last();
    let both = [&new, &endpoint.secret].map(|secret| standard_signature(secret, &seen));
    assert_eq!(seen.header("webhook-signature"), Some(both.join(" ").as_str()));
    let plain = [&new, &endpoint.secret].map(|secret| hex(&hmac(secret.as_bytes(), &seen.text())));
    assert_eq!(seen.header("x-webhook-signature"), Some(plain[0].as_str()));
    assert_eq!(seen.header("x-webhook-signature-previous"), Some(plain[1].as_str()));
    let newest = rotate(0)["webhook_secret"].as_str().unwrap().to_owned();
    post.customers_come(1);
    eventually("it is told", || receiver.seen().len() == 2);
    check_signatures(&newest, &receiver.last());
    assert_eq!(receiver.last().header("x-webhook-signature-previous"), None);
}

#[test]
fn an_endpoint_that_asks_in_older_words_is_told_in_them_with_the_same_signatures() {
    let (older, todays) = (receiver(|_| ok()), receiver(|_| ok()));
    let post = Post::to(&[&older, &todays]);
    let names = [
        "connection.created",
        "connection.wallet.balance.updated",
        "connection.deleted",
    ];
    let both = json!({ "name": "x", "url": url_of(&older), "events": ["customer.created", "connection.created"] });
    let refused = post
        .house
        .server
        .client()
        .post("/v1/webhooks", &both)
        .expect_status(400);
    assert_eq!(refused.json()["error"]["param"], "events");
    let made = post.create(&json!({ "name": "x", "url": url_of(&older), "events": names }));
    assert_eq!(made["events"], json!(names));
    post.endpoint(&todays);
    let customer = post.customer("Jane Smith");
    eventually("his coming is told", || older.seen().len() == 1);
    post.changes(customer, "Joan Smith");
    post.hurry();
    eventually("his balance is told", || older.seen().len() == 2);
    let client = post.house.server.client();
    client.delete(&format!("/v1/connections/{customer}")).expect_status(200);
    eventually("his going is told", || {
        older.seen().len() == 3 && todays.seen().len() == 3
    });
    for (place, (older, todays)) in older.seen().iter().zip(todays.seen()).enumerate() {
        check_signatures(made["webhook_secret"].as_str().unwrap(), older);
        let [older, todays] = [&older.body, &todays.body].map(|body| serde_json::from_slice::<Value>(body).unwrap());
        assert_eq!(older["event"], names[place]);
        assert_eq!(todays["event"], names[place].replace("connection", "customer"));
        let data = &older["data"];
        assert_eq!(
            (&data["connection_id"], &data["customer_id"]),
            (&json!(customer), &todays["data"]["customer_id"])
        );
        assert_eq!(
            (&data["customer"], &data["contact"]),
            (&data["contact"], &todays["data"]["contact"])
        );
        assert_eq!(data["has_lava_credit_balance"], false);
        assert!(todays["data"].get("connection_id").is_none());
    }
}

#[test]
fn an_endpoint_gets_only_the_events_that_it_asks_for_and_none_while_it_is_disabled() {
    let receiver = receiver(|_| ok());
    let post = Post::to(&[&receiver]);
    let body = json!({ "name": "x", "url": url_of(&receiver), "events": ["customer.deleted"] });
    post.create(&body);
    let off = json!({ "name": "x", "url": url_of(&receiver), "enabled": false });
    post.create(&off);
    post.customers_come(3);
    assert_eq!(post.house.database.number("SELECT COUNT(*) FROM webhook_deliveries"), 0);
    assert_eq!(post.house.database.number("SELECT COUNT(*) FROM webhook_events"), 0);
    post.happens(caldera::domain::webhook::EventName::CustomerDeleted, 1, json!({}));
    eventually("it is told", || receiver.seen().len() == 1);
    assert!(receiver.last().text().starts_with(r#"{"event":"customer.deleted""#));
}
