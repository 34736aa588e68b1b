//! The keys that manage: secret keys of a merchant, wallet keys of one wallet. Only hashes are stored. Whoever revokes
//! or rotates gets back the hash that no longer holds, to take it out of the keyring before he answers.

use diesel::prelude::*;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::schema::{secret_keys, wallet_keys};
use super::{StorageError, column};
use crate::domain::credential::KeyHash;
use crate::domain::ids::{MerchantId, SecretKeyId, WalletId, WalletKeyId};

/// Who asks: a merchant, or whoever may see only one of his wallets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub merchant_id: MerchantId,
    /// `None`: all wallets of the merchant.
    pub wallet_id: Option<WalletId>,
}

/// A secret key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKeyRow {
    pub id: SecretKeyId,
    pub merchant_id: MerchantId,
    pub name: String,
    pub hash: KeyHash,
    /// The last four characters.
    pub hint: String,
    pub created_at_ms: i64,
}

/// A wallet key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletKeyRow {
    pub id: WalletKeyId,
    pub merchant_id: MerchantId,
    pub wallet_id: WalletId,
    pub name: String,
    pub hash: KeyHash,
    pub preview: String,
    pub last_used_ms: Option<i64>,
    pub created_at_ms: i64,
}

/// What is stored of a new secret.
#[derive(Clone, Debug)]
pub struct NewSecret {
    pub hash: KeyHash,
    pub preview: String,
}

/// For how long a secret key holds where nobody revokes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    Always,
    /// Until the server is started again: it belongs to what is in the memory of this run.
    ThisRun,
}

/// Stores a new secret key; its `created_at_ms` is the time in its id.
pub fn create_secret(connection: &mut PgConnection, new: &SecretKeyRow, lasting: Lasting) -> Result<(), StorageError> {
    let row = StoredSecretKey {
        id: new.id.uuid(),
        merchant_id: new.merchant_id.uuid(),
        name: new.name.clone(),
        hash: new.hash.to_vec(),
        hint: new.hint.clone(),
        created_at: column::instant(new.id.created_ms()),
    };
    diesel::insert_into(secret_keys::table)
        .values((&row, secret_keys::of_one_run.eq(lasting == Lasting::ThisRun)))
        .execute(connection)?;
    Ok(())
}

pub fn list_secret(
    connection: &mut PgConnection,
    merchant: MerchantId,
    page: PageRequest,
) -> Result<Page<SecretKeyRow>, StorageError> {
    let rows = secret_keys::table
        .filter(
            secret_keys::merchant_id
                .eq(merchant.uuid())
                .and(secret_keys::revoked_at.is_null()),
        )
        .filter(secret_keys::id.lt(page.before()))
        .order(secret_keys::id.desc())
        .limit(page.fetch_count())
        .select(StoredSecretKey::as_select())
        .load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(SecretKeyRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.id.bits()))
}

/// Ends a secret key for good.
pub fn revoke_secret(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id: SecretKeyId,
) -> Result<SecretKeyRow, StorageError> {
    let active = secret_keys::merchant_id
        .eq(merchant.uuid())
        .and(secret_keys::revoked_at.is_null());
    diesel::update(secret_keys::table.find(id.uuid()).filter(active))
        .set(secret_keys::revoked_at.eq(diesel::dsl::now))
        .returning(StoredSecretKey::as_returning())
        .get_result(connection)?
        .try_into()
}

/// Ends the secret keys that belonged to an earlier run, for the start; how many there were.
pub fn revoke_of_earlier_runs(connection: &mut PgConnection) -> Result<usize, StorageError> {
    let left = secret_keys::of_one_run.and(secret_keys::revoked_at.is_null());
    let ended = diesel::update(secret_keys::table.filter(left))
        .set(secret_keys::revoked_at.eq(diesel::dsl::now))
        .execute(connection)?;
    Ok(ended)
}

/// Stores a new wallet key; a wallet of another merchant is not found.
pub fn create_wallet(connection: &mut PgConnection, new: &WalletKeyRow) -> Result<(), StorageError> {
    super::wallets::find(connection, new.merchant_id, new.wallet_id)?;
    let row = StoredWalletKey {
        id: new.id.uuid(),
        merchant_id: new.merchant_id.uuid(),
        wallet_id: new.wallet_id.uuid(),
        name: new.name.clone(),
        hash: new.hash.to_vec(),
        preview: new.preview.clone(),
        last_used_at: None,
        created_at: column::instant(new.id.created_ms()),
    };
    diesel::insert_into(wallet_keys::table)
        .values(&row)
        .execute(connection)?;
    Ok(())
}

pub fn list_wallet(
    connection: &mut PgConnection,
    owner: Owner,
    page: PageRequest,
) -> Result<Page<WalletKeyRow>, StorageError> {
    let rows = wallet_keys::table
        .filter(wallet_key_of(owner))
        .filter(wallet_keys::id.lt(page.before()))
        .order(wallet_keys::id.desc())
        .limit(page.fetch_count())
        .select(StoredWalletKey::as_select())
        .load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(WalletKeyRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.id.bits()))
}

/// Ends a wallet key for good.
pub fn revoke_wallet(
    connection: &mut PgConnection,
    owner: Owner,
    id: WalletKeyId,
) -> Result<WalletKeyRow, StorageError> {
    diesel::update(wallet_keys::table.find(id.uuid()).filter(wallet_key_of(owner)))
        .set(wallet_keys::revoked_at.eq(diesel::dsl::now))
        .returning(StoredWalletKey::as_returning())
        .get_result(connection)?
        .try_into()
}

/// Gives a wallet key a new secret; returns the key and the hash that no longer holds.
pub fn rotate_wallet(
    connection: &mut PgConnection,
    owner: Owner,
    id: WalletKeyId,
    secret: &NewSecret,
) -> Result<(WalletKeyRow, KeyHash), StorageError> {
    connection.transaction(|connection| {
        let old: Vec<u8> = wallet_keys::table
            .find(id.uuid())
            .filter(wallet_key_of(owner))
            .select(wallet_keys::hash)
            .for_no_key_update()
            .first(connection)?;
        let row = diesel::update(wallet_keys::table.find(id.uuid()))
            .set((
                wallet_keys::hash.eq(secret.hash.to_vec()),
                wallet_keys::preview.eq(&secret.preview),
            ))
            .returning(StoredWalletKey::as_returning())
            .get_result(connection)?;
        Ok((row.try_into()?, column::hash("wallet key", &old)?))
    })
}

/// Saves when wallet keys were last used, in unix milliseconds; an earlier instant than the stored one changes nothing.
pub fn save_last_used(connection: &mut PgConnection, used: &[(WalletKeyId, i64)]) -> Result<(), StorageError> {
    let mut used = used.to_vec();
    used.sort_unstable();
    connection.transaction(|connection| {
        for (id, used_ms) in used {
            let at = column::instant(used_ms);
            let later = wallet_keys::last_used_at.is_null().or(wallet_keys::last_used_at.lt(at));
            diesel::update(wallet_keys::table.find(id.uuid()).filter(later))
                .set(wallet_keys::last_used_at.eq(at))
                .execute(connection)?;
        }
        Ok(())
    })
}

/// Which of these hashes belong to a secret or wallet key that is in force.
pub fn live_hashes(connection: &mut PgConnection, hashes: &[KeyHash]) -> Result<Vec<KeyHash>, StorageError> {
    let wanted: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
    let secret: Vec<Vec<u8>> = secret_keys::table
        .filter(secret_keys::hash.eq_any(&wanted).and(secret_keys::revoked_at.is_null()))
        .select(secret_keys::hash)
        .load(connection)?;
    let wallet: Vec<Vec<u8>> = wallet_keys::table
        .filter(wallet_keys::hash.eq_any(&wanted).and(wallet_keys::revoked_at.is_null()))
        .select(wallet_keys::hash)
        .load(connection)?;
    let stored = secret.iter().chain(&wallet);
    stored.map(|hash| column::hash("key", hash)).collect()
}

/// Every secret key of every merchant, for the start.
pub(super) fn load_all_secret(connection: &mut PgConnection) -> Result<Vec<SecretKeyRow>, StorageError> {
    let active = secret_keys::table.filter(secret_keys::revoked_at.is_null());
    let rows = active.select(StoredSecretKey::as_select()).load(connection)?;
    rows.into_iter().map(SecretKeyRow::try_from).collect()
}

/// Every wallet key of every merchant, for the start.
pub(super) fn load_all_wallet(connection: &mut PgConnection) -> Result<Vec<WalletKeyRow>, StorageError> {
    let active = wallet_keys::table.filter(wallet_keys::revoked_at.is_null());
    let rows = active.select(StoredWalletKey::as_select()).load(connection)?;
    rows.into_iter().map(WalletKeyRow::try_from).collect()
}

type Condition = Box<dyn BoxableExpression<wallet_keys::table, diesel::pg::Pg, SqlType = diesel::sql_types::Bool>>;

fn wallet_key_of(owner: Owner) -> Condition {
    let of_merchant = wallet_keys::merchant_id
        .eq(owner.merchant_id.uuid())
        .and(wallet_keys::revoked_at.is_null());
    match owner.wallet_id {
        Some(wallet) => Box::new(of_merchant.and(wallet_keys::wallet_id.eq(wallet.uuid()))),
        None => Box::new(of_merchant),
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = secret_keys, check_for_backend(diesel::pg::Pg))]
struct StoredSecretKey {
    id: Uuid,
    merchant_id: Uuid,
    name: String,
    hash: Vec<u8>,
    hint: String,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl TryFrom<StoredSecretKey> for SecretKeyRow {
    type Error = StorageError;

    fn try_from(row: StoredSecretKey) -> Result<Self, StorageError> {
        Ok(Self {
            id: SecretKeyId::from_uuid(row.id),
            merchant_id: MerchantId::from_uuid(row.merchant_id),
            name: row.name,
            hash: column::hash("secret key", &row.hash)?,
            hint: row.hint,
            created_at_ms: row.created_at.timestamp_millis(),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = wallet_keys, check_for_backend(diesel::pg::Pg))]
struct StoredWalletKey {
    id: Uuid,
    merchant_id: Uuid,
    wallet_id: Uuid,
    name: String,
    hash: Vec<u8>,
    preview: String,
    last_used_at: Option<chrono::DateTime<chrono::Utc>>,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl TryFrom<StoredWalletKey> for WalletKeyRow {
    type Error = StorageError;

    fn try_from(row: StoredWalletKey) -> Result<Self, StorageError> {
        Ok(Self {
            id: WalletKeyId::from_uuid(row.id),
            merchant_id: MerchantId::from_uuid(row.merchant_id),
            wallet_id: WalletId::from_uuid(row.wallet_id),
            name: row.name,
            hash: column::hash("wallet key", &row.hash)?,
            preview: row.preview,
            last_used_ms: row.last_used_at.map(|at| at.timestamp_millis()),
            created_at_ms: row.created_at.timestamp_millis(),
        })
    }
}
