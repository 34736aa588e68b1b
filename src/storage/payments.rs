//! Payments, the cards that they are made with, and who pays at which processor. A payment is stored before it is asked
//! for, so that none is forgotten; its status only moves on, and what is paid or given back is entered in the ledger in
//! the same transaction. No card number is here.

mod books;
pub mod methods;
mod row;

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::schema::{payers, payment_methods, payments};
use super::{StorageError, column};
use crate::domain::ids::{CheckoutSessionId, CustomerId, MerchantId, PaymentId, PaymentMethodId};
use crate::domain::payment::{Card, Cents, Decline, PaymentStatus, ProcessorKind, Purpose};
use books::Direction;
use row::{StoredMethod, StoredPayment};

/// A card on file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodRow {
    pub id: PaymentMethodId,
    pub merchant_id: MerchantId,
    pub customer_id: CustomerId,
    pub processor: ProcessorKind,
    /// The processor's name for it.
    pub reference: String,
    pub card: Card,
    pub created_at_ms: i64,
}

/// Money that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRow {
    pub id: PaymentId,
    pub merchant_id: MerchantId,
    pub customer_id: CustomerId,
    pub method_id: PaymentMethodId,
    pub processor: ProcessorKind,
    /// The processor's name for who pays.
    pub payer: String,
    pub amount: Cents,
    pub description: String,
    pub purpose: Purpose,
    pub session_id: Option<CheckoutSessionId>,
    pub status: PaymentStatus,
    /// The processor's name for it, once it has one.
    pub reference: Option<String>,
    pub decline: Option<Decline>,
    pub created_at_ms: i64,
    /// Since when its customer has what it was for.
    pub applied_at_ms: Option<i64>,
}

/// What was learned of a payment.
#[derive(Clone, Debug)]
pub struct PaymentNews {
    pub status: PaymentStatus,
    pub reference: Option<String>,
    pub decline: Option<Decline>,
}

/// How a processor knows a customer.
pub fn find_payer(
    connection: &mut PgConnection,
    customer: CustomerId,
    processor: ProcessorKind,
) -> Result<Option<String>, StorageError> {
    let found = payers::table
        .find((customer.uuid(), processor.name()))
        .select(payers::reference)
        .first(connection);
    Ok(found.optional()?)
}

/// Keeps how a processor knows a customer, and returns what counts: the first that was kept.
pub fn keep_payer(
    connection: &mut PgConnection,
    merchant: MerchantId,
    customer: CustomerId,
    (processor, reference): (ProcessorKind, &str),
) -> Result<String, StorageError> {
    let kept = diesel::insert_into(payers::table)
        .values((
            payers::customer_id.eq(customer.uuid()),
            payers::processor.eq(processor.name()),
            payers::merchant_id.eq(merchant.uuid()),
            payers::reference.eq(reference),
        ))
        .on_conflict((payers::customer_id, payers::processor))
        .do_update()
        // Nothing changes; the row is locked and returned.
        .set(payers::merchant_id.eq(excluded(payers::merchant_id)))
        .returning(payers::reference)
        .get_result(connection)?;
    Ok(kept)
}

pub fn create_method(connection: &mut PgConnection, row: &MethodRow) -> Result<(), StorageError> {
    diesel::insert_into(payment_methods::table)
        .values(StoredMethod::from(row))
        .execute(connection)?;
    Ok(())
}

/// The card that a customer put on file last at this processor.
pub fn latest_method(
    connection: &mut PgConnection,
    customer: CustomerId,
    processor: ProcessorKind,
) -> Result<Option<MethodRow>, StorageError> {
    let found = payment_methods::table
        .filter(payment_methods::customer_id.eq(customer.uuid()))
        .filter(payment_methods::processor.eq(processor.name()))
        .filter(payment_methods::forgotten_at.is_null())
        .order(payment_methods::id.desc())
        .select(StoredMethod::as_select())
        .first(connection)
        .optional()?;
    found.map(MethodRow::try_from).transpose()
}

pub fn find_method(connection: &mut PgConnection, id: PaymentMethodId) -> Result<MethodRow, StorageError> {
    payment_methods::table
        .find(id.uuid())
        .select(StoredMethod::as_select())
        .first(connection)?
        .try_into()
}

/// Stores a payment that is about to be asked for.
pub fn create(connection: &mut PgConnection, row: &PaymentRow) -> Result<(), StorageError> {
    diesel::insert_into(payments::table)
        .values(StoredPayment::try_from(row)?)
        .execute(connection)?;
    Ok(())
}

/// Stores a payment unless it is there already, and returns what is there.
pub fn create_once(connection: &mut PgConnection, row: &PaymentRow) -> Result<PaymentRow, StorageError> {
    diesel::insert_into(payments::table)
        .values(StoredPayment::try_from(row)?)
        .on_conflict(payments::id)
        .do_nothing()
        .execute(connection)?;
    find(connection, row.id)
}

/// A customer's last payment for a bundle that is bought by itself.
pub fn latest_top_up(connection: &mut PgConnection, customer: CustomerId) -> Result<Option<PaymentRow>, StorageError> {
    let found = payments::table
        .filter(payments::customer_id.eq(customer.uuid()))
        .filter(payments::purpose.contains(serde_json::json!({ "name": "top_up" })))
        .order(payments::id.desc())
        .select(StoredPayment::as_select())
        .first(connection)
        .optional()?;
    found.map(PaymentRow::try_from).transpose()
}

pub fn find(connection: &mut PgConnection, id: PaymentId) -> Result<PaymentRow, StorageError> {
    payments::table
        .find(id.uuid())
        .select(StoredPayment::as_select())
        .first(connection)?
        .try_into()
}

/// Stores what was learned at this instant, and enters money that has come in the ledger; a payment that has ended one
/// way never ends another.
pub fn learn(connection: &mut PgConnection, id: PaymentId, news: &PaymentNews, at_ms: i64) -> Result<(), StorageError> {
    let decline = news.decline.as_ref();
    let decline = decline.map(|decline| column::json("payment", decline)).transpose()?;
    connection.transaction(|connection| {
        let payment = lock(connection, id)?;
        match payment.status {
            PaymentStatus::Pending | PaymentStatus::ActionRequired => {}
            PaymentStatus::Paid | PaymentStatus::Declined | PaymentStatus::Refunded => return Ok(()),
        }
        let paid_batch = match news.status {
            PaymentStatus::Paid => Some(books::enter(connection, &payment, Direction::In, at_ms)?),
            PaymentStatus::Pending
            | PaymentStatus::ActionRequired
            | PaymentStatus::Declined
            | PaymentStatus::Refunded => None,
        };
        diesel::update(payments::table.find(id.uuid()))
            .set((
                payments::status.eq(news.status.name()),
                payments::reference.eq(&news.reference),
                payments::decline.eq(decline),
                payments::paid_batch_id.eq(paid_batch),
            ))
            .execute(connection)?;
        Ok(())
    })
}

/// Notes that the customer has what a payment was for.
pub fn apply(connection: &mut PgConnection, id: PaymentId, now_ms: i64) -> Result<(), StorageError> {
    let is_paid = payments::status.eq(PaymentStatus::Paid.name());
    diesel::update(payments::table.find(id.uuid()).filter(is_paid))
        .set(payments::applied_at.eq(column::instant(now_ms)))
        .execute(connection)?;
    Ok(())
}

/// Notes that a payment was given back, and enters that in the ledger.
pub fn refund(connection: &mut PgConnection, id: PaymentId, at_ms: i64) -> Result<(), StorageError> {
    connection.transaction(|connection| {
        let payment = lock(connection, id)?;
        if payment.status != PaymentStatus::Paid {
            return Ok(());
        }
        let batch = books::enter(connection, &payment, Direction::Out, at_ms)?;
        diesel::update(payments::table.find(id.uuid()))
            .set((
                payments::status.eq(PaymentStatus::Refunded.name()),
                payments::refunded_batch_id.eq(batch),
            ))
            .execute(connection)?;
        Ok(())
    })
}

/// Payments made before this instant of which it is not known how they end, or that were not given effect; oldest first.
pub fn in_doubt(connection: &mut PgConnection, before_ms: i64) -> Result<Vec<PaymentId>, StorageError> {
    let is_open = payments::status.eq_any([PaymentStatus::Pending.name(), PaymentStatus::ActionRequired.name()]);
    let is_owed = payments::status
        .eq(PaymentStatus::Paid.name())
        .and(payments::applied_at.is_null());
    let ids: Vec<uuid::Uuid> = payments::table
        .filter(is_open.or(is_owed))
        .filter(payments::created_at.lt(column::instant(before_ms)))
        .order(payments::id)
        .limit(100)
        .select(payments::id)
        .load(connection)?;
    Ok(ids.into_iter().map(PaymentId::from_uuid).collect())
}

/// The payment as it is until this transaction ends.
fn lock(connection: &mut PgConnection, id: PaymentId) -> Result<PaymentRow, StorageError> {
    payments::table
        .find(id.uuid())
        .for_no_key_update()
        .select(StoredPayment::as_select())
        .first(connection)?
        .try_into()
}
