//! Killed processes while customers are billed in line: each answer is charged once, an open call by its forecast, and
//! what is shown after a start is what the rows say.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{Shop, meter};
use crate::durability::load::{Load, rounds};
use crate::support::house::{House, chat_stream};
use crate::support::process::signal;
use crate::support::server::eventually;
use crate::support::stream::EventStream;

/// A hundred dollars a million.
const RATE_NANOS: i64 = 100_000;

#[test]
fn killed_at_random_under_load_it_charges_every_answer_once_and_loses_none() {
    let mut shop = Shop::new(meter("fixed", "tokens_1m", &[(0, "100")]), "50.00");
    let token = shop.token();
    let mut answered = 0;
    for round in 0..rounds(12, 120) {
        let stop = AtomicBool::new(false);
        let load = Load {
            house: &shop.house,
            key: &token,
            callers: 4,
            interval: Duration::ZERO,
        };
        answered += thread::scope(|scope| {
            let callers = scope.spawn(|| load.run(&stop).answered);
            thread::sleep(Duration::from_millis(60 + (round * 37) % 180));
            signal(shop.house.server.process_id(), "KILL");
            stop.store(true, Ordering::SeqCst);
            callers.join().unwrap()
        });
        shop.house.server.kill();
        shop.house.server.start_again();
        shop.check_books();
    }
    let rows = |what: &str| shop.number(&format!("SELECT COUNT(*) FROM requests WHERE {what}"));
    let (completed, estimated) = (rows("status = 'completed'"), rows("usage_source = 'crash_estimate'"));
    let served = shop.house.simulator.ledger()["completed"].as_i64().unwrap();
    eprintln!("kills: {answered} answered, {completed} completed, {estimated} estimated, {served} served");
    assert!(answered > 50 && completed as u64 >= answered);
    assert!(completed <= served && completed + estimated >= served);
    let (tokens, quantity) = ("input_tokens + output_tokens", "(charge_detail->>'quantity')::bigint");
    assert_eq!(rows(&format!("charge IS DISTINCT FROM {quantity} * {RATE_NANOS}")), 0);
    // The row of a call that was open says what is known to have come out; what went in is only in its charge.
    let exact = rows(&format!("usage_source = 'provider' AND {quantity} = {tokens}"));
    let above = rows(&format!("usage_source = 'crash_estimate' AND {quantity} > {tokens}"));
    assert_eq!((exact, above), (completed, estimated));
}

#[test]
fn a_stream_that_a_kill_cut_is_charged_for_what_was_served_so_far_on_every_kind_of_meter() {
    let quantity = "(charge_detail->>'quantity')::bigint";
    let table = [
        (
            meter("fixed", "tokens_1m", &[(0, "100")]),
            format!("{quantity} * 100000"),
        ),
        // Far below the next tier, whose price is another.
        (
            meter("fixed", "tokens_1m", &[(0, "100"), (50_000, "10")]),
            format!("{quantity} * 100000"),
        ),
        (
            meter("percentage", "tokens_1m", &[(0, "110")]),
            "(cost * 110 + 50) / 100".to_owned(),
        ),
        (meter("fixed", "requests", &[(0, "0.25")]), "250000000".to_owned()),
    ];
    for (meter, expected) in table {
        let mut shop = Shop::new(meter.clone(), "1.00");
        let mut call = chat_stream("output_tokens=3000 chunk_ms=1");
        call["max_tokens"] = 4000.into();
        let mut stream = EventStream::post(shop.house.server.port, "/v1/chat/completions", &shop.token(), &call);
        for _ in 0..800 {
            stream.next_data();
        }
        shop.house.server.kill();
        shop.house.server.start_again();
        assert_eq!(
            shop.number("SELECT COUNT(*) FROM requests WHERE usage_source = 'crash_estimate'"),
            1
        );
        let off = shop.number(&format!("SELECT abs(charge - ({expected}))::bigint FROM requests"));
        let charge = shop.charged();
        // Of two roundings one may differ.
        assert!(off <= 1 && charge > 0, "{meter}: charged {charge}, {off} off");
        assert_eq!(shop.credit(), 1_000_000_000 - charge);
        shop.house.books_agree();
        assert_eq!(shop.house.proof()["holds"], true);
    }
}

#[test]
fn a_stop_in_the_middle_of_streams_charges_each_of_them_once() {
    let house = House::with(|settings| settings.variable("CALDERA__SERVER__DRAIN_TIMEOUT_S", 1));
    let mut shop = Shop::in_house(house, meter("fixed", "tokens_1m", &[(0, "100")]), "50.00");
    let mut call = chat_stream("output_tokens=5000 chunk_ms=2");
    call["max_tokens"] = 6000.into();
    let mut streams: Vec<_> = (0..20)
        .map(|_| EventStream::post(shop.house.server.port, "/v1/chat/completions", &shop.token(), &call))
        .collect();
    for stream in &mut streams {
        stream.next_data();
    }
    shop.house.server.stop();
    shop.house.server.start_again();
    assert_eq!(shop.number("SELECT COUNT(*) FROM requests"), 20);
    let wrong = format!("SELECT COUNT(*) FROM requests WHERE charge <> (input_tokens + output_tokens) * {RATE_NANOS}");
    assert_eq!(shop.number(&wrong), 0);
    eventually("all are charged", || shop.charged() > 0);
    shop.check_books();
}
