//! Secrets that stand in files: a server starts with them alone, and refuses what is doubtful by its variable.

use std::fs;

use crate::support::house::chat;
use crate::support::postgres::database;
use crate::support::server::{ServerSettings, eventually, secret_key};
use crate::support::simulator::Simulator;

#[test]
fn a_server_starts_with_its_secrets_in_files() {
    let (database, simulator, directory) = (database(), Simulator::start(), tempfile::tempdir().unwrap());
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let server = ServerSettings::default()
        .variable("DATABASE_URL_FILE", file("url", &format!("{}\n", database.url)))
        .variable("CALDERA_BOOTSTRAP_SECRET_KEY", "")
        .variable(
            "CALDERA_BOOTSTRAP_SECRET_KEY_FILE",
            file("first", &format!("{}\r\n", secret_key())),
        )
        .variable("OPENAI_API_KEYS_FILE", file("keys", "one*3,two\n"))
        .variable("OPENAI_BASE_URL", simulator.openai_url())
        .variable(
            "CALDERA__FILES__TRUSTED_CERTIFICATES",
            crate::support::certificates::Certificates::shared()
                .authority()
                .display(),
        )
        .start();
    server
        .client()
        .post("/v1/chat/completions", &chat("output_tokens=1"))
        .expect_status(200);
    assert_eq!(database.number("SELECT count(*) FROM merchants"), 1);
    // Nothing of them is told, whatever the log says.
    let log = server.stderr() + &server.stdout();
    assert!(!log.contains(secret_key()) && !log.contains("one*3"), "{log}");
}

#[test]
fn a_doubtful_secret_stops_the_start_by_the_name_of_its_variable() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let empty = empty.display().to_string();
    let doubtful = [
        (
            "OPENAI_API_KEY_FILE",
            "/nowhere/key",
            "OPENAI_API_KEY_FILE: cannot read /nowhere/key",
        ),
        ("ANTHROPIC_API_KEY_FILE", empty.as_str(), "ANTHROPIC_API_KEY_FILE"),
        ("STRIPE_SECRET_KEY_FILE", empty.as_str(), "STRIPE_SECRET_KEY_FILE"),
        ("STRIPE_WEBHOOK_SECRET_FILE", "/nowhere/s", "STRIPE_WEBHOOK_SECRET_FILE"),
        (
            "CALDERA_BOOTSTRAP_SECRET_KEY_FILE",
            empty.as_str(),
            "CALDERA_BOOTSTRAP_SECRET_KEY and CALDERA_BOOTSTRAP_SECRET_KEY_FILE are both set",
        ),
    ];
    for (variable, value, said) in doubtful {
        let database = database();
        let mut server = ServerSettings::default()
            .database(&database.url)
            .variable(variable, value)
            .start_unready();
        assert!(!server.wait_for_exit().success(), "{variable}");
        eventually(said, || server.stderr().contains(said));
    }
}
