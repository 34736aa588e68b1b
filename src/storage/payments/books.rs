//! Money of cards in the ledger: a payment's entries, and those of its way back. They are a batch of their own, entered in
//! the transaction that changes the payment's status; no balance of anybody moves with them. The database refuses entries
//! that do not sum to zero.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};

use super::super::StorageError;
use super::super::schema::billing_batches;
use super::PaymentRow;

/// Where the money went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    In,
    /// Back to who paid.
    Out,
}

/// Enters a payment, and returns the number of the batch.
pub fn enter(
    connection: &mut PgConnection,
    payment: &PaymentRow,
    direction: Direction,
    at_ms: i64,
) -> Result<i64, StorageError> {
    let nanos = payment.amount.money().nanos();
    let nanos = match direction {
        Direction::In => nanos,
        Direction::Out => -nanos,
    };
    let batch: i64 = diesel::insert_into(billing_batches::table)
        .values((
            billing_batches::row_count.eq(1),
            billing_batches::latest_instant_ms.eq(at_ms),
        ))
        .returning(billing_batches::id)
        .get_result(connection)?;
    sql_query(
        "INSERT INTO ledger_entries (batch_id, merchant_id, account_kind, account_id, amount) \
         VALUES ($1, $2, 'card_money', $2, $3), ($1, $2, $4, $2, -$3)",
    )
    .bind::<BigInt, _>(batch)
    .bind::<SqlUuid, _>(payment.merchant_id.uuid())
    .bind::<BigInt, _>(nanos)
    .bind::<Text, _>(payment.purpose.ledger_account())
    .execute(connection)?;
    Ok(batch)
}
