//! Customers billed in line and by report: what is held and drawn of their credit, what is refused, and every charge
//! by tier.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::house::{House, chat, chat_stream, nanos};
use crate::support::http::{Answer, Client};
use crate::support::server::{eventually, secret_key};

/// A house with a meter, a plan that has it, and a customer on the plan.
struct Shop {
    house: House,
    customer: String,
}

impl Shop {
    fn new(meter: Value, credit: &str) -> Self {
        let house = House::new();
        let management = house.server.client();
        let meter = management.post("/v1/meters", &meter).expect_status(201).json();
        let plan = json!({
            "name": "Plan", "period_amount": "0", "billing_interval": "month", "included_credit": credit,
            "meter_ids": [meter["meter_id"]],
        });
        let plan = management.post("/v1/plans", &plan).expect_status(201).json();
        let customer = management.post("/v1/customers", &json!({ "reference_id": "jane" }));
        let customer = customer.expect_status(201).json()["customer_id"].clone();
        let subscription = json!({ "customer_id": customer, "plan_id": plan["plan_id"] });
        let begun = management.post("/v1/subscriptions", &subscription);
        assert!(matches!(begun.status, 200 | 201), "{}", begun.text());
        Self {
            house,
            customer: customer.as_str().unwrap().to_owned(),
        }
    }

    fn management(&self) -> Client {
        self.house.server.client()
    }

    /// A caller with a forward token of these members beside its secret key.
    fn caller(&self, mut members: Value) -> Client {
        members["secret_key"] = secret_key().into();
        let token = base64::engine::general_purpose::STANDARD.encode(members.to_string());
        self.house.caller(&token)
    }

    fn janes(&self) -> Client {
        self.caller(json!({ "customer_id": self.customer, "meter_slug": "words" }))
    }

    fn credit(&self) -> i64 {
        let path = format!("/v1/customers/{}/subscription", self.customer);
        let shown = self.management().get(&path).expect_status(200).json();
        nanos(&shown["subscription"]["credits"]["total_remaining"])
    }

    fn report(&self, body: &Value) -> Answer {
        let mut report = json!({ "customer_id": "jane", "meter_slug": "words" });
        report
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        self.management().post("/v1/requests", &report)
    }
}

fn meter(rate_type: &str, tier_type: &str, tiers: &[(u64, &str)]) -> Value {
    let tiers: Vec<_> = tiers
        .iter()
        .map(|(start, rate)| json!({ "start": start, "rate": rate }))
        .collect();
    json!({ "name": "Words", "rate_type": rate_type, "tier_type": tier_type, "tiers": tiers })
}

fn tokens(rate: &str) -> Value {
    meter("fixed", "tokens_1m", &[(0, rate)])
}

fn call(client: &Client, body: &Value) -> Answer {
    client.post("/v1/chat/completions", body)
}

#[test]
fn a_call_draws_its_charge_from_the_customer_and_its_row_explains_it() {
    let shop = Shop::new(tokens("2000"), "5.00");
    let answer = call(&shop.janes(), &chat("output_tokens=40")).expect_status(200);
    let row = shop.house.row(&answer);
    let usage = answer.json()["usage"]["total_tokens"].as_i64().unwrap();
    assert_eq!(nanos(&row["charge"]["amount"]), usage * 2_000_000);
    assert_eq!(
        row["charge"],
        json!({
            "amount": row["charge"]["amount"], "rate_type": "fixed",
            "breakdown": [{
                "tier": { "start": 0, "rate": "2000.00", "type": "tokens_1m" },
                "tokens": usage, "characters": 0, "seconds": 0, "cost": row["charge"]["amount"],
            }],
        })
    );
    assert_eq!(row["customer_id"], shop.customer.as_str());
    assert_eq!(row["provider_key_type"], "managed");
    assert_eq!(shop.credit(), 5_000_000_000 - usage * 2_000_000);
    let list = format!("/v1/requests?customer_id={}", shop.customer);
    let listed = shop.management().get(&list).expect_status(200).json();
    assert_eq!(listed["data"], json!([row]));
    let usage = format!("/v1/usage?start=2020-01-01T00:00:00Z&customer_id={}", shop.customer);
    let usage = shop.management().get(&usage).expect_status(200).json();
    assert_eq!(usage["totals"]["total_charge"], row["charge"]["amount"]);
    shop.house.books_agree();
}

#[test]
fn tiers_go_on_from_call_to_call_whatever_the_split() {
    // A token costs a tenth of a cent, from the hundredth on a hundredth.
    let shop = Shop::new(meter("fixed", "tokens_1m", &[(0, "1000"), (100, "100")]), "5.00");
    let mut sum = 0;
    for _ in 0..4 {
        let answer = call(&shop.janes(), &chat("output_tokens=40")).expect_status(200);
        sum += answer.json()["usage"]["total_tokens"].as_i64().unwrap();
        shop.house.row(&answer);
    }
    assert!(sum > 100);
    let charged = 100 * 1_000_000 + (sum - 100) * 100_000;
    assert_eq!(shop.credit(), 5_000_000_000 - charged);
    shop.house.books_agree();
}

#[test]
fn credit_that_is_used_up_refuses_the_call_before_it_is_made() {
    let shop = Shop::new(tokens("2000"), "0.10");
    let answer = call(&shop.janes(), &chat("output_tokens=1"));
    assert_eq!(
        (answer.status, answer.error_code().as_str()),
        (402, "insufficient_balance"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let error = answer.json()["error"].clone();
    assert_eq!(
        (&error["scope"], &error["balance"]),
        (&json!("customer"), &json!("0.10"))
    );
    assert_eq!(shop.house.database.number("SELECT count(*) FROM requests"), 0);
    // A stream is served as far as its credit reaches.
    let mut small = chat_stream("output_tokens=64 chunk_ms=1");
    small["messages"][0]["content"] = "[[sim output_tokens=64 chunk_ms=1]]".into();
    let streamed = call(&shop.janes(), &small);
    assert!(matches!(streamed.status, 200 | 402), "{}", streamed.text());
    assert!(shop.credit() >= 0);
    shop.house.books_agree();
}

#[test]
fn each_kind_of_meter_counts_what_it_says() {
    let table = [
        (meter("fixed", "requests", &[(0, "0.25")]), 250_000_000),
        (meter("fixed", "characters_1m", &[(0, "1")]), 0),
        (meter("fixed", "minutes", &[(0, "1")]), 0),
    ];
    for (meter, charge) in table {
        let shop = Shop::new(meter, "1.00");
        let answer = call(&shop.janes(), &chat("output_tokens=40")).expect_status(200);
        assert_eq!(nanos(&shop.house.row(&answer)["charge"]["amount"]), charge);
    }
    let shop = Shop::new(meter("percentage", "tokens_1m", &[(0, "110")]), "1.00");
    let answer = call(&shop.janes(), &chat("output_tokens=40")).expect_status(200);
    let row = shop.house.row(&answer);
    let cost = nanos(&row["cost"]);
    assert!(cost > 0);
    assert_eq!(nanos(&row["charge"]["amount"]), (cost * 110 + 50) / 100);
    assert_eq!(row["charge"]["rate_type"], "percentage");
    let unpriced = json!({ "model": "no-such-model", "messages": [{ "role": "user", "content": "Hello" }] });
    let refused = call(&shop.janes(), &unpriced);
    assert_eq!(refused.error_code(), "price_unknown", "{}", refused.text());
    shop.house.books_agree();
}

#[test]
fn a_failed_call_is_not_charged_and_holds_nothing() {
    let shop = Shop::new(meter("fixed", "requests", &[(0, "0.25")]), "1.00");
    for directive in ["status=500", "status=429", "status=400"] {
        let answer = call(&shop.janes(), &chat(directive));
        assert_ne!(answer.status, 200);
        assert_eq!(nanos(&shop.house.row(&answer)["charge"]["amount"]), 0, "{directive}");
    }
    assert_eq!(shop.credit(), 1_000_000_000);
    for _ in 0..4 {
        call(&shop.janes(), &chat("output_tokens=1")).expect_status(200);
    }
    assert_eq!(call(&shop.janes(), &chat("output_tokens=1")).status, 402);
    shop.house.books_agree();
}

#[test]
fn a_meter_alone_or_without_billing_only_counts() {
    let shop = Shop::new(tokens("2000"), "5.00");
    let customer = &shop.customer;
    let table = [
        (json!({ "meter_slug": "words", "customer_id": null }), Value::Null),
        (
            json!({ "meter_slug": "words", "customer_id": customer, "disable_billing": true }),
            json!(customer),
        ),
    ];
    for (members, customer) in table {
        let answer = call(&shop.caller(members), &chat("output_tokens=40")).expect_status(200);
        let row = shop.house.row(&answer);
        assert_eq!(row["customer_id"], customer);
        assert!(row["meter_id"].as_str().unwrap().starts_with("prd_"));
        assert_eq!(
            row["charge"],
            json!({ "amount": "0.00", "rate_type": "fixed", "breakdown": [] })
        );
        assert!(nanos(&row["cost"]) > 0);
    }
    assert_eq!(shop.credit(), 5_000_000_000);
    shop.house.books_agree();
}

#[test]
fn who_may_not_use_the_meter_is_told_so() {
    let shop = Shop::new(tokens("2000"), "5.00");
    let management = shop.management();
    let other = json!({ "name": "Other", "rate_type": "fixed", "tier_type": "requests", "tiers": [{ "start": 0, "rate": "0" }] });
    management.post("/v1/meters", &other).expect_status(201);
    management
        .post("/v1/customers", &json!({ "reference_id": "nobody" }))
        .expect_status(201);
    let customer = shop.customer.as_str();
    let table = [
        (
            json!({ "customer_id": customer, "meter_slug": "other" }),
            403,
            "meter_not_on_plan",
        ),
        (
            json!({ "customer_id": customer, "meter_slug": "other", "disable_billing": true }),
            403,
            "meter_not_on_plan",
        ),
        (
            json!({ "customer_id": "nobody", "meter_slug": "words" }),
            403,
            "meter_not_on_plan",
        ),
        (
            json!({ "customer_id": "who", "meter_slug": "words" }),
            404,
            "customer_not_found",
        ),
        (
            json!({ "customer_id": customer, "meter_slug": "what" }),
            404,
            "not_found",
        ),
    ];
    for (members, status, code) in table {
        let refused = call(&shop.caller(members.clone()), &chat("output_tokens=1"));
        assert_eq!(
            (refused.status, refused.error_code().as_str()),
            (status, code),
            "{members}"
        );
    }
    management.delete("/v1/meters/words").expect_status(200);
    assert_eq!(call(&shop.janes(), &chat("output_tokens=1")).error_code(), "not_found");
    management.delete("/v1/customers/jane").expect_status(200);
    assert_eq!(
        call(&shop.janes(), &chat("output_tokens=1")).error_code(),
        "customer_not_found"
    );
    assert_eq!(shop.house.database.number("SELECT count(*) FROM requests"), 0);
}

#[test]
fn five_million_tokens_reported_on_the_ladder_cost_seventeen() {
    let ladder = [(0, "5"), (1_000_000, "3"), (10_000_000, "1")];
    for pieces in [1, 5, 50] {
        let shop = Shop::new(meter("fixed", "tokens_1m", &ladder), "25.00");
        let mut sum = 0;
        for piece in 0..pieces {
            let body = json!({ "request_id": format!("r{piece}"), "input_tokens": 5_000_000 / pieces });
            let made = shop.report(&body).expect_status(201).json();
            sum += nanos(&made["charge"]["amount"]);
        }
        assert_eq!(sum, 17_000_000_000, "{pieces}");
        assert_eq!(shop.credit(), 8_000_000_000);
        shop.house.books_agree();
    }
}

#[test]
fn a_report_is_made_once_for_ever_and_shows_what_it_says() {
    let mut shop = Shop::new(tokens("2"), "0.00");
    let body = json!({
        "request_id": "evt-1", "input_tokens": 500, "output_tokens": 200, "input_characters": 30,
        "output_characters": 12, "input_seconds": 3, "output_seconds": 4, "metadata": { "team": "a" },
    });
    let made = shop.report(&body).expect_status(201).json();
    assert_eq!(
        (&made["request_id"], &made["status"]),
        (&json!("evt-1"), &json!("completed"))
    );
    assert_eq!(
        (&made["charge"]["amount"], &made["cost"]),
        (&json!("0.0014"), &json!("0.00"))
    );
    assert_eq!(made["metadata"], json!({ "team": "a" }));
    let usage = &made["model_usage"];
    let shown = [
        "input_tokens",
        "output_tokens",
        "input_characters",
        "output_characters",
        "total_characters",
        "input_seconds",
        "total_seconds",
    ];
    let shown: Vec<_> = shown.iter().map(|name| usage[*name].as_i64().unwrap()).collect();
    assert_eq!(shown, [500, 200, 30, 12, 42, 3, 7]);
    // It was served already: it is charged though there is no credit, which is a debt now.
    assert_eq!(shop.credit(), -1_400_000);
    let twins: Vec<Value> = std::thread::scope(|scope| {
        let reports = (0..8).map(|_| scope.spawn(|| shop.report(&body).expect_status(200).json()));
        let reports: Vec<_> = reports.collect();
        reports.into_iter().map(|report| report.join().unwrap()).collect()
    });
    assert!(twins.iter().all(|twin| *twin == made));
    shop.house.server.kill();
    shop.house.server.start_again();
    let different = json!({ "request_id": "evt-1", "input_tokens": 9 });
    assert_eq!(shop.report(&different).expect_status(200).json(), made);
    let read = shop.management().get("/v1/requests/evt-1").expect_status(200).json();
    assert_eq!(read, made);
    assert_eq!(shop.credit(), -1_400_000);
    let refused = call(&shop.janes(), &chat("output_tokens=1"));
    assert_eq!(refused.error_code(), "insufficient_balance");
    shop.house.books_agree();
}

#[test]
fn a_report_that_cannot_be_right_names_its_field() {
    let shop = Shop::new(tokens("2"), "1.00");
    let percentage = meter("percentage", "tokens_1m", &[(0, "10")]);
    let mut part = percentage;
    part["name"] = "Part".into();
    shop.management().post("/v1/meters", &part).expect_status(201);
    let many: serde_json::Map<String, Value> = (0..101).map(|place| (format!("k{place}"), json!("v"))).collect();
    let table = [
        (json!({}), 400, "request_id"),
        (json!({ "request_id": "" }), 400, "request_id"),
        (json!({ "request_id": "r", "input_tokens": -1 }), 400, "input_tokens"),
        (json!({ "request_id": "r", "input_tokens": 1.5 }), 400, "input_tokens"),
        (json!({ "request_id": "r", "input_seconds": "3" }), 400, "input_seconds"),
        (json!({ "request_id": "r", "customer_id": "who" }), 404, "customer_id"),
        (json!({ "request_id": "r", "meter_slug": "what" }), 404, "meter_slug"),
        (json!({ "request_id": "r", "meter_slug": "part" }), 400, "meter_slug"),
        (json!({ "request_id": "r", "metadata": many }), 400, "metadata"),
        (json!({ "request_id": "r", "metadata": { "a": 1 } }), 400, "metadata"),
        (json!({ "request_id": "r", "tokens": 1 }), 400, "tokens"),
    ];
    for (body, status, param) in table {
        let refused = shop.report(&body);
        assert_eq!(
            (refused.status, refused.json()["error"]["param"].as_str()),
            (status, Some(param)),
            "{}",
            refused.text()
        );
    }
    assert_eq!(shop.house.database.number("SELECT count(*) FROM requests"), 0);
    // A request id that was refused is free.
    shop.report(&json!({ "request_id": "r", "input_tokens": 1 }))
        .expect_status(201);
}

#[test]
fn what_was_used_and_charged_is_known_after_a_kill() {
    let mut shop = Shop::new(meter("fixed", "tokens_1m", &[(0, "1000"), (100, "100")]), "5.00");
    let mut sum = 0;
    for _ in 0..3 {
        let answer = call(&shop.janes(), &chat("output_tokens=40")).expect_status(200);
        sum += answer.json()["usage"]["total_tokens"].as_i64().unwrap();
        let before = shop.credit();
        shop.house.server.kill();
        shop.house.server.start_again();
        eventually("the credit is what it was", || shop.credit() == before);
    }
    let charged = sum.min(100) * 1_000_000 + (sum - 100).max(0) * 100_000;
    assert_eq!(shop.credit(), 5_000_000_000 - charged);
    shop.house.books_agree();
}
