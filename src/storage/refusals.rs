//! The table of refused calls: see `engine::refusals`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::upsert::excluded;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::{StorageError, column};
use crate::domain::ids::{MerchantId, RequestId, SpendKeyId};
use crate::engine::refusals::{RefusalBatch, RefusalKind, RefusalTally};

/// Rows of one statement: it takes no more than 65,535 values.
const CHUNK: usize = 1_000;
/// Of a message, in characters.
const MESSAGE_LENGTH: usize = 500;

diesel::table! {
    refusals (merchant_id, hour, spend_key_id, code) {
        merchant_id -> Uuid,
        hour -> Timestamptz,
        spend_key_id -> Uuid,
        code -> Text,
        call_count -> BigInt,
        first_at -> Timestamptz,
        last_at -> Timestamptz,
        request_id -> Uuid,
        status -> SmallInt,
        message -> Text,
    }
}

/// The refusals of one kind in an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusalRow {
    pub spend_key_id: Option<SpendKeyId>,
    pub code: String,
    pub count: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    /// Of the last one, as are its status and its message.
    pub request_id: RequestId,
    pub status: u16,
    pub message: String,
}

/// Which refusals; empty fields ask for all.
#[derive(Clone, Debug, Default)]
pub struct RefusalFilter {
    pub spend_key_id: Option<SpendKeyId>,
    pub code: Option<String>,
    /// Those whose last one came at this time or later, in unix milliseconds.
    pub from_ms: Option<i64>,
    /// Those whose first one came at this time or earlier.
    pub to_ms: Option<i64>,
}

/// Adds what was refused to what is stored: all of it, or nothing.
pub fn add(connection: &mut PgConnection, batch: &RefusalBatch) -> Result<(), StorageError> {
    let rows: Vec<NewRow> = batch.iter().map(|(kind, tally)| NewRow::of(kind, tally)).collect();
    connection.transaction(|connection| {
        for rows in rows.chunks(CHUNK) {
            diesel::insert_into(refusals::table)
                .values(rows)
                .on_conflict((
                    refusals::merchant_id,
                    refusals::hour,
                    refusals::spend_key_id,
                    refusals::code,
                ))
                .do_update()
                .set((
                    refusals::call_count.eq(refusals::call_count + excluded(refusals::call_count)),
                    refusals::last_at.eq(excluded(refusals::last_at)),
                    refusals::request_id.eq(excluded(refusals::request_id)),
                    refusals::status.eq(excluded(refusals::status)),
                    refusals::message.eq(excluded(refusals::message)),
                ))
                .execute(connection)?;
        }
        Ok(())
    })
}

/// Those whose last one is the latest come first.
pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    filter: &RefusalFilter,
    page: PageRequest,
) -> Result<Page<RefusalRow>, StorageError> {
    let mut query = refusals::table
        .filter(refusals::merchant_id.eq(merchant.uuid()))
        .filter(refusals::request_id.lt(page.before()))
        .order(refusals::request_id.desc())
        .limit(page.fetch_count())
        .select(StoredRow::as_select())
        .into_boxed();
    if let Some(key) = filter.spend_key_id {
        query = query.filter(refusals::spend_key_id.eq(key.uuid()));
    }
    if let Some(code) = &filter.code {
        query = query.filter(refusals::code.eq(code));
    }
    if let Some(from_ms) = filter.from_ms {
        query = query.filter(refusals::last_at.ge(column::instant(from_ms)));
    }
    if let Some(to_ms) = filter.to_ms {
        query = query.filter(refusals::first_at.le(column::instant(to_ms)));
    }
    let rows: Vec<StoredRow> = query.load(connection)?;
    Ok(Page::cut(
        rows.into_iter().map(RefusalRow::from).collect(),
        page,
        |row| row.request_id.bits(),
    ))
}

#[derive(Insertable)]
#[diesel(table_name = refusals)]
struct NewRow {
    merchant_id: Uuid,
    hour: DateTime<Utc>,
    spend_key_id: Uuid,
    code: &'static str,
    call_count: i64,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    request_id: Uuid,
    status: i16,
    message: String,
}

impl NewRow {
    fn of(kind: &RefusalKind, tally: &RefusalTally) -> Self {
        Self {
            merchant_id: kind.merchant_id.uuid(),
            hour: column::instant(kind.hour_ms),
            spend_key_id: kind.spend_key_id.map_or(Uuid::nil(), |key| key.uuid()),
            code: kind.code,
            call_count: column::count_column(tally.count),
            first_at: column::instant(tally.first_ms),
            last_at: column::instant(tally.last_ms),
            request_id: tally.request_id.uuid(),
            status: i16::try_from(tally.status).unwrap_or(500),
            message: column::text(&tally.message).chars().take(MESSAGE_LENGTH).collect(),
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = refusals)]
struct StoredRow {
    spend_key_id: Uuid,
    code: String,
    call_count: i64,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    request_id: Uuid,
    status: i16,
    message: String,
}

impl From<StoredRow> for RefusalRow {
    fn from(row: StoredRow) -> Self {
        Self {
            spend_key_id: (!row.spend_key_id.is_nil()).then(|| SpendKeyId::from_uuid(row.spend_key_id)),
            code: row.code,
            count: row.call_count.unsigned_abs(),
            first_ms: row.first_at.timestamp_millis(),
            last_ms: row.last_at.timestamp_millis(),
            request_id: RequestId::from_uuid(row.request_id),
            status: row.status.unsigned_abs(),
            message: row.message,
        }
    }
}
