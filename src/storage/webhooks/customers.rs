//! What is told of a customer whose balance has changed: his credit, as the database has it when it is told.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use serde_json::{Value, json};

use super::super::{Database, StorageError};
use crate::domain::ids::{CustomerId, MerchantId};
use crate::domain::money::Money;
use crate::engine::ports::{Answered, Customers, OutboxAway};

/// The customers in Postgres.
pub struct PgCustomers(pub Database);

impl Customers for PgCustomers {
    fn describe(&self, merchant: MerchantId, customer: CustomerId) -> Answered<Option<Value>, OutboxAway> {
        let database = self.0.clone();
        Box::pin(async move {
            let described = database.run(move |connection| describe(connection, merchant, customer));
            described.await.map_err(|error| OutboxAway(error.to_string()))
        })
    }
}

fn describe(
    connection: &mut PgConnection,
    merchant: MerchantId,
    customer: CustomerId,
) -> Result<Option<Value>, StorageError> {
    let credit = sql_query("SELECT cycle, bundle FROM customer_credit WHERE customer_id = $1 AND merchant_id = $2")
        .bind::<SqlUuid, _>(customer.uuid())
        .bind::<SqlUuid, _>(merchant.uuid())
        .get_result::<Credit>(connection)
        .optional()?;
    Ok(credit.map(|credit| {
        json!({
            "customer_id": customer,
            "credits": {
                "total_remaining": Money::from_nanos(credit.cycle.saturating_add(credit.bundle)),
                "cycle_remaining": Money::from_nanos(credit.cycle),
                "bundle_remaining": Money::from_nanos(credit.bundle),
            },
        })
    }))
}

#[derive(QueryableByName)]
struct Credit {
    #[diesel(sql_type = BigInt)]
    cycle: i64,
    #[diesel(sql_type = BigInt)]
    bundle: i64,
}
