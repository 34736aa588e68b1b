//! Spend keys: their settings, secrets and tags. A partial update reads and writes under one row lock, so two of them
//! never lose a field of each other. A revoked key leaves every query here for good; its row stays for the books.

mod listing;
mod row;

use diesel::prelude::*;

use super::StorageError;
use super::keys::{NewSecret, Owner};
use super::page::{Page, PageRequest};
use super::schema::{spend_key_counters, spend_keys};
use crate::domain::credential::KeyHash;
use crate::domain::ids::SpendKeyId;
use crate::domain::key::{KeySettings, KeyStatus};
use crate::domain::spend::StoredCounters;
pub use listing::{KeyChoice, KeyOrder, Standing, choose, names};
pub(super) use row::{StoredCounterRow, StoredSpendKey};

/// What an edit may change: of the settings everything but the id, the merchant, the wallet and the secret's version,
/// which stay as they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Editable {
    pub settings: KeySettings,
    pub tags: Option<Vec<String>>,
}

/// A spend key, without its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct SpendKeyRow {
    pub settings: KeySettings,
    pub tags: Option<Vec<String>>,
    pub hash: KeyHash,
    /// The secret before the last rotation, where that gave it some time to live.
    pub previous: Option<PreviousSecret>,
    pub preview: String,
    pub created_at_ms: i64,
}

/// A secret that was rotated away and is taken until its time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousSecret {
    pub hash: KeyHash,
    /// Unix milliseconds.
    pub until_ms: i64,
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    pub row: SpendKeyRow,
    /// The hashes that no longer hold, to be taken out of the keyring before the answer.
    pub ended: Vec<KeyHash>,
}

/// Stores a new spend key; `Conflict` where its hash is there already.
pub fn insert(connection: &mut PgConnection, row: &SpendKeyRow) -> Result<(), StorageError> {
    diesel::insert_into(spend_keys::table)
        .values(StoredSpendKey::from(row))
        .execute(connection)?;
    Ok(())
}

pub fn find(connection: &mut PgConnection, owner: Owner, id: SpendKeyId) -> Result<SpendKeyRow, StorageError> {
    spend_keys::table
        .find(id.uuid())
        .filter(owned_by(owner))
        .select(StoredSpendKey::as_select())
        .first(connection)?
        .try_into()
}

/// Those of these keys that are there, in no order.
pub fn find_all(
    connection: &mut PgConnection,
    owner: Owner,
    ids: &[SpendKeyId],
) -> Result<Vec<SpendKeyRow>, StorageError> {
    let rows = spend_keys::table
        .filter(spend_keys::id.eq_any(ids.iter().map(|id| id.uuid())))
        .filter(owned_by(owner))
        .select(StoredSpendKey::as_select())
        .load(connection)?;
    rows.into_iter().map(SpendKeyRow::try_from).collect()
}

pub fn list(connection: &mut PgConnection, owner: Owner, page: PageRequest) -> Result<Page<SpendKeyRow>, StorageError> {
    let rows = spend_keys::table
        .filter(owned_by(owner))
        .filter(spend_keys::id.lt(page.before()))
        .order(spend_keys::id.desc())
        .limit(page.fetch_count())
        .select(StoredSpendKey::as_select())
        .load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(SpendKeyRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.settings.id.bits()))
}

/// Replaces a key's settings by what `edit` makes of them. Where `edit` refuses, nothing changes and the refusal is
/// the inner result.
pub fn update<Refusal>(
    connection: &mut PgConnection,
    owner: Owner,
    id: SpendKeyId,
    edit: impl FnOnce(Editable) -> Result<Editable, Refusal>,
) -> Result<Result<SpendKeyRow, Refusal>, StorageError> {
    connection.transaction(|connection| {
        let mut row = lock(connection, owner, id)?;
        let edited = match edit(Editable {
            settings: row.settings.clone(),
            tags: row.tags.take(),
        }) {
            Ok(edited) => edited,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let kept = &row.settings;
        row.settings = KeySettings {
            id: kept.id,
            merchant_id: kept.merchant_id,
            wallet_id: kept.wallet_id,
            secret_version: kept.secret_version,
            ..edited.settings
        };
        row.tags = edited.tags;
        save(connection, &row)?;
        Ok(Ok(row))
    })
}

/// Gives a key a new secret, by which its version grows. With `grace_until_ms` the old one is taken until then.
pub fn rotate(
    connection: &mut PgConnection,
    owner: Owner,
    id: SpendKeyId,
    secret: NewSecret,
    grace_until_ms: Option<i64>,
) -> Result<Rotation, StorageError> {
    connection.transaction(|connection| {
        let mut row = lock(connection, owner, id)?;
        let old = std::mem::replace(&mut row.hash, secret.hash);
        let graced = grace_until_ms.map(|until_ms| PreviousSecret { hash: old, until_ms });
        let before = std::mem::replace(&mut row.previous, graced);
        row.preview = secret.preview;
        row.settings.secret_version = row.settings.secret_version.wrapping_add(1);
        save(connection, &row)?;
        let mut ended: Vec<KeyHash> = before.into_iter().map(|previous| previous.hash).collect();
        if row.previous.is_none() {
            ended.push(old);
        }
        Ok(Rotation { row, ended })
    })
}

/// Ends a key for good. The row that comes back has the hashes to be taken out of the keyring, and settings that say
/// `Revoked`, for the shard.
pub fn revoke(connection: &mut PgConnection, owner: Owner, id: SpendKeyId) -> Result<SpendKeyRow, StorageError> {
    connection.transaction(|connection| {
        let mut row = lock(connection, owner, id)?;
        row.settings.status = KeyStatus::Revoked;
        diesel::update(spend_keys::table.find(id.uuid()))
            .set((
                spend_keys::status.eq(KeyStatus::Revoked.name()),
                spend_keys::revoked_at.eq(diesel::dsl::now),
            ))
            .execute(connection)?;
        Ok(row)
    })
}

/// What the billing writer has counted for a key; zeros for one that was never used.
pub fn find_counters(connection: &mut PgConnection, id: SpendKeyId) -> Result<StoredCounters, StorageError> {
    let row: Option<StoredCounterRow> = spend_key_counters::table
        .find(id.uuid())
        .select(StoredCounterRow::as_select())
        .first(connection)
        .optional()?;
    Ok(row.map_or_else(StoredCounters::default, StoredCounters::from))
}

fn lock(connection: &mut PgConnection, owner: Owner, id: SpendKeyId) -> Result<SpendKeyRow, StorageError> {
    spend_keys::table
        .find(id.uuid())
        .filter(owned_by(owner))
        .select(StoredSpendKey::as_select())
        // Leaves the billing writer free to refer to the row.
        .for_no_key_update()
        .first(connection)?
        .try_into()
}

fn save(connection: &mut PgConnection, row: &SpendKeyRow) -> Result<(), StorageError> {
    diesel::update(spend_keys::table.find(row.settings.id.uuid()))
        .set(StoredSpendKey::from(row))
        .execute(connection)?;
    Ok(())
}

type Condition = Box<dyn BoxableExpression<spend_keys::table, diesel::pg::Pg, SqlType = diesel::sql_types::Bool>>;

fn owned_by(owner: Owner) -> Condition {
    let of_merchant = spend_keys::merchant_id
        .eq(owner.merchant_id.uuid())
        .and(spend_keys::revoked_at.is_null());
    match owner.wallet_id {
        Some(wallet) => Box::new(of_merchant.and(spend_keys::wallet_id.eq(wallet.uuid()))),
        None => Box::new(of_merchant),
    }
}
