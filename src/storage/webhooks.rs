//! Webhooks: the endpoints of merchants with their sealed secrets, the events that are told, and the deliveries. An
//! event is written in the transaction of what happened, so that neither is there without the other. What is here opens
//! no secret; whoever sends holds the key.

mod deliveries;
mod emission;
mod outbox;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::schema::{merchants, webhooks};
use super::search::Search;
use super::{StorageError, column};
use crate::domain::ids::{MerchantId, WebhookId};
use crate::domain::webhook::{DisabledReason, EventName, MOST_ENDPOINTS};

pub use deliveries::{DeliveryFilter, DeliveryRow, Replayed, find_delivery, list_deliveries, replay};
pub use emission::{NewEvent, emit, emit_balances};
pub use outbox::PgOutbox;

const NOUN: &str = "webhook";
/// Deliveries that are deleted at once.
const DELETED_AT_ONCE: i64 = 5_000;

/// An endpoint; its secrets are sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRow {
    pub id: WebhookId,
    pub merchant_id: MerchantId,
    pub name: String,
    pub url: String,
    /// `None`: all of them.
    pub events: Option<Vec<EventName>>,
    pub enabled: bool,
    pub disabled_reason: Option<DisabledReason>,
    pub secret: Vec<u8>,
    pub previous: Option<PreviousSecret>,
    pub created_at_ms: i64,
}

/// The secret before the last rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousSecret {
    pub sealed: Vec<u8>,
    /// Until when it signs too.
    pub until_ms: i64,
}

impl WebhookRow {
    /// What the secrets of this endpoint are sealed for.
    pub fn place(id: WebhookId) -> String {
        format!("webhooks|{id}|secret")
    }
}

/// Why an endpoint was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    Made,
    /// The merchant has as many as he may have.
    Full,
}

/// Stores a new endpoint; its `created_at_ms` is the time in its id.
pub fn create(connection: &mut PgConnection, new: &WebhookRow) -> Result<Created, StorageError> {
    connection.transaction(|connection| {
        // One creation of a merchant at a time, so that none passes the bound.
        merchants::table
            .find(new.merchant_id.uuid())
            .select(merchants::id)
            .for_no_key_update()
            .first::<Uuid>(connection)?;
        let own = webhooks::table.filter(webhooks::merchant_id.eq(new.merchant_id.uuid()));
        let count: i64 = own.count().get_result(connection)?;
        if usize::try_from(count).unwrap_or(usize::MAX) >= MOST_ENDPOINTS {
            return Ok(Created::Full);
        }
        diesel::insert_into(webhooks::table)
            .values(StoredWebhook::from(new))
            .execute(connection)?;
        Ok(Created::Made)
    })
}

pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    page: PageRequest,
) -> Result<Page<WebhookRow>, StorageError> {
    search(connection, merchant, &Search::default(), page)
}

/// Those of the list that are looked for.
pub fn search(
    connection: &mut PgConnection,
    merchant: MerchantId,
    search: &Search,
    page: PageRequest,
) -> Result<Page<WebhookRow>, StorageError> {
    let (pattern, (first, last)) = (search.pattern(), search.ids(WebhookId::beginning));
    let rows = webhooks::table
        .filter(webhooks::merchant_id.eq(merchant.uuid()))
        .filter(
            webhooks::name
                .ilike(pattern.clone())
                .or(webhooks::url.ilike(pattern.clone()))
                .or(webhooks::id.between(first, last)),
        )
        .filter(webhooks::id.lt(page.before()))
        .order(webhooks::id.desc())
        .limit(page.fetch_count())
        .select(StoredWebhook::as_select())
        .load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(WebhookRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.id.bits()))
}

pub fn find(connection: &mut PgConnection, merchant: MerchantId, id: WebhookId) -> Result<WebhookRow, StorageError> {
    webhooks::table
        .find(id.uuid())
        .filter(webhooks::merchant_id.eq(merchant.uuid()))
        .select(StoredWebhook::as_select())
        .first(connection)?
        .try_into()
}

/// Replaces an endpoint by what `edit` makes of it; its id, its owner and its age stay. One that is enabled or moves to
/// another address begins anew: what it failed before is forgotten.
pub fn update(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id: WebhookId,
    edit: impl FnOnce(&mut WebhookRow),
) -> Result<WebhookRow, StorageError> {
    connection.transaction(|connection| {
        let stored = webhooks::table
            .find(id.uuid())
            .filter(webhooks::merchant_id.eq(merchant.uuid()))
            .for_no_key_update()
            .select(StoredWebhook::as_select())
            .first(connection)?;
        let mut row = WebhookRow::try_from(stored)?;
        let (was_enabled, last_url) = (row.enabled, row.url.clone());
        edit(&mut row);
        let saved = StoredWebhook::from(&row);
        let target = webhooks::table.find(id.uuid());
        diesel::update(target).set(&saved).execute(connection)?;
        if row.enabled && (!was_enabled || row.url != last_url) {
            diesel::update(target)
                .set(webhooks::failing_since.eq(None::<chrono::DateTime<chrono::Utc>>))
                .execute(connection)?;
        }
        Ok(row)
    })
}

/// What is left of an endpoint that is being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    All,
    /// It is told nothing any more, but deliveries are left: ask again.
    Some,
}

/// Deletes an endpoint with its deliveries, of which there may be many: so many at a time that nobody who writes an
/// event waits for long.
pub fn delete(connection: &mut PgConnection, merchant: MerchantId, id: WebhookId) -> Result<Deleted, StorageError> {
    let own = webhooks::table
        .find(id.uuid())
        .filter(webhooks::merchant_id.eq(merchant.uuid()));
    let known_count = diesel::update(own)
        .set(webhooks::enabled.eq(false))
        .execute(connection)?;
    if known_count == 0 {
        return Err(StorageError::NotFound);
    }
    // Each statement commits for itself, so that none waits for a row while it keeps others waiting.
    let deleted_count = sql_query(
        "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries \
         WHERE webhook_id = $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind::<SqlUuid, _>(id.uuid())
    .bind::<BigInt, _>(DELETED_AT_ONCE)
    .execute(connection)?;
    if i64::try_from(deleted_count).is_ok_and(|count| count >= DELETED_AT_ONCE) {
        return Ok(Deleted::Some);
    }
    diesel::delete(own).execute(connection)?;
    Ok(Deleted::All)
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = webhooks, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
struct StoredWebhook {
    id: Uuid,
    merchant_id: Uuid,
    name: String,
    url: String,
    events: Option<Vec<String>>,
    enabled: bool,
    disabled_reason: Option<String>,
    secret: Vec<u8>,
    previous_secret: Option<Vec<u8>>,
    previous_until: Option<chrono::DateTime<chrono::Utc>>,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl From<&WebhookRow> for StoredWebhook {
    fn from(row: &WebhookRow) -> Self {
        let names = |events: &Vec<EventName>| events.iter().map(|name| name.name().to_owned()).collect();
        Self {
            id: row.id.uuid(),
            merchant_id: row.merchant_id.uuid(),
            name: row.name.clone(),
            url: row.url.clone(),
            events: row.events.as_ref().map(names),
            enabled: row.enabled,
            disabled_reason: row.disabled_reason.map(|reason| reason.name().to_owned()),
            secret: row.secret.clone(),
            previous_secret: row.previous.as_ref().map(|previous| previous.sealed.clone()),
            previous_until: row.previous.as_ref().map(|previous| column::instant(previous.until_ms)),
            created_at: column::instant(row.created_at_ms),
        }
    }
}

impl TryFrom<StoredWebhook> for WebhookRow {
    type Error = StorageError;

    fn try_from(stored: StoredWebhook) -> Result<Self, StorageError> {
        let names = |words: Vec<String>| -> Result<Vec<EventName>, StorageError> {
            let name = |word: &String| column::word(NOUN, word, EventName::from_name);
            words.iter().map(name).collect()
        };
        let reason = |word: String| column::word(NOUN, &word, DisabledReason::from_name);
        let previous = stored.previous_secret.zip(stored.previous_until);
        Ok(Self {
            id: WebhookId::from_uuid(stored.id),
            merchant_id: MerchantId::from_uuid(stored.merchant_id),
            name: stored.name,
            url: stored.url,
            events: stored.events.map(names).transpose()?,
            enabled: stored.enabled,
            disabled_reason: stored.disabled_reason.map(reason).transpose()?,
            secret: stored.secret,
            previous: previous.map(|(sealed, until)| PreviousSecret {
                sealed,
                until_ms: until.timestamp_millis(),
            }),
            created_at_ms: stored.created_at.timestamp_millis(),
        })
    }
}
