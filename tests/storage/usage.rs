//! Lists of requests and usage by day, with their filters.

use caldera::domain::money::Money;
use caldera::engine::ports::BatchSink;
use caldera::storage::lease;
use caldera::storage::page::PageRequest;
use caldera::storage::requests::{self, RequestFilter};
use caldera::storage::usage::{self, UsageFigures, UsagePeriod};
use caldera::storage::writer::PgSink;
use serde_json::json;

use super::fixtures::{NOON_MS, Storage, batch, settled};

const HOUR_MS: i64 = 3_600_000;

#[test]
fn days_are_those_of_the_callers_zone() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let lease = lease::acquire(&storage.database).unwrap();
    let at = |hours: i64| {
        let mut pair = settled(tenant, None, 10);
        pair.0.admitted_at_ms = NOON_MS + hours * HOUR_MS;
        pair
    };
    let records = vec![at(0), at(11), at(13), at(-13)];
    PgSink::new(storage.database.clone(), lease.epoch())
        .write(&batch(records))
        .unwrap();
    let mut days = |utc_offset_s: i32, from: i64, to: i64| {
        let (start_ms, end_ms) = (NOON_MS + from * HOUR_MS, NOON_MS + to * HOUR_MS);
        let period = UsagePeriod {
            start_ms,
            end_ms,
            utc_offset_s,
        };
        let report = usage::by_day(
            &mut storage.connection,
            tenant.merchant,
            period,
            &RequestFilter::default(),
        )
        .unwrap();
        let counts = report.days.iter().map(|day| day.figures.request_count);
        assert_eq!(counts.sum::<u64>(), report.totals.request_count);
        let days = report
            .days
            .iter()
            .map(|day| format!("{} {}", day.date, day.figures.request_count));
        (days.collect::<Vec<_>>().join(", "), report.totals)
    };
    assert_eq!(days(0, -48, 48).0, "2026-11-20 1, 2026-11-21 2, 2026-11-22 1");
    assert_eq!(days(2 * 3600, -48, 48).0, "2026-11-21 2, 2026-11-22 2");
    assert_eq!(days(-2 * 3600, -48, 48).0, "2026-11-20 1, 2026-11-21 3");
    let (shown, totals) = days(0, 0, 11);
    assert_eq!(shown, "2026-11-21 2");
    let expected = UsageFigures {
        request_count: 2,
        tokens: 70,
        cost: Money::from_nanos(20),
        charge: Money::ZERO,
    };
    assert_eq!(totals, expected);
    assert_eq!(days(0, 1, 2), (String::new(), UsageFigures::default()));
}

#[test]
fn filters_choose_by_key_and_by_every_pair_of_metadata() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let key = storage.spend_key(tenant).settings.id;
    let lease = lease::acquire(&storage.database).unwrap();
    let mut plain = settled(tenant, None, 1);
    plain.0.metadata = String::new();
    let records = vec![settled(tenant, Some(key), 1), settled(tenant, None, 1), plain];
    PgSink::new(storage.database.clone(), lease.epoch())
        .write(&batch(records))
        .unwrap();
    let everything = RequestFilter::default();
    let with = |metadata| RequestFilter {
        metadata: Some(metadata),
        ..RequestFilter::default()
    };
    let table = [
        (everything.clone(), 3),
        (
            RequestFilter {
                spend_key_id: Some(key),
                ..everything
            },
            1,
        ),
        (with(json!({"user_id": "u-1"})), 2),
        (with(json!({"user_id": "u-1", "team": "blue"})), 2),
        (with(json!({"user_id": "u-1", "team": "red"})), 0),
        (with(json!({})), 2),
        (
            RequestFilter {
                spend_key_id: Some(key),
                ..with(json!({"team": "blue"}))
            },
            1,
        ),
    ];
    let period = UsagePeriod {
        start_ms: 0,
        end_ms: 2 * NOON_MS,
        utc_offset_s: 0,
    };
    for (filter, count) in table {
        let page = PageRequest { after: None, limit: 10 };
        let listed = requests::list(&mut storage.connection, tenant.merchant, &filter, page).unwrap();
        assert_eq!(listed.rows.len(), count, "{filter:?}");
        assert!(listed.rows.is_sorted_by(|newer, older| newer.id > older.id));
        let report = usage::by_day(&mut storage.connection, tenant.merchant, period, &filter).unwrap();
        assert_eq!(report.totals.request_count, count as u64, "{filter:?}");
    }
}
