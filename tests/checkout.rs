//! The hosted checkout over the real server, as a browser without script goes through it: plans and bundles bought with
//! test cards and, by a simulated Stripe, with money; what is refused, what is cancelled, and who may embed it.

mod arrivals;
mod codes;
mod funding;
mod live;
mod money;
mod older;
mod shop;

use serde_json::{Value, json};

use crate::support::house::{House, chat};
use crate::support::http::Client;
use crate::support::server::eventually;
use shop::{Shop, Visit, pro};

/// Code, card, yes.
fn buy(visit: &Visit, card: &str) -> String {
    visit.enter_code();
    visit.enter_card(card).expect_status(303);
    visit.post("confirm", "").expect_status(303);
    visit.page()
}

#[test]
fn a_new_customer_buys_a_plan_and_then_a_bundle_with_the_card_on_file() {
    let shop = Shop::trying();
    let made = shop.client.post("/v1/plans", &pro()).expect_status(201).json();
    let session = shop.session(json!({ "checkout_mode": "subscription", "plan_id": made["plan_id"] }));
    assert_eq!(session["customer_id"], Value::Null);
    assert!(session["checkout_session_id"].as_str().unwrap().starts_with("cs_test_"));
    let visit = shop.visit(&session);
    assert!(visit.page().contains("$25.00</span> a month"));
    assert_eq!(visit.post("confirm", "").status, 422, "not before the card");
    assert_eq!(visit.post("phone", "phone=030+123").status, 422);
    visit.post("phone", "phone=%2B49+30+123456").expect_status(303);
    let page = visit.page();
    assert!(page.contains("••• 3456") && !page.contains("30123456"), "{page}");
    let wrong = visit.post("code", "code=111111").expect_status(422).text();
    assert!(wrong.contains("That is not the code"));
    visit.post("code", "code=000+000").expect_status(303);
    for (card, notice) in [
        ("4000 0000 0000 0002", "Your card was declined."),
        ("4111 1111 1111 1111", "Only test cards work here"),
    ] {
        visit.enter_card(card).expect_status(303);
        assert!(visit.page().contains(notice), "{card}");
    }
    visit.enter_card("4242 4242 4242 4242").expect_status(303);
    assert!(visit.page().contains("Pay $25.00"));
    visit.post("confirm", "").expect_status(303);
    let page = visit.page();
    assert!(page.contains("data-message=\"lava_checkout_success\""), "{page}");
    let session = shop.read(&session);
    let customer = session["customer_id"].as_str().unwrap().to_owned();
    assert!(page.contains(&format!("data-customer=\"{customer}\"")));
    assert_eq!(session["status"], "completed");
    let known = shop
        .client
        .get(&format!("/v1/customers/{customer}"))
        .expect_status(200)
        .json();
    assert_eq!(known["contact"]["phone"], "+4930123456");
    assert_eq!(shop.credit(), [25_000_000_000, 0]);
    // Nothing happens twice, whatever is sent again.
    assert_eq!(visit.post("confirm", "").status, 422);
    assert_eq!(visit.post("cancel", "").status, 422);
    let wanted = json!({
        "checkout_mode": "credit_bundle", "customer_id": customer,
        "credit_bundle_id": made["credit_bundles"][0]["credit_bundle_id"],
    });
    let bundle = shop.visit(&shop.session(wanted));
    assert!(
        bundle.page().contains("••• 3456"),
        "the code goes to the number on file"
    );
    bundle.post("phone", "phone=%2B1555000000").expect_status(303);
    bundle.post("code", "code=000000").expect_status(303);
    let page = bundle.page();
    assert!(page.contains("Pay $9.00") && page.contains("ending in 4242"), "{page}");
    bundle.post("confirm", "").expect_status(303);
    assert!(bundle.page().contains("lava_checkout_success"));
    assert_eq!(shop.credit(), [25_000_000_000, 10_000_000_000]);
    shop.keeps_no_card_number();
    shop.house.books_agree();
}

#[test]
fn a_card_whose_bank_asks_pays_after_a_yes_and_one_that_refuses_later_pays_nothing() {
    let shop = Shop::trying();
    let plan = shop.plan();
    let visit = shop.subscribe(&plan);
    let page = buy(&visit, "4000000000000341");
    assert!(
        page.contains("Your card was declined.") && page.contains("Pay $25.00"),
        "{page}"
    );
    visit.post("replace-card", "").expect_status(303);
    visit.enter_card("4000002760003184").expect_status(303);
    visit.post("confirm", "").expect_status(303);
    assert!(visit.page().contains("The test bank asks"));
    assert_eq!(visit.post("cancel", "").status, 422, "money is under way");
    visit.post("approve", "approval=no").expect_status(303);
    assert!(visit.page().contains("You did not confirm the payment"));
    assert_eq!(shop.house.database.number("SELECT count(*) FROM subscriptions"), 0);
    visit.post("confirm", "").expect_status(303);
    visit.post("approve", "approval=yes").expect_status(303);
    assert!(visit.page().contains("lava_checkout_success"));
    assert_eq!(shop.credit(), [25_000_000_000, 0]);
    let statuses = "SELECT count(*) FROM payments WHERE status = ";
    let count = |status: &str| shop.house.database.number(&format!("{statuses}'{status}'"));
    assert_eq!((count("declined"), count("paid"), count("pending")), (2, 1, 0));
}

#[test]
fn another_plan_costs_its_price_at_once_or_nothing_until_the_cycle_ends() {
    let shop = Shop::trying();
    let (plan, cheap) = (shop.plan(), shop.plan_of("Small", "5"));
    let first = shop.subscribe(&cheap);
    buy(&first, "4242424242424242");
    let customer = shop.read(&first.session)["customer_id"].clone();
    let to = |plan: &Value| {
        shop.session_answer(json!({
            "checkout_mode": "subscription", "plan_id": plan["plan_id"], "customer_id": customer,
        }))
    };
    assert_eq!(to(&cheap).status, 409);
    let upgrade = shop.visit(&to(&plan).expect_status(201).json());
    upgrade.enter_code();
    upgrade.post("confirm", "").expect_status(303);
    // What was left of the old cycle stays.
    assert_eq!(shop.credit(), [30_000_000_000, 0]);
    let downgrade = shop.visit(&to(&cheap).expect_status(201).json());
    downgrade.enter_code();
    assert!(downgrade.page().contains("Nothing is charged now."));
    downgrade.post("confirm", "").expect_status(303);
    assert!(downgrade.page().contains("lava_checkout_success"));
    assert_eq!(shop.credit(), [30_000_000_000, 0]);
    let pending = "SELECT count(*) FROM subscriptions WHERE pending_change = 'downgrade'";
    assert_eq!(shop.house.database.number(pending), 1);
    assert_eq!(
        shop.house.database.number("SELECT sum(amount)::bigint FROM payments"),
        30_000_000_000
    );
    shop.house.books_agree();
}

#[test]
fn what_can_no_longer_be_had_is_not_charged() {
    let shop = Shop::trying();
    let plan = shop.plan();
    let first = shop.subscribe(&plan);
    buy(&first, "4242424242424242");
    let customer = shop.read(&first.session)["customer_id"].clone();
    let (large, other) = (shop.plan_of("Large", "50"), shop.plan_of("Larger", "60"));
    let session = |plan: &Value| {
        shop.session(json!({
            "checkout_mode": "subscription", "plan_id": plan["plan_id"], "customer_id": customer,
        }))
    };
    let (one, two) = (shop.visit(&session(&large)), shop.visit(&session(&other)));
    for visit in [&one, &two] {
        visit.enter_code();
    }
    two.post("confirm", "").expect_status(303);
    // Larger is his now: Large is less, and waits for the end of the cycle.
    let page = one.post("confirm", "").expect_status(422).text();
    assert!(
        page.contains("What is due has changed") && page.contains("Nothing is charged now."),
        "{page}"
    );
    one.post("confirm", "").expect_status(303);
    assert!(one.page().contains("lava_checkout_success"));
    let paid = "SELECT sum(amount)::bigint FROM payments WHERE status = 'paid'";
    assert_eq!(shop.house.database.number(paid), 85_000_000_000);
}

#[test]
fn the_page_is_for_its_origin_only_and_a_session_for_its_merchant_only() {
    let shop = Shop::trying();
    let visit = shop.subscribe(&shop.plan());
    let answer = visit.get().expect_status(200);
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors https://shop.example.com"), "{policy}");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(answer.header("x-frame-options"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.text().contains("data-origin=\"https://shop.example.com\""));
    for path in ["/embed/assets/checkout.css", "/embed/assets/checkout.js"] {
        let asset = shop.client.get(path).expect_status(200);
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
    }
    let anybody = Client::new(&shop.house.server.url());
    let unknown = anybody.get("/embed/checkout/css_test_wrong");
    assert!(unknown.status == 404 && unknown.text().contains("no such checkout"));
    assert_eq!(visit.post("steal", "").status, 404);
    let id = visit.session["checkout_session_id"].as_str().unwrap();
    assert_eq!(
        shop.house.stranger().get(&format!("/v1/checkout_sessions/{id}")).status,
        404
    );
    assert_eq!(
        shop.house.stranger().get("/v1/checkout_sessions").json()["data"],
        json!([])
    );
    let listed = shop.client.get("/v1/checkout_sessions").json();
    assert_eq!(listed["data"][0]["checkout_session_id"], id);
    assert!(!listed.to_string().contains("css_"), "the secret is shown once");
}

#[test]
fn a_checkout_that_is_cancelled_says_so_and_charges_nothing() {
    let shop = Shop::trying();
    let visit = shop.subscribe(&shop.plan());
    visit.enter_code();
    visit.enter_card("4242424242424242").expect_status(303);
    visit.post("cancel", "").expect_status(303);
    assert!(visit.page().contains("data-message=\"lava_checkout_cancel\""));
    assert_eq!(visit.post("confirm", "").status, 422);
    assert_eq!(shop.read(&visit.session)["status"], "cancelled");
    assert_eq!(shop.house.database.number("SELECT count(*) FROM payments"), 0);
    assert_eq!(shop.client.get("/v1/customers").json()["data"], json!([]));
}

#[test]
fn what_is_missing_wrong_or_anothers_is_refused_by_name() {
    let shop = Shop::trying();
    let plan = shop.plan();
    let bundle = plan["credit_bundles"][0]["credit_bundle_id"].clone();
    let customer = shop.client.post("/v1/customers", &json!({ "reference_id": "jane" }));
    customer.expect_status(201);
    let gone = shop.plan_of("Gone", "5");
    let path = format!("/v1/plans/{}", gone["plan_id"].as_str().unwrap());
    shop.client.delete(&path).expect_status(200);
    let stranger = shop.house.stranger();
    let foreign = stranger.post("/v1/plans", &pro()).expect_status(201).json();
    let (plan_id, mode) = (&plan["plan_id"], "subscription");
    let table = [
        (json!({ "checkout_mode": "buying" }), 400, "checkout_mode"),
        (json!({ "checkout_mode": mode, "plan_id": "x" }), 400, "plan_id"),
        (
            json!({ "checkout_mode": mode, "plan_id": gone["plan_id"] }),
            404,
            "plan_id",
        ),
        (
            json!({ "checkout_mode": mode, "plan_id": foreign["plan_id"] }),
            404,
            "plan_id",
        ),
        (
            json!({ "checkout_mode": mode, "plan_id": plan_id, "customer_id": "john" }),
            404,
            "customer_id",
        ),
        (
            json!({ "checkout_mode": "credit_bundle", "credit_bundle_id": bundle, "customer_id": "jane" }),
            400,
            "credit_bundle_id",
        ),
    ];
    for (body, status, param) in table {
        let answer = shop.session_answer(body.clone());
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    // No processor is set up for money.
    let live = House::new();
    let client = live.server.client();
    let plan = client.post("/v1/plans", &pro()).expect_status(201).json();
    let origin = "https://shop.example.com";
    let body = json!({ "checkout_mode": mode, "origin_url": origin, "plan_id": plan["plan_id"] });
    assert_eq!(client.post("/v1/checkout_sessions", &body).status, 501);
}

#[test]
fn a_free_plan_needs_no_card_and_a_crash_keeps_the_session() {
    let mut shop = Shop::trying();
    let free = shop.plan_of("Free of charge", "0");
    let visit = shop.subscribe(&free);
    visit.post("phone", "phone=%2B4930123456").expect_status(303);
    shop.house.server.kill();
    shop.house.server.start_again();
    visit.post("code", "code=000000").expect_status(303);
    assert!(visit.page().contains("Nothing is charged now."));
    visit.post("confirm", "").expect_status(303);
    assert!(visit.page().contains("lava_checkout_success"));
    let active = "SELECT count(*) FROM subscriptions WHERE cancelled_at IS NULL";
    eventually("he is on it", || shop.house.database.number(active) == 1);
}

/// Makes a day pass for all subscriptions, while the server is off; and a minute, so that no two cycles end at once.
fn a_day_later(shop: &mut Shop) {
    shop.house.server.stop();
    let shifted = ["anchor_at", "cycle_start_at", "cycle_end_at", "payment_failed_at"];
    let shifted = shifted.map(|column| format!("{column} = {column} - interval '1 day 1 minute'"));
    let statement = format!("UPDATE subscriptions SET {}", shifted.join(", "));
    shop.house.database.execute(&statement);
    shop.house.server.start_again();
}

fn daily(shop: &Shop) -> Value {
    let body = json!({ "name": "Daily", "period_amount": "5", "billing_interval": "day" });
    shop.client.post("/v1/plans", &body).expect_status(201).json()
}

#[test]
fn the_next_cycle_is_charged_by_itself_once_and_brings_its_credit() {
    let mut shop = Shop::trying();
    let visit = shop.subscribe(&daily(&shop));
    buy(&visit, "4242424242424242");
    for day in 2..4 {
        a_day_later(&mut shop);
        let paid = "SELECT count(*) FROM payments WHERE applied_at IS NOT NULL";
        eventually("the day is paid", || shop.house.database.number(paid) == day);
        // What was left of the day before has lapsed.
        assert_eq!(shop.credit(), [5_000_000_000, 0]);
    }
    shop.house.server.stop();
    shop.house.server.start_again();
    assert_eq!(shop.house.database.number("SELECT count(*) FROM payments"), 3);
    shop.house.books_agree();
}

#[test]
fn a_renewal_that_fails_is_tried_again_on_later_days_and_then_credit_stops() {
    let mut shop = Shop::trying();
    let visit = shop.subscribe(&daily(&shop));
    visit.enter_code();
    visit.enter_card("4000002760003184").expect_status(303);
    visit.post("confirm", "").expect_status(303);
    visit.post("approve", "approval=yes").expect_status(303);
    assert!(visit.page().contains("lava_checkout_success"));
    // The cycle ends, and attempts follow after 1, 3, 5 and 7 days.
    for (day, declined) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
        a_day_later(&mut shop);
        let count = "SELECT count(*) FROM payments WHERE status = 'declined'";
        eventually(&format!("day {day}"), || shop.house.database.number(count) == declined);
        assert_eq!(shop.credit(), [5_000_000_000, 0]);
    }
    a_day_later(&mut shop);
    let ended = "SELECT count(*) FROM subscriptions WHERE cancelled_at IS NOT NULL";
    eventually("it has ended", || shop.house.database.number(ended) == 1);
    assert_eq!(shop.credit(), [0, 0]);
    assert_eq!(shop.house.database.number("SELECT count(*) FROM payments"), 6);
    shop.house.books_agree();
}

#[test]
fn credit_that_runs_out_buys_its_bundle_so_that_the_next_call_goes_through() {
    let shop = Shop::trying();
    let tiers = json!([{ "start": "0", "rate": "3" }]);
    let meter = json!({
        "name": "Calls", "meter_slug": "calls", "rate_type": "fixed", "tier_type": "requests", "tiers": tiers,
    });
    let meter = shop.client.post("/v1/meters", &meter).expect_status(201).json();
    let mut plan = pro();
    plan["period_amount"] = json!("5");
    plan["meter_ids"] = json!([meter["meter_id"]]);
    plan["default_auto_top_up_bundle_index"] = json!(0);
    let plan = shop.client.post("/v1/plans", &plan).expect_status(201).json();
    let visit = shop.subscribe(&plan);
    buy(&visit, "4242424242424242");
    let caller = shop.caller(&shop.read(&visit.session)["customer_id"], "calls");
    let call = || caller.post("/v1/chat/completions", &chat("output_tokens=1"));
    call().expect_status(200);
    eventually("it is charged", || shop.credit() == [2_000_000_000, 0]);
    assert_eq!(call().expect_status(402).error_code(), "insufficient_balance");
    eventually("the bundle is his", || shop.credit() == [2_000_000_000, 10_000_000_000]);
    call().expect_status(200);
    eventually("it is charged", || shop.credit() == [0, 9_000_000_000]);
    let bought = "SELECT count(*) FROM payments WHERE purpose->>'name' = 'top_up' AND amount = 9000000000";
    assert_eq!(shop.house.database.number(bought), 1);
    shop.house.books_agree();
}
