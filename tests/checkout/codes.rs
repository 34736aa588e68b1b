//! One-time codes of live merchants' customers, sent by way of an address of the operator's.

use serde_json::Value;

use super::shop::{Shop, Visit};
use crate::support::house::House;
use crate::support::scripted::{Scripted, answer};
use crate::support::server::secret_key;

const SECRET: &str = "the-operators-own-secret";

/// A live merchant's shop whose codes go to this receiver.
fn open(receiver: &Scripted) -> Shop {
    let url = format!("http://127.0.0.1:{}/codes", receiver.port);
    let house = House::with(|settings| {
        settings
            .variable("CALDERA__CHECKOUT__CODE_WEBHOOK_URL", url)
            .variable("CALDERA_CODE_WEBHOOK_SECRET", SECRET)
    });
    let client = house.server.client();
    let key = secret_key().to_owned();
    Shop { house, client, key }
}

fn ask(shop: &Shop) -> (Visit, u16, String) {
    let visit = shop.subscribe(&shop.plan_of("Free of charge", "0"));
    let asked = visit.post("phone", "phone=%2B49+30+123456");
    let (status, text) = (asked.status, asked.text());
    (visit, status, text)
}

#[test]
fn a_code_goes_to_the_number_by_the_operators_address_and_only_it_opens_the_next_step() {
    let receiver = Scripted::start(|_| answer("204 No Content", &[], b""));
    let shop = open(&receiver);
    let (visit, status, _) = ask(&shop);
    assert_eq!(status, 303);
    let seen = receiver.last();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/codes"));
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["phone"], "+4930123456");
    assert_eq!(body["checkout_session_id"], visit.session["checkout_session_id"]);
    let code = body["code"].as_str().unwrap();
    assert!(
        code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()),
        "{code}"
    );
    assert!(body["message"].as_str().unwrap().contains(code));
    assert!(!visit.page().contains(code));
    let other = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(visit.post("code", &format!("code={other}")).status, 422);
    assert_eq!(visit.post("confirm", "").status, 422, "not without the code");
    assert_eq!(shop.house.database.number("SELECT count(*) FROM customers"), 0);
    visit.post("code", &format!("code={code}")).expect_status(303);
    visit.post("confirm", "").expect_status(303);
    assert!(visit.page().contains("lava_checkout_success"));
    assert_eq!(receiver.seen().len(), 1);
    let said = format!("{}{}", shop.house.server.stdout(), shop.house.server.stderr());
    assert!(!said.contains(SECRET) && !said.contains(&format!("\"{code}\"")));
}

#[test]
fn a_code_that_was_not_sent_is_said_to_be_so_and_opens_nothing() {
    for refusal in ["500 Internal Server Error", "302 Found"] {
        let receiver = Scripted::start(move |_| answer(refusal, &[("location", "/elsewhere")], b""));
        let shop = open(&receiver);
        let (visit, status, page) = ask(&shop);
        assert_eq!(status, 422, "{refusal}");
        assert!(page.contains("The code could not be sent."), "{page}");
        assert_eq!(receiver.seen().len(), 1, "no redirect is followed");
        let body: Value = serde_json::from_slice(&receiver.last().body).unwrap();
        let form = format!("code={}", body["code"].as_str().unwrap());
        assert_eq!(visit.post("code", &form).status, 422);
    }
}
