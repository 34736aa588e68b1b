//! The price book: the operator's own entries, a reload while calls run, and what is refused of it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::house::{House, chat, nanos};
use crate::support::http::{Answer, Client};
use crate::support::server::eventually;

/// A house with a price file of its own.
struct Shop {
    house: House,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Shop {
    fn new(prices: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("prices.json");
        std::fs::write(&file, prices.to_string()).unwrap();
        let house = House::with(|settings| settings.variable("CALDERA__FILES__MORE_PRICES", file.display()));
        Self {
            house,
            file,
            _directory: directory,
        }
    }

    fn write(&self, prices: &Value) {
        std::fs::write(&self.file, prices.to_string()).unwrap();
    }

    fn operator(&self) -> Client {
        let token = std::fs::read_to_string(self.house.server.data_dir().join("operator-token")).unwrap();
        Client::new(&self.house.server.operator_url()).with_key(token.trim())
    }

    fn reload(&self, query: &str) -> Answer {
        self.operator().post(&format!("/prices/reload{query}"), &json!({}))
    }

    /// The row of a call of ten output tokens.
    fn call(&self) -> Value {
        let answer = self
            .house
            .server
            .client()
            .post("/v1/chat/completions", &chat("output_tokens=10"))
            .expect_status(200);
        self.house.row(&answer)
    }

    fn version(&self) -> Value {
        self.operator().get("/prices").expect_status(200).json()["price_version"].clone()
    }
}

/// The entry of the model that the tests call, at so much a token.
fn mini(input: &str, output: &str, accept: Option<bool>) -> Value {
    let mut entry = json!({
        "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 128_000, "max_output_tokens": 16_384,
        "input_cost_per_token": input.parse::<f64>().unwrap(), "output_cost_per_token": output.parse::<f64>().unwrap(),
    });
    if let Some(accept) = accept {
        entry["caldera_accept"] = accept.into();
    }
    json!({ "gpt-4o-mini": entry })
}

fn output_cost(row: &Value) -> i64 {
    nanos(&row["model_usage"]["output_cost"])
}

#[test]
fn a_reload_prices_the_next_call_and_its_row_says_which_book_that_was() {
    let shop = Shop::new(&json!({}));
    let before = shop.call();
    assert_eq!(
        (output_cost(&before), &before["price_version"]),
        (10 * 600, &shop.version())
    );
    shop.write(&mini("0.0000003", "0.0000012", None));
    let reloaded = shop.reload("").expect_status(200).json();
    assert_eq!(
        (&reloaded["changed"], &reloaded["price_version"]),
        (&json!(1), &shop.version())
    );
    let after = shop.call();
    assert_eq!(
        (output_cost(&after), &after["price_version"]),
        (10 * 1_200, &shop.version())
    );
    assert_ne!(after["price_version"], before["price_version"]);
    // A signal does the same.
    shop.write(&json!({}));
    let pid = shop.house.server.process_id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    eventually("the signal has reloaded the book", || {
        shop.version() == before["price_version"]
    });
    assert_eq!(output_cost(&shop.call()), 10 * 600);
}

#[test]
fn a_call_keeps_the_price_that_it_was_admitted_with() {
    let shop = Shop::new(&json!({}));
    let version = shop.version();
    let (url, key) = (shop.house.server.url(), crate::support::server::secret_key());
    let slow = std::thread::spawn(move || {
        let client = Client::new(&url).with_key(key);
        let body = chat("output_tokens=10 delay_ms=1500");
        client.post("/v1/chat/completions", &body).expect_status(200)
    });
    eventually("the call is at the provider", || {
        shop.house.simulator.ledger()["requests"] == 1
    });
    shop.write(&mini("0.0000003", "0.0000012", None));
    shop.reload("").expect_status(200);
    assert_ne!(shop.version(), version);
    let row = shop.house.row(&slow.join().unwrap());
    assert_eq!((output_cost(&row), &row["price_version"]), (10 * 600, &version));
}

#[test]
fn a_broken_or_leaping_book_is_refused_by_name_and_changes_nothing() {
    let shop = Shop::new(&json!({}));
    let version = shop.version();
    let mut typo = mini("0.0000003", "0.0000012", None);
    typo["gpt-4o-mini"]["input_cost_per_tokn"] = json!(1);
    let mut negative = mini("0.0000003", "0.0000012", None);
    negative["gpt-4o-mini"]["output_cost_per_token"] = json!(-1);
    let leap = mini("0.0000015", "0.0000006", None);
    for (prices, word) in [
        (typo, "input_cost_per_tokn"),
        (negative, "output_cost_per_token"),
        (leap, "caldera_accept"),
    ] {
        shop.write(&prices);
        let refused = shop.reload("?accept=gpt-4o");
        assert_eq!(
            (refused.status, refused.error_code().as_str()),
            (400, "invalid_request")
        );
        let message = refused.text();
        assert!(message.contains("gpt-4o-mini") && message.contains(word), "{message}");
        assert_eq!(shop.version(), version);
    }
    let accepted = shop
        .reload("?accept=gpt-4o&accept=gpt-4o-mini")
        .expect_status(200)
        .json();
    assert_eq!(accepted["changed"], 1);
    assert!(accepted["warnings"].to_string().contains("caldera_accept"));
    let stranger = Client::new(&shop.house.server.operator_url());
    assert_eq!(stranger.get("/prices").error_code(), "invalid_api_key");
    assert_eq!(
        stranger.post("/prices/reload", &json!({})).error_code(),
        "invalid_api_key"
    );
}

#[test]
fn a_start_with_a_leaping_price_is_refused_unless_the_entry_means_it() {
    let mut shop = Shop::new(&mini("0.0000015", "0.0000006", Some(true)));
    assert_eq!(nanos(&shop.call()["model_usage"]["output_cost"]), 10 * 600);
    assert!(shop.house.server.stop().success());
    shop.write(&mini("0.0000015", "0.0000006", Some(false)));
    shop.house.server.start_again_unready();
    assert!(!shop.house.server.wait_for_exit().success());
    let said = shop.house.server.stderr();
    assert!(
        said.contains("gpt-4o-mini") && said.contains("caldera_accept"),
        "{said}"
    );
}
