//! Wallet, secrets, providers, proof and audit.

use diesel::connection::SimpleConnection as _;
use serde_json::json;

use crate::support::house::{House, chat};
use crate::support::http::Answer;
use crate::support::server::{eventually, secret_key};
use crate::support::visitor::{Visitor, form_token, hidden};

const WALLET: &str = "/dashboard/wallet";
const FUND: &str = "/dashboard/wallet/fund";
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
        let refused = pay(&mut visitor, id, amount);
        assert_eq!(refused.status, 422, "{amount}");
        assert!(refused.text().contains(why), "{}", refused.text());
    }
    let paid = pay(&mut visitor, id, "25.00");
    let to = paid.expect_status(303).header("location").unwrap().to_owned();
    assert!(visitor.page(&to).contains("$25"));
    assert_eq!(house.caller(&key).get("/v1/wallet").json()["balance"], "25.00");
    let removed = visitor.submit(WALLET, &format!("/dashboard/payment_methods/{id}/delete"), &[]);
    assert_eq!(removed.status, 303);
    assert!(visitor.page(WALLET).contains("There is no card on file yet"));
    house.books_agree();
}

/// Sends the form of the wallet's page.
fn pay(visitor: &mut Visitor, card: &str, amount: &str) -> Answer {
    let payment = hidden(&visitor.page(WALLET), "payment_id");
    let fields = [
        ("payment_method_id", card),
        ("amount", amount),
        ("payment_id", payment.as_str()),
    ];
    visitor.submit(WALLET, FUND, &fields)
}

#[test]
fn a_payment_that_is_sent_twice_is_made_once() {
    let house = House::new();
    let key = house.test_merchant();
    let (mut visitor, mut twin) = (Visitor::signed_in(&house.server, &key), Visitor::new(&house.server));
    twin.cookie.clone_from(&visitor.cookie);
    let card = json!({ "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123" } });
    let kept = house.caller(&key).post("/v1/payment_methods", &card).expect_status(201);
    let kept = kept.json();
    let id = kept["payment_method_id"].as_str().unwrap();
    let page = visitor.page(WALLET);
    let (payment, token) = (hidden(&page, "payment_id"), form_token(&page));
    let sent = |amount| {
        [
            ("payment_method_id", id),
            ("amount", amount),
            ("payment_id", payment.as_str()),
            ("form_token", token.as_str()),
        ]
    };
    let answers = std::thread::scope(|scope| {
        let twin = scope.spawn(|| twin.send(FUND, &sent("25.00")).status);
        [visitor.send(FUND, &sent("25.00")).status, twin.join().unwrap()]
    });
    assert_eq!(answers, [303, 303]);
    let other = visitor.send(FUND, &sent("30.00"));
    assert_eq!(other.status, 422);
    assert!(other.text().contains("another card or amount"), "{}", other.text());
    assert_ne!(hidden(&other.text(), "payment_id"), payment, "the form is a new one");
    let whole = [("payment_method_id", id), ("amount", "25.00")];
    for payment in ["", "pay_test_x", "pay_00000000000000000000000000"] {
        let fields = [&whole[..], &[("payment_id", payment)]].concat();
        let answer = visitor.submit(WALLET, FUND, &fields);
        assert!(answer.text().contains("not whole"), "{payment}: {}", answer.text());
    }
    assert_eq!(house.database.number("SELECT count(*) FROM payments"), 1);
    assert_eq!(house.caller(&key).get("/v1/wallet").json()["balance"], "25.00");

    let mut stranger = Visitor::signed_in(&house.server, &house.test_merchant());
    let fields = [&whole[..], &[("payment_id", payment.as_str())]].concat();
    let answer = stranger.submit(WALLET, FUND, &fields);
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(!answer.text().contains("25.00</td>"));
    house.books_agree();
}

#[test]
fn two_keys_made_side_by_side_are_both_shown() {
    let (_house, mut visitor) = house_and_visitor();
    let mut make = |name| {
        let made = visitor.submit(SECRETS, SECRETS, &[("name", name)]).expect_status(303);
        made.header("location").unwrap().to_owned()
    };
    let (first, second) = (make("first"), make("second"));
    for (to, name) in [(first, "first"), (second, "second")] {
        let page = visitor.page(&to);
        assert!(page.contains("id=\"secret-text\">aks_"), "{name}: {page}");
        assert!(!visitor.page(&to).contains("secret-text"), "{name} is shown once");
    }
}

#[test]
fn the_books_are_proved_once_at_a_time() {
    let (house, mut visitor) = house_and_visitor();
    let mut twin = Visitor::new(&house.server);
    twin.cookie.clone_from(&visitor.cookie);
    let mut blocker = house.database.connect();
    blocker
        .batch_execute("BEGIN; LOCK TABLE requests IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let (from, prove) = ("/dashboard/proof", "/dashboard/proof/prove");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| twin.submit(from, prove, &[]).expect_status(303));
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'requests'::regclass";
        eventually("the first proof waits", || house.database.number(waiting) == 1);
        let second = visitor.submit(from, prove, &[]).expect_status(303);
        let to = second.header("location").unwrap();
        assert_eq!(to, "/dashboard/proof?done=proving");
        assert!(visitor.page(to).contains("being proved already"));
        blocker.batch_execute("ROLLBACK").unwrap();
        assert_eq!(first.join().unwrap().header("location"), Some(from));
    });
    let third = visitor.submit(from, prove, &[]).expect_status(303);
    assert_eq!(third.header("location"), Some(from));
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
        page.contains("<code>cdef</code>")
            && page.contains("openai (replaces the one stored)")
            && !page.contains("0123456789"),
        "{page}"
    );
    let bad = visitor.submit(
        PROVIDERS,
        "/dashboard/provider_keys",
        &[("provider", "nobody"), ("key", "sk-secret-one")],
    );
    assert_eq!(bad.status, 422);
    assert!(bad.text().contains("id=\"wrong-provider\""), "{}", bad.text());
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
