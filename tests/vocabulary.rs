//! The words of older clients over the real server: their tokens, paths, bodies and queries, and what they read in the
//! answers. What their own packages make of it is in `clients`.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::house::{House, chat};
use crate::support::http::{Answer, Client};
use crate::support::server::secret_key;

/// A customer on a free plan with one meter.
struct Sale {
    house: House,
    customer: String,
    meter: String,
    plan: String,
}

impl Sale {
    fn new() -> Self {
        let house = House::new();
        let made = |path: &str, body: Value, name: &str| {
            let answer = house.server.client().post(path, &body).expect_status(201).json();
            answer[name].as_str().unwrap().to_owned()
        };
        let tiers = json!([{ "start": "0", "rate": "2" }]);
        let meter = json!({
            "name": "Chat", "meter_slug": "chat", "rate_type": "fixed", "tier_type": "tokens_1m", "tiers": tiers,
        });
        let meter = made("/v1/meters", meter, "meter_id");
        let plan = json!({
            "name": "Free", "period_amount": "0", "included_credit": "5.00", "billing_interval": "month", "meter_ids": [meter],
            "credit_bundles": [{ "name": "Small", "cost": "9.00", "credit_amount": "10.00" }],
        });
        let plan = made("/v1/plans", plan, "plan_id");
        let customer = made("/v1/customers", json!({ "reference_id": "jane" }), "customer_id");
        let subscription = json!({ "customer_id": customer, "plan_id": plan });
        house
            .server
            .client()
            .post("/v1/subscriptions", &subscription)
            .expect_status(201);
        Self {
            house,
            customer,
            meter,
            plan,
        }
    }

    fn client(&self) -> Client {
        self.house.server.client()
    }

    /// The row of a call with a token of these members beside the secret key.
    fn row(&self, mut members: Value) -> Value {
        members["secret_key"] = json!(secret_key());
        let token = base64::engine::general_purpose::STANDARD.encode(members.to_string());
        let call = self.house.caller(&token).post(CHAT, &chat("output_tokens=3"));
        assert_eq!(call.status, 200, "{members}: {}", call.text());
        self.house.row(&call)
    }
}

const CHAT: &str = "/v1/chat/completions";

fn expect_refusal(answer: &Answer, status: u16, param: &str) {
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status, &error["param"]), (status, &json!(param)), "{error}");
}

#[test]
fn tokens_of_every_generation_charge_the_customer_whom_they_name() {
    let sale = Sale::new();
    for (customer, meter) in [
        ("connection_secret", "product_secret"),
        ("connection_secret", "meter_secret"),
        ("connection_id", "product_id"),
        ("connection_id", "meter_slug"),
        ("customer_id", "meter_slug"),
    ] {
        for (named, slug) in [(sale.customer.as_str(), "chat"), ("jane", sale.meter.as_str())] {
            let row = sale.row(json!({ customer: named, meter: slug, "provider_key": null }));
            assert_eq!(
                (&row["customer_id"], &row["meter_id"]),
                (&json!(sale.customer), &json!(sale.meter))
            );
            assert_ne!(row["charge"]["amount"], "0.00");
            assert_eq!(
                (&row["connection_id"], &row["product_id"]),
                (&row["customer_id"], &row["meter_id"])
            );
        }
        let row = sale.row(json!({ customer: null, meter: null, "provider_key": "mine" }));
        assert!(
            row.get("customer_id").is_none() && row.get("connection_id").is_none(),
            "{row}"
        );
        assert_eq!(
            row["charge"],
            json!({ "amount": "0.00", "rate_type": "fixed", "breakdown": [] })
        );
    }
}

#[test]
fn paths_of_every_generation_lead_to_the_same_things() {
    let sale = Sale::new();
    let client = sale.client().with_header("x-lava-api-version", "2025-04-28.v1");
    let table = [
        ("/v1/meters", "/v1/products"),
        ("/v1/plans", "/v1/subscription_configs"),
        ("/v1/plans", "/v1/subscription-configs"),
        ("/v1/credit_bundles", "/v1/credit-bundles"),
        ("/v1/spend_keys", "/v1/spend-keys"),
        ("/v1/spend_keys", "/v1/manage/spend-keys"),
        ("/v1/wallet_keys", "/v1/wallet-keys"),
        ("/v1/secret_keys", "/v1/secret-keys"),
        ("/v1/provider_keys", "/v1/provider-keys"),
    ];
    for (today, older) in table {
        let shown = client.get(older).expect_status(200).json();
        assert_eq!(shown, client.get(today).expect_status(200).json(), "{older}");
        let first = &shown["data"][0];
        let ids = ["meter_id", "credit_bundle_id", "plan_id"];
        let id = ids.iter().find_map(|name| first[*name].as_str());
        if let Some(id) = id {
            let one = client.get(&format!("{older}/{id}")).expect_status(200).json();
            assert_eq!(&one, first, "{older}");
        }
    }
    let path = format!("/v1/subscription-configs/{}", sale.plan);
    let changed = client
        .put(&path, &json!({ "name": "New", "product_ids": [] }))
        .expect_status(200);
    let changed = changed.json();
    assert_eq!(
        (&changed["name"], &changed["linked_meters"]),
        (&json!("New"), &json!([]))
    );
    assert_eq!(changed["subscription_config_id"], json!(sale.plan));
    let made = client
        .post("/v1/spend-keys", &json!({ "name": "hyphen" }))
        .expect_status(201)
        .json();
    let rotation = format!("/v1/spend-keys/{}/rotate", made["spend_key_id"].as_str().unwrap());
    client.send("POST", &rotation, None).expect_status(200);
    assert_eq!(
        client
            .post("/v1/connections", &json!({}))
            .expect_status(405)
            .error_code(),
        "method_not_allowed"
    );
}

#[test]
fn a_connection_is_its_customer_under_older_names() {
    let sale = Sale::new();
    let client = sale.client();
    client.post("/v1/customers", &json!({})).expect_status(201);
    let shown = client.get("/v1/connections/jane").expect_status(200).json();
    for name in ["customer_id", "connection_id", "connection_secret"] {
        assert_eq!(shown[name], json!(sale.customer), "{name}");
    }
    assert_eq!(shown["subscription"]["subscription_config_id"], json!(sale.plan));
    assert_eq!(shown["wallet"]["balance"], "5.00");
    assert_eq!(
        (&shown["has_lava_credit_balance"], &shown["reference_id"]),
        (&json!(true), &json!("jane"))
    );
    let list = |query: &str| client.get(&format!("/v1/connections{query}")).expect_status(200).json();
    assert_eq!(list("")["data"].as_array().unwrap().len(), 2);
    assert_eq!(list("")["data"][1], shown);
    assert_eq!(list("?reference_id=jane")["data"], json!([shown]));
    assert_eq!(list("?reference_id=nobody")["data"], json!([]));
    let own = client
        .get("/v1/connections/jane/subscription")
        .expect_status(200)
        .json();
    assert_eq!(own["subscription"]["subscription_config_id"], json!(sale.plan));
    let stranger = sale.house.stranger();
    assert_eq!(
        stranger.get("/v1/connections/jane").expect_status(404).error_code(),
        "customer_not_found"
    );
    assert_eq!(
        stranger.get("/v1/connections").expect_status(200).json()["data"],
        json!([])
    );
    let path = format!("/v1/connections/{}", sale.customer);
    assert_eq!(
        client.delete(&path).expect_status(200).json(),
        json!({ "success": true })
    );
    assert_eq!(
        client.get("/v1/customers/jane").expect_status(404).error_code(),
        "customer_not_found"
    );
}

#[test]
fn bodies_and_queries_take_older_words_and_name_what_is_wrong_in_them() {
    let sale = Sale::new();
    let client = sale.client();
    let words = [
        ("customer_id", "meter_slug"),
        ("connection_id", "meter_slug"),
        ("connection_secret", "meter_secret"),
        ("connection_secret", "product_secret"),
    ];
    for (number, (customer, meter)) in words.into_iter().enumerate() {
        let report = |customer_name: &str, meter_name: &str| {
            let body = json!({
                "request_id": format!("mine-{number}"), customer: customer_name, meter: meter_name, "input_tokens": 500,
            });
            client.post("/v1/requests", &body)
        };
        expect_refusal(&report("jane", ""), 400, meter);
        let row = report("jane", "chat").expect_status(201).json();
        assert_eq!(
            (&row["connection_id"], &row["charge"]["amount"]),
            (&json!(sale.customer), &json!("0.001"))
        );
        let fee = json!({ "amount": "0.001", "token_basis": "input+output", "rate_type": "fixed" });
        for name in ["amount", "token_basis", "rate_type"] {
            assert_eq!(row["fee"][name], fee[name], "{name}");
        }
        assert_eq!(row["fee"]["breakdown"], row["charge"]["breakdown"]);
    }
    let twice = json!({
        "request_id": "x", "customer_id": sale.customer, "connection_id": "jane", "meter_slug": "chat",
    });
    expect_refusal(&client.post("/v1/requests", &twice), 400, "connection_id");
    let listed = |query: &str| client.get(&format!("/v1/requests?{query}")).expect_status(200).json()["data"].clone();
    let every = listed("customer_id=jane");
    assert_eq!(every.as_array().unwrap().len(), words.len());
    for query in [
        "connection_id=jane".to_owned(),
        format!("connection_secret={}", sale.customer),
        format!("product_id={}", sale.meter),
    ] {
        assert_eq!(listed(&query), every, "{query}");
    }
    expect_refusal(&client.get("/v1/requests?product_id=x"), 400, "product_id");
    expect_refusal(
        &client.get("/v1/requests?customer_id=jane&connection_id=jane"),
        400,
        "connection_id",
    );
    let bundles = |query: &str| {
        client
            .get(&format!("/v1/credit_bundles{query}"))
            .expect_status(200)
            .json()
    };
    assert_eq!(bundles(&format!("?subscription_config_id={}", sale.plan)), bundles(""));
    let usage = client
        .get("/v1/usage?start=2026-01-01T00:00:00Z&connection_id=jane")
        .expect_status(200);
    let totals = usage.json()["totals"].clone();
    for name in [
        "total_charge",
        "total_fee_amount",
        "total_wallet_cost",
        "total_gross_volume",
        "total_request_cost",
    ] {
        assert_eq!(totals[name], "0.004", "{name}");
    }
}

#[test]
fn plans_and_meters_take_older_words_and_refuse_what_is_no_more() {
    let sale = Sale::new();
    let client = sale.client();
    let plan = json!({
        "name": "Old", "period_amount": "0", "billing_interval": "day", "product_ids": [sale.meter, sale.meter],
    });
    expect_refusal(&client.post("/v1/subscription_configs", &plan), 400, "product_ids[1]");
    let mut plan = plan;
    plan["product_ids"] = json!([sale.meter]);
    let made = client.post("/v1/subscription_configs", &plan).expect_status(201).json();
    assert_eq!(made["linked_meters"][0]["meter_id"], json!(sale.meter));
    let subscription = json!({ "connection_id": "jane", "subscription_config_id": "sc_nothing" });
    expect_refusal(&client.post("/v1/subscriptions", &subscription), 404, "plan_id");
    let mut meter = json!({
        "name": "Old", "rate_type": "fixed", "tier_type": "requests", "tiers": [{ "start": "0", "rate": "1" }],
        "token_basis": "input+output", "base_cost_payer": "merchant", "service_charge_payer": "wallet",
    });
    let shown = client.post("/v1/products", &meter).expect_status(201).json();
    assert_eq!(
        (&shown["product_id"], &shown["token_basis"]),
        (&shown["meter_id"], &json!("input+output"))
    );
    for (name, word) in [("token_basis", "output"), ("base_cost_payer", "wallet")] {
        let good = std::mem::replace(&mut meter[name], json!(word));
        expect_refusal(&client.post("/v1/products", &meter), 400, name);
        meter[name] = good;
    }
}
