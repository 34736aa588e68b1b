//! Tenants. A merchant is made together with the wallet that pays where a call names none, and with his free plan; he
//! is never deleted.

use diesel::prelude::*;
use diesel::upsert::excluded;
use uuid::Uuid;

use super::schema::{instance, merchants};
use super::wallets::{self, NewWallet};
use super::{StorageError, column, plans};
use crate::domain::account::Funding;
use crate::domain::ids::{MerchantId, Mode, WalletId};
use crate::engine::keyring::Merchant;

/// A merchant to be made; his id says whether he is a test merchant, and when he was made.
#[derive(Clone, Debug)]
pub struct NewMerchant {
    pub id: MerchantId,
    pub name: String,
    pub default_wallet_id: WalletId,
    /// How that wallet pays.
    pub funding: Funding,
}

/// A merchant as he is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantRow {
    pub id: MerchantId,
    pub name: String,
    pub default_wallet_id: WalletId,
    pub created_at_ms: i64,
}

impl MerchantRow {
    /// The merchant as every call knows him.
    pub fn merchant(&self) -> Merchant {
        Merchant {
            id: self.id,
            default_wallet_id: self.default_wallet_id,
        }
    }
}

/// Makes a merchant, his wallet and his free plan, or nothing.
pub fn create(connection: &mut PgConnection, new: &NewMerchant) -> Result<MerchantRow, StorageError> {
    let row = StoredMerchant {
        id: new.id.uuid(),
        name: new.name.clone(),
        mode: mode_word(new.id.mode()).to_owned(),
        created_at: column::instant(new.id.created_ms()),
        default_wallet_id: new.default_wallet_id.uuid(),
    };
    let wallet = NewWallet {
        id: new.default_wallet_id,
        merchant_id: new.id,
        funding: new.funding,
    };
    connection.transaction(|connection| {
        diesel::insert_into(merchants::table).values(&row).execute(connection)?;
        wallets::create(connection, wallet)?;
        plans::create_free(connection, new.id)?;
        Ok(row.into())
    })
}

pub fn find(connection: &mut PgConnection, id: MerchantId) -> Result<MerchantRow, StorageError> {
    let row = merchants::table
        .find(id.uuid())
        .select(StoredMerchant::as_select())
        .first(connection)?;
    Ok(row.into())
}

/// All merchants, oldest first. An operator has few of them.
pub fn list(connection: &mut PgConnection) -> Result<Vec<MerchantRow>, StorageError> {
    let rows = merchants::table
        .order(merchants::id)
        .select(StoredMerchant::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(MerchantRow::from).collect())
}

/// Whether nobody has ever used this database.
pub fn is_empty(connection: &mut PgConnection) -> Result<bool, StorageError> {
    let found =
        diesel::select(diesel::dsl::exists(merchants::table.select(merchants::id))).get_result::<bool>(connection)?;
    Ok(!found)
}

/// The value that the database keeps under this key, such as a fingerprint of the pepper: the one that is there, or
/// else `value`, which is kept from now on.
pub fn pin_instance_value(connection: &mut PgConnection, key: &str, value: &str) -> Result<String, StorageError> {
    let kept = diesel::insert_into(instance::table)
        .values((instance::key.eq(key), instance::value.eq(value)))
        .on_conflict(instance::key)
        // Changes nothing; it makes the row that is there come back.
        .do_update()
        .set(instance::key.eq(excluded(instance::key)))
        .returning(instance::value)
        .get_result(connection)?;
    Ok(kept)
}

/// The value that the database keeps under this key.
pub fn find_instance_value(connection: &mut PgConnection, key: &str) -> Result<Option<String>, StorageError> {
    Ok(instance::table
        .find(key)
        .select(instance::value)
        .first(connection)
        .optional()?)
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = merchants, check_for_backend(diesel::pg::Pg))]
pub(super) struct StoredMerchant {
    id: Uuid,
    name: String,
    mode: String,
    created_at: chrono::DateTime<chrono::Utc>,
    default_wallet_id: Uuid,
}

impl From<StoredMerchant> for MerchantRow {
    fn from(row: StoredMerchant) -> Self {
        Self {
            id: MerchantId::from_uuid(row.id),
            name: row.name,
            default_wallet_id: WalletId::from_uuid(row.default_wallet_id),
            created_at_ms: row.created_at.timestamp_millis(),
        }
    }
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "live",
        Mode::Test => "test",
    }
}
