//! Webhooks: endpoints and what became of their events, and what is told again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::scripted::{Scripted, answer};
use crate::support::server::{eventually, secret_key};
use crate::support::visitor::Visitor;

const HOME: &str = "/dashboard/webhooks";
const NEW: &str = "/dashboard/webhooks/new";

/// A house that may send to this receiver.
fn house_and_visitor(receiver: &Scripted) -> (House, Visitor) {
    let place = format!("127.0.0.1:{}", receiver.port);
    let house = House::with(|settings| settings.variable("CALDERA__WEBHOOKS__ALLOW_PRIVATE_HOSTS", place));
    let visitor = Visitor::signed_in(&house.server, secret_key());
    (house, visitor)
}

fn url_of(receiver: &Scripted) -> String {
    format!("http://127.0.0.1:{}/hooks", receiver.port)
}

fn secret_at(visitor: &Visitor, path: &str) -> Option<String> {
    let page = visitor.page(path);
    let (_, rest) = page.split_once("id=\"secret-text\">")?;
    rest.split('<').next().map(str::to_owned)
}

/// Makes an endpoint by the form, and gives its page and where its secret is.
fn make(visitor: &mut Visitor, receiver: &Scripted, more: &[(&str, &str)]) -> (String, String) {
    let url = url_of(receiver);
    let fields = [&[("name", "mine"), ("url", url.as_str())], more].concat();
    let answer = visitor.submit(NEW, HOME, &fields).expect_status(303);
    let to = answer.header("location").unwrap().to_owned();
    let path = to.split("/secret").next().unwrap().to_owned();
    (path, to)
}

fn stored(house: &House, path: &str) -> Value {
    let id = path.rsplit('/').next().unwrap();
    house
        .server
        .client()
        .get(&format!("/v1/webhooks/{id}"))
        .expect_status(200)
        .json()
}

fn customer_comes(house: &House, name: &str) {
    let made = house.server.client().post("/v1/customers", &json!({ "name": name }));
    made.expect_status(201);
}

#[test]
fn an_endpoint_is_made_shown_its_secret_once_edited_rotated_and_deleted() {
    let receiver = Scripted::start(|_| answer("200 OK", &[], b"thanks"));
    let (house, mut visitor) = house_and_visitor(&receiver);
    assert!(visitor.page(HOME).contains("No webhooks yet"));
    let (path, to) = make(
        &mut visitor,
        &receiver,
        &[("events", "customer.created"), ("events", "customer.deleted")],
    );
    let secret = secret_at(&visitor, &to).expect("it is shown");
    assert!(secret.starts_with("whsec_"));
    assert_eq!(secret_at(&visitor, &to), None, "reloading shows it no more");
    assert_eq!(
        stored(&house, &path)["events"],
        json!(["customer.created", "customer.deleted"])
    );
    let form = visitor.page(&format!("{path}/edit"));
    assert!(
        form.contains("value=\"customer.created\" checked")
            && !form.contains("value=\"spend_key.threshold.reached\" checked")
    );

    let url = url_of(&receiver);
    visitor
        .submit(&format!("{path}/edit"), &path, &[("name", "renamed"), ("url", &url)])
        .expect_status(303);
    let endpoint = stored(&house, &path);
    assert_eq!(
        (&endpoint["name"], &endpoint["events"]),
        (&json!("renamed"), &Value::Null)
    );

    let to = visitor
        .submit(&path, &format!("{path}/rotate"), &[("grace_seconds", "3600")])
        .expect_status(303);
    let rotated = secret_at(&visitor, to.header("location").unwrap()).expect("the new secret is shown");
    assert_ne!(rotated, secret);
    assert!(visitor.page(&path).contains("Old secret ends"));

    visitor
        .submit(&path, &format!("{path}/disable"), &[])
        .expect_status(303);
    assert_eq!(stored(&house, &path)["enabled"], false);
    assert!(visitor.page(HOME).contains("Disabled"));
    visitor.submit(&path, &format!("{path}/enable"), &[]).expect_status(303);
    assert_eq!(stored(&house, &path)["enabled"], true);

    visitor.submit(&path, &format!("{path}/delete"), &[]).expect_status(303);
    assert!(visitor.get(&path).text().contains("There is no such webhook"));
}

#[test]
fn what_is_wrong_with_an_endpoint_stands_beside_its_field() {
    let receiver = Scripted::start(|_| answer("200 OK", &[], b""));
    let (house, mut visitor) = house_and_visitor(&receiver);
    let table: [(&[(&str, &str)], &str); 4] = [
        (&[("name", ""), ("url", "https://example.com")], "wrong-name"),
        (&[("name", "n"), ("url", "example")], "wrong-url"),
        (&[("name", "n"), ("url", "http://127.0.0.1:1/x")], "wrong-url"),
        (
            &[("name", "n"), ("url", "https://example.com"), ("events", "x")],
            "wrong-events",
        ),
    ];
    for (fields, wrong) in table {
        let answer = visitor.submit(NEW, HOME, fields);
        assert_eq!(answer.status, 422, "{fields:?}");
        let page = answer.text();
        assert!(page.contains(&format!("id=\"{wrong}\"")), "{wrong}: {page}");
        assert!(page.contains(&format!("value=\"{}\"", fields[1].1)), "{wrong}: {page}");
    }
    for _ in 0..3 {
        make(&mut visitor, &receiver, &[]);
    }
    assert!(!visitor.page(HOME).contains(NEW), "there are at most three");
    let one_more = visitor.submit(NEW, HOME, &[("name", "n"), ("url", &url_of(&receiver))]);
    assert!(one_more.text().contains("one too many"), "{}", one_more.text());
    assert_eq!(
        house.server.client().get("/v1/webhooks").json()["data"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn what_was_given_up_is_told_again_on_demand() {
    let is_up = Arc::new(AtomicBool::new(false));
    let seen_up = is_up.clone();
    let receiver = Scripted::start(move |_| {
        if seen_up.load(Ordering::SeqCst) {
            answer("200 OK", &[], b"thanks")
        } else {
            answer("500 Oops", &[], b"<b>not now</b>")
        }
    });
    let (house, mut visitor) = house_and_visitor(&receiver);
    let (path, _) = make(&mut visitor, &receiver, &[]);
    customer_comes(&house, "<script>alert(1)</script>");
    eventually("it was tried", || visitor.page(&path).contains("<td>500</td>"));
    // As after the last of its attempts.
    house
        .database
        .execute("UPDATE webhook_deliveries SET status = 'dead', ended_at = now() WHERE leased_until IS NULL");
    let page = visitor.page(&format!("{path}?status=dead"));
    assert!(page.contains("Given up") && page.contains("customer.created"), "{page}");
    assert!(visitor.page(HOME).contains("Some events given up"));
    let delivery = page.split("/deliveries/").nth(1).unwrap().split('"').next().unwrap();
    let delivery = format!("{path}/deliveries/{delivery}");
    let page = visitor.page(&delivery);
    assert!(
        page.contains("&lt;b&gt;not now") || page.contains("&#60;b&#62;not now"),
        "{page}"
    );
    assert!(page.contains("alert(1)") && !page.contains("<script>alert"), "{page}");

    is_up.store(true, Ordering::SeqCst);
    let to = visitor
        .submit(&delivery, &format!("{delivery}/replay"), &[])
        .expect_status(303);
    assert!(visitor.page(to.header("location").unwrap()).contains("Due at once."));
    eventually("it is delivered", || {
        visitor.page(&delivery).contains("mark good\">Delivered")
    });
    assert!(visitor.page(&path).contains("<td>replay</td>"));

    visitor
        .submit(&path, &format!("{path}/disable"), &[])
        .expect_status(303);
    let refused = visitor.submit(&path, &format!("{delivery}/replay"), &[]);
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("enable it first"), "{}", refused.text());
}

#[test]
fn another_merchants_endpoint_and_its_deliveries_are_not_there() {
    let receiver = Scripted::start(|_| answer("200 OK", &[], b""));
    let (house, mut visitor) = house_and_visitor(&receiver);
    let stranger = house.stranger();
    let body = json!({ "name": "his", "url": url_of(&receiver) });
    let his = stranger.post("/v1/webhooks", &body).expect_status(201).json();
    let his = format!("/v1/webhooks/{}", his["webhook_id"].as_str().unwrap());
    stranger
        .post("/v1/customers", &json!({ "name": "his" }))
        .expect_status(201);
    let deliveries = || stranger.get(&format!("{his}/deliveries?status=delivered")).json()["data"].clone();
    eventually("it is delivered", || deliveries().as_array().unwrap().len() == 1);
    let delivery = deliveries()[0]["delivery_id"].as_str().unwrap().to_owned();
    let path = his.replace("/v1", "/dashboard");
    let (own, _) = make(&mut visitor, &receiver, &[]);
    for page in [
        path.clone(),
        format!("{path}/edit"),
        format!("{path}/secret"),
        format!("{path}/deliveries/{delivery}"),
        format!("{own}/deliveries/{delivery}"),
    ] {
        assert_eq!(visitor.get(&page).status, 404, "{page}");
    }
    for verb in [
        "rotate",
        "delete",
        "disable",
        "enable",
        &format!("deliveries/{delivery}/replay"),
    ] {
        assert_eq!(
            visitor.submit(NEW, &format!("{path}/{verb}"), &[]).status,
            404,
            "{verb}"
        );
    }
    assert_eq!(
        visitor
            .submit(NEW, &format!("{own}/deliveries/{delivery}/replay"), &[])
            .status,
        404
    );
    assert!(!visitor.page(HOME).contains("his"));
}
