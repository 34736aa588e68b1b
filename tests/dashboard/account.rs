//! Wallet, secrets, providers, proof and audit.

use serde_json::json;

use crate::support::house::{House, chat};
use crate::support::server::secret_key;
use crate::support::visitor::Visitor;

const WALLET: &str = "/dashboard/wallet";
const SECRETS: &str = "/dashboard/secret_keys";
const PROVIDERS: &str = "/dashboard/providers";

fn house_and_visitor() -> (House, Visitor) {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    (house, visitor)
}

#[test]
fn a_test_merchant_puts_a_card_on_file_and_money_into_the_wallet() {
    let house = House::new();
    let key = house.test_merchant();
    let mut visitor = Visitor::signed_in(&house.server, &key);
    assert!(visitor.page(WALLET).contains("There is no card on file yet"));
    let card = |number: &'static str| [("number", number), ("expiry", "12 / 34"), ("cvc", "123")];
    let refused = visitor.submit(WALLET, "/dashboard/payment_methods", &card("4000 0000 0000 0001"));
    assert_eq!(refused.status / 100, 4, "{}", refused.text());
    assert!(refused.text().contains("role=\"alert\""));
    let taken = visitor.submit(WALLET, "/dashboard/payment_methods", &card("4242 4242 4242 4242"));
    assert_eq!(taken.status, 303, "{}", taken.text());
    let page = visitor.page(WALLET);
    assert!(
        page.contains("ending in 4242") && !page.contains("value=\"4242"),
        "{page}"
    );
    let methods = house.caller(&key).get("/v1/payment_methods").json();
    let id = methods["data"][0]["payment_method_id"].as_str().unwrap();
    for (amount, why) in [("5", "whole cents from"), ("lots", "amount"), ("", "amount")] {
        let refused = visitor.submit(
            WALLET,
            "/dashboard/wallet/fund",
            &[("payment_method_id", id), ("amount", amount)],
        );
        assert_eq!(refused.status, 422, "{amount}");
        assert!(refused.text().contains(why), "{}", refused.text());
    }
    let paid = visitor.submit(
        WALLET,
        "/dashboard/wallet/fund",
        &[("payment_method_id", id), ("amount", "25.00")],
    );
    let to = paid.expect_status(303).header("location").unwrap().to_owned();
    assert!(visitor.page(&to).contains("$25"));
    assert_eq!(house.caller(&key).get("/v1/wallet").json()["balance"], "25.00");
    let removed = visitor.submit(WALLET, &format!("/dashboard/payment_methods/{id}/delete"), &[]);
    assert_eq!(removed.status, 303);
    assert!(visitor.page(WALLET).contains("There is no card on file yet"));
    house.books_agree();
}

#[test]
fn a_secret_key_is_made_shown_once_and_deleted() {
    let (house, mut visitor) = house_and_visitor();
    let made = visitor
        .submit(SECRETS, SECRETS, &[("name", "deploys")])
        .expect_status(303);
    let to = made.header("location").unwrap().to_owned();
    let page = visitor.page(&to);
    let (_, rest) = page.split_once("id=\"secret-text\">").expect("it is shown");
    let secret = rest.split('<').next().unwrap().to_owned();
    assert_eq!(house.caller(&secret).get("/v1/spend_keys").status, 200);
    let again = visitor.page(&to);
    assert!(!again.contains(&secret) && again.contains("deploys") && again.contains("this session"));
    assert_eq!(visitor.submit(SECRETS, SECRETS, &[("name", "")]).status, 422);
    let keys = house.server.client().get("/v1/secret_keys").json();
    let id = keys["data"][0]["secret_key_id"].as_str().unwrap();
    visitor
        .submit(SECRETS, &format!("{SECRETS}/{id}/delete"), &[])
        .expect_status(303);
    assert_eq!(house.caller(&secret).get("/v1/spend_keys").status, 401);
    assert_eq!(
        visitor.submit(SECRETS, &format!("{SECRETS}/{id}/delete"), &[]).status,
        404
    );
}

#[test]
fn deleting_the_key_of_the_session_ends_the_session() {
    let (house, mut visitor) = house_and_visitor();
    let keys = house.server.client().get("/v1/secret_keys").json();
    let id = keys["data"][0]["secret_key_id"].as_str().unwrap();
    visitor
        .submit(SECRETS, &format!("{SECRETS}/{id}/delete"), &[])
        .expect_status(303);
    assert_eq!(visitor.get(SECRETS).status, 303);
    assert_eq!(house.server.client().get("/v1/wallet").status, 401);
}

#[test]
fn a_credential_at_a_provider_is_stored_and_never_shown() {
    let (house, mut visitor) = house_and_visitor();
    assert!(visitor.page(PROVIDERS).contains("openai"));
    let fields = [("provider", "openai"), ("key", "sk-0123456789abcdef"), ("name", "ours")];
    visitor
        .submit(PROVIDERS, "/dashboard/provider_keys", &fields)
        .expect_status(303);
    let page = visitor.page(PROVIDERS);
    assert!(
        page.contains("<code>cdef</code>") && !page.contains("0123456789"),
        "{page}"
    );
    let bad = visitor.submit(
        PROVIDERS,
        "/dashboard/provider_keys",
        &[("provider", "nobody"), ("key", "sk-secret-one")],
    );
    assert_eq!(bad.status / 100, 4);
    assert!(!bad.text().contains("sk-secret-one"), "a credential stands in a page");
    let stored = house.server.client().get("/v1/provider_keys").json();
    let id = stored["data"][0]["provider_key_id"].as_str().unwrap();
    visitor
        .submit(PROVIDERS, &format!("/dashboard/provider_keys/{id}/delete"), &[])
        .expect_status(303);
    assert_eq!(house.server.client().get("/v1/provider_keys").json()["data"], json!([]));
}

#[test]
fn the_books_are_proved_when_somebody_asks() {
    let (house, mut visitor) = house_and_visitor();
    let (_, key) = house.mint(json!({ "name": "calls" }));
    house.row(
        &house
            .caller(&key)
            .post("/v1/chat/completions", &chat("output_tokens=3"))
            .expect_status(200),
    );
    assert!(visitor.page("/dashboard/proof").contains("Not proved since"));
    visitor
        .submit("/dashboard/proof", "/dashboard/proof/prove", &[])
        .expect_status(303);
    let page = visitor.page("/dashboard/proof");
    assert!(page.contains("The books agree"), "{page}");
    let other = Visitor::signed_in(&house.server, &house.test_merchant());
    assert!(
        other.page("/dashboard/proof").contains("Not proved since"),
        "another merchant's proof is not shown"
    );
}

#[test]
fn the_audit_page_shows_who_did_what_and_is_narrowed() {
    let (house, mut visitor) = house_and_visitor();
    let (id, _) = house.mint(json!({ "name": "<b>agent</b>" }));
    let path = format!("/dashboard/spend_keys/{id}");
    visitor.submit(&path, &format!("{path}/pause"), &[]).expect_status(303);
    let page = visitor.page("/dashboard/audit_events");
    assert!(page.contains("spend_keys.pause") && page.contains("spend_keys.create") && !page.contains("<b>agent"));
    let page = visitor.page("/dashboard/audit_events?action=spend_keys.pause");
    assert!(page.contains("spend_keys.pause</td>") && !page.contains("spend_keys.create</td>"));
    let page = visitor.page("/dashboard/audit_events?action=nothing");
    assert!(page.contains("No change fits"));
    assert_eq!(visitor.get("/dashboard/audit_events?cursor=x").status, 400);
}
