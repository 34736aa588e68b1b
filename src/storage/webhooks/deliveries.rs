//! What became of an endpoint's events, for its owner: lists, newest first, and the replay of what was given up.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::super::page::{Page, PageRequest};
use super::super::schema::{webhook_deliveries, webhook_events};
use super::super::{StorageError, column};
use super::find;
use crate::domain::ids::{DeliveryId, EventId, MerchantId, WebhookId};
use crate::domain::webhook::{DeliveryStatus, EventName};

const NOUN: &str = "delivery";

/// Which deliveries.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryFilter {
    pub webhook_id: WebhookId,
    /// `None`: all.
    pub status: Option<DeliveryStatus>,
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    pub event_id: EventId,
    pub event: EventName,
    pub status: DeliveryStatus,
    pub attempt_count: i32,
    /// When the next attempt is due, or the last one was.
    pub due_at_ms: i64,
    pub last_attempt_ms: Option<i64>,
    pub last_status: Option<i32>,
    pub last_error: Option<String>,
    /// The beginning of what the endpoint said.
    pub last_answer: Option<String>,
    pub ended_at_ms: Option<i64>,
    /// What is told; `None` where that is found out when it is first sent.
    pub body: Option<String>,
}

/// What became of a wish to send once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    Due(DeliveryRow),
    /// Nothing is sent to a disabled endpoint.
    Disabled,
}

/// The deliveries of an endpoint of this merchant.
pub fn list_deliveries(
    connection: &mut PgConnection,
    merchant: MerchantId,
    filter: DeliveryFilter,
    page: PageRequest,
) -> Result<Page<DeliveryRow>, StorageError> {
    find(connection, merchant, filter.webhook_id)?;
    let mut query = webhook_deliveries::table
        .inner_join(webhook_events::table)
        .filter(webhook_deliveries::webhook_id.eq(filter.webhook_id.uuid()))
        .filter(webhook_deliveries::id.lt(page.before()))
        .order(webhook_deliveries::id.desc())
        .limit(page.fetch_count())
        .select(<(StoredDelivery, StoredEvent)>::as_select())
        .into_boxed();
    if let Some(status) = filter.status {
        query = query.filter(webhook_deliveries::status.eq(status.name()));
    }
    let rows = query.load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(DeliveryRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.id.bits()))
}

/// One delivery of an endpoint of this merchant.
pub fn find_delivery(
    connection: &mut PgConnection,
    merchant: MerchantId,
    (webhook, id): (WebhookId, DeliveryId),
) -> Result<DeliveryRow, StorageError> {
    let found = webhook_deliveries::table
        .inner_join(webhook_events::table)
        .filter(webhook_deliveries::id.eq(id.uuid()))
        .filter(webhook_deliveries::webhook_id.eq(webhook.uuid()))
        .filter(webhook_deliveries::merchant_id.eq(merchant.uuid()))
        .select(<(StoredDelivery, StoredEvent)>::as_select())
        .first(connection)?;
    DeliveryRow::try_from(found)
}

/// Makes a delivery due at once, with all its attempts before it. One that is being sent goes on as it is.
pub fn replay(
    connection: &mut PgConnection,
    merchant: MerchantId,
    (webhook, id): (WebhookId, DeliveryId),
    now_ms: i64,
) -> Result<Replayed, StorageError> {
    use webhook_deliveries as columns;
    connection.transaction(|connection| {
        find_delivery(connection, merchant, (webhook, id))?;
        if !find(connection, merchant, webhook)?.enabled {
            return Ok(Replayed::Disabled);
        }
        let idle = columns::table.find(id.uuid()).filter(columns::leased_until.is_null());
        diesel::update(idle)
            .set((
                columns::status.eq(DeliveryStatus::Pending.name()),
                columns::attempt_count.eq(0),
                columns::gathers.eq(false),
                columns::due_at.eq(column::instant(now_ms)),
                columns::ended_at.eq(None::<DateTime<Utc>>),
            ))
            .execute(connection)?;
        find_delivery(connection, merchant, (webhook, id)).map(Replayed::Due)
    })
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries, check_for_backend(diesel::pg::Pg))]
struct StoredDelivery {
    id: Uuid,
    webhook_id: Uuid,
    status: String,
    attempt_count: i32,
    due_at: DateTime<Utc>,
    last_attempt_at: Option<DateTime<Utc>>,
    last_status: Option<i32>,
    last_error: Option<String>,
    last_answer: Option<String>,
    ended_at: Option<DateTime<Utc>>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_events, check_for_backend(diesel::pg::Pg))]
struct StoredEvent {
    id: Uuid,
    name: String,
    body: Option<String>,
}

impl TryFrom<(StoredDelivery, StoredEvent)> for DeliveryRow {
    type Error = StorageError;

    fn try_from((stored, event): (StoredDelivery, StoredEvent)) -> Result<Self, StorageError> {
        let millis = |at: DateTime<Utc>| at.timestamp_millis();
        Ok(Self {
            id: DeliveryId::from_uuid(stored.id),
            webhook_id: WebhookId::from_uuid(stored.webhook_id),
            event_id: EventId::from_uuid(event.id),
            event: column::word(NOUN, &event.name, EventName::from_name)?,
            status: column::word(NOUN, &stored.status, DeliveryStatus::from_name)?,
            attempt_count: stored.attempt_count,
            due_at_ms: millis(stored.due_at),
            last_attempt_ms: stored.last_attempt_at.map(millis),
            last_status: stored.last_status,
            last_error: stored.last_error,
            last_answer: stored.last_answer,
            ended_at_ms: stored.ended_at.map(millis),
            body: event.body,
        })
    }
}
