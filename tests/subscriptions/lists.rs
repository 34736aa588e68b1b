//! Lists of subscriptions.

use serde_json::json;

use super::{PATH, customer, free_plan, ids, subscribe, subscription, text};
use crate::support::house::House;

#[test]
fn lists_page_newest_first_with_whose_each_is() {
    let house = House::new();
    let secret = house.server.client();
    let plan = free_plan(&house, "0");
    let mut begun: Vec<String> = (0..5)
        .map(|number| {
            let id = customer(&house, &format!("u{number}"));
            let answer = subscribe(&house, &id, &plan).expect_status(201).json();
            text(&answer["subscription"], "subscription_id")
        })
        .collect();
    begun.reverse();
    let (mut path, mut seen) = (format!("{PATH}?limit=2"), Vec::new());
    loop {
        let page = secret.get(&path).expect_status(200);
        seen.extend(ids(&page));
        let Some(cursor) = page.json()["next_cursor"].as_str().map(str::to_owned) else {
            break;
        };
        path = format!("{PATH}?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, begun);
    let of_one = secret.get(&format!("{PATH}?customer_id=u3")).expect_status(200);
    assert_eq!(ids(&of_one), [begun[1].clone()]);
    let shown = &of_one.json()["data"][0];
    let contact = json!({ "phone": "+15551234567", "email": "", "first_name": "Jane", "last_name": "Smith" });
    let whose = secret.get("/v1/customers/u3").expect_status(200).json();
    assert_eq!(
        (&shown["customer_id"], &shown["customer"]),
        (&whose["customer_id"], &contact)
    );
    let mut alone = shown.clone();
    for name in ["customer_id", "connection_id", "customer"] {
        alone.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(subscription(&house, "u3"), alone);
}
