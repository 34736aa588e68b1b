//! Plans and their bundles: what is shown of them, what is changed, and what bad input gets.

use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::server::secret_key;
use crate::support::visitor::Visitor;

const HOME: &str = "/dashboard/plans";
const NEW: &str = "/dashboard/plans/new";

fn house_and_visitor() -> (House, Visitor) {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    (house, visitor)
}

fn meter(house: &House, name: &str) -> String {
    let tiers = json!([{ "start": "0", "rate": "2" }]);
    let body = json!({ "name": name, "rate_type": "fixed", "tier_type": "tokens_1m", "tiers": tiers });
    let made = house
        .server
        .client()
        .post("/v1/meters", &body)
        .expect_status(201)
        .json();
    made["meter_id"].as_str().unwrap().to_owned()
}

fn stored(house: &House, path: &str) -> Value {
    let id = path.split('?').next().unwrap().rsplit('/').next().unwrap();
    house
        .server
        .client()
        .get(&format!("/v1/plans/{id}"))
        .expect_status(200)
        .json()
}

fn bundle<'a>(id: &'a str, name: &'a str, cost: &'a str, credit: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("bundle_id", id),
        ("bundle_name", name),
        ("bundle_cost", cost),
        ("bundle_credit", credit),
    ]
}

/// A plan of $25 with a meter and two bundles, the second of which is bought by itself.
fn make(visitor: &mut Visitor, meter: &str) -> String {
    let mut fields = vec![
        ("name", "Pro"),
        ("period_amount", "25"),
        ("billing_interval", "month"),
        ("rollover_type", "none"),
        ("bundle_rollover_type", "full"),
        ("meter_ids", meter),
        ("default_bundle", "2"),
    ];
    fields.extend(bundle("", "Small", "9", "10"));
    fields.extend(bundle("", "", "", ""));
    fields.extend(bundle("", "Large", "50", "60"));
    let answer = visitor.submit(NEW, HOME, &fields).expect_status(303);
    answer.header("location").unwrap().to_owned()
}

#[test]
fn a_plan_is_made_with_its_meters_and_bundles_edited_and_deleted() {
    let (house, mut visitor) = house_and_visitor();
    let (tokens, words) = (meter(&house, "Tokens"), meter(&house, "Words"));
    assert!(visitor.page(HOME).contains("Free"), "every merchant has it");
    let to = make(&mut visitor, &tokens);
    let page = visitor.page(&to);
    for shown in ["Created.", "$25<span", "Tokens", "Large", "when credit runs out"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let plan = stored(&house, &to);
    assert_eq!(
        (&plan["included_credit"], &plan["billing_interval"]),
        (&json!("25.00"), &json!("month"))
    );
    let bundles = plan["credit_bundles"].as_array().unwrap();
    assert_eq!((bundles.len(), &bundles[1]["name"]), (2, &json!("Large")));
    assert_eq!(plan["default_auto_top_up_bundle_id"], bundles[1]["credit_bundle_id"]);
    let list = visitor.page("/dashboard/credit_bundles");
    assert!(
        list.contains("Large") && list.contains("$60<span") && list.contains(">Pro</a>"),
        "{list}"
    );

    let path = to.split('?').next().unwrap();
    let edit = format!("{path}/edit");
    let ids: Vec<&str> = bundles
        .iter()
        .map(|own| own["credit_bundle_id"].as_str().unwrap())
        .collect();
    let mut fields = vec![
        ("name", "Pro plus"),
        ("included_credit", "20"),
        ("rollover_type", "full"),
        ("bundle_rollover_type", "full"),
        ("meter_ids", &words),
        ("default_bundle", ""),
        ("bundle_removed", ids[0]),
    ];
    fields.extend(bundle(ids[0], "Small", "9", "10"));
    fields.extend(bundle(ids[1], "Large", "45", "60"));
    fields.extend(bundle("", "Huge", "90", "120"));
    visitor.submit(&edit, path, &fields).expect_status(303);
    let plan = stored(&house, path);
    let bundles = plan["credit_bundles"].as_array().unwrap();
    assert_eq!(
        (&plan["name"], &plan["included_credit"]),
        (&json!("Pro plus"), &json!("20.00"))
    );
    assert_eq!(
        (bundles.len(), &bundles[0]["cost"], &bundles[1]["name"]),
        (2, &json!("45.00"), &json!("Huge"))
    );
    assert_eq!(plan["default_auto_top_up_bundle_id"], Value::Null);
    assert_eq!(plan["linked_meters"][0]["name"], "Words");

    visitor.submit(path, &format!("{path}/delete"), &[]).expect_status(303);
    assert_eq!(visitor.get(path).status, 404);
    assert!(visitor.get(path).text().contains("There is no such plan"));
}

#[test]
fn what_is_wrong_with_a_plan_stands_beside_its_field_and_nothing_typed_is_lost() {
    let (house, mut visitor) = house_and_visitor();
    let tokens = meter(&house, "Tokens");
    let base = [
        ("name", "n"),
        ("billing_interval", "month"),
        ("meter_ids", tokens.as_str()),
    ];
    type Case<'a> = (Vec<(&'a str, &'a str)>, &'a str, &'a str);
    let table: [Case<'_>; 5] = [
        (
            vec![("period_amount", "a lot")],
            "wrong-period_amount",
            "value=\"a lot\"",
        ),
        (vec![("period_amount", "10000.01")], "wrong-period_amount", "10000.01"),
        (
            vec![("period_amount", "5"), ("included_credit", "6")],
            "wrong-included_credit",
            "value=\"6\"",
        ),
        (
            [
                vec![("period_amount", "5")],
                bundle("", "", "", "").to_vec(),
                bundle("", "Small", "0", "10").to_vec(),
            ]
            .concat(),
            "wrong-credit_bundles",
            "Row 1, cost: must be above zero",
        ),
        (
            [
                vec![("period_amount", "5"), ("default_bundle", "0")],
                bundle("", "Small", "", "10").to_vec(),
            ]
            .concat(),
            "wrong-credit_bundles",
            "value=\"0\" aria-label=\"Buy bundle 1 by itself when credit runs out\" checked",
        ),
    ];
    for (fields, wrong, kept) in table {
        let fields = [base.to_vec(), fields].concat();
        let answer = visitor.submit(NEW, HOME, &fields);
        assert_eq!(answer.status, 422, "{fields:?}");
        let page = answer.text();
        assert!(page.contains(&format!("id=\"{wrong}\"")), "{fields:?}: {page}");
        assert!(page.contains(kept), "{kept}: {page}");
        assert!(page.contains(&format!("value=\"{tokens}\" checked")), "{fields:?}");
    }
    let to = make(&mut visitor, &tokens);
    let path = to.split('?').next().unwrap();
    let answer = visitor.submit(
        &format!("{path}/edit"),
        path,
        &[
            ("name", "n"),
            ("included_credit", "99"),
            ("rollover_type", "none"),
            ("bundle_rollover_type", "full"),
        ],
    );
    assert_eq!(answer.status, 422);
    assert!(
        answer.text().contains("id=\"wrong-included_credit\""),
        "{}",
        answer.text()
    );
    assert_eq!(stored(&house, path)["name"], "Pro");
}

#[test]
fn a_form_has_as_many_rows_as_are_asked_for() {
    let (_house, visitor) = house_and_visitor();
    let rows = |path: &str| visitor.page(path).matches("name=\"bundle_name\"").count();
    assert_eq!(rows(NEW), 3);
    assert_eq!(rows(&format!("{NEW}?rows=20")), 20);
    assert_eq!(rows(&format!("{NEW}?rows=1000000000000")), 100);
    assert!(visitor.page(NEW).contains("href=\"?rows=8\""));
}

#[test]
fn a_plan_says_how_many_are_on_it() {
    let (house, visitor) = house_and_visitor();
    for name in ["Jane", "Joe"] {
        house
            .server
            .client()
            .post("/v1/customers", &json!({ "name": name }))
            .expect_status(201);
    }
    let plans = house.server.client().get("/v1/plans").json();
    let id = plans["data"][0]["plan_id"].as_str().unwrap();
    let page = visitor.page(&format!("{HOME}/{id}"));
    assert!(page.contains("<dt>Subscribers</dt><dd>2</dd>"), "{page}");
}

#[test]
fn another_merchants_plan_is_not_there_and_scripts_are_text() {
    let (house, mut visitor) = house_and_visitor();
    let script = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let body = json!({
        "name": script, "period_amount": "0", "billing_interval": "day", "meter_ids": [meter(&house, script)],
        "credit_bundles": [{ "name": script, "cost": "1", "credit_amount": "1" }],
    });
    let own = house.server.client().post("/v1/plans", &body).expect_status(201).json();
    let own = format!("{HOME}/{}", own["plan_id"].as_str().unwrap());
    for path in [
        HOME,
        own.as_str(),
        &format!("{own}/edit"),
        "/dashboard/credit_bundles",
        "/dashboard/meters",
    ] {
        let page = visitor.page(path);
        assert!(
            !page.contains("<script>alert") && !page.contains("<img"),
            "{path}: {page}"
        );
        assert!(page.contains("alert(1)"), "{path}");
    }
    let his = house.stranger().get("/v1/plans").json()["data"][0]["plan_id"].clone();
    let his = format!("{HOME}/{}", his.as_str().unwrap());
    assert_eq!(visitor.get(&his).status, 404);
    assert_eq!(visitor.submit(NEW, &his, &[("name", "mine")]).status, 404);
    assert_eq!(visitor.submit(NEW, &format!("{his}/delete"), &[]).status, 404);
}
