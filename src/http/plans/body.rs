//! The bodies that make and change a plan, read field by field. Nothing is applied unless everything is valid; what
//! only the stored plan can tell is checked where it is stored.

use serde_json::{Map, Value};

use crate::domain::ids::{CreditBundleId, MeterId, PlanId};
use crate::domain::plan::{BundleChange, CreditBundle, Plan, PlanChange};
use crate::domain::terms::{Interval, Rollover, Terms};
use crate::http::error::ApiError;
use crate::http::fields::{Change, Fields, Range};
use crate::storage::plans::PlanEdit;

/// The fields that a creation and an update share.
const SHARED: [&str; 6] = [
    "name",
    "rollover_type",
    "bundle_rollover_type",
    "included_credit",
    "meter_ids",
    "credit_bundles",
];
/// Set once.
const AT_CREATION: [&str; 2] = ["period_amount", "billing_interval"];
const DEFAULT_INDEX: &str = "default_auto_top_up_bundle_index";
const DEFAULT_ID: &str = "default_auto_top_up_bundle_id";
const BUNDLE: [&str; 3] = ["name", "cost", "credit_amount"];
const BUNDLE_CHANGE: [&str; 5] = ["name", "cost", "credit_amount", "credit_bundle_id", "is_deleted"];

const INDEX: Range = Range { least: 0, most: 99 };

/// Gives the ids of the bundles that are made.
type NewId<'a> = &'a dyn Fn() -> Result<CreditBundleId, ApiError>;

/// The plan with this id that a body makes, and the meters that are to be linked to it.
pub fn read_creation(body: &Map<String, Value>, id: PlanId, new_id: NewId) -> Result<(Plan, Vec<MeterId>), ApiError> {
    let fields = Fields::of_body(body, &[&SHARED[..], &AT_CREATION[..], &[DEFAULT_INDEX]].concat())?;
    let name = fields.required("name", fields.text("name", 255)?)?;
    let terms = read_terms(&fields, id, name)?;
    let bundles = fields.objects("credit_bundles", &BUNDLE, |bundle| new_bundle(bundle, new_id))?;
    let bundles = bundles.value().unwrap_or_default();
    let default = match fields.integer(DEFAULT_INDEX, INDEX)?.value() {
        None => None,
        Some(index) => {
            let bundle = usize::try_from(index).ok().and_then(|index| bundles.get(index));
            let outside = || ApiError::invalid(DEFAULT_INDEX, "is not the place of one of `credit_bundles`");
            Some(bundle.ok_or_else(outside)?.id)
        }
    };
    let plan = Plan {
        terms,
        default_bundle_id: default,
        bundles,
    };
    let meter_ids = read_meter_ids(&fields)?.value().unwrap_or_default();
    Ok((plan, meter_ids))
}

/// What a body changes of a plan.
pub fn read_edit(body: &Map<String, Value>, new_id: NewId) -> Result<PlanEdit, ApiError> {
    let fields = Fields::of_body(body, &[&SHARED[..], &AT_CREATION[..], &[DEFAULT_ID]].concat())?;
    fields.refuse_change(&AT_CREATION)?;
    let bundles = fields.objects("credit_bundles", &BUNDLE_CHANGE, |bundle| bundle_change(bundle, new_id))?;
    let default = fields.parsed(DEFAULT_ID, "is not the id of a credit bundle", |text| text.parse().ok())?;
    let change = PlanChange {
        name: fields.not_null("name", fields.text("name", 255)?)?,
        included_credit: fields.not_null("included_credit", fields.amount_or_zero("included_credit")?)?,
        rollover: fields.not_null("rollover_type", rollover(&fields, "rollover_type")?)?,
        bundle_rollover: fields.not_null("bundle_rollover_type", rollover(&fields, "bundle_rollover_type")?)?,
        default_bundle_id: match default {
            Change::Keep => None,
            Change::Clear => Some(None),
            Change::Set(id) => Some(Some(id)),
        },
        bundles: fields.not_null("credit_bundles", bundles)?.unwrap_or_default(),
    };
    let meter_ids = fields.not_null("meter_ids", read_meter_ids(&fields)?)?;
    Ok(PlanEdit { change, meter_ids })
}

/// Credit is the price unless the body says otherwise; what is left of it lapses, and what is left of bundles stays.
fn read_terms(fields: &Fields, plan_id: PlanId, name: String) -> Result<Terms, ApiError> {
    let interval = fields.word("billing_interval", Interval::WORDS, Interval::from_name)?;
    let period_amount = fields.required("period_amount", fields.amount_or_zero("period_amount")?)?;
    let credit = fields.amount_or_zero("included_credit")?.value();
    let bundle_rollover = rollover(fields, "bundle_rollover_type")?.value();
    Ok(Terms {
        plan_id,
        name,
        period_amount,
        interval: fields.required("billing_interval", interval)?,
        included_credit: credit.unwrap_or(period_amount),
        rollover: rollover(fields, "rollover_type")?.value().unwrap_or(Rollover::None),
        bundle_rollover: bundle_rollover.unwrap_or(Rollover::Full),
    })
}

fn rollover(fields: &Fields, name: &str) -> Result<Change<Rollover>, ApiError> {
    fields.word(name, Rollover::WORDS, Rollover::from_name)
}

fn new_bundle(fields: &Fields, new_id: NewId) -> Result<CreditBundle, ApiError> {
    Ok(CreditBundle {
        name: fields.required("name", fields.text("name", 255)?)?,
        cost: fields.required("cost", fields.amount("cost")?)?,
        credit_amount: fields.required("credit_amount", fields.amount("credit_amount")?)?,
        id: new_id()?,
    })
}

/// With an id a change, or with `is_deleted` the end, of a bundle; without one a new bundle.
fn bundle_change(fields: &Fields, new_id: NewId) -> Result<BundleChange, ApiError> {
    let what = "is not the id of a credit bundle";
    let id = fields.parsed("credit_bundle_id", what, |text| text.parse().ok())?;
    let is_deleted = fields.flag("is_deleted")?.value().unwrap_or(false);
    match id.value() {
        None if is_deleted => Err(fields.wrong("credit_bundle_id", "is required where `is_deleted` is true")),
        None => new_bundle(fields, new_id).map(BundleChange::Create),
        Some(id) if is_deleted => Ok(BundleChange::Remove(id)),
        Some(id) => Ok(BundleChange::Update {
            id,
            name: fields.not_null("name", fields.text("name", 255)?)?,
            cost: fields.not_null("cost", fields.amount("cost")?)?,
            credit_amount: fields.not_null("credit_amount", fields.amount("credit_amount")?)?,
        }),
    }
}

fn read_meter_ids(fields: &Fields) -> Result<Change<Vec<MeterId>>, ApiError> {
    let ids = fields.texts("meter_ids", "is not the id of a meter", |text| {
        text.parse::<MeterId>().ok()
    })?;
    if let Change::Set(ids) = &ids {
        let repeats = |(place, id): &(usize, &MeterId)| ids[..*place].contains(*id);
        if let Some((place, _)) = ids.iter().enumerate().find(repeats) {
            return Err(fields.wrong(&format!("meter_ids[{place}]"), "is in the list twice"));
        }
    }
    Ok(ids)
}
