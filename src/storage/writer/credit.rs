//! The statements of the billing transaction that concern customers: their credit, what they used of meters, and the
//! turns of their subscriptions.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::result::Error as QueryError;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Uuid as SqlUuid};
use uuid::Uuid;

use super::WriteError;
use super::deltas::{CreditDelta, QuantityPlace};
use crate::domain::ids::{CustomerId, MerchantId};
use crate::domain::request::Turn;
use crate::storage::subscriptions::{self, SubscriptionRow};

/// Adds to the credit of customers, and makes the rows that are missing.
pub fn move_credit(
    connection: &mut PgConnection,
    credit: &BTreeMap<CustomerId, CreditDelta>,
) -> Result<(), QueryError> {
    if credit.is_empty() {
        return Ok(());
    }
    let deltas = || credit.values();
    sql_query(
        "INSERT INTO customer_credit AS c (customer_id, merchant_id, cycle, bundle) \
         SELECT * FROM unnest($1, $2, $3, $4) AS d(customer_id) ORDER BY d.customer_id \
         ON CONFLICT (customer_id) DO UPDATE SET \
         cycle = c.cycle + excluded.cycle, bundle = c.bundle + excluded.bundle",
    )
    .bind::<Array<SqlUuid>, _>(credit.keys().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(deltas().map(|delta| delta.merchant_id.uuid()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(deltas().map(|delta| delta.cycle_nanos).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(deltas().map(|delta| delta.bundle_nanos).collect::<Vec<_>>())
    .execute(connection)?;
    Ok(())
}

/// Adds to what customers used of meters.
pub fn move_quantities(
    connection: &mut PgConnection,
    quantities: &BTreeMap<QuantityPlace, (MerchantId, i64)>,
) -> Result<(), QueryError> {
    if quantities.is_empty() {
        return Ok(());
    }
    let places = || quantities.keys();
    sql_query(
        "INSERT INTO meter_quantities AS q (customer_id, meter_id, period_start, merchant_id, quantity) \
         SELECT * FROM unnest($1, $2, $3, $4, $5) AS d(customer_id, meter_id, period_start) \
         ORDER BY d.customer_id, d.meter_id, d.period_start \
         ON CONFLICT (customer_id, meter_id, period_start) DO UPDATE SET quantity = q.quantity + excluded.quantity",
    )
    .bind::<Array<SqlUuid>, _>(places().map(|place| place.customer_id.uuid()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(places().map(|place| place.meter_id.uuid()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(places().map(|place| place.period_start_s).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(
        quantities
            .values()
            .map(|(merchant, _)| merchant.uuid())
            .collect::<Vec<Uuid>>(),
    )
    .bind::<Array<BigInt>, _>(quantities.values().map(|(_, quantity)| *quantity).collect::<Vec<_>>())
    .execute(connection)?;
    Ok(())
}

/// Writes what the turns made of subscriptions, and notes how far the turns of each customer have come; a later turn is
/// never written over by an earlier one.
pub fn write_turns(connection: &mut PgConnection, turns: &[Turn]) -> Result<(), WriteError> {
    let changed = turns.iter().filter(|turn| !turn.subscription.is_empty());
    let rows: Result<Vec<SubscriptionRow>, WriteError> = changed.map(subscription_row).collect();
    subscriptions::upsert(connection, &rows?)?;
    note_versions(connection, turns)?;
    Ok(())
}

fn subscription_row(turn: &Turn) -> Result<SubscriptionRow, WriteError> {
    let subscription = serde_json::from_str(&turn.subscription);
    let unreadable = |error| WriteError::Refused(format!("the subscription of {} cannot be read: {error}", turn.id));
    Ok(SubscriptionRow {
        merchant_id: turn.merchant_id,
        customer_id: turn.customer_id,
        version: turn.version,
        subscription: subscription.map_err(unreadable)?,
    })
}

fn note_versions(connection: &mut PgConnection, turns: &[Turn]) -> Result<(), QueryError> {
    let latest: BTreeMap<CustomerId, &Turn> = turns.iter().map(|turn| (turn.customer_id, turn)).collect();
    if latest.is_empty() {
        return Ok(());
    }
    let version = |turn: &&Turn| i64::try_from(turn.version).unwrap_or(i64::MAX);
    sql_query(
        "INSERT INTO customer_credit AS c (customer_id, merchant_id, cycle, bundle, version) \
         SELECT d.customer_id, d.merchant_id, 0, 0, d.version FROM unnest($1, $2, $3) \
         AS d(customer_id, merchant_id, version) ORDER BY d.customer_id \
         ON CONFLICT (customer_id) DO UPDATE SET version = greatest(c.version, excluded.version)",
    )
    .bind::<Array<SqlUuid>, _>(latest.keys().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(latest.values().map(|turn| turn.merchant_id.uuid()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(latest.values().map(version).collect::<Vec<_>>())
    .execute(connection)?;
    Ok(())
}
