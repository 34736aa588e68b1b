//! The operator's side: the command line, the demo, the metrics, and the walls between merchants.

use serde_json::{Value, json};

use crate::support::house::{House, chat};
use crate::support::http::Client;
use crate::support::server::{ServerSettings, eventually};

/// Runs the command line against the house's server and reads its answer.
fn operate(house: &House, arguments: &[&str]) -> Value {
    house.server.ask(arguments)
}

#[test]
fn a_second_merchant_sees_nothing_of_the_first_one() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "of the first" }));
    let row = house.row(
        &house
            .caller(&key)
            .post("/v1/chat/completions", &chat("output_tokens=1"))
            .expect_status(200),
    );
    let merchant = operate(&house, &["merchants", "create", "--name", "second"]);
    let merchant_id = merchant["merchant_id"].as_str().unwrap();
    let secret = operate(&house, &["keys", "create", "--secret", "--merchant", merchant_id]);
    let other = house.caller(secret["secret_key"].as_str().or(secret["key"].as_str()).unwrap());
    assert_eq!(other.get("/v1/spend_keys").expect_status(200).json()["data"], json!([]));
    let path = format!("/v1/spend_keys/{id}");
    assert_eq!(other.get(&path).status, 404);
    assert_eq!(other.put(&path, &json!({ "name": "mine" })).status, 404);
    assert_eq!(other.delete(&path).status, 404);
    assert_eq!(other.post(&format!("{path}/rotate"), &json!({})).status, 404);
    assert_eq!(
        other
            .get(&format!("/v1/requests/{}", row["request_id"].as_str().unwrap()))
            .status,
        404
    );
    assert_eq!(other.get("/v1/requests").expect_status(200).json()["data"], json!([]));
    assert_eq!(house.key(&id)["name"], "of the first");
}

#[test]
fn a_test_merchants_calls_never_reach_the_operators_live_credentials() {
    let house = House::new();
    let merchant = operate(&house, &["merchants", "create", "--test", "--name", "trying"]);
    let merchant_id = merchant["merchant_id"].as_str().unwrap();
    assert!(merchant_id.starts_with("mer_test_"));
    let secret = operate(&house, &["keys", "create", "--secret", "--merchant", merchant_id]);
    let token = secret["secret_key"].as_str().or(secret["key"].as_str()).unwrap();
    assert!(token.starts_with("aks_test_"));
    let answer = house
        .caller(token)
        .post("/v1/chat/completions", &chat("output_tokens=1"))
        .expect_status(200);
    assert_eq!(answer.header("x-lava-simulated"), Some("true"));
    assert!(answer.header("x-lava-request-id").unwrap().starts_with("req_test_"));
    // The house's own provider stands for the operator's live one.
    assert_eq!(house.simulator.ledger()["requests"], 0);
}

#[test]
fn a_wallet_key_manages_spend_keys_and_makes_no_calls() {
    let house = House::new();
    let made = operate(&house, &["keys", "create", "--wallet", "--name", "desk"]);
    let token = made["key"].as_str().unwrap();
    let client = house.caller(token);
    let spend = client
        .post("/v1/manage/spend_keys", &json!({ "name": "by wallet key" }))
        .expect_status(201)
        .json();
    assert!(spend["key"].as_str().unwrap().starts_with("lava_sk_"));
    assert_eq!(
        client.get("/v1/spend_keys").expect_status(200).json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        client.post("/v1/chat/completions", &chat("")).error_code(),
        "wrong_key_kind"
    );
    assert_eq!(client.get("/v1/requests").error_code(), "wrong_key_kind");
}

#[test]
fn when_a_wallet_key_was_last_used_outlives_a_stop() {
    let mut house = House::new();
    let made = operate(&house, &["keys", "create", "--wallet", "--name", "desk"]);
    house
        .caller(made["key"].as_str().unwrap())
        .get("/v1/spend_keys")
        .expect_status(200);
    assert!(house.server.stop().success());
    assert_eq!(
        house
            .database
            .number("SELECT COUNT(*) FROM wallet_keys WHERE last_used_at > now() - interval '1 minute'"),
        1
    );
}

#[test]
fn a_key_whose_revocation_was_stored_without_an_answer_is_dead_a_moment_later() {
    let house = House::new();
    let made = operate(&house, &["keys", "create", "--wallet", "--name", "desk"]);
    let client = house.caller(made["key"].as_str().unwrap());
    // The connection breaks under the revocation, as it does where Postgres goes down while it commits.
    let breaks = [
        "CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$",
        "CREATE TRIGGER breaks BEFORE UPDATE OF revoked_at ON wallet_keys FOR EACH ROW EXECUTE FUNCTION break()",
    ];
    for statement in breaks {
        house.database.execute(statement);
    }
    let id = made["wallet_key_id"].as_str().unwrap();
    let revoked = house.server.client().delete(&format!("/v1/wallet_keys/{id}"));
    assert_eq!((revoked.status, revoked.error_code().as_str()), (503, "unavailable"));
    let stores = [
        "DROP TRIGGER breaks ON wallet_keys",
        "UPDATE wallet_keys SET revoked_at = now()",
    ];
    for statement in stores {
        house.database.execute(statement);
    }
    eventually("the key is refused", || {
        client.get("/v1/spend_keys").error_code() == "invalid_api_key"
    });
}

#[test]
fn the_operators_listener_counts_and_the_callers_port_does_not_show_it() {
    let house = House::new();
    house
        .server
        .client()
        .post("/v1/chat/completions", &chat("output_tokens=1"))
        .expect_status(200);
    house
        .server
        .client()
        .post("/v1/chat/completions", &json!({ "model": 7 }));
    let operator = Client::new(&house.server.operator_url());
    eventually("the batch is counted", || {
        operator.get("/metrics").text().contains("caldera_billing_rows_total 1")
    });
    let metrics = operator.get("/metrics").expect_status(200).text();
    assert!(
        metrics.contains(r#"caldera_requests_total{outcome="completed"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"caldera_denials_total{code="invalid_request"} 1"#),
        "{metrics}"
    );
    assert_eq!(house.server.client().get("/metrics").status, 404);
    assert_eq!(
        operator.post("/operator/merchants", &json!({ "name": "x" })).status,
        401
    );
}

#[test]
fn without_any_credential_it_is_a_demo_where_that_was_asked_for_and_with_one_it_is_none() {
    let start = |variable: Option<(&str, &str)>| {
        let database = crate::support::postgres::database();
        let settings = ServerSettings::default()
            .database(&database.url)
            .argument("--demo-if-no-credentials");
        let settings = variable
            .into_iter()
            .fold(settings, |settings, (name, value)| settings.variable(name, value));
        let server = settings.start();
        eventually("it says that it is ready", || {
            server.stdout().contains("Caldera is ready")
        });
        server.stdout().contains("DEMO")
    };
    assert!(start(None));
    assert!(start(Some(("OPENAI_API_KEY", ""))));
    for (name, value) in [
        ("OPENAI_API_KEYS", "one,two"),
        ("OLLAMA_BASE_URL", "http://127.0.0.1:11434/v1"),
    ] {
        assert!(!start(Some((name, value))), "{name}");
    }
}

#[test]
fn the_first_key_stays_in_its_file_and_a_later_start_says_so() {
    let database = crate::support::postgres::database();
    let mut server = ServerSettings::default()
        .database(&database.url)
        .variable("CALDERA_BOOTSTRAP_SECRET_KEY", "")
        .start();
    let file = server.data_dir().join("bootstrap-secret-key");
    let key = std::fs::read_to_string(&file).unwrap();
    server.client_with(key.trim()).get("/v1/wallet").expect_status(200);
    assert!(server.stop().success());
    server.start_again();
    let told = format!("SECRET=$(cat {})", file.display());
    eventually("it is told twice", || server.stdout().matches(&told).count() == 2);
    assert!(!server.stdout().contains(key.trim()) && !server.stderr().contains(key.trim()));
}

#[test]
fn the_demo_serves_every_provider_from_the_simulated_one_and_says_so() {
    let database = crate::support::postgres::database();
    let server = ServerSettings::default()
        .database(&database.url)
        .argument("--demo")
        .start();
    eventually("it says so", || server.stdout().contains("DEMO"));
    let answer = server
        .client()
        .post("/v1/chat/completions", &chat("output_tokens=2"))
        .expect_status(200);
    assert_eq!(answer.header("x-lava-simulated"), Some("true"));
    let id = answer.header("x-lava-request-id").unwrap().to_owned();
    let row = server
        .client()
        .get(&format!("/v1/requests/{id}"))
        .expect_status(200)
        .json();
    assert_eq!(row["simulated"], true);
}
