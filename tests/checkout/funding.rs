//! A merchant's own cards, and the money that he puts into his wallet with them.

use std::time::Duration;

use serde_json::{Value, json};

use super::live::{open, sign, tell};
use super::shop::Shop;
use crate::support::http::{Answer, Client};
use crate::support::process::wait_until;

fn card(number: &str) -> Value {
    json!({ "card": { "number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123" } })
}

fn keep(shop: &Shop, number: &str) -> Value {
    let kept = shop.client.post("/v1/payment_methods", &card(number));
    kept.expect_status(201).json()
}

fn fund(client: &Client, method: &Value, amount: &Value) -> Answer {
    let body = json!({ "payment_method_id": method["payment_method_id"], "amount": amount });
    client.post("/v1/wallet/fund", &body)
}

fn balance(shop: &Shop) -> Value {
    shop.client.get("/v1/wallet").expect_status(200).json()["balance"].clone()
}

#[test]
fn money_of_a_card_is_in_the_wallet_before_the_answer_and_in_the_books_once() {
    let mut shop = Shop::trying();
    let method = keep(&shop, "4242 4242 4242 4242");
    assert_eq!(method["card"]["last4"], "4242");
    assert_eq!(keep(&shop, "4242 4242 4242 4242"), method, "it is on file already");
    let funded = fund(&shop.client, &method, &json!("25.50")).expect_status(200).json();
    assert_eq!(
        (&funded["status"], &funded["balance"]),
        (&json!("completed"), &json!("25.50"))
    );
    assert!(
        funded["payment_id"].as_str().unwrap().starts_with("pay_test_"),
        "{funded}"
    );
    assert_eq!(balance(&shop), "25.50");
    fund(&shop.client, &method, &json!("10")).expect_status(200);
    // As if the process had ended before it noted that the money is in the wallet.
    shop.house.server.kill();
    let forgotten = "UPDATE payments SET applied_at = NULL, created_at = created_at - interval '5 minutes'";
    shop.house.database.execute(forgotten);
    shop.house.server.start_again();
    let applied = "SELECT count(*) FROM payments WHERE applied_at IS NOT NULL";
    let noted = || shop.house.database.number(applied) == 2;
    wait_until("it is noted", Duration::from_secs(30), noted);
    assert_eq!(balance(&shop), "35.50");
    let accounts = "SELECT ARRAY[sum(amount) FILTER (WHERE account_kind = 'card_money'), \
        sum(amount) FILTER (WHERE account_kind = 'card_funding'), \
        sum(amount) FILTER (WHERE account_kind = 'wallet')]::bigint[] AS numbers FROM ledger_entries";
    let dollars = 35_500_000_000;
    assert_eq!(shop.house.database.numbers(accounts), [dollars, -dollars, dollars]);
    shop.keeps_no_card_number();
    shop.house.books_agree();
    shop.house
        .database
        .execute("UPDATE payments SET amount = amount + 10000000");
    let proof = shop.client.get("/v1/proof").expect_status(200).json();
    let funded = proof["invariants"].as_array().unwrap();
    let funded = funded.iter().find(|side| side["name"] == "wallets_funded").unwrap();
    assert_ne!(funded["difference"], "0", "{proof}");
}

#[test]
fn a_card_that_refuses_or_is_not_his_puts_nothing_in() {
    let shop = Shop::trying();
    let method = keep(&shop, "4242424242424242");
    let refusing = keep(&shop, "4000000000000341");
    let declined = fund(&shop.client, &refusing, &json!("10.00")).expect_status(402);
    assert_eq!(declined.error_code(), "payment_declined");
    let refused = shop.client.post("/v1/payment_methods", &card("4000000000000002"));
    assert_eq!(refused.expect_status(402).error_code(), "payment_declined");
    for amount in [
        json!("9.99"),
        json!("10000.01"),
        json!("10.001"),
        json!(20),
        json!("-20"),
        Value::Null,
    ] {
        let answer = fund(&shop.client, &method, &amount).expect_status(400);
        assert_eq!(answer.json()["error"]["param"], "amount", "{amount}");
    }
    let nobodys = json!({ "payment_method_id": "pm_test_00000000000000000000000001" });
    let stranger = shop.house.caller(&shop.house.test_merchant());
    for (client, method) in [(&shop.client, &nobodys), (&stranger, &method)] {
        let answer = fund(client, method, &json!("10"));
        assert!(matches!(answer.status, 400 | 404), "{}", answer.text());
        assert_eq!(answer.json()["error"]["param"], "payment_method_id");
    }
    let list = |client: &Client| client.get("/v1/payment_methods").expect_status(200).json()["data"].clone();
    assert_eq!(list(&shop.client), json!([refusing, method]));
    assert_eq!(list(&stranger), json!([]));
    let path = format!("/v1/payment_methods/{}", method["payment_method_id"].as_str().unwrap());
    assert_eq!(stranger.delete(&path).status, 404);
    shop.client.delete(&path).expect_status(200);
    assert_eq!(shop.client.delete(&path).status, 404);
    assert_eq!(list(&shop.client), json!([refusing]));
    assert_eq!(fund(&shop.client, &method, &json!("10")).status, 404);
    assert_eq!(balance(&shop), "0.00");
    assert_eq!(
        shop.house
            .database
            .number("SELECT count(*) FROM payments WHERE status = 'paid'"),
        0
    );
    shop.house.books_agree();
}

#[test]
fn a_live_card_goes_to_the_processor_and_a_lost_answer_funds_once() {
    let (shop, stripe) = open();
    let no_test_card = shop.client.post("/v1/payment_methods", &card("4242424242424242"));
    assert_eq!(no_test_card.expect_status(400).json()["error"]["param"], "setup_id");
    let begun = shop
        .client
        .post("/v1/payment_methods/setups", &json!({}))
        .expect_status(201)
        .json();
    assert_eq!(begun["publishable_key"], "pk_test_simulated");
    let proof = json!({ "setup_id": begun["setup_id"] });
    let finish = || shop.client.post("/v1/payment_methods", &proof);
    assert_eq!(finish().status, 409, "not before his browser has finished");
    stripe.finish_setup(begun["setup_id"].as_str().unwrap(), "4242424242424242");
    let method = finish().expect_status(201).json();
    stripe.fail_next(&[0, 500, 500]);
    let waiting = fund(&shop.client, &method, &json!("10")).expect_status(202).json();
    assert_eq!(waiting["status"], "processing");
    assert_eq!(balance(&shop), "0.00");
    let news = json!({ "type": "payment_intent.succeeded", "data": { "object": {
        "metadata": { "payment_id": waiting["payment_id"] },
    } } });
    for _ in 0..2 {
        assert_eq!(tell(&shop, &news, &sign(&news.to_string())), 200);
        assert_eq!(balance(&shop), "10.00");
    }
    assert_eq!(stripe.taken_cents(), 1000);
    shop.house.books_agree();
}
