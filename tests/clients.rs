//! The official clients, unchanged, against the running server: the scripts of `tests/clients`, each in a Node of its own.
//! A script fails this suite with all that it printed; a server's wrong answer is never worked around in a script.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::house::{House, settings};
use crate::support::postgres::database;
use crate::support::process::wait_for_exit;
use crate::support::server::secret_key;
use crate::support::simulator::Simulator;

/// More than the slowest script's retries take on a busy machine.
const SCRIPT_LIMIT: Duration = Duration::from_secs(300);

#[test]
fn the_lava_sdk_11_manages_keys_and_forwards_calls() {
    run_lava_scripts("lava-11");
}

#[test]
fn the_lava_sdk_10_manages_keys_and_forwards_calls() {
    run_lava_scripts("lava-10");
}

#[test]
fn the_lava_sdk_9_manages_keys_and_forwards_calls() {
    run_lava_scripts("lava-9");
}

#[test]
fn the_lava_sdk_11_keeps_meters_plans_bundles_and_subscriptions() {
    let house = House::new();
    Script::new("lava-monetize.mjs", &house)
        .variable("LAVA_PACKAGE", "lava-11")
        .run();
    check_books(house);
}

#[test]
fn the_lava_sdk_11_keeps_customers() {
    let house = House::new();
    Script::new("lava-customers.mjs", &house)
        .variable("LAVA_PACKAGE", "lava-11")
        .run();
}

#[test]
fn the_lava_sdks_keep_webhooks_and_what_happens_is_told() {
    for package in ["lava-11", "lava-10", "lava-9"] {
        let (house, port) = house_with_receiver();
        let script = Script::new("lava-webhooks.mjs", &house).variable("LAVA_PACKAGE", package);
        script.variable("RECEIVER_PORT", &port).run();
        check_books(house);
    }
}

#[test]
fn a_receiver_who_checks_signatures_takes_what_was_sent_and_nothing_that_was_changed() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = format!("127.0.0.1:{port}");
    let house = House::with(|settings| settings.variable("CALDERA__WEBHOOKS__ALLOW_PRIVATE_HOSTS", &place));
    let script = Script::new("webhook-signatures.mjs", &house);
    script.variable("RECEIVER_PORT", &port.to_string()).run();
    check_books(house);
}

#[test]
fn the_checkout_hook_sells_in_a_browser() {
    let Some(browser) = browser() else {
        // What CI shows, a developer without a browser may do without.
        assert!(std::env::var_os("CI").is_none(), "Chromium is not installed");
        return;
    };
    let house = House::new();
    let key = house.test_merchant();
    Script::new("checkout.mjs", &house)
        .variable("TEST_SECRET_KEY", &key)
        .variable("CHROMIUM", &browser)
        .run();
    check_books(house);
}

#[test]
fn the_dashboard_works_in_a_browser_and_is_accessible() {
    let Some(browser) = browser() else {
        // What CI shows, a developer without a browser may do without.
        assert!(std::env::var_os("CI").is_none(), "Chromium is not installed");
        return;
    };
    let house = House::new();
    let pictures = std::env::var("CALDERA_TEST_PICTURES").unwrap_or_default();
    Script::new("dashboard.mjs", &house)
        .variable("CHROMIUM", &browser)
        .variable("PICTURES", &pictures)
        .run();
    check_books(house);
}

#[test]
fn those_who_bill_work_in_the_dashboard_and_it_is_accessible() {
    let Some(browser) = browser() else {
        // What CI shows, a developer without a browser may do without.
        assert!(std::env::var_os("CI").is_none(), "Chromium is not installed");
        return;
    };
    let (house, port) = house_with_receiver();
    let pictures = std::env::var("CALDERA_TEST_PICTURES").unwrap_or_default();
    Script::new("dashboard-monetize.mjs", &house)
        .variable("CHROMIUM", &browser)
        .variable("PICTURES", &pictures)
        .variable("RECEIVER_PORT", &port)
        .run();
    check_books(house);
}

/// The path of a Chromium, if there is one.
pub(crate) fn browser() -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "google-chrome"];
    let found = std::env::split_paths(&path).flat_map(|directory| names.map(|name| directory.join(name)));
    found
        .into_iter()
        .find(|file| file.exists())
        .map(|file| file.display().to_string())
}

#[test]
fn every_method_of_the_lava_sdk_11_answers_as_its_types_say() {
    run_every_method("lava-11");
}

#[test]
fn every_method_of_the_lava_sdk_10_answers_as_its_types_say() {
    run_every_method("lava-10");
}

#[test]
fn every_method_of_the_lava_sdk_9_answers_as_its_types_say() {
    run_every_method("lava-9");
}

#[test]
fn every_method_of_the_lava_sdk_8_answers_as_its_types_say() {
    run_every_method("lava-8");
}

#[test]
fn the_description_of_the_api_is_valid_openapi() {
    let house = House::new();
    Script::new("openapi.mjs", &house).run();
}

#[test]
fn the_openai_sdk_works_with_a_spend_key() {
    let house = House::new();
    Script::new("openai.mjs", &house).run();
    check_books(house);
}

#[test]
fn the_anthropic_sdk_works_with_a_spend_key() {
    let house = House::new();
    Script::new("anthropic.mjs", &house).run();
    check_books(house);
}

#[test]
fn the_official_sdks_work_on_models_of_every_provider() {
    run_on_every_provider("translated.mjs");
}

#[test]
fn openais_sdk_has_its_responses_from_models_of_every_provider() {
    run_on_every_provider("responses.mjs");
}

#[test]
fn googles_sdk_works_on_models_of_every_provider() {
    run_on_every_provider("google.mjs");
}

#[test]
fn vercels_ai_works_on_models_of_every_provider() {
    run_on_every_provider("vercel.mjs");
}

#[test]
fn claude_code_works_on_models_of_every_provider() {
    run_on_every_provider("claude-code.mjs");
}

#[test]
fn codex_works_on_models_of_every_provider() {
    run_on_every_provider("codex.mjs");
}

#[test]
fn langchain_works_on_models_of_every_provider() {
    run_on_every_provider("langchain.mjs");
}

fn run_every_method(package: &str) {
    let (house, port) = house_with_receiver();
    let script = Script::new("lava-every-method.mjs", &house).variable("LAVA_PACKAGE", package);
    let script = script.variable("WALLET_KEY", &wallet_key(&house));
    script.variable("RECEIVER_PORT", &port).run();
    check_books(house);
}

/// A house that tells of what happens to a port of this machine, where a script may listen.
fn house_with_receiver() -> (House, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = format!("127.0.0.1:{port}");
    let house = House::with(|settings| settings.variable("CALDERA__WEBHOOKS__ALLOW_PRIVATE_HOSTS", &place));
    (house, port.to_string())
}

fn run_on_every_provider(script: &str) {
    let house = house_of_every_provider();
    Script::new(script, &house).run();
    check_books(house);
}

/// A house that has the providers of `MODELS` in conversation.mjs.
fn house_of_every_provider() -> House {
    let (database, simulator) = (database(), Simulator::start());
    let server = settings(&database.url, &simulator)
        .variable("GEMINI_API_KEY", "sim")
        .variable("GOOGLE_BASE_URL", simulator.openai_url())
        .variable("AWS_ACCESS_KEY_ID", "AKIDSIMULATED")
        .variable("AWS_SECRET_ACCESS_KEY", "simulated-secret")
        .variable("BEDROCK_BASE_URL", simulator.url())
        .start();
    House {
        server,
        database,
        simulator,
    }
}

/// Both scripts, so that one's failure does not hide the other's.
fn run_lava_scripts(package: &str) {
    let house = House::new();
    let wallet_key = wallet_key(&house);
    let scripts = ["lava-management.mjs", "lava-forward.mjs"];
    let failures: Vec<String> = scripts
        .iter()
        .filter_map(|name| {
            let script = Script::new(name, &house).variable("LAVA_PACKAGE", package);
            script.variable("WALLET_KEY", &wallet_key).output_of_failure()
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    check_books(house);
}

/// Once nothing can be written any more.
pub(crate) fn check_books(mut house: House) {
    assert!(house.server.stop().success());
    house.books_agree();
}

/// A wallet key as an operator makes one: no call of the API does.
fn wallet_key(house: &House) -> String {
    let arguments = ["keys", "create", "--wallet", "--name", "The suite"];
    let made = house.server.ask(&arguments);
    made["key"].as_str().unwrap().to_owned()
}

/// One script with what it is to know, and a directory for what it prints.
pub(crate) struct Script {
    name: String,
    command: Command,
    directory: TempDir,
}

impl Script {
    pub(crate) fn new(name: &str, house: &House) -> Self {
        let mut command = Command::new("node");
        command
            .args(["--test-reporter=tap", name])
            .current_dir(installed_clients())
            .env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("BASE_URL", house.server.url());
        command.env("SECRET_KEY", secret_key());
        command.env("SIM_URL", house.simulator.url());
        let directory = tempfile::tempdir().unwrap();
        Self {
            name: name.to_owned(),
            command,
            directory,
        }
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn run(self) {
        if let Some(output) = self.output_of_failure() {
            panic!("{output}");
        }
    }

    /// Runs the script; `None` where all its tests passed. Its output goes to a file, which a pipe's size cannot stop.
    fn output_of_failure(mut self) -> Option<String> {
        let path = self.directory.path().join("output");
        let file = File::create(&path).unwrap();
        self.command.stdin(Stdio::null());
        self.command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut child = self
            .command
            .spawn()
            .expect("node is installed; `make test` installs it");
        let status = wait_for_exit(&mut child, SCRIPT_LIMIT);
        let output = std::fs::read_to_string(&path).unwrap();
        // A script that registered no test would pass as well.
        let has_passed = status.success() && output.contains("# pass ") && !output.contains("# pass 0");
        (!has_passed).then(|| format!("{} ended with {status}:\n{}", self.name, failed_parts(&output)))
    }
}

/// What the script printed, without the tests that passed.
fn failed_parts(output: &str) -> String {
    let is_noise = |line: &&str| {
        let line = line.trim();
        line.starts_with("ok ")
            || line.starts_with("# Subtest: ")
            || line.starts_with("duration_ms: ")
            || line == "---"
            || line == "..."
    };
    let lines: Vec<&str> = output.lines().filter(|line| !is_noise(line)).collect();
    lines.join("\n")
}

/// Where the scripts are, once their packages are there.
fn installed_clients() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    for package in [
        "openai",
        "@google/genai",
        "ai",
        "@langchain/core",
        "@modelcontextprotocol/sdk",
        "lava-8",
        "typescript",
        "../tools/node_modules/@openai/codex",
    ] {
        assert!(
            directory.join("node_modules").join(package).exists(),
            "{package} is not installed: `make test` does so, or `npm ci` in tests/clients and in tests/clients/tools"
        );
    }
    directory
}
