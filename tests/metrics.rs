//! What the operator's `/metrics` says, checked by Prometheus's own tool, and by the sums of what was called.

mod dashboards;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::house::{House, chat, chat_stream, message, nanos};
use crate::support::http::Client;
use crate::support::server::{ServerSettings, eventually};
use crate::support::stream::EventStream;

/// All that a scrape says.
pub fn scrape(house: &House) -> String {
    Client::new(&house.server.operator_url())
        .get("/metrics")
        .expect_status(200)
        .text()
}

/// The samples of a family that have all of these labels, as they are written.
pub fn samples<'a>(text: &'a str, name: &str, labels: &[&str]) -> Vec<&'a str> {
    let of_family = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines()
        .filter(of_family)
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .filter_map(|line| Some(line.rsplit_once(' ')?.1))
        .collect()
}

/// The sum of such samples of whole numbers.
fn count(text: &str, name: &str, labels: &[&str]) -> u64 {
    let found = samples(text, name, labels);
    found.iter().map(|value| value.parse::<u64>().unwrap()).sum()
}

/// Such samples in billionths.
fn billionths(text: &str, name: &str, labels: &[&str]) -> i64 {
    let whole = |value: &&str| {
        let value = if value.contains('.') {
            (*value).to_owned()
        } else {
            format!("{value}.0")
        };
        nanos(&json!(value))
    };
    samples(text, name, labels).iter().map(whole).sum()
}

/// Runs `promtool` with this on its standard input; it comes with Prometheus, which `scripts/install-needs.sh` brings.
pub fn promtool(arguments: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: scripts/install-needs.sh test brings it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("error"), "{said}");
}

fn with_books_checked(settings: ServerSettings) -> ServerSettings {
    settings.variable("CALDERA__OPERATOR__BOOKS_CHECK_INTERVAL_S", 1)
}

/// Calls of several dialects and fates; the usage that the answers told of gpt-4o-mini: input, output.
fn make_calls(house: &House) -> (u64, u64) {
    let secret = house.server.client();
    let (_, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let answer = house
        .caller(&key)
        .post("/v1/chat/completions", &chat("output_tokens=10 reasoning_tokens=4"))
        .expect_status(200);
    let told = answer.json()["usage"].clone();
    let mut stream = chat_stream("output_tokens=20");
    stream["stream_options"] = json!({ "include_usage": true });
    let data = EventStream::post(house.server.port, "/v1/chat/completions", &key, &stream).all_data();
    let told_last = data.iter().rev().find(|data| data.contains("\"usage\":{")).unwrap();
    let told_last: serde_json::Value = serde_json::from_str(told_last).unwrap();
    let message = message("output_tokens=5 cached_tokens=100 cache_write_tokens=40");
    secret.post("/v1/messages", &message).expect_status(200);
    let responses = json!({ "model": "gpt-4o", "input": "Hello [[sim output_tokens=7]]" });
    secret.post("/v1/responses", &responses).expect_status(200);
    let embeddings = json!({ "model": "text-embedding-3-small", "input": "Hello" });
    secret.post("/v1/embeddings", &embeddings).expect_status(200);
    let unpriced = json!({ "model": "nobody-knows-me", "messages": [{ "role": "user", "content": "Hello" }] });
    secret.post("/v1/chat/completions", &unpriced).expect_status(200);
    secret
        .post("/v1/chat/completions", &chat("status=429"))
        .expect_status(429);
    secret
        .post("/v1/chat/completions", &json!({ "model": 7 }))
        .expect_status(400);
    let tokens = |usage: &serde_json::Value, name: &str| usage[name].as_u64().unwrap();
    let sum = |name: &str| tokens(&told, name) + tokens(&told_last["usage"], name);
    (sum("prompt_tokens"), sum("completion_tokens"))
}

#[test]
fn no_sample_of_a_demo_is_there_twice() {
    let database = crate::support::postgres::database();
    let settings = ServerSettings::default().database(&database.url).argument("--demo");
    let server = settings.start();
    server
        .client()
        .post("/v1/chat/completions", &chat("output_tokens=1"))
        .expect_status(200);
    server
        .client()
        .post("/v1/messages", &message("output_tokens=1"))
        .expect_status(200);
    let text = Client::new(&server.operator_url())
        .get("/metrics")
        .expect_status(200)
        .text();
    promtool(&["check", "metrics"], &text);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<&str> = samples.filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    let mut seen = std::collections::HashSet::new();
    let twice: Vec<_> = names.iter().filter(|name| !seen.insert(**name)).collect();
    assert!(twice.is_empty() && names.len() > 50, "{twice:?}");
}

#[test]
fn a_scrape_is_what_prometheus_takes_and_says_what_was_called() {
    let house = House::with(with_books_checked);
    let (input, output) = make_calls(&house);
    eventually("the batches and the books are through", || {
        let text = scrape(&house);
        text.contains("caldera_billing_rows_total 7") && text.contains("live_spend_of_keys")
    });
    eventually("the backlog is seen to be gone", || {
        scrape(&house).contains("caldera_journal_backlog_records 0")
    });
    let text = scrape(&house);
    promtool(&["check", "metrics"], &text);
    let mini = r#"gen_ai_request_model="gpt-4o-mini""#;
    let (usage, duration) = ("gen_ai_client_token_usage", "gen_ai_client_operation_duration_seconds");
    let sum_of = |kind: &str| {
        count(
            &text,
            &format!("{usage}_sum"),
            &[mini, &format!("gen_ai_token_type=\"{kind}\"")],
        )
    };
    assert_eq!((sum_of("input"), sum_of("output")), (input, output), "{text}");
    let durations = |labels: &[&str]| count(&text, &format!("{duration}_count"), labels);
    assert_eq!(durations(&[]), 7, "{text}");
    assert_eq!(durations(&[mini, "error_type=\"429\""]), 1);
    assert_eq!(
        durations(&[r#"gen_ai_provider_name="anthropic""#, "claude-haiku-4-5"]),
        1
    );
    assert_eq!(durations(&[r#"gen_ai_operation_name="embeddings""#]), 1);
    let first_chunks = "gen_ai_client_operation_time_to_first_chunk_seconds_count";
    assert_eq!(count(&text, first_chunks, &[]), 1);
    let parts = |part: &str| count(&text, "caldera_token_parts_total", &[&format!("part=\"{part}\"")]);
    assert_eq!(
        (parts("cache_read"), parts("cache_write"), parts("reasoning")),
        (100, 40, 4)
    );
    let cost = house.database.number("SELECT SUM(cost)::bigint FROM requests");
    assert_eq!(billionths(&text, "caldera_cost_dollars_total", &[]), cost, "{text}");
    assert_eq!(count(&text, "caldera_unpriced_requests_total", &["nobody-knows-me"]), 1);
    assert_eq!(count(&text, "caldera_denials_total", &["invalid_request"]), 1);
    for (name, zeros) in [
        ("caldera_reserved_dollars", 3),
        ("caldera_holds", 3),
        ("caldera_drift_dollars", 6),
        ("caldera_overrun_dollars_total", 1),
        ("caldera_journal_lag_seconds", 1),
    ] {
        assert_eq!(samples(&text, name, &[]), vec!["0"; zeros], "{name} in {text}");
    }
    let connections = samples(&text, "caldera_database_connections_limit", &[]);
    assert_eq!(connections, ["8"]);
    assert!(count(&text, "process_resident_memory_bytes", &[]) > 1 << 20, "{text}");
}

#[test]
fn what_is_held_for_a_call_is_shown_while_it_runs() {
    let house = House::new();
    let (id, key) = house.mint(json!({
        "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" }, "enforcement": "strict"
    }));
    let call = chat_stream("output_tokens=30 hang_after=2");
    let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call);
    stream.next_data().unwrap();
    let text = scrape(&house);
    // 64 tokens of output at most, at 0.60 a million.
    let held = billionths(&text, "caldera_reserved_dollars", &["payer=\"spend_key\""]);
    assert!(held >= 64 * 600, "{text}");
    assert_eq!(count(&text, "caldera_holds", &["payer=\"spend_key\""]), 1);
    house
        .server
        .client()
        .delete(&format!("/v1/spend_keys/{id}"))
        .expect_status(200);
    eventually("nothing is held", || {
        samples(&scrape(&house), "caldera_reserved_dollars", &[]) == ["0"; 3]
    });
    let cut = ["error_type=\"incomplete\""];
    assert_eq!(
        count(&scrape(&house), "gen_ai_client_operation_duration_seconds_count", &cut),
        1
    );
}

#[test]
fn a_call_that_costs_more_than_was_held_is_counted_with_what_it_cost_more() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let mut call = chat("ignore_cap=1 output_tokens=5000");
    call["max_tokens"] = 5.into();
    house
        .caller(&key)
        .post("/v1/chat/completions", &call)
        .expect_status(200);
    let text = scrape(&house);
    assert_eq!(count(&text, "caldera_holds_underestimated_total", &[]), 1);
    let overrun = billionths(&text, "caldera_overrun_dollars_total", &[]);
    // All but five tokens of output at 0.60 a million, less what was held for the prompt above what it came to.
    assert!((4900 * 600..5000 * 600).contains(&overrun), "{overrun}");
}

#[test]
fn books_that_drift_are_told_with_their_invariant_and_by_how_much() {
    let house = House::with(with_books_checked);
    let (_, key) = house.mint(json!({ "name": "one" }));
    house
        .caller(&key)
        .post("/v1/chat/completions", &chat("output_tokens=1"))
        .expect_status(200);
    let stored = "SELECT COUNT(*) FROM spend_key_counters WHERE total_spend > 0";
    eventually("the call is in Postgres", || house.database.number(stored) == 1);
    let drift = |invariant: &str| {
        let text = scrape(&house);
        let label = format!("invariant=\"{invariant}\"");
        samples(&text, "caldera_drift_dollars", &[&label])
            .first()
            .map(|value| (*value).to_owned())
    };
    eventually("the live figures agree", || {
        drift("live_spend_of_keys").as_deref() == Some("0")
    });
    for statement in [
        "UPDATE spend_key_counters SET total_spend = total_spend + 2000000000",
        "UPDATE wallets SET balance = balance + 1500000000",
    ] {
        house.database.execute(statement);
    }
    eventually("the wallets are seen to drift", || {
        drift("wallet_balances").as_deref() == Some("1.5")
    });
    eventually("the keys are seen to drift", || {
        drift("live_spend_of_keys").as_deref() == Some("-2")
    });
}

#[test]
fn a_provider_that_is_left_alone_is_shown_so() {
    let house = House::with(|settings| settings.variable("CALDERA__GATEWAY__BREAKER_FAILURES", 2));
    let state = |state: &str| {
        let labels = [r#"gen_ai_provider_name="openai""#, &format!("state=\"{state}\"")];
        count(&scrape(&house), "caldera_provider_circuit", &labels)
    };
    assert_eq!((state("closed"), state("open")), (1, 0));
    for _ in 0..4 {
        house.server.client().post("/v1/chat/completions", &chat("status=500"));
    }
    assert_eq!((state("closed"), state("open")), (0, 1));
    let ready = [r#"gen_ai_provider_name="openai""#, "state=\"ready\""];
    assert_eq!(count(&scrape(&house), "caldera_provider_credentials", &ready), 1);
}
