//! Wallets. Their balances are written by the billing writer alone; what a management call may change is how a wallet
//! pays. The balance here trails the one in the account actor by what the journal has not handed on yet.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Uuid as SqlUuid};
use uuid::Uuid;

use super::schema::wallets;
use super::{StorageError, column};
use crate::domain::account::{Account, Funding};
use crate::domain::ids::{MerchantId, MovementId, WalletId};
use crate::domain::money::Money;

/// A wallet to be made, with nothing in it.
#[derive(Clone, Copy, Debug)]
pub struct NewWallet {
    pub id: WalletId,
    pub merchant_id: MerchantId,
    pub funding: Funding,
}

/// A wallet as it was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletRow {
    pub id: WalletId,
    pub merchant_id: MerchantId,
    pub account: Account,
    pub created_at_ms: i64,
}

pub fn create(connection: &mut PgConnection, new: NewWallet) -> Result<WalletRow, StorageError> {
    let row = StoredWallet {
        id: new.id.uuid(),
        merchant_id: new.merchant_id.uuid(),
        funding: column::funding_word(new.funding).to_owned(),
        balance: 0,
        created_at: column::instant(new.id.created_ms()),
    };
    diesel::insert_into(wallets::table).values(&row).execute(connection)?;
    row.try_into()
}

pub fn find(connection: &mut PgConnection, merchant: MerchantId, id: WalletId) -> Result<WalletRow, StorageError> {
    wallets::table
        .find(id.uuid())
        .filter(wallets::merchant_id.eq(merchant.uuid()))
        .select(StoredWallet::as_select())
        .first(connection)?
        .try_into()
}

/// A merchant's wallets, newest first.
pub fn list(connection: &mut PgConnection, merchant: MerchantId) -> Result<Vec<WalletRow>, StorageError> {
    let rows = wallets::table
        .filter(wallets::merchant_id.eq(merchant.uuid()))
        .order(wallets::id.desc())
        .select(StoredWallet::as_select())
        .load(connection)?;
    rows.into_iter().map(WalletRow::try_from).collect()
}

/// Changes how a wallet pays.
pub fn set_funding(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id: WalletId,
    funding: Funding,
) -> Result<WalletRow, StorageError> {
    diesel::update(
        wallets::table
            .find(id.uuid())
            .filter(wallets::merchant_id.eq(merchant.uuid())),
    )
    .set(wallets::funding.eq(column::funding_word(funding)))
    .returning(StoredWallet::as_returning())
    .get_result(connection)?
    .try_into()
}

/// Whether a movement has been written.
pub fn has_movement(connection: &mut PgConnection, id: MovementId) -> Result<bool, StorageError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        is_there: bool,
    }
    let row: Row = sql_query("SELECT EXISTS (SELECT 1 FROM movements WHERE id = $1) AS is_there")
        .bind::<SqlUuid, _>(id.uuid())
        .get_result(connection)?;
    Ok(row.is_there)
}

/// Every wallet of every merchant, for the start.
pub(super) fn load_all(connection: &mut PgConnection) -> Result<Vec<(WalletId, Account)>, StorageError> {
    let rows = wallets::table.select(StoredWallet::as_select()).load(connection)?;
    rows.into_iter()
        .map(|row| WalletRow::try_from(row).map(|row| (row.id, row.account)))
        .collect()
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = wallets, check_for_backend(diesel::pg::Pg))]
struct StoredWallet {
    id: Uuid,
    merchant_id: Uuid,
    funding: String,
    balance: i64,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl TryFrom<StoredWallet> for WalletRow {
    type Error = StorageError;

    fn try_from(row: StoredWallet) -> Result<Self, StorageError> {
        let funding = column::word("wallet", &row.funding, column::funding)?;
        Ok(Self {
            id: WalletId::from_uuid(row.id),
            merchant_id: MerchantId::from_uuid(row.merchant_id),
            account: Account::new(funding, Money::from_nanos(row.balance)),
            created_at_ms: row.created_at.timestamp_millis(),
        })
    }
}
