//! Lists that are narrowed, ordered, and taken as tables.

use serde_json::{Value, json};

use crate::support::house::{House, chat, chat_stream};
use crate::support::server::eventually;

fn names(list: &Value, field: &str) -> Vec<String> {
    let items = list["data"].as_array().unwrap();
    items
        .iter()
        .map(|item| item[field].as_str().unwrap().to_owned())
        .collect()
}

fn refused(house: &House, path: &str, param: &str) {
    let answer = house.server.client().get(path).expect_status(400);
    assert_eq!(answer.json()["error"]["param"], param, "{path}: {}", answer.text());
}

#[test]
fn a_key_that_has_made_all_its_calls_is_among_the_limited_ones() {
    let house = House::new();
    let limits = |name: &str| json!({ "name": name, "request_limit": { "count": 1, "cycle": "daily" } });
    let (_, key) = house.mint(limits("Called"));
    house.mint(limits("Quiet"));
    let call = house
        .caller(&key)
        .post("/v1/chat/completions", &chat("output_tokens=1"));
    house.row(&call.expect_status(200));
    let list = house.server.client().get("/v1/spend_keys?status=limited");
    assert_eq!(names(&list.expect_status(200).json(), "name"), ["Called"]);
}

#[test]
fn spend_keys_are_found_by_name_status_and_tag_and_come_in_the_order_that_is_asked_for() {
    let house = House::new();
    let get = |query: &str| {
        house
            .server
            .client()
            .get(&format!("/v1/spend_keys?{query}"))
            .expect_status(200)
            .json()
    };
    let [blue, red] = three_keys_that_called(&house);
    let found = |query: &str| names(&get(query), "name");
    assert_eq!(found("search=TEAM"), ["red team", "Blue 100%_team"]);
    assert_eq!(found("search=100%25_"), ["Blue 100%_team"]);
    assert_eq!(found(&format!("search={red}")), ["red team"]);
    let beginning = found(&format!("search={}", &blue[..20]));
    assert!(beginning.contains(&"Blue 100%_team".to_owned()), "{beginning:?}");
    let preview = get(&format!("search={blue}"))["data"][0]["key_preview"]
        .as_str()
        .unwrap()[8..16]
        .to_owned();
    assert_eq!(found(&format!("search={preview}")), ["Blue 100%_team"]);
    assert_eq!(found("search=nobody"), [""; 0]);
    assert_eq!(found("tag=a"), ["Blue 100%_team"]);
    assert_eq!(found("tag=b&search=red"), ["red team"]);
    assert_eq!(found("status=limited"), ["Amber"]);
    assert_eq!(found("sort=name&limit=3")[..3], ["Amber", "Blue 100%_team", "red team"]);
    assert_eq!(found("sort=spend&limit=1"), ["red team"]);
    assert_eq!(found("sort=last_used")[0], "Amber");
    house
        .server
        .client()
        .patch(&format!("/v1/spend_keys/{red}"), &json!({ "status": "paused" }))
        .expect_status(200);
    assert_eq!(found("status=paused"), ["red team"]);
    assert!(!found("status=active").contains(&"red team".to_owned()));
    house
        .database
        .execute("UPDATE spend_keys SET expires_at = now() - interval '1 hour' WHERE name = 'Amber'");
    assert_eq!(found("status=expired"), ["Amber"]);
    walk_every_order(&get);
    for (query, param) in [
        ("status=broken", "status"),
        ("sort=size", "sort"),
        ("search=%00", "search"),
        ("tag=%00", "tag"),
        ("format=xml", "format"),
        ("search=a&search=b", "search"),
    ] {
        refused(&house, &format!("/v1/spend_keys?{query}"), param);
    }
    refused(&house, &format!("/v1/spend_keys?search={}", "x".repeat(256)), "search");
    let strangers = house
        .stranger()
        .get("/v1/spend_keys?search=team")
        .expect_status(200)
        .json();
    assert_eq!(strangers["data"], json!([]));
}

/// Keys of which one is beyond its limit, with their calls in the tables: the ids of the first two.
fn three_keys_that_called(house: &House) -> [String; 2] {
    let (blue, blue_key) = house.mint(json!({ "name": "Blue 100%_team", "tags": ["a", "b"] }));
    let (red, red_key) = house.mint(json!({ "name": "red team", "tags": ["b"] }));
    let limit = json!({ "amount": "0.000001", "cycle": "daily" });
    let (spent, spent_key) = house.mint(json!({ "name": "Amber", "spend_limit": limit, "enforcement": "soft" }));
    for key in [&red_key, &red_key, &blue_key, &spent_key] {
        house
            .caller(key)
            .post("/v1/chat/completions", &chat("output_tokens=40"))
            .expect_status(200);
    }
    for id in [&blue, &red, &spent] {
        house.settled(id);
    }
    eventually("every call is counted in the tables", || {
        house
            .database
            .number("SELECT coalesce(sum(total_requests), 0)::bigint AS number FROM spend_key_counters")
            == 4
    });
    [blue, red]
}

/// Every order is walked whole, a page at a time, each of the three keys once.
fn walk_every_order(get: &dyn Fn(&str) -> Value) {
    for sort in ["created", "name", "spend", "last_used"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = get(&format!("sort={sort}&limit=1&cursor={cursor}"));
            seen.extend(names(&page, "spend_key_id"));
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = next.to_owned();
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), count), (3, 3), "{sort}");
    }
}

#[test]
fn requests_are_found_by_how_they_ended_what_they_called_and_when() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "caller" }));
    let caller = house.caller(&key);
    let good = caller
        .post("/v1/chat/completions", &chat("output_tokens=8"))
        .expect_status(200);
    let streamed = caller
        .post("/v1/chat/completions", &chat_stream("output_tokens=8"))
        .expect_status(200);
    let throttled = caller.post("/v1/chat/completions", &chat("status=429"));
    let failed = caller.post("/v1/chat/completions", &chat("status=500"));
    let rows = [&good, &streamed, &throttled, &failed].map(|answer| house.row(answer));
    assert!(
        rows[1]["first_token_ms"].is_u64() && rows[0]["first_token_ms"].is_null(),
        "{rows:?}"
    );
    assert!(rows.iter().all(|row| row["duration_ms"].is_u64()), "{rows:?}");
    let get = |query: &str| {
        house
            .server
            .client()
            .get(&format!("/v1/requests?{query}"))
            .expect_status(200)
            .json()
    };
    let found = |query: &str| names(&get(query), "request_id");
    let ids = rows
        .each_ref()
        .map(|row| row["request_id"].as_str().unwrap().to_owned());
    let [good, streamed, throttled, failed] = &ids;
    assert_eq!(found("status=error"), [failed.clone(), throttled.clone()]);
    assert_eq!(found("status=completed"), [streamed.clone(), good.clone()]);
    assert_eq!(found("status=429"), [throttled.as_str()]);
    assert_eq!(found("status=5xx"), [failed.as_str()]);
    assert_eq!(found("status=5xx&model=gpt-4o-mini"), [failed.as_str()]);
    assert_eq!(found("model=gpt-4o-mini").len(), 4);
    assert_eq!(found("model=gpt-4o").len(), 0);
    assert_eq!(found("provider=openai").len(), 4);
    assert_eq!(found("provider=anthropic").len(), 0);
    assert_eq!(found("usage_source=provider").len(), 2);
    assert_eq!(
        found(&format!("spend_key_id={id}&status=completed&limit=1")),
        [streamed.as_str()]
    );
    assert_eq!(found(&format!("search={good}")), [good.as_str()]);
    assert_eq!(found(&format!("search={}&status=error", &good[..10])).len(), 2);
    assert_eq!(found("search=nobody-has-this").len(), 0);
    assert_eq!(found("from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z").len(), 0);
    assert_eq!(found("from=2020-01-01T00:00:00Z").len(), 4);
    junk_in_filters_of_requests_is_refused(&house);
    let table = house
        .server
        .client()
        .get("/v1/requests?format=csv&status=error")
        .expect_status(200);
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = table.text();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(
        lines[0].starts_with("request_id,created_at,status,http_status,"),
        "{text}"
    );
    assert!(
        lines[1].starts_with(failed.as_str()) && lines[2].starts_with(throttled.as_str()),
        "{text}"
    );
    assert_eq!(lines.len(), 4, "{text}");
}

#[test]
fn a_page_of_requests_says_that_more_may_follow_whatever_it_was_narrowed_by() {
    let house = House::new();
    let caller = house
        .server
        .client()
        .with_header("x-lava-metadata", r#"{"team":"red"}"#);
    let mut rare = chat("output_tokens=2");
    rare["model"] = "gpt-4o".into();
    let rare = house.row(&caller.post("/v1/chat/completions", &rare).expect_status(200));
    house.row(
        &caller
            .post("/v1/chat/completions", &chat("output_tokens=2"))
            .expect_status(200),
    );
    // Newer ones than a page looks through.
    let copies = house.database.execute(
        "INSERT INTO requests SELECT (jsonb_populate_record(r, jsonb_build_object('id', \
         '7fffffff-ffff-7000-8000-' || lpad(to_hex(n * 2), 12, '0')))).* \
         FROM requests r, generate_series(1, 20000) n WHERE model = 'gpt-4o-mini'",
    );
    assert_eq!(copies, 20_000);
    for narrowed in ["metadata=%7B%22team%22%3A%22red%22%7D&", ""] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/requests?{narrowed}model=gpt-4o&provider=openai&cursor={cursor}");
            let page = house.server.client().get(&path).expect_status(200).json();
            found.extend(names(&page, "request_id"));
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = next.to_owned();
        }
        assert_eq!(found, [rare["request_id"].as_str().unwrap()], "{narrowed}");
    }
}

fn junk_in_filters_of_requests_is_refused(house: &House) {
    for name in ["%00", "a%07", &"x".repeat(256)] {
        let answer = house.server.client().get(&format!("/v1/requests/{name}"));
        assert_eq!(answer.expect_status(404).error_code(), "not_found", "{name}");
    }
    for (query, param) in [
        ("status=6xx", "status"),
        ("usage_source=x", "usage_source"),
        ("from=yesterday", "from"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("model=%00", "model"),
        ("provider=%07", "provider"),
    ] {
        refused(house, &format!("/v1/requests?{query}"), param);
    }
}

#[test]
fn tables_of_keys_and_customers_hold_every_page_and_run_nothing() {
    let house = House::new();
    let client = house.server.client();
    house.mint(json!({ "name": "=HYPERLINK(\"http://x\")" }));
    house.mint(json!({ "name": "a, \"b\"" }));
    let text = client.get("/v1/spend_keys?format=csv").expect_status(200).text();
    assert!(text.contains(",\"'=HYPERLINK(\"\"http://x\"\")\","), "{text}");
    assert!(text.contains(",\"a, \"\"b\"\"\","), "{text}");
    keys_of_another_wallet_are_an_empty_table(&house, text.split("\r\n").next().unwrap());
    let added = house.database.execute(
        "INSERT INTO spend_keys (id, merchant_id, wallet_id, name, hash, preview, status, request_shape, enforcement, \
         on_disconnect, timezone, created_at) SELECT gen_random_uuid(), m.id, m.default_wallet_id, 'many ' || n, \
         decode(lpad(to_hex(n), 64, '0'), 'hex'), 'lava_sk_', 'active', 'openai', 'adaptive', 'drain', 'UTC', now() \
         FROM merchants m, generate_series(1, 2005) n",
    );
    assert_eq!(added, 2_005);
    let text = client
        .get("/v1/spend_keys?format=csv&search=many")
        .expect_status(200)
        .text();
    assert_eq!(text.split("\r\n").filter(|line| line.contains(",many ")).count(), 2_005);
    for number in 0..3 {
        let customer = json!({
            "reference_id": format!("ref-{number}"), "name": format!("Customer {number}"),
            "email": format!("c{number}@example.com"),
        });
        client.post("/v1/customers", &customer).expect_status(201);
    }
    let text = client.get("/v1/customers?format=csv").expect_status(200).text();
    assert_eq!(
        text.split("\r\n").filter(|line| line.contains("@example.com")).count(),
        3,
        "{text}"
    );
    for (search, count) in [("customer%202", 1), ("C1@", 1), ("REF-", 3), ("nobody", 0)] {
        let found = client
            .get(&format!("/v1/customers?limit=100&search={search}"))
            .expect_status(200)
            .json();
        assert_eq!(found["data"].as_array().unwrap().len(), count, "{search}");
    }
    for list in ["plans", "meters", "webhooks"] {
        let found = client
            .get(&format!("/v1/{list}?search=nobody"))
            .expect_status(200)
            .json();
        assert_eq!(found["data"], json!([]));
        refused(&house, &format!("/v1/{list}?search=%00"), "search");
    }
}

fn keys_of_another_wallet_are_an_empty_table(house: &House, head: &str) {
    let made = house.server.ask(&["keys", "create", "--wallet", "--name", "his"]);
    let keeper = house.caller(made["key"].as_str().unwrap());
    let answer = keeper.get("/v1/spend_keys?format=csv&wallet_id=wal_01HF7YAT000000000000000000");
    let answer = answer.expect_status(200);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(answer.text(), format!("{head}\r\n"));
}
