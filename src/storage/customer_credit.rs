//! Credit of customers, their active subscriptions and what they used of meters, as the billing writer left them: read
//! at the start. Nothing is written here.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use uuid::Uuid;

use super::{StorageError, subscriptions};
use crate::domain::credit::Credit;
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
