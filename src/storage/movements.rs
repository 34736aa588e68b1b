//! What moved a balance and was no request, newest first. The writer makes the rows; nothing changes them.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::StorageError;
use super::page::{Page, PageRequest};
use crate::domain::ids::{MerchantId, MovementId, WalletId};
use crate::domain::money::Money;

diesel::table! {
    movements (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        account_id -> Uuid,
        kind -> Text,
        amount -> BigInt,
        at -> Timestamptz,
        note -> Text,
    }
}

/// A movement as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovementRow {
    pub id: MovementId,
    pub kind: String,
    /// Added to the balance; negative where it was taken.
    pub amount: Money,
    pub at_ms: i64,
    pub note: String,
}

/// The movements of a merchant's wallet.
pub fn of_wallet(
    connection: &mut PgConnection,
    merchant: MerchantId,
    wallet: WalletId,
    page: PageRequest,
) -> Result<Page<MovementRow>, StorageError> {
    let rows: Vec<(Uuid, String, i64, DateTime<Utc>, String)> = movements::table
        .filter(
            movements::account_id
                .eq(wallet.uuid())
                .and(movements::merchant_id.eq(merchant.uuid())),
        )
        .filter(movements::id.lt(page.before()))
        .order(movements::id.desc())
        .limit(page.fetch_count())
        .select((
            movements::id,
            movements::kind,
            movements::amount,
            movements::at,
            movements::note,
        ))
        .load(connection)?;
    let rows = rows.into_iter().map(|(id, kind, amount, at, note)| MovementRow {
        id: MovementId::from_uuid(id),
        kind,
        amount: Money::from_nanos(amount),
        at_ms: at.timestamp_millis(),
        note,
    });
    Ok(Page::cut(rows.collect(), page, |row| row.id.bits()))
}
