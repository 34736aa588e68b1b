//! The end of old requests: their sums stay, and the books, the usage and the ids that were used with them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use caldera::domain::request::{OpenRequest, Settlement};
use caldera::engine::ports::BatchSink;
use caldera::engine::retention::Age;
use caldera::storage::requests::RequestFilter;
use caldera::storage::retention::{RequestPurge, purge_requests, was_reported};
use caldera::storage::usage::{self, UsagePeriod, UsageReport, quarter_start_ms};
use caldera::storage::writer::PgSink;
use caldera::storage::{lease, proof};
use diesel::PgConnection;

use super::fixtures::{NOON_MS, Storage, Tenant, batch, settled};
use super::rollups::{Crowd, filters, request};

const DAY_MS: i64 = 86_400_000;

fn age(days: u32) -> Age {
    Age { now_ms: NOON_MS, days }
}

/// Batches of this size until one is not full; how many rows went.
fn purge(connection: &mut PgConnection, tenant: Tenant, days: u32, most: i64) -> u64 {
    let (mut rows, mut from) = (0, None);
    loop {
        let purge = RequestPurge {
            merchant: tenant.merchant,
            age: age(days),
            from,
            most,
        };
        let purged = purge_requests(connection, purge).unwrap();
        rows += purged.count;
        if purged.count < most.unsigned_abs() {
            return rows;
        }
        from = purged.until;
    }
}

fn assert_proved(storage: &mut Storage, tenant: Tenant) {
    for merchant in [None, Some(tenant.merchant)] {
        let sides = proof::read(&mut storage.connection, merchant).unwrap();
        let broken: Vec<_> = sides.iter().filter(|side| side.left != side.right).collect();
        assert!(broken.is_empty(), "{broken:?}");
    }
}

/// A record of each kind, three a day before noon; every seventh of a customer was reported.
fn record(tenant: Tenant, crowd: &Crowd, number: usize) -> (OpenRequest, Settlement) {
    let mut record = request(tenant, crowd, number, NOON_MS - number as i64 * DAY_MS / 3);
    if let Some(metered) = &mut record.0.metered
        && number.is_multiple_of(7)
    {
        metered.caller_id = format!("theirs {number}");
    }
    record.0.attempt_of = (number.is_multiple_of(11)).then_some(record.0.id);
    record
}

#[test]
fn what_is_purged_stays_in_the_books_and_in_the_usage() {
    let mut storage = Storage::new();
    let (tenant, stranger) = (storage.tenant(), storage.tenant());
    let crowd = Crowd::new(&mut storage, tenant, [3, 5, 2]);
    let theirs = Crowd::new(&mut storage, stranger, [1, 1, 1]);
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let mut records: Vec<_> = (0..300).map(|number| record(tenant, &crowd, number)).collect();
    records.extend((300..330).map(|number| record(stranger, &theirs, number)));
    sink.write(&batch(records)).unwrap();
    assert_proved(&mut storage, tenant);
    let ask = |storage: &mut Storage| -> Vec<UsageReport> {
        let period = UsagePeriod {
            start_ms: quarter_start_ms(NOON_MS - 200 * DAY_MS),
            end_ms: quarter_start_ms(NOON_MS + DAY_MS) - 1,
            utc_offset_s: 3600,
        };
        let kept = filters(&crowd).into_iter().filter(|filter: &RequestFilter| {
            filter.spend_key_id.is_none() || (filter.customer_id.is_none() && filter.meter_id.is_none())
        });
        kept.map(|filter| usage::by_day(&mut storage.connection, tenant.merchant, period, &filter).unwrap())
            .collect()
    };
    let before = ask(&mut storage);
    // Rows at noon of the fortieth day before are of that age, and stay.
    let old =
        "SELECT count(*) FROM requests WHERE admitted_at < '2026-11-21T12:00:00Z'::timestamptz - interval '40 days'";
    let own = storage.number(&format!(
        "{old} AND id IN (SELECT id FROM requests ORDER BY id DESC LIMIT 300)"
    ));
    assert_eq!(own, 179);
    assert_eq!(purge(&mut storage.connection, tenant, 40, 50), 179);
    assert_proved(&mut storage, tenant);
    assert_eq!(storage.number("SELECT count(*) FROM requests"), 330 - 179);
    assert_eq!(ask(&mut storage), before);
    assert_eq!(purge(&mut storage.connection, tenant, 40, 50), 0);
    assert!(was_reported(&mut storage.connection, tenant.merchant, "theirs 210").unwrap());
    for (merchant, id) in [(tenant, "theirs 7"), (stranger, "theirs 210"), (tenant, "")] {
        assert!(
            !was_reported(&mut storage.connection, merchant.merchant, id).unwrap(),
            "{id}"
        );
    }
    assert_eq!(purge(&mut storage.connection, stranger, 40, 7), 30);
    assert_eq!(purge(&mut storage.connection, tenant, 0, 1000), 120);
    assert_proved(&mut storage, tenant);
    assert_eq!(ask(&mut storage), before);
    // What comes later is counted as ever.
    sink.write(&batch(vec![settled(tenant, Some(crowd.keys[0]), 12)]))
        .unwrap();
    assert_proved(&mut storage, tenant);
}

#[test]
fn rows_whose_sums_cannot_be_kept_stay() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let key = storage.spend_key(tenant).settings.id;
    let lease = lease::acquire(&storage.database).unwrap();
    let mut old = settled(tenant, Some(key), 12);
    old.0.admitted_at_ms -= 100 * DAY_MS;
    PgSink::new(storage.database.clone(), lease.epoch())
        .write(&batch(vec![old]))
        .unwrap();
    let full = format!(
        "INSERT INTO purged_requests VALUES ('{}', '{}', 1, 1, 0, 9223372036854775807, 0, 0, 0, 0)",
        tenant.merchant.uuid(),
        key.uuid()
    );
    diesel::RunQueryDsl::execute(diesel::sql_query(full), &mut storage.connection).unwrap();
    let purge = RequestPurge {
        merchant: tenant.merchant,
        age: age(40),
        from: None,
        most: 10,
    };
    assert!(purge_requests(&mut storage.connection, purge).is_err());
    assert_eq!(storage.number("SELECT count(*) FROM requests"), 1);
}

#[test]
fn a_clock_that_has_run_ahead_purges_nothing_before_its_time() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let lease = lease::acquire(&storage.database).unwrap();
    let mut young = settled(tenant, None, 12);
    young.0.admitted_at_ms = storage.number("SELECT extract(epoch FROM now()) * 1000") - DAY_MS;
    PgSink::new(storage.database.clone(), lease.epoch())
        .write(&batch(vec![young]))
        .unwrap();
    let purge = RequestPurge {
        merchant: tenant.merchant,
        age: Age {
            now_ms: i64::from(i32::MAX) * 2_000,
            days: 40,
        },
        from: None,
        most: 10,
    };
    assert_eq!(purge_requests(&mut storage.connection, purge).unwrap().count, 0);
}

#[test]
fn entries_of_the_audit_log_go_by_their_age_where_there_is_such_a_log() {
    use caldera::storage::retention::purge_audit;
    let mut storage = Storage::new();
    if storage.number("SELECT (to_regclass('audit_events') IS NULL)::int") == 1 {
        assert_eq!(purge_audit(&mut storage.connection, age(1), 10).unwrap(), 0);
        let made = "CREATE TABLE audit_events (id UUID PRIMARY KEY, merchant_id UUID, actor_kind TEXT, actor TEXT, \
            action TEXT, at TIMESTAMPTZ NOT NULL)";
        diesel::RunQueryDsl::execute(diesel::sql_query(made), &mut storage.connection).unwrap();
    }
    let tenant = storage.tenant();
    let entries = format!(
        "INSERT INTO audit_events (id, merchant_id, actor_kind, actor, action, at) \
         SELECT gen_random_uuid(), '{}', 'operator', 'x', 'keys.create', \
         '2026-11-21T12:00:00Z'::timestamptz - d * interval '1 day' FROM generate_series(0, 49) AS d",
        tenant.merchant.uuid()
    );
    diesel::RunQueryDsl::execute(diesel::sql_query(entries), &mut storage.connection).unwrap();
    for gone in [6, 3, 0] {
        assert_eq!(purge_audit(&mut storage.connection, age(40), 6).unwrap(), gone);
    }
    assert_eq!(storage.number("SELECT count(*) FROM audit_events"), 41);
}

#[test]
#[ignore = "a measurement"]
fn the_writer_beside_a_purge() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let crowd = Crowd::new(&mut storage, tenant, [1_000, 1_000, 10]);
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let mut write = |first: usize, count: usize, at_ms: i64| {
        let batches: Vec<_> = (first..first + count)
            .step_by(1_000)
            .map(|first| {
                batch(
                    (first..first + 1_000)
                        .map(|number| request(tenant, &crowd, number, at_ms))
                        .collect(),
                )
            })
            .collect();
        let began = Instant::now();
        for batch in &batches {
            sink.write(batch).unwrap();
        }
        count as u128 * 1_000 / began.elapsed().as_millis().max(1)
    };
    let old = write(0, 300_000, NOON_MS - 100 * DAY_MS);
    println!("alone: {old} rows a second, then {}", write(300_000, 100_000, NOON_MS));
    for (place, rests) in [2, 0].into_iter().enumerate() {
        let stop = AtomicBool::new(false);
        let database = storage.database.clone();
        let (purged, beside) = std::thread::scope(|scope| {
            let purger = scope.spawn(|| paced(&mut database.connect_alone().unwrap(), tenant, rests, &stop));
            let beside = write(400_000 + place * 100_000, 100_000, NOON_MS);
            stop.store(true, Ordering::SeqCst);
            (purger.join().unwrap(), beside)
        });
        println!("with {rests} rests: {beside} written a second, {purged} purged a second");
    }
    assert_proved(&mut storage, tenant);
}

/// Purges as `app::purge` does, until it is told to stop or nothing is left; rows a second.
fn paced(connection: &mut PgConnection, tenant: Tenant, rests: u32, stop: &AtomicBool) -> u128 {
    let (began, mut rows, mut from) = (Instant::now(), 0, None);
    while !stop.load(Ordering::SeqCst) {
        let step = Instant::now();
        let purge = RequestPurge {
            merchant: tenant.merchant,
            age: age(40),
            from,
            most: 500,
        };
        let purged = purge_requests(connection, purge).unwrap();
        rows += u128::from(purged.count);
        if purged.count == 0 {
            println!("nothing is left");
            break;
        }
        from = purged.until;
        std::thread::sleep((step.elapsed() * rests).max(Duration::from_millis(10)));
    }
    rows * 1_000 / began.elapsed().as_millis().max(1)
}
