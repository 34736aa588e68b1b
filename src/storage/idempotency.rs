//! The rows of idempotency keys: which POST a key stood on, and what was answered, sealed. A row is made before its work
//! begins. It is for one process, which lets in one call of a key at a time: a row without an answer is therefore not
//! under way but was left so. Rows older than a day count as absent, and are deleted in batches.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Timestamptz;
use uuid::Uuid;

use super::schema::idempotency_keys;
use super::{StorageError, column};
use crate::domain::credential::KeyHash;
use crate::domain::ids::MerchantId;

/// How long an answer is kept.
pub const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;
/// How many rows one statement deletes.
pub const PRUNED_AT_ONCE: usize = 1000;
/// How often a claim begins anew, where its row is deleted under its hands.
const ATTEMPTS: usize = 3;

/// SHA-256 of a call's method, path and body.
pub type Fingerprint = [u8; 32];

/// Where a key's row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub merchant_id: MerchantId,
    pub key_hash: KeyHash,
}

/// What a key's row says to a call that names the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key is new: the work is to be done.
    New,
    /// The work was done; its answer, sealed.
    Answered(Vec<u8>),
    /// The work was begun and its answer never stored: it is not known whether it was done.
    Unanswered,
    /// The key stood on another request.
    OtherRequest,
}

/// Makes the key's row, or says what is there already.
pub fn claim(
    connection: &mut PgConnection,
    place: Place,
    fingerprint: Fingerprint,
    now_ms: i64,
) -> Result<Claim, StorageError> {
    for _ in 0..ATTEMPTS {
        if insert(connection, place, fingerprint, now_ms)? {
            return Ok(Claim::New);
        }
        if let Some(row) = find(connection, place)? {
            if row.created_at >= oldest(now_ms) {
                return Ok(row.claim(&fingerprint));
            }
            release(connection, place)?;
        }
    }
    Err(StorageError::Unavailable(
        "an idempotency key's row comes and goes".to_owned(),
    ))
}

/// Stores the sealed answer of work that has ended.
pub fn answer(connection: &mut PgConnection, place: Place, sealed: &[u8]) -> Result<(), StorageError> {
    let row = idempotency_keys::table.find((place.merchant_id.uuid(), place.key_hash.to_vec()));
    diesel::update(row)
        .set(idempotency_keys::answer.eq(sealed))
        .execute(connection)?;
    Ok(())
}

/// Gives a key back, so that it may be used again.
pub fn release(connection: &mut PgConnection, place: Place) -> Result<(), StorageError> {
    let row = idempotency_keys::table.find((place.merchant_id.uuid(), place.key_hash.to_vec()));
    diesel::delete(row).execute(connection)?;
    Ok(())
}

/// Deletes up to [`PRUNED_AT_ONCE`] rows that are a day old; how many it deleted.
pub fn prune(connection: &mut PgConnection, now_ms: i64) -> Result<usize, StorageError> {
    let statement = format!(
        "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency_keys \
         WHERE created_at < $1 ORDER BY created_at LIMIT {PRUNED_AT_ONCE}))"
    );
    let deleted = diesel::sql_query(statement)
        .bind::<Timestamptz, _>(oldest(now_ms))
        .execute(connection)?;
    Ok(deleted)
}

fn insert(
    connection: &mut PgConnection,
    place: Place,
    fingerprint: Fingerprint,
    now_ms: i64,
) -> Result<bool, StorageError> {
    let row = StoredKey {
        merchant_id: place.merchant_id.uuid(),
        key_hash: place.key_hash.to_vec(),
        fingerprint: fingerprint.to_vec(),
        answer: None,
        created_at: column::instant(now_ms),
    };
    let inserted = diesel::insert_into(idempotency_keys::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(connection)?;
    Ok(inserted == 1)
}

fn find(connection: &mut PgConnection, place: Place) -> Result<Option<StoredKey>, StorageError> {
    let row = idempotency_keys::table
        .find((place.merchant_id.uuid(), place.key_hash.to_vec()))
        .select(StoredKey::as_select())
        .first(connection)
        .optional()?;
    Ok(row)
}

fn oldest(now_ms: i64) -> DateTime<Utc> {
    column::instant(now_ms.saturating_sub(LIFETIME_MS))
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys, check_for_backend(diesel::pg::Pg))]
struct StoredKey {
    merchant_id: Uuid,
    key_hash: Vec<u8>,
    fingerprint: Vec<u8>,
    answer: Option<Vec<u8>>,
    created_at: DateTime<Utc>,
}

impl StoredKey {
    fn claim(self, fingerprint: &Fingerprint) -> Claim {
        if self.fingerprint != fingerprint {
            return Claim::OtherRequest;
        }
        self.answer.map_or(Claim::Unanswered, Claim::Answered)
    }
}
