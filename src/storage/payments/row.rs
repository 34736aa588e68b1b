//! How rows of payments and cards become domain values and back.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::super::schema::{payment_methods, payments};
use super::super::{StorageError, column};
use super::{MethodRow, PaymentRow};
use crate::domain::ids::{CheckoutSessionId, CustomerId, MerchantId, PaymentId, PaymentMethodId};
use crate::domain::money::Money;
use crate::domain::payment::{Card, Cents, PaymentStatus, ProcessorKind};

const METHOD: &str = "payment method";
const PAYMENT: &str = "payment";

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = payment_methods, check_for_backend(diesel::pg::Pg))]
pub struct StoredMethod {
    id: Uuid,
    merchant_id: Uuid,
    customer_id: Uuid,
    processor: String,
    reference: String,
    brand: String,
    last4: String,
    expiry_month: i64,
    expiry_year: i64,
    created_at: DateTime<Utc>,
}

impl From<&MethodRow> for StoredMethod {
    fn from(row: &MethodRow) -> Self {
        Self {
            id: row.id.uuid(),
            merchant_id: row.merchant_id.uuid(),
            customer_id: row.customer_id.uuid(),
            processor: row.processor.name().to_owned(),
            reference: row.reference.clone(),
            brand: row.card.brand.clone(),
            last4: row.card.last4.clone(),
            expiry_month: row.card.expiry_month.into(),
            expiry_year: row.card.expiry_year.into(),
            created_at: column::instant(row.id.created_ms()),
        }
    }
}

impl TryFrom<StoredMethod> for MethodRow {
    type Error = StorageError;

    fn try_from(stored: StoredMethod) -> Result<Self, StorageError> {
        Ok(Self {
            id: PaymentMethodId::from_uuid(stored.id),
            merchant_id: MerchantId::from_uuid(stored.merchant_id),
            customer_id: CustomerId::from_uuid(stored.customer_id),
            processor: column::word(METHOD, &stored.processor, ProcessorKind::from_name)?,
            reference: stored.reference,
            card: Card {
                brand: stored.brand,
                last4: stored.last4,
                expiry_month: column::count(METHOD, stored.expiry_month)?,
                expiry_year: column::count(METHOD, stored.expiry_year)?,
            },
            created_at_ms: stored.created_at.timestamp_millis(),
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = payments, check_for_backend(diesel::pg::Pg))]
pub struct StoredPayment {
    id: Uuid,
    merchant_id: Uuid,
    customer_id: Uuid,
    payment_method_id: Uuid,
    processor: String,
    payer: String,
    amount: i64,
    description: String,
    purpose: Value,
    checkout_session_id: Option<Uuid>,
    status: String,
    reference: Option<String>,
    decline: Option<Value>,
    created_at: DateTime<Utc>,
    applied_at: Option<DateTime<Utc>>,
}

impl TryFrom<&PaymentRow> for StoredPayment {
    type Error = StorageError;

    fn try_from(row: &PaymentRow) -> Result<Self, StorageError> {
        let decline = row.decline.as_ref();
        Ok(Self {
            id: row.id.uuid(),
            merchant_id: row.merchant_id.uuid(),
            customer_id: row.customer_id.uuid(),
            payment_method_id: row.method_id.uuid(),
            processor: row.processor.name().to_owned(),
            payer: row.payer.clone(),
            amount: row.amount.money().nanos(),
            description: column::text(&row.description),
            purpose: column::json(PAYMENT, &row.purpose)?,
            checkout_session_id: row.session_id.map(CheckoutSessionId::uuid),
            status: row.status.name().to_owned(),
            reference: row.reference.clone(),
            decline: decline.map(|decline| column::json(PAYMENT, decline)).transpose()?,
            created_at: column::instant(row.created_at_ms),
            applied_at: row.applied_at_ms.map(column::instant),
        })
    }
}

impl TryFrom<StoredPayment> for PaymentRow {
    type Error = StorageError;

    fn try_from(stored: StoredPayment) -> Result<Self, StorageError> {
        let decline = stored.decline.map(|decline| column::from_json(PAYMENT, decline));
        Ok(Self {
            id: PaymentId::from_uuid(stored.id),
            merchant_id: MerchantId::from_uuid(stored.merchant_id),
            customer_id: CustomerId::from_uuid(stored.customer_id),
            method_id: PaymentMethodId::from_uuid(stored.payment_method_id),
            processor: column::word(PAYMENT, &stored.processor, ProcessorKind::from_name)?,
            payer: stored.payer,
            amount: Cents::of(Money::from_nanos(stored.amount)),
            description: stored.description,
            purpose: column::from_json(PAYMENT, stored.purpose)?,
            session_id: stored.checkout_session_id.map(CheckoutSessionId::from_uuid),
            status: column::word(PAYMENT, &stored.status, PaymentStatus::from_name)?,
            reference: stored.reference,
            decline: decline.transpose()?,
            created_at_ms: stored.created_at.timestamp_millis(),
            applied_at_ms: stored.applied_at.map(|at| at.timestamp_millis()),
        })
    }
}
