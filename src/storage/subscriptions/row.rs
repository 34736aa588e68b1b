//! How the columns of a subscription become its state and back. A row that no state can be read from is `Corrupt`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::super::schema::subscriptions;
use super::super::{StorageError, column};
use super::SubscriptionRow;
use crate::domain::ids::{CreditBundleId, CustomerId, MerchantId, PaymentId, PlanId, SubscriptionId};
use crate::domain::money::Money;
use crate::domain::subscription::{Arrears, Pending, Subscription};
use crate::domain::terms::{Interval, Rollover, Terms};

const NOUN: &str = "subscription";
const CANCELLATION: &str = "cancellation";
const DOWNGRADE: &str = "downgrade";

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = subscriptions, check_for_backend(diesel::pg::Pg))]
pub struct StoredSubscription {
    id: Uuid,
    merchant_id: Uuid,
    customer_id: Uuid,
    plan_id: Uuid,
    plan_name: String,
    period_amount: i64,
    included_credit: i64,
    billing_interval: String,
    rollover_type: String,
    bundle_rollover_type: String,
    anchor_at: DateTime<Utc>,
    period_index: i64,
    started_at: DateTime<Utc>,
    cycle_start_at: DateTime<Utc>,
    cycle_end_at: DateTime<Utc>,
    auto_top_up_bundle_id: Option<Uuid>,
    pending_change: Option<String>,
    pending_offer: Option<Value>,
    payment_failures: Option<i64>,
    payment_failed_at: Option<DateTime<Utc>>,
    cancelled_at: Option<DateTime<Utc>>,
    version: i64,
    recent_payments: Vec<Uuid>,
}

impl From<&SubscriptionRow> for StoredSubscription {
    fn from(row: &SubscriptionRow) -> Self {
        let subscription = &row.subscription;
        let terms = &subscription.terms;
        let (pending_change, pending_offer) = match &subscription.pending {
            None => (None, None),
            Some(Pending::Cancellation) => (Some(CANCELLATION.to_owned()), None),
            Some(Pending::Downgrade(offer)) => (Some(DOWNGRADE.to_owned()), serde_json::to_value(offer).ok()),
        };
        Self {
            id: subscription.id.uuid(),
            merchant_id: row.merchant_id.uuid(),
            customer_id: row.customer_id.uuid(),
            plan_id: terms.plan_id.uuid(),
            plan_name: column::text(&terms.name),
            period_amount: terms.period_amount.nanos(),
            included_credit: terms.included_credit.nanos(),
            billing_interval: terms.interval.name().to_owned(),
            rollover_type: terms.rollover.name().to_owned(),
            bundle_rollover_type: terms.bundle_rollover.name().to_owned(),
            anchor_at: instant(subscription.anchor_s),
            period_index: subscription.period_index.into(),
            started_at: instant(subscription.started_at_s),
            cycle_start_at: instant(subscription.cycle_start_s),
            cycle_end_at: instant(subscription.cycle_end_s),
            auto_top_up_bundle_id: subscription.auto_top_up_bundle_id.map(CreditBundleId::uuid),
            pending_change,
            pending_offer,
            payment_failures: subscription.arrears.map(|arrears| arrears.failures.into()),
            payment_failed_at: subscription.arrears.map(|arrears| instant(arrears.first_failed_at_s)),
            cancelled_at: subscription.cancelled_at_s.map(instant),
            version: column::count_column(row.version),
            recent_payments: subscription.recent_payments.iter().map(|id| id.uuid()).collect(),
        }
    }
}

impl TryFrom<StoredSubscription> for SubscriptionRow {
    type Error = StorageError;

    fn try_from(stored: StoredSubscription) -> Result<Self, StorageError> {
        Ok(Self {
            merchant_id: MerchantId::from_uuid(stored.merchant_id),
            customer_id: CustomerId::from_uuid(stored.customer_id),
            version: column::count(NOUN, stored.version)?,
            subscription: stored.subscription()?,
        })
    }
}

impl StoredSubscription {
    fn subscription(mut self) -> Result<Subscription, StorageError> {
        let pending = pending(self.pending_change.as_deref(), self.pending_offer.take())?;
        let failures: Option<u32> = self
            .payment_failures
            .map(|count| column::count(NOUN, count))
            .transpose()?;
        let arrears = failures.zip(self.payment_failed_at).map(|(failures, at)| Arrears {
            failures,
            first_failed_at_s: at.timestamp(),
        });
        Ok(Subscription {
            id: SubscriptionId::from_uuid(self.id),
            anchor_s: self.anchor_at.timestamp(),
            period_index: column::count(NOUN, self.period_index)?,
            started_at_s: self.started_at.timestamp(),
            cycle_start_s: self.cycle_start_at.timestamp(),
            cycle_end_s: self.cycle_end_at.timestamp(),
            auto_top_up_bundle_id: self.auto_top_up_bundle_id.map(CreditBundleId::from_uuid),
            pending,
            arrears,
            cancelled_at_s: self.cancelled_at.map(|at| at.timestamp()),
            recent_payments: self.recent_payments.iter().copied().map(PaymentId::from_uuid).collect(),
            terms: self.terms()?,
        })
    }

    fn terms(self) -> Result<Terms, StorageError> {
        Ok(Terms {
            plan_id: PlanId::from_uuid(self.plan_id),
            name: self.plan_name,
            period_amount: Money::from_nanos(self.period_amount),
            included_credit: Money::from_nanos(self.included_credit),
            interval: column::word(NOUN, &self.billing_interval, Interval::from_name)?,
            rollover: column::word(NOUN, &self.rollover_type, Rollover::from_name)?,
            bundle_rollover: column::word(NOUN, &self.bundle_rollover_type, Rollover::from_name)?,
        })
    }
}

fn pending(change: Option<&str>, offer: Option<Value>) -> Result<Option<Pending>, StorageError> {
    match (change, offer) {
        (None, _) => Ok(None),
        (Some(CANCELLATION), _) => Ok(Some(Pending::Cancellation)),
        (Some(DOWNGRADE), Some(offer)) => {
            let offer = serde_json::from_value(offer).map_err(|error| column::corrupt(NOUN, &error.to_string()))?;
            Ok(Some(Pending::Downgrade(Box::new(offer))))
        }
        (Some(other), _) => Err(column::corrupt(NOUN, &format!("{other:?} is no pending change"))),
    }
}

fn instant(unix_s: i64) -> DateTime<Utc> {
    column::instant(unix_s.saturating_mul(1000))
}
