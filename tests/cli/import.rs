//! What a LiteLLM proxy was set up with, taken over; and the completions of shells.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{refused, told};
use crate::support::house::{House, chat};
use crate::support::scripted::{Scripted, Seen, answer};

const CONFIG: &str = r#"
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://my-endpoint-europe.openai.azure.com/
      api_key: "os.environ/AZURE_API_KEY_EU"
      api_version: "2024-10-21"
      rpm: 6
    model_info:
      base_model: azure/gpt-4o
  - model_name: gpt-4o
    litellm_params:
      model: gpt-4o
      api_key: os.environ/OPENAI_API_KEY
  - model_name: small
    litellm_params: &small
      model: openai/gpt-4o-mini
      api_key: os.environ/OPENAI_API_KEY
  - model_name: sonnet
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      api_key: sk-ant-in-clear
  - model_name: local-llama
    litellm_params:
      model: hosted_vllm/meta/llama-3
      api_base: http://10.0.0.5:8000/v1
      input_cost_per_token: 0.0000002
      output_cost_per_token: 4e-07
  - model_name: nova
    litellm_params:
      model: bedrock/amazon.nova-pro-v1:0
      aws_region_name: eu-west-1
  - model_name: odd
    litellm_params:
      model: watsonx/ibm/granite
  - model_name: behind-a-variable
    litellm_params:
      model: azure/gpt-4o-mini
      api_base: os.environ/EU_API_BASE
    model_info:
      access_groups: ["house"]
  - model_name: other-word
    litellm_params:
      model: openai/gpt-4o
      base_url: https://llm.example.com/v1
  - model_name: anthropic/*
    litellm_params:
      model: anthropic/*
      api_key: os.environ/ANTHROPIC_API_KEY
litellm_settings:
  drop_params: true
  success_callback: ["langfuse"]
  fallbacks: [{"gpt-4o": ["sonnet"]}]
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {"cheap": "small"}
general_settings:
  master_key: sk-1234
  database_url: "postgresql://u:p@h/db"
"#;

const KEYS: &str = r#"{"keys": [
  {"token": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b", "key_name": "sk-...abcd",
   "key_alias": "team-a", "max_budget": 10.5, "budget_duration": "30d", "spend": 1.25, "rpm_limit": 60,
   "tpm_limit": 1000, "max_parallel_requests": 4, "models": ["small", "sonnet"], "expires": "2099-01-01T00:00:00Z",
   "metadata": {"tags": ["a"]}, "blocked": null},
  {"token": "9911aa", "key_alias": "stopped", "max_budget": null, "blocked": true, "models": []},
  {"token": "5511aa", "key_alias": "of a group", "models": ["house"], "max_budget": 1},
  {"token": "4411aa", "key_alias": "too long \u00e4", "max_budget": 99999999999, "models": []},
  {"token": "7711aa", "key_alias": "old", "expires": "2020-01-01 00:00:00", "models": []},
  "only-a-hash"
], "total_count": 6}"#;

struct Desk {
    house: House,
    directory: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            house: House::new(),
            directory: tempfile::tempdir().unwrap(),
        };
        std::fs::write(desk.path("config.yaml"), CONFIG).unwrap();
        std::fs::write(desk.path("keys.json"), KEYS).unwrap();
        desk
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn import(&self, more: &[&str]) -> Vec<String> {
        let (config, out, prices) = (
            self.path("config.yaml"),
            self.path("providers.toml"),
            self.path("prices.json"),
        );
        let fixed = ["import", "litellm", &config, "--out", &out, "--prices-out", &prices];
        fixed.iter().chain(more).map(|text| (*text).to_owned()).collect()
    }

    fn ask(&self, more: &[&str]) -> Value {
        let arguments = self.import(more);
        self.house
            .server
            .ask(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

#[test]
fn a_proxys_configuration_becomes_a_catalogue_that_the_server_starts_with() {
    let mut desk = Desk::new();
    let carried = desk.ask(&[]);
    let target = |name: &str| {
        let rows = carried["models"].as_array().unwrap();
        rows.iter()
            .find(|row| row["name"] == name)
            .map(|row| row["target"].as_str().unwrap().to_owned())
    };
    let table = [
        ("gpt-4o", "azure-my-endpoint-europe/gpt-4o-eu"),
        ("small", "openai/gpt-4o-mini"),
        ("cheap", "openai/gpt-4o-mini"),
        ("sonnet", "anthropic/claude-sonnet-4-5"),
        ("local-llama", "10-0-0-5-8000/meta/llama-3"),
        ("nova", "bedrock/amazon.nova-pro-v1:0"),
        ("other-word", "llm-example-com/gpt-4o"),
    ];
    for (name, expected) in table {
        assert_eq!(target(name).as_deref(), Some(expected), "{carried:#}");
    }
    let catalogue = carried["catalogue"].as_str().unwrap();
    assert!(
        catalogue.contains("AZURE_API_KEY_EU") && catalogue.contains("/openai/v1"),
        "{catalogue}"
    );
    let variables = carried["variables"].to_string();
    for name in ["\"AZURE_API_KEY\"", "\"OPENAI_API_KEY\""] {
        assert!(
            variables.contains(name) && catalogue.contains(name),
            "{name}: {carried:#}"
        );
    }
    assert!(
        !carried["not_carried_over"]
            .to_string()
            .contains("litellm_params.base_url")
    );
    assert!(!carried.to_string().contains("sk-ant-in-clear") && !carried.to_string().contains("sk-1234"));
    assert_eq!(
        carried["prices"]["azure-my-endpoint-europe/gpt-4o-eu"]["input_cost_per_token"],
        2.5e-6
    );
    assert_eq!(
        carried["prices"]["10-0-0-5-8000/meta/llama-3"]["output_cost_per_token"],
        4e-7
    );
    let left = carried["not_carried_over"].to_string();
    for what in [
        "odd",
        "litellm_params.rpm",
        "gpt-4o: 1 more",
        "success_callback",
        "master_key",
        "database_url",
        "fallbacks",
    ] {
        assert!(left.contains(what), "{what}: {left}");
    }
    assert!(desk.house.server.stop().success());
    let mut command = desk.house.server.command(&["check", "--json"]);
    command.env("CALDERA__FILES__MORE_PROVIDERS", desk.path("providers.toml"));
    command.env("CALDERA__FILES__MORE_PRICES", desk.path("prices.json"));
    let checked = command.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn files_that_are_there_are_kept_and_a_trial_writes_nothing() {
    let desk = Desk::new();
    let trial = desk.import(&["--dry-run"]);
    let shown = told(&desk.house, &trial.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(
        shown.contains("NOT CARRIED OVER") && shown.contains("[[provider]]"),
        "{shown}"
    );
    assert!(!std::path::Path::new(&desk.path("providers.toml")).exists());
    std::fs::write(desk.path("providers.toml"), "mine").unwrap();
    let again = desk.import(&[]);
    let (status, why) = refused(&desk.house, &again.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((status, why.contains("--force")), (1, true), "{why}");
    std::fs::write(desk.path("config.yaml"), "a: [").unwrap();
    let (_, why) = refused(&desk.house, &again.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(why.contains("is not YAML"), "{why}");
}

#[test]
fn virtual_keys_become_spend_keys_of_the_same_limits_once() {
    let desk = Desk::new();
    let (keys, secrets) = (desk.path("keys.json"), desk.path("secrets"));
    let answer = desk.ask(&["--keys", &keys, "--secrets-out", &secrets]);
    let made = answer["keys"]["made"].as_array().unwrap();
    assert_eq!(
        (made.len(), answer["keys"]["skipped"].as_array().unwrap().len()),
        (3, 3),
        "{answer:#}"
    );
    assert!(made[0]["notes"].to_string().contains("tpm_limit"), "{made:?}");
    let key = desk.house.key(made[0]["spend_key_id"].as_str().unwrap());
    let expected = json!({
        "name": "team-a",
        "spend_limit": { "amount": "10.50", "cycle": "monthly" },
        "rate_limit": { "rpm": 60, "burst": null },
        "max_parallel": 4,
        "allowed_models": ["gpt-4o-mini", "claude-sonnet-4-5"],
        "tags": ["litellm-88dc28d0f030c55e", "a"],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&key[field], value, "{field}");
    }
    assert_eq!(made[1]["status"], "paused");
    let of_group = desk.house.key(made[2]["spend_key_id"].as_str().unwrap());
    assert_eq!(of_group["allowed_models"], json!(["gpt-4o-mini"]));
    let file = std::fs::metadata(&secrets).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(&secrets).unwrap();
    let first: Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
    let caller = desk.house.caller(first["key"].as_str().unwrap());
    caller
        .post("/v1/chat/completions", &chat("output_tokens=1"))
        .expect_status(200);
    let again = desk.ask(&["--keys", &keys, "--force"]);
    assert_eq!(again["keys"]["made"], json!([]), "{again:#}");
    assert!(
        again["keys"]["skipped"]
            .to_string()
            .contains("caldera keys rotate spk_"),
        "{again:#}"
    );
}

#[test]
fn nothing_is_written_where_the_keys_cannot_be_kept_or_are_not_all_there() {
    let desk = Desk::new();
    let keys = desk.path("keys.json");
    let nowhere = desk.path("nowhere/secrets");
    let unkept = desk.import(&["--keys", &keys, "--secrets-out", &nowhere]);
    let (_, why) = refused(&desk.house, &unkept.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(why.contains("cannot be written"), "{why}");
    let page = KEYS.replace(r#""total_count": 6"#, r#""total_count": 12, "total_pages": 2"#);
    std::fs::write(&keys, page).unwrap();
    let unwhole = desk.import(&["--keys", &keys]);
    let (_, why) = refused(&desk.house, &unwhole.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(why.contains("6 of 12 keys"), "{why}");
    assert!(!std::path::Path::new(&desk.path("providers.toml")).exists());
    assert_eq!(
        desk.house.database.number("SELECT count(*) AS number FROM spend_keys"),
        0
    );
}

/// A server that makes the first key, does not want the second, and is overloaded from the third on.
fn failing(seen: &Seen) -> Vec<u8> {
    let (status, body) = match (seen.method.as_str(), seen.text()) {
        ("GET", _) => ("200 OK", json!({ "data": [], "has_more": false, "next_cursor": null })),
        (_, body) if body.contains("team-a") => {
            let made = json!({ "spend_key_id": "spk_1", "name": "team-a", "key": "lava_sk_first", "status": "active" });
            ("201 Created", made)
        }
        (_, body) if body.contains("stopped") => {
            let error = json!({ "code": "invalid_request", "status": 400, "message": "Not so." });
            ("400 Bad Request", json!({ "error": error }))
        }
        _ => {
            let error = json!({ "code": "overloaded", "status": 503, "message": "Later." });
            ("503 Service Unavailable", json!({ "error": error }))
        }
    };
    answer(
        status,
        &[("content-type", "application/json")],
        body.to_string().as_bytes(),
    )
}

#[test]
fn the_secrets_of_an_import_that_breaks_off_are_shown() {
    let desk = Desk::new();
    let server = Scripted::start(failing);
    let (keys, url) = (desk.path("keys.json"), format!("http://127.0.0.1:{}", server.port));
    let arguments = desk.import(&["--keys", &keys, "--url", &url, "--json"]);
    let mut command = desk
        .house
        .server
        .command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let output = command.env("CALDERA_SECRET_KEY", "aks_live_any").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["keys"]["made"][0]["key"], "lava_sk_first", "{answer:#}");
    let skipped = answer["keys"]["skipped"].to_string();
    assert!(skipped.contains("Not so."), "{skipped}");
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("Later.") && why.contains("1 keys were made"), "{why}");
}

#[test]
fn the_completions_are_read_by_their_shell() {
    let house = House::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(told(&house, &["completions", shell]).contains("caldera"), "{shell}");
    }
    let script = told(&house, &["completions", "bash"]);
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}
