//! Which spend keys used most, out of their days and weeks, and how the use of a few of them went.

use std::ops::Range;

use chrono::{DateTime, Datelike as _, Duration, NaiveDate, Utc};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::StorageError;
use super::{Step, TrafficPeriod};
use crate::domain::ids::{MerchantId, SpendKeyId};
use crate::domain::money::Money;

/// What one key used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFigures {
    pub spend_key_id: SpendKeyId,
    /// Also of a key that is revoked.
    pub name: String,
    pub totals: KeyTotals,
}

/// Sums over requests of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyTotals {
    pub request_count: u64,
    pub error_count: u64,
    pub tokens: u64,
    pub cost: Money,
}

/// Those that spent most, and how many there are in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopKeys {
    /// The one that spent most first.
    pub keys: Vec<KeyFigures>,
    pub key_count: u64,
}

/// What a key used in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPart {
    pub at: DateTime<Utc>,
    pub spend_key_id: SpendKeyId,
    pub request_count: u64,
    pub tokens: u64,
    pub cost: Money,
}

/// The keys that spent most in a period, at most so many. All of them are ranked by their cost alone, out of
/// whole weeks where there are some; the rest is summed of those few that are shown.
pub fn top_keys(
    connection: &mut PgConnection,
    merchant: MerchantId,
    period: TrafficPeriod,
    most: u32,
) -> Result<TopKeys, StorageError> {
    let weeks = whole_weeks(period);
    let rows: Vec<StoredKey> = sql_query(
        "WITH top AS (SELECT spend_key_id, sum(cost) AS spent, count(*) OVER () AS key_count FROM ( \
         SELECT spend_key_id, cost FROM traffic_key_weeks WHERE merchant_id = $1 AND week >= $5 AND week < $6 \
         UNION ALL SELECT spend_key_id, cost FROM traffic_key_days WHERE merchant_id = $1 AND day >= $2 AND day < $5 \
         UNION ALL SELECT spend_key_id, cost FROM traffic_key_days WHERE merchant_id = $1 AND day >= $6 AND day <= $3) s \
         GROUP BY spend_key_id ORDER BY spent DESC, spend_key_id LIMIT $4) \
         SELECT t.spend_key_id, k.name, least(t.spent, 9223372036854775807)::bigint AS cost, t.key_count, s.* FROM top t \
         LEFT JOIN spend_keys k ON k.id = t.spend_key_id AND k.merchant_id = $1 \
         CROSS JOIN LATERAL (SELECT sum(request_count)::bigint AS request_count, \
         sum(error_count)::bigint AS error_count, \
         least(sum(tokens), 9223372036854775807)::bigint AS tokens \
         FROM generate_series($2::timestamp, $3::timestamp, '1 day') AS d(day) \
         CROSS JOIN LATERAL (SELECT * FROM traffic_key_days WHERE merchant_id = $1 AND day = d.day::date \
         AND spend_key_id = t.spend_key_id OFFSET 0) AS x) AS s \
         ORDER BY t.spent DESC, t.spend_key_id",
    )
    .bind::<SqlUuid, _>(merchant.uuid())
    .bind::<Date, _>(period.first)
    .bind::<Date, _>(period.last)
    .bind::<BigInt, _>(i64::from(most))
    .bind::<Date, _>(weeks.start)
    .bind::<Date, _>(weeks.end)
    .load(connection)?;
    let mut top = TopKeys::default();
    for row in rows {
        top.key_count = row.key_count.unsigned_abs();
        top.keys.push(KeyFigures {
            spend_key_id: SpendKeyId::from_uuid(row.spend_key_id),
            name: row.name.unwrap_or_default(),
            totals: KeyTotals {
                request_count: row.request_count.unsigned_abs(),
                error_count: row.error_count.unsigned_abs(),
                tokens: row.tokens.unsigned_abs(),
                cost: Money::from_nanos(row.cost),
            },
        });
    }
    Ok(top)
}

/// The days of whole weeks, from a Monday to another; where there are none, it is empty and begins within the period or
/// just behind it.
fn whole_weeks(period: TrafficPeriod) -> Range<NaiveDate> {
    let behind = period.last.succ_opt().unwrap_or(period.last);
    let from_monday = i64::from(period.first.weekday().num_days_from_monday());
    let start = (period.first + Duration::days((7 - from_monday) % 7)).min(behind);
    let end = start + Duration::days((behind - start).num_days() / 7 * 7);
    start..end
}

/// What these keys used by step; in no order. Each key's rows are looked up by themselves: the planner is kept from
/// reading those of all others.
pub fn key_series(
    connection: &mut PgConnection,
    merchant: MerchantId,
    period: TrafficPeriod,
    of: (&[SpendKeyId], Step),
) -> Result<Vec<KeyPart>, StorageError> {
    let (keys, step) = of;
    let keys: Vec<Uuid> = keys.iter().map(|key| key.uuid()).collect();
    let statement = match step {
        Step::Day => DAYS,
        Step::Hour => HOURS,
    };
    let rows: Vec<StoredKeyPart> = connection.transaction(|connection| {
        connection.batch_execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")?;
        sql_query(statement)
            .bind::<SqlUuid, _>(merchant.uuid())
            .bind::<Timestamptz, _>(period.start())
            .bind::<Timestamptz, _>(period.end())
            .bind::<Array<SqlUuid>, _>(keys)
            .load(connection)
    })?;
    let part = |row: StoredKeyPart| KeyPart {
        at: row.at,
        spend_key_id: SpendKeyId::from_uuid(row.spend_key_id),
        request_count: row.request_count.unsigned_abs(),
        tokens: row.tokens.unsigned_abs(),
        cost: Money::from_nanos(row.cost),
    };
    Ok(rows.into_iter().map(part).collect())
}

const DAYS: &str = "SELECT (d.day AT TIME ZONE 'UTC') AS at, t.spend_key_id, t.request_count, t.tokens, t.cost \
    FROM unnest($4) AS k(id) \
    CROSS JOIN generate_series($2 AT TIME ZONE 'UTC', $3 AT TIME ZONE 'UTC' - interval '1 day', '1 day') AS d(day) \
    CROSS JOIN LATERAL (SELECT * FROM traffic_key_days WHERE merchant_id = $1 AND day = d.day::date \
    AND spend_key_id = k.id OFFSET 0) AS t";

const HOURS: &str = "SELECT date_bin('1 hour', q.quarter, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS at, \
    k.id AS spend_key_id, sum(q.request_count)::bigint AS request_count, \
    least(sum(q.tokens), 9223372036854775807)::bigint AS tokens, \
    least(sum(q.cost), 9223372036854775807)::bigint AS cost FROM unnest($4) AS k(id) \
    JOIN usage_quarters q ON q.merchant_id = $1 AND q.owner_id = k.id \
    AND q.meter_id = '00000000-0000-0000-0000-000000000000' AND q.quarter >= $2 AND q.quarter < $3 GROUP BY 1, 2";

#[derive(QueryableByName)]
struct StoredKey {
    #[diesel(sql_type = SqlUuid)]
    spend_key_id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = BigInt)]
    request_count: i64,
    #[diesel(sql_type = BigInt)]
    error_count: i64,
    #[diesel(sql_type = BigInt)]
    tokens: i64,
    #[diesel(sql_type = BigInt)]
    cost: i64,
    #[diesel(sql_type = BigInt)]
    key_count: i64,
}

#[derive(QueryableByName)]
struct StoredKeyPart {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = SqlUuid)]
    spend_key_id: Uuid,
    #[diesel(sql_type = BigInt)]
    request_count: i64,
    #[diesel(sql_type = BigInt)]
    tokens: i64,
    #[diesel(sql_type = BigInt)]
    cost: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_and_the_days_around_them_are_the_period() {
        let monday = NaiveDate::from_ymd_opt(2026, 11, 16).unwrap();
        for offset in 0..7 {
            for length in 1..40 {
                let first = monday + Duration::days(offset);
                let last = first + Duration::days(length - 1);
                let weeks = whole_weeks(TrafficPeriod { first, last });
                assert!(first <= weeks.start && weeks.start <= weeks.end && weeks.end <= last.succ_opt().unwrap());
                let days = (weeks.end - weeks.start).num_days();
                assert_eq!(days % 7, 0);
                if days > 0 {
                    assert_eq!(weeks.start.weekday(), chrono::Weekday::Mon);
                }
                assert!(length - days < 13, "{first} {last}: {weeks:?}");
            }
        }
    }
}
