//! Checkouts as older clients ask for them.

use serde_json::json;

use super::shop::Shop;
use super::{buy, shop::pro};
use crate::support::server::eventually;

#[test]
fn an_onboarding_makes_a_customer_on_the_free_plan_and_a_topup_sells_him_his_plans_bundle() {
    let shop = Shop::trying();
    let visit = shop.visit(&shop.session(json!({ "checkout_mode": "onboarding" })));
    visit.enter_code();
    assert!(visit.page().contains("Nothing is charged now."));
    visit.post("confirm", "").expect_status(303);
    assert!(visit.page().contains("lava_checkout_success"));
    let session = shop.read(&visit.session);
    let customer = session["connection_id"].as_str().unwrap().to_owned();
    assert_eq!(session["customer_id"], session["connection_id"]);
    let active = "SELECT count(*) FROM subscriptions WHERE cancelled_at IS NULL";
    eventually("he is on it", || shop.house.database.number(active) == 1);
    let again = shop.session_answer(json!({ "checkout_mode": "onboarding", "connection_id": customer }));
    assert_eq!(again.status, 409, "{}", again.text());
    let topup = json!({ "checkout_mode": "topup", "connection_id": customer });
    assert_eq!(
        shop.session_answer(topup.clone()).status,
        409,
        "the free plan has no bundle"
    );
    let plan = shop.client.post("/v1/plans", &pro()).expect_status(201).json();
    let wanted = json!({
        "checkout_mode": "subscription", "subscription_config_id": plan["plan_id"], "connection_id": customer,
    });
    let session = shop.session(wanted);
    assert_eq!(session["subscription_config_id"], plan["plan_id"]);
    buy(&shop.visit(&session), "4242424242424242");
    let bundle = shop.visit(&shop.session(topup));
    bundle.enter_code();
    assert!(bundle.page().contains("Pay $9.00"));
    bundle.post("confirm", "").expect_status(303);
    assert_eq!(shop.credit(), [25_000_000_000, 10_000_000_000]);
    shop.house.books_agree();
}
