//! A spend key as callers see it: its settings as stored, its counters as the shard has them now, so that a read after
//! an answer shows that answer. The key's secret is here only in the answers of creation and rotation.

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use crate::domain::cycle::Cycle;
use crate::domain::key::KeySettings;
use crate::domain::money::Money;
use crate::domain::room::Room;
use crate::domain::secret::Secret;
use crate::domain::spend::SpendState;
use crate::http::time::{iso_millis, iso_seconds};
use crate::storage::spend_keys::SpendKeyRow;

/// All fields but the secret.
pub fn show(row: &SpendKeyRow, state: &SpendState) -> Map<String, Value> {
    let settings = &row.settings;
    let request_cycle = settings.request_limit.map_or(Cycle::Total, |limit| limit.cycle);
    let total = state.counter(Cycle::Total);
    let view = json!({
        "spend_key_id": settings.id,
        "key_preview": row.preview,
        "name": settings.name,
        "status": settings.status,
        "request_shape": settings.request_shape,
        "wallet_id": settings.wallet_id,
        "allowed_models": settings.allowed_models,
        "allowed_providers": settings.allowed_providers,
        "allowed_ips": settings.allowed_ips.as_ref().map(|networks| networks.iter().map(address).collect::<Vec<_>>()),
        "spend_limit": settings.spend_limit.map(|limit| json!({"amount": limit.amount, "cycle": limit.cycle})),
        "total_spend": total.spent,
        "request_limit": settings.request_limit.map(|limit| json!({"count": limit.count, "cycle": limit.cycle})),
        "current_requests": state.counter(request_cycle).requests,
        "total_requests": total.requests,
        "rate_limit": settings.rate_limit.map(|limit| json!({"rpm": limit.rpm, "burst": limit.burst})),
        "max_parallel": settings.max_parallel,
        "enforcement": settings.enforcement,
        "on_disconnect": settings.on_disconnect,
        "timezone": settings.timezone.name(),
        "tags": row.tags,
        "expires_at": settings.expires_at_ms.map(iso_millis),
        "last_used_at": state.last_used_ms.map(iso_millis),
        "created_at": iso_millis(row.created_at_ms),
    });
    let mut fields = match view {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    fields.extend(show_figures(settings, state).map(|(name, value)| (name.to_owned(), value)));
    fields
}

/// As [`show`], with the secret, which is shown this once.
pub fn show_with_secret(row: &SpendKeyRow, state: &SpendState, secret: &Secret<String>) -> Map<String, Value> {
    let mut fields = show(row, state);
    fields.insert("key".to_owned(), Value::from(secret.expose().as_str()));
    fields
}

/// A network of one as the address that it is.
fn address(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// The figures of the limit's cycle; without a limit those of all time, and nothing that could run out.
pub fn show_figures(settings: &KeySettings, state: &SpendState) -> [(&'static str, Value); 4] {
    let limit = settings.spend_limit;
    let counter = state.counter(limit.map_or(Cycle::Total, |limit| limit.cycle));
    let available = limit.map(|limit| {
        let unspent = limit.amount.saturating_sub(counter.spent);
        Room {
            unspent,
            held: counter.held,
        }
        .available()
    });
    let text = |amount: Money| Value::from(amount.to_string());
    let resets_at = limit.and(counter.window.end).map(iso_seconds);
    [
        ("current_spend", text(counter.spent)),
        ("reserved_spend", text(counter.held)),
        ("available", available.map_or(Value::Null, text)),
        ("resets_at", Value::from(resets_at)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_was_given() {
        for (network, shown) in [
            ("10.0.0.1/32", "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::1/128", "::1"),
        ] {
            assert_eq!(address(&network.parse().unwrap()), shown);
        }
    }
}
