//! Tools that run with a key and a budget of their own, and the variables that they are told.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::{refused, told};
use crate::support::house::{House, nanos};
use crate::support::process::{signal, wait_until};

/// A tool that makes a call as the environment says, in OpenAI's format, and prints its status.
const OPENAI_TOOL: &str = r#"curl -s -o /dev/null -w '%{http_code} ' "$OPENAI_BASE_URL/chat/completions" \
  -H "Authorization: Bearer $OPENAI_API_KEY" -H 'content-type: application/json' \
  -d '{"model":"gpt-4o-mini","max_tokens":64,"messages":[{"role":"user","content":"Hi [[sim output_tokens=9]]"}]}';"#;
/// The same in Anthropic's.
const ANTHROPIC_TOOL: &str = r#"curl -s -o /dev/null -w '%{http_code} ' "$ANTHROPIC_BASE_URL/v1/messages" \
  -H "Authorization: Bearer $ANTHROPIC_AUTH_TOKEN" -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \
  -d '{"model":"claude-haiku-4-5","max_tokens":64,"messages":[{"role":"user","content":"Hi [[sim output_tokens=9]]"}]}';"#;

fn run(house: &House, flags: &[&str], script: &str) -> Output {
    house
        .server
        .run(&[&["run"], flags, &["--", "sh", "-c", script]].concat())
}

/// What the last run is told to have cost, and that its key is gone.
fn cost(house: &House, output: &Output) -> Value {
    let line = String::from_utf8_lossy(&output.stderr);
    let told: Value = line
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())
        .unwrap_or_else(|| panic!("{line}"));
    assert_eq!(
        house.server.ask(&["keys", "list"])["data"],
        json!([]),
        "its key is revoked"
    );
    told
}

#[test]
fn a_tool_runs_with_a_key_of_its_own_and_its_cost_is_told() {
    let house = House::new();
    let script = [OPENAI_TOOL, ANTHROPIC_TOOL, OPENAI_TOOL, "printf %s \"$CALDERA_KEY\""].concat();
    let output = run(&house, &["--json", "--budget", "5.00"], &script);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("200 200 200 lava_sk_"), "{output:?}");
    let told = cost(&house, &output);
    assert_eq!(
        (told["total_requests"].as_u64(), &told["budget"]),
        (Some(3), &json!("5.00")),
        "{told}"
    );
    let models: Vec<&str> = told["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["model"].as_str().unwrap())
        .collect();
    assert!(
        models.contains(&"gpt-4o-mini") && models.contains(&"claude-haiku-4-5"),
        "{told}"
    );
    let rows = house.server.ask(&["requests", "list"]);
    let paid: i64 = rows["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| nanos(&row["cost"]))
        .sum();
    assert_eq!(nanos(&told["total_cost"]), paid);
    let key = said.rsplit(' ').next().unwrap();
    assert_eq!(house.caller(key).get("/v1/models").error_code(), "invalid_api_key");
    let people = run(&house, &[], OPENAI_TOOL);
    let line = String::from_utf8_lossy(&people.stderr);
    assert!(
        line.contains("of 1.00 dollars, 1 request") && line.contains("gpt-4o-mini"),
        "{line}"
    );
    house.books_agree();
}

#[test]
fn a_tool_spends_no_more_than_its_budget_and_calls_no_other_model() {
    let house = House::new();
    let poor = run(&house, &["--json", "--budget", "0.000001"], OPENAI_TOOL);
    assert_eq!(String::from_utf8_lossy(&poor.stdout), "402 ");
    assert_eq!(cost(&house, &poor)["total_cost"], "0.00");
    let other = run(&house, &["--json", "--model", "claude-*"], OPENAI_TOOL);
    assert_eq!(String::from_utf8_lossy(&other.stdout), "403 ");
    cost(&house, &other);
}

#[test]
fn the_status_of_the_tool_is_passed_on_and_its_key_is_revoked_all_the_same() {
    let house = House::new();
    for (script, status) in [("exit 7", 7), ("kill -9 $$", 137)] {
        let output = run(&house, &["--json"], script);
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        cost(&house, &output);
    }
    let (status, why) = refused(&house, &["run", "--json", "--", "/no/such/tool"]);
    assert_eq!(status, 127, "{why}");
    assert_eq!(house.server.ask(&["keys", "list"])["data"], json!([]));
    assert_eq!(refused(&house, &["run", "--budget", "much", "--", "true"]).0, 2);
}

#[test]
fn a_signal_reaches_the_tool_and_its_cost_is_told_after_it() {
    let house = House::new();
    let script = format!("{OPENAI_TOOL} trap 'exit 5' INT; echo; while :; do sleep 0.05; done");
    let mut command: Command = house.server.command(&["run", "--json", "--", "sh", "-c", &script]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the tool has made its call", std::time::Duration::from_secs(20), || {
        house.server.ask(&["requests", "list"])["data"]
            .as_array()
            .is_some_and(|rows| !rows.is_empty())
    });
    signal(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert_eq!(cost(&house, &output)["total_requests"], 1);
}

#[test]
fn what_manages_is_not_the_tools_to_have() {
    let house = House::new();
    let output = run(
        &house,
        &["--json"],
        "printf '%s' \"${CALDERA_BOOTSTRAP_SECRET_KEY-none}\"",
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "none");
}

#[test]
fn a_shell_that_takes_the_lines_calls_here() {
    let house = House::new();
    let lines = told(&house, &["env", "--new", "--budget", "1.00", "--name", "shell"]);
    let script = format!("{lines}\n{OPENAI_TOOL}{ANTHROPIC_TOOL}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200 200 ", "{output:?}");
    let claude = told(&house, &["env", "--new", "--tool", "claude-code"]);
    assert!(claude.starts_with("unset ANTHROPIC_API_KEY"), "{claude}");
    let output = Command::new("sh")
        .args(["-c", &format!("{claude}\n{ANTHROPIC_TOOL}{OPENAI_TOOL}")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200 200 ", "{output:?}");
    let variables = house.server.ask(&["env", "--tool", "openai"]);
    assert_eq!(variables["variables"]["OPENAI_API_KEY"], "$CALDERA_KEY");
    assert_eq!(refused(&house, &["env", "--budget", "1.00"]).0, 2);
}
