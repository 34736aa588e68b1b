//! What a merchant used, by day: sums over quarters of an hour that are kept as the rows are written, and over the rows
//! themselves where a period begins or ends within a quarter, or where nothing is kept of what is asked for. A day is one
//! of the caller's zone, given as an offset from UTC; days without a request are left out.

mod quarters;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Date, Integer, Jsonb, Nullable, Timestamptz, Uuid as SqlUuid};

use super::requests::RequestFilter;
use super::{StorageError, column};
use crate::domain::ids::{CustomerId, MerchantId, MeterId, SpendKeyId};
use crate::domain::money::Money;
pub use quarters::{QuarterScope, last_ms_of_quarter, quarter_start_ms};

/// Which time, and whose days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsagePeriod {
    /// Unix milliseconds, both inclusive.
    pub start_ms: i64,
    pub end_ms: i64,
    /// Seconds east of UTC, by which requests fall into days.
    pub utc_offset_s: i32,
}

/// Sums over some requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageFigures {
    pub request_count: u64,
    /// Input, cached input and output.
    pub tokens: u64,
    pub cost: Money,
    pub charge: Money,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageDay {
    pub date: NaiveDate,
    pub figures: UsageFigures,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageReport {
    /// Oldest first.
    pub days: Vec<UsageDay>,
    pub totals: UsageFigures,
}

/// A merchant's usage by the day on which requests were admitted.
pub fn by_day(
    connection: &mut PgConnection,
    merchant: MerchantId,
    period: UsagePeriod,
    filter: &RequestFilter,
) -> Result<UsageReport, StorageError> {
    let mut stored = Vec::new();
    match quarters::whole_quarters(period).zip(quarters::rows_of(merchant, filter)) {
        None => stored.extend(rows_by_day(connection, merchant, period, filter)?),
        Some((whole, owner)) => {
            let before = UsagePeriod {
                end_ms: whole.start_ms - 1,
                ..period
            };
            let after = UsagePeriod {
                start_ms: whole.end_ms + 1,
                ..period
            };
            stored.extend(quarters::by_day(connection, merchant, whole, owner)?);
            for edge in [before, after] {
                if edge.start_ms <= edge.end_ms {
                    stored.extend(rows_by_day(connection, merchant, edge, filter)?);
                }
            }
        }
    }
    Ok(UsageReport::from(stored))
}

/// The sums over the rows themselves.
fn rows_by_day(
    connection: &mut PgConnection,
    merchant: MerchantId,
    period: UsagePeriod,
    filter: &RequestFilter,
) -> Result<Vec<StoredDay>, StorageError> {
    let days = sql_query(
        "SELECT (admitted_at AT TIME ZONE 'UTC' + $4 * interval '1 second')::date AS date, \
         count(*) AS request_count, \
         least(sum(input_tokens::numeric + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens \
         + output_tokens), 9223372036854775807)::bigint AS tokens, \
         least(sum(cost), 9223372036854775807)::bigint AS cost, \
         least(sum(charge), 9223372036854775807)::bigint AS charge \
         FROM requests WHERE merchant_id = $1 AND admitted_at >= $2 AND admitted_at <= $3 \
         AND ($5 IS NULL OR spend_key_id = $5) AND ($6 IS NULL OR customer_id = $6) \
         AND ($7 IS NULL OR meter_id = $7) AND ($8 IS NULL OR metadata @> $8) \
         GROUP BY 1",
    )
    .bind::<SqlUuid, _>(merchant.uuid())
    .bind::<Timestamptz, _>(column::instant(period.start_ms))
    .bind::<Timestamptz, _>(column::instant(period.end_ms))
    .bind::<Integer, _>(period.utc_offset_s)
    .bind::<Nullable<SqlUuid>, _>(filter.spend_key_id.map(SpendKeyId::uuid))
    .bind::<Nullable<SqlUuid>, _>(filter.customer_id.map(CustomerId::uuid))
    .bind::<Nullable<SqlUuid>, _>(filter.meter_id.map(MeterId::uuid))
    .bind::<Nullable<Jsonb>, _>(filter.metadata.as_ref())
    .load(connection)?;
    Ok(days)
}

impl From<Vec<StoredDay>> for UsageReport {
    /// A day may come in parts.
    fn from(stored: Vec<StoredDay>) -> Self {
        let mut days: BTreeMap<NaiveDate, UsageFigures> = BTreeMap::new();
        for part in stored {
            let day = days.entry(part.date).or_default();
            *day = day.plus(part.into());
        }
        let totals = days
            .values()
            .fold(UsageFigures::default(), |sum, figures| sum.plus(*figures));
        let day = |(date, figures)| UsageDay { date, figures };
        Self {
            days: days.into_iter().map(day).collect(),
            totals,
        }
    }
}

impl UsageFigures {
    fn plus(self, other: Self) -> Self {
        Self {
            request_count: self.request_count.saturating_add(other.request_count),
            tokens: self.tokens.saturating_add(other.tokens),
            cost: self.cost.saturating_add(other.cost),
            charge: self.charge.saturating_add(other.charge),
        }
    }
}

#[derive(QueryableByName)]
struct StoredDay {
    #[diesel(sql_type = Date)]
    date: NaiveDate,
    #[diesel(sql_type = BigInt)]
    request_count: i64,
    #[diesel(sql_type = BigInt)]
    tokens: i64,
    #[diesel(sql_type = BigInt)]
    cost: i64,
    #[diesel(sql_type = BigInt)]
    charge: i64,
}

impl From<StoredDay> for UsageFigures {
    /// CHECKs keep sums from being negative.
    fn from(row: StoredDay) -> Self {
        Self {
            request_count: row.request_count.unsigned_abs(),
            tokens: row.tokens.unsigned_abs(),
            cost: Money::from_nanos(row.cost),
            charge: Money::from_nanos(row.charge),
        }
    }
}
