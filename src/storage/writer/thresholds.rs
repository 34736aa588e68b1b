//! Tells merchants of what a batch has changed, in its transaction: that spend keys near their limits, once a key, cycle
//! and threshold, and that customers' balances have changed. Only keys with a limit whose merchant has an endpoint are
//! looked at, and none where nobody has one.

use chrono_tz::Tz;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Integer, Text, Uuid as SqlUuid};
use serde_json::json;
use uuid::Uuid;

use super::super::webhooks::{NewEvent, emit, emit_balances};
use super::super::{StorageError, column};
use super::deltas::Deltas;
use crate::domain::cycle::{Cycle, Window};
use crate::domain::ids::{CustomerId, MerchantId, SpendKeyId};
use crate::domain::money::Money;
use crate::domain::webhook::{EventName, iso, threshold};

const NOUN: &str = "spend key";

/// The keys of the batch that may have something to tell, each with the window that its limit counts in and the last
/// threshold that was told of it.
const NEARING: &str = "SELECT k.id, k.merchant_id, k.name, k.timezone, k.spend_limit, k.spend_cycle, s.start, s.spend, \
    coalesce((SELECT max(t.percent) FROM spend_key_thresholds t WHERE t.key_id = k.id \
        AND t.cycle = k.spend_cycle AND t.window_start = s.start), 0) AS told \
    FROM spend_keys k JOIN spend_key_counters c ON c.key_id = k.id \
    CROSS JOIN LATERAL (SELECT \
        CASE k.spend_cycle WHEN 'daily' THEN c.day_start WHEN 'weekly' THEN c.week_start \
            WHEN 'monthly' THEN c.month_start ELSE 0 END AS start, \
        CASE k.spend_cycle WHEN 'daily' THEN c.day_spend WHEN 'weekly' THEN c.week_spend \
            WHEN 'monthly' THEN c.month_spend ELSE c.total_spend END AS spend) s \
    WHERE EXISTS (SELECT 1 FROM webhooks WHERE enabled) AND k.id = ANY($1) AND k.spend_limit IS NOT NULL \
        AND s.spend >= k.spend_limit / 2 \
        AND EXISTS (SELECT 1 FROM webhooks w WHERE w.merchant_id = k.merchant_id AND w.enabled) \
    ORDER BY k.id";

/// Writes what is to be told of these changes, and returns how many deliveries came of it.
pub fn tell(connection: &mut PgConnection, deltas: &Deltas, now_ms: i64) -> Result<usize, StorageError> {
    let credit = deltas.credit.iter();
    let customers: Vec<(MerchantId, CustomerId)> = credit.map(|(id, delta)| (delta.merchant_id, *id)).collect();
    let told_count = emit_balances(connection, &customers, now_ms)?;
    Ok(told_count + tell_thresholds(connection, deltas, now_ms)?)
}

fn tell_thresholds(connection: &mut PgConnection, deltas: &Deltas, now_ms: i64) -> Result<usize, StorageError> {
    if deltas.counters.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = deltas.counters.keys().map(|id| id.uuid()).collect();
    let nearing: Vec<Nearing> = sql_query(NEARING).bind::<Array<SqlUuid>, _>(ids).load(connection)?;
    let mut told_count = 0;
    for key in nearing {
        let (limit, spent) = (Money::from_nanos(key.spend_limit), Money::from_nanos(key.spend));
        for percent in threshold::reached(limit, spent, key.told) {
            // A row that cannot be read must not keep a batch from being written.
            let event = match key.event(percent, now_ms) {
                Ok(event) => event,
                Err(error) => {
                    tracing::error!(%error, "a threshold of a spend key is not told");
                    break;
                }
            };
            remember(connection, &key, percent)?;
            told_count += emit(connection, MerchantId::from_uuid(key.merchant_id), &event)?;
        }
    }
    Ok(told_count)
}

fn remember(connection: &mut PgConnection, key: &Nearing, percent: i32) -> Result<(), StorageError> {
    sql_query(
        "INSERT INTO spend_key_thresholds (key_id, cycle, window_start, percent) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(key.id)
    .bind::<Text, _>(&key.spend_cycle)
    .bind::<BigInt, _>(key.start)
    .bind::<Integer, _>(percent)
    .execute(connection)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Nearing {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    merchant_id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    timezone: String,
    #[diesel(sql_type = BigInt)]
    spend_limit: i64,
    #[diesel(sql_type = Text)]
    spend_cycle: String,
    /// Unix seconds.
    #[diesel(sql_type = BigInt)]
    start: i64,
    #[diesel(sql_type = BigInt)]
    spend: i64,
    #[diesel(sql_type = Integer)]
    told: i32,
}

impl Nearing {
    fn event(&self, percent: i32, now_ms: i64) -> Result<NewEvent, StorageError> {
        let cycle = column::word(NOUN, &self.spend_cycle, column::cycle)?;
        let zone = column::word(NOUN, &self.timezone, |name| name.parse::<Tz>().ok())?;
        let started = match cycle {
            Cycle::Daily | Cycle::Weekly | Cycle::Monthly => Some(self.start),
            Cycle::Total => None,
        };
        let ends = Window::containing(cycle, self.start, zone).end;
        let iso_seconds = |unix_s: i64| iso(unix_s.saturating_mul(1000));
        let id = SpendKeyId::from_uuid(self.id);
        Ok(NewEvent {
            name: EventName::SpendKeyThresholdReached,
            subject: id.bits(),
            at_ms: now_ms,
            data: json!({
                "spend_key_id": id,
                "name": self.name,
                "threshold": percent,
                "spend_limit": { "amount": Money::from_nanos(self.spend_limit), "cycle": self.spend_cycle },
                "current_spend": Money::from_nanos(self.spend),
                "cycle_started_at": started.map(iso_seconds),
                "resets_at": ends.map(iso_seconds),
            }),
        })
    }
}
