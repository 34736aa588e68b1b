//! Meters: what is shown of them and of their tiers, what is changed, and what bad input gets.

use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::server::secret_key;
use crate::support::visitor::Visitor;

const HOME: &str = "/dashboard/meters";
const NEW: &str = "/dashboard/meters/new";

fn house_and_visitor() -> (House, Visitor) {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    (house, visitor)
}

fn stored(house: &House, path: &str) -> Value {
    let id = path.split('?').next().unwrap().rsplit('/').next().unwrap();
    house
        .server
        .client()
        .get(&format!("/v1/meters/{id}"))
        .expect_status(200)
        .json()
}

fn tier<'a>(start: &'a str, rate: &'a str) -> [(&'a str, &'a str); 2] {
    [("tier_start", start), ("tier_rate", rate)]
}

#[test]
fn a_meter_is_made_with_its_tiers_edited_and_deleted() {
    let (house, mut visitor) = house_and_visitor();
    assert!(visitor.page(HOME).contains("No meters yet"));
    let mut fields = vec![
        ("name", "Tokens"),
        ("rate_type", "fixed"),
        ("tier_type", "tokens_1m"),
        ("meter_slug", ""),
    ];
    fields.extend(tier("0", "2.00"));
    fields.extend(tier("", ""));
    fields.extend(tier("1,000,000", "1.5"));
    let answer = visitor.submit(NEW, HOME, &fields).expect_status(303);
    let to = answer.header("location").unwrap().to_owned();
    let page = visitor.page(&to);
    for shown in [
        "Created.",
        "1,000,000",
        "$1<span class=\"fraction\">.50",
        "per 1M tokens",
        "<code>tokens</code>",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert_eq!(stored(&house, &to)["tiers"][1]["rate"], "1.50");
    assert!(visitor.page(HOME).contains("Tokens"));

    let path = to.split('?').next().unwrap();
    let edit = format!("{path}/edit");
    let form = visitor.page(&edit);
    assert!(
        form.contains("value=\"1000000\"") && form.contains("dollars per 1M tokens"),
        "{form}"
    );
    assert!(!form.contains("name=\"tier_type\""), "what it counts never changes");
    let fields = [
        [("name", "Words"), ("tier_start", "0")],
        [("tier_rate", "3"), ("tier_start", "")],
    ]
    .concat();
    visitor.submit(&edit, path, &fields).expect_status(303);
    let meter = stored(&house, path);
    assert_eq!(
        (&meter["name"], meter["tiers"].as_array().unwrap().len()),
        (&json!("Words"), 1)
    );

    visitor.submit(path, &format!("{path}/delete"), &[]).expect_status(303);
    assert!(visitor.get(path).text().contains("There is no such meter"));
}

#[test]
fn what_is_wrong_with_a_tier_is_told_by_its_row_and_nothing_typed_is_lost() {
    let (house, mut visitor) = house_and_visitor();
    let base = [("name", "n"), ("rate_type", "percentage"), ("tier_type", "minutes")];
    type Case<'a> = (Vec<(&'a str, &'a str)>, &'a str, &'a str);
    let table: [Case<'_>; 5] = [
        (vec![], "wrong-tiers", "Must have at least one tier"),
        (tier("5", "1").to_vec(), "wrong-tiers", "Row 1, start: must be"),
        (
            [tier("0", "1"), tier("", ""), tier("0", "7")].concat(),
            "wrong-tiers",
            "Row 2, start: must be above the start of the tier before",
        ),
        (
            [tier("0", "1"), tier("many", "7")].concat(),
            "wrong-tiers",
            "value=\"many\"",
        ),
        (
            [tier("0", "1").to_vec(), vec![("meter_slug", "not a slug")]].concat(),
            "wrong-meter_slug",
            "value=\"not a slug\"",
        ),
    ];
    for (fields, wrong, kept) in table {
        let fields = [base.to_vec(), fields].concat();
        let answer = visitor.submit(NEW, HOME, &fields);
        assert_eq!(answer.status, 422, "{fields:?}");
        let page = answer.text();
        assert!(
            page.contains(&format!("id=\"{wrong}\"")) && page.contains(kept),
            "{kept}: {page}"
        );
        assert!(page.contains("value=\"percentage\" selected") && page.contains("value=\"minutes\" selected"));
    }
    let list = house.server.client().get("/v1/meters").json();
    assert_eq!(list["data"], json!([]));
}

#[test]
fn a_meter_says_which_plans_it_draws_on() {
    let (house, visitor) = house_and_visitor();
    let client = house.server.client();
    let tiers = json!([{ "start": "0", "rate": "10" }]);
    let body = json!({ "name": "Margin", "rate_type": "percentage", "tier_type": "requests", "tiers": tiers });
    let id = client.post("/v1/meters", &body).expect_status(201).json()["meter_id"].clone();
    let path = format!("{HOME}/{}", id.as_str().unwrap());
    let page = visitor.page(&path);
    assert!(page.contains("10.00 %") && page.contains("Nobody"), "{page}");
    let plan = json!({ "name": "Trial", "period_amount": "0", "billing_interval": "month", "meter_ids": [id] });
    client.post("/v1/plans", &plan).expect_status(201);
    assert!(visitor.page(&path).contains(">Trial</a>"));
}

#[test]
fn another_merchants_meter_is_not_there() {
    let (house, mut visitor) = house_and_visitor();
    let tiers = json!([{ "start": "0", "rate": "10" }]);
    let body = json!({ "name": "his", "rate_type": "fixed", "tier_type": "requests", "tiers": tiers });
    let stranger = house.stranger();
    let made = stranger.post("/v1/meters", &body).expect_status(201).json();
    let path = format!("{HOME}/{}", made["meter_id"].as_str().unwrap());
    assert_eq!(visitor.get(&path).status, 404);
    assert_eq!(visitor.get(&format!("{path}/edit")).status, 404);
    let fields = [("name", "mine"), ("tier_start", "0"), ("tier_rate", "1")];
    assert_eq!(visitor.submit(NEW, &path, &fields).status, 404);
    assert_eq!(visitor.submit(NEW, &format!("{path}/delete"), &[]).status, 404);
    assert!(!visitor.page(HOME).contains("his"));
}

#[test]
fn what_was_changed_of_another_thing_of_the_same_name_is_not_shown() {
    let (house, visitor) = house_and_visitor();
    let client = house.server.client();
    let tiers = json!([{ "start": "0", "rate": "1" }]);
    let body =
        json!({ "name": "Pro", "meter_slug": "pro", "rate_type": "fixed", "tier_type": "requests", "tiers": tiers });
    let meter = client.post("/v1/meters", &body).expect_status(201).json();
    client
        .post("/v1/customers", &json!({ "reference_id": "pro" }))
        .expect_status(201);
    client
        .patch("/v1/customers/pro", &json!({ "name": "Jane" }))
        .expect_status(200);
    client
        .patch("/v1/meters/pro", &json!({ "name": "Prose" }))
        .expect_status(200);
    let id = meter["meter_id"].as_str().unwrap();
    let page = visitor.page(&format!("{HOME}/{id}"));
    assert!(page.contains("<td>create</td>") && page.contains("<td>update</td>"));
    assert!(!page.contains("customers.update"), "{page}");
    assert!(page.contains("/dashboard/audit_events?target=prd_"));
}
