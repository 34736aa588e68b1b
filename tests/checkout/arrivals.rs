//! Who comes by checkout: he is told of as one who was created, and his plan takes the place of the free one.

use serde_json::Value;

use super::buy;
use super::shop::Shop;
use crate::support::house::House;
use crate::support::scripted::{Scripted, answer};
use crate::support::server::eventually;

#[test]
fn a_customer_who_comes_by_checkout_is_told_of_and_is_on_the_plan_that_he_bought() {
    let receiver = Scripted::start(|_| answer("200 OK", &[], b""));
    let place = format!("127.0.0.1:{}", receiver.port);
    let house = House::with(|settings| settings.variable("CALDERA__WEBHOOKS__ALLOW_PRIVATE_HOSTS", &place));
    let key = house.test_merchant();
    let client = house.caller(&key);
    let shop = Shop { house, client, key };
    let endpoint = serde_json::json!({ "name": "mine", "url": format!("http://{place}/hooks") });
    shop.client.post("/v1/webhooks", &endpoint).expect_status(201);
    let visit = shop.subscribe(&shop.plan());
    buy(&visit, "4242 4242 4242 4242");
    let customer = shop.read(&visit.session)["customer_id"].clone();
    let told = |name: &str| {
        let told = receiver.seen().into_iter();
        let told = told.map(|seen| serde_json::from_slice::<Value>(&seen.body).unwrap());
        told.into_iter().find(|told| told["event"] == name)
    };
    eventually("his creation is told", || told("customer.created").is_some());
    let created = told("customer.created").unwrap()["data"].clone();
    assert_eq!(
        (&created["customer_id"], &created["subscription"]["name"]),
        (&customer, &"Free".into())
    );
    let path = format!("/v1/customers/{}/subscription", customer.as_str().unwrap());
    let bought = shop.client.get(&path).expect_status(200).json()["subscription"].clone();
    assert_eq!(bought["subscription_id"], created["subscription"]["subscription_id"]);
    assert_eq!(
        (&bought["plan"]["name"], &bought["credits"]["total_remaining"]),
        (&"Pro".into(), &"25.00".into())
    );
    assert_eq!(bought["started_at"], bought["cycle_start_at"]);
    let all = "SELECT COUNT(*) FROM subscriptions";
    eventually("his one subscription is written", || {
        shop.house.database.number(all) == 1
    });
    shop.house.books_agree();
}
