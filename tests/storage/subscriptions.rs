//! Subscriptions in the tables: every field comes back, later turns win, a customer has one active at most, and lists
//! keep merchants, statuses and customers apart.

use caldera::domain::credit::Credit;
use caldera::domain::ids::{CreditBundleId, CustomerId, MerchantId, MovementId, PlanId, SubscriptionId};
use caldera::domain::money::Money;
use caldera::domain::request::{AccountRef, MovementKind, Turn, TurnEntry};
use caldera::domain::subscription::{Arrears, Status, Subscription};
use caldera::domain::terms::{Interval, Offer, Rollover, Terms};
use caldera::engine::ports::{Batch, BatchSink, SinkError};
use caldera::storage::page::PageRequest;
use caldera::storage::subscriptions::{self, SubscriptionFilter, SubscriptionRow};
use caldera::storage::writer::PgSink;
use caldera::storage::{StorageError, lease, proof, replica};

use super::fixtures::{NOON_MS, Storage, bits};

const NOON_S: i64 = NOON_MS / 1000;

fn offer(interval: Interval) -> Offer {
    Offer {
        terms: Terms {
            plan_id: PlanId::from_bits(bits()),
            name: "план ✓".to_owned(),
            period_amount: Money::from_nanos(25_000_000_001),
            included_credit: Money::from_nanos(7),
            interval,
            rollover: Rollover::Full,
            bundle_rollover: Rollover::None,
        },
        auto_top_up_bundle_id: Some(CreditBundleId::from_bits(bits())),
    }
}

fn row(merchant_id: MerchantId, customer_id: CustomerId) -> SubscriptionRow {
    let id = SubscriptionId::from_bits(bits());
    SubscriptionRow {
        merchant_id,
        customer_id,
        version: 1,
        subscription: Subscription::begin(id, offer(Interval::Week), Credit::ZERO, NOON_S).subscription,
    }
}

fn someone() -> CustomerId {
    CustomerId::from_bits(bits())
}

fn turned(row: &SubscriptionRow, edit: impl FnOnce(&mut Subscription)) -> SubscriptionRow {
    let mut turned = row.clone();
    turned.version += 1;
    edit(&mut turned.subscription);
    turned
}

fn upsert(storage: &mut Storage, rows: &[&SubscriptionRow]) {
    let rows: Vec<_> = rows.iter().copied().cloned().collect();
    subscriptions::upsert(&mut storage.connection, &rows).unwrap();
}

fn active_of(storage: &mut Storage, merchant: MerchantId) -> Vec<SubscriptionRow> {
    let mut active = subscriptions::load_current(&mut storage.connection).unwrap();
    active.retain(|row| row.merchant_id == merchant);
    active
}

#[test]
fn every_field_of_a_subscription_comes_back_and_a_later_turn_wins() {
    let mut storage = Storage::new();
    let merchant = storage.tenant().merchant;
    let first = row(merchant, someone());
    let downgrade = turned(&first, |subscription| {
        *subscription = subscription.downgrade(offer(Interval::Year)).unwrap().subscription;
        subscription.arrears = Some(Arrears {
            failures: 3,
            first_failed_at_s: NOON_S - 5,
        });
    });
    let leaving = turned(&downgrade, |subscription| {
        *subscription = subscription.cancel().unwrap().subscription;
        subscription.auto_top_up_bundle_id = None;
    });
    let ended = turned(&leaving, |subscription| {
        *subscription = subscription.cancel_now(Credit::ZERO, NOON_S + 9).unwrap().subscription;
    });
    for (index, written) in [&first, &downgrade, &leaving, &ended].into_iter().enumerate() {
        upsert(&mut storage, &[written]);
        // What is written again, and what comes late, changes nothing.
        upsert(&mut storage, &[&first]);
        let id = written.subscription.id;
        let found = subscriptions::find(&mut storage.connection, merchant, id).unwrap();
        assert_eq!(&found, written, "{index}");
    }
    let other = storage.tenant().merchant;
    let foreign = subscriptions::find(&mut storage.connection, other, first.subscription.id);
    assert!(matches!(foreign, Err(StorageError::NotFound)));
}

#[test]
fn a_customer_has_one_active_subscription_at_most_and_as_many_ended_ones_as_he_had() {
    let mut storage = Storage::new();
    let merchant = storage.tenant().merchant;
    let first = row(merchant, someone());
    let second = row(merchant, first.customer_id);
    upsert(&mut storage, &[&first]);
    let both = [second.clone(), first.clone()];
    assert!(subscriptions::upsert(&mut storage.connection, &both).is_err());
    // In one statement with its end, in whatever order, the next one may begin.
    let ended = turned(&first, |subscription| subscription.cancelled_at_s = Some(NOON_S));
    let renewed = turned(&second, |subscription| subscription.period_index = 1);
    upsert(&mut storage, &[&renewed, &first, &ended, &second]);
    assert_eq!(active_of(&mut storage, merchant), [renewed]);
}

#[test]
fn more_rows_than_a_statement_takes_are_written_and_loaded() {
    let mut storage = Storage::new();
    let merchant = storage.tenant().merchant;
    let mut rows: Vec<_> = (0..3_100).map(|_| row(merchant, someone())).collect();
    subscriptions::upsert(&mut storage.connection, &rows).unwrap();
    for written in &mut rows[..1_500] {
        written.version += 1;
        written.subscription.cancelled_at_s = Some(NOON_S);
    }
    subscriptions::upsert(&mut storage.connection, &rows).unwrap();
    let mut active = active_of(&mut storage, merchant);
    active.sort_by_key(|row| row.subscription.id);
    rows.drain(..1_500);
    rows.sort_by_key(|row| row.subscription.id);
    assert_eq!(active, rows);
    subscriptions::upsert(&mut storage.connection, &[]).unwrap();
}

#[test]
fn a_list_keeps_merchants_statuses_and_customers_apart() {
    let mut storage = Storage::new();
    let (merchant, other) = (storage.tenant().merchant, storage.tenant().merchant);
    let mut rows: Vec<SubscriptionRow> = (0..5).map(|_| row(merchant, someone())).collect();
    for index in [1, 3] {
        rows[index].subscription.cancelled_at_s = Some(NOON_S);
    }
    subscriptions::upsert(&mut storage.connection, &rows).unwrap();
    upsert(&mut storage, &[&row(other, someone())]);
    let mut listed = |status, customer_id| {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest { after, limit: 2 };
            let filter = SubscriptionFilter { status, customer_id };
            let found = subscriptions::list(&mut storage.connection, merchant, filter, page).unwrap();
            ids.extend(found.rows.iter().map(|row| row.subscription.id));
            after = found.next;
            if after.is_none() {
                return ids;
            }
        }
    };
    let expected = |indexes: &[usize]| {
        let mut ids: Vec<_> = indexes.iter().map(|index| rows[*index].subscription.id).collect();
        ids.sort_unstable_by(|left, right| right.cmp(left));
        ids
    };
    assert_eq!(listed(None, None), expected(&[0, 1, 2, 3, 4]));
    assert_eq!(listed(Some(Status::Active), None), expected(&[0, 2, 4]));
    assert_eq!(listed(Some(Status::Cancelled), None), expected(&[1, 3]));
    assert_eq!(listed(None, Some(rows[3].customer_id)), expected(&[3]));
    assert_eq!(listed(Some(Status::Active), Some(rows[3].customer_id)), expected(&[]));
}

/// The record of the turn that made this row, and that grants the customer so much.
fn turn_of(row: &SubscriptionRow, granted_nanos: i64) -> Turn {
    let entry = TurnEntry {
        account: AccountRef::CycleCredit(row.customer_id),
        kind: MovementKind::Grant,
        amount: Money::from_nanos(granted_nanos),
    };
    Turn {
        id: MovementId::from_bits(bits()),
        merchant_id: row.merchant_id,
        customer_id: row.customer_id,
        version: row.version,
        at_ms: NOON_MS,
        subscription: serde_json::to_string(&row.subscription).unwrap(),
        entries: (granted_nanos != 0).then_some(entry).into_iter().collect(),
    }
}

fn batch_of(turns: Vec<Turn>) -> Batch {
    Batch {
        turns,
        ..Batch::default()
    }
}

#[test]
fn a_turn_is_written_with_its_credit_and_a_start_finds_both() {
    let mut storage = Storage::new();
    let merchant = storage.tenant().merchant;
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let begun = row(merchant, someone());
    let leaving = turned(&begun, |subscription| {
        *subscription = subscription.cancel().unwrap().subscription;
    });
    let left = row(merchant, someone());
    let ended = turned(&left, |subscription| subscription.cancelled_at_s = Some(NOON_S));
    let first = batch_of(vec![turn_of(&begun, 7), turn_of(&left, 5), turn_of(&ended, -5)]);
    let second = batch_of(vec![turn_of(&leaving, 0)]);
    // A replay writes again what is there.
    for batch in [&first, &first, &second, &first, &second] {
        sink.write(batch).unwrap();
    }
    assert_eq!(active_of(&mut storage, merchant), std::slice::from_ref(&leaving));
    let found = subscriptions::find(&mut storage.connection, merchant, ended.subscription.id).unwrap();
    assert_eq!(found, ended);
    let accounts = replica::load(&mut storage.connection).unwrap().customer_accounts;
    let state = |row: &SubscriptionRow| {
        let account = &accounts[&row.customer_id];
        let credit = account.credit.credit.total().nanos();
        (account.subscription.clone(), account.version, credit)
    };
    assert_eq!(state(&leaving), (Some(leaving.subscription.clone()), 2, 7));
    assert_eq!(state(&ended), (None, 2, 0));
    let sides = proof::read(&mut storage.connection, None).unwrap();
    assert!(sides.iter().all(|side| side.left == side.right), "{sides:?}");
}

#[test]
fn a_turn_that_cannot_be_read_is_refused_with_its_whole_batch() {
    let mut storage = Storage::new();
    let merchant = storage.tenant().merchant;
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let good = turn_of(&row(merchant, someone()), 7);
    let mut torn = turn_of(&row(merchant, someone()), 7);
    torn.subscription.truncate(40);
    let refused = sink.write(&batch_of(vec![good.clone(), torn])).unwrap_err();
    assert!(matches!(refused, SinkError::Refused(_)), "{refused}");
    assert_eq!(storage.number("SELECT count(*) FROM movements"), 0);
    assert_eq!(active_of(&mut storage, merchant), []);
    // A turn of credit alone leaves the subscription as it is.
    let credit_only = Turn {
        subscription: String::new(),
        ..good
    };
    sink.write(&batch_of(vec![credit_only])).unwrap();
    assert_eq!(storage.number("SELECT sum(cycle) FROM customer_credit"), 7);
    assert_eq!(active_of(&mut storage, merchant), []);
}
