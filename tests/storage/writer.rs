//! The billing writer: what it writes, and what it must not.

use caldera::domain::ids::{CustomerId, MovementId, SpendKeyId, WalletId};
use caldera::domain::money::Money;
use caldera::domain::request::{AccountRef, Movement, MovementKind, ProviderKeyType};
use caldera::domain::usage::Usage;
use caldera::engine::ports::{Batch, BatchSink, LaneMark, SinkError};
use caldera::storage::lease;
use caldera::storage::writer::PgSink;
use caldera::storage::{proof, replica, requests, spend_keys, wallets};
use diesel::prelude::*;

use super::fixtures::{NOON_MS, Storage, Tenant, batch, bits, settled};
use super::rollups::{Crowd, request};

fn sink(storage: &Storage) -> (lease::Lease, PgSink) {
    let lease = lease::acquire(&storage.database).unwrap();
    let sink = PgSink::new(storage.database.clone(), lease.epoch());
    (lease, sink)
}

fn movement(tenant: Tenant, account: AccountRef, nanos: i64) -> Movement {
    Movement {
        id: MovementId::from_bits(bits()),
        merchant_id: tenant.merchant,
        account,
        kind: MovementKind::Funding,
        amount: Money::from_nanos(nanos),
        quantity: 0,
        at_ms: NOON_MS + 9_000,
        note: "by \0 hand".to_owned(),
    }
}

fn balance(storage: &mut Storage, tenant: Tenant) -> i64 {
    wallets::find(&mut storage.connection, tenant.merchant, tenant.wallet)
        .unwrap()
        .account
        .balance
        .nanos()
}

#[test]
fn the_same_batch_twice_moves_nothing_twice() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let key = storage.spend_key(tenant).settings.id;
    let (_lease, mut sink) = sink(&storage);
    let mut first = batch((0..10).map(|_| settled(tenant, Some(key), 7)).collect());
    first.settled.push(first.settled[0].clone());
    first
        .movements
        .push(movement(tenant, AccountRef::Wallet(tenant.wallet), 1_000));
    first.movements.push(movement(
        tenant,
        AccountRef::CycleCredit(CustomerId::from_bits(bits())),
        5,
    ));
    let mut second = first.clone();
    second.settled.push(settled(tenant, Some(key), 30));
    for batch in [&first, &first, &second, &second, &first] {
        sink.write(batch).unwrap();
    }
    assert_eq!(balance(&mut storage, tenant), 900);
    let counters = spend_keys::find_counters(&mut storage.connection, key).unwrap();
    for (_, spent, requests) in counters.windows {
        assert_eq!((spent, requests), (Money::from_nanos(100), 11));
    }
    assert_eq!(counters.last_used_ms, Some(NOON_MS));
    assert_eq!(storage.number("SELECT count(*) FROM requests"), 11);
    assert_eq!(storage.number("SELECT count(*) FROM movements"), 2);
    assert_eq!(storage.number("SELECT count(*) FROM billing_batches"), 2);
    assert_eq!(storage.number("SELECT sum(amount) FROM ledger_entries"), 0);
    assert_eq!(
        storage.number("SELECT sum(amount) FROM ledger_entries WHERE account_kind = 'wallet'"),
        900
    );
    assert_eq!(
        replica::load(&mut storage.connection).unwrap().latest_instant_ms,
        NOON_MS + 9_000
    );
}

#[test]
fn what_was_written_is_read_back() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let (_lease, mut sink) = sink(&storage);
    let (mut open, mut settlement) = settled(tenant, None, 12);
    open.model = None;
    open.provider = "nul\0".to_owned();
    open.metadata = r#"{"a":"\u0000"}"#.to_owned();
    settlement.response_id = String::new();
    settlement.http_status = 502;
    sink.write(&batch(vec![(open.clone(), settlement.clone())])).unwrap();
    let row = requests::find(&mut storage.connection, tenant.merchant, open.id).unwrap();
    assert_eq!(
        (row.id, row.wallet_id, row.spend_key_id),
        (open.id, tenant.wallet, None)
    );
    assert_eq!(
        (row.model, row.response_id, row.provider.as_str()),
        (None, None, "nul\u{fffd}")
    );
    assert_eq!(row.metadata, Some(serde_json::json!({"a": "\u{fffd}"})));
    assert_eq!(
        (row.outcome, row.usage_source, row.http_status),
        (settlement.outcome, settlement.usage_source, 502)
    );
    assert_eq!(
        (row.usage, row.cost, row.output_cost),
        (settlement.usage, settlement.cost, settlement.output_cost)
    );
    assert_eq!(
        (row.admitted_at_ms, row.finished_at_ms),
        (open.admitted_at_ms, settlement.finished_at_ms)
    );
    assert!(row.streaming && !row.simulated);
}

#[test]
fn a_later_window_replaces_and_an_earlier_one_is_ignored() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let key = storage.spend_key(tenant).settings.id;
    let (_lease, mut sink) = sink(&storage);
    let on_day = |day: i64, nanos: i64| {
        let mut pair = settled(tenant, Some(key), nanos);
        pair.0.admission.day_start += 86_400 * day;
        pair
    };
    let day = |storage: &mut Storage| {
        let counters = spend_keys::find_counters(&mut storage.connection, key).unwrap();
        let (start, spent, requests) = counters.windows[0];
        (
            start - 1_795_219_200,
            spent.nanos(),
            requests,
            counters.windows[3].1.nanos(),
        )
    };
    let table = [
        (vec![on_day(0, 1), on_day(1, 10), on_day(0, 100)], (86_400, 10, 1, 111)),
        (vec![on_day(0, 1_000), on_day(1, 20)], (86_400, 30, 2, 1_131)),
        (vec![on_day(0, 5)], (86_400, 30, 2, 1_136)),
        (vec![on_day(1, 5), on_day(2, 0)], (172_800, 0, 1, 1_141)),
    ];
    for (records, expected) in table {
        sink.write(&batch(records)).unwrap();
        assert_eq!(day(&mut storage), expected);
    }
}

#[test]
fn a_call_with_the_callers_own_credential_costs_the_wallet_nothing() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let key = storage.spend_key(tenant).settings.id;
    let (_lease, mut sink) = sink(&storage);
    let mut pair = settled(tenant, Some(key), 50);
    pair.0.provider_key_type = ProviderKeyType::Unmanaged;
    sink.write(&batch(vec![pair])).unwrap();
    assert_eq!(balance(&mut storage, tenant), 0);
    assert_eq!(
        spend_keys::find_counters(&mut storage.connection, key).unwrap().windows[3]
            .1
            .nanos(),
        50
    );
}

#[test]
fn eight_writers_never_wait_for_each_other_in_a_circle() {
    const WRITERS: usize = 8;
    const BATCHES: usize = 12;
    let mut storage = Storage::new();
    let tenants: Vec<Tenant> = (0..20).map(|_| storage.tenant()).collect();
    let crowds: Vec<(Tenant, Crowd)> = tenants
        .into_iter()
        .map(|tenant| (tenant, Crowd::new(&mut storage, tenant, [10, 6, 3])))
        .collect();
    let lease = lease::acquire(&storage.database).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
            let crowds = &crowds;
            scope.spawn(move || {
                for round in 0..BATCHES {
                    // Another order in each writer and round, over two quarters of an hour.
                    let step = [1, 3, 7, 9, 11, 13, 17, 19][(writer + round) % 8];
                    let records = (0..200)
                        .map(|place| {
                            let place = (place * step + writer) % 200;
                            let (tenant, crowd) = &crowds[place % 20];
                            let number = (writer * BATCHES + round) * 200 + place / 20;
                            let at_ms = NOON_MS + (place as i64 % 7) * 200_000 + place as i64;
                            request(*tenant, crowd, number, at_ms)
                        })
                        .collect();
                    let marks = vec![
                        LaneMark { lane: 1, sequence: 5 },
                        LaneMark {
                            lane: 0,
                            sequence: round as i64,
                        },
                    ];
                    sink.write(&Batch {
                        settled: records,
                        marks,
                        ..Batch::default()
                    })
                    .unwrap();
                }
            });
        }
    });
    let rows = (WRITERS * BATCHES * 200) as i64;
    assert_eq!(storage.number("SELECT count(*) FROM requests"), rows);
    let invariants = proof::read(&mut storage.connection, None).unwrap();
    assert!(invariants.iter().all(|side| side.left == side.right), "{invariants:?}");
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(storage.number(deadlocks), 0);
}

#[test]
fn a_process_whose_lease_was_taken_writes_nothing() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let (old_lease, mut old_sink) = sink(&storage);
    old_sink.write(&batch(vec![settled(tenant, None, 1)])).unwrap();
    old_lease.release().unwrap();
    let (_new_lease, mut new_sink) = sink(&storage);
    let marks = vec![LaneMark { lane: 0, sequence: 9 }];
    let late = Batch {
        settled: vec![settled(tenant, None, 1)],
        marks,
        ..Batch::default()
    };
    assert!(matches!(old_sink.write(&late), Err(SinkError::Fenced)));
    assert!(matches!(old_sink.write(&late), Err(SinkError::Fenced)));
    assert_eq!(storage.number("SELECT count(*) FROM requests"), 1);
    assert_eq!(storage.number("SELECT count(*) FROM journal_lanes"), 0);
    new_sink.write(&late).unwrap();
    assert_eq!(balance(&mut storage, tenant), -2);
}

#[test]
fn a_batch_that_contradicts_the_tables_leaves_nothing_behind() {
    let mut storage = Storage::new();
    let (tenant, other) = (storage.tenant(), storage.tenant());
    let (_lease, mut sink) = sink(&storage);
    let foreign_wallet = Tenant {
        wallet: other.wallet,
        ..tenant
    };
    let no_wallet = Tenant {
        wallet: WalletId::from_bits(bits()),
        ..tenant
    };
    let no_key = SpendKeyId::from_bits(bits());
    let refused = [
        settled(foreign_wallet, None, 1),
        settled(no_wallet, None, 1),
        settled(tenant, Some(no_key), 1),
        settled(tenant, None, -1),
    ];
    for record in refused {
        let batch = batch(vec![settled(tenant, None, 1), record]);
        let answer = sink.write(&batch);
        assert!(matches!(answer, Err(SinkError::Refused(_))), "{answer:?}");
    }
    let full = settled(tenant, None, i64::MAX);
    sink.write(&batch(vec![full.clone()])).unwrap();
    let answer = sink.write(&batch(vec![settled(tenant, None, 2)]));
    assert!(matches!(answer, Err(SinkError::Refused(_))), "{answer:?}");
    assert_eq!(storage.number("SELECT count(*) FROM requests"), 1);
    assert_eq!(balance(&mut storage, tenant), -i64::MAX);
}

#[test]
fn marks_move_forward_and_never_back() {
    let mut storage = Storage::new();
    let (_lease, mut sink) = sink(&storage);
    let mark = |lane, sequence| LaneMark { lane, sequence };
    for marks in [
        vec![mark(0, 5), mark(1, 3)],
        vec![mark(1, 8), mark(0, 4)],
        vec![mark(2, 1), mark(2, 7), mark(2, 2)],
    ] {
        sink.write(&Batch {
            marks,
            ..Batch::default()
        })
        .unwrap();
    }
    let marks = replica::load_marks(&mut storage.connection).unwrap();
    assert_eq!(marks, [mark(0, 5), mark(1, 8), mark(2, 7)]);
    assert_eq!(storage.number("SELECT count(*) FROM billing_batches"), 0);
}

#[test]
fn a_writer_whose_connection_was_cut_comes_back() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let (_lease, mut sink) = sink(&storage);
    let one = batch(vec![settled(tenant, None, 1)]);
    sink.write(&one).unwrap();
    storage.number(
        "SELECT count(pg_terminate_backend(pid, 9000)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let answer = sink.write(&one);
    assert!(matches!(answer, Err(SinkError::Unavailable(_))), "{answer:?}");
    sink.write(&batch(vec![settled(tenant, None, 1)])).unwrap();
    assert_eq!(balance(&mut storage, tenant), -2);
}

#[test]
fn the_ledger_takes_only_what_sums_to_zero_and_never_changes() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let (_lease, mut sink) = sink(&storage);
    sink.write(&batch(vec![settled(tenant, None, 1)])).unwrap();
    let attempts = [
        "INSERT INTO ledger_entries SELECT 1, merchant_id, 'gift', account_id, 1 FROM ledger_entries LIMIT 1",
        "UPDATE ledger_entries SET amount = 0",
        "DELETE FROM ledger_entries",
    ];
    for attempt in attempts {
        assert!(
            diesel::sql_query(attempt).execute(&mut storage.connection).is_err(),
            "{attempt}"
        );
    }
    assert_eq!(storage.number("SELECT count(*) FROM ledger_entries"), 2);
}

#[test]
fn rare_counts_and_the_first_attempt_come_back_from_the_row_and_are_absent_from_most() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let (_lease, mut sink) = sink(&storage);
    let usual = settled(tenant, None, 7);
    let mut rare = settled(tenant, None, 7);
    rare.0.attempt_of = Some(usual.0.id);
    let mut counts = rare.1.usage.to_array();
    for (place, count) in counts.iter_mut().enumerate().skip(9) {
        *count = place as u64;
    }
    // What no BIGINT can hold is kept as the largest.
    counts[12] = u64::MAX;
    rare.1.usage = Usage::from_array(counts);
    sink.write(&batch(vec![usual.clone(), rare.clone()])).unwrap();
    let row = |storage: &mut Storage, id| requests::find(&mut storage.connection, tenant.merchant, id).unwrap();
    let stored = row(&mut storage, rare.0.id);
    counts[12] = i64::MAX as u64;
    assert_eq!(stored.usage, Usage::from_array(counts));
    assert_eq!(stored.attempt_of, Some(usual.0.id));
    let stored = row(&mut storage, usual.0.id);
    assert_eq!((stored.usage, stored.attempt_of), (usual.1.usage, None));
    let empty: i64 = requests_without_rare_usage()
        .get_result(&mut storage.connection)
        .unwrap();
    assert_eq!(empty, 1);
}

fn requests_without_rare_usage() -> diesel::expression::SqlLiteral<diesel::sql_types::BigInt> {
    diesel::dsl::sql("SELECT count(*) FROM requests WHERE rare_usage IS NULL")
}
