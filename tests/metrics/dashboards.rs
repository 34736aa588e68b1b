//! The dashboard, the alerts and the guide that come with Caldera name what a scrape says, and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{promtool, scrape};
use crate::support::house::{House, chat, chat_stream};
use crate::support::server::secret_key;
use crate::support::stream::EventStream;

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(relative: &str) -> String {
    std::fs::read_to_string(path(relative)).unwrap()
}

/// The names of all families of a scrape.
fn families() -> BTreeSet<String> {
    let house = House::new();
    let secret = house.server.client();
    secret.post("/v1/chat/completions", &chat("")).expect_status(200);
    EventStream::post(
        house.server.port,
        "/v1/chat/completions",
        secret_key(),
        &chat_stream(""),
    )
    .all_data();
    let text = scrape(&house);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|words| words.split(' ').next().unwrap().to_owned()).collect()
}

/// The families that a text names. Labels are named like the conventions, but not like their metrics.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = text.split(|character| !is_part(character));
    let is_family = |word: &&str| {
        ["caldera_", "gen_ai_client_", "process_"]
            .iter()
            .any(|start| word.starts_with(start))
    };
    let names = words.filter(is_family).map(|word| {
        let parts = ["_bucket", "_sum", "_count"];
        parts
            .iter()
            .find_map(|part| word.strip_suffix(part))
            .unwrap_or(word)
            .to_owned()
    });
    names.collect()
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| expressions(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_dashboard_asks_for_what_a_scrape_says_in_words_that_prometheus_understands() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/caldera.json")).unwrap();
    let mut asked = Vec::new();
    expressions(&dashboard, &mut asked);
    assert!(asked.len() > 20, "{asked:?}");
    let known = families();
    let strange: Vec<_> = asked
        .iter()
        .flat_map(|asked| named(asked))
        .filter(|name| !known.contains(name))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    // As rules, the expressions are read by Prometheus itself.
    let rules = asked.iter().enumerate().map(|(number, asked)| {
        let plain = asked
            .replace("$__rate_interval", "5m")
            .replace("$__range", "1h")
            .replace("$instance", ".*")
            .replace("$provider", ".*")
            .replace("$model", ".*");
        format!(
            "  - record: panel:{number}\n    expr: {}\n",
            serde_json::to_string(&plain).unwrap()
        )
    });
    let rules = format!("groups:\n- name: dashboard\n  rules:\n{}", rules.collect::<String>());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yml");
    std::fs::write(&file, rules).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "");
}

#[test]
fn the_alerts_are_understood_by_prometheus_and_ask_for_what_a_scrape_says() {
    promtool(
        &["check", "rules", path("deploy/prometheus/rules.yml").to_str().unwrap()],
        "",
    );
    let known = families();
    let rules = read("deploy/prometheus/rules.yml");
    let strange: Vec<_> = named(&rules).into_iter().filter(|name| !known.contains(name)).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn the_alerts_fire_when_they_should_and_are_silent_when_all_is_well() {
    let file = path("deploy/prometheus/rules_test.yml");
    promtool(&["test", "rules", file.to_str().unwrap()], "");
}

#[test]
fn the_guide_explains_every_family_and_every_alert() {
    let guide = read("docs/metrics.md");
    let (explained, known) = (named(&guide), families());
    let missing: Vec<_> = known.difference(&explained).collect();
    assert!(missing.is_empty(), "not in docs/metrics.md: {missing:?}");
    let strange: Vec<_> = explained.difference(&known).collect();
    assert!(strange.is_empty(), "in docs/metrics.md and nowhere else: {strange:?}");
    let rules = read("deploy/prometheus/rules.yml");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let unexplained: Vec<_> = alerts.filter(|alert| !guide.contains(&format!("`{alert}`"))).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
}
