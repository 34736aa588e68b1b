//! The roll-up of what goes through: what the new rows of a batch add to the hours of each provider and model, and to the
//! days and weeks of each spend key, folded, and the statements that add it. The rows are touched in the order of their keys, like
//! all that the writer moves. A sum that does not fit stays at the largest number, a name that no index could hold is
//! cut, and one of too many is left out, for a roll-up never keeps a request from being written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Date, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::column;
use super::super::traffic::{AMOUNT_COLUMNS, COUNT_COLUMNS, NAMED_MODELS, hour_start_ms, span_columns};
use crate::domain::request::{OpenRequest, Outcome, Settlement};
use crate::domain::traffic::{Timings, TrafficFigures};

/// Of the names of providers and models, in characters; the migration has them too.
const PROVIDER_LENGTH: usize = 64;
const MODEL_LENGTH: usize = 128;

/// Adds new requests to the hours and days in which they were admitted.
pub fn add(connection: &mut PgConnection, settled: &[&(OpenRequest, Settlement)]) -> Result<(), QueryError> {
    if settled.is_empty() {
        return Ok(());
    }
    add_hours(connection, settled)?;
    add_key_days(connection, settled)
}

/// The hours come as one JSON array of rows: there are few in a batch, of many columns.
fn add_hours(connection: &mut PgConnection, settled: &[&(OpenRequest, Settlement)]) -> Result<(), QueryError> {
    let mut hours: BTreeMap<HourPlace, HourSums> = BTreeMap::new();
    for (open, settlement) in settled {
        let sums = hours.entry(HourPlace::of(open)).or_default();
        sums.figures = sums.figures.plus(TrafficFigures::of(settlement));
        sums.timings.add(&Timings::of(open, settlement));
    }
    let hours = leave_out_names(connection, hours)?;
    let rows = hours.iter().map(|(place, sums)| place.row(sums)).collect();
    sql_query(ADD_HOURS.as_str())
        .bind::<Jsonb, _>(Value::Array(rows))
        .execute(connection)?;
    Ok(())
}

/// Callers call models what they like, and what they invent would make an hour as long as its requests: when it has names
/// enough, new ones are summed without.
fn leave_out_names(
    connection: &mut PgConnection,
    hours: BTreeMap<HourPlace, HourSums>,
) -> Result<BTreeMap<HourPlace, HourSums>, QueryError> {
    let mut known = known_names(connection, &hours)?;
    let mut kept: BTreeMap<HourPlace, HourSums> = BTreeMap::new();
    for (mut place, sums) in hours {
        let names = known.entry((place.merchant_id, place.hour_ms)).or_default();
        let name = (place.provider.clone(), place.model.clone());
        if !place.model.is_empty() && !names.contains(&name) {
            if names.len() < NAMED_MODELS {
                names.insert(name);
            } else {
                place.model.clear();
            }
        }
        kept.entry(place).or_default().add(&sums);
    }
    Ok(kept)
}

/// Providers and models by merchant and hour.
type HourNames = BTreeMap<(Uuid, i64), BTreeSet<(String, String)>>;

fn known_names(connection: &mut PgConnection, hours: &BTreeMap<HourPlace, HourSums>) -> Result<HourNames, QueryError> {
    let asked: BTreeSet<(Uuid, i64)> = hours.keys().map(|place| (place.merchant_id, place.hour_ms)).collect();
    let instants: Vec<DateTime<Utc>> = asked.iter().map(|(_, hour_ms)| column::instant(*hour_ms)).collect();
    let rows: Vec<StoredName> = sql_query(KNOWN_NAMES.as_str())
        .bind::<Array<SqlUuid>, _>(asked.iter().map(|(merchant, _)| *merchant).collect::<Vec<Uuid>>())
        .bind::<Array<Timestamptz>, _>(instants)
        .load(connection)?;
    let mut names = HourNames::new();
    for row in rows {
        let of_hour = names.entry((row.merchant_id, row.hour.timestamp_millis())).or_default();
        of_hour.insert((row.provider, row.model));
    }
    Ok(names)
}

static KNOWN_NAMES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT n.* FROM unnest($1, $2) AS p(merchant_id, hour) CROSS JOIN LATERAL \
         (SELECT merchant_id, hour, provider, model FROM traffic_hours h \
         WHERE h.merchant_id = p.merchant_id AND h.hour = p.hour AND h.model <> '' LIMIT {NAMED_MODELS}) AS n"
    )
});

#[derive(QueryableByName)]
struct StoredName {
    #[diesel(sql_type = SqlUuid)]
    merchant_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    hour: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    model: String,
}

static ADD_HOURS: LazyLock<String> = LazyLock::new(|| {
    let counts = COUNT_COLUMNS
        .iter()
        .map(|name| (*name).to_owned())
        .chain(span_columns());
    let counts = counts.map(|name| format!("{name} = h.{name} + excluded.{name}"));
    let amounts = AMOUNT_COLUMNS
        .iter()
        .map(|name| format!("{name} = least(h.{name}::numeric + excluded.{name}, 9223372036854775807)::bigint"));
    let sums: Vec<String> = counts.chain(amounts).collect();
    format!(
        "INSERT INTO traffic_hours AS h SELECT * FROM jsonb_populate_recordset(NULL::traffic_hours, $1) \
         ORDER BY merchant_id, hour, provider, model \
         ON CONFLICT (merchant_id, hour, provider, model) DO UPDATE SET {}",
        sums.join(", ")
    )
});

/// The key of a row of an hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HourPlace {
    merchant_id: Uuid,
    hour_ms: i64,
    provider: String,
    model: String,
}

#[derive(Default)]
struct HourSums {
    figures: TrafficFigures,
    timings: Timings,
}

impl HourPlace {
    fn of(open: &OpenRequest) -> Self {
        let cut = |name: &str, length: usize| column::text(name).chars().take(length).collect();
        Self {
            merchant_id: open.merchant_id.uuid(),
            hour_ms: hour_start_ms(open.admitted_at_ms),
            provider: cut(&open.provider, PROVIDER_LENGTH),
            model: cut(open.model.as_deref().unwrap_or_default(), MODEL_LENGTH),
        }
    }

    fn row(&self, sums: &HourSums) -> Value {
        let hour = column::instant(self.hour_ms);
        let names = [
            ("merchant_id", self.merchant_id.to_string()),
            ("hour", hour.to_rfc3339()),
            ("provider", self.provider.clone()),
            ("model", self.model.clone()),
        ];
        let mut row: Map<String, Value> = Map::new();
        row.extend(names.map(|(name, text)| (name.to_owned(), Value::from(text))));
        let counts = COUNT_COLUMNS.into_iter().zip(sums.counts());
        row.extend(counts.map(|(name, count)| (name.to_owned(), Value::from(count))));
        let amounts = AMOUNT_COLUMNS.into_iter().zip(sums.amounts());
        row.extend(amounts.map(|(name, amount)| (name.to_owned(), Value::from(amount))));
        let spans = sums.timings.latency.0.into_iter().chain(sums.timings.first_token.0);
        row.extend(span_columns().zip(spans.map(Value::from)));
        Value::Object(row)
    }
}

impl HourSums {
    fn add(&mut self, more: &Self) {
        self.figures = self.figures.plus(more.figures);
        self.timings.add(&more.timings);
    }

    /// In the order of [`COUNT_COLUMNS`].
    fn counts(&self) -> [u64; COUNT_COLUMNS.len()] {
        let [throttled, rejected, timed_out, failed, broken] = self.figures.failures;
        [
            self.figures.request_count,
            throttled,
            rejected,
            timed_out,
            failed,
            broken,
            self.figures.estimated_count,
        ]
    }

    /// In the order of [`AMOUNT_COLUMNS`].
    fn amounts(&self) -> [i64; AMOUNT_COLUMNS.len()] {
        let figures = &self.figures;
        [
            column::count_column(figures.input_tokens),
            column::count_column(figures.cache_read_tokens),
            column::count_column(figures.cache_write_tokens),
            column::count_column(figures.output_tokens),
            figures.cost.nanos(),
            figures.charge.nanos(),
        ]
    }
}

fn add_key_days(connection: &mut PgConnection, settled: &[&(OpenRequest, Settlement)]) -> Result<(), QueryError> {
    let mut days: BTreeMap<DayPlace, DaySums> = BTreeMap::new();
    for (open, settlement) in settled {
        let Some(key) = open.spend_key_id else { continue };
        let place = DayPlace {
            merchant_id: open.merchant_id.uuid(),
            day: column::instant(open.admitted_at_ms).date_naive(),
            spend_key_id: key.uuid(),
        };
        days.entry(place).or_default().add(settlement);
    }
    if days.is_empty() {
        return Ok(());
    }
    let column = |field: fn(&DayPlace) -> Uuid| -> Vec<Uuid> { days.keys().map(field).collect() };
    let sum = |field: fn(&DaySums) -> i64| -> Vec<i64> { days.values().map(field).collect() };
    sql_query(ADD_KEY_DAYS)
        .bind::<Array<SqlUuid>, _>(column(|place| place.merchant_id))
        .bind::<Array<Date>, _>(days.keys().map(|place| place.day).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(column(|place| place.spend_key_id))
        .bind::<Array<BigInt>, _>(sum(|sums| sums.request_count))
        .bind::<Array<BigInt>, _>(sum(|sums| sums.error_count))
        .bind::<Array<BigInt>, _>(sum(|sums| sums.tokens))
        .bind::<Array<BigInt>, _>(sum(|sums| sums.cost_nanos))
        .execute(connection)?;
    Ok(())
}

/// The weeks come of the same days.
const ADD_KEY_DAYS: &str = "WITH days AS (INSERT INTO traffic_key_days AS k (merchant_id, day, spend_key_id, \
    request_count, error_count, tokens, cost) \
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) AS d(merchant_id, day, spend_key_id) \
    ORDER BY d.merchant_id, d.day, d.spend_key_id \
    ON CONFLICT (merchant_id, day, spend_key_id) DO UPDATE SET \
    request_count = k.request_count + excluded.request_count, \
    error_count = k.error_count + excluded.error_count, \
    tokens = least(k.tokens::numeric + excluded.tokens, 9223372036854775807)::bigint, \
    cost = least(k.cost::numeric + excluded.cost, 9223372036854775807)::bigint) \
    INSERT INTO traffic_key_weeks AS k (merchant_id, week, spend_key_id, cost) \
    SELECT merchant_id, date_trunc('week', day::timestamp)::date, spend_key_id, \
    least(sum(cost), 9223372036854775807)::bigint \
    FROM unnest($1, $2, $3, $7) AS d(merchant_id, day, spend_key_id, cost) \
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 \
    ON CONFLICT (merchant_id, week, spend_key_id) DO UPDATE SET \
    cost = least(k.cost::numeric + excluded.cost, 9223372036854775807)::bigint";

/// The key of a row of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DayPlace {
    merchant_id: Uuid,
    day: NaiveDate,
    spend_key_id: Uuid,
}

#[derive(Clone, Copy, Debug, Default)]
struct DaySums {
    request_count: i64,
    error_count: i64,
    tokens: i64,
    cost_nanos: i64,
}

impl DaySums {
    fn add(&mut self, settlement: &Settlement) {
        let tokens = column::count_column(TrafficFigures::of(settlement).tokens());
        self.request_count += 1;
        self.error_count += i64::from(settlement.outcome == Outcome::Error);
        self.tokens = self.tokens.saturating_add(tokens);
        self.cost_nanos = self.cost_nanos.saturating_add(settlement.cost.nanos());
    }
}
