//! Lists of spend keys that are chosen or ordered by more than their age. A merchant's keys are read through with their
//! counters. The cursor is the last key of the page before, which stands where it stands now: what was spent between two
//! pages may show a key again, and hides none that spent nothing.

use std::collections::HashMap;

use chrono::Utc;
use chrono_tz::Tz;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::keys::Owner;
use super::super::page::{Page, PageRequest};
use super::super::schema::spend_keys;
use super::super::search::Search;
use super::super::{StorageError, column};
use super::{SpendKeyRow, StoredSpendKey, owned_by};
use crate::domain::cycle::{Cycle, Window};
use crate::domain::ids::{MerchantId, SpendKeyId, WalletId};

/// How a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Neither paused nor expired; it may have reached its limit.
    Active,
    Paused,
    Expired,
    /// It has spent what its limit allows in this cycle, or made as many calls.
    Limited,
}

/// In which order keys come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyOrder {
    /// Newest first.
    #[default]
    Created,
    /// By the alphabet, in letters of either case.
    Name,
    /// What spent most of all time first.
    Spend,
    /// What was used last first.
    LastUsed,
}

/// Which keys, and in which order; the default is all of them, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChoice {
    pub search: Search,
    pub standing: Option<Standing>,
    pub tag: Option<String>,
    pub order: KeyOrder,
}

impl Standing {
    pub const ALL: [Self; 4] = [Self::Active, Self::Paused, Self::Expired, Self::Limited];

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Expired => "expired",
            Self::Limited => "limited",
        }
    }

    const fn condition(self) -> &'static str {
        match self {
            Self::Active => "k.status = 'active' AND (k.expires_at IS NULL OR k.expires_at > $8)",
            Self::Paused => "k.status = 'paused'",
            Self::Expired => "k.expires_at <= $8",
            Self::Limited => {
                "(k.spend_limit <= CASE k.spend_cycle WHEN 'total' THEN c.total_spend \
                 WHEN 'daily' THEN CASE WHEN c.day_start >= z.day_start THEN c.day_spend END \
                 WHEN 'weekly' THEN CASE WHEN c.week_start >= z.week_start THEN c.week_spend END \
                 WHEN 'monthly' THEN CASE WHEN c.month_start >= z.month_start THEN c.month_spend END END \
                 OR k.request_limit <= CASE k.request_cycle WHEN 'total' THEN c.total_requests \
                 WHEN 'daily' THEN CASE WHEN c.day_start >= z.day_start THEN c.day_requests END \
                 WHEN 'weekly' THEN CASE WHEN c.week_start >= z.week_start THEN c.week_requests END \
                 WHEN 'monthly' THEN CASE WHEN c.month_start >= z.month_start THEN c.month_requests END END)"
            }
        }
    }
}

impl KeyOrder {
    pub const ALL: [Self; 4] = [Self::Created, Self::Name, Self::Spend, Self::LastUsed];

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Name => "name",
            Self::Spend => "spend",
            Self::LastUsed => "last_used",
        }
    }

    /// What keys are compared by beside their ids, which comparison holds of those behind the cursor, and the order.
    const fn terms(self) -> (&'static str, &'static str, &'static str) {
        match self {
            // All keys have the same.
            Self::Created => ("k.merchant_id", "<", "DESC"),
            Self::Name => ("lower(k.name)", ">", "ASC"),
            Self::Spend => ("coalesce(c.total_spend, 0)", "<", "DESC"),
            Self::LastUsed => ("coalesce(c.last_used_at, '-infinity')", "<", "DESC"),
        }
    }
}

/// A page of the keys that are chosen; `now_ms` (unix milliseconds) says which of them are expired.
pub fn choose(
    connection: &mut PgConnection,
    owner: Owner,
    choice: &KeyChoice,
    (page, now_ms): (PageRequest, i64),
) -> Result<Page<SpendKeyRow>, StorageError> {
    let ids = chosen_ids(connection, owner, choice, (page, now_ms))?;
    let rows: Vec<StoredSpendKey> = spend_keys::table
        .filter(owned_by(owner))
        .filter(spend_keys::id.eq_any(&ids))
        .select(StoredSpendKey::as_select())
        .load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(SpendKeyRow::try_from).collect();
    let mut rows = rows?;
    let place = |row: &SpendKeyRow| ids.iter().position(|id| *id == row.settings.id.uuid());
    rows.sort_by_key(place);
    Ok(Page::cut(rows, page, |row| row.settings.id.bits()))
}

/// The names of these keys, also of those that are revoked; one that is not the merchant's has none.
pub fn names(
    connection: &mut PgConnection,
    merchant: MerchantId,
    ids: &[SpendKeyId],
) -> Result<HashMap<SpendKeyId, String>, StorageError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let found: Vec<(Uuid, String)> = spend_keys::table
        .filter(spend_keys::merchant_id.eq(merchant.uuid()))
        .filter(spend_keys::id.eq_any(ids))
        .select((spend_keys::id, spend_keys::name))
        .load(connection)?;
    let named = |(id, name)| (SpendKeyId::from_uuid(id), name);
    Ok(found.into_iter().map(named).collect())
}

fn chosen_ids(
    connection: &mut PgConnection,
    owner: Owner,
    choice: &KeyChoice,
    (page, now_ms): (PageRequest, i64),
) -> Result<Vec<Uuid>, StorageError> {
    let zones = match choice.standing {
        Some(Standing::Limited) => zones(connection, owner, now_ms)?,
        None | Some(Standing::Active | Standing::Paused | Standing::Expired) => Zones::default(),
    };
    let (first, last) = choice.search.ids(SpendKeyId::beginning);
    let found: Vec<Id> = sql_query(statement(choice))
        .bind::<SqlUuid, _>(owner.merchant_id.uuid())
        .bind::<Nullable<SqlUuid>, _>(owner.wallet_id.map(WalletId::uuid))
        .bind::<Text, _>(choice.search.pattern())
        .bind::<SqlUuid, _>(first)
        .bind::<SqlUuid, _>(last)
        .bind::<Nullable<Text>, _>(choice.tag.as_deref())
        .bind::<Nullable<SqlUuid>, _>(page.after.map(|cursor| Uuid::from_u128(cursor.0)))
        .bind::<Timestamptz, _>(column::instant(now_ms))
        .bind::<BigInt, _>(page.fetch_count())
        .bind::<Array<Text>, _>(zones.names)
        .bind::<Array<BigInt>, _>(zones.day_starts)
        .bind::<Array<BigInt>, _>(zones.week_starts)
        .bind::<Array<BigInt>, _>(zones.month_starts)
        .load(connection)?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

fn statement(choice: &KeyChoice) -> String {
    let (term, behind, order) = choice.order.terms();
    let standing = choice.standing.map_or("$8 IS NOT NULL", Standing::condition);
    format!(
        "SELECT k.id FROM spend_keys k LEFT JOIN spend_key_counters c ON c.key_id = k.id \
         LEFT JOIN unnest($10, $11, $12, $13) AS z(name, day_start, week_start, month_start) ON z.name = k.timezone \
         WHERE k.merchant_id = $1 AND k.revoked_at IS NULL AND ($2 IS NULL OR k.wallet_id = $2) \
         AND (k.name ILIKE $3 OR k.preview ILIKE $3 OR k.id BETWEEN $4 AND $5) \
         AND ($6 IS NULL OR $6 = ANY (k.tags)) AND {standing} \
         AND ($7 IS NULL OR ({term}, k.id) {behind} (SELECT {term}, k.id FROM spend_keys k \
         LEFT JOIN spend_key_counters c ON c.key_id = k.id WHERE k.id = $7 AND k.merchant_id = $1)) \
         ORDER BY {term} {order}, k.id {order} LIMIT $9"
    )
}

/// When the cycles of some zones began, in unix seconds.
#[derive(Default)]
struct Zones {
    names: Vec<String>,
    day_starts: Vec<i64>,
    week_starts: Vec<i64>,
    month_starts: Vec<i64>,
}

/// Those of the owner's keys.
fn zones(connection: &mut PgConnection, owner: Owner, now_ms: i64) -> Result<Zones, StorageError> {
    let names: Vec<String> = spend_keys::table
        .filter(owned_by(owner))
        .select(spend_keys::timezone)
        .distinct()
        .load(connection)?;
    let now = column::instant(now_ms).with_timezone(&Utc).timestamp();
    let mut zones = Zones::default();
    for name in names {
        let zone: Tz = name.parse().unwrap_or(Tz::UTC);
        let start = |cycle| Window::containing(cycle, now, zone).start;
        zones.day_starts.push(start(Cycle::Daily));
        zones.week_starts.push(start(Cycle::Weekly));
        zones.month_starts.push(start(Cycle::Monthly));
        zones.names.push(name);
    }
    Ok(zones)
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}
