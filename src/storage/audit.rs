//! The audit log: who asked for which change, when, from where, and how it ended. An event is stored before its change
//! begins, so that a change without an event cannot be; one without a status was under way when the process ended.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::{StorageError, column};
use crate::domain::ids::{AuditEventId, MerchantId};

diesel::table! {
    audit_events (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        actor_kind -> Text,
        actor -> Text,
        action -> Text,
        target -> Nullable<Text>,
        asked -> Nullable<Jsonb>,
        status -> Nullable<SmallInt>,
        address -> Nullable<Text>,
        at -> Timestamptz,
    }
}

/// Who asks for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    SecretKey,
    WalletKey,
    Dashboard,
    Operator,
}

impl ActorKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::SecretKey => "secret_key",
            Self::WalletKey => "wallet_key",
            Self::Dashboard => "dashboard",
            Self::Operator => "operator",
        }
    }
}

/// A change that is about to be made.
#[derive(Clone, Debug)]
pub struct NewAuditEvent {
    pub id: AuditEventId,
    pub merchant_id: MerchantId,
    pub actor_kind: ActorKind,
    /// The id of the key or the name of the session.
    pub actor: String,
    /// Noun and verb, as `spend_keys.rotate`.
    pub action: String,
    pub target: Option<String>,
    pub address: Option<String>,
}

/// How a change ended.
#[derive(Clone, Debug)]
pub struct AuditOutcome {
    pub status: u16,
    /// What was made, where it had no id before.
    pub target: Option<String>,
    /// What was asked, without secrets.
    pub asked: Option<Value>,
}

/// An event as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    pub id: AuditEventId,
    pub actor_kind: String,
    pub actor: String,
    pub action: String,
    pub target: Option<String>,
    pub asked: Option<Value>,
    /// `None`: the process ended before there was an answer.
    pub status: Option<u16>,
    pub address: Option<String>,
    pub at_ms: i64,
}

/// Which events; empty fields ask for all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// What the action begins with, as `spend_keys` or `spend_keys.rotate`.
    pub action: Option<String>,
    pub target: Option<String>,
    pub actor: Option<String>,
}

/// Stores an event before its change.
pub fn begin(connection: &mut PgConnection, new: &NewAuditEvent) -> Result<(), StorageError> {
    diesel::insert_into(audit_events::table)
        .values((
            audit_events::id.eq(new.id.uuid()),
            audit_events::merchant_id.eq(new.merchant_id.uuid()),
            audit_events::actor_kind.eq(new.actor_kind.name()),
            audit_events::actor.eq(cut(&new.actor, 100)),
            audit_events::action.eq(cut(&new.action, 100)),
            audit_events::target.eq(new.target.as_deref().map(|target| cut(target, 255))),
            audit_events::address.eq(new.address.as_deref().map(|address| cut(address, 64))),
            audit_events::at.eq(column::instant(new.id.created_ms())),
        ))
        .execute(connection)?;
    Ok(())
}

/// Stores how its change ended.
pub fn finish(connection: &mut PgConnection, id: AuditEventId, outcome: &AuditOutcome) -> Result<(), StorageError> {
    let row = diesel::update(audit_events::table.find(id.uuid()));
    let status = i16::try_from(outcome.status).ok();
    let asked = outcome.asked.as_ref().map(column::holdable);
    match outcome.target.as_deref() {
        Some(target) => row
            .set((
                audit_events::status.eq(status),
                audit_events::asked.eq(&asked),
                audit_events::target.eq(cut(target, 255)),
            ))
            .execute(connection)?,
        None => row
            .set((audit_events::status.eq(status), audit_events::asked.eq(&asked)))
            .execute(connection)?,
    };
    Ok(())
}

/// Newest first.
pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    filter: &AuditFilter,
    page: PageRequest,
) -> Result<Page<AuditRow>, StorageError> {
    let mut query = audit_events::table
        .filter(audit_events::merchant_id.eq(merchant.uuid()))
        .filter(audit_events::id.lt(page.before()))
        .order(audit_events::id.desc())
        .limit(page.fetch_count())
        .select(StoredEvent::as_select())
        .into_boxed();
    if let Some(action) = &filter.action {
        let pattern = format!(
            "{}%",
            action.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
        );
        query = query.filter(audit_events::action.like(pattern));
    }
    if let Some(target) = &filter.target {
        query = query.filter(audit_events::target.eq(target));
    }
    if let Some(actor) = &filter.actor {
        query = query.filter(audit_events::actor.eq(actor));
    }
    let rows: Vec<StoredEvent> = query.load(connection)?;
    Ok(Page::cut(rows.into_iter().map(AuditRow::from).collect(), page, |row| {
        row.id.bits()
    }))
}

/// The first characters of what a client chose; a NUL, which Postgres cannot hold, is replaced.
fn cut(text: &str, most: usize) -> String {
    column::text(text).chars().take(most).collect()
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_events)]
struct StoredEvent {
    id: Uuid,
    actor_kind: String,
    actor: String,
    action: String,
    target: Option<String>,
    asked: Option<Value>,
    status: Option<i16>,
    address: Option<String>,
    at: DateTime<Utc>,
}

impl From<StoredEvent> for AuditRow {
    fn from(row: StoredEvent) -> Self {
        Self {
            id: AuditEventId::from_uuid(row.id),
            actor_kind: row.actor_kind,
            actor: row.actor,
            action: row.action,
            target: row.target,
            asked: row.asked,
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            address: row.address,
            at_ms: row.at.timestamp_millis(),
        }
    }
}
