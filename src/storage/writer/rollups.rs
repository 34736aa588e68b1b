//! The roll-up of usage by quarters of an hour: what the new rows of a batch add to it, folded, and the statement that
//! adds it. Each request counts on its merchant, and on its spend key, its meter, and its customer with that meter. The
//! rows are touched in the order of their keys, like all that the writer moves. A sum that does not fit stays at the
//! largest number, for a roll-up never keeps a request from being written.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::column;
use super::super::usage::{QuarterScope, quarter_start_ms};
use crate::domain::request::{OpenRequest, Settlement};

/// Adds new requests to the quarters in which they were admitted.
pub fn add(connection: &mut PgConnection, settled: &[&(OpenRequest, Settlement)]) -> Result<(), QueryError> {
    if settled.is_empty() {
        return Ok(());
    }
    let sums = fold(settled);
    let column = |field: fn(&Place) -> Uuid| -> Vec<Uuid> { sums.keys().map(field).collect() };
    let sum = |field: fn(&Sums) -> i64| -> Vec<i64> { sums.values().map(field).collect() };
    let quarters: Vec<DateTime<Utc>> = sums.keys().map(|place| column::instant(place.quarter_ms)).collect();
    sql_query(ADD)
        .bind::<Array<SqlUuid>, _>(column(|place| place.merchant_id))
        .bind::<Array<SqlUuid>, _>(column(|place| place.scope.owner_id))
        .bind::<Array<SqlUuid>, _>(column(|place| place.scope.meter_id))
        .bind::<Array<Timestamptz>, _>(quarters)
        .bind::<Array<BigInt>, _>(sum(|sums| sums.request_count))
        .bind::<Array<BigInt>, _>(sum(|sums| sums.tokens))
        .bind::<Array<BigInt>, _>(sum(|sums| sums.cost_nanos))
        .bind::<Array<BigInt>, _>(sum(|sums| sums.charge_nanos))
        .execute(connection)?;
    Ok(())
}

const ADD: &str = "INSERT INTO usage_quarters AS q (merchant_id, owner_id, meter_id, quarter, request_count, tokens, \
    cost, charge) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS d(merchant_id, owner_id, meter_id, quarter) \
    ORDER BY d.merchant_id, d.owner_id, d.meter_id, d.quarter \
    ON CONFLICT (merchant_id, owner_id, meter_id, quarter) DO UPDATE SET \
    request_count = q.request_count + excluded.request_count, \
    tokens = least(q.tokens::numeric + excluded.tokens, 9223372036854775807)::bigint, \
    cost = least(q.cost::numeric + excluded.cost, 9223372036854775807)::bigint, \
    charge = least(q.charge::numeric + excluded.charge, 9223372036854775807)::bigint";

/// The key of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    merchant_id: Uuid,
    scope: QuarterScope,
    quarter_ms: i64,
}

/// What is added to a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    request_count: i64,
    tokens: i64,
    cost_nanos: i64,
    charge_nanos: i64,
}

fn fold(settled: &[&(OpenRequest, Settlement)]) -> BTreeMap<Place, Sums> {
    let mut sums: BTreeMap<Place, Sums> = BTreeMap::new();
    for (open, settlement) in settled {
        let one = Sums::of(settlement);
        for scope in scopes(open) {
            let place = Place {
                merchant_id: open.merchant_id.uuid(),
                scope,
                quarter_ms: quarter_start_ms(open.admitted_at_ms),
            };
            sums.entry(place).or_default().add(one);
        }
    }
    sums
}

/// Whose usage a request is.
fn scopes(open: &OpenRequest) -> impl Iterator<Item = QuarterScope> {
    let spend_key = open.spend_key_id.map(QuarterScope::spend_key);
    let metered = open.metered.as_ref();
    let meter = metered.map(|metered| QuarterScope::meter(metered.meter_id));
    let customer = metered.and_then(|metered| {
        let of = |id| QuarterScope::customer(id, metered.meter_id);
        metered.customer_id.map(of)
    });
    [
        Some(QuarterScope::merchant(open.merchant_id)),
        spend_key,
        meter,
        customer,
    ]
    .into_iter()
    .flatten()
}

impl Sums {
    fn of(settlement: &Settlement) -> Self {
        // Input, three of caches, output; the rest are shares of these.
        let tokens = settlement.usage.usual().into_iter().take(5).map(column::count_column);
        Self {
            request_count: 1,
            tokens: tokens.fold(0, i64::saturating_add),
            cost_nanos: settlement.cost.nanos(),
            charge_nanos: settlement.charge.as_ref().map_or(0, |charge| charge.amount.nanos()),
        }
    }

    fn add(&mut self, one: Self) {
        self.request_count = self.request_count.saturating_add(one.request_count);
        self.tokens = self.tokens.saturating_add(one.tokens);
        self.cost_nanos = self.cost_nanos.saturating_add(one.cost_nanos);
        self.charge_nanos = self.charge_nanos.saturating_add(one.charge_nanos);
    }
}
