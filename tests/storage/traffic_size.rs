//! How long the figures of the overview take among a million requests of ten thousand keys; run by hand:
//! `cargo test --release --test suite figures_of_a_million -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use caldera::domain::ids::{Mode, RequestId, compose};
use caldera::engine::ports::BatchSink;
use caldera::storage::lease;
use caldera::storage::traffic::{self, Step, TrafficPeriod};
use caldera::storage::writer::PgSink;
use chrono::DateTime;
use diesel::RunQueryDsl as _;

use super::fixtures::{NOON_MS, Storage, batch, settled};

const ROWS: usize = 1_000_000;
const BATCH: usize = 1_000;
const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 60;

#[test]
#[ignore = "a measurement"]
fn the_figures_of_a_million_requests_of_ten_thousand_keys_take_a_tenth_of_a_second() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let keys: Vec<_> = (0..10_000).map(|_| storage.spend_key(tenant).settings.id).collect();
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let mut writing = Duration::ZERO;
    for first in (0..ROWS).step_by(BATCH) {
        let record = |number: usize| {
            let at_ms = NOON_MS + number as i64 * DAYS * DAY_MS / ROWS as i64;
            // Every key is used as much as every other, which makes the most rows.
            let key = keys[number.wrapping_mul(2_654_435_761) % keys.len()];
            let (mut open, mut settlement) = settled(tenant, Some(key), 1 + number as i64 % 100);
            let id = RequestId::from_bits(compose(Mode::Live, at_ms, (number as u128) << 1));
            (open.id, settlement.id, open.admitted_at_ms) = (id, id, at_ms);
            open.model = Some(format!("model-{}", number % 20));
            settlement.finished_at_ms = at_ms + number as i64 * 7919 % 30_000;
            settlement.first_token_ms = Some((number * 7919 % 3_000) as u32);
            (open, settlement)
        };
        let records = batch((first..first + BATCH).map(record).collect());
        let started = Instant::now();
        sink.write(&records).unwrap();
        writing += started.elapsed();
    }
    println!(
        "{ROWS} rows written: {} a second",
        ROWS as u128 * 1000 / writing.as_millis()
    );
    for table in [
        "requests",
        "usage_quarters",
        "traffic_hours",
        "traffic_key_days",
        "traffic_key_weeks",
    ] {
        println!(
            "{table}: {} rows, {} MB",
            storage.number(&format!("SELECT count(*) FROM {table}")),
            storage.number(&format!("SELECT pg_total_relation_size('{table}') >> 20")),
        );
    }
    for state in ["before ANALYZE", "after ANALYZE"] {
        println!("{state}:");
        for days in [1, 2, 7, 30, 60] {
            measure(&mut storage, tenant.merchant, days);
        }
        diesel::sql_query("ANALYZE").execute(&mut storage.connection).unwrap();
    }
}

fn measure(storage: &mut Storage, merchant: caldera::domain::ids::MerchantId, days: i64) {
    let last = DateTime::from_timestamp_millis(NOON_MS + (DAYS - 1) * DAY_MS)
        .unwrap()
        .date_naive();
    let first = last - chrono::Duration::days(days - 1);
    let period = TrafficPeriod { first, last };
    let step = if days <= 2 { Step::Hour } else { Step::Day };
    let connection = &mut storage.connection;
    let parts = fastest(|| drop(traffic::parts(connection, merchant, period, step).unwrap()));
    let before = fastest(|| {
        traffic::totals(connection, merchant, period.before().unwrap()).unwrap();
    });
    let timings = fastest(|| drop(traffic::timings(connection, merchant, period).unwrap()));
    let keys = fastest(|| drop(traffic::top_keys(connection, merchant, period, 10).unwrap()));
    let ids: Vec<_> = traffic::top_keys(connection, merchant, period, 10).unwrap().keys;
    let ids: Vec<_> = ids.iter().map(|key| key.spend_key_id).collect();
    let series = fastest(|| drop(traffic::key_series(connection, merchant, period, (&ids, step)).unwrap()));
    println!(
        "  {days:>2} days: parts {parts:>8.2?}, before {before:>8.2?}, timings {timings:>8.2?}, keys {keys:>8.2?}, \
         series of keys {series:>8.2?}; {:.1?} in all",
        parts + before + timings + keys + series
    );
}

fn fastest(mut work: impl FnMut()) -> Duration {
    let mut time = || {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    [time(), time(), time()].into_iter().min().unwrap()
}
