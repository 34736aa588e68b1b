//! A stop: running streams end, new calls are refused, and Postgres has everything when the process is gone.

use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::support::house::{House, chat, chat_stream, settings};
use crate::support::postgres::OwnCluster;
use crate::support::server::eventually;
use crate::support::simulator::Simulator;
use crate::support::stream::EventStream;

const STREAMS: usize = 500;
/// Threads that open them.
const OPENERS: usize = 5;

#[test]
fn a_stop_lets_five_hundred_streams_end_refuses_new_calls_and_leaves_nothing_behind() {
    let mut house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "500.00", "cycle": "daily" } }));
    let began = Instant::now();
    let running = open_streams(&house, &key);
    let opened = began.elapsed();
    assert_eq!(
        house.simulator.ledger()["open"],
        STREAMS,
        "not all of them are open at once"
    );
    house.server.begin_stop();
    let mut admitted_late = 0;
    eventually("new calls are refused", || {
        let status = house.caller(&key).post("/v1/chat/completions", &chat("")).status;
        admitted_late += usize::from(status == 200);
        status == 503
    });
    assert_eq!(
        house.simulator.ledger()["open"],
        STREAMS,
        "not all of them are open yet"
    );
    let ended = running
        .into_iter()
        .filter_map(|mut stream| stream.all_data().pop())
        .filter(|last| last == "[DONE]")
        .count();
    assert_eq!(ended, STREAMS);
    let last = Instant::now();
    assert!(house.server.wait_for_exit().success());
    eprintln!(
        "{STREAMS} streams opened in {opened:?}; gone {:?} after the last had ended",
        last.elapsed()
    );
    let number = |query: &str| house.database.number(query) as usize;
    assert_eq!(number("SELECT COUNT(*) FROM requests"), STREAMS + admitted_late);
    assert_eq!(
        number("SELECT COUNT(*) FROM requests WHERE usage_source = 'provider' AND output_tokens = 25"),
        STREAMS
    );
    house.books_agree();
    house.server.start_again();
    assert_eq!(house.key(&id)["total_requests"], STREAMS + admitted_late);
}

/// Streams of six seconds, each read up to its first event.
fn open_streams(house: &House, key: &str) -> Vec<EventStream> {
    let body = chat_stream("output_tokens=25 chunk_ms=250");
    let open = || {
        let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", key, &body);
        stream.next_data();
        stream
    };
    thread::scope(|scope| {
        let openers: Vec<_> = (0..OPENERS)
            .map(|_| scope.spawn(|| (0..STREAMS / OPENERS).map(|_| open()).collect::<Vec<_>>()))
            .collect();
        openers.into_iter().flat_map(|opener| opener.join().unwrap()).collect()
    })
}

#[derive(Clone, Copy)]
enum Away {
    Stopped,
    Frozen,
}

#[test]
fn a_stop_whose_database_is_gone_leaves_the_rest_to_the_next_start() {
    stops_without(Away::Stopped);
}

#[test]
fn a_stop_whose_database_is_frozen_leaves_the_rest_to_the_next_start() {
    stops_without(Away::Frozen);
}

fn stops_without(away: Away) {
    let mut cluster = OwnCluster::start();
    let database = cluster.database("away");
    let simulator = Simulator::start();
    let server = settings(&database.url, &simulator).variable("CALDERA__SERVER__FLUSH_TIMEOUT_S", 1);
    let mut house = House {
        server: server.start(),
        database,
        simulator,
    };
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    match away {
        Away::Stopped => cluster.stop(),
        Away::Frozen => cluster.pause(),
    }
    for _ in 0..20 {
        let call = chat("output_tokens=5");
        house
            .caller(&key)
            .post("/v1/chat/completions", &call)
            .expect_status(200);
    }
    assert!(house.server.stop().success());
    match away {
        Away::Stopped => cluster.start_again(),
        Away::Frozen => cluster.resume(),
    }
    house.server.start_again();
    assert_eq!(
        house
            .database
            .number("SELECT COUNT(*) FROM requests WHERE usage_source = 'provider'"),
        20
    );
    assert_eq!(house.key(&id)["total_requests"], 20);
    house.books_agree();
}
