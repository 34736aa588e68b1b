//! A killed process: what was answered is in the journal, and the next start writes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::load::{Load, rounds};
use crate::support::database_proxy::{DatabaseProxy, Fault, Release};
use crate::support::house::{House, chat, chat_stream, nanos, settings};
use crate::support::postgres::database;
use crate::support::process::signal;
use crate::support::server::{eventually, secret_key};
use crate::support::simulator::Simulator;
use crate::support::stream::EventStream;

#[test]
fn killed_at_random_twenty_times_under_load_it_loses_nothing_and_counts_nothing_twice() {
    let mut house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "500.00", "cycle": "daily" } }));
    let mut answered = 0;
    for round in 0..rounds(20, 200) {
        let stop = AtomicBool::new(false);
        let load = Load {
            house: &house,
            key: &key,
            callers: 4,
            interval: Duration::ZERO,
        };
        answered += thread::scope(|scope| {
            let callers = scope.spawn(|| load.run(&stop).answered);
            thread::sleep(Duration::from_millis(60 + (round * 37) % 180));
            signal(house.server.process_id(), "KILL");
            stop.store(true, Ordering::SeqCst);
            callers.join().unwrap()
        });
        house.server.kill();
        house.server.start_again();
        house.books_agree();
    }
    let number = |query: &str| house.database.number(query);
    let completed = number("SELECT COUNT(*) FROM requests WHERE status = 'completed'");
    assert!(
        completed as u64 >= answered,
        "{answered} were answered, {completed} rows"
    );
    let served = house.simulator.ledger()["completed"].as_i64().unwrap();
    let estimated = number("SELECT COUNT(*) FROM requests WHERE usage_source = 'crash_estimate'");
    eprintln!("kills: {answered} answered, {completed} completed, {estimated} estimated, {served} served");
    assert!(
        completed <= served && completed + estimated >= served,
        "served {served}, completed {completed}, estimated {estimated}"
    );
    let spent = number("SELECT SUM(cost)::bigint FROM requests");
    assert_eq!(nanos(&house.key(&id)["total_spend"]), spent);
    assert!(answered > 100);
}

#[test]
fn a_start_writes_a_large_backlog_before_it_takes_calls() {
    let (database, simulator) = (database(), Simulator::start());
    let proxy = DatabaseProxy::before(&database);
    let server = settings(proxy.url(), &simulator).start();
    let mut house = House {
        server,
        database,
        simulator,
    };
    let (_, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "500.00", "cycle": "daily" } }));
    let call = |house: &House| {
        house
            .caller(&key)
            .post("/v1/chat/completions", &chat("output_tokens=5"))
    };
    call(&house).expect_status(200);
    eventually("the writer has written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 1
    });
    proxy.arm("BEGIN", Fault::Hold);
    let load = Load {
        house: &house,
        key: &key,
        callers: 4,
        interval: Duration::ZERO,
    };
    let outcome = load.run_times(rounds(1_250, 25_000));
    proxy.wait_for_faults();
    assert_eq!(outcome.failed, [0; 0]);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM requests"), 1);
    house.server.kill();
    proxy.release(Release::Cut);
    let began = Instant::now();
    house.server.start_again();
    eprintln!(
        "ready {:?} after a start with a backlog of {} calls",
        began.elapsed(),
        outcome.answered
    );
    let rows = house
        .database
        .number("SELECT COUNT(*) FROM requests WHERE usage_source = 'provider'");
    assert_eq!(rows as u64, outcome.answered + 1);
    assert_eq!(house.simulator.ledger()["completed"], outcome.answered + 1);
    house.books_agree();
    call(&house).expect_status(200);
}

#[test]
fn a_stream_that_a_kill_cut_is_settled_by_what_was_served_so_far() {
    let mut house = House::new();
    let (_, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let mut call = chat_stream("output_tokens=3000 chunk_ms=1");
    call["max_tokens"] = 4000.into();
    let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call);
    for _ in 0..800 {
        stream.next_data();
    }
    house.server.kill();
    house.server.start_again();
    assert_eq!(
        house
            .database
            .number("SELECT COUNT(*) FROM requests WHERE usage_source = 'crash_estimate'"),
        1
    );
    let tokens = house.database.number("SELECT output_tokens FROM requests");
    // Progress is recorded each second or 512 tokens, whichever comes first.
    assert!((288..=900).contains(&tokens), "{tokens}");
    house.books_agree();
}

#[test]
fn an_answer_that_waits_for_the_disk_is_the_same_answer() {
    let mut house = House::with(|settings| settings.variable("CALDERA__JOURNAL__DURABILITY", "fsync"));
    let secret = house.server.client();
    for _ in 0..20 {
        secret
            .post("/v1/chat/completions", &chat("output_tokens=2"))
            .expect_status(200);
    }
    let data = EventStream::post(
        house.server.port,
        "/v1/chat/completions",
        secret_key(),
        &chat_stream("output_tokens=2"),
    )
    .all_data();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    house.server.kill();
    house.server.start_again();
    assert_eq!(
        house
            .database
            .number("SELECT COUNT(*) FROM requests WHERE usage_source = 'provider'"),
        21
    );
    house.books_agree();
}
