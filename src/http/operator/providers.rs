//! GET `/providers` on the operator's listener: how the providers fare, as the circuits and the credentials know it. It
//! says hosts and counts, never a credential.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::State;
use crate::domain::spend::Now;
use crate::gateway::Gateway;
use crate::gateway::breaker::{CircuitView, Condition};
use crate::gateway::provider::Provider;
use crate::http::time::iso_millis;

/// All providers in their configured order.
pub async fn list(state: State, gateway: web::Data<Gateway>) -> HttpResponse {
    let data = health(&gateway, state.now());
    HttpResponse::Ok().json(json!({ "data": data, "has_more": false, "next_cursor": null }))
}

/// How each provider fares, in their configured order.
pub fn health(gateway: &Gateway, now: Now) -> Vec<Value> {
    let shown = |provider: &std::sync::Arc<Provider>| {
        let view = gateway.breakers().find(provider).map(|circuit| circuit.view());
        show(provider, view, now)
    };
    gateway.providers().iter().map(shown).collect()
}

fn show(provider: &Provider, view: Option<CircuitView>, now: Now) -> Value {
    let credentials = provider.credential_counts(now);
    let (state, failures, retry_at) = match view.map(|view| view.condition) {
        None => ("unwatched", 0, None),
        Some(Condition::Closed { failures_in_a_row }) => ("closed", failures_in_a_row, None),
        Some(Condition::Open { until_us }) => ("open", 0, Some(instant(until_us, now))),
        Some(Condition::HalfOpen) => ("half_open", 0, None),
    };
    let trouble = view.and_then(|view| view.last_trouble);
    json!({
        "name": &*provider.name,
        "host": provider.called_host(),
        "state": state,
        "failures": failures,
        "last_error": trouble.map(|(trouble, _)| trouble.word()),
        "last_error_at": trouble.map(|(_, at_ms)| iso_millis(at_ms)),
        "retry_at": retry_at.map(iso_millis),
        "credentials": { "count": credentials.all, "cooling": credentials.cooling },
    })
}

/// A monotonic instant to come, in unix milliseconds.
fn instant(at_us: u64, now: Now) -> i64 {
    let wait_ms = at_us.saturating_sub(now.monotonic_us) / 1000;
    now.wall_ms.saturating_add(i64::try_from(wait_ms).unwrap_or(i64::MAX))
}
