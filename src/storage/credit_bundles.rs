//! Credit bundles: what a plan's subscribers may buy. They are written with their plan and read here; a bundle that was
//! removed, or whose plan was deleted, leaves every query, and its row stays for those who bought it.

use diesel::prelude::*;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::schema::{credit_bundles, plans};
use super::{StorageError, column};
use crate::domain::ids::{CreditBundleId, MerchantId, PlanId};
use crate::domain::money::Money;
use crate::domain::plan::{CreditBundle, Plan};

/// A bundle, and the plan that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditBundleRow {
    pub plan_id: PlanId,
    pub bundle: CreditBundle,
    pub created_at_ms: i64,
}

pub fn find(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id: CreditBundleId,
) -> Result<CreditBundleRow, StorageError> {
    let row = credit_bundles::table
        .filter(living_of(merchant))
        .filter(credit_bundles::id.eq(id.uuid()))
        .select(StoredBundle::as_select())
        .first(connection)?;
    Ok(row.into())
}

/// Newest first; those of one plan where it is named.
pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    plan: Option<PlanId>,
    page: PageRequest,
) -> Result<Page<CreditBundleRow>, StorageError> {
    let mut query = credit_bundles::table.filter(living_of(merchant)).into_boxed();
    if let Some(plan) = plan {
        query = query.filter(credit_bundles::plan_id.eq(plan.uuid()));
    }
    let rows = query
        .filter(credit_bundles::id.lt(page.before()))
        .order(credit_bundles::id.desc())
        .limit(page.fetch_count())
        .select(StoredBundle::as_select())
        .load(connection)?;
    let rows = rows.into_iter().map(CreditBundleRow::from).collect();
    Ok(Page::cut(rows, page, |row: &CreditBundleRow| row.bundle.id.bits()))
}

/// The bundles of these plans, oldest first.
pub(super) fn load_of(connection: &mut PgConnection, plans: &[Uuid]) -> Result<Vec<CreditBundleRow>, StorageError> {
    let rows = credit_bundles::table
        .filter(credit_bundles::plan_id.eq_any(plans))
        .filter(credit_bundles::deleted_at.is_null())
        .order(credit_bundles::id)
        .select(StoredBundle::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(CreditBundleRow::from).collect())
}

/// Makes the stored bundles of a plan those that it has now: new ones are added, the others changed, and what it has no
/// more is removed. Called under the plan's lock.
pub(super) fn save(connection: &mut PgConnection, merchant: MerchantId, plan: &Plan) -> Result<(), StorageError> {
    let kept: Vec<Uuid> = plan.bundles.iter().map(|bundle| bundle.id.uuid()).collect();
    let of_plan = credit_bundles::plan_id.eq(plan.id().uuid());
    let gone = of_plan
        .and(credit_bundles::deleted_at.is_null())
        .and(credit_bundles::id.ne_all(kept));
    diesel::update(credit_bundles::table.filter(gone))
        .set(credit_bundles::deleted_at.eq(diesel::dsl::now))
        .execute(connection)?;
    for bundle in &plan.bundles {
        let row = StoredBundle::new(merchant, plan.id(), bundle);
        diesel::insert_into(credit_bundles::table)
            .values(&row)
            .on_conflict(credit_bundles::id)
            .do_update()
            .set((
                credit_bundles::name.eq(&row.name),
                credit_bundles::cost.eq(row.cost),
                credit_bundles::credit_amount.eq(row.credit_amount),
            ))
            .execute(connection)?;
    }
    Ok(())
}

type Condition = Box<dyn BoxableExpression<credit_bundles::table, diesel::pg::Pg, SqlType = diesel::sql_types::Bool>>;

fn living_of(merchant: MerchantId) -> Condition {
    let of_living_plan = plans::table
        .filter(plans::merchant_id.eq(merchant.uuid()).and(plans::deleted_at.is_null()))
        .select(plans::id);
    let own = credit_bundles::merchant_id.eq(merchant.uuid());
    let living = own.and(credit_bundles::deleted_at.is_null());
    Box::new(living.and(credit_bundles::plan_id.eq_any(of_living_plan)))
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = credit_bundles, check_for_backend(diesel::pg::Pg))]
struct StoredBundle {
    id: Uuid,
    merchant_id: Uuid,
    plan_id: Uuid,
    name: String,
    cost: i64,
    credit_amount: i64,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl StoredBundle {
    fn new(merchant: MerchantId, plan: PlanId, bundle: &CreditBundle) -> Self {
        Self {
            id: bundle.id.uuid(),
            merchant_id: merchant.uuid(),
            plan_id: plan.uuid(),
            name: bundle.name.clone(),
            cost: bundle.cost.nanos(),
            credit_amount: bundle.credit_amount.nanos(),
            created_at: column::instant(bundle.id.created_ms()),
        }
    }
}

impl From<StoredBundle> for CreditBundleRow {
    fn from(row: StoredBundle) -> Self {
        Self {
            plan_id: PlanId::from_uuid(row.plan_id),
            bundle: CreditBundle {
                id: CreditBundleId::from_uuid(row.id),
                name: row.name,
                cost: Money::from_nanos(row.cost),
                credit_amount: Money::from_nanos(row.credit_amount),
            },
            created_at_ms: row.created_at.timestamp_millis(),
        }
    }
}
