//! Reports of one request, many at once and over kills: it is charged once for ever.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{SLUG, Shop, meter};
use crate::durability::load::rounds;
use crate::support::process::signal;

const TWINS: usize = 50;

/// Sends so many twins at once; what came of them by status, zero where there was no answer.
fn twins(shop: &Shop, body: &Value) -> (BTreeMap<u16, usize>, Vec<Value>) {
    let send = || {
        let body = body.to_string().into_bytes();
        shop.house.server.client().try_send("POST", "/v1/requests", Some(body))
    };
    let answers: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..TWINS).map(|_| scope.spawn(send)).collect();
        running.into_iter().map(|twin| twin.join().unwrap()).collect()
    });
    let (mut statuses, mut shown) = (BTreeMap::new(), Vec::new());
    for answer in answers {
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        *statuses.entry(status).or_default() += 1;
        if matches!(status, 200 | 201) {
            shown.push(answer.unwrap().json());
        }
    }
    (statuses, shown)
}

fn report(name: &str) -> Value {
    json!({ "request_id": name, "customer_id": "jane", "meter_slug": SLUG, "input_tokens": 700 })
}

#[test]
fn of_fifty_twins_one_is_charged_and_all_are_shown_it() {
    let shop = Shop::new(meter("fixed", "tokens_1m", &[(0, "2")]), "1.00");
    for round in 1..=10 {
        let (statuses, shown) = twins(&shop, &report(&format!("r{round}")));
        assert_eq!(statuses, BTreeMap::from([(200, TWINS - 1), (201, 1)]));
        assert!(shown.iter().all(|twin| *twin == shown[0]));
        assert_eq!(shop.credit(), 1_000_000_000 - round * 1_400_000);
    }
    shop.check_books();
}

#[test]
fn twins_that_a_kill_meets_are_charged_once_when_they_come_again() {
    let mut shop = Shop::new(meter("fixed", "tokens_1m", &[(0, "2")]), "1.00");
    let count = rounds(10, 100);
    let mut cut = 0;
    for round in 0..count {
        let body = report(&format!("r{round}"));
        let process = shop.house.server.process_id();
        let (statuses, before) = thread::scope(|scope| {
            let running = scope.spawn(|| twins(&shop, &body));
            thread::sleep(Duration::from_millis((round * 7) % 45));
            signal(process, "KILL");
            running.join().unwrap()
        });
        cut += statuses.get(&0).copied().unwrap_or(0);
        shop.house.server.kill();
        shop.house.server.start_again();
        let (statuses, after) = twins(&shop, &body);
        assert_eq!(statuses.values().sum::<usize>(), after.len(), "{statuses:?}");
        assert!(
            statuses.get(&201).is_none_or(|made| *made == 1 && before.is_empty()),
            "{statuses:?}"
        );
        assert!(before.iter().chain(&after).all(|twin| *twin == after[0]));
        assert_eq!(shop.number("SELECT COUNT(*) FROM requests"), round as i64 + 1);
        assert_eq!(shop.credit(), 1_000_000_000 - (round as i64 + 1) * 1_400_000);
    }
    eprintln!("{count} kills cut {cut} of {} reports", count as usize * TWINS);
    assert!(cut > 0);
    shop.check_books();
}
