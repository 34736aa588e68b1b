//! Customers and their subscriptions: what is shown of them, what is changed, and what bad input gets.

use serde_json::{Value, json};

use crate::support::house::{House, chat};
use crate::support::server::{eventually, secret_key};
use crate::support::visitor::Visitor;

const HOME: &str = "/dashboard/customers";

fn house_and_visitor() -> (House, Visitor) {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    (house, visitor)
}

fn made(house: &House, path: &str, body: &Value) -> Value {
    house.server.client().post(path, body).expect_status(201).json()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

fn customer(house: &House, body: &Value) -> String {
    text(&made(house, "/v1/customers", body), "customer_id")
}

/// A free plan with this credit, a meter of a dollar a request, and two bundles.
fn plan(house: &House, name: &str, credit: &str) -> (String, String) {
    let tiers = json!([{ "start": "0", "rate": "1" }]);
    let meter =
        json!({ "name": format!("{name} calls"), "rate_type": "fixed", "tier_type": "requests", "tiers": tiers });
    let meter = made(house, "/v1/meters", &meter);
    let bundles = json!([{ "name": "Small", "cost": "9", "credit_amount": "10" }]);
    let body = json!({
        "name": name, "period_amount": "0", "included_credit": credit, "billing_interval": "month",
        "meter_ids": [meter["meter_id"]], "credit_bundles": bundles,
    });
    (
        text(&made(house, "/v1/plans", &body), "plan_id"),
        text(&meter, "meter_slug"),
    )
}

fn subscription(house: &House, customer: &str) -> Value {
    let path = format!("/v1/customers/{customer}/subscription");
    house.server.client().get(&path).expect_status(200).json()["subscription"].clone()
}

#[test]
fn a_customer_is_made_edited_and_deleted() {
    let (house, mut visitor) = house_and_visitor();
    assert!(visitor.page(HOME).contains("No customers yet"));
    let fields = [
        ("name", "Jane Smith"),
        ("email", "jane@example.com"),
        ("reference_id", "u/1"),
        ("metadata", "{\"tier\": \"gold\"}"),
    ];
    let answer = visitor.submit(&format!("{HOME}/new"), HOME, &fields).expect_status(303);
    let to = answer.header("location").unwrap().to_owned();
    let path = to.split('?').next().unwrap().to_owned();
    let page = visitor.page(&to);
    for shown in ["Created.", "jane@example.com", "u/1", "&#34;tier&#34;", "Free"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let list = visitor.page(HOME);
    assert!(
        list.contains("Jane Smith") && list.contains("$0<span class=\"fraction\">.00"),
        "{list}"
    );

    let edit = visitor.page(&format!("{path}/edit"));
    assert!(edit.contains("value=\"jane@example.com\""));
    let fields = [
        ("name", "Jane Doe"),
        ("email", ""),
        ("reference_id", "u/1"),
        ("metadata", ""),
    ];
    visitor
        .submit(&format!("{path}/edit"), &path, &fields)
        .expect_status(303);
    let id = path.rsplit('/').next().unwrap();
    let stored = house.server.client().get(&format!("/v1/customers/{id}")).json();
    assert_eq!(stored["contact"]["last_name"], "Doe");
    assert_eq!(
        (&stored["contact"]["email"], &stored["metadata"]),
        (&json!(""), &Value::Null)
    );
    let page = visitor.page(&path);
    assert!(
        page.contains("<td>create</td>") && page.contains("<td>update</td>"),
        "{page}"
    );

    let gone = visitor.submit(&path, &format!("{path}/delete"), &[]).expect_status(303);
    assert!(visitor.page(gone.header("location").unwrap()).contains("Deleted."));
    let answer = visitor.get(&path);
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("There is no such customer"));
}

#[test]
fn what_is_wrong_with_a_customer_stands_beside_its_field_and_nothing_typed_is_lost() {
    let (house, mut visitor) = house_and_visitor();
    customer(&house, &json!({ "name": "First", "reference_id": "taken" }));
    let second = customer(&house, &json!({ "name": "Second" }));
    let edit = format!("{HOME}/{second}/edit");
    let table: [(&[(&str, &str)], &str); 5] = [
        (&[("name", "n"), ("email", "jane")], "wrong-email"),
        (&[("name", "n"), ("phone", "555")], "wrong-phone"),
        (&[("name", "n"), ("reference_id", "con_1")], "wrong-reference_id"),
        (&[("name", "n"), ("reference_id", "taken")], "wrong-reference_id"),
        (&[("name", "n"), ("metadata", "gold")], "wrong-metadata"),
    ];
    for (fields, wrong) in table {
        for (from, to) in [(&format!("{HOME}/new"), HOME), (&edit, edit.trim_end_matches("/edit"))] {
            let answer = visitor.submit(from, to, fields);
            assert_eq!(answer.status, 422, "{wrong} {to}");
            let page = answer.text();
            assert!(page.contains(&format!("id=\"{wrong}\"")), "{wrong}: {page}");
            assert!(
                page.contains(fields[1].1) && page.contains("value=\"n\""),
                "{wrong}: {page}"
            );
        }
    }
    let list = house.server.client().get("/v1/customers").json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
}

#[test]
fn a_free_plan_is_assigned_cancelled_and_kept_after_all() {
    let (house, mut visitor) = house_and_visitor();
    let id = customer(&house, &json!({ "name": "Jane" }));
    let (plan, _) = plan(&house, "Trial", "5");
    let path = format!("{HOME}/{id}");
    assert!(visitor.page(&path).contains("Trial, $5.00 credit"));
    let fields = [("customer_id", id.as_str()), ("plan_id", plan.as_str())];
    let to = visitor
        .submit(&path, "/dashboard/subscriptions", &fields)
        .expect_status(303);
    let page = visitor.page(to.header("location").unwrap());
    assert!(
        page.contains("on this plan from now on") && page.contains("$5<span"),
        "{page}"
    );
    let own = subscription(&house, &id);
    assert_eq!(own["plan_id"], json!(plan));

    let subscription_path = format!("/dashboard/subscriptions/{}", own["subscription_id"].as_str().unwrap());
    let bundle = visitor.page(&path);
    let bundle = bundle.split("value=\"cb_").nth(1).unwrap().split('"').next().unwrap();
    let bundle = format!("cb_{bundle}");
    let fields = [("customer_id", id.as_str()), ("auto_top_up_bundle_id", bundle.as_str())];
    visitor.submit(&path, &subscription_path, &fields).expect_status(303);
    assert_eq!(subscription(&house, &id)["auto_top_up_bundle_id"], json!(bundle));
    let fields = [("customer_id", id.as_str()), ("auto_top_up_bundle_id", "")];
    visitor.submit(&path, &subscription_path, &fields).expect_status(303);
    assert_eq!(subscription(&house, &id)["auto_top_up_bundle_id"], Value::Null);

    let fields = [("customer_id", id.as_str())];
    let does = |visitor: &mut Visitor, verb: &str| {
        let answer = visitor.submit(&path, &format!("{subscription_path}/{verb}"), &fields);
        visitor.page(answer.expect_status(303).header("location").unwrap())
    };
    let page = does(&mut visitor, "cancel");
    assert!(
        page.contains("<span class=\"mark warn\">Ends</span>") && page.contains("Keep Trial"),
        "{page}"
    );
    assert_eq!(subscription(&house, &id)["pending_change"]["type"], "cancellation");
    assert!(visitor.page("/dashboard/subscriptions").contains("Ends"));
    does(&mut visitor, "withdraw");
    assert_eq!(subscription(&house, &id)["pending_change"], Value::Null);
    let page = visitor.page(&path);
    for change in ["subscriptions.create", "subscriptions.cancel", "subscriptions.withdraw"] {
        assert!(page.contains(change), "{change}: {page}");
    }
}

#[test]
fn a_plan_with_a_price_is_refused_on_the_customers_page() {
    let (house, mut visitor) = house_and_visitor();
    let id = customer(&house, &json!({ "name": "Jane" }));
    let body = json!({ "name": "Pro", "period_amount": "25", "billing_interval": "month" });
    let pro = text(&made(&house, "/v1/plans", &body), "plan_id");
    let path = format!("{HOME}/{id}");
    assert!(!visitor.page(&path).contains(">Pro<"), "it is not offered");
    let fields = [("customer_id", id.as_str()), ("plan_id", pro.as_str())];
    let answer = visitor.submit(&path, "/dashboard/subscriptions", &fields);
    assert_eq!(answer.status, 422);
    let page = answer.text();
    assert!(
        page.contains("role=\"alert\"") && page.contains("by checkout"),
        "{page}"
    );
}

#[test]
fn what_a_customer_used_is_shown_by_meter() {
    let (house, visitor) = house_and_visitor();
    let id = customer(&house, &json!({ "name": "Jane", "reference_id": "jane" }));
    let (plan, slug) = plan(&house, "Trial", "5");
    let body = json!({ "customer_id": id, "plan_id": plan });
    made(&house, "/v1/subscriptions", &body);
    let token = json!({ "secret_key": secret_key(), "customer_id": "jane", "meter_slug": slug });
    let token = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(token.to_string())
    };
    let call = house
        .caller(&token)
        .post("/v1/chat/completions", &chat("output_tokens=5"));
    call.expect_status(200);
    let path = format!("{HOME}/{id}");
    eventually("the call is in the books", || {
        visitor.page(&path).contains("$1<span class=\"fraction\">.00")
    });
    let page = visitor.page(&path);
    for shown in ["Trial calls", ">1 request<", "$4<span class=\"fraction\">.00"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(page.contains("Plan began"), "{page}");
}

#[test]
fn subscriptions_are_found_by_customer_and_status() {
    let (house, visitor) = house_and_visitor();
    let jane = customer(&house, &json!({ "name": "Jane", "reference_id": "jane" }));
    customer(&house, &json!({ "name": "Joe" }));
    let path = "/dashboard/subscriptions";
    let all = visitor.page(path);
    assert!(all.contains("Jane") && all.contains("Joe"));
    let one = visitor.page(&format!("{path}?customer_id=jane&status=all"));
    assert!(one.contains(&jane) && !one.contains("Joe"));
    assert!(
        visitor
            .page(&format!("{path}?status=cancelled"))
            .contains("No subscription fits")
    );
    let nobody = visitor.page(&format!("{path}?customer_id=nobody"));
    assert!(
        nobody.contains("There is no such customer") && nobody.contains("value=\"nobody\""),
        "{nobody}"
    );
}

#[test]
fn lists_go_on_where_a_page_ends() {
    let (house, visitor) = house_and_visitor();
    for number in 0..30 {
        customer(&house, &json!({ "name": format!("Customer {number:02}") }));
    }
    let first = visitor.page(HOME);
    assert!(first.contains("Customer 29") && !first.contains("Customer 04"));
    let next = first.split("rel=\"next\"").next().unwrap();
    let next = next.rsplit("href=\"").next().unwrap().split('"').next().unwrap();
    let second = visitor.page(&next.replace("&#38;", "&").replace("&amp;", "&"));
    assert!(second.contains("Customer 04") && second.contains("Customer 00") && !second.contains("Customer 29"));
    assert!(second.contains("First page") && !second.contains("rel=\"next\""));
    assert_eq!(visitor.get(&format!("{HOME}?cursor=x")).status, 400);
}

#[test]
fn a_script_in_a_customers_name_or_metadata_is_text() {
    let (house, visitor) = house_and_visitor();
    let script = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let id = customer(
        &house,
        &json!({ "name": script, "reference_id": script, "metadata": { script: script } }),
    );
    let paths = [
        HOME.to_owned(),
        format!("{HOME}/{id}"),
        format!("{HOME}/{id}/edit"),
        "/dashboard/subscriptions".to_owned(),
    ];
    for path in paths {
        let page = visitor.page(&path);
        assert!(
            !page.contains("<script>alert") && !page.contains("<img"),
            "{path}: {page}"
        );
        assert!(page.contains("alert(1)"), "{path}");
    }
}

#[test]
fn another_merchants_customer_and_subscription_are_not_there() {
    let (house, mut visitor) = house_and_visitor();
    let own = customer(&house, &json!({ "name": "Mine" }));
    let stranger = house.stranger();
    let his = stranger
        .post("/v1/customers", &json!({ "name": "his" }))
        .expect_status(201)
        .json();
    let his_id = text(&his, "customer_id");
    let his_subscription = text(&his["subscription"], "subscription_id");
    let path = format!("{HOME}/{his_id}");
    assert_eq!(visitor.get(&path).status, 404);
    assert_eq!(visitor.get(&format!("{path}/edit")).status, 404);
    let refused = [
        (path.clone(), vec![("name", "mine now")]),
        (format!("{path}/delete"), vec![]),
        (
            format!("/dashboard/subscriptions/{his_subscription}/cancel"),
            vec![("customer_id", own.as_str())],
        ),
        (
            format!("/dashboard/subscriptions/{his_subscription}/cancel"),
            vec![("customer_id", his_id.as_str())],
        ),
        (
            "/dashboard/subscriptions".to_owned(),
            vec![("customer_id", his_id.as_str()), ("plan_id", "sc_1")],
        ),
    ];
    for (to, fields) in refused {
        assert_eq!(visitor.submit(&format!("{HOME}/new"), &to, &fields).status, 404, "{to}");
    }
    assert!(!visitor.page(HOME).contains("his"));
    let still = stranger
        .get(&format!("/v1/customers/{his_id}"))
        .expect_status(200)
        .json();
    assert_eq!(still["contact"]["first_name"], "his");
}
