//! Where the money of a checkout stands in the books.

use serde_json::{Value, json};

use super::buy;
use super::shop::Shop;

fn side<'a>(proof: &'a Value, name: &str) -> &'a Value {
    let invariants = proof["invariants"].as_array().unwrap();
    invariants.iter().find(|invariant| invariant["name"] == name).unwrap()
}

#[test]
fn what_a_customer_pays_is_in_the_ledger_and_the_proof_names_what_is_missing() {
    let shop = Shop::trying();
    let proof = || shop.client.get("/v1/proof").expect_status(200).json();
    buy(&shop.subscribe(&shop.plan()), "4242424242424242");
    let books = proof();
    assert_eq!(books["holds"], true, "{books}");
    for name in ["card_money", "payments_that_gave"] {
        let side = side(&books, name);
        assert_eq!(side["left"], side["right"], "{side}");
        assert_ne!(side["left"].as_str(), Some("0"), "{side}");
    }
    assert_eq!(
        shop.house
            .database
            .number("SELECT sum(amount)::bigint FROM ledger_entries WHERE account_kind = 'card_money'"),
        25_000_000_000
    );
    shop.house.books_agree();
    let damages = [
        ("UPDATE payments SET amount = amount + 10000000", "card_money"),
        (
            "UPDATE subscriptions SET recent_payments = recent_payments || recent_payments",
            "payments_that_gave",
        ),
    ];
    for (damage, name) in damages {
        assert!(shop.house.database.execute(damage) > 0, "{damage}");
        let books = proof();
        assert_eq!(books["holds"], false, "{damage}");
        assert_ne!(side(&books, name)["difference"], "0", "{damage}: {books}");
    }
}

#[test]
fn money_for_what_can_no_longer_be_given_goes_back_and_leaves_the_books() {
    let shop = Shop::trying();
    let plan = shop.plan();
    let jane = json!({ "reference_id": "jane" });
    shop.client.post("/v1/customers", &jane).expect_status(201);
    let session = shop.session(json!({
        "checkout_mode": "subscription", "plan_id": plan["plan_id"], "customer_id": "jane",
    }));
    let visit = shop.visit(&session);
    visit.enter_code();
    visit.enter_card("4000002760003184").expect_status(303);
    visit.post("confirm", "").expect_status(303);
    assert!(visit.page().contains("The test bank asks"));
    shop.client.delete("/v1/customers/jane").expect_status(200);
    visit.post("approve", "approval=yes").expect_status(303);
    let refunded = "SELECT count(*) FROM payments WHERE status = 'refunded' AND applied_at IS NULL";
    assert_eq!(shop.house.database.number(refunded), 1);
    let entries = "SELECT ARRAY[count(*), sum(amount)]::bigint[] AS numbers FROM ledger_entries \
        WHERE account_kind = 'card_money'";
    assert_eq!(shop.house.database.numbers(entries), [2, 0]);
    shop.house.books_agree();
}
