//! The rows of subscriptions. Management calls read them; only the billing writer writes them, in the order of the
//! journal, each row whole and never over a later one. What customers have of credit is elsewhere, and newer in memory.

mod row;

use std::collections::{BTreeMap, HashMap};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::upsert::excluded;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::schema::subscriptions;
use super::{StorageError, column};
use crate::domain::ids::{CustomerId, MerchantId, PlanId, SubscriptionId};
use crate::domain::subscription::{RETRY_DAYS, Status, Subscription};
use row::StoredSubscription;

/// Payments that are asked for in one go.
const DUE_AT_ONCE: i64 = 100;
/// Rows of 23 values each; a statement takes 65,535.
const ROWS_A_STATEMENT: usize = 1_000;

/// A subscription, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRow {
    pub merchant_id: MerchantId,
    pub customer_id: CustomerId,
    /// The customer's turn that made it what it is.
    pub version: u64,
    pub subscription: Subscription,
}

/// Which subscriptions of a merchant are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionFilter {
    /// `None`: whatever their status.
    pub status: Option<Status>,
    pub customer_id: Option<CustomerId>,
}

pub fn find(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id: SubscriptionId,
) -> Result<SubscriptionRow, StorageError> {
    subscriptions::table
        .find(id.uuid())
        .filter(subscriptions::merchant_id.eq(merchant.uuid()))
        .select(StoredSubscription::as_select())
        .first(connection)?
        .try_into()
}

/// Newest first.
pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    filter: SubscriptionFilter,
    page: PageRequest,
) -> Result<Page<SubscriptionRow>, StorageError> {
    let mut query = subscriptions::table
        .filter(subscriptions::merchant_id.eq(merchant.uuid()))
        .filter(subscriptions::id.lt(page.before()))
        .order(subscriptions::id.desc())
        .limit(page.fetch_count())
        .select(StoredSubscription::as_select())
        .into_boxed();
    query = match filter.status {
        Some(Status::Active) => query.filter(subscriptions::cancelled_at.is_null()),
        Some(Status::Cancelled) => query.filter(subscriptions::cancelled_at.is_not_null()),
        None => query,
    };
    if let Some(customer) = filter.customer_id {
        query = query.filter(subscriptions::customer_id.eq(customer.uuid()));
    }
    let rows = query.load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(SubscriptionRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.subscription.id.bits()))
}

/// How many active subscriptions each of a merchant's plans has; a plan without any is left out.
pub fn count_by_plan(
    connection: &mut PgConnection,
    merchant: MerchantId,
) -> Result<HashMap<PlanId, u64>, StorageError> {
    let rows: Vec<(Uuid, i64)> = subscriptions::table
        .filter(subscriptions::merchant_id.eq(merchant.uuid()))
        .filter(subscriptions::cancelled_at.is_null())
        .group_by(subscriptions::plan_id)
        .select((subscriptions::plan_id, diesel::dsl::count_star()))
        .load(connection)?;
    let counts = rows.into_iter();
    Ok(counts
        .map(|(plan, count)| (PlanId::from_uuid(plan), count.unsigned_abs()))
        .collect())
}

/// Every active subscription of every merchant, for the start; and the last one of each customer whom a crash has left
/// without any, before he was put on his merchant's first plan, whose id has the bits of the merchant's.
pub fn load_current(connection: &mut PgConnection) -> Result<Vec<SubscriptionRow>, StorageError> {
    use diesel::pg::PgRowByRowLoadingMode;
    let has_lost_it = sql::<Bool>(
        "(subscriptions.plan_id <> subscriptions.merchant_id \
         AND NOT EXISTS (SELECT 1 FROM subscriptions later \
         WHERE later.customer_id = subscriptions.customer_id AND later.id > subscriptions.id) \
         AND EXISTS (SELECT 1 FROM customers WHERE customers.id = subscriptions.customer_id AND deleted_at IS NULL))",
    );
    let rows = subscriptions::table
        .filter(subscriptions::cancelled_at.is_null().or(has_lost_it))
        .select(StoredSubscription::as_select())
        .load_iter::<StoredSubscription, PgRowByRowLoadingMode>(connection)?;
    rows.map(|row| SubscriptionRow::try_from(row?)).collect()
}

/// Active subscriptions whose next cycle waits for a payment that is to be asked for now; those that wait longest first.
pub fn due_for_payment(connection: &mut PgConnection, now_s: i64) -> Result<Vec<SubscriptionRow>, StorageError> {
    use diesel::dsl::sql;
    use diesel::sql_types::{BigInt, Bool};
    let days = RETRY_DAYS.map(|days| days.to_string()).join(",");
    let next_attempt = format!(
        "(payment_failures IS NULL OR extract(epoch FROM payment_failed_at)::bigint \
         + 86400 * coalesce((ARRAY[{days}])[payment_failures], 0) <= "
    );
    let rows = subscriptions::table
        .filter(subscriptions::cancelled_at.is_null())
        .filter(subscriptions::cycle_end_at.le(column::instant(now_s.saturating_mul(1000))))
        .filter(subscriptions::pending_change.is_distinct_from("cancellation"))
        // A step down may be one to a price.
        .filter(
            subscriptions::period_amount
                .gt(0)
                .or(subscriptions::pending_offer.is_not_null()),
        )
        .filter(sql::<Bool>(&next_attempt).bind::<BigInt, _>(now_s).sql(")"))
        .order(subscriptions::cycle_end_at)
        .limit(DUE_AT_ONCE)
        .select(StoredSubscription::as_select())
        .load(connection)?;
    rows.into_iter().map(SubscriptionRow::try_from).collect()
}

/// Writes what subscriptions are from their turns on, each unless a later turn of it has been written. In any order: of
/// rows of one subscription the latest counts, and what has ended is written first, for a customer has one active at
/// most.
pub fn upsert(connection: &mut PgConnection, rows: &[SubscriptionRow]) -> QueryResult<()> {
    for chunk in in_order_of_writing(rows).chunks(ROWS_A_STATEMENT) {
        let stored: Vec<StoredSubscription> = chunk.iter().map(|row| StoredSubscription::from(*row)).collect();
        upsert_stored(connection, &stored)?;
    }
    Ok(())
}

fn in_order_of_writing(rows: &[SubscriptionRow]) -> Vec<&SubscriptionRow> {
    let mut latest: BTreeMap<SubscriptionId, &SubscriptionRow> = BTreeMap::new();
    for row in rows {
        let kept = latest.entry(row.subscription.id).or_insert(row);
        if row.version >= kept.version {
            *kept = row;
        }
    }
    let mut rows: Vec<_> = latest.into_values().collect();
    rows.sort_by_key(|row| row.subscription.cancelled_at_s.is_none());
    rows
}

fn upsert_stored(connection: &mut PgConnection, rows: &[StoredSubscription]) -> QueryResult<()> {
    use diesel::query_dsl::methods::FilterDsl as _;
    use subscriptions::columns::*;
    diesel::insert_into(subscriptions::table)
        .values(rows)
        .on_conflict(id)
        .do_update()
        .set((
            plan_id.eq(excluded(plan_id)),
            plan_name.eq(excluded(plan_name)),
            period_amount.eq(excluded(period_amount)),
            included_credit.eq(excluded(included_credit)),
            billing_interval.eq(excluded(billing_interval)),
            rollover_type.eq(excluded(rollover_type)),
            bundle_rollover_type.eq(excluded(bundle_rollover_type)),
            anchor_at.eq(excluded(anchor_at)),
            period_index.eq(excluded(period_index)),
            started_at.eq(excluded(started_at)),
            cycle_start_at.eq(excluded(cycle_start_at)),
            cycle_end_at.eq(excluded(cycle_end_at)),
            auto_top_up_bundle_id.eq(excluded(auto_top_up_bundle_id)),
            pending_change.eq(excluded(pending_change)),
            pending_offer.eq(excluded(pending_offer)),
            payment_failures.eq(excluded(payment_failures)),
            payment_failed_at.eq(excluded(payment_failed_at)),
            cancelled_at.eq(excluded(cancelled_at)),
            version.eq(excluded(version)),
            recent_payments.eq(excluded(recent_payments)),
        ))
        .filter(version.lt(excluded(version)))
        .execute(connection)?;
    Ok(())
}
