//! Checkout sessions. A session changes under its row's lock, one event at a time, as the domain decides; its secret is
//! known here by a keyed hash only.

use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::schema::checkout_sessions;
use super::{StorageError, column};
use crate::domain::checkout::{Basket, Checkout, Step};
use crate::domain::credential::KeyHash;
use crate::domain::ids::{CheckoutSessionId, CreditBundleId, MerchantId, PlanId};

const NOUN: &str = "checkout session";

/// A session, whose it is, and where it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutRow {
    pub id: CheckoutSessionId,
    pub merchant_id: MerchantId,
    pub secret_hash: KeyHash,
    /// As the merchant gave it.
    pub origin_url: String,
    pub checkout: Checkout,
    pub created_at_ms: i64,
}

/// Stores a new session; its `created_at_ms` is the time in its id.
pub fn create(connection: &mut PgConnection, row: &CheckoutRow) -> Result<(), StorageError> {
    diesel::insert_into(checkout_sessions::table)
        .values(StoredCheckout::try_from(row)?)
        .execute(connection)?;
    Ok(())
}

pub fn find(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id: CheckoutSessionId,
) -> Result<CheckoutRow, StorageError> {
    checkout_sessions::table
        .find(id.uuid())
        .filter(checkout_sessions::merchant_id.eq(merchant.uuid()))
        .select(StoredCheckout::as_select())
        .first(connection)?
        .try_into()
}

/// The session that this secret opens.
pub fn find_by_secret(connection: &mut PgConnection, secret_hash: &KeyHash) -> Result<CheckoutRow, StorageError> {
    checkout_sessions::table
        .filter(checkout_sessions::secret_hash.eq(secret_hash.as_slice()))
        .select(StoredCheckout::as_select())
        .first(connection)?
        .try_into()
}

/// Newest first.
pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    page: PageRequest,
) -> Result<Page<CheckoutRow>, StorageError> {
    let rows = checkout_sessions::table
        .filter(checkout_sessions::merchant_id.eq(merchant.uuid()))
        .filter(checkout_sessions::id.lt(page.before()))
        .order(checkout_sessions::id.desc())
        .limit(page.fetch_count())
        .select(StoredCheckout::as_select())
        .load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(CheckoutRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.id.bits()))
}

/// Lets something happen to a session while nothing else does, within the caller's transaction where there is one. What
/// the event makes of the session is stored, also where it is a refusal.
pub fn change<T>(
    connection: &mut PgConnection,
    id: CheckoutSessionId,
    event: impl FnOnce(&mut PgConnection, &mut CheckoutRow) -> Result<T, StorageError>,
) -> Result<(CheckoutRow, T), StorageError> {
    connection.transaction(|connection| {
        let mut row: CheckoutRow = checkout_sessions::table
            .find(id.uuid())
            .for_update()
            .select(StoredCheckout::as_select())
            .first(connection)?
            .try_into()?;
        let before = row.checkout.clone();
        let done = event(connection, &mut row)?;
        if row.checkout != before {
            let stored = StoredCheckout::try_from(&row)?;
            diesel::update(checkout_sessions::table.find(id.uuid()))
                .set((
                    checkout_sessions::state.eq(stored.state),
                    checkout_sessions::completed_at.eq(stored.completed_at),
                ))
                .execute(connection)?;
        }
        Ok((row, done))
    })
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = checkout_sessions, check_for_backend(diesel::pg::Pg))]
struct StoredCheckout {
    id: Uuid,
    merchant_id: Uuid,
    secret_hash: Vec<u8>,
    checkout_mode: String,
    origin_url: String,
    customer_id: Uuid,
    plan_id: Uuid,
    credit_bundle_id: Option<Uuid>,
    state: Value,
    created_at: chrono::DateTime<chrono::Utc>,
    completed_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl TryFrom<&CheckoutRow> for StoredCheckout {
    type Error = StorageError;

    fn try_from(row: &CheckoutRow) -> Result<Self, StorageError> {
        let checkout = &row.checkout;
        let (plan_id, bundle_id): (PlanId, Option<CreditBundleId>) = match &checkout.basket {
            Basket::Subscription { offer } => (offer.terms.plan_id, None),
            Basket::CreditBundle {
                plan_id,
                credit_bundle_id,
                ..
            } => (*plan_id, Some(*credit_bundle_id)),
        };
        let completed_at = match checkout.step {
            Step::Done { at_s, .. } => Some(column::instant(at_s.saturating_mul(1000))),
            Step::Phone
            | Step::Code { .. }
            | Step::Card { .. }
            | Step::Confirm { .. }
            | Step::Paying { .. }
            | Step::Cancelled { .. } => None,
        };
        Ok(Self {
            id: row.id.uuid(),
            merchant_id: row.merchant_id.uuid(),
            secret_hash: row.secret_hash.to_vec(),
            checkout_mode: checkout.basket.mode().name().to_owned(),
            origin_url: row.origin_url.clone(),
            customer_id: checkout.customer_id.uuid(),
            plan_id: plan_id.uuid(),
            credit_bundle_id: bundle_id.map(CreditBundleId::uuid),
            state: column::json(NOUN, checkout)?,
            created_at: column::instant(row.id.created_ms()),
            completed_at,
        })
    }
}

impl TryFrom<StoredCheckout> for CheckoutRow {
    type Error = StorageError;

    fn try_from(stored: StoredCheckout) -> Result<Self, StorageError> {
        Ok(Self {
            id: CheckoutSessionId::from_uuid(stored.id),
            merchant_id: MerchantId::from_uuid(stored.merchant_id),
            secret_hash: column::hash(NOUN, &stored.secret_hash)?,
            origin_url: stored.origin_url,
            checkout: column::from_json(NOUN, stored.state)?,
            created_at_ms: stored.created_at.timestamp_millis(),
        })
    }
}
