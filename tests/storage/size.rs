//! How long usage and pages of requests take among a million rows of a merchant; run by hand:
//! `cargo test --release --test suite a_million_requests -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use caldera::domain::cursor::Cursor;
use caldera::domain::ids::{CustomerId, MerchantId};
use caldera::engine::ports::BatchSink;
use caldera::storage::lease;
use caldera::storage::page::PageRequest;
use caldera::storage::requests::{self, RequestFilter};
use caldera::storage::usage::{self, UsagePeriod, last_ms_of_quarter};
use caldera::storage::writer::PgSink;
use diesel::prelude::*;
use serde_json::json;

use super::fixtures::{NOON_MS, Storage, Tenant, batch, bits};
use super::rollups::{Crowd, filters, request};

const ROWS: usize = 1_000_000;
const BATCH: usize = 1_000;
const DAY_MS: i64 = 86_400_000;
/// The rows are spread over sixty days.
const STEP_MS: i64 = 60 * DAY_MS / ROWS as i64;

#[test]
#[ignore = "a measurement"]
fn a_million_requests_are_summed_in_a_fifth_of_a_second_and_paged_in_a_fiftieth() {
    let mut storage = Storage::new();
    let (tenant, stranger) = (storage.tenant(), storage.tenant());
    let crowd = Crowd::new(&mut storage, tenant, [1_000, 5_000, 10]);
    // Those who bought early and never again are what makes a planner choose badly.
    let early = Crowd {
        keys: crowd.keys.clone(),
        customers: vec![CustomerId::from_bits(bits())],
        meters: crowd.meters.clone(),
    };
    // A third of it all is one customer's.
    let large = Crowd::new(&mut storage, tenant, [1, 1, 1]);
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let mut writing = Duration::ZERO;
    for first in (0..ROWS).step_by(BATCH) {
        let record = |number: usize| {
            let at_ms = NOON_MS + number as i64 * STEP_MS;
            let (owner, crowd) = match number / BATCH {
                0..50 if number.is_multiple_of(2) => (tenant, &early),
                50..100 if number.is_multiple_of(2) => (stranger, &crowd),
                _ if number.is_multiple_of(3) => (tenant, &large),
                _ => (tenant, &crowd),
            };
            request(owner, crowd, number, at_ms)
        };
        let records = batch((first..first + BATCH).map(record).collect());
        let started = Instant::now();
        sink.write(&records).unwrap();
        writing += started.elapsed();
    }
    println!(
        "{ROWS} rows written in {writing:.1?}: {} a second; {:.1?} of a processor in the database",
        ROWS as u128 * 1000 / writing.as_millis(),
        processor_time(&mut storage),
    );
    println!(
        "rows: {} requests, {} quarters; {} MB and {} MB with their indexes",
        storage.number("SELECT count(*) FROM requests"),
        storage.number("SELECT count(*) FROM usage_quarters"),
        storage.number("SELECT pg_total_relation_size('requests') >> 20"),
        storage.number("SELECT pg_total_relation_size('usage_quarters') >> 20"),
    );
    for state in ["before ANALYZE", "after ANALYZE"] {
        println!("{state}:");
        measure(&mut storage, tenant, stranger.merchant, &[&crowd, &early, &large]);
        diesel::sql_query("ANALYZE").execute(&mut storage.connection).unwrap();
    }
}

fn measure(storage: &mut Storage, tenant: Tenant, stranger: MerchantId, crowds: &[&Crowd]) {
    let (mut slowest_usage, mut slowest_page) = (Duration::ZERO, Duration::ZERO);
    let asked = crowds.iter().flat_map(|crowd| filters(crowd));
    for (filter, merchant) in asked
        .map(|filter| (filter, tenant.merchant))
        .chain([(RequestFilter::default(), stranger)])
    {
        let is_both = filter.spend_key_id.is_some() && (filter.customer_id.is_some() || filter.meter_id.is_some());
        let usage = slowest(&mut usage_times(storage, merchant, &filter));
        let page = slowest(&mut page_times(storage, merchant, &filter));
        println!("  usage {usage:>9.2?}, page {page:>9.2?}: {}", name(&filter));
        if !is_both {
            slowest_usage = slowest_usage.max(usage);
            slowest_page = slowest_page.max(page);
        }
    }
    let filter = RequestFilter {
        metadata: Some(json!({ "user": "u-7" })),
        ..RequestFilter::default()
    };
    let usage = slowest(&mut usage_times(storage, tenant.merchant, &filter));
    let page = slowest(&mut page_times(storage, tenant.merchant, &filter));
    println!("  usage {usage:>9.2?}, page {page:>9.2?}: a pair of metadata");
    assert!(slowest_usage < Duration::from_millis(200), "{slowest_usage:?}");
    assert!(slowest_page < Duration::from_millis(20), "{slowest_page:?}");
}

fn usage_times(storage: &mut Storage, merchant: MerchantId, filter: &RequestFilter) -> Vec<Duration> {
    let now_ms = NOON_MS + 60 * DAY_MS;
    let periods = [
        (NOON_MS - DAY_MS, last_ms_of_quarter(now_ms), 0),
        (NOON_MS + DAY_MS / 3, now_ms - 12_345, 20_700),
        (NOON_MS + 30 * DAY_MS + 1, now_ms - DAY_MS / 2, -34_200),
    ];
    let mut time = |(start_ms, end_ms, utc_offset_s)| {
        let period = UsagePeriod {
            start_ms,
            end_ms,
            utc_offset_s,
        };
        fastest(|| {
            usage::by_day(&mut storage.connection, merchant, period, filter).unwrap();
        })
    };
    periods.into_iter().map(&mut time).collect()
}

/// Pages of a hundred at the top, at every tenth of the time, and at the end.
fn page_times(storage: &mut Storage, merchant: MerchantId, filter: &RequestFilter) -> Vec<Duration> {
    let depth = |tenth: i64| {
        let at_ms = NOON_MS + (10 - tenth) * 6 * DAY_MS;
        let bits = caldera::domain::ids::compose(caldera::domain::ids::Mode::Live, at_ms, 0);
        (tenth > 0).then_some(Cursor(bits))
    };
    let mut time = |tenth| {
        let page = PageRequest {
            after: depth(tenth),
            limit: 100,
        };
        fastest(|| {
            requests::list(&mut storage.connection, merchant, filter, page).unwrap();
        })
    };
    (0..=10).map(&mut time).collect()
}

/// Of three times, so that what else the machine does is left out.
fn fastest(mut work: impl FnMut()) -> Duration {
    let mut time = || {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    [time(), time(), time()].into_iter().min().unwrap()
}

/// What the writer's process in the database has used.
pub fn processor_time(storage: &mut Storage) -> Duration {
    let writer = "SELECT min(pid) FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT'";
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", storage.number(writer))).unwrap_or_default();
    let ticks: u64 = stat
        .split(' ')
        .skip(13)
        .take(2)
        .filter_map(|text| text.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn slowest(times: &mut [Duration]) -> Duration {
    times.iter().copied().max().unwrap_or_default()
}

fn name(filter: &RequestFilter) -> String {
    let parts = [
        filter.spend_key_id.map(|_| "spend key"),
        filter.customer_id.map(|_| "customer"),
        filter.meter_id.map(|_| "meter"),
    ];
    let named: Vec<&str> = parts.into_iter().flatten().collect();
    if named.is_empty() {
        "all".to_owned()
    } else {
        named.join(" and ")
    }
}
