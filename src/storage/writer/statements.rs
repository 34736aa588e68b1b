//! The statements of the billing transaction, in the order in which it runs them. Each takes arrays, and orders what it
//! touches by id.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection as _;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::result::Error as QueryError;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::column;
use super::columns::{MeteredColumns, MovementColumns, RequestColumns};
use super::deltas::{CounterDelta, LedgerAccount, Written};
use crate::domain::ids::{MerchantId, SpendKeyId, WalletId};
use crate::domain::request::{Movement, OpenRequest, Settlement};
use crate::engine::ports::LaneMark;

/// Bounds every wait, so that a lock held elsewhere becomes a batch to be tried again.
pub fn set_limits(connection: &mut PgConnection) -> Result<(), QueryError> {
    connection.batch_execute("SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '60s'")
}

/// The epoch of the lease; until this transaction ends nobody can take the lease over.
pub fn lock_epoch(connection: &mut PgConnection) -> Result<Option<i64>, QueryError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        epoch: i64,
    }
    let row = sql_query("SELECT epoch FROM server_lease WHERE id = 1 FOR SHARE").get_result::<Row>(connection);
    Ok(row.optional()?.map(|row| row.epoch))
}

/// Inserts what is new of these, and returns that.
pub fn insert_requests<'a>(
    connection: &mut PgConnection,
    settled: &'a [(OpenRequest, Settlement)],
) -> Result<Vec<&'a (OpenRequest, Settlement)>, QueryError> {
    let by_id: BTreeMap<Uuid, _> = settled.iter().rev().map(|pair| (pair.0.id.uuid(), pair)).collect();
    if by_id.is_empty() {
        return Ok(Vec::new());
    }
    // Most requests are nobody's but the merchant's own, and leave five columns out.
    let (mut plain, mut metered) = (RequestColumns::default(), RequestColumns::default());
    let mut more = MeteredColumns::default();
    for (open, settlement) in by_id.values().copied() {
        match &open.metered {
            None => plain.push(open, settlement),
            Some(whose) => {
                metered.push(open, settlement);
                more.push(whose, settlement);
            }
        }
    }
    let mut inserted = Vec::new();
    if !plain.id.is_empty() {
        inserted = bound(sql_query(INSERT_REQUESTS).into_boxed(), plain).load::<Id>(connection)?;
    }
    if !metered.id.is_empty() {
        inserted.extend(send_metered(connection, metered, more)?);
    }
    Ok(inserted.iter().filter_map(|row| by_id.get(&row.id).copied()).collect())
}

fn send_metered(
    connection: &mut PgConnection,
    columns: RequestColumns,
    more: MeteredColumns,
) -> Result<Vec<Id>, QueryError> {
    bound(sql_query(INSERT_METERED).into_boxed(), columns)
        .bind::<Array<SqlUuid>, _>(more.meter_id)
        .bind::<Array<Nullable<SqlUuid>>, _>(more.customer_id)
        .bind::<Array<Nullable<Text>>, _>(more.caller_id)
        .bind::<Array<BigInt>, _>(more.charge)
        .bind::<Array<Nullable<Jsonb>>, _>(more.charge_detail)
        .load(connection)
}

fn bound(query: Insertion, columns: RequestColumns) -> Insertion {
    let [
        input,
        cache_read,
        cache_write,
        cache_write_1h,
        output,
        reasoning,
        audio_input,
        audio_output,
        searches,
    ] = columns.counts;
    query
        .bind::<Array<SqlUuid>, _>(columns.id)
        .bind::<Array<SqlUuid>, _>(columns.merchant_id)
        .bind::<Array<SqlUuid>, _>(columns.wallet_id)
        .bind::<Array<Nullable<SqlUuid>>, _>(columns.spend_key_id)
        .bind::<Array<Text>, _>(columns.provider)
        .bind::<Array<Nullable<Text>>, _>(columns.model)
        .bind::<Array<Text>, _>(columns.endpoint)
        .bind::<Array<Text>, _>(columns.provider_key_type)
        .bind::<Array<Bool>, _>(columns.streaming)
        .bind::<Array<Bool>, _>(columns.simulated)
        .bind::<Array<Text>, _>(columns.status)
        .bind::<Array<Integer>, _>(columns.http_status)
        .bind::<Array<Text>, _>(columns.usage_source)
        .bind::<Array<BigInt>, _>(input)
        .bind::<Array<BigInt>, _>(cache_read)
        .bind::<Array<BigInt>, _>(cache_write)
        .bind::<Array<BigInt>, _>(cache_write_1h)
        .bind::<Array<BigInt>, _>(output)
        .bind::<Array<BigInt>, _>(reasoning)
        .bind::<Array<BigInt>, _>(audio_input)
        .bind::<Array<BigInt>, _>(audio_output)
        .bind::<Array<BigInt>, _>(searches)
        .bind::<Array<BigInt>, _>(columns.cost)
        .bind::<Array<BigInt>, _>(columns.input_cost)
        .bind::<Array<BigInt>, _>(columns.output_cost)
        .bind::<Array<BigInt>, _>(columns.price_version)
        .bind::<Array<Nullable<Jsonb>>, _>(columns.metadata)
        .bind::<Array<Nullable<Text>>, _>(columns.response_id)
        .bind::<Array<Timestamptz>, _>(columns.admitted_at)
        .bind::<Array<Timestamptz>, _>(columns.finished_at)
        .bind::<Array<Nullable<SqlUuid>>, _>(columns.attempt_of)
        .bind::<Array<Nullable<Jsonb>>, _>(columns.rare_usage)
        .bind::<Array<Nullable<BigInt>>, _>(columns.first_token_ms)
        .bind::<Array<Nullable<BigInt>>, _>(columns.hold)
}

/// A statement whose arrays are added one by one.
type Insertion = BoxedSqlQuery<'static, Pg, SqlQuery>;

macro_rules! insert_requests {
    ($more:literal, $places:literal) => {
        concat!(
            "INSERT INTO requests (id, merchant_id, wallet_id, spend_key_id, provider, model, endpoint, \
             provider_key_type, streaming, simulated, status, http_status, usage_source, input_tokens, \
             cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens, \
             audio_input_tokens, audio_output_tokens, web_searches, cost, input_cost, output_cost, price_version, \
             metadata, response_id, admitted_at, finished_at, attempt_of, rare_usage, \
             first_token_ms, hold",
            $more,
            ") SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
             $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34",
            $places,
            ") ON CONFLICT (id) DO NOTHING RETURNING id"
        )
    };
}

const INSERT_REQUESTS: &str = insert_requests!("", "");
const INSERT_METERED: &str = insert_requests!(
    ", meter_id, customer_id, caller_id, charge, charge_detail",
    ", $35, $36, $37, $38, $39"
);

/// Inserts what is new of these, and returns that.
pub fn insert_movements<'a>(
    connection: &mut PgConnection,
    movements: &'a [Movement],
) -> Result<Vec<&'a Movement>, QueryError> {
    let by_id: BTreeMap<Uuid, _> = movements
        .iter()
        .rev()
        .map(|movement| (movement.id.uuid(), movement))
        .collect();
    if by_id.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns = MovementColumns::default();
    for movement in by_id.values().copied() {
        columns.push(movement);
    }
    let inserted: Vec<Id> = sql_query(
        "INSERT INTO movements (id, merchant_id, account_kind, account_id, kind, amount, quantity, at, note) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING RETURNING id",
    )
    .bind::<Array<SqlUuid>, _>(columns.id)
    .bind::<Array<SqlUuid>, _>(columns.merchant_id)
    .bind::<Array<Text>, _>(columns.account_kind)
    .bind::<Array<SqlUuid>, _>(columns.account_id)
    .bind::<Array<Text>, _>(columns.kind)
    .bind::<Array<BigInt>, _>(columns.amount)
    .bind::<Array<BigInt>, _>(columns.quantity)
    .bind::<Array<Timestamptz>, _>(columns.at)
    .bind::<Array<Text>, _>(columns.note)
    .load(connection)?;
    Ok(inserted.iter().filter_map(|row| by_id.get(&row.id).copied()).collect())
}

/// Records that there was a batch; returns its number.
pub fn insert_batch(connection: &mut PgConnection, written: &Written<'_>) -> Result<i64, QueryError> {
    use super::super::schema::billing_batches::dsl::{billing_batches, id, latest_instant_ms, row_count};
    let count = i32::try_from(written.len()).unwrap_or(i32::MAX);
    diesel::insert_into(billing_batches)
        .values((row_count.eq(count), latest_instant_ms.eq(written.latest_instant_ms())))
        .returning(id)
        .get_result(connection)
}

/// Adds to the counters of keys, and makes those that are missing. A window with a later start replaces the stored one,
/// the same start is added to, an earlier one is ignored.
pub fn move_counters(
    connection: &mut PgConnection,
    counters: &BTreeMap<SpendKeyId, CounterDelta>,
) -> Result<(), QueryError> {
    if counters.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = counters.keys().map(|id| id.uuid()).collect();
    let column = |place: usize, field: fn(&CounterDelta, usize) -> i64| -> Vec<i64> {
        counters.values().map(|delta| field(delta, place)).collect()
    };
    let start = |place| column(place, |delta, place| delta.windows[place].start);
    let spend = |place| column(place, |delta, place| delta.windows[place].spend_nanos);
    let requests = |place| column(place, |delta, place| delta.windows[place].request_count);
    let used: Vec<DateTime<Utc>> = counters
        .values()
        .map(|delta| column::instant(delta.last_used_ms))
        .collect();
    sql_query(MOVE_COUNTERS)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<BigInt>, _>(start(0))
        .bind::<Array<BigInt>, _>(spend(0))
        .bind::<Array<BigInt>, _>(requests(0))
        .bind::<Array<BigInt>, _>(start(1))
        .bind::<Array<BigInt>, _>(spend(1))
        .bind::<Array<BigInt>, _>(requests(1))
        .bind::<Array<BigInt>, _>(start(2))
        .bind::<Array<BigInt>, _>(spend(2))
        .bind::<Array<BigInt>, _>(requests(2))
        .bind::<Array<BigInt>, _>(spend(3))
        .bind::<Array<BigInt>, _>(requests(3))
        .bind::<Array<Timestamptz>, _>(used)
        .execute(connection)?;
    Ok(())
}

const MOVE_COUNTERS: &str = "INSERT INTO spend_key_counters AS c (key_id, day_start, day_spend, day_requests, \
    week_start, week_spend, week_requests, month_start, month_spend, month_requests, total_spend, total_requests, \
    last_used_at) \
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS d(key_id) ORDER BY d.key_id \
    ON CONFLICT (key_id) DO UPDATE SET \
    day_start = greatest(c.day_start, excluded.day_start), \
    day_spend = CASE WHEN excluded.day_start > c.day_start THEN 0 ELSE c.day_spend END \
        + CASE WHEN excluded.day_start < c.day_start THEN 0 ELSE excluded.day_spend END, \
    day_requests = CASE WHEN excluded.day_start > c.day_start THEN 0 ELSE c.day_requests END \
        + CASE WHEN excluded.day_start < c.day_start THEN 0 ELSE excluded.day_requests END, \
    week_start = greatest(c.week_start, excluded.week_start), \
    week_spend = CASE WHEN excluded.week_start > c.week_start THEN 0 ELSE c.week_spend END \
        + CASE WHEN excluded.week_start < c.week_start THEN 0 ELSE excluded.week_spend END, \
    week_requests = CASE WHEN excluded.week_start > c.week_start THEN 0 ELSE c.week_requests END \
        + CASE WHEN excluded.week_start < c.week_start THEN 0 ELSE excluded.week_requests END, \
    month_start = greatest(c.month_start, excluded.month_start), \
    month_spend = CASE WHEN excluded.month_start > c.month_start THEN 0 ELSE c.month_spend END \
        + CASE WHEN excluded.month_start < c.month_start THEN 0 ELSE excluded.month_spend END, \
    month_requests = CASE WHEN excluded.month_start > c.month_start THEN 0 ELSE c.month_requests END \
        + CASE WHEN excluded.month_start < c.month_start THEN 0 ELSE excluded.month_requests END, \
    total_spend = c.total_spend + excluded.total_spend, \
    total_requests = c.total_requests + excluded.total_requests, \
    last_used_at = greatest(c.last_used_at, excluded.last_used_at)";

/// Adds to the balances of wallets; returns how many there were.
pub fn move_wallets(
    connection: &mut PgConnection,
    wallets: &BTreeMap<WalletId, (MerchantId, i64)>,
) -> Result<usize, QueryError> {
    if wallets.is_empty() {
        return Ok(0);
    }
    sql_query(
        "WITH locked AS (SELECT w.id, d.amount FROM wallets w \
         JOIN unnest($1, $2, $3) AS d(id, merchant_id, amount) ON d.id = w.id AND d.merchant_id = w.merchant_id \
         ORDER BY w.id FOR NO KEY UPDATE OF w) \
         UPDATE wallets SET balance = balance + locked.amount FROM locked WHERE wallets.id = locked.id",
    )
    .bind::<Array<SqlUuid>, _>(wallets.keys().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(
        wallets
            .values()
            .map(|(merchant, _)| merchant.uuid())
            .collect::<Vec<_>>(),
    )
    .bind::<Array<BigInt>, _>(wallets.values().map(|(_, amount)| *amount).collect::<Vec<_>>())
    .execute(connection)
}

/// Writes the batch's lines of the ledger; the database refuses them where they do not sum to zero.
pub fn insert_ledger(
    connection: &mut PgConnection,
    batch_id: i64,
    ledger: &BTreeMap<LedgerAccount, i64>,
) -> Result<(), QueryError> {
    if ledger.is_empty() {
        return Ok(());
    }
    sql_query(
        "INSERT INTO ledger_entries (batch_id, account_kind, account_id, merchant_id, amount) \
         SELECT $1, * FROM unnest($2, $3, $4, $5)",
    )
    .bind::<BigInt, _>(batch_id)
    .bind::<Array<Text>, _>(ledger.keys().map(|account| account.kind).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(ledger.keys().map(|account| account.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(
        ledger
            .keys()
            .map(|account| account.merchant_id.uuid())
            .collect::<Vec<_>>(),
    )
    .bind::<Array<BigInt>, _>(ledger.values().copied().collect::<Vec<_>>())
    .execute(connection)?;
    Ok(())
}

/// Moves the marks of lanes forward, never back.
pub fn move_marks(connection: &mut PgConnection, marks: &[LaneMark]) -> Result<(), QueryError> {
    let mut latest: BTreeMap<i32, i64> = BTreeMap::new();
    for mark in marks {
        let sequence = latest.entry(mark.lane).or_default();
        *sequence = mark.sequence.max(*sequence);
    }
    if latest.is_empty() {
        return Ok(());
    }
    sql_query(
        "INSERT INTO journal_lanes AS l (lane, sequence) SELECT * FROM unnest($1, $2) \
         ON CONFLICT (lane) DO UPDATE SET sequence = greatest(l.sequence, excluded.sequence)",
    )
    .bind::<Array<Integer>, _>(latest.keys().copied().collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(latest.values().copied().collect::<Vec<_>>())
    .execute(connection)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}
