//! A live merchant's checkout: the card goes to a simulated Stripe, and what Stripe answers, loses or says later decides.

use serde_json::{Value, json};

use super::shop::{ORIGIN, Shop, Visit};
use crate::support::house::House;
use crate::support::http::Client;
use crate::support::server::secret_key;
use crate::support::stripe::{SECRET_KEY, SimulatedStripe};

const WEBHOOK_SECRET: &str = "whsec_test";

pub fn open() -> (Shop, SimulatedStripe) {
    let stripe = SimulatedStripe::start();
    let house = House::with(|settings| {
        settings
            .variable("STRIPE_SECRET_KEY", SECRET_KEY)
            .variable("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .variable("CALDERA__CHECKOUT__STRIPE_API_URL", stripe.url())
            .variable("CALDERA__CHECKOUT__STRIPE_PUBLISHABLE_KEY", "pk_test_simulated")
    });
    let client = house.server.client();
    let key = secret_key().to_owned();
    (Shop { house, client, key }, stripe)
}

/// Puts a card on file as the processor's script does, and comes back.
fn give_card(visit: &Visit, stripe: &SimulatedStripe, number: &str) {
    let page = visit.page();
    assert!(page.contains("data-key=\"pk_test_simulated\"") && page.contains("data-secret=\"seti_secret\""));
    assert!(!page.contains("name=\"number\""), "no card number comes here");
    stripe.finish_setup(&stripe.last_setup(), number);
    visit.post("card", "").expect_status(303);
}

pub fn sign(body: &str) -> String {
    use hmac::{Hmac, Mac};
    let at_s = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(format!("{at_s}.{body}").as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={at_s},v1={hex}")
}

pub fn tell(shop: &Shop, body: &Value, signature: &str) -> u16 {
    let stripe = Client::new(&shop.house.server.url()).with_header("stripe-signature", signature);
    stripe.post("/v1/payments/stripe/events", body).status
}

#[test]
fn a_card_goes_to_the_processor_and_its_payment_buys_the_plan() {
    let (shop, stripe) = open();
    let visit = shop.subscribe(&shop.plan());
    let policy = visit.get().header("content-security-policy").unwrap().to_owned();
    assert!(
        policy.contains("script-src 'self' https://js.stripe.com") && policy.contains(ORIGIN),
        "{policy}"
    );
    assert_eq!(visit.post("card", "").status, 422, "not before the browser gave it");
    give_card(&visit, &stripe, "4000000000009995");
    assert!(visit.page().contains("insufficient_funds"));
    give_card(&visit, &stripe, "4242424242424242");
    assert!(visit.page().contains("ending in 4242"));
    visit.post("confirm", "").expect_status(303);
    assert!(visit.page().contains("lava_checkout_success"));
    assert_eq!((stripe.taken_cents(), shop.credit()), (2500, [25_000_000_000, 0]));
    shop.house.books_agree();
}

#[test]
fn a_payment_without_an_answer_is_under_way_until_there_is_one() {
    let (mut shop, stripe) = open();
    let visit = shop.subscribe(&shop.plan());
    give_card(&visit, &stripe, "4242424242424242");
    stripe.fail_next(&[0, 500, 500]);
    visit.post("confirm", "").expect_status(303);
    assert_eq!(shop.house.database.number("SELECT count(*) FROM subscriptions"), 0);
    // Nobody knows; a process that ends here changes nothing.
    shop.house.server.kill();
    shop.house.server.start_again();
    assert!(visit.page().contains("lava_checkout_success"));
    visit.page();
    assert_eq!((stripe.taken_cents(), shop.credit()), (2500, [25_000_000_000, 0]));
    shop.house.books_agree();
}

#[test]
fn a_bank_that_asks_is_answered_in_the_browser_and_its_word_may_come_by_message() {
    let (shop, stripe) = open();
    let visit = shop.subscribe(&shop.plan());
    give_card(&visit, &stripe, "4000002760003184");
    visit.post("confirm", "").expect_status(303);
    let page = visit.page();
    assert!(
        page.contains("data-secret=\"pi_secret\"") && page.contains("Your bank asks"),
        "{page}"
    );
    visit.post("approve", "approval=yes").expect_status(303);
    assert!(visit.page().contains("Your bank asks"), "his word is not the bank's");
    let payment = stripe.last_payment();
    let event = json!({ "type": "payment_intent.succeeded", "data": { "object": {
        "metadata": stripe.field(&payment, "metadata"),
    } } });
    // News are looked into, not believed.
    assert_eq!(tell(&shop, &event, &sign(&event.to_string())), 200);
    assert_eq!(shop.house.database.number("SELECT count(*) FROM subscriptions"), 0);
    stripe.confirm_payment(&payment);
    assert_eq!(tell(&shop, &event, "t=1,v1=00"), 400);
    assert_eq!(shop.house.database.number("SELECT count(*) FROM subscriptions"), 0);
    assert_eq!(tell(&shop, &event, &sign(&event.to_string())), 200);
    assert_eq!(shop.credit(), [25_000_000_000, 0]);
    assert_eq!(tell(&shop, &event, &sign(&event.to_string())), 200);
    assert_eq!(shop.credit(), [25_000_000_000, 0]);
    assert!(visit.page().contains("lava_checkout_success"));
}
