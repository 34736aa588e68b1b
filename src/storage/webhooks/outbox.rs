//! Answers the outbox's port: what is due is taken under a lease with rows that others hold skipped over, and the end
//! of an attempt is stored together with what it says of the endpoint. An endpoint's row is changed before its
//! deliveries, as a deletion does, so that nobody waits in a circle.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::schema::{webhook_deliveries, webhook_events, webhooks};
use super::super::{Database, StorageError, column};
use crate::domain::ids::{CustomerId, DeliveryId, EventId, MerchantId, Mode, WebhookId, compose};
use crate::domain::webhook::{DeliveryStatus, EndpointFate, EventName, Fate, LONGEST_DELAY_MS};
use crate::engine::outbox::{ENDPOINT_ATTEMPTS, LEASE_MS};
use crate::engine::ports::{Answered, Deliveries, EndedAttempt, OutboxAway, OutboxCounts, TakenDelivery, Told};
use crate::engine::retention::{Age, Kept, PurgeRun, Retention};

/// A window that began longer ago than this has ended, whatever its cycle.
const LONGEST_WINDOW_S: i64 = 60 * 86_400;
const SWEPT_AT_ONCE: i64 = 1_000;

/// The outbox in Postgres.
pub struct PgOutbox {
    pub database: Database,
    /// How long an event is kept, whatever became of it; its purge is noted there.
    pub retention: Arc<Retention>,
}

impl Deliveries for PgOutbox {
    fn take(&self, now_ms: i64, most: usize) -> Answered<Vec<TakenDelivery>, OutboxAway> {
        self.run(move |connection| take(connection, now_ms, most))
    }

    fn end(&self, attempt: EndedAttempt) -> Answered<(), OutboxAway> {
        self.run(move |connection| connection.transaction(|connection| end(connection, &attempt)))
    }

    fn word(&self, event: EventId, body: String) -> Answered<String, OutboxAway> {
        self.run(move |connection| word(connection, event, &body))
    }

    fn forget(&self, delivery: DeliveryId) -> Answered<(), OutboxAway> {
        self.run(move |connection| {
            diesel::delete(webhook_deliveries::table.find(delivery.uuid())).execute(connection)?;
            Ok(())
        })
    }

    fn begin(&self, now_ms: i64) -> Answered<(), OutboxAway> {
        self.run(move |connection| begin(connection, now_ms))
    }

    fn count(&self) -> Answered<OutboxCounts, OutboxAway> {
        self.run(|connection| {
            let mut count = |status: DeliveryStatus| -> Result<u64, StorageError> {
                let rows = webhook_deliveries::table.filter(webhook_deliveries::status.eq(status.name()));
                Ok(rows.count().get_result::<i64>(connection)?.unsigned_abs())
            };
            Ok(OutboxCounts {
                pending: count(DeliveryStatus::Pending)?,
                dead: count(DeliveryStatus::Dead)?,
            })
        })
    }

    fn sweep(&self, now_ms: i64) -> Answered<(), OutboxAway> {
        let retention = self.retention.clone();
        self.run(move |connection| sweep(connection, &retention, now_ms))
    }
}

impl PgOutbox {
    fn run<T, F>(&self, work: F) -> Answered<T, OutboxAway>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StorageError> + Send + 'static,
    {
        let database = self.database.clone();
        Box::pin(async move { database.run(work).await.map_err(|error| OutboxAway(error.to_string())) })
    }
}

/// Of each endpoint that something waits for (found by leaps through the index) as many as it may have at once, of one
/// that fails a single one; the longest due first.
const TAKE: &str = "WITH RECURSIVE waiting AS ( \
    (SELECT webhook_id FROM webhook_deliveries WHERE status = 'pending' ORDER BY webhook_id LIMIT 1) \
    UNION ALL SELECT (SELECT n.webhook_id FROM webhook_deliveries n \
        WHERE n.status = 'pending' AND n.webhook_id > waiting.webhook_id ORDER BY n.webhook_id LIMIT 1) \
    FROM waiting WHERE waiting.webhook_id IS NOT NULL), \
    due AS MATERIALIZED (SELECT d.id FROM waiting JOIN webhooks w ON w.id = waiting.webhook_id CROSS JOIN LATERAL ( \
        SELECT p.id, p.due_at FROM webhook_deliveries p \
        WHERE p.webhook_id = w.id AND p.status = 'pending' AND p.due_at <= $1 \
            AND (p.leased_until IS NULL OR p.leased_until <= $1) \
        ORDER BY p.due_at \
        LIMIT greatest(0, CASE WHEN w.failing_since IS NULL THEN $3 ELSE 1 END - ( \
            SELECT count(*) FROM webhook_deliveries l \
            WHERE l.webhook_id = w.id AND l.leased_until IS NOT NULL AND l.leased_until > $1)) \
        FOR UPDATE SKIP LOCKED) d \
    WHERE w.enabled ORDER BY d.due_at LIMIT $4) \
    UPDATE webhook_deliveries d \
    SET attempt_count = d.attempt_count + 1, leased_until = $2, last_attempt_at = $1 \
    FROM due, webhooks w, webhook_events e \
    WHERE d.id = due.id AND w.id = d.webhook_id AND e.id = d.event_id \
    RETURNING d.id, d.webhook_id, d.event_id, d.merchant_id, d.subject, d.attempt_count, w.url, w.secret, \
        w.failing_since, w.events, e.name, e.body, CASE WHEN w.previous_until > $1 THEN w.previous_secret END AS previous";

fn take(connection: &mut PgConnection, now_ms: i64, most: usize) -> Result<Vec<TakenDelivery>, StorageError> {
    let rows: Vec<TakenRow> = sql_query(TAKE)
        .bind::<Timestamptz, _>(column::instant(now_ms))
        .bind::<Timestamptz, _>(column::instant(now_ms + LEASE_MS))
        .bind::<BigInt, _>(ENDPOINT_ATTEMPTS)
        .bind::<BigInt, _>(i64::try_from(most).unwrap_or(i64::MAX))
        .load(connection)?;
    rows.into_iter().map(TakenDelivery::try_from).collect()
}

/// Another attempt may have written it in between; then that is told.
fn word(connection: &mut PgConnection, event: EventId, body: &str) -> Result<String, StorageError> {
    let body = column::text(body);
    let empty = webhook_events::table
        .find(event.uuid())
        .filter(webhook_events::body.is_null());
    diesel::update(empty)
        .set(webhook_events::body.eq(&body))
        .execute(connection)?;
    let written: Option<String> = webhook_events::table
        .find(event.uuid())
        .select(webhook_events::body)
        .first(connection)?;
    Ok(written.unwrap_or(body))
}

fn begin(connection: &mut PgConnection, now_ms: i64) -> Result<(), StorageError> {
    use webhook_deliveries as columns;
    let leased = columns::table.filter(columns::leased_until.is_not_null());
    diesel::update(leased)
        .set(columns::leased_until.eq(None::<DateTime<Utc>>))
        .execute(connection)?;
    let strayed = columns::table
        .filter(columns::status.eq(DeliveryStatus::Pending.name()))
        .filter(columns::due_at.gt(column::instant(now_ms + LONGEST_DELAY_MS)));
    diesel::update(strayed)
        .set(columns::due_at.eq(column::instant(now_ms)))
        .execute(connection)?;
    Ok(())
}

fn end(connection: &mut PgConnection, attempt: &EndedAttempt) -> Result<(), StorageError> {
    note_endpoint(connection, attempt)?;
    let now = column::instant(attempt.at_ms);
    let (status, due_at, ended_at) = match attempt.fate {
        Fate::Delivered => (DeliveryStatus::Delivered, now, Some(now)),
        Fate::Dead => (DeliveryStatus::Dead, now, Some(now)),
        Fate::Retry { due_ms } => (DeliveryStatus::Pending, column::instant(due_ms), None),
    };
    let answer = attempt.outcome.as_ref().ok();
    // An attempt whose lease ran out, and that another has followed, says nothing any more.
    let own = webhook_deliveries::table
        .find(attempt.id.uuid())
        .filter(webhook_deliveries::status.eq(DeliveryStatus::Pending.name()))
        .filter(webhook_deliveries::leased_until.is_not_null())
        .filter(webhook_deliveries::attempt_count.eq(i32::try_from(attempt.attempt_count).unwrap_or(i32::MAX)));
    diesel::update(own)
        .set((
            webhook_deliveries::status.eq(status.name()),
            webhook_deliveries::due_at.eq(due_at),
            webhook_deliveries::ended_at.eq(ended_at),
            webhook_deliveries::leased_until.eq(None::<DateTime<Utc>>),
            webhook_deliveries::last_status.eq(answer.map(|answer| i32::from(answer.status))),
            webhook_deliveries::last_answer.eq(answer.map(|answer| column::text(&answer.body))),
            webhook_deliveries::last_error.eq(attempt.outcome.as_ref().err().map(|error| error.0)),
        ))
        .execute(connection)?;
    bury(connection, attempt)
}

/// What the attempt says of its endpoint.
fn note_endpoint(connection: &mut PgConnection, attempt: &EndedAttempt) -> Result<(), StorageError> {
    let endpoint = webhooks::table.find(attempt.webhook_id.uuid());
    let changed = match attempt.endpoint {
        EndpointFate::Works => diesel::update(endpoint.filter(webhooks::failing_since.is_not_null()))
            .set(webhooks::failing_since.eq(None::<DateTime<Utc>>))
            .execute(connection)?,
        EndpointFate::Fails => diesel::update(endpoint.filter(webhooks::failing_since.is_null()))
            .set(webhooks::failing_since.eq(column::instant(attempt.at_ms)))
            .execute(connection)?,
        EndpointFate::Disabled(reason) => diesel::update(endpoint.filter(webhooks::enabled))
            .set((webhooks::enabled.eq(false), webhooks::disabled_reason.eq(reason.name())))
            .execute(connection)?,
    };
    if let (EndpointFate::Disabled(reason), 1) = (attempt.endpoint, changed) {
        tracing::warn!(webhook.id = %attempt.webhook_id, reason = reason.name(), "an endpoint was disabled");
    }
    Ok(())
}

/// Whatever waits for an endpoint that was disabled, but not by its owner, is dead; he sees it in the list. What
/// another transaction holds is left waiting, and would be sent if he enabled it again.
fn bury(connection: &mut PgConnection, attempt: &EndedAttempt) -> Result<(), StorageError> {
    match (attempt.fate, attempt.endpoint) {
        (Fate::Delivered, EndpointFate::Works | EndpointFate::Fails) => return Ok(()),
        (Fate::Retry { .. } | Fate::Dead, _) | (Fate::Delivered, EndpointFate::Disabled(_)) => {}
    }
    sql_query(
        "UPDATE webhook_deliveries d SET status = 'dead', ended_at = $2, \
         last_error = coalesce(d.last_error, 'the endpoint was disabled') \
         FROM (SELECT p.id FROM webhooks w JOIN webhook_deliveries p ON p.webhook_id = w.id \
             WHERE w.id = $1 AND w.disabled_reason IS NOT NULL AND p.status = 'pending' AND p.leased_until IS NULL \
             FOR UPDATE OF p SKIP LOCKED) waiting \
         WHERE d.id = waiting.id",
    )
    .bind::<SqlUuid, _>(attempt.webhook_id.uuid())
    .bind::<Timestamptz, _>(column::instant(attempt.at_ms))
    .execute(connection)?;
    Ok(())
}

fn sweep(connection: &mut PgConnection, retention: &Retention, now_ms: i64) -> Result<(), StorageError> {
    if let Some(days) = Kept::WebhookDeliveries.days(&retention.options()) {
        let mut run = PurgeRun {
            began_ms: now_ms,
            ended_ms: now_ms,
            rows: 0,
            error: None,
        };
        let swept = sweep_events(connection, Age { now_ms, days }, &mut run.rows);
        run.error = swept.as_ref().err().map(ToString::to_string);
        retention.note(Kept::WebhookDeliveries, run);
        swept?;
    }
    sql_query("DELETE FROM spend_key_thresholds WHERE cycle <> 'total' AND window_start < $1")
        .bind::<BigInt, _>(now_ms.div_euclid(1000) - LONGEST_WINDOW_S)
        .execute(connection)?;
    Ok(())
}

/// Ids begin with their time; the deliveries go with their event. A few at a time, so that nobody waits for long.
fn sweep_events(connection: &mut PgConnection, age: Age, rows: &mut u64) -> Result<(), StorageError> {
    let oldest = Uuid::from_u128(compose(Mode::Live, age.oldest_ms(), 0));
    loop {
        let swept =
            sql_query("DELETE FROM webhook_events WHERE id IN (SELECT id FROM webhook_events WHERE id < $1 LIMIT $2)")
                .bind::<SqlUuid, _>(oldest)
                .bind::<BigInt, _>(SWEPT_AT_ONCE)
                .execute(connection)?;
        *rows += swept as u64;
        if swept == 0 {
            return Ok(());
        }
    }
}

#[derive(QueryableByName)]
struct TakenRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    webhook_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    event_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    merchant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    subject: Uuid,
    #[diesel(sql_type = Integer)]
    attempt_count: i32,
    #[diesel(sql_type = Text)]
    url: String,
    #[diesel(sql_type = Binary)]
    secret: Vec<u8>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    failing_since: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Array<Text>>)]
    events: Option<Vec<String>>,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    body: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    previous: Option<Vec<u8>>,
}

impl TryFrom<TakenRow> for TakenDelivery {
    type Error = StorageError;

    fn try_from(row: TakenRow) -> Result<Self, StorageError> {
        let name = column::word("event", &row.name, EventName::from_name)?;
        let message = match row.body {
            Some(body) => Told::Body(body),
            None => Told::Customer(name, CustomerId::from_uuid(row.subject)),
        };
        let asked = row.events.unwrap_or_default();
        let is_asked = |older: &EventName| asked.iter().any(|word| word == older.name());
        Ok(Self {
            id: DeliveryId::from_uuid(row.id),
            webhook_id: WebhookId::from_uuid(row.webhook_id),
            event_id: EventId::from_uuid(row.event_id),
            merchant_id: MerchantId::from_uuid(row.merchant_id),
            url: row.url,
            sealed: std::iter::once(row.secret).chain(row.previous).collect(),
            message,
            older_name: name.older().filter(is_asked),
            attempt_count: row.attempt_count.unsigned_abs(),
            failing_since_ms: row.failing_since.map(|since| since.timestamp_millis()),
        })
    }
}
