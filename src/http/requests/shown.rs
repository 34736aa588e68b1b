//! A request as callers see it, its charge by tier with it, in the words of every generation: the charge was a fee once.
//! One that was reported has the id that its merchant gave it. What the official clients type as optional is left out
//! where there is nothing to say, and is never null.

use std::collections::HashMap;

use diesel::PgConnection;
use serde_json::{Value, json};

use crate::domain::ids::MeterId;
use crate::domain::meter::{RateType, TierType};
use crate::domain::money::Money;
use crate::domain::request::ChargePart;
use crate::http::time::iso_millis;
use crate::http::vocabulary::{BASE_COST_PAYER, TOKEN_BASIS};
use crate::storage::requests::RequestRow;
use crate::storage::{StorageError, meters};

const OPTIONAL: [&str; 6] = [
    "customer_id",
    "connection_id",
    "meter_id",
    "product_id",
    "model",
    "response_id",
];

/// What the meters of some requests count.
pub struct MeterKinds(HashMap<MeterId, (RateType, TierType)>);

impl MeterKinds {
    pub fn of(connection: &mut PgConnection, rows: &[RequestRow]) -> Result<Self, StorageError> {
        let charged = rows.iter().filter(|row| row.charge_parts.is_some());
        let mut ids: Vec<MeterId> = charged.filter_map(|row| row.meter_id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        meters::kinds(connection, &ids).map(Self)
    }

    fn charge(&self, row: &RequestRow) -> Value {
        let kind = row.meter_id.and_then(|id| self.0.get(&id));
        let parts = row.charge_parts.as_deref().unwrap_or_default();
        json!({
            "amount": row.charge,
            // Nothing is charged without a meter, at whatever rate.
            "rate_type": kind.map_or(RateType::Fixed, |(rate_type, _)| *rate_type).name(),
            "breakdown": match kind {
                Some((_, tier_type)) => parts.iter().map(|part| show_part(part, *tier_type)).collect(),
                None => Vec::new(),
            },
        })
    }
}

fn show_part(part: &ChargePart, tier_type: TierType) -> Value {
    let counted = |what: TierType| if tier_type == what { part.quantity } else { 0 };
    json!({
        "tier": { "start": part.start, "rate": Money::from_nanos(part.rate_nanos), "type": tier_type },
        "tokens": counted(TierType::Tokens),
        "characters": counted(TierType::Characters),
        "seconds": counted(TierType::Minutes),
        "cost": part.cost,
    })
}

/// All fields of one request.
pub fn show(row: &RequestRow, kinds: &MeterKinds) -> Value {
    let mut shown = show_with_nulls(row, kinds);
    shown["fee"] = shown["charge"].clone();
    shown["fee"]["token_basis"] = Value::from(TOKEN_BASIS);
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|name, value| !(value.is_null() && OPTIONAL.contains(&name.as_str())));
    }
    shown
}

fn show_with_nulls(row: &RequestRow, kinds: &MeterKinds) -> Value {
    json!({
        "request_id": row.caller_id.clone().unwrap_or_else(|| row.id.to_string()),
        "attempt_of": row.attempt_of,
        "status": row.outcome.name(),
        "customer_id": row.customer_id,
        "connection_id": row.customer_id,
        "meter_id": row.meter_id,
        "product_id": row.meter_id,
        "spend_key_id": row.spend_key_id,
        "wallet_id": row.wallet_id,
        "provider": row.provider,
        "provider_key_type": row.provider_key_type.name(),
        "model": row.model,
        "endpoint": row.endpoint,
        "response_id": row.response_id,
        "model_usage": usage(row),
        "cost": row.cost,
        "price_version": row.price_version,
        "charge": kinds.charge(row),
        // The merchant pays what the provider takes, and his customer's wallet the charge; nobody else takes anything.
        "service_charge": { "amount": Money::ZERO, "payer": BASE_COST_PAYER },
        "total_request_cost": row.cost.saturating_add(row.charge),
        "total_wallet_cost": row.charge,
        "total_merchant_cost": row.cost,
        "metadata": row.metadata.clone().unwrap_or_else(|| json!({})),
        "usage_source": row.usage_source.name(),
        "http_status": row.http_status,
        "streaming": row.streaming,
        "simulated": row.simulated,
        "hold": row.hold,
        "duration_ms": row.duration_ms(),
        "first_token_ms": row.first_token_ms,
        "timestamp": iso_millis(row.finished_at_ms),
        "created_at": iso_millis(row.admitted_at_ms),
    })
}

fn usage(row: &RequestRow) -> Value {
    let usage = row.usage;
    json!({
        "input_tokens": usage.total_input(),
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens),
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_input_tokens": usage.audio_input_tokens,
        "audio_output_tokens": usage.audio_output_tokens,
        "web_searches": usage.web_searches,
        "image_input_tokens": usage.image_input_tokens,
        "image_output_tokens": usage.image_output_tokens,
        "audio_cache_read_tokens": usage.audio_cache_read_tokens,
        "images": usage.images,
        "characters": usage.characters,
        "audio_ms": usage.audio_ms,
        "output_audio_ms": usage.output_audio_ms,
        "pages": usage.pages,
        "queries": usage.queries,
        "input_characters": usage.characters.saturating_sub(usage.output_characters),
        "output_characters": usage.output_characters,
        "total_characters": usage.characters,
        "input_seconds": seconds(usage.audio_ms),
        "output_seconds": seconds(usage.output_audio_ms),
        "total_seconds": seconds(usage.audio_ms.saturating_add(usage.output_audio_ms)),
        "input_cost": row.input_cost,
        "output_cost": row.output_cost,
        "total_cost": row.cost,
        "payer": BASE_COST_PAYER,
    })
}

/// Whole seconds, rounded half up; the exact milliseconds stand beside them.
fn seconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_add(500) / 1000
}
