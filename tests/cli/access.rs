//! Whom the command line asks, and as whom: the operator on his own machine, a merchant from another.

use serde_json::{Value, json};

use super::{refused, told};
use crate::support::house::House;
use crate::support::http::Client;

fn operator(house: &House) -> Client {
    let token = std::fs::read_to_string(house.server.data_dir().join("operator-token")).unwrap();
    Client::new(&house.server.operator_url()).with_key(token.trim())
}

#[test]
fn the_operator_acts_as_the_oldest_merchant_or_as_the_one_he_names() {
    let house = House::new();
    let (id, _) = house.mint(json!({ "name": "of the first" }));
    let second = house.server.ask(&["merchants", "create", "--name", "second"]);
    let second = second["merchant_id"].as_str().unwrap();
    let first = operator(&house)
        .get("/operator/v1/spend_keys")
        .expect_status(200)
        .json();
    assert_eq!(first["data"][0]["spend_key_id"], json!(id));
    let as_second = operator(&house).with_header("x-caldera-merchant", second);
    let made = as_second
        .post("/operator/v1/spend_keys", &json!({ "name": "of the second" }))
        .expect_status(201)
        .json();
    assert_eq!(as_second.get(&format!("/operator/v1/spend_keys/{id}")).status, 404);
    let listed = house.server.ask(&["keys", "list", "--merchant", second]);
    assert_eq!(listed["data"][0]["spend_key_id"], made["spend_key_id"]);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[test]
fn without_the_token_nothing_of_the_operators_management_is_reached() {
    let house = House::new();
    let nobody = Client::new(&house.server.operator_url());
    let merchant = house.server.client();
    for path in [
        "/operator/v1/spend_keys",
        "/operator/v1/wallet",
        "/operator/v1/nothing",
        "/operator/status",
    ] {
        assert_eq!(nobody.get(path).error_code(), "invalid_api_key", "{path}");
        assert_eq!(merchant.get(path).error_code(), "not_found", "{path}");
    }
    let bad = operator(&house).with_header("x-caldera-merchant", "mer_nobody");
    assert_eq!(
        bad.get("/operator/v1/wallet").expect_status(400).json()["error"]["param"],
        "x-caldera-merchant"
    );
    let gone = operator(&house).with_header("x-caldera-merchant", "mer_01HF7YAT000000000000000000");
    assert_eq!(gone.get("/operator/v1/wallet").status, 404);
}

#[test]
fn the_operator_is_not_counted_by_the_limit_of_management() {
    let house = House::with(|settings| settings.variable("CALDERA__MANAGEMENT__REQUESTS_PER_MINUTE", 2));
    for _ in 0..5 {
        let answer = operator(&house).get("/operator/v1/wallet").expect_status(200);
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
    let limited = house.server.client();
    assert!((0..5).any(|_| limited.get("/v1/wallet").status == 429));
}

#[test]
fn another_machines_server_is_asked_with_a_secret_key_that_is_no_argument() {
    let house = House::new();
    let (id, _) = house.mint(json!({ "name": "far away" }));
    let url = house.server.url();
    let key = house.server.ask(&["keys", "create", "--secret", "--name", "far"]);
    let key = key["secret_key"].as_str().unwrap();
    let ask = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = house.server.command(arguments);
        // The data directory of the server is on another machine.
        command.env("CALDERA_DATA_DIR", house.server.data_dir().join("none"));
        command.envs(variables.iter().copied()).output().unwrap()
    };
    let listed = ask(&[("LAVA_SECRET_KEY", key)], &["keys", "list", "--json", "--url", &url]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["data"][0]["spend_key_id"], json!(id));
    let file = house.server.data_dir().join("far-key");
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let path = file.display().to_string();
    let shown = ask(
        &[("CALDERA_URL", &format!("{url}/v1"))],
        &["keys", "show", &id, "--key-file", &path],
    );
    assert!(String::from_utf8_lossy(&shown.stdout).contains("far away"), "{shown:?}");
    let without = ask(&[], &["keys", "list", "--url", &url]);
    assert_eq!(without.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&without.stderr).contains("CALDERA_SECRET_KEY"),
        "{without:?}"
    );
    let operators = ask(&[("CALDERA_SECRET_KEY", key)], &["merchants", "list", "--url", &url]);
    assert_eq!(operators.status.code(), Some(2), "{operators:?}");
    let nobody = ask(
        &[("CALDERA_SECRET_KEY", key)],
        &["keys", "list", "--url", "http://127.0.0.1:1"],
    );
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&nobody.stderr).contains("no server answers"),
        "{nobody:?}"
    );
}

#[test]
fn a_refusal_says_what_it_is_to_people_and_to_programs() {
    let house = House::new();
    let missing = ["keys", "show", "spk_01HF7YAT000000000000000000"];
    let (status, why) = refused(&house, &missing);
    assert_eq!(status, 1);
    assert!(why.starts_with("caldera: "), "{why}");
    let (_, why) = refused(&house, &[&missing[..], &["--json"]].concat());
    let why: Value = serde_json::from_str(&why).unwrap();
    assert_eq!(why["error"]["code"], "not_found");
    assert_eq!(refused(&house, &["keys", "show", "sec_1"]).0, 2);
    assert_eq!(refused(&house, &["keys", "shew"]).0, 2);
}

#[test]
fn merchants_and_wallets_are_tables_for_people() {
    let house = House::new();
    let merchants = told(&house, &["merchants", "list"]);
    assert!(merchants.starts_with("MERCHANT"), "{merchants}");
    let listed = house.server.ask(&["merchants", "list"]);
    let wallet = listed["data"][0]["wallet_id"].as_str().unwrap();
    assert!(merchants.contains(wallet), "{merchants}");
    let funded = told(&house, &["wallets", "fund", wallet, "10.00", "--note", "from a test"]);
    assert!(funded.contains("10.00"), "{funded}");
    assert!(told(&house, &["wallets", "show"]).contains("postpaid"));
    assert_eq!(
        house.server.ask(&["wallets", "set", wallet, "--funding", "prepaid"])["funding"],
        "prepaid"
    );
}
