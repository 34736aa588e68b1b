//! The credentials at providers that merchants stored, sealed: what is here opens only with a key that is not in the
//! database. A merchant has at most one a provider; storing another deletes the last one in the same transaction, and
//! what is deleted leaves no row.

use diesel::prelude::*;
use uuid::Uuid;

use super::StorageError;
use super::column;
use super::page::{Page, PageRequest};
use super::schema::provider_keys;
use crate::domain::ids::{MerchantId, ProviderKeyId};

/// A stored credential, still sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderKeyRow {
    pub id: ProviderKeyId,
    pub merchant_id: MerchantId,
    /// The provider's name in the catalogue.
    pub provider: String,
    pub name: Option<String>,
    pub sealed: Vec<u8>,
    /// Its last four characters.
    pub hint: String,
    pub created_at_ms: i64,
}

impl ProviderKeyRow {
    /// What the credential of this id is sealed for.
    pub fn place(id: ProviderKeyId) -> String {
        format!("provider_keys|{id}|key")
    }
}

/// Stores a credential in the place of the provider's last one; its `created_at_ms` is the time in its id.
pub fn replace(connection: &mut PgConnection, new: &ProviderKeyRow) -> Result<(), StorageError> {
    let row = StoredProviderKey {
        id: new.id.uuid(),
        merchant_id: new.merchant_id.uuid(),
        provider: new.provider.clone(),
        name: new.name.clone(),
        sealed: new.sealed.clone(),
        hint: new.hint.clone(),
        created_at: column::instant(new.id.created_ms()),
    };
    connection.transaction(|connection| {
        let last = provider_keys::merchant_id
            .eq(row.merchant_id)
            .and(provider_keys::provider.eq(&row.provider));
        diesel::delete(provider_keys::table.filter(last)).execute(connection)?;
        diesel::insert_into(provider_keys::table)
            .values(&row)
            .execute(connection)?;
        Ok(())
    })
}

pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    page: PageRequest,
) -> Result<Page<ProviderKeyRow>, StorageError> {
    let rows = provider_keys::table
        .filter(provider_keys::merchant_id.eq(merchant.uuid()))
        .filter(provider_keys::id.lt(page.before()))
        .order(provider_keys::id.desc())
        .limit(page.fetch_count())
        .select(StoredProviderKey::as_select())
        .load(connection)?;
    let rows = rows.into_iter().map(ProviderKeyRow::from).collect();
    Ok(Page::cut(rows, page, |row| row.id.bits()))
}

/// All of a merchant's credentials: he has one a provider at most.
pub fn load_of(connection: &mut PgConnection, merchant: MerchantId) -> Result<Vec<ProviderKeyRow>, StorageError> {
    let rows = provider_keys::table
        .filter(provider_keys::merchant_id.eq(merchant.uuid()))
        .select(StoredProviderKey::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(ProviderKeyRow::from).collect())
}

/// Deletes a credential for good.
pub fn delete(connection: &mut PgConnection, merchant: MerchantId, id: ProviderKeyId) -> Result<(), StorageError> {
    let own = provider_keys::merchant_id.eq(merchant.uuid());
    let deleted = diesel::delete(provider_keys::table.find(id.uuid()).filter(own)).execute(connection)?;
    if deleted == 1 {
        Ok(())
    } else {
        Err(StorageError::NotFound)
    }
}

/// Every credential of every merchant, for the start.
pub(super) fn load_all(connection: &mut PgConnection) -> Result<Vec<ProviderKeyRow>, StorageError> {
    let rows = provider_keys::table
        .select(StoredProviderKey::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(ProviderKeyRow::from).collect())
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = provider_keys, check_for_backend(diesel::pg::Pg))]
struct StoredProviderKey {
    id: Uuid,
    merchant_id: Uuid,
    provider: String,
    name: Option<String>,
    sealed: Vec<u8>,
    hint: String,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl From<StoredProviderKey> for ProviderKeyRow {
    fn from(row: StoredProviderKey) -> Self {
        Self {
            id: ProviderKeyId::from_uuid(row.id),
            merchant_id: MerchantId::from_uuid(row.merchant_id),
            provider: row.provider,
            name: row.name,
            sealed: row.sealed,
            hint: row.hint,
            created_at_ms: row.created_at.timestamp_millis(),
        }
    }
}
