//! `check` before a start, `doctor` beside a server that runs: a line for each thing, and what to do.

use serde_json::{Value, json};

use super::{refused, told};
use crate::support::house::House;
use crate::support::http::Client;
use crate::support::server::{secret_key, with_checksum};

fn found<'a>(report: &'a Value, what: &str) -> &'a Value {
    let all = report["findings"].as_array().unwrap();
    all.iter()
        .find(|finding| finding["what"] == what)
        .unwrap_or_else(|| panic!("{what}: {report}"))
}

#[test]
fn a_good_configuration_is_said_to_be_good_and_no_credential_is_shown() {
    let house = House::with(|settings| settings.variable("MISTRAL_API_KEY", "sk-do-not-show"));
    let report = house.server.ask(&["check"]);
    for what in [
        "configuration",
        "price book",
        "providers",
        "credentials",
        "data directory",
        "pepper",
        "database",
    ] {
        assert_eq!(found(&report, what)["level"], "ok", "{what}: {report}");
    }
    assert!(
        found(&report, "database")["says"]
            .as_str()
            .unwrap()
            .contains("schema up to date")
    );
    assert_eq!(found(&report, "listener")["level"], "warn", "the server listens there");
    let people = told(&house, &["check"]);
    assert!(people.contains("mistral") && people.contains("openai"), "{people}");
    assert!(
        !people.contains("sk-do-not-show") && !report.to_string().contains("sk-do-not-show"),
        "{people}"
    );
}

#[test]
fn what_is_broken_is_named_and_the_status_says_so() {
    let house = House::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let config = |text: &str| file("caldera.toml", text);
    let prices = file(
        "prices.json",
        r#"{"m": {"litellm_provider": "openai", "input_cost_per_tokn": 1e-6}}"#,
    );
    let providers = file("providers.toml", "[[provider]]\nname = \"x\"\nbase_url = \"nowhere\"\n");
    let table = [
        ("[server]\nprot = 1\n".to_owned(), "configuration", "server.prot"),
        (
            format!("[files]\nmore_prices = {prices:?}\n"),
            "price book",
            "input_cost_per_tokn",
        ),
        (format!("[files]\nmore_providers = {providers:?}\n"), "providers", "x"),
        (
            "[files]\ntrusted_certificates = \"/no/such/file\"\n".to_owned(),
            "certificates",
            "/no/such/file",
        ),
    ];
    for (text, what, names) in table {
        let path = config(&text);
        let mut command = house.server.command(&["check", "--json", "--config", &path]);
        command.env_remove("CALDERA__FILES__TRUSTED_CERTIFICATES");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let finding = found(&report, what);
        assert_eq!(finding["level"], "fail", "{report}");
        assert!(finding["says"].as_str().unwrap().contains(names), "{finding}");
    }
    let mut command = house.server.command(&["check"]);
    let output = command
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("fail  database") && said.contains("-> see that PostgreSQL runs"),
        "{said}"
    );
}

#[test]
fn what_the_start_refuses_of_the_checkout_and_of_a_cluster_is_found_before_it() {
    let house = House::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, "sk_test_do_not_show\n").unwrap();
    let file = file.display().to_string();
    for (name, value, why) in [
        ("STRIPE_SECRET_KEY_FILE", file.as_str(), "stripe_publishable_key is not"),
        (
            "STRIPE_WEBHOOK_SECRET_FILE",
            "/nowhere/s",
            "STRIPE_WEBHOOK_SECRET_FILE: cannot read",
        ),
        ("CALDERA__CHECKOUT__CODE_WEBHOOK_URL", "nonsense", "code_webhook_url"),
    ] {
        let output = house.server.command(&["check"]).env(name, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.code() == Some(1) && said.contains(why) && !said.contains("do_not_show"),
            "{said}"
        );
    }
    let cluster = directory.path().join("postgres");
    std::fs::create_dir(&cluster).unwrap();
    std::fs::write(cluster.join("PG_VERSION"), "7\n").unwrap();
    let mut command = house.server.command(&["check"]);
    command
        .env("CALDERA_DATA_DIR", directory.path())
        .env_remove("DATABASE_URL");
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(said.contains("of version 7, which made the cluster"), "{said}");
}

#[test]
fn a_server_that_would_call_itself_is_refused() {
    let house = House::new();
    let own = format!("http://localhost:{}/v1", house.server.port);
    let key = with_checksum("lava_sk_0123456789abcdefghijABCDEFGHIJ01");
    for (name, value, why) in [
        ("OPENAI_BASE_URL", own.as_str(), "which is this server itself"),
        ("OPENAI_API_KEY", secret_key(), "OPENAI_API_KEY is a key of Caldera's"),
        (
            "ANTHROPIC_API_KEY",
            key.as_str(),
            "ANTHROPIC_API_KEY is a key of Caldera's",
        ),
    ] {
        let output = house
            .server
            .command(&["check", "--json"])
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let says = found(&report, "providers")["says"].as_str().unwrap();
        assert!(
            says.contains(why) && !report.to_string().contains(value) || says.contains(&own),
            "{says}"
        );
        // The server itself, on a listener of its own.
        let mut command = house.server.command(&["serve"]);
        command.env(name, value).env("CALDERA__OPERATOR__PORT", "0");
        if name != "OPENAI_BASE_URL" {
            command.env("PORT", "0");
        }
        assert!(!command.output().unwrap().status.success(), "{name}");
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_before_the_start() {
    let house = House::new();
    house
        .database
        .execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')");
    let (status, _) = refused(&house, &["check"]);
    assert_eq!(status, 1);
    let output = house.server.run(&["check"]);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("99990101000000"),
        "{output:?}"
    );
}

#[test]
fn the_doctor_finds_a_server_well() {
    let house = House::new();
    let report = house.server.ask(&["doctor"]);
    for what in [
        "server",
        "clock",
        "lease",
        "database's clock",
        "journal",
        "open files",
        "providers",
        "price book",
        "proof",
    ] {
        assert_eq!(found(&report, what)["level"], "ok", "{what}: {report}");
    }
    assert!(told(&house, &["doctor"]).contains("ready, version"));
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let mut house = House::with(|settings| {
        settings
            .variable("CALDERA__GATEWAY__BREAKER_FAILURES", 2)
            .variable("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    });
    let call = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "Hi" }] });
    for _ in 0..2 {
        assert_ne!(house.server.client().post("/v1/chat/completions", &call).status, 200);
    }
    let report = house.server.ask(&["doctor"]);
    let providers = found(&report, "providers");
    assert_eq!(providers["level"], "warn", "{report}");
    assert!(providers["says"].as_str().unwrap().contains("openai"), "{providers}");
    assert!(providers["advice"].is_string());
    let operator = Client::new(&house.server.operator_url());
    assert_eq!(operator.get("/operator/status").error_code(), "invalid_api_key");
    assert!(house.server.stop().success());
    let output = house.server.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("no server answers"),
        "{output:?}"
    );
}
