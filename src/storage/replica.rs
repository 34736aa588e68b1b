//! Everything that the engine holds in memory, as of one instant of the database, for the start. Rows are turned into
//! domain values as they arrive, so that ten thousand keys are in memory once. A row that cannot be read stops the
//! start: a key whose limit is unknown must not be served.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;

use super::meters::{self, MeterRow};
use super::plans::{self, PlanRow};
use super::provider_keys::{self, ProviderKeyRow};
use super::schema::{billing_batches, journal_lanes, spend_key_counters, spend_keys};
use super::spend_keys::{PreviousSecret, SpendKeyRow, StoredCounterRow, StoredSpendKey};
use super::{StorageError, column, customer_credit, customers, keys, merchants, wallets};
use crate::domain::account::Account;
use crate::domain::credential::KeyHash;
use crate::domain::customer_account::CustomerAccount;
use crate::domain::ids::{CustomerId, MerchantId, WalletId};
use crate::domain::key::KeySettings;
use crate::domain::spend::StoredCounters;
use crate::engine::customer_accounts::Whose;
use crate::engine::customers::Customers;
use crate::engine::keyring::{Credential, Merchant, SecretKey, WalletKey};
use crate::engine::ports::LaneMark;
use crate::engine::tariffs::Tariffs;

/// What the database knew.
#[derive(Debug)]
pub struct Replica {
    pub merchants: HashMap<MerchantId, Arc<Merchant>>,
    pub secret_keys: Vec<(KeyHash, Arc<SecretKey>)>,
    pub wallet_keys: Vec<(KeyHash, Arc<WalletKey>)>,
    pub spend_keys: Vec<LoadedSpendKey>,
    /// Still sealed.
    pub provider_keys: Vec<ProviderKeyRow>,
    pub customers: Arc<Customers>,
    pub wallets: Vec<(WalletId, Account)>,
    pub customer_accounts: HashMap<CustomerId, CustomerAccount>,
    pub meters: Vec<MeterRow>,
    /// The deleted ones too.
    pub plans: Vec<PlanRow>,
    /// How far each lane of the journal had been written.
    pub marks: Vec<LaneMark>,
    /// The latest instant of any written record, in unix milliseconds; zero in a new database.
    pub latest_instant_ms: i64,
}

/// One spend key that is not revoked.
#[derive(Debug)]
pub struct LoadedSpendKey {
    pub merchant: Arc<Merchant>,
    pub settings: Arc<KeySettings>,
    pub hash: KeyHash,
    pub previous: Option<PreviousSecret>,
    pub counters: StoredCounters,
}

impl LoadedSpendKey {
    /// As the keyring holds it.
    pub fn credential(&self) -> Credential {
        Credential::Spend {
            merchant: self.merchant.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl Replica {
    /// All meters and plans, as calls know them.
    pub fn tariffs(&self) -> Tariffs {
        let tariffs = Tariffs::default();
        for row in &self.meters {
            tariffs.put_meter(row.merchant_id, row.meter.clone());
        }
        for row in &self.plans {
            tariffs.put_plan(row.listed());
        }
        tariffs
    }

    /// Customers who are deleted and whose subscription is not ended: a crash came between the two.
    pub fn half_deleted(&self) -> Vec<Whose> {
        let accounts = self.customer_accounts.iter();
        let whose = accounts.filter_map(|(id, account)| {
            account.active_subscription()?;
            Some(Whose {
                customer_id: *id,
                merchant_id: account.merchant_id,
            })
        });
        whose
            .filter(|whose| self.customers.by_id(whose.customer_id).is_none())
            .collect()
    }
}

/// Reads it all in one snapshot.
pub fn load(connection: &mut PgConnection) -> Result<Replica, StorageError> {
    connection
        .build_transaction()
        .read_only()
        .repeatable_read()
        .run(|connection| {
            let rows = merchants::list(connection)?;
            let merchants: HashMap<_, _> = rows.iter().map(|row| (row.id, Arc::new(row.merchant()))).collect();
            let latest: Option<i64> = billing_batches::table
                .select(diesel::dsl::max(billing_batches::latest_instant_ms))
                .first(connection)?;
            Ok(Replica {
                secret_keys: load_secret_keys(connection, &merchants)?,
                wallet_keys: load_wallet_keys(connection, &merchants)?,
                spend_keys: load_spend_keys(connection, &merchants)?,
                provider_keys: provider_keys::load_all(connection)?,
                customers: Arc::new(customers::load_all(connection)?),
                wallets: wallets::load_all(connection)?,
                customer_accounts: customer_credit::load_all(connection)?,
                meters: meters::load(connection, None)?,
                plans: plans::load(connection, None)?,
                marks: load_marks(connection)?,
                latest_instant_ms: latest.unwrap_or_default(),
                merchants,
            })
        })
}

/// How far each lane of the journal has been written.
pub fn load_marks(connection: &mut PgConnection) -> Result<Vec<LaneMark>, StorageError> {
    let rows: Vec<(i32, i64)> = journal_lanes::table.order(journal_lanes::lane).load(connection)?;
    Ok(rows
        .into_iter()
        .map(|(lane, sequence)| LaneMark { lane, sequence })
        .collect())
}

type Merchants = HashMap<MerchantId, Arc<Merchant>>;

fn load_secret_keys(
    connection: &mut PgConnection,
    merchants: &Merchants,
) -> Result<Vec<(KeyHash, Arc<SecretKey>)>, StorageError> {
    let rows = keys::load_all_secret(connection)?;
    let key = |row: keys::SecretKeyRow| {
        let merchant = merchant_of(merchants, row.merchant_id)?;
        Ok((row.hash, Arc::new(SecretKey { id: row.id, merchant })))
    };
    rows.into_iter().map(key).collect()
}

fn load_wallet_keys(
    connection: &mut PgConnection,
    merchants: &Merchants,
) -> Result<Vec<(KeyHash, Arc<WalletKey>)>, StorageError> {
    let rows = keys::load_all_wallet(connection)?;
    let key = |row: keys::WalletKeyRow| {
        let merchant = merchant_of(merchants, row.merchant_id)?;
        let last_used_ms = AtomicI64::new(row.last_used_ms.unwrap_or_default());
        Ok((
            row.hash,
            Arc::new(WalletKey {
                id: row.id,
                merchant,
                wallet_id: row.wallet_id,
                last_used_ms,
            }),
        ))
    };
    rows.into_iter().map(key).collect()
}

fn load_spend_keys(connection: &mut PgConnection, merchants: &Merchants) -> Result<Vec<LoadedSpendKey>, StorageError> {
    let rows = spend_keys::table
        .left_join(spend_key_counters::table)
        .filter(spend_keys::revoked_at.is_null())
        .select((StoredSpendKey::as_select(), Option::<StoredCounterRow>::as_select()))
        .load_iter::<(StoredSpendKey, Option<StoredCounterRow>), PgRowByRowLoadingMode>(connection)?;
    let key = |row: QueryResult<(StoredSpendKey, Option<StoredCounterRow>)>| {
        let (stored, counters) = row?;
        let row = SpendKeyRow::try_from(stored)?;
        Ok(LoadedSpendKey {
            merchant: merchant_of(merchants, row.settings.merchant_id)?,
            settings: Arc::new(row.settings),
            hash: row.hash,
            previous: row.previous,
            counters: counters.map_or_else(StoredCounters::default, StoredCounters::from),
        })
    };
    rows.map(key).collect()
}

fn merchant_of(merchants: &Merchants, id: MerchantId) -> Result<Arc<Merchant>, StorageError> {
    merchants
        .get(&id)
        .cloned()
        .ok_or_else(|| column::corrupt("key", "its merchant is not there"))
}
