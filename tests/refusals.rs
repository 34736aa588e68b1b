//! Why calls were refused: what is listed of those of which nothing was recorded.

use serde_json::{Value, json};

use crate::support::house::{House, chat};
use crate::support::server::{eventually, secret_key};
use crate::support::visitor::Visitor;

const PATH: &str = "/v1/chat/completions";

fn listed(house: &House, query: &str) -> Vec<Value> {
    let page = house.server.client().get(&format!("/v1/refusals?limit=100&{query}"));
    page.expect_status(200).json()["data"].as_array().unwrap().clone()
}

fn calls(house: &House) -> i64 {
    house
        .database
        .number("SELECT coalesce(sum(call_count), 0)::bigint AS number FROM refusals")
}

#[test]
fn a_refused_call_is_listed_with_its_reason() {
    let house = House::new();
    let (poor, poor_key) = house.mint(json!({
        "name": "poor", "spend_limit": { "amount": "0.000000001", "cycle": "daily" },
    }));
    let (_, narrow_key) = house.mint(json!({ "name": "narrow", "allowed_models": ["claude-*"] }));
    let (_, open_key) = house.mint(json!({ "name": "open" }));
    for _ in 0..3 {
        house.caller(&poor_key).post(PATH, &chat("")).expect_status(402);
    }
    let refused = house.caller(&narrow_key).post(PATH, &chat("")).expect_status(403);
    assert_eq!(refused.json()["error"]["model"], "gpt-4o-mini");
    house
        .server
        .client()
        .post(PATH, &json!({ "model": 5 }))
        .expect_status(400);
    // One of nobody, and one that a provider refused, which has a row of its own.
    house
        .caller("lava_sk_live_nobody")
        .post(PATH, &chat(""))
        .expect_status(401);
    assert!(house.caller(&open_key).post(PATH, &chat("status=400")).status >= 400);
    eventually("all are listed", || calls(&house) == 5);

    let all = listed(&house, "");
    assert_eq!(
        all.iter()
            .map(|row| (&row["code"], &row["call_count"]))
            .collect::<Vec<_>>(),
        [
            (&json!("invalid_request"), &json!(1)),
            (&json!("model_not_allowed"), &json!(1)),
            (&json!("spend_limit_reached"), &json!(3)),
        ]
    );
    assert_eq!(all[0]["spend_key_id"], Value::Null);
    assert_eq!(all[1]["message"], "Model not allowed for this key. (gpt-4o-mini)");
    assert_eq!(all[1]["request_id"], refused.header("x-lava-request-id").unwrap());
    assert!(
        all[2]["message"].as_str().unwrap().contains("daily limit 0.000000001"),
        "{}",
        all[2]
    );
    assert_eq!(listed(&house, &format!("spend_key_id={poor}")), all[2..]);
    assert_eq!(listed(&house, "code=model_not_allowed"), all[1..2]);
    assert_eq!(listed(&house, "to=2020-01-01T00:00:00Z"), Vec::<Value>::new());
    let client = house.server.client();
    assert_eq!(client.get("/v1/refusals?code=nonsense").status, 400);
    let table = client.get("/v1/refusals?format=csv").expect_status(200).text();
    assert_eq!(table.lines().count(), 4, "{table}");
    let first = client.get("/v1/refusals?limit=2").expect_status(200).json();
    let rest = listed(&house, &format!("cursor={}", first["next_cursor"].as_str().unwrap()));
    assert_eq!(rest, all[2..]);
    let stranger = house.stranger().get("/v1/refusals").expect_status(200).json();
    assert_eq!(stranger["data"], json!([]));

    house.books_agree();
}

#[test]
fn people_see_why_on_the_command_line_and_in_the_dashboard() {
    let house = House::new();
    let (poor, poor_key) = house.mint(json!({
        "name": "poor", "spend_limit": { "amount": "0.000000001", "cycle": "daily" },
    }));
    let (narrow, narrow_key) = house.mint(json!({ "name": "narrow", "allowed_models": ["claude-*"] }));
    house.caller(&poor_key).post(PATH, &chat("")).expect_status(402);
    house.caller(&narrow_key).post(PATH, &chat("")).expect_status(403);
    eventually("both are listed", || calls(&house) == 2);
    let told = house.server.ask(&["requests", "refused", "--key", &narrow]);
    assert_eq!(told["data"], json!(listed(&house, &format!("spend_key_id={narrow}"))));
    let visitor = Visitor::signed_in(&house.server, secret_key());
    let page = visitor.page("/dashboard/refusals");
    assert!(
        page.contains("Spend limit reached") && page.contains("narrow"),
        "{page}"
    );
    let one = visitor.page(&format!("/dashboard/spend_keys/{poor}"));
    assert!(one.contains("daily limit 0.000000001"), "{one}");
    assert_eq!(visitor.get("/dashboard/refusals?spend_key_id=x").status, 400);
    let table = visitor
        .get("/dashboard/refusals/table?code=model_not_allowed")
        .expect_status(200);
    assert_eq!(table.text().lines().count(), 2);
}

#[test]
fn a_storm_of_refusals_is_one_row_that_a_stop_does_not_lose() {
    let mut house = House::new();
    let (_, key) = house.mint(json!({ "name": "paused", "status": "paused" }));
    let storm = || {
        let caller = house.caller(&key);
        for _ in 0..250 {
            caller.post(PATH, &chat("")).expect_status(401);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(storm);
        }
    });
    house.server.stop();
    assert_eq!(calls(&house), 2_000);
    // Two where an hour ended meanwhile.
    assert!(house.database.number("SELECT count(*) AS number FROM refusals") <= 2);
    house.server.start_again();
    assert_eq!(listed(&house, "code=key_paused")[0]["code"], "key_paused");
}

#[test]
fn a_script_in_what_was_refused_is_text() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "<i>k</i>", "allowed_models": ["claude-*"] }));
    let call = json!({ "model": "<script>alert(1)</script>", "messages": [{ "role": "user", "content": "x" }] });
    assert!(house.caller(&key).post(PATH, &call).status >= 400);
    eventually("it is listed", || calls(&house) == 1);
    let visitor = Visitor::signed_in(&house.server, secret_key());
    let page = visitor.page("/dashboard/refusals");
    assert!(!page.contains("<script>alert") && !page.contains("<i>k"), "{page}");
}
