//! What the audit log is told of: every thing that is made on the pages, every way in, and how it ended whatever was asked.

use diesel::connection::SimpleConnection as _;
use serde_json::{Value, json};

use crate::support::crowd::{Connection, Leave, crowd, request};
use crate::support::house::House;
use crate::support::http::Client;
use crate::support::server::{eventually, secret_key};
use crate::support::visitor::{Visitor, hidden};

const SECRETS: &str = "/dashboard/secret_keys";
const WALLET: &str = "/dashboard/wallet";

fn events(client: &Client, action: &str) -> Vec<Value> {
    let path = format!("/v1/audit_events?limit=100&action={action}");
    let listed = client.get(&path).expect_status(200).json();
    listed["data"].as_array().unwrap().clone()
}

#[test]
fn an_event_has_its_outcome_whatever_was_asked() {
    let house = House::new();
    let client = house.server.client();
    let names: serde_json::Map<String, Value> = (0..3000).map(|place| (format!("{place:04}-name"), json!(1))).collect();
    let table = [
        json!({ "name": "x", "zz": "a\u{0}b", "\u{0}": { "deep\u{0}": ["\u{0}"] } }),
        json!({ "name": "x", "more": "y".repeat(20_000) }),
        Value::Object(names),
    ];
    for body in table {
        let answer = client.post("/v1/customers", &body);
        let event = &events(&client, "customers.create")[0];
        assert_eq!(event["status"], answer.status, "{event}");
        assert!(!event["asked"].is_null(), "{event}");
        assert!(event["asked"].to_string().len() < 10_000, "{event}");
    }
    let first = &events(&client, "customers.create")[2];
    assert_eq!(first["asked"]["zz"], "a\u{fffd}b");
    assert_eq!(first["asked"]["\u{fffd}"]["deep\u{fffd}"], json!(["\u{fffd}"]));
}

#[test]
fn a_change_whose_caller_is_gone_is_told_to_its_end() {
    let house = House::new();
    let client = house.server.client();
    let mut blocker = house.database.connect();
    let lock = "BEGIN; LOCK TABLE spend_keys IN SHARE MODE";
    blocker.batch_execute(lock).unwrap();
    let sockets = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", house.server.process_id())).unwrap();
        let links = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    };
    crowd(async {
        let mut connection = Connection::open(house.server.port).await.unwrap();
        let body = json!({ "name": "left" });
        let call = request("POST", "/v1/spend_keys", secret_key(), Some(&body));
        connection.begin(&call).await;
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'spend_keys'::regclass";
        eventually("the change waits", || house.database.number(waiting) == 1);
        let open = sockets();
        connection.leave(Leave::Rst).await;
        drop(connection);
        eventually("the server knows that the caller is gone", || sockets() < open);
    });
    assert_eq!(events(&client, "spend_keys.create")[0]["status"], Value::Null);
    blocker.batch_execute("ROLLBACK").unwrap();
    eventually("its outcome is told", || {
        events(&client, "spend_keys.create")[0]["status"] == 201
    });
}

#[test]
fn whatever_is_made_on_a_page_is_the_target_of_its_event() {
    let house = House::new();
    let key = house.test_merchant();
    let mut visitor = Visitor::signed_in(&house.server, &key);
    let meter = [
        ("name", "m"),
        ("rate_type", "fixed"),
        ("tier_type", "tokens_1m"),
        ("tier_start", "0"),
        ("tier_rate", "2"),
    ];
    let plan = [
        ("name", "p"),
        ("period_amount", "5"),
        ("billing_interval", "month"),
        ("rollover_type", "none"),
        ("bundle_rollover_type", "full"),
    ];
    let provider_key = [("provider", "openai"), ("key", "sk-0123456789abcdef")];
    let card = [("number", "4242424242424242"), ("expiry", "12 / 34"), ("cvc", "123")];
    let webhook = [("name", "w"), ("url", "https://example.com/hooks")];
    let table: [(&str, &[(&str, &str)]); 8] = [
        ("spend_keys", &[("name", "k")]),
        ("secret_keys", &[("name", "s")]),
        ("provider_keys", &provider_key),
        ("payment_methods", &card),
        ("customers", &[("name", "c")]),
        ("meters", &meter),
        ("plans", &plan),
        ("webhooks", &webhook),
    ];
    let client = house.caller(&key);
    for (noun, fields) in table {
        let made = visitor.submit(SECRETS, &format!("/dashboard/{noun}"), fields);
        assert_eq!(made.status, 303, "{noun}: {}", made.text());
        let event = &events(&client, &format!("{noun}.create"))[0];
        let target = event["target"].as_str().unwrap_or_else(|| panic!("{event}"));
        let listed = client.get(&format!("/v1/{noun}")).expect_status(200).text();
        assert!(listed.contains(target), "{noun}: {target} is not in {listed}");
    }
    let methods = client.get("/v1/payment_methods").json();
    let card = methods["data"][0]["payment_method_id"].as_str().unwrap();
    let payment = hidden(&visitor.page(WALLET), "payment_id");
    let fields = [("payment_method_id", card), ("amount", "10"), ("payment_id", &payment)];
    let paid = visitor.submit(WALLET, "/dashboard/wallet/fund", &fields);
    assert_eq!(paid.status, 303, "{}", paid.text());
    assert_eq!(events(&client, "wallet.fund")[0]["target"], payment.as_str());
}

#[test]
fn every_way_in_is_told() {
    let house = House::new();
    let client = house.server.client();
    let keys = client.get("/v1/secret_keys").json();
    let key_id = keys["data"][0]["secret_key_id"].as_str().unwrap();
    let link = house.server.ask(&["dashboard"]);
    let path = link["path"].as_str().unwrap();
    Visitor::new(&house.server).send(path, &[]).expect_status(303);
    Visitor::signed_in(&house.server, secret_key());
    let told: Vec<_> = events(&client, "sessions.create")
        .iter()
        .map(|event| (event["actor_kind"].clone(), event["actor"].clone()))
        .collect();
    let dashboard = json!("dashboard");
    assert_eq!(
        told,
        [(dashboard.clone(), json!(key_id)), (dashboard, json!("sign-in link"))]
    );
    let made = events(&client, "dashboard_links.create");
    assert_eq!((made.len(), &made[0]["actor_kind"]), (1, &json!("operator")));
    let text = events(&client, "").iter().map(Value::to_string).collect::<String>();
    let secret = path.rsplit('/').next().unwrap();
    assert!(!text.contains(secret) && !text.contains(secret_key()), "{text}");
}
