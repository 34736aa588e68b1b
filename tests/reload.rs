//! SIGHUP: what of the configuration a running server takes, what waits for a restart, and what is refused.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::mcp::agent::Agent;
use crate::support::certificates::Certificates;
use crate::support::house::{chat, chat_stream};
use crate::support::http::{Answer, Client};
use crate::support::postgres::{TestDatabase, database};
use crate::support::process::{signal, wait_until};
use crate::support::server::{Server, ServerSettings, eventually, secret_key};
use crate::support::simulator::Simulator;
use crate::support::stream::EventStream;

/// A server whose configuration stands in a file, and whose credential in another.
struct Office {
    server: Server,
    simulator: Simulator,
    directory: TempDir,
    _database: TestDatabase,
}

impl Office {
    fn new(configuration: &str, key: &str) -> Self {
        let (database, simulator, directory) = (database(), Simulator::start(), tempfile::tempdir().unwrap());
        fs::write(directory.path().join("caldera.toml"), configuration).unwrap();
        fs::write(directory.path().join("key"), key).unwrap();
        let certificates = Certificates::shared();
        let server = ServerSettings::default()
            .database(&database.url)
            .variable("CALDERA_CONFIG", directory.path().join("caldera.toml").display())
            .variable("OPENAI_API_KEY_FILE", directory.path().join("key").display())
            .variable("OPENAI_BASE_URL", simulator.openai_url())
            .variable(
                "CALDERA__FILES__TRUSTED_CERTIFICATES",
                certificates.authority().display(),
            )
            .start();
        Self {
            server,
            simulator,
            directory,
            _database: database,
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the file, sends the signal, and waits until the log says so much more of it.
    fn reload(&self, configuration: &str, said: &str) {
        self.write("caldera.toml", configuration);
        let count = || self.server.stderr().matches(said).count();
        let before = count();
        signal(self.server.process_id(), "HUP");
        // A price book is read along, which takes its time where much else runs.
        wait_until(said, Duration::from_secs(60), || count() > before);
    }

    fn operator(&self, path: &str) -> Value {
        let token = fs::read_to_string(self.server.data_dir().join("operator-token")).unwrap();
        let operator = Client::new(&self.server.operator_url()).with_key(token.trim());
        operator.get(path).expect_status(200).json()
    }

    fn stream(&self, directive: &str) -> EventStream {
        let body = chat_stream(directive);
        EventStream::post(self.server.port, "/v1/chat/completions", secret_key(), &body)
    }

    fn call(&self, directive: &str) -> Answer {
        self.server.client().post("/v1/chat/completions", &chat(directive))
    }
}

const READ: &str = "the configuration and the providers were read anew";
const REFUSED: &str = "the new configuration is refused; nothing of it is in force";

#[test]
fn a_signal_puts_in_force_what_can_change_and_names_what_waits() {
    let office = Office::new("", "sim");
    let mut stream = office.stream("output_tokens=20 chunk_ms=100");
    let configuration = "[server]\nkeep_alive_s = 80\n[gateway]\nin_flight_limit = 1\nbody_limit_bytes = 1024\n\
        breaker_failures = 0\n[management]\nrequests_per_minute = 7\n[retention]\nrequests_days = 40\n\
        [log]\nfilter = \"debug\"\n[journal]\nfsync_interval_ms = 11\n";
    assert_eq!(state(&office), "closed");
    office.reload(configuration, READ);
    let log = office.server.stderr();
    for words in [
        "gateway.in_flight_limit",
        "retention.requests_days",
        "journal.fsync_interval_ms, server.keep_alive_s",
    ] {
        assert!(log.contains(words), "{words} is not in {log}");
    }
    // The stream that runs is the one call that there may be.
    assert_eq!(office.call("output_tokens=1").error_code(), "overloaded");
    assert!(stream.rest().contains("[DONE]"));
    eventually("there is room again", || office.call("output_tokens=1").status == 200);
    let mut long = chat("output_tokens=1");
    long["user"] = "x".repeat(1024).into();
    let call_long = || office.server.client().post("/v1/chat/completions", &long);
    assert_eq!(call_long().status, 413);
    assert_eq!(office.operator("/operator/retention")["requests"]["days"], 40);
    assert_eq!(state(&office), "unwatched");
    office.reload("[gateway]\nbreaker_failures = 2\n", READ);
    office.call("output_tokens=1").expect_status(200);
    call_long().expect_status(200);
    assert_eq!(state(&office), "closed");
    assert_eq!(office.operator("/operator/retention")["requests"]["days"], Value::Null);
    assert!(office.simulator.ledger()["completed"].as_i64().unwrap() >= 4);
}

#[test]
fn a_signal_that_has_more_logged_has_no_prompt_key_or_session_logged() {
    let office = Office::new("", "sim");
    office.reload("[log]\nfilter = \"trace,rmcp=trace\"\n", READ);
    let agent = Agent::open(&office.server.client());
    let prompt = "the-prompt-that-nobody-may-read";
    let prompted = json!({ "model": "gpt-4o-mini", "messages": prompt, "max_tokens": 8 });
    assert_ne!(agent.call("prompt", &prompted)["isError"], true);
    let minted = agent.call("create_spend_key", &json!({ "name": "minted by an agent" }));
    let key = minted["structuredContent"]["key"]
        .as_str()
        .unwrap_or_else(|| panic!("{minted}"));
    eventually("the calls are logged", || {
        office.server.stderr().contains("a call ended")
    });
    let log = office.server.stderr();
    for secret in [prompt, key, agent.session_id()] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{}", line.unwrap_or_default());
    }
}

fn state(office: &Office) -> Value {
    let listed = office.operator("/providers");
    let found = listed["data"].as_array().unwrap().iter();
    let openai = found.into_iter().find(|provider| provider["name"] == "openai");
    openai.unwrap()["state"].clone()
}

#[test]
fn trusted_proxies_change_with_a_signal() {
    let office = Office::new("", "sim");
    let made = json!({ "name": "from afar", "allowed_ips": ["203.0.113.7"] });
    let made = office
        .server
        .client()
        .post("/v1/spend_keys", &made)
        .expect_status(201)
        .json();
    let caller = office.server.client_with(made["key"].as_str().unwrap());
    let caller = caller.with_header("x-forwarded-for", "203.0.113.7");
    let call = || caller.post("/v1/chat/completions", &chat("output_tokens=1"));
    assert_eq!(call().error_code(), "ip_not_allowed");
    office.reload("[server]\ntrusted_proxies = [\"127.0.0.1\"]\n", READ);
    call().expect_status(200);
    office.reload("", READ);
    assert_eq!(call().error_code(), "ip_not_allowed");
}

#[test]
fn a_file_that_is_refused_changes_nothing() {
    let office = Office::new("[retention]\nrequests_days = 40\n", "sim");
    let broken = [
        "[retention]\nrequests_days = 50\n[gateway]\nin_flight_limit = 0\n",
        "[retention]\nrequests_days = 50\n[gateway]\nin_flight_limt = 5\n",
        "[retention]\nrequests_days = 50\n[files]\nmore_providers = \"/nowhere\"\n",
        "[retention",
    ];
    for configuration in broken {
        office.reload(configuration, REFUSED);
        assert_eq!(
            office.operator("/operator/retention")["requests"]["days"],
            40,
            "{configuration}"
        );
        office.call("output_tokens=1").expect_status(200);
    }
    // A secret file that is gone refuses the rest too.
    fs::remove_file(office.path("key")).unwrap();
    office.reload("[retention]\nrequests_days = 50\n", REFUSED);
    assert!(office.server.stderr().contains("OPENAI_API_KEY_FILE: cannot read"));
    office.call("output_tokens=1").expect_status(200);
    office.write("key", "sim");
    office.reload("[retention]\nrequests_days = 50\n", READ);
    assert_eq!(office.operator("/operator/retention")["requests"]["days"], 50);
}

#[test]
fn a_credential_that_was_changed_in_its_file_and_a_provider_that_was_added_serve_after_a_signal() {
    let office = Office::new("", "bad");
    assert_eq!(office.call("output_tokens=1").error_code(), "provider_auth_failed");
    office.write("key", "good\n");
    let more = format!(
        "[[provider]]\nname = \"ours\"\nlabel = \"Ours\"\nbase_url = \"{}\"\ndialect = \"openai\"\nprivate = true\n\
         credential = \"bearer\"\nkey_variables = [\"OPENAI_API_KEY\"]\n",
        office.simulator.openai_url()
    );
    office.write("more.toml", &more);
    let configuration = format!("[files]\nmore_providers = \"{}\"\n", office.path("more.toml").display());
    office.reload(&configuration, READ);
    office.call("output_tokens=1").expect_status(200);
    let mut body = chat("output_tokens=1");
    body["model"] = "ours/some-model".into();
    let served = office.server.client().post("/v1/chat/completions", &body);
    served.expect_status(200);
    assert!(has_provider(&office, "ours"));
    office.reload("", READ);
    assert!(!has_provider(&office, "ours") && has_provider(&office, "openai"));
}

fn has_provider(office: &Office, name: &str) -> bool {
    let listed = office.operator("/providers");
    let mut providers = listed["data"].as_array().unwrap().iter();
    providers.any(|provider| provider["name"] == name)
}
