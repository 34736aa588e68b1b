//! Meters: the price lists for customers' usage. A slug is unique among a merchant's meters that are not deleted. A
//! deleted meter leaves every query here; its row stays for the requests that name it.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::schema::meters;
use super::search::Search;
use super::{StorageError, column, plans};
use crate::domain::ids::{MerchantId, MeterId};
use crate::domain::meter::{Meter, MeterName, RateType, Tier, TierType, Tiers};
use crate::domain::money::Money;
use crate::domain::slug::free_slug;

const NOUN: &str = "meter";
/// Slugs are looked up and then taken; this often somebody else may be faster.
const ATTEMPTS: usize = 5;

/// A meter, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterRow {
    pub merchant_id: MerchantId,
    pub meter: Meter,
    pub created_at_ms: i64,
}

/// What a change may set; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeterChange {
    pub name: Option<String>,
    pub tiers: Option<Tiers>,
}

/// What meters count and how they charge, deleted ones too: neither ever changes.
pub fn kinds(
    connection: &mut PgConnection,
    ids: &[MeterId],
) -> Result<HashMap<MeterId, (RateType, TierType)>, StorageError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows: Vec<(Uuid, String, String)> = meters::table
        .filter(meters::id.eq_any(ids))
        .select((meters::id, meters::rate_type, meters::tier_type))
        .load(connection)?;
    let kind = |(id, rate_type, tier_type): (Uuid, String, String)| {
        let rate_type = column::word(NOUN, &rate_type, RateType::from_name)?;
        let tier_type = column::word(NOUN, &tier_type, TierType::from_name)?;
        Ok((MeterId::from_uuid(id), (rate_type, tier_type)))
    };
    rows.into_iter().map(kind).collect()
}

/// Stores a new meter; `Conflict` where its slug is taken.
pub fn create(connection: &mut PgConnection, new: &MeterRow) -> Result<(), StorageError> {
    diesel::insert_into(meters::table)
        .values(StoredMeter::from(new))
        .execute(connection)?;
    Ok(())
}

/// As [`create`], with a number after the slug where it is taken.
pub fn create_with_free_slug(connection: &mut PgConnection, mut new: MeterRow) -> Result<MeterRow, StorageError> {
    let base = new.meter.slug.clone();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let taken: HashSet<String> = meters::table
            .filter(living_of(new.merchant_id))
            // The base has no character that LIKE would read as a pattern.
            .filter(meters::slug.like(format!("{base}%")))
            .select(meters::slug)
            .load(connection)?
            .into_iter()
            .collect();
        new.meter.slug = free_slug(&base, |slug| taken.contains(slug));
        match create(connection, &new) {
            Err(StorageError::Conflict { .. }) if attempts < ATTEMPTS => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(new),
        }
    }
}

pub fn find(connection: &mut PgConnection, merchant: MerchantId, name: &MeterName) -> Result<MeterRow, StorageError> {
    meters::table
        .filter(living_of(merchant))
        .filter(named(name))
        .select(StoredMeter::as_select())
        .first(connection)?
        .try_into()
}

pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    page: PageRequest,
) -> Result<Page<MeterRow>, StorageError> {
    search(connection, merchant, &Search::default(), page)
}

/// Those of the list that are looked for.
pub fn search(
    connection: &mut PgConnection,
    merchant: MerchantId,
    search: &Search,
    page: PageRequest,
) -> Result<Page<MeterRow>, StorageError> {
    let (pattern, (first, last)) = (search.pattern(), search.ids(MeterId::beginning));
    let rows = meters::table
        .filter(living_of(merchant))
        .filter(
            meters::name
                .ilike(pattern.clone())
                .or(meters::slug.ilike(pattern.clone()))
                .or(meters::id.between(first, last)),
        )
        .filter(meters::id.lt(page.before()))
        .order(meters::id.desc())
        .limit(page.fetch_count())
        .select(StoredMeter::as_select())
        .load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(MeterRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.meter.id.bits()))
}

/// The meters that are not deleted, of one merchant or of all.
pub fn load(connection: &mut PgConnection, merchant: Option<MerchantId>) -> Result<Vec<MeterRow>, StorageError> {
    let mut query = meters::table.filter(meters::deleted_at.is_null()).into_boxed();
    if let Some(merchant) = merchant {
        query = query.filter(meters::merchant_id.eq(merchant.uuid()));
    }
    let rows = query.select(StoredMeter::as_select()).load(connection)?;
    rows.into_iter().map(MeterRow::try_from).collect()
}

pub fn update(
    connection: &mut PgConnection,
    merchant: MerchantId,
    name: &MeterName,
    change: MeterChange,
) -> Result<MeterRow, StorageError> {
    connection.transaction(|connection| {
        let stored = meters::table
            .filter(living_of(merchant))
            .filter(named(name))
            .select(StoredMeter::as_select())
            .for_no_key_update()
            .first(connection)?;
        let mut row = MeterRow::try_from(stored)?;
        row.meter.name = change.name.unwrap_or(row.meter.name);
        row.meter.tiers = change.tiers.unwrap_or(row.meter.tiers);
        let edited = StoredMeter::from(&row);
        diesel::update(meters::table.find(edited.id))
            .set((
                meters::name.eq(edited.name),
                meters::tier_starts.eq(edited.tier_starts),
                meters::tier_rates.eq(edited.tier_rates),
            ))
            .execute(connection)?;
        Ok(row)
    })
}

/// Takes a meter out of use for good, out of every plan as well, and tells its id.
pub fn delete(connection: &mut PgConnection, merchant: MerchantId, name: &MeterName) -> Result<MeterId, StorageError> {
    connection.transaction(|connection| {
        let id: Uuid = diesel::update(meters::table.filter(living_of(merchant)).filter(named(name)))
            .set(meters::deleted_at.eq(diesel::dsl::now))
            .returning(meters::id)
            .get_result(connection)?;
        let id = MeterId::from_uuid(id);
        plans::unlink_everywhere(connection, id)?;
        Ok(id)
    })
}

type Condition = Box<dyn BoxableExpression<meters::table, diesel::pg::Pg, SqlType = diesel::sql_types::Bool>>;

fn living_of(merchant: MerchantId) -> Condition {
    let own = meters::merchant_id.eq(merchant.uuid());
    Box::new(own.and(meters::deleted_at.is_null()))
}

fn named(name: &MeterName) -> Condition {
    match name {
        MeterName::Id(id) => Box::new(meters::id.eq(id.uuid())),
        MeterName::Slug(slug) => Box::new(meters::slug.eq(slug.clone())),
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = meters, check_for_backend(diesel::pg::Pg))]
struct StoredMeter {
    id: Uuid,
    merchant_id: Uuid,
    slug: String,
    name: String,
    rate_type: String,
    tier_type: String,
    tier_starts: Vec<i64>,
    tier_rates: Vec<i64>,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl From<&MeterRow> for StoredMeter {
    fn from(row: &MeterRow) -> Self {
        let meter = &row.meter;
        let tiers = meter.tiers.as_slice();
        Self {
            id: meter.id.uuid(),
            merchant_id: row.merchant_id.uuid(),
            slug: meter.slug.clone(),
            name: meter.name.clone(),
            rate_type: meter.rate_type.name().to_owned(),
            tier_type: meter.tier_type.name().to_owned(),
            tier_starts: tiers.iter().map(|tier| column::count_column(tier.start)).collect(),
            tier_rates: tiers.iter().map(|tier| tier.rate.nanos()).collect(),
            created_at: column::instant(row.created_at_ms),
        }
    }
}

impl TryFrom<StoredMeter> for MeterRow {
    type Error = StorageError;

    fn try_from(stored: StoredMeter) -> Result<Self, StorageError> {
        let pairs = stored.tier_starts.iter().zip(&stored.tier_rates);
        let tiers: Result<Vec<Tier>, StorageError> = pairs
            .map(|(start, rate)| {
                let start = column::count(NOUN, *start)?;
                let rate = Money::from_nanos(*rate);
                Ok(Tier { start, rate })
            })
            .collect();
        Ok(Self {
            merchant_id: MerchantId::from_uuid(stored.merchant_id),
            meter: Meter {
                id: MeterId::from_uuid(stored.id),
                slug: stored.slug,
                name: stored.name,
                rate_type: column::word(NOUN, &stored.rate_type, RateType::from_name)?,
                tier_type: column::word(NOUN, &stored.tier_type, TierType::from_name)?,
                tiers: Tiers::new(tiers?).map_err(|error| column::corrupt(NOUN, &error.to_string()))?,
            },
            created_at_ms: stored.created_at.timestamp_millis(),
        })
    }
}
