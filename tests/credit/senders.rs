//! Reports of several senders at once, shuffled and with duplicates, as queues that deliver at least once send them: each
//! request counts once.

use std::collections::BTreeMap;
use std::thread;

use serde_json::json;

use super::{SLUG, Shop, meter};
use crate::durability::load::rounds;
use crate::support::crowd::Seeded;

const SENDERS: usize = 3;
/// Connections of each sender.
const CONNECTIONS: usize = 6;

/// Each request at least once and three of ten once more, in any order.
fn deliveries(requests: u64) -> Vec<u64> {
    let mut random = Seeded(19);
    let mut all: Vec<u64> = (0..requests).collect();
    all.extend((0..requests * 3 / 10).map(|_| random.below(requests)));
    for place in (1..all.len()).rev() {
        all.swap(place, random.below(place as u64 + 1) as usize);
    }
    all
}

fn tokens(request: u64) -> u64 {
    1 + request * 7 % 997
}

#[test]
fn what_three_senders_deliver_with_duplicates_counts_exactly() {
    let requests = rounds(2_000, 100_000);
    let shop = Shop::new(meter("fixed", "tokens_1m", &[(0, "2")]), "1000.00");
    let all = deliveries(requests);
    let share = all.len().div_ceil(SENDERS * CONNECTIONS);
    let send = |part: &[u64]| {
        let client = shop.house.server.client();
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        for request in part {
            let body = json!({
                "request_id": format!("event-{request}"), "customer_id": "jane", "meter_slug": SLUG,
                "input_tokens": tokens(*request),
            });
            *statuses.entry(client.post("/v1/requests", &body).status).or_default() += 1;
        }
        statuses
    };
    let statuses = thread::scope(|scope| {
        let running: Vec<_> = all.chunks(share).map(|part| scope.spawn(|| send(part))).collect();
        let mut sum: BTreeMap<u16, usize> = BTreeMap::new();
        for (status, count) in running.into_iter().flat_map(|sender| sender.join().unwrap()) {
            *sum.entry(status).or_default() += count;
        }
        sum
    });
    let made = requests as usize;
    assert_eq!(statuses, BTreeMap::from([(200, all.len() - made), (201, made)]));
    let used: u64 = (0..requests).map(tokens).sum();
    assert_eq!(shop.number("SELECT count(*) FROM requests"), requests as i64);
    assert_eq!(
        shop.number("SELECT sum(input_tokens)::bigint FROM requests"),
        used as i64
    );
    assert_eq!(shop.credit(), 1_000_000_000_000 - used as i64 * 2_000);
    shop.house.books_agree();
}
