//! The books prove themselves, and say where they do not.

use std::thread;

use diesel::connection::SimpleConnection as _;
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

#[test]
fn a_proof_that_takes_long_keeps_nobody_from_the_database() {
    let house = House::with(|settings| settings.variable("CALDERA__DATABASE__POOL_SIZE", 1));
    let mut holder = house.database.connect();
    holder
        .batch_execute("BEGIN; LOCK TABLE meter_quantities IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let waiting = "SELECT count(*) AS number FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    thread::scope(|scope| {
        let proofs: Vec<_> = (0..3).map(|_| scope.spawn(|| house.proof())).collect();
        eventually("a proof waits for the table", || house.database.number(waiting) > 0);
        house.server.client().get("/v1/requests").expect_status(200);
        // The others wait for their turn, and not for the table.
        assert_eq!(house.database.number(waiting), 1);
        holder.batch_execute("ROLLBACK").unwrap();
        for proof in proofs {
            assert_eq!(proof.join().unwrap()["holds"], true);
        }
    });
}
