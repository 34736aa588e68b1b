//! How an event gets into the outbox: in the transaction of what happened, with one delivery for each endpoint that
//! wants it. Where nobody wants it nothing is written. What happens to customers' balances is gathered: whatever is
//! written for a customer while the last event about him was not sent yet is told with that one, as he is then.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::super::schema::{webhook_deliveries, webhook_events, webhooks};
use super::super::{StorageError, column};
use crate::domain::ids::{CustomerId, DeliveryId, EventId, MerchantId};
use crate::domain::webhook::{DeliveryStatus, EventName, GATHER_MS, envelope};
use crate::engine::random;

/// What happened, and is told at once.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub name: EventName,
    /// The bits of the id of what it is about: the customer's, the key's.
    pub subject: u128,
    /// Unix milliseconds.
    pub at_ms: i64,
    pub data: Value,
}

/// Writes the event for each enabled endpoint of the merchant that wants it, within the caller's transaction; returns
/// how many there are. Whoever commits rings the outbox's bell afterwards.
pub fn emit(connection: &mut PgConnection, merchant: MerchantId, event: &NewEvent) -> Result<usize, StorageError> {
    let endpoints = endpoints_of(connection, &[merchant], event.name)?;
    if endpoints.is_empty() {
        return Ok(0);
    }
    let id = new_event_id(merchant, event.at_ms)?;
    diesel::insert_into(webhook_events::table)
        .values((
            webhook_events::id.eq(id.uuid()),
            webhook_events::merchant_id.eq(merchant.uuid()),
            webhook_events::name.eq(event.name.name()),
            webhook_events::body.eq(column::text(&envelope(event.name, id, event.at_ms, &event.data))),
        ))
        .execute(connection)?;
    let subject = Uuid::from_u128(event.subject);
    let delivery = |(endpoint, _): &(Uuid, MerchantId)| -> Result<_, StorageError> {
        use webhook_deliveries as columns;
        Ok((
            columns::id.eq(DeliveryId::compose(merchant.mode(), event.at_ms, random_bits()?).uuid()),
            columns::merchant_id.eq(merchant.uuid()),
            columns::webhook_id.eq(*endpoint),
            columns::event_id.eq(id.uuid()),
            columns::subject.eq(subject),
            columns::gathers.eq(false),
            columns::status.eq(DeliveryStatus::Pending.name()),
            columns::attempt_count.eq(0),
            columns::due_at.eq(column::instant(event.at_ms)),
        ))
    };
    let deliveries: Result<Vec<_>, _> = endpoints.iter().map(delivery).collect();
    diesel::insert_into(webhook_deliveries::table)
        .values(deliveries?)
        .execute(connection)?;
    Ok(endpoints.len())
}

/// Says within the caller's transaction that the balances of these customers have changed; returns how many deliveries
/// came of it, which are due ten seconds later. Nobody needs to ring.
pub fn emit_balances(
    connection: &mut PgConnection,
    customers: &[(MerchantId, CustomerId)],
    at_ms: i64,
) -> Result<usize, StorageError> {
    let merchants: BTreeSet<MerchantId> = customers.iter().map(|(merchant, _)| *merchant).collect();
    if merchants.is_empty() {
        return Ok(0);
    }
    let merchants: Vec<MerchantId> = merchants.into_iter().collect();
    let endpoints = endpoints_of(connection, &merchants, EventName::CustomerBalanceUpdated)?;
    if endpoints.is_empty() {
        return Ok(0);
    }
    let waiting = hold_waiting(connection, &endpoints, customers)?;
    let mut new = NewBalances::default();
    let each: BTreeSet<&(MerchantId, CustomerId)> = customers.iter().collect();
    for (merchant, customer) in each {
        let own = endpoints.iter().filter(|(_, owner)| owner == merchant);
        let missing = own.filter(|(endpoint, _)| !waiting.contains(&(*endpoint, customer.uuid())));
        for (endpoint, _) in missing {
            new.add((*merchant, *customer), *endpoint, at_ms)?;
        }
    }
    new.insert(connection, at_ms + GATHER_MS)
}

/// The enabled endpoints of these merchants that want such an event, in whichever words, in the order of their ids. They cannot be deleted
/// until the transaction ends.
fn endpoints_of(
    connection: &mut PgConnection,
    merchants: &[MerchantId],
    name: EventName,
) -> Result<Vec<(Uuid, MerchantId)>, StorageError> {
    let names: Vec<&str> = std::iter::once(name).chain(name.older()).map(EventName::name).collect();
    let wants = webhooks::events
        .is_null()
        .or(webhooks::events.overlaps_with(names).assume_not_null());
    let merchants: Vec<Uuid> = merchants.iter().map(|merchant| merchant.uuid()).collect();
    let endpoints: Vec<(Uuid, Uuid)> = webhooks::table
        .filter(webhooks::merchant_id.eq_any(merchants).and(webhooks::enabled))
        .filter(wants)
        .order(webhooks::id)
        .select((webhooks::id, webhooks::merchant_id))
        .for_key_share()
        .load(connection)?;
    let typed = |(id, merchant)| (id, MerchantId::from_uuid(merchant));
    Ok(endpoints.into_iter().map(typed).collect())
}

/// The deliveries that tell of these customers anyway, by endpoint and customer. They are not sent until the
/// transaction ends, so that what is sent has seen what is written here.
fn hold_waiting(
    connection: &mut PgConnection,
    endpoints: &[(Uuid, MerchantId)],
    customers: &[(MerchantId, CustomerId)],
) -> Result<HashSet<(Uuid, Uuid)>, StorageError> {
    use webhook_deliveries as columns;
    let endpoints: Vec<Uuid> = endpoints.iter().map(|(id, _)| *id).collect();
    let subjects: Vec<Uuid> = customers.iter().map(|(_, customer)| customer.uuid()).collect();
    let waiting: Vec<(Uuid, Uuid)> = columns::table
        .filter(columns::gathers.and(columns::attempt_count.eq(0)))
        .filter(columns::status.eq(DeliveryStatus::Pending.name()))
        .filter(columns::webhook_id.eq_any(endpoints))
        .filter(columns::subject.eq_any(subjects))
        .order((columns::webhook_id, columns::subject))
        .select((columns::webhook_id, columns::subject))
        .for_no_key_update()
        .load(connection)?;
    Ok(waiting.into_iter().collect())
}

/// Balances that are to be told: one event a customer, one delivery for each endpoint.
#[derive(Default)]
struct NewBalances {
    events: HashMap<CustomerId, (EventId, MerchantId)>,
    ids: Vec<Uuid>,
    endpoints: Vec<Uuid>,
    subjects: Vec<Uuid>,
    owners: Vec<Uuid>,
    event_ids: Vec<Uuid>,
}

impl NewBalances {
    fn add(
        &mut self,
        (merchant, customer): (MerchantId, CustomerId),
        endpoint: Uuid,
        at_ms: i64,
    ) -> Result<(), StorageError> {
        let event = match self.events.get(&customer) {
            Some((id, _)) => *id,
            None => new_event_id(merchant, at_ms)?,
        };
        self.events.insert(customer, (event, merchant));
        let id = DeliveryId::compose(merchant.mode(), at_ms, random_bits()?);
        self.ids.push(id.uuid());
        self.endpoints.push(endpoint);
        self.subjects.push(customer.uuid());
        self.owners.push(merchant.uuid());
        self.event_ids.push(event.uuid());
        Ok(())
    }

    fn insert(self, connection: &mut PgConnection, due_ms: i64) -> Result<usize, StorageError> {
        if self.ids.is_empty() {
            return Ok(0);
        }
        let (ids, owners): (Vec<Uuid>, Vec<Uuid>) = self
            .events
            .values()
            .map(|(id, owner)| (id.uuid(), owner.uuid()))
            .unzip();
        sql_query("INSERT INTO webhook_events (id, merchant_id, name) SELECT d.*, $3 FROM unnest($1, $2) AS d")
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Array<SqlUuid>, _>(owners)
            .bind::<Text, _>(EventName::CustomerBalanceUpdated.name())
            .execute(connection)?;
        let inserted = sql_query(INSERT_BALANCES)
            .bind::<Array<SqlUuid>, _>(self.ids)
            .bind::<Array<SqlUuid>, _>(self.endpoints)
            .bind::<Array<SqlUuid>, _>(self.subjects)
            .bind::<Array<SqlUuid>, _>(self.owners)
            .bind::<Array<SqlUuid>, _>(self.event_ids)
            .bind::<Text, _>(DeliveryStatus::Pending.name())
            .bind::<Timestamptz, _>(column::instant(due_ms))
            .execute(connection)?;
        Ok(inserted)
    }
}

/// One that another transaction has just written is held, as those are that were there before.
const INSERT_BALANCES: &str = "INSERT INTO webhook_deliveries AS w \
    (id, webhook_id, subject, merchant_id, event_id, gathers, status, attempt_count, due_at) \
    SELECT d.*, true, $6, 0, $7 FROM unnest($1, $2, $3, $4, $5) AS d(id, webhook_id, subject, merchant_id, event_id) \
    ORDER BY d.webhook_id, d.subject \
    ON CONFLICT (webhook_id, subject) WHERE gathers AND status = 'pending' AND attempt_count = 0 \
    DO UPDATE SET due_at = w.due_at";

fn new_event_id(merchant: MerchantId, at_ms: i64) -> Result<EventId, StorageError> {
    Ok(EventId::compose(merchant.mode(), at_ms, random_bits()?))
}

fn random_bits() -> Result<u128, StorageError> {
    random::bits().map_err(|error| StorageError::Unavailable(error.to_string()))
}
