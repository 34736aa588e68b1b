//! Cards on file as their owner sees them: listed, found and taken off file. A card off file keeps its row, because
//! payments were made with it.

use diesel::prelude::*;

use super::super::schema::payment_methods;
use super::super::{StorageError, column};
use super::MethodRow;
use super::row::StoredMethod;
use crate::domain::ids::{CustomerId, MerchantId, PaymentMethodId};

/// Whose cards are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub merchant_id: MerchantId,
    pub customer_id: CustomerId,
}

/// At most this many are listed.
const MOST: i64 = 100;

/// The cards of a holder, newest first.
pub fn list(connection: &mut PgConnection, holder: Holder) -> Result<Vec<MethodRow>, StorageError> {
    let rows = payment_methods::table
        .filter(payment_methods::merchant_id.eq(holder.merchant_id.uuid()))
        .filter(payment_methods::customer_id.eq(holder.customer_id.uuid()))
        .filter(payment_methods::forgotten_at.is_null())
        .order(payment_methods::id.desc())
        .limit(MOST)
        .select(StoredMethod::as_select())
        .load(connection)?;
    rows.into_iter().map(MethodRow::try_from).collect()
}

/// One card of a holder, while it is on file.
pub fn find(connection: &mut PgConnection, holder: Holder, id: PaymentMethodId) -> Result<MethodRow, StorageError> {
    payment_methods::table
        .find(id.uuid())
        .filter(payment_methods::merchant_id.eq(holder.merchant_id.uuid()))
        .filter(payment_methods::customer_id.eq(holder.customer_id.uuid()))
        .filter(payment_methods::forgotten_at.is_null())
        .select(StoredMethod::as_select())
        .first(connection)?
        .try_into()
}

/// Puts a card on file unless the processor's name for it is there already, and returns what is there.
pub fn keep(connection: &mut PgConnection, row: &MethodRow) -> Result<MethodRow, StorageError> {
    let holder = Holder {
        merchant_id: row.merchant_id,
        customer_id: row.customer_id,
    };
    let known = list(connection, holder)?;
    match known.into_iter().find(|known| known.reference == row.reference) {
        Some(known) => Ok(known),
        None => super::create_method(connection, row).map(|()| row.clone()),
    }
}

/// Takes a card off file.
pub fn forget(connection: &mut PgConnection, id: PaymentMethodId, now_ms: i64) -> Result<(), StorageError> {
    diesel::update(payment_methods::table.find(id.uuid()))
        .set(payment_methods::forgotten_at.eq(column::instant(now_ms)))
        .execute(connection)?;
    Ok(())
}
