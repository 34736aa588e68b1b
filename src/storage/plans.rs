//! Plans: what customers subscribe to, with their bundles and the meters that may draw on their credit. A change is
//! worked out and written under the plan's lock, whole or not at all. A deleted plan leaves every query here but that of
//! the replica; its row, bundles and links stay for those who are on it.

use std::collections::HashMap;

use diesel::prelude::*;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::schema::{meters, plan_meters, plans};
use super::search::Search;
use super::{StorageError, column, credit_bundles};
use crate::domain::ids::{CreditBundleId, MerchantId, MeterId, PlanId};
use crate::domain::money::Money;
use crate::domain::plan::{CreditBundle, Plan, PlanChange, PlanError};
use crate::domain::terms::{Interval, Rollover, Terms};
use crate::engine::tariffs::ListedPlan;

const NOUN: &str = "plan";

/// A plan, whose it is, and which meters are linked to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRow {
    pub merchant_id: MerchantId,
    pub plan: Plan,
    /// Oldest first.
    pub meters: Vec<LinkedMeter>,
    pub created_at_ms: i64,
    pub is_deleted: bool,
}

impl PlanRow {
    /// As calls know it.
    pub fn listed(&self) -> ListedPlan {
        ListedPlan {
            merchant_id: self.merchant_id,
            plan: self.plan.clone(),
            meter_ids: self.meters.iter().map(|meter| meter.id).collect(),
            is_deleted: self.is_deleted,
        }
    }
}

/// A meter that may draw on a plan's credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedMeter {
    pub id: MeterId,
    pub name: String,
}

/// What an update sets; `None` leaves the meters as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanEdit {
    pub change: PlanChange,
    pub meter_ids: Option<Vec<MeterId>>,
}

/// Why a plan was not stored; nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanRefusal {
    Plan(PlanError),
    /// No meter of this merchant has the id at this place.
    NoSuchMeter(usize),
}

/// Stores the plan that every merchant has from the start.
pub(super) fn create_free(connection: &mut PgConnection, merchant: MerchantId) -> Result<(), StorageError> {
    let plan = Plan::free_of(merchant);
    insert(connection, &StoredPlan::new(merchant, &plan))
}

/// Stores a new plan with its bundles and links.
pub fn create(
    connection: &mut PgConnection,
    merchant: MerchantId,
    plan: Plan,
    meter_ids: &[MeterId],
) -> Result<Result<PlanRow, PlanRefusal>, StorageError> {
    connection.transaction(|connection| {
        if let Err(error) = plan.check() {
            return Ok(Err(PlanRefusal::Plan(error)));
        }
        let meters = match lock_meters(connection, merchant, meter_ids)? {
            Ok(meters) => meters,
            Err(refusal) => return Ok(Err(refusal)),
        };
        insert(connection, &StoredPlan::new(merchant, &plan))?;
        credit_bundles::save(connection, merchant, &plan)?;
        link(connection, merchant, plan.id(), &meters)?;
        Ok(Ok(PlanRow {
            merchant_id: merchant,
            created_at_ms: plan.id().created_ms(),
            plan,
            meters,
            is_deleted: false,
        }))
    })
}

pub fn find(connection: &mut PgConnection, merchant: MerchantId, id: PlanId) -> Result<PlanRow, StorageError> {
    let row = plans::table
        .find(id.uuid())
        .filter(living_of(merchant))
        .select(StoredPlan::as_select())
        .first(connection)?;
    let mut rows = assemble(connection, vec![row])?;
    rows.pop().ok_or(StorageError::NotFound)
}

pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    page: PageRequest,
) -> Result<Page<PlanRow>, StorageError> {
    search(connection, merchant, &Search::default(), page)
}

/// Those of the list that are looked for.
pub fn search(
    connection: &mut PgConnection,
    merchant: MerchantId,
    search: &Search,
    page: PageRequest,
) -> Result<Page<PlanRow>, StorageError> {
    let (pattern, (first, last)) = (search.pattern(), search.ids(PlanId::beginning));
    let rows = plans::table
        .filter(living_of(merchant))
        .filter(plans::name.ilike(pattern.clone()).or(plans::id.between(first, last)))
        .filter(plans::id.lt(page.before()))
        .order(plans::id.desc())
        .limit(page.fetch_count())
        .select(StoredPlan::as_select())
        .load(connection)?;
    let rows = assemble(connection, rows)?;
    Ok(Page::cut(rows, page, |row| row.plan.id().bits()))
}

/// All plans of one merchant or of all, the deleted ones too.
pub fn load(connection: &mut PgConnection, merchant: Option<MerchantId>) -> Result<Vec<PlanRow>, StorageError> {
    let mut query = plans::table.into_boxed();
    if let Some(merchant) = merchant {
        query = query.filter(plans::merchant_id.eq(merchant.uuid()));
    }
    let rows = query.select(StoredPlan::as_select()).load(connection)?;
    assemble(connection, rows)
}

/// Changes what the edit names. Where it is refused nothing changes.
pub fn update(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id: PlanId,
    edit: PlanEdit,
) -> Result<Result<PlanRow, PlanRefusal>, StorageError> {
    connection.transaction(|connection| {
        plans::table
            .find(id.uuid())
            .filter(living_of(merchant))
            .select(plans::id)
            .for_no_key_update()
            .first::<Uuid>(connection)?;
        let before = find(connection, merchant, id)?;
        let plan = match before.plan.changed(edit.change) {
            Ok(plan) => plan,
            Err(error) => return Ok(Err(PlanRefusal::Plan(error))),
        };
        if let Some(ids) = edit.meter_ids {
            match lock_meters(connection, merchant, &ids)? {
                Ok(meters) => relink(connection, merchant, id, &meters)?,
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        save(connection, merchant, &plan)?;
        find(connection, merchant, id).map(Ok)
    })
}

/// Takes a plan out of use for good; who is on it stays on it.
pub fn delete(connection: &mut PgConnection, merchant: MerchantId, id: PlanId) -> Result<(), StorageError> {
    let deleted = diesel::update(plans::table.find(id.uuid()).filter(living_of(merchant)))
        .set(plans::deleted_at.eq(diesel::dsl::now))
        .execute(connection)?;
    if deleted == 1 {
        Ok(())
    } else {
        Err(StorageError::NotFound)
    }
}

/// Takes a meter from every plan, in the transaction that deletes it.
pub(super) fn unlink_everywhere(connection: &mut PgConnection, meter: MeterId) -> Result<(), StorageError> {
    diesel::delete(plan_meters::table.filter(plan_meters::meter_id.eq(meter.uuid()))).execute(connection)?;
    Ok(())
}

fn insert(connection: &mut PgConnection, row: &StoredPlan) -> Result<(), StorageError> {
    diesel::insert_into(plans::table).values(row).execute(connection)?;
    Ok(())
}

fn save(connection: &mut PgConnection, merchant: MerchantId, plan: &Plan) -> Result<(), StorageError> {
    credit_bundles::save(connection, merchant, plan)?;
    let stored = StoredPlan::new(merchant, plan);
    diesel::update(plans::table.find(stored.id))
        .set((
            plans::name.eq(stored.name),
            plans::included_credit.eq(stored.included_credit),
            plans::rollover_type.eq(stored.rollover_type),
            plans::bundle_rollover_type.eq(stored.bundle_rollover_type),
            plans::default_bundle_id.eq(stored.default_bundle_id),
        ))
        .execute(connection)?;
    Ok(())
}

/// Makes these the only meters of a plan.
fn relink(
    connection: &mut PgConnection,
    merchant: MerchantId,
    plan: PlanId,
    linked: &[LinkedMeter],
) -> Result<(), StorageError> {
    let kept: Vec<Uuid> = linked.iter().map(|meter| meter.id.uuid()).collect();
    let gone = plan_meters::plan_id
        .eq(plan.uuid())
        .and(plan_meters::meter_id.ne_all(kept));
    diesel::delete(plan_meters::table.filter(gone)).execute(connection)?;
    link(connection, merchant, plan, linked)
}

/// The meters with these ids, which nobody deletes until the transaction ends.
fn lock_meters(
    connection: &mut PgConnection,
    merchant: MerchantId,
    ids: &[MeterId],
) -> Result<Result<Vec<LinkedMeter>, PlanRefusal>, StorageError> {
    let wanted: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let living = meters::merchant_id
        .eq(merchant.uuid())
        .and(meters::deleted_at.is_null());
    let found: Vec<(Uuid, String)> = meters::table
        .filter(living.and(meters::id.eq_any(wanted)))
        .order(meters::id)
        .select((meters::id, meters::name))
        .for_share()
        .load(connection)?;
    let found: Vec<LinkedMeter> = found.into_iter().map(linked_meter).collect();
    let missing = ids.iter().position(|id| !found.iter().any(|meter| meter.id == *id));
    Ok(missing.map_or(Ok(found), |place| Err(PlanRefusal::NoSuchMeter(place))))
}

fn link(
    connection: &mut PgConnection,
    merchant: MerchantId,
    plan: PlanId,
    linked: &[LinkedMeter],
) -> Result<(), StorageError> {
    let row = |meter: &LinkedMeter| {
        (
            plan_meters::merchant_id.eq(merchant.uuid()),
            plan_meters::plan_id.eq(plan.uuid()),
            plan_meters::meter_id.eq(meter.id.uuid()),
        )
    };
    diesel::insert_into(plan_meters::table)
        .values(linked.iter().map(row).collect::<Vec<_>>())
        .on_conflict_do_nothing()
        .execute(connection)?;
    Ok(())
}

/// The rows with their bundles and meters.
fn assemble(connection: &mut PgConnection, rows: Vec<StoredPlan>) -> Result<Vec<PlanRow>, StorageError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut bundles: HashMap<PlanId, Vec<CreditBundle>> = HashMap::new();
    for row in credit_bundles::load_of(connection, &ids)? {
        bundles.entry(row.plan_id).or_default().push(row.bundle);
    }
    let links: Vec<(Uuid, (Uuid, String))> = plan_meters::table
        .inner_join(meters::table)
        .filter(plan_meters::plan_id.eq_any(&ids))
        .order(meters::id)
        .select((plan_meters::plan_id, (meters::id, meters::name)))
        .load(connection)?;
    let mut linked: HashMap<PlanId, Vec<LinkedMeter>> = HashMap::new();
    for (plan, meter) in links {
        linked
            .entry(PlanId::from_uuid(plan))
            .or_default()
            .push(linked_meter(meter));
    }
    let row = |stored: StoredPlan| {
        let id = PlanId::from_uuid(stored.id);
        Ok(PlanRow {
            merchant_id: MerchantId::from_uuid(stored.merchant_id),
            created_at_ms: stored.created_at.timestamp_millis(),
            is_deleted: stored.deleted_at.is_some(),
            plan: stored.into_plan(bundles.remove(&id).unwrap_or_default())?,
            meters: linked.remove(&id).unwrap_or_default(),
        })
    };
    rows.into_iter().map(row).collect()
}

fn linked_meter((id, name): (Uuid, String)) -> LinkedMeter {
    let id = MeterId::from_uuid(id);
    LinkedMeter { id, name }
}

type Condition = Box<dyn BoxableExpression<plans::table, diesel::pg::Pg, SqlType = diesel::sql_types::Bool>>;

fn living_of(merchant: MerchantId) -> Condition {
    let own = plans::merchant_id.eq(merchant.uuid());
    Box::new(own.and(plans::deleted_at.is_null()))
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = plans, check_for_backend(diesel::pg::Pg))]
struct StoredPlan {
    id: Uuid,
    merchant_id: Uuid,
    name: String,
    period_amount: i64,
    billing_interval: String,
    included_credit: i64,
    rollover_type: String,
    bundle_rollover_type: String,
    default_bundle_id: Option<Uuid>,
    created_at: chrono::DateTime<chrono::Utc>,
    deleted_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl StoredPlan {
    fn new(merchant: MerchantId, plan: &Plan) -> Self {
        let terms = &plan.terms;
        Self {
            id: plan.id().uuid(),
            merchant_id: merchant.uuid(),
            name: terms.name.clone(),
            period_amount: terms.period_amount.nanos(),
            billing_interval: terms.interval.name().to_owned(),
            included_credit: terms.included_credit.nanos(),
            rollover_type: terms.rollover.name().to_owned(),
            bundle_rollover_type: terms.bundle_rollover.name().to_owned(),
            default_bundle_id: plan.default_bundle_id.map(CreditBundleId::uuid),
            created_at: column::instant(plan.id().created_ms()),
            deleted_at: None,
        }
    }

    fn into_plan(self, bundles: Vec<CreditBundle>) -> Result<Plan, StorageError> {
        let terms = Terms {
            plan_id: PlanId::from_uuid(self.id),
            name: self.name,
            period_amount: Money::from_nanos(self.period_amount),
            interval: column::word(NOUN, &self.billing_interval, Interval::from_name)?,
            included_credit: Money::from_nanos(self.included_credit),
            rollover: column::word(NOUN, &self.rollover_type, Rollover::from_name)?,
            bundle_rollover: column::word(NOUN, &self.bundle_rollover_type, Rollover::from_name)?,
        };
        Ok(Plan {
            terms,
            default_bundle_id: self.default_bundle_id.map(CreditBundleId::from_uuid),
            bundles,
        })
    }
}
