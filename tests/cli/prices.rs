//! Prices from the command line: what a file would change, its import in one step, and what is refused.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{refused, told};
use crate::support::house::{House, chat, nanos};

/// A house whose own prices stand in a file, and a place for others.
struct Shop {
    house: House,
    directory: TempDir,
    own: PathBuf,
}

impl Shop {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("own.json");
        std::fs::write(&own, "{}").unwrap();
        let path = own.display().to_string();
        let house = House::with(|settings| settings.variable("CALDERA__FILES__MORE_PRICES", path));
        Self { house, directory, own }
    }

    fn file(&self, text: &str) -> String {
        let path = self.directory.path().join("new.json");
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn own(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(&self.own).unwrap()).unwrap()
    }
}

fn mini(input: &str, output: &str) -> String {
    format!(
        r#"{{"gpt-4o-mini": {{"litellm_provider": "openai", "mode": "chat", "max_output_tokens": 16384,
            "input_cost_per_token": {input}, "output_cost_per_token": {output}}}}}"#
    )
}

#[test]
fn a_difference_is_shown_in_dollars_for_a_million_and_in_percent() {
    let shop = Shop::new();
    let path = shop.file(&mini("3e-7", "6e-7"));
    let shown = shop.house.server.ask(&["prices", "diff", &path]);
    let rates = shown["changed"][0]["rates"].as_array().unwrap();
    let input = rates.iter().find(|rate| rate["unit"] == "input token").unwrap();
    assert_eq!(
        (&input["before"], &input["now"], &input["percent"]),
        (&json!("0.15"), &json!("0.30"), &json!("+100.0"))
    );
    let people = told(&shop.house, &["prices", "diff", &path]);
    assert!(
        people.contains("gpt-4o-mini") && people.contains("+100.0") && people.contains("1 changed"),
        "{people}"
    );
    assert!(told(&shop.house, &["prices", "diff"]).contains("0 added, 0 changed, 0 removed"));
}

#[test]
fn an_import_is_in_force_at_once_and_keeps_what_is_there() {
    let shop = Shop::new();
    let mine = r#"{"mine": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}}"#;
    shop.house.server.ask(&["prices", "import", &shop.file(mine)]);
    let before = shop.house.row(
        &shop
            .house
            .server
            .client()
            .post("/v1/chat/completions", &chat("output_tokens=9")),
    );
    let imported = shop
        .house
        .server
        .ask(&["prices", "import", &shop.file(&mini("3e-7", "1.2e-6"))]);
    assert!(imported["reloaded"]["price_version"].is_u64(), "{imported}");
    let after = shop.house.row(
        &shop
            .house
            .server
            .client()
            .post("/v1/chat/completions", &chat("output_tokens=9")),
    );
    assert_eq!(nanos(&after["cost"]), 2 * nanos(&before["cost"]));
    assert!(shop.own()["mine"].is_object() && shop.own()["gpt-4o-mini"].is_object());
    shop.house
        .server
        .ask(&["prices", "import", "--replace", &shop.file(&mini("3e-7", "1.2e-6"))]);
    assert!(shop.own()["mine"].is_null());
}

#[test]
fn ten_times_off_is_refused_until_it_is_said_to_be_meant_and_a_typing_error_always() {
    let shop = Shop::new();
    let path = shop.file(&mini("1.5e-6", "6e-6"));
    let (status, why) = refused(&shop.house, &["prices", "import", &path]);
    assert_eq!(status, 1);
    assert!(why.contains("gpt-4o-mini") && why.contains("--accept"), "{why}");
    assert_eq!(shop.own(), json!({}));
    shop.house
        .server
        .ask(&["prices", "import", &path, "--accept", "gpt-4o-mini"]);
    assert_eq!(shop.own()["gpt-4o-mini"]["caldera_accept"], true);
    let (_, why) = refused(
        &shop.house,
        &["prices", "import", &shop.file(&mini("1.5e-6, \"inptu\": 1", "6e-6"))],
    );
    assert!(why.contains("inptu"), "{why}");
    assert_eq!(
        refused(&shop.house, &["prices", "import", &path, "--accept", "other"]).0,
        2
    );
    assert_eq!(refused(&shop.house, &["prices", "import", "/no/such/file"]).0, 1);
}

#[test]
fn of_the_file_that_litellm_publishes_only_what_is_new_or_other_is_taken() {
    let shop = Shop::new();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/prices.json")).unwrap();
    let mut published: Value = serde_json::from_str(&text).unwrap();
    published["sample_spec"] = json!({ "input_cost_per_token": "a number" });
    published["gpt-4o-mini"]["input_cost_per_token"] = json!(3e-7);
    published["gpt-4o-mini"]["a_new_word"] = json!(true);
    published["brand-new"] = json!({ "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6 });
    let imported = shop
        .house
        .server
        .ask(&["prices", "import", &shop.file(&published.to_string())]);
    assert_eq!(imported["added"][0]["model"], "brand-new");
    assert_eq!(imported["left_out"]["fields"], json!(["a_new_word"]));
    let own = shop.own();
    let taken: Vec<&String> = own.as_object().unwrap().keys().collect();
    assert_eq!(taken, ["brand-new", "gpt-4o-mini"]);
}
