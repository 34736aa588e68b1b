//! Restarts: every counter is what it was, one process at a time serves a database, and a wrong pepper ends the start.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::house::{House, chat, settings};
use crate::support::http::Client;
use crate::support::server::{eventually, secret_key};

#[test]
fn every_counter_is_the_same_before_and_after_fifty_restarts() {
    let mut house = House::new();
    let (id, key) = house.mint(json!({
        "name": "one",
        "spend_limit": { "amount": "5.00", "cycle": "weekly" },
        "request_limit": { "count": 1000, "cycle": "daily" },
    }));
    let wallet = |house: &House| house.server.client().get("/v1/wallet").expect_status(200).json();
    let mut slowest = [Duration::ZERO; 2];
    for round in 1..=50u32 {
        for _ in 0..3 {
            house
                .caller(&key)
                .post("/v1/chat/completions", &chat(""))
                .expect_status(200);
        }
        let before = (house.settled(&id), wallet(&house));
        assert_eq!(before.0["current_requests"], round * 3);
        let began = Instant::now();
        if round % 2 == 0 {
            house.server.kill()
        } else {
            assert!(house.server.stop().success())
        }
        house.server.start_again();
        let took = &mut slowest[(round % 2) as usize];
        *took = began.elapsed().max(*took);
        assert_eq!((house.key(&id), wallet(&house)), before);
    }
    house.books_agree();
    let [killed, stopped] = slowest;
    eprintln!("50 restarts: the slowest after a kill took {killed:?}, after a stop {stopped:?}");
}

#[test]
fn a_second_process_waits_until_the_first_is_gone() {
    let house = House::new();
    let second = settings(&house.database.url, &house.simulator)
        .variable("CALDERA_PEPPER_FILE", house.server.data_dir().join("pepper").display())
        .variable(
            "CALDERA_SEAL_KEY_FILE",
            house.server.data_dir().join("seal-key").display(),
        )
        .start_unready();
    eventually("it says that it starts", || {
        second
            .client()
            .try_get("/readyz")
            .is_some_and(|answer| answer.error_code() == "starting")
    });
    let calling = second.client().post("/v1/chat/completions", &chat(""));
    assert_eq!((calling.status, calling.error_code().as_str()), (503, "starting"));
    let House {
        server,
        database,
        simulator,
    } = house;
    let mut server = server;
    assert!(server.stop().success());
    second.wait_ready();
    second
        .client_with(secret_key())
        .post("/v1/chat/completions", &chat(""))
        .expect_status(200);
    drop((database, simulator));
}

#[test]
fn a_schema_is_changed_only_when_nobody_serves_it() {
    let mut house = House::new();
    // As an older process left it, which does not know the last table but one.
    house.database.execute("DROP TABLE traffic_key_weeks");
    house
        .database
        .execute("DELETE FROM __diesel_schema_migrations WHERE version = '0026'");
    let is_there = "SELECT count(*) AS number FROM pg_class WHERE relname = 'traffic_key_weeks'";
    let file = |name: &str| house.server.data_dir().join(name);
    let second = settings(&house.database.url, &house.simulator)
        .variable("CALDERA_PEPPER_FILE", file("pepper").display())
        .variable("CALDERA_SEAL_KEY_FILE", file("seal-key").display())
        .start_unready();
    eventually("it waits", || {
        second.stderr().contains("another process serves this database")
    });
    let by_hand = second.run(&["migrate"]);
    assert!(!by_hand.status.success());
    assert!(
        String::from_utf8_lossy(&by_hand.stderr).contains("stop it first"),
        "{by_hand:?}"
    );
    assert_eq!(house.database.number(is_there), 0);
    assert!(house.server.stop().success());
    second.wait_ready();
    assert_eq!(house.database.number(is_there), 1);
}

#[test]
fn another_pepper_stops_the_start() {
    let mut house = House::new();
    house.server.stop();
    std::fs::write(house.server.data_dir().join("pepper"), [7; 32]).unwrap();
    house.server.start_again_unready();
    assert!(!house.server.wait_for_exit().success());
    assert!(house.server.stderr().contains("pepper"), "{}", house.server.stderr());
}

#[test]
fn whoever_has_read_ready_is_served_on_every_connection_after_it() {
    let mut house = House::new();
    let mut refused = Vec::new();
    for _ in 0..15 {
        house.server.kill();
        house.server.start_again_unready();
        // A new connection for each look, and no pause after the one that says so.
        let look = || Client::new(&house.server.url()).try_get("/readyz");
        while look().is_none_or(|answer| answer.status != 200) {}
        thread::scope(|scope| {
            let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| refusals(&house))).collect();
            let outcomes = callers.into_iter().flat_map(|caller| caller.join().unwrap());
            refused.extend(outcomes);
        });
    }
    assert!(refused.is_empty(), "{} of 600: {refused:?}", refused.len());
}

/// Ten calls, each on a connection of its own; what those say that were not answered well.
fn refusals(house: &House) -> Vec<String> {
    (0..10)
        .map(|_| house.server.client().try_send("GET", "/v1/spend_keys", None))
        .filter_map(|answer| match answer {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => Some(answer.text()),
            Err(error) => Some(error.to_string()),
        })
        .collect()
}
