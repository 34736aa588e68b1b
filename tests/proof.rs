//! The books prove themselves, and say where they do not.

use serde_json::{Value, json};

use crate::support::house::{House, chat, nanos};
use crate::support::server::eventually;

fn side<'a>(proof: &'a Value, name: &str) -> &'a Value {
    let invariants = proof["invariants"].as_array().unwrap();
    invariants.iter().find(|invariant| invariant["name"] == name).unwrap()
}

#[test]
fn the_proof_shows_both_sides_and_names_what_was_changed_behind_its_back() {
    let house = House::new();
    let (_, key) = house.mint(json!({ "name": "proved" }));
    for _ in 0..5 {
        house
            .caller(&key)
            .post("/v1/chat/completions", &chat("output_tokens=40"))
            .expect_status(200);
    }
    eventually("the calls are written", || {
        house.database.number("SELECT count(*) AS number FROM requests") == 5
    });
    house.books_agree();
    let proof = house.proof();
    let spent = side(&proof, "spend_of_keys");
    assert!(nanos(&spent["left"]) > 0, "{proof}");
    assert_eq!(spent["left"], spent["right"]);
    assert_eq!(spent["difference"], "0");

    let damages = [
        (
            "UPDATE spend_key_counters SET total_spend = total_spend + 1",
            "spend_of_keys",
        ),
        ("UPDATE wallets SET balance = balance + 1", "wallet_balances"),
        ("DELETE FROM requests", "provider_cost"),
    ];
    for (damage, name) in damages {
        assert!(house.database.execute(damage) > 0, "{damage}");
        let proof = house.proof();
        assert_eq!(proof["holds"], false, "{damage}");
        assert_ne!(side(&proof, name)["difference"], "0", "{damage}: {proof}");
    }
}
