//! The plan on which customers begin: from their creation, after another has ended, and whatever crash came between.

use serde_json::{Value, json};

use super::{PATH, customer, free_plan, subscribe, subscription, text};
use crate::support::house::House;
use crate::support::server::eventually;

/// The merchant's own Free plan, which was his first.
fn free(house: &House) -> String {
    let listed = house
        .server
        .client()
        .get("/v1/plans?limit=100")
        .expect_status(200)
        .json();
    text(listed["data"].as_array().unwrap().last().unwrap(), "plan_id")
}

/// Lets the server stop hard, makes the time of one subscription be over, and starts it again.
fn let_the_cycle_end(house: &mut House, subscription: &Value) {
    let path = format!("{PATH}?customer_id=u1");
    let before = house.server.client().get(&path).expect_status(200).json();
    assert_eq!(before["data"][0]["subscription_id"], subscription["subscription_id"]);
    house.server.kill();
    house.database.execute(
        "UPDATE subscriptions SET anchor_at = anchor_at - interval '40 days', \
         started_at = started_at - interval '40 days', cycle_start_at = cycle_start_at - interval '40 days', \
         cycle_end_at = cycle_end_at - interval '40 days' WHERE cancelled_at IS NULL",
    );
    house.server.start_again();
}

#[test]
fn a_customer_is_on_the_free_plan_from_his_creation_and_keeps_it_over_a_kill() {
    let mut house = House::new();
    let made = house
        .server
        .client()
        .post("/v1/customers", &json!({ "reference_id": "u1" }))
        .expect_status(201)
        .json();
    assert_eq!(made["subscription"]["plan_id"], free(&house));
    let again = house
        .server
        .client()
        .post("/v1/customers", &json!({ "reference_id": "u1" }));
    assert_eq!(again.expect_status(200).json(), made);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM subscriptions"), 1);
    house.server.kill();
    house.server.start_again();
    let again = house
        .server
        .client()
        .post("/v1/customers", &json!({ "reference_id": "u1" }));
    assert_eq!(again.expect_status(200).json(), made);
    let begun = subscription(&house, "u1");
    assert_eq!(begun["credits"]["total_remaining"], "0.00");
    assert_eq!(house.database.number("SELECT COUNT(*) FROM subscriptions"), 1);
    house.books_agree();
}

#[test]
fn of_twins_that_create_one_customer_all_are_told_of_one_subscription() {
    let house = House::new();
    let create = || {
        house
            .server
            .client()
            .post("/v1/customers", &json!({ "reference_id": "u1" }))
    };
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..20).map(|_| scope.spawn(create)).collect();
        running.into_iter().map(|twin| twin.join().unwrap().json()).collect()
    });
    let whole = subscription(&house, "u1");
    for answer in answers {
        assert_eq!(
            answer["subscription"]["subscription_id"], whole["subscription_id"],
            "{answer}"
        );
    }
    eventually("his subscription is written", || {
        house.database.number("SELECT COUNT(*) FROM subscriptions") == 1
    });
}

#[test]
fn a_customer_whom_a_crash_left_without_a_plan_has_it_when_he_is_looked_at() {
    let mut house = House::new();
    customer(&house, "u1");
    house.server.kill();
    for table in ["subscriptions", "customer_credit"] {
        house.database.execute(&format!("DELETE FROM {table}"));
    }
    house.server.start_again();
    let begun = subscription(&house, "u1");
    assert_eq!(
        (&begun["plan"]["name"], &begun["status"]),
        (&json!("Free"), &json!("active"))
    );
    eventually("his subscription is written", || {
        house.database.number("SELECT COUNT(*) FROM subscriptions") == 1
    });
    // And one whose other plan had ended, but no more than that.
    house.server.kill();
    house
        .database
        .execute("UPDATE subscriptions SET cancelled_at = now(), plan_id = gen_random_uuid()");
    house.server.start_again();
    let next = subscription(&house, "u1");
    assert_ne!(next["subscription_id"], begun["subscription_id"]);
    assert_eq!(next["plan"]["name"], "Free");
    house.books_agree();
}

#[test]
fn another_plan_is_taken_up_at_once_in_the_place_of_the_free_one() {
    let house = House::new();
    customer(&house, "u1");
    let first = subscription(&house, "u1");
    // One that is worth no more than the free one, and one that is.
    for (name, credit) in [("u1", "0"), ("u2", "5")] {
        if name != "u1" {
            customer(&house, name);
        }
        let plan = free_plan(&house, credit);
        let begun = subscribe(&house, name, &plan).expect_status(201).json()["subscription"].clone();
        assert_eq!(
            (&begun["plan_id"], &begun["pending_change"]),
            (&json!(plan), &Value::Null)
        );
        assert_eq!(begun["started_at"], begun["cycle_start_at"]);
        assert_eq!(subscription(&house, name), begun);
    }
    assert_eq!(subscription(&house, "u1")["subscription_id"], first["subscription_id"]);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM subscriptions"), 2);
    house.books_agree();
}

#[test]
fn who_loses_his_plan_is_on_the_free_one_again_and_who_leaves_that_one_is_on_none() {
    let mut house = House::new();
    customer(&house, "u1");
    let plan = free_plan(&house, "5");
    let begun = subscribe(&house, "u1", &plan).expect_status(201).json()["subscription"].clone();
    let cancel = |house: &House, subscription: &Value| {
        let path = format!("{PATH}/{}", text(subscription, "subscription_id"));
        house.server.client().delete(&path).expect_status(200);
    };
    cancel(&house, &begun);
    let_the_cycle_end(&mut house, &begun);
    let free = subscription(&house, "u1");
    assert_ne!(free["subscription_id"], begun["subscription_id"]);
    assert_eq!(
        (&free["plan"]["name"], &free["pending_change"]),
        (&json!("Free"), &Value::Null)
    );
    assert_eq!(free["credits"]["total_remaining"], "0.00");
    eventually("both are written", || {
        house.database.number("SELECT COUNT(*) FROM subscriptions") == 2
    });
    let ended = house
        .server
        .client()
        .get(&format!("{PATH}?status=cancelled"))
        .expect_status(200)
        .json();
    assert_eq!(ended["data"][0]["subscription_id"], begun["subscription_id"]);
    cancel(&house, &free);
    let_the_cycle_end(&mut house, &free);
    for _ in 0..2 {
        assert_eq!(subscription(&house, "u1"), Value::Null);
        house.server.kill();
        house.server.start_again();
    }
    house.books_agree();
    assert_eq!(house.proof()["holds"], true);
    subscribe(&house, "u1", &plan).expect_status(201);
}

#[test]
fn where_the_merchant_deleted_his_free_plan_nobody_begins_it() {
    let house = House::new();
    customer(&house, "before");
    let path = format!("/v1/plans/{}", free(&house));
    house.server.client().delete(&path).expect_status(200);
    customer(&house, "after");
    assert_eq!(subscription(&house, "after"), Value::Null);
    assert_eq!(subscription(&house, "before")["status"], "active");
    let plan = free_plan(&house, "5");
    subscribe(&house, "after", &plan).expect_status(201);
}
