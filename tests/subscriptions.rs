//! Subscriptions over the real server: begun, changed, cancelled and withdrawn, with the credit that goes with them, and
//! what is left of them after a kill.

mod first_plan;
mod lists;

use diesel::connection::SimpleConnection as _;
use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::http::{Answer, Client};
use crate::support::server::eventually;

const PATH: &str = "/v1/subscriptions";

fn made(client: &Client, path: &str, body: &Value) -> Value {
    client.post(path, body).expect_status(201).json()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

fn customer(house: &House, reference: &str) -> String {
    let body = json!({ "reference_id": reference, "name": "Jane Smith", "phone": "+15551234567" });
    text(&made(&house.server.client(), "/v1/customers", &body), "customer_id")
}

fn plan(client: &Client, price: &str, credit: &str) -> Value {
    let bundles = json!([
        { "name": "Small", "cost": "9.00", "credit_amount": "10.00" },
        { "name": "Large", "cost": "50.00", "credit_amount": "60.00" },
    ]);
    let body = json!({
        "name": format!("{price} for {credit}"), "period_amount": price, "included_credit": credit,
        "billing_interval": "month", "credit_bundles": bundles, "default_auto_top_up_bundle_index": 0,
    });
    made(client, "/v1/plans", &body)
}

fn free_plan(house: &House, credit: &str) -> String {
    text(&plan(&house.server.client(), "0", credit), "plan_id")
}

fn subscribe(house: &House, customer: &str, plan: &str) -> Answer {
    let body = json!({ "customer_id": customer, "plan_id": plan });
    house.server.client().post(PATH, &body)
}

fn subscription(house: &House, customer: &str) -> Value {
    let path = format!("/v1/customers/{customer}/subscription");
    house.server.client().get(&path).expect_status(200).json()["subscription"].clone()
}

fn ids(list: &Answer) -> Vec<String> {
    let data = list.json()["data"].clone();
    let data = data.as_array().unwrap();
    data.iter().map(|entry| text(entry, "subscription_id")).collect()
}

fn expect_refusal(answer: &Answer, status: u16, param: &str) {
    assert_eq!(
        (answer.status, answer.json()["error"]["param"].as_str()),
        (status, Some(param)),
        "{}",
        answer.text()
    );
}

#[test]
fn a_subscription_and_its_credit_survive_a_kill_right_after_its_answer() {
    let mut house = House::new();
    let (id, plan) = (customer(&house, "u1"), free_plan(&house, "5"));
    let begun = subscribe(&house, "u1", &plan).expect_status(201).json()["subscription"].clone();
    house.server.kill();
    house.server.start_again();
    assert_eq!(subscription(&house, &id), begun);
    assert_eq!((&begun["status"], &begun["plan_id"]), (&json!("active"), &json!(plan)));
    let credits = json!({ "total_remaining": "5.00", "cycle_remaining": "5.00", "bundle_remaining": "0.00" });
    assert_eq!((&begun["credits"], &begun["pending_change"]), (&credits, &Value::Null));
    let shown = house.server.client().get("/v1/customers/u1").expect_status(200).json();
    let brief = json!({
        "subscription_id": begun["subscription_id"], "plan_id": plan, "name": "0 for 5", "status": "active",
    });
    assert_eq!(shown["subscription"], brief);
    let listed = house.server.client().get("/v1/customers").expect_status(200).json();
    assert_eq!(listed["data"][0]["subscription"], brief);
    // What came before the kill is still a conflict, and what is changed now is kept by the next start as well.
    expect_refusal(&subscribe(&house, &id, &plan), 409, "customer_id");
    let path = format!("{PATH}/{}", text(&begun, "subscription_id"));
    house.server.client().delete(&path).expect_status(200);
    house.server.kill();
    house.server.start_again();
    assert_eq!(subscription(&house, "u1")["pending_change"]["type"], "cancellation");
    assert_eq!(subscription(&house, "u1")["credits"], credits);
    house.books_agree();
    assert_eq!(house.proof()["holds"], true);
}

#[test]
fn a_subscription_that_only_the_journal_has_is_there_after_a_kill() {
    let mut house = House::new();
    let (id, plan) = (customer(&house, "u1"), free_plan(&house, "5"));
    let mut blocker = house.database.connect();
    blocker
        .batch_execute("BEGIN; LOCK TABLE subscriptions IN EXCLUSIVE MODE")
        .unwrap();
    let body = json!({ "customer_id": id, "plan_id": plan }).to_string().into_bytes();
    let client = house.server.client();
    let begun = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.try_send("POST", PATH, Some(body)));
        eventually("the shard has made the subscription", || {
            subscription(&house, &id)["plan_id"] == plan.as_str()
        });
        let begun = subscription(&house, &id);
        house.server.kill();
        assert!(
            waiting.join().unwrap().is_err(),
            "it was answered before it was in Postgres"
        );
        begun
    });
    blocker.batch_execute("ROLLBACK").unwrap();
    house.server.start_again();
    assert_eq!(subscription(&house, &id), begun);
    assert_eq!(begun["credits"]["total_remaining"], "5.00");
    expect_refusal(&subscribe(&house, &id, &plan), 409, "customer_id");
    house.books_agree();
}

#[test]
fn of_twins_one_subscribes_and_the_others_are_told() {
    let house = House::new();
    let (id, plan) = (customer(&house, "u1"), free_plan(&house, "5"));
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..20).map(|_| scope.spawn(|| subscribe(&house, &id, &plan))).collect();
        running.into_iter().map(|twin| twin.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(won.len(), 1);
    for answer in lost {
        expect_refusal(answer, 409, "customer_id");
    }
    assert_eq!(subscription(&house, &id)["credits"]["total_remaining"], "5.00");
    assert_eq!(house.database.number("SELECT COUNT(*) FROM subscriptions"), 1);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM movements"), 1);
    house.books_agree();
}

#[test]
fn every_bad_field_is_named_and_what_is_anothers_is_not_there() {
    let house = House::new();
    let (secret, stranger) = (house.server.client(), house.stranger());
    let (id, free) = (customer(&house, "u1"), free_plan(&house, "5"));
    let paid = text(&plan(&secret, "25", "25"), "plan_id");
    let deleted = free_plan(&house, "6");
    secret.delete(&format!("/v1/plans/{deleted}")).expect_status(200);
    let theirs = text(&plan(&stranger, "0", "1"), "plan_id");
    let their_customer = text(&made(&stranger, "/v1/customers", &json!({})), "customer_id");
    let table = [
        (json!({}), 400, "customer_id"),
        (json!({ "customer_id": id }), 400, "plan_id"),
        (json!({ "customer_id": 7, "plan_id": free }), 400, "customer_id"),
        (json!({ "customer_id": "", "plan_id": free }), 400, "customer_id"),
        (json!({ "customer_id": "nobody", "plan_id": free }), 404, "customer_id"),
        (
            json!({ "customer_id": their_customer, "plan_id": free }),
            404,
            "customer_id",
        ),
        (json!({ "customer_id": id, "plan_id": null }), 400, "plan_id"),
        (json!({ "customer_id": id, "plan_id": "sc_" }), 404, "plan_id"),
        (json!({ "customer_id": id, "plan_id": theirs }), 404, "plan_id"),
        (json!({ "customer_id": id, "plan_id": deleted }), 404, "plan_id"),
        (json!({ "customer_id": id, "plan_id": paid }), 400, "plan_id"),
    ];
    for (body, status, param) in &table {
        // Twice, with the same answer.
        let answers = [secret.post(PATH, body), secret.post(PATH, body)];
        answers.iter().for_each(|answer| expect_refusal(answer, *status, param));
        assert_eq!(answers[0].json(), answers[1].json());
    }
    let refused = secret.post(PATH, &table.last().unwrap().0).text();
    assert!(refused.contains("/v1/checkout_sessions"), "{refused}");
    let begun = "SELECT COUNT(*) FROM subscriptions WHERE plan_id <> merchant_id";
    assert_eq!(house.database.number(begun), 0);

    let begun = subscribe(&house, &id, &free).expect_status(201).json();
    let path = format!("{PATH}/{}", text(&begun["subscription"], "subscription_id"));
    for (path, client) in [(path.as_str(), &stranger), ("/v1/subscriptions/sub_x", &secret)] {
        let edit = json!({ "auto_top_up_bundle_id": null });
        expect_refusal(&client.patch(path, &edit), 404, "subscription_id");
        expect_refusal(&client.delete(path), 404, "subscription_id");
    }
    let listed = stranger.get(PATH).expect_status(200).json()["data"].clone();
    assert_eq!(
        (&listed[0]["customer_id"], &listed[1]),
        (&json!(their_customer), &Value::Null)
    );
    let filtered = stranger.get(&format!("{PATH}?customer_id={id}"));
    expect_refusal(&filtered, 404, "customer_id");
    for param in ["status", "limit", "cursor"] {
        expect_refusal(&secret.get(&format!("{PATH}?{param}=x")), 400, param);
    }
    assert_eq!(secret.get(&path).status, 405);
}

#[test]
fn a_cancellation_waits_for_the_end_of_the_cycle_and_is_withdrawn_in_two_ways() {
    let house = House::new();
    let secret = house.server.client();
    let (id, plan) = (customer(&house, "u1"), free_plan(&house, "5"));
    let begun = subscribe(&house, &id, &plan).expect_status(201).json()["subscription"].clone();
    let path = format!("{PATH}/{}", text(&begun, "subscription_id"));
    let leaving = json!({ "type": "cancellation", "effective_at": begun["cycle_end_at"] });
    let withdrawals: [&dyn Fn() -> Answer; 2] = [&|| secret.patch(&path, &json!({ "pending_change": null })), &|| {
        subscribe(&house, "u1", &plan)
    }];
    for withdraw in withdrawals {
        // A second time changes nothing.
        for _ in 0..2 {
            let deleted = secret.delete(&path).expect_status(200).json();
            assert_eq!(deleted, json!({ "success": true }));
        }
        let now = subscription(&house, &id);
        assert_eq!((&now["status"], &now["pending_change"]), (&json!("active"), &leaving));
        withdraw().expect_status(200);
        assert_eq!(subscription(&house, &id), begun);
    }
    // Nothing is pending any more, which is what was asked for.
    secret
        .patch(&path, &json!({ "pending_change": null }))
        .expect_status(200);
    house.books_agree();
}

#[test]
fn a_better_free_plan_begins_at_once_and_a_lesser_one_with_the_next_cycle() {
    let house = House::new();
    let id = customer(&house, "u1");
    let [small, large, none] = ["5", "20", "0"].map(|credit| free_plan(&house, credit));
    let begun = subscribe(&house, &id, &small).expect_status(201).json()["subscription"].clone();
    let up = subscribe(&house, &id, &large).expect_status(200).json()["subscription"].clone();
    assert_eq!(
        (
            &up["subscription_id"],
            &up["plan_id"],
            &up["credits"]["cycle_remaining"]
        ),
        (&begun["subscription_id"], &json!(large), &json!("25.00"))
    );
    let down = subscribe(&house, &id, &none).expect_status(200).json()["subscription"].clone();
    let pending = json!({
        "type": "downgrade", "effective_at": up["cycle_end_at"], "plan_id": none, "subscription_config_id": none,
        "name": "0 for 0",
        "period_amount": "0.00", "included_credit": "0.00",
    });
    assert_eq!((&down["plan_id"], &down["pending_change"]), (&json!(large), &pending));
    // He stays after all.
    assert_eq!(
        subscribe(&house, &id, &large).expect_status(200).json()["subscription"],
        up
    );
    house.books_agree();
}

#[test]
fn the_bundle_that_is_bought_by_itself_is_one_of_the_plan() {
    let mut house = House::new();
    let secret = house.server.client();
    let (own, other) = (plan(&secret, "0", "5"), plan(&secret, "0", "6"));
    let bundle = |plan: &Value, place: usize| plan["credit_bundles"][place]["credit_bundle_id"].clone();
    let id = customer(&house, "u1");
    let begun = subscribe(&house, &id, &text(&own, "plan_id")).expect_status(201).json()["subscription"].clone();
    assert_eq!(begun["auto_top_up_bundle_id"], bundle(&own, 0));
    let path = format!("{PATH}/{}", text(&begun, "subscription_id"));
    let param = "auto_top_up_bundle_id";
    let edit = |bundle: &Value| secret.patch(&path, &json!({ param: bundle }));
    assert_eq!(
        edit(&bundle(&own, 1)).expect_status(200).json(),
        json!({ "success": true })
    );
    let refused = [
        (edit(&bundle(&other, 0)), 404, param),
        (edit(&json!(7)), 400, param),
        (edit(&json!("x")), 400, param),
        (secret.patch(&path, &json!({})), 400, param),
        (secret.patch(&path, &json!({ param: null, "bundle": 1 })), 400, "bundle"),
        (
            secret.patch(&path, &json!({ "pending_change": {} })),
            400,
            "pending_change",
        ),
    ];
    for (answer, status, param) in &refused {
        expect_refusal(answer, *status, param);
    }
    house.server.kill();
    house.server.start_again();
    assert_eq!(subscription(&house, &id)[param], bundle(&own, 1));
    let path = format!("{PATH}/{}", text(&begun, "subscription_id"));
    let cleared = house.server.client().patch(&path, &json!({ param: null }));
    cleared.expect_status(200);
    assert_eq!(subscription(&house, &id)[param], Value::Null);
}

#[test]
fn with_a_customer_his_subscription_ends_at_once_and_his_credit_lapses() {
    let mut house = House::new();
    let secret = house.server.client();
    let plan = free_plan(&house, "5");
    let kept = customer(&house, "kept");
    let begun = ["gone", "half", "kept"].map(|name| {
        if name != "kept" {
            customer(&house, name);
        }
        let begun = subscribe(&house, name, &plan).expect_status(201).json();
        text(&begun["subscription"], "subscription_id")
    });
    secret.delete("/v1/customers/gone").expect_status(200);
    let ended = secret.get(&format!("{PATH}?status=cancelled")).expect_status(200);
    assert_eq!(ids(&ended), [begun[0].clone()]);
    let shown = ended.json()["data"][0].clone();
    assert!(
        shown["cancelled_at"].is_string() && shown["credits"]["total_remaining"] == "0.00",
        "{shown}"
    );
    assert_eq!(
        (&shown["customer"]["phone"], &shown["pending_change"]),
        (&json!(""), &Value::Null)
    );
    assert_eq!(
        house.database.number("SELECT sum(cycle)::bigint FROM customer_credit"),
        10_000_000_000
    );
    for answer in [
        secret.patch(
            &format!("{PATH}/{}", begun[0]),
            &json!({ "auto_top_up_bundle_id": null }),
        ),
        secret.delete(&format!("{PATH}/{}", begun[0])),
    ] {
        expect_refusal(&answer, 409, "subscription_id");
    }
    // A crash between the two halves of a deletion.
    house.server.kill();
    house
        .database
        .execute("UPDATE customers SET deleted_at = now() WHERE reference_id = 'half'");
    house.server.start_again();
    let list = |status: &str| {
        house
            .server
            .client()
            .get(&format!("{PATH}?status={status}"))
            .expect_status(200)
    };
    eventually("the subscription of the deleted customer has ended", || {
        ids(&list("cancelled")) == [begun[1].clone(), begun[0].clone()]
    });
    assert_eq!(ids(&list("active")), [begun[2].clone()]);
    assert_eq!(subscription(&house, &kept)["credits"]["total_remaining"], "5.00");
    assert_eq!(
        house.database.number("SELECT sum(cycle)::bigint FROM customer_credit"),
        5_000_000_000
    );
    house.books_agree();
}
