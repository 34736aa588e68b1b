//! What went through, out of the sums that the billing writer keeps by hours (of each provider and model) and by days (of
//! each spend key): series, totals, times, and who used most. Periods are whole days of UTC. Nothing here reads requests,
//! so that an answer takes as long after a year as after a day, and stays when old requests are gone.

mod keys;

use std::sync::LazyLock;

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};

use super::StorageError;
use crate::domain::ids::MerchantId;
use crate::domain::money::Money;
use crate::domain::traffic::{SPAN_COUNT, Spread, Timings, TrafficFigures};
pub use keys::{KeyFigures, KeyPart, KeyTotals, TopKeys, key_series, top_keys};

const HOUR_MS: i64 = 3_600_000;

/// How many models a merchant has by name in one hour; the requests of further ones are summed without.
pub const NAMED_MODELS: usize = 250;

/// The columns of hours whose sums always fit, and those whose sums may not.
pub const COUNT_COLUMNS: [&str; 7] = [
    "request_count",
    "throttled_count",
    "rejected_count",
    "timed_out_count",
    "failed_count",
    "broken_count",
    "estimated_count",
];
pub const AMOUNT_COLUMNS: [&str; 6] = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "cost",
    "charge",
];

/// The columns of the spans of latency, then those of the first token.
pub fn span_columns() -> impl Iterator<Item = String> {
    let of = |name: &'static str| (0..SPAN_COUNT).map(move |span| format!("{name}_{span:02}"));
    of("latency").chain(of("first_token"))
}

/// When the hour of this instant begins; unix milliseconds.
pub fn hour_start_ms(instant_ms: i64) -> i64 {
    instant_ms.saturating_sub(instant_ms.rem_euclid(HOUR_MS))
}

/// Days of UTC, the last one among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficPeriod {
    pub first: NaiveDate,
    pub last: NaiveDate,
}

/// What a point of a series sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Hour,
    Day,
}

/// What went to one model in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficPart {
    /// When the step begins.
    pub at: DateTime<Utc>,
    pub provider: String,
    /// Empty where no model was named, and for those beyond [`NAMED_MODELS`].
    pub model: String,
    pub figures: TrafficFigures,
}

/// How long the calls to one model took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelTimings {
    pub provider: String,
    pub model: String,
    pub timings: Timings,
}

impl TrafficPeriod {
    /// The days, oldest first.
    pub fn days(self) -> impl Iterator<Item = NaiveDate> {
        self.first.iter_days().take_while(move |day| *day <= self.last)
    }

    pub fn day_count(self) -> i64 {
        (self.last - self.first).num_days() + 1
    }

    /// How many steps there are.
    pub fn step_count(self, step: Step) -> usize {
        let days = usize::try_from(self.day_count()).unwrap_or(0);
        match step {
            Step::Hour => days.saturating_mul(24),
            Step::Day => days,
        }
    }

    /// As many days, just before these; `None` before the calendar begins.
    pub fn before(self) -> Option<Self> {
        let length = Duration::days(self.day_count());
        Some(Self {
            first: self.first.checked_sub_signed(length)?,
            last: self.first.pred_opt()?,
        })
    }

    /// The instants at which the steps begin, oldest first.
    pub fn steps(self, step: Step) -> Vec<DateTime<Utc>> {
        let hours: &[i64] = match step {
            Step::Hour => &[
                0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
            ],
            Step::Day => &[0],
        };
        self.days()
            .flat_map(|day| hours.iter().map(move |hour| midnight(day) + Duration::hours(*hour)))
            .collect()
    }

    fn start(self) -> DateTime<Utc> {
        midnight(self.first)
    }

    /// The first instant after it.
    fn end(self) -> DateTime<Utc> {
        midnight(self.last) + Duration::days(1)
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

impl Step {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    const fn interval(self) -> &'static str {
        match self {
            Self::Hour => "1 hour",
            Self::Day => "1 day",
        }
    }
}

/// What went through by step, provider and model; in no order.
pub fn parts(
    connection: &mut PgConnection,
    merchant: MerchantId,
    period: TrafficPeriod,
    step: Step,
) -> Result<Vec<TrafficPart>, StorageError> {
    let rows: Vec<StoredPart> = sql_query(PARTS.as_str())
        .bind::<SqlUuid, _>(merchant.uuid())
        .bind::<Timestamptz, _>(period.start())
        .bind::<Timestamptz, _>(period.end())
        .bind::<Text, _>(step.interval())
        .load(connection)?;
    let part = |row: StoredPart| TrafficPart {
        at: row.at,
        provider: row.provider,
        model: row.model,
        figures: row.figures.into(),
    };
    Ok(rows.into_iter().map(part).collect())
}

/// All that went through.
pub fn totals(
    connection: &mut PgConnection,
    merchant: MerchantId,
    period: TrafficPeriod,
) -> Result<TrafficFigures, StorageError> {
    let row: StoredFigures = sql_query(TOTALS.as_str())
        .bind::<SqlUuid, _>(merchant.uuid())
        .bind::<Timestamptz, _>(period.start())
        .bind::<Timestamptz, _>(period.end())
        .get_result(connection)?;
    Ok(row.into())
}

/// How long calls took, by provider and model; in no order.
pub fn timings(
    connection: &mut PgConnection,
    merchant: MerchantId,
    period: TrafficPeriod,
) -> Result<Vec<ModelTimings>, StorageError> {
    let rows: Vec<StoredTimings> = sql_query(TIMINGS.as_str())
        .bind::<SqlUuid, _>(merchant.uuid())
        .bind::<Timestamptz, _>(period.start())
        .bind::<Timestamptz, _>(period.end())
        .load(connection)?;
    let timings = |row: StoredTimings| {
        let (latency, first_token) = row.spans.split_at(SPAN_COUNT.min(row.spans.len()));
        ModelTimings {
            provider: row.provider,
            model: row.model,
            timings: Timings {
                latency: spread(latency),
                first_token: spread(first_token),
            },
        }
    };
    Ok(rows.into_iter().map(timings).collect())
}

fn spread(counts: &[i64]) -> Spread {
    let mut spread = Spread::default();
    for (count, stored) in spread.0.iter_mut().zip(counts) {
        *count = stored.unsigned_abs();
    }
    spread
}

const OF_PERIOD: &str = "FROM traffic_hours WHERE merchant_id = $1 AND hour >= $2 AND hour < $3";

/// The sums of every column of figures.
fn sums() -> String {
    let counts = COUNT_COLUMNS.map(|name| format!("coalesce(sum({name}), 0)::bigint AS {name}"));
    let amounts =
        AMOUNT_COLUMNS.map(|name| format!("least(coalesce(sum({name}), 0), 9223372036854775807)::bigint AS {name}"));
    [counts.join(", "), amounts.join(", ")].join(", ")
}

static PARTS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT date_bin($4::interval, hour, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS at, provider, model, {} \
         {OF_PERIOD} GROUP BY 1, 2, 3",
        sums()
    )
});

static TOTALS: LazyLock<String> = LazyLock::new(|| format!("SELECT {} {OF_PERIOD}", sums()));

static TIMINGS: LazyLock<String> = LazyLock::new(|| {
    let spans: Vec<String> = span_columns().map(|name| format!("sum({name})::bigint")).collect();
    format!(
        "SELECT provider, model, ARRAY[{}] AS spans {OF_PERIOD} GROUP BY 1, 2",
        spans.join(", ")
    )
});

#[derive(QueryableByName)]
struct StoredPart {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(embed)]
    figures: StoredFigures,
}

#[derive(QueryableByName)]
struct StoredTimings {
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = Array<BigInt>)]
    spans: Vec<i64>,
}

#[derive(QueryableByName)]
struct StoredFigures {
    #[diesel(sql_type = BigInt)]
    request_count: i64,
    #[diesel(sql_type = BigInt)]
    throttled_count: i64,
    #[diesel(sql_type = BigInt)]
    rejected_count: i64,
    #[diesel(sql_type = BigInt)]
    timed_out_count: i64,
    #[diesel(sql_type = BigInt)]
    failed_count: i64,
    #[diesel(sql_type = BigInt)]
    broken_count: i64,
    #[diesel(sql_type = BigInt)]
    estimated_count: i64,
    #[diesel(sql_type = BigInt)]
    input_tokens: i64,
    #[diesel(sql_type = BigInt)]
    cache_read_tokens: i64,
    #[diesel(sql_type = BigInt)]
    cache_write_tokens: i64,
    #[diesel(sql_type = BigInt)]
    output_tokens: i64,
    #[diesel(sql_type = BigInt)]
    cost: i64,
    #[diesel(sql_type = BigInt)]
    charge: i64,
}

impl From<StoredFigures> for TrafficFigures {
    /// CHECKs keep sums from being negative.
    fn from(row: StoredFigures) -> Self {
        let failures = [
            row.throttled_count,
            row.rejected_count,
            row.timed_out_count,
            row.failed_count,
            row.broken_count,
        ];
        Self {
            request_count: row.request_count.unsigned_abs(),
            failures: failures.map(i64::unsigned_abs),
            estimated_count: row.estimated_count.unsigned_abs(),
            input_tokens: row.input_tokens.unsigned_abs(),
            cache_read_tokens: row.cache_read_tokens.unsigned_abs(),
            cache_write_tokens: row.cache_write_tokens.unsigned_abs(),
            output_tokens: row.output_tokens.unsigned_abs(),
            cost: Money::from_nanos(row.cost),
            charge: Money::from_nanos(row.charge),
        }
    }
}
