//! Nothing billable is lost: killed processes, stopped ones, a database that goes away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::house::{House, chat, chat_stream, nanos, settings};
use crate::support::postgres::OwnCluster;
use crate::support::server::{eventually, secret_key};
use crate::support::simulator::Simulator;
use crate::support::stream::EventStream;

/// Calls from four threads until told to stop; how many were answered in full.
fn load(house: &House, key: &str, stop: &AtomicBool) -> u64 {
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = house.caller(key);
                while !stop.load(Ordering::SeqCst) {
                    let sent = client.try_send(
                        "POST",
                        "/v1/chat/completions",
                        Some(chat("output_tokens=5").to_string().into_bytes()),
                    );
                    match sent {
                        Ok(answer) if answer.status == 200 => drop(answered.fetch_add(1, Ordering::SeqCst)),
                        Ok(_) | Err(_) => thread::sleep(Duration::from_millis(2)),
                    }
                }
            });
        }
    });
    answered.load(Ordering::SeqCst)
}

#[test]
fn killed_at_random_twenty_times_under_load_it_loses_nothing_and_counts_nothing_twice() {
    let mut house = House::new();
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "500.00", "cycle": "daily" } }));
    let mut answered = 0;
    for round in 0..20u64 {
        let stop = AtomicBool::new(false);
        answered += thread::scope(|scope| {
            let callers = scope.spawn(|| load(&house, &key, &stop));
            thread::sleep(Duration::from_millis(60 + (round * 37) % 180));
            crate::support::process::signal(house.server.process_id(), "KILL");
            stop.store(true, Ordering::SeqCst);
            callers.join().unwrap()
        });
        house.server.kill();
        house.server.start_again();
        house.books_agree();
    }
    let completed = house
        .database
        .number("SELECT COUNT(*) FROM requests WHERE status = 'completed'");
    assert!(
        completed as u64 >= answered,
        "{answered} were answered, {completed} rows"
    );
    let served = house.simulator.ledger()["completed"].as_i64().unwrap();
    let estimated = house
        .database
        .number("SELECT COUNT(*) FROM requests WHERE usage_source = 'crash_estimate'");
    assert!(
        completed <= served && completed + estimated >= served,
        "served {served}, completed {completed}, estimated {estimated}"
    );
    assert_eq!(
        nanos(&house.key(&id)["total_spend"]),
        house.database.number("SELECT SUM(cost)::bigint FROM requests")
    );
    assert!(answered > 100);
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
fn a_stop_lets_running_streams_end_refuses_new_calls_and_leaves_nothing_behind() {
    let mut house = House::new();
    let (_, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let mut running: Vec<_> = (0..50)
        .map(|_| {
            EventStream::post(
                house.server.port,
                "/v1/chat/completions",
                &key,
                &chat_stream("output_tokens=40 chunk_ms=20"),
            )
        })
        .collect();
    for stream in &mut running {
        stream.next_data();
    }
    house.server.begin_stop();
    eventually("new calls are refused", || {
        house.caller(&key).post("/v1/chat/completions", &chat("")).status == 503
    });
    let ended = running
        .into_iter()
        .filter_map(|mut stream| stream.all_data().pop())
        .filter(|last| last == "[DONE]")
        .count();
    assert_eq!(ended, 50);
    assert!(house.server.wait_for_exit().success());
    assert_eq!(
        house
            .database
            .number("SELECT COUNT(*) FROM requests WHERE usage_source = 'provider' AND output_tokens = 40"),
        50
    );
    house.books_agree();
}

#[test]
fn every_counter_is_the_same_before_and_after_a_restart() {
    let mut house = House::new();
    let limit = json!({ "amount": "5.00", "cycle": "weekly" });
    let (id, key) =
        house.mint(json!({ "name": "one", "spend_limit": limit, "request_limit": { "count": 50, "cycle": "daily" } }));
    for round in 1..=5 {
        for _ in 0..3 {
            house
                .caller(&key)
                .post("/v1/chat/completions", &chat(""))
                .expect_status(200);
        }
        let before = house.settled(&id);
        assert_eq!(before["current_requests"], round * 3);
        if round % 2 == 0 {
            house.server.kill()
        } else {
            assert!(house.server.stop().success())
        }
        house.server.start_again();
        assert_eq!(house.key(&id), before);
    }
}

#[test]
fn without_its_database_the_gateway_goes_on_management_says_so_and_the_backlog_drains() {
    let mut cluster = OwnCluster::start();
    let database = cluster.database("outage");
    let simulator = Simulator::start();
    let server = settings(&database.url, &simulator).start();
    let house = House {
        server,
        database,
        simulator,
    };
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "500.00", "cycle": "daily" } }));
    let outage = Duration::from_secs(if std::env::var_os("CALDERA_LONG_TESTS").is_some() {
        30
    } else {
        6
    });
    let (stop, failed) = (AtomicBool::new(false), AtomicU64::new(0));
    let answered = thread::scope(|scope| {
        let callers = scope.spawn(|| {
            let client = house.caller(&key);
            let mut answered = 0u64;
            while !stop.load(Ordering::SeqCst) {
                let status = client.post("/v1/chat/completions", &chat("output_tokens=5")).status;
                if status == 200 {
                    answered += 1
                } else {
                    failed.fetch_add(1, Ordering::SeqCst);
                }
                thread::sleep(Duration::from_millis(3));
            }
            answered
        });
        thread::sleep(Duration::from_millis(300));
        cluster.stop();
        let began = Instant::now();
        let refused = house.server.client().get("/v1/spend_keys");
        assert_eq!(
            (refused.status, refused.header("retry-after").is_some()),
            (503, true),
            "{}",
            refused.text()
        );
        thread::sleep(outage.saturating_sub(began.elapsed()));
        cluster.start_again();
        thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::SeqCst);
        callers.join().unwrap()
    });
    assert_eq!(failed.load(Ordering::SeqCst), 0);
    eventually("the backlog drains", || {
        house.server.client().get(&format!("/v1/spend_keys/{id}")).status == 200
            && house.database.number("SELECT COUNT(*) FROM requests") as u64 == answered
    });
    assert_eq!(house.simulator.ledger()["completed"], answered);
    house.books_agree();
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
fn another_pepper_stops_the_start() {
    let mut house = House::new();
    house.server.stop();
    std::fs::write(house.server.data_dir().join("pepper"), [7; 32]).unwrap();
    house.server.start_again_unready();
    assert!(!house.server.wait_for_exit().success());
    assert!(house.server.stderr().contains("pepper"), "{}", house.server.stderr());
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
