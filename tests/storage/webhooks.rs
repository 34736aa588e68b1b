//! Webhooks in the database: what a batch tells, what two outboxes take, and what is swept and deleted.

use std::collections::HashSet;
use std::time::Instant;

use caldera::domain::ids::{CustomerId, DeliveryId, EventId, Mode, MovementId, WebhookId, compose};
use caldera::domain::money::Money;
use caldera::domain::request::{AccountRef, Movement, MovementKind};
use caldera::domain::webhook::EventName;
use caldera::engine::outbox::{ENDPOINT_ATTEMPTS, LEASE_MS};
use caldera::engine::ports::{Batch, BatchSink, Deliveries, TakenDelivery, Told};
use caldera::storage::webhooks::{self, Created, Deleted, NewEvent, PgOutbox, WebhookRow};
use caldera::storage::writer::PgSink;
use caldera::storage::{Database, lease};
use diesel::prelude::*;

use super::fixtures::{NOON_MS, Storage, Tenant, bits};

fn endpoint(storage: &mut Storage, tenant: Tenant, events: Option<Vec<EventName>>) -> WebhookId {
    let id = WebhookId::compose(Mode::Live, NOON_MS, bits());
    let row = WebhookRow {
        id,
        merchant_id: tenant.merchant,
        name: "mine".to_owned(),
        url: "https://8.8.8.8/".to_owned(),
        events,
        enabled: true,
        disabled_reason: None,
        secret: vec![1],
        previous: None,
        created_at_ms: NOON_MS,
    };
    let created = webhooks::create(&mut storage.connection, &row).unwrap();
    assert_eq!(created, Created::Made);
    id
}

fn grants(tenant: Tenant, customers: impl IntoIterator<Item = u128>) -> Batch {
    let grant = |customer| Movement {
        id: MovementId::from_bits(bits()),
        merchant_id: tenant.merchant,
        account: AccountRef::CycleCredit(CustomerId::from_bits(customer)),
        kind: MovementKind::Grant,
        amount: Money::from_nanos(5),
        quantity: 0,
        at_ms: NOON_MS,
        note: String::new(),
    };
    Batch {
        movements: customers.into_iter().map(grant).collect(),
        ..Batch::default()
    }
}

fn happen(storage: &mut Storage, tenant: Tenant, count: u128, at_ms: i64) {
    for subject in 0..count {
        let event = NewEvent {
            name: EventName::CustomerCreated,
            subject,
            at_ms,
            data: serde_json::json!({}),
        };
        storage
            .connection
            .transaction(|connection| webhooks::emit(connection, tenant.merchant, &event))
            .unwrap();
    }
}

fn take(database: &Database, now_ms: i64, most: usize) -> Vec<TakenDelivery> {
    let outbox = PgOutbox {
        database: database.clone(),
        retention: Default::default(),
    };
    actix_rt::System::new().block_on(outbox.take(now_ms, most)).unwrap()
}

#[test]
fn a_batch_tells_of_each_balance_once_until_that_is_sent_and_only_where_somebody_listens() {
    let mut storage = Storage::new();
    let (tenant, deaf) = (storage.tenant(), storage.tenant());
    endpoint(&mut storage, tenant, None);
    endpoint(&mut storage, tenant, Some(vec![EventName::CustomerBalanceUpdated]));
    endpoint(&mut storage, tenant, Some(vec![EventName::CustomerDeleted]));
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let first = grants(tenant, [1, 2]);
    for batch in [&first, &first, &grants(tenant, [2, 3]), &grants(deaf, [4])] {
        sink.write(batch).unwrap();
    }
    assert_eq!(storage.number("SELECT count(*) FROM webhook_deliveries"), 6);
    assert_eq!(
        storage.number("SELECT count(*) FROM webhook_events WHERE body IS NULL"),
        3
    );
    assert!(take(&storage.database, NOON_MS + 9_999, 64).is_empty());
    let taken = take(&storage.database, NOON_MS + 10_000, 64);
    let told: HashSet<u128> = taken
        .iter()
        .map(|taken| match &taken.message {
            Told::Customer(EventName::CustomerBalanceUpdated, customer) => customer.bits(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((taken.len(), told), (6, HashSet::from([1, 2, 3])));
    // What is being sent may have been written down already: a change is told once more.
    sink.write(&grants(tenant, [1])).unwrap();
    assert_eq!(storage.number("SELECT count(*) FROM webhook_deliveries"), 8);
}

#[test]
fn a_batch_that_is_refused_tells_nothing() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    endpoint(&mut storage, tenant, None);
    let lease = lease::acquire(&storage.database).unwrap();
    PgSink::new(storage.database.clone(), lease.epoch() + 1)
        .write(&grants(tenant, [1]))
        .unwrap_err();
    let mut broken = grants(tenant, [1]);
    broken.movements[0].amount = Money::from_nanos(i64::MIN);
    PgSink::new(storage.database.clone(), lease.epoch())
        .write(&broken)
        .unwrap_err();
    assert_eq!(storage.number("SELECT count(*) FROM webhook_events"), 0);
}

#[test]
fn two_outboxes_never_take_the_same_delivery() {
    let mut storage = Storage::new();
    let tenants: Vec<Tenant> = (0..40).map(|_| storage.tenant()).collect();
    for tenant in &tenants {
        endpoint(&mut storage, *tenant, None);
        happen(&mut storage, *tenant, 5, NOON_MS);
    }
    let takers: Vec<_> = (0..2)
        .map(|_| {
            let database = storage.database.clone();
            std::thread::spawn(move || (0..20).flat_map(|_| take(&database, NOON_MS, 16)).collect::<Vec<_>>())
        })
        .collect();
    let taken: Vec<DeliveryId> = takers
        .into_iter()
        .flat_map(|taker| taker.join().unwrap())
        .map(|taken| taken.id)
        .collect();
    let different: HashSet<&DeliveryId> = taken.iter().collect();
    assert_eq!(different.len(), taken.len());
    // Only where both look at the same moment an endpoint may have one more than it should.
    let most_at_once = usize::try_from(ENDPOINT_ATTEMPTS).unwrap() * tenants.len();
    assert!((most_at_once..=200).contains(&taken.len()), "{}", taken.len());
    assert!(take(&storage.database, NOON_MS + LEASE_MS - 1, 64).is_empty());
    assert_eq!(take(&storage.database, NOON_MS + LEASE_MS, 512).len(), most_at_once);
}

#[test]
fn old_events_are_swept_with_their_deliveries() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    endpoint(&mut storage, tenant, None);
    let month_ms = 30 * 86_400_000;
    happen(&mut storage, tenant, 3, NOON_MS - month_ms - 1);
    happen(&mut storage, tenant, 2, NOON_MS - month_ms);
    let outbox = PgOutbox {
        database: storage.database.clone(),
        retention: Default::default(),
    };
    actix_rt::System::new().block_on(outbox.sweep(NOON_MS)).unwrap();
    assert_eq!(storage.number("SELECT count(*) FROM webhook_events"), 2);
    assert_eq!(storage.number("SELECT count(*) FROM webhook_deliveries"), 2);
}

#[test]
fn an_endpoint_with_many_deliveries_is_deleted_in_parts() {
    let mut storage = Storage::new();
    let (tenant, other) = (storage.tenant(), storage.tenant());
    let (doomed, kept) = (
        endpoint(&mut storage, tenant, None),
        endpoint(&mut storage, tenant, None),
    );
    let event = EventId::from_bits(compose(Mode::Live, NOON_MS, 0));
    diesel::sql_query(format!(
        "WITH event AS (INSERT INTO webhook_events VALUES ('{event}', '{merchant}', 'customer.created', '')) \
         INSERT INTO webhook_deliveries (id, merchant_id, webhook_id, event_id, subject, gathers, status, \
         attempt_count, due_at) SELECT gen_random_uuid(), '{merchant}', endpoint, '{event}', '{event}', false, \
         'pending', 0, now() FROM generate_series(1, 7000), unnest(ARRAY['{doomed}', '{kept}']::uuid[]) endpoint",
        event = event.uuid(),
        merchant = tenant.merchant.uuid(),
        doomed = doomed.uuid(),
        kept = kept.uuid(),
    ))
    .execute(&mut storage.connection)
    .unwrap();
    webhooks::delete(&mut storage.connection, other.merchant, doomed).unwrap_err();
    let mut delete = || webhooks::delete(&mut storage.connection, tenant.merchant, doomed).ok();
    assert_eq!(
        [delete(), delete(), delete()],
        [Some(Deleted::Some), Some(Deleted::All), None]
    );
    assert_eq!(storage.number("SELECT count(*) FROM webhook_deliveries"), 7_000);
    assert_eq!(storage.number("SELECT count(*) FROM webhooks WHERE enabled"), 1);
}

#[test]
#[ignore = "a measurement"]
fn how_much_longer_batches_take_that_tell_of_a_thousand_balances() {
    let mut storage = Storage::new();
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    for endpoint_count in [0, 3] {
        let tenant = storage.tenant();
        for _ in 0..endpoint_count {
            endpoint(&mut storage, tenant, None);
        }
        let batches: Vec<Batch> = (0..50).map(|_| grants(tenant, 0..1_000)).collect();
        let started = Instant::now();
        for batch in &batches {
            sink.write(batch).unwrap();
        }
        println!("{endpoint_count} endpoints: 50,000 rows in {:?}", started.elapsed());
    }
}
