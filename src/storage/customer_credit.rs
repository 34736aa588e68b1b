//! Credit of customers, their active subscriptions and what they used of meters, as the billing writer left them: read
//! at the start. What moved a customer's credit without a call is read for whoever asks. Nothing is written here.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::{StorageError, subscriptions};
use crate::domain::credit::{Bucket, Credit};
use crate::domain::customer_account::{CustomerAccount, Tally};
use crate::domain::ids::{CustomerId, MerchantId, MeterId};
use crate::domain::money::Money;

/// Every account that ever moved, for the start. Of subscriptions that have ended it has those only after which their
/// customers belong on another plan.
pub(super) fn load_all(connection: &mut PgConnection) -> Result<HashMap<CustomerId, CustomerAccount>, StorageError> {
    let rows: Vec<CreditRow> =
        sql_query("SELECT customer_id, merchant_id, cycle, bundle, version FROM customer_credit").load(connection)?;
    let mut accounts: HashMap<_, _> = rows.into_iter().map(CreditRow::account).collect();
    for row in subscriptions::load_current(connection)? {
        let new = || CustomerAccount::new(row.merchant_id);
        let account = accounts.entry(row.customer_id).or_insert_with(new);
        account.version = account.version.max(row.version);
        account.subscription = Some(row.subscription);
    }
    // What was used in earlier periods counts no more.
    let tallies: Vec<TallyRow> = sql_query(
        "SELECT DISTINCT ON (customer_id, meter_id) customer_id, meter_id, merchant_id, period_start, quantity \
         FROM meter_quantities ORDER BY customer_id, meter_id, period_start DESC",
    )
    .load(connection)?;
    for row in tallies {
        let new = || CustomerAccount::new(MerchantId::from_uuid(row.merchant_id));
        let account = accounts
            .entry(CustomerId::from_uuid(row.customer_id))
            .or_insert_with(new);
        let tally = Tally {
            period_start_s: row.period_start,
            quantity: row.quantity.unsigned_abs(),
        };
        account.recall(MeterId::from_uuid(row.meter_id), tally);
    }
    Ok(accounts)
}

/// One movement of a customer's credit that is no call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditMovement {
    pub bucket: Bucket,
    /// As the journal calls it, such as `renewal`.
    pub kind: String,
    /// Added; negative where it takes.
    pub amount: Money,
    pub at_ms: i64,
}

/// The latest movements of a customer's credit, newest first.
pub fn latest_movements(
    connection: &mut PgConnection,
    merchant: MerchantId,
    customer: CustomerId,
    most: u32,
) -> Result<Vec<CreditMovement>, StorageError> {
    let rows: Vec<MovementRow> = sql_query(
        "SELECT account_kind, kind, amount, at FROM movements WHERE account_id = $1 AND merchant_id = $2 \
         AND account_kind IN ('cycle_credit', 'bundle_credit') ORDER BY id DESC LIMIT $3",
    )
    .bind::<SqlUuid, _>(customer.uuid())
    .bind::<SqlUuid, _>(merchant.uuid())
    .bind::<BigInt, _>(i64::from(most))
    .load(connection)?;
    Ok(rows.into_iter().map(CreditMovement::from).collect())
}

#[derive(QueryableByName)]
struct MovementRow {
    #[diesel(sql_type = Text)]
    account_kind: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    amount: i64,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
}

impl From<MovementRow> for CreditMovement {
    fn from(row: MovementRow) -> Self {
        Self {
            bucket: if row.account_kind == "cycle_credit" {
                Bucket::Cycle
            } else {
                Bucket::Bundle
            },
            kind: row.kind,
            amount: Money::from_nanos(row.amount),
            at_ms: row.at.timestamp_millis(),
        }
    }
}

#[derive(QueryableByName)]
struct CreditRow {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    merchant_id: Uuid,
    #[diesel(sql_type = BigInt)]
    cycle: i64,
    #[diesel(sql_type = BigInt)]
    bundle: i64,
    #[diesel(sql_type = BigInt)]
    version: i64,
}

impl CreditRow {
    fn account(self) -> (CustomerId, CustomerAccount) {
        let credit = Credit {
            cycle: Money::from_nanos(self.cycle),
            bundle: Money::from_nanos(self.bundle),
        };
        let merchant_id = MerchantId::from_uuid(self.merchant_id);
        let account = CustomerAccount::restored(merchant_id, credit, self.version.unsigned_abs());
        (CustomerId::from_uuid(self.customer_id), account)
    }
}

#[derive(QueryableByName)]
struct TallyRow {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    meter_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    merchant_id: Uuid,
    #[diesel(sql_type = BigInt)]
    period_start: i64,
    #[diesel(sql_type = BigInt)]
    quantity: i64,
}
