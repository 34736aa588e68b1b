//! A batch turned on its side: one array a column, which is how Postgres takes a thousand rows in one statement without
//! a parameter each. Text from outside is made fit for Postgres here; it never keeps a row from being written.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::column;
use crate::domain::ids::{CustomerId, RequestId, SpendKeyId};
use crate::domain::request::{Charge, ChargePart, Metered, Movement, OpenRequest, Settlement};
use crate::domain::usage::{RARE_COUNT, RARE_NAMES, Usage};

/// The columns of `requests` that the gateway fills.
#[derive(Default)]
pub struct RequestColumns {
    pub id: Vec<Uuid>,
    pub merchant_id: Vec<Uuid>,
    pub wallet_id: Vec<Uuid>,
    pub spend_key_id: Vec<Option<Uuid>>,
    pub provider: Vec<String>,
    pub model: Vec<Option<String>>,
    pub endpoint: Vec<String>,
    pub provider_key_type: Vec<&'static str>,
    pub streaming: Vec<bool>,
    pub simulated: Vec<bool>,
    pub status: Vec<&'static str>,
    pub http_status: Vec<i32>,
    pub usage_source: Vec<&'static str>,
    /// In the order of the table: input, three of caches, output, reasoning, two of audio, searches.
    pub counts: [Vec<i64>; 9],
    pub cost: Vec<i64>,
    pub input_cost: Vec<i64>,
    pub output_cost: Vec<i64>,
    pub price_version: Vec<i64>,
    pub metadata: Vec<Option<Value>>,
    pub response_id: Vec<Option<String>>,
    pub admitted_at: Vec<DateTime<Utc>>,
    pub finished_at: Vec<DateTime<Utc>>,
    pub attempt_of: Vec<Option<Uuid>>,
    pub rare_usage: Vec<Option<Value>>,
    pub first_token_ms: Vec<Option<i64>>,
    pub hold: Vec<Option<i64>>,
}

/// Those of the requests of meters and customers, beside [`RequestColumns`].
#[derive(Default)]
pub struct MeteredColumns {
    pub meter_id: Vec<Uuid>,
    pub customer_id: Vec<Option<Uuid>>,
    pub caller_id: Vec<Option<String>>,
    pub charge: Vec<i64>,
    pub charge_detail: Vec<Option<Value>>,
}

impl MeteredColumns {
    pub fn push(&mut self, metered: &Metered, settlement: &Settlement) {
        self.meter_id.push(metered.meter_id.uuid());
        self.customer_id.push(metered.customer_id.map(CustomerId::uuid));
        let caller_id = Some(metered.caller_id.as_str()).filter(|id| !id.is_empty());
        self.caller_id.push(caller_id.map(column::text));
        let charge = settlement.charge.as_ref();
        self.charge.push(charge.map_or(0, |charge| charge.amount.nanos()));
        self.charge_detail.push(charge.map(charge_detail));
    }
}

/// What a charge was made of. Amounts are in nano-dollars.
fn charge_detail(charge: &Charge) -> Value {
    let part = |part: &ChargePart| {
        json!({
            "start": part.start,
            "rate": part.rate_nanos,
            "quantity": part.quantity,
            "cost": part.cost.nanos(),
        })
    };
    json!({
        "quantity": charge.quantity,
        "period_start": charge.period_start_s,
        "from_cycle": charge.from_cycle.nanos(),
        "parts": charge.parts.iter().map(part).collect::<Vec<_>>(),
    })
}

impl RequestColumns {
    pub fn push(&mut self, open: &OpenRequest, settlement: &Settlement) {
        self.id.push(open.id.uuid());
        self.merchant_id.push(open.merchant_id.uuid());
        self.wallet_id.push(open.wallet_id.uuid());
        self.spend_key_id.push(open.spend_key_id.map(SpendKeyId::uuid));
        self.provider.push(column::text(&open.provider));
        self.model.push(open.model.as_deref().map(column::text));
        self.endpoint.push(column::text(&open.endpoint));
        self.provider_key_type.push(open.provider_key_type.name());
        self.streaming.push(open.streaming);
        self.simulated.push(open.simulated);
        self.status.push(settlement.outcome.name());
        self.http_status.push(settlement.http_status.into());
        self.usage_source.push(settlement.usage_source.name());
        for (column, count) in self.counts.iter_mut().zip(settlement.usage.usual()) {
            column.push(column::count_column(count));
        }
        self.cost.push(settlement.cost.nanos());
        self.input_cost.push(settlement.input_cost.nanos());
        self.output_cost.push(settlement.output_cost.nanos());
        self.price_version.push(open.price_version.into());
        self.metadata.push(metadata(&open.metadata));
        let response_id = Some(settlement.response_id.as_str()).filter(|id| !id.is_empty());
        self.response_id.push(response_id.map(column::text));
        self.admitted_at.push(column::instant(open.admitted_at_ms));
        self.finished_at.push(column::instant(settlement.finished_at_ms));
        self.attempt_of.push(open.attempt_of.map(RequestId::uuid));
        self.rare_usage.push(rare_usage(settlement.usage));
        self.first_token_ms.push(settlement.first_token_ms.map(i64::from));
        self.hold.push(Some(open.hold.nanos()).filter(|nanos| *nanos > 0));
    }
}

/// The columns of `movements`.
#[derive(Default)]
pub struct MovementColumns {
    pub id: Vec<Uuid>,
    pub merchant_id: Vec<Uuid>,
    pub account_kind: Vec<&'static str>,
    pub account_id: Vec<Uuid>,
    pub kind: Vec<&'static str>,
    pub amount: Vec<i64>,
    pub quantity: Vec<i64>,
    pub at: Vec<DateTime<Utc>>,
    pub note: Vec<String>,
}

impl MovementColumns {
    pub fn push(&mut self, movement: &Movement) {
        self.id.push(movement.id.uuid());
        self.merchant_id.push(movement.merchant_id.uuid());
        self.account_kind.push(movement.account.kind());
        self.account_id.push(Uuid::from_u128(movement.account.bits()));
        self.kind.push(movement.kind.name());
        self.amount.push(movement.amount.nanos());
        self.quantity.push(movement.quantity);
        self.at.push(column::instant(movement.at_ms));
        self.note.push(column::text(&movement.note));
    }
}

/// The rare counts that are not zero, by name.
fn rare_usage(usage: Usage) -> Option<Value> {
    let counts: Map<String, Value> = RARE_NAMES
        .iter()
        .zip(usage.rare())
        .filter(|(_, count)| *count != 0)
        .map(|(name, count)| ((*name).to_owned(), column::count_column(count).into()))
        .collect();
    Some(Value::Object(counts)).filter(|_| usage.rare() != [0; RARE_COUNT])
}

/// The pairs in a text of JSON. The edge has checked them; what is no object all the same is left out.
fn metadata(text: &str) -> Option<Value> {
    let pairs: Map<String, Value> = serde_json::from_str(text).ok()?;
    let fit = |(name, value): (String, Value)| {
        let value = match value {
            Value::String(text) => Value::String(column::text(&text)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
            Value::Array(_) | Value::Object(_) => Value::String(column::text(&value.to_string())),
        };
        (column::text(&name), value)
    };
    Some(Value::Object(pairs.into_iter().map(fit).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_an_object_that_postgres_can_hold() {
        let table = [
            ("", None),
            ("[]", None),
            ("{", None),
            (r#"{"a":"b"}"#, Some(json!({"a": "b"}))),
            (r#"{"a\u0000":"\u0000b"}"#, Some(json!({"a\u{fffd}": "\u{fffd}b"}))),
            (r#"{"a":["\u0000"]}"#, Some(json!({"a": "[\"\\u0000\"]"}))),
        ];
        for (text, value) in table {
            assert_eq!(metadata(text), value, "{text}");
        }
    }
}
