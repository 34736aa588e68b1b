//! A walk over every resource, each answer of which must be as it is described: made, read, listed, changed, refused,
//! removed. What was answered is held against the schemas of the description by `openapi-answers.mjs`.

use serde_json::{Value, json};

use super::description::Description;
use crate::clients::Script;
use crate::support::house::{House, chat, chat_stream, message};
use crate::support::http::{Answer, Client};
use crate::support::server::eventually;
use crate::support::stream::EventStream;

/// A client whose every answer is kept.
struct Walker {
    description: Description,
    client: Client,
    /// What was called, and what was answered.
    steps: Vec<Value>,
}

impl Walker {
    fn go(&mut self, method: &str, address: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        let answer = self.client.send(method, address, body);
        self.steps.push(json!({
            "method": method.to_lowercase(), "address": address, "path": self.description.template_of(address),
            "status": answer.status, "type": answer.header("content-type"), "body": answer.text(),
        }));
        answer
    }

    fn get(&mut self, address: &str) -> Value {
        self.go("GET", address, None).expect_status(200).json()
    }

    fn post(&mut self, address: &str, body: Value) -> Value {
        let answer = self.go("POST", address, Some(body));
        assert!(answer.status < 300, "POST {address}: {}", answer.text());
        answer.json()
    }

    fn patch(&mut self, address: &str, body: Value) -> Value {
        self.go("PATCH", address, Some(body)).expect_status(200).json()
    }

    fn refused(&mut self, method: &str, address: &str, body: Value) {
        let answer = self.go(method, address, Some(body));
        assert!(
            (400..500).contains(&answer.status),
            "{method} {address}: {}",
            answer.text()
        );
    }

    fn delete(&mut self, address: &str) {
        self.go("DELETE", address, None).expect_status(200);
    }
}

#[test]
fn every_answer_is_as_it_is_described() {
    let place = "127.0.0.1:9";
    let house = House::with(|settings| settings.variable("CALDERA__WEBHOOKS__ALLOW_PRIVATE_HOSTS", place));
    let mut walker = Walker {
        description: Description::of(&house),
        client: house.server.client(),
        steps: Vec::new(),
    };
    gateway(&mut walker, &house);
    keys(&mut walker, &house);
    billing(&mut walker);
    webhooks(&mut walker, place);
    checkout(&mut walker, &house);
    figures(&mut walker, &house);
    programs(&mut walker);
    refusals(&mut walker, &house);
    rest(&mut walker);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("steps.json");
    std::fs::write(&file, Value::from(walker.steps).to_string()).unwrap();
    let script = Script::new("openapi-answers.mjs", &house);
    script.variable("STEPS", &file.display().to_string()).run();
}

fn gateway(walker: &mut Walker, house: &House) {
    let limit = json!({ "name": "walk", "spend_limit": { "amount": "5.00", "cycle": "daily" } });
    let made = walker.post("/v1/spend_keys", limit);
    let key = made["key"].as_str().unwrap();
    let own = std::mem::replace(
        &mut walker.client,
        house.caller(key).with_header("x-lava-metadata", r#"{"team":"a"}"#),
    );
    walker.post("/v1/chat/completions", chat("output_tokens=3"));
    walker
        .go("POST", "/v1/chat/completions", Some(chat_stream("output_tokens=3")))
        .expect_status(200);
    walker.post(
        "/v1/responses",
        json!({ "model": "gpt-4o-mini", "input": "Hello", "max_output_tokens": 16 }),
    );
    walker.post(
        "/v1/embeddings",
        json!({ "model": "text-embedding-3-small", "input": "Hello" }),
    );
    walker.get("/v1/models");
    walker.get("/v1/models/gpt-4o-mini");
    walker.get("/v1beta/models");
    walker.get("/v1beta/models/gpt-4o-mini");
    walker.refused("POST", "/v1/chat/completions", json!({ "model": "no-such-model" }));
    walker.refused("POST", "/v1/messages", message(""));
    let said = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }], "generationConfig": { "maxOutputTokens": 16 } });
    walker.post("/v1beta/models/gpt-4o-mini:generateContent", said.clone());
    walker.post("/v1beta/models/gpt-4o-mini:countTokens", said);
    let said = json!({ "messages": [{ "role": "user", "content": [{ "text": "Hello" }] }], "inferenceConfig": { "maxTokens": 16 } });
    walker.post("/model/gpt-4o-mini/converse", said);
    walker.client = own;
    walker.post("/v1/messages", message("output_tokens=3"));
    walker.post("/v1/messages/count_tokens", message(""));
    walker.post(
        "/v1/forward?u=api.openai.com/v1/chat/completions",
        chat("output_tokens=3"),
    );
    walker.refused("GET", "/v1/forward/openai/v1/files", Value::Null);
    walker.refused("POST", "/v1/rewrite/openai/nowhere", chat(""));
    let mut first = String::new();
    eventually("the first rows are written", || {
        let listed = walker.get("/v1/requests?limit=100&metadata=%7B%22team%22:%22a%22%7D");
        first = listed["data"][0]["request_id"].as_str().unwrap_or("").to_owned();
        !first.is_empty()
    });
    walker.get(&format!("/v1/requests/{first}"));
    walker.get("/v1/usage?start=2020-01-01T00:00:00Z");
    walker.get("/v1/services");
    walker.get("/v1/services/providers?query=openai");
}

fn keys(walker: &mut Walker, house: &House) {
    let whole = json!({
        "name": "whole", "request_shape": "anthropic", "allowed_models": ["gpt-*"], "allowed_providers": ["openai"],
        "allowed_ips": ["10.0.0.0/8"], "spend_limit": { "amount": "5.00", "cycle": "total" },
        "request_limit": { "count": 5, "cycle": "weekly" }, "rate_limit": { "rpm": 5 }, "max_parallel": 2,
        "enforcement": "strict", "on_disconnect": "cancel", "timezone": "Europe/Berlin",
        "expires_at": "2090-01-01T00:00:00Z", "tags": ["a"],
    });
    let id = walker.post("/v1/spend_keys", whole)["spend_key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    for path in ["/v1/spend_keys", "/v1/spend-keys", "/v1/manage/spend_keys"] {
        walker.get(path);
        walker.get(&format!("{path}/{id}"));
    }
    walker.patch(
        &format!("/v1/spend_keys/{id}"),
        json!({ "spend_limit": null, "status": "paused" }),
    );
    walker.post(&format!("/v1/spend_keys/{id}/rotate"), json!({ "grace_seconds": 5 }));
    walker.delete(&format!("/v1/spend_keys/{id}"));
    let wallet_key = house.server.ask(&["keys", "create", "--wallet", "--name", "Walk"]);
    walker.get("/v1/wallet_keys");
    let wallet_key = wallet_key["wallet_key_id"].as_str().unwrap();
    walker.post(&format!("/v1/wallet_keys/{wallet_key}/rotate"), json!({}));
    walker.delete(&format!("/v1/wallet_keys/{wallet_key}"));
    let made = walker.post("/v1/secret_keys", json!({ "name": "walk" }));
    walker.get("/v1/secret_keys?limit=1");
    walker.delete(&format!("/v1/secret_keys/{}", made["secret_key_id"].as_str().unwrap()));
    let made = walker.post(
        "/v1/provider_keys",
        json!({ "provider": "mistral", "key": "a-key-of-mine-1234" }),
    );
    walker.get("/v1/provider_keys");
    walker.delete(&format!(
        "/v1/provider_keys/{}",
        made["provider_key_id"].as_str().unwrap()
    ));
}

fn billing(walker: &mut Walker) {
    let tiers = json!([{ "start": "0", "rate": "12.00" }, { "start": 100, "rate": "10" }]);
    let meter = json!({ "name": "Chat", "rate_type": "fixed", "tier_type": "tokens_1m", "tiers": tiers });
    let meter = walker.post("/v1/meters", meter)["meter_id"]
        .as_str()
        .unwrap()
        .to_owned();
    walker.get("/v1/products");
    walker.get("/v1/meters/chat");
    walker.patch(&format!("/v1/meters/{meter}"), json!({ "name": "Chatting" }));
    let bundles = json!([{ "name": "Ten", "cost": "10.00", "credit_amount": "10.00" }]);
    let plan = json!({
        "name": "Free", "period_amount": "0", "billing_interval": "month", "included_credit": "3", "credit_bundles": bundles,
        "meter_ids": [meter], "default_auto_top_up_bundle_index": 0,
    });
    let plan = walker.post("/v1/plans", plan);
    let (plan_id, bundle) = (
        plan["plan_id"].as_str().unwrap().to_owned(),
        plan["credit_bundles"][0]["credit_bundle_id"]
            .as_str()
            .unwrap()
            .to_owned(),
    );
    walker.get("/v1/subscription_configs");
    walker.get(&format!("/v1/plans/{plan_id}"));
    walker.patch(&format!("/v1/plans/{plan_id}"), json!({ "included_credit": "4.00" }));
    walker.get("/v1/credit_bundles");
    walker.get(&format!("/v1/credit-bundles/{bundle}"));
    let customer = json!({ "reference_id": "user-42", "email": "jane@example.com", "name": "Jane Smith", "metadata": { "a": [1] } });
    let id = walker.post("/v1/customers", customer.clone())["customer_id"]
        .as_str()
        .unwrap()
        .to_owned();
    walker.post("/v1/customers", customer);
    let begun = walker.post(
        "/v1/subscriptions",
        json!({ "customer_id": "user-42", "plan_id": plan_id }),
    );
    let subscription = begun["subscription"]["subscription_id"].as_str().unwrap().to_owned();
    walker.patch(
        &format!("/v1/subscriptions/{subscription}"),
        json!({ "auto_top_up_bundle_id": bundle }),
    );
    let used = json!({ "request_id": "job-7", "customer_id": "user-42", "meter_slug": "chat", "input_tokens": 12000 });
    walker.post("/v1/requests", used.clone());
    walker.post("/v1/requests", used);
    walker.get("/v1/requests/job-7");
    walker.get("/v1/requests?customer_id=user-42");
    for path in ["/v1/customers", "/v1/connections"] {
        walker.get(path);
        walker.get(&format!("{path}/{id}"));
        walker.get(&format!("{path}/user-42/subscription"));
    }
    walker.get("/v1/subscriptions?status=all");
    walker.delete(&format!("/v1/subscriptions/{subscription}"));
    walker.get(&format!("/v1/customers/{id}/subscription"));
    walker.patch(
        &format!("/v1/customers/{id}"),
        json!({ "phone": "+15551234567", "reference_id": null }),
    );
    walker.delete(&format!("/v1/customers/{id}"));
    walker.delete(&format!("/v1/plans/{plan_id}"));
    walker.delete(&format!("/v1/meters/{meter}"));
}

fn webhooks(walker: &mut Walker, place: &str) {
    let body = json!({ "name": "walk", "url": format!("http://{place}/hook"), "events": ["customer.created"] });
    let id = walker.post("/v1/webhooks", body)["webhook_id"]
        .as_str()
        .unwrap()
        .to_owned();
    walker.get("/v1/webhooks");
    walker.get(&format!("/v1/webhooks/{id}"));
    walker.post(&format!("/v1/webhooks/{id}/rotate"), json!({}));
    walker.post("/v1/customers", json!({ "name": "Told" }));
    let told = walker.get(&format!("/v1/webhooks/{id}/deliveries"));
    let delivery = told["data"][0]["delivery_id"].as_str().unwrap().to_owned();
    walker.get(&format!("/v1/webhooks/{id}/deliveries/{delivery}"));
    walker.post(&format!("/v1/webhooks/{id}/deliveries/{delivery}/replay"), json!({}));
    walker.patch(
        &format!("/v1/webhooks/{id}"),
        json!({ "enabled": false, "events": null }),
    );
    walker.refused(
        "POST",
        &format!("/v1/webhooks/{id}/deliveries/{delivery}/replay"),
        json!({}),
    );
    walker.delete(&format!("/v1/webhooks/{id}"));
}

/// As a test merchant, whose cards are test cards.
fn checkout(walker: &mut Walker, house: &House) {
    let own = std::mem::replace(&mut walker.client, house.caller(&house.test_merchant()));
    let plan = json!({ "name": "Pro", "period_amount": "20.00", "billing_interval": "month" });
    let plan = walker.post("/v1/plans", plan)["plan_id"].as_str().unwrap().to_owned();
    let session = json!({ "checkout_mode": "subscription", "origin_url": "https://example.com", "plan_id": plan });
    let id = walker.post("/v1/checkout_sessions", session)["checkout_session_id"]
        .as_str()
        .unwrap()
        .to_owned();
    walker.get("/v1/checkout_sessions");
    walker.get(&format!("/v1/checkout-sessions/{id}"));
    walker.go("GET", "/embed/checkout/nothing", None).expect_status(404);
    walker.go("GET", "/embed/assets/checkout.css", None).expect_status(200);
    let card = json!({ "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123" } });
    let card = walker.post("/v1/payment_methods", card)["payment_method_id"]
        .as_str()
        .unwrap()
        .to_owned();
    walker.get("/v1/payment_methods");
    walker.post(
        "/v1/wallet/fund",
        json!({ "payment_method_id": card, "amount": "25.00" }),
    );
    walker.get("/v1/wallet");
    walker.delete(&format!("/v1/payment_methods/{card}"));
    walker.client = own;
}

/// What went through, what is going through, and who changed what.
fn figures(walker: &mut Walker, house: &House) {
    walker.get("/v1/traffic");
    walker.get("/v1/traffic?from=2020-01-01&to=2020-01-02");
    for group in ["model", "provider", "spend_key"] {
        walker.get(&format!("/v1/traffic?interval=day&top=1&group_by={group}"));
    }
    walker.get("/v1/audit_events?limit=100");
    walker.get("/v1/audit-events?action=spend_keys");
    walker.get("/v1/requests?model=gpt-4o-mini&provider=openai&status=2xx&from=2020-01-01T00:00:00Z&search=req_");
    walker.get("/v1/spend_keys?search=walk&status=active&sort=spend&tag=a");
    walker.get("/v1/services?query=gpt&limit=2");
    for list in ["customers", "plans", "meters", "webhooks"] {
        walker.get(&format!("/v1/{list}?search=chat"));
    }
    let usage = "usage?start=2020-01-01T00:00:00Z&";
    for table in ["requests?", "spend_keys?", "customers?", "traffic?", usage] {
        let answer = walker
            .go("GET", &format!("/v1/{table}format=csv"), None)
            .expect_status(200);
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    }
    let (_, key) = house.mint(json!({ "name": "long" }));
    let mut call = chat_stream("output_tokens=4000 chunk_ms=20");
    call["max_tokens"] = 4000.into();
    let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call);
    stream.next_data();
    let listed = walker.get("/v1/calls");
    let id = listed["data"][0]["request_id"].as_str().unwrap();
    walker.get(&format!("/v1/calls/{id}"));
    walker.delete(&format!("/v1/calls/{id}"));
    walker.refused("GET", &format!("/v1/calls/{id}"), Value::Null);
    walker.refused("GET", "/v1/live?spend_key_ids=nothing", Value::Null);
}

/// How programs and agents come in.
fn programs(walker: &mut Walker) {
    walker.refused("POST", "/v1/auth/callback", json!({ "code": "nobody's" }));
    walker.refused("GET", "/mcp", Value::Null);
    walker.refused(
        "POST",
        "/mcp",
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
    );
    walker.refused("DELETE", "/mcp", Value::Null);
    walker.go("POST", "/auth/connect", Some(json!({}))).expect_status(401);
}

fn refusals(walker: &mut Walker, house: &House) {
    for resource in [
        "spend_keys",
        "meters",
        "plans",
        "customers",
        "webhooks",
        "checkout_sessions",
        "subscriptions",
    ] {
        walker.refused(
            "POST",
            &format!("/v1/{resource}"),
            json!({ "name": 7, "no_such_field": 1 }),
        );
        walker.refused("POST", &format!("/v1/{resource}"), json!([]));
        walker.refused("GET", &format!("/v1/{resource}?limit=0"), Value::Null);
        if resource != "checkout_sessions" {
            walker.refused("PATCH", &format!("/v1/{resource}/nothing"), json!({ "name": "x" }));
        }
    }
    let own = std::mem::replace(&mut walker.client, house.caller("aks_live_nobody"));
    walker.refused("GET", "/v1/spend_keys", Value::Null);
    walker.refused("POST", "/v1/chat/completions", chat(""));
    walker.refused("POST", "/v1/messages", message(""));
    walker.client = own;
    walker.refused("GET", "/v1/customers/nobody", Value::Null);
    walker.refused("POST", "/v1/payment_methods", json!({ "card": {} }));
}

fn rest(walker: &mut Walker) {
    for address in ["/v1/proof", "/", "/health", "/healthz", "/readyz", "/openapi.json"] {
        walker.get(address);
    }
}
