//! GET `/metrics` on the operator's listener: the figures of the engine, and what is read at the moment of the scrape
//! because it costs next to nothing: circuits, credentials, the database pool, the process. Nothing here waits for
//! Postgres or for a worker.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};

use super::State;
use super::process;
use crate::domain::spend::Now;
use crate::engine::metrics::text::{Exposition, Kind, Labels};
use crate::gateway::breaker::Condition;
use crate::gateway::{Gateway, figures_name};
use crate::http::state::AppState;

const CIRCUIT_STATES: [&str; 3] = ["closed", "half_open", "open"];

/// All figures, in the text format of Prometheus.
pub async fn show(state: State, gateway: web::Data<Gateway>) -> HttpResponse {
    let mut text = Exposition::default();
    show_build(&mut text);
    state.metrics.show(&mut text);
    show_providers(&mut text, &gateway, state.now());
    show_database(&mut text, &state);
    process::show(&mut text);
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(text.into_text())
}

fn show_build(into: &mut Exposition) {
    let labels = Labels::new(&[("version", env!("CARGO_PKG_VERSION"))]);
    into.family("caldera_build_info", Kind::Gauge, "Which build runs; always 1.")
        .sample(&labels, 1);
}

/// Providers that have a credential or a circuit that is not closed; all others are only a name in the catalogue.
fn show_providers(into: &mut Exposition, gateway: &Gateway, now: Now) {
    let providers = gateway.providers();
    let shown = providers.iter().map(|provider| {
        let circuit = gateway
            .breakers()
            .find(provider)
            .map(|circuit| circuit.view().condition);
        (provider, circuit, provider.credential_counts(now))
    });
    let is_used = |circuit: Option<Condition>, all: usize| {
        all > 0 || circuit.is_some_and(|condition| condition != Condition::Closed { failures_in_a_row: 0 })
    };
    let shown: Vec<_> = shown
        .filter(|(_, circuit, credentials)| is_used(*circuit, credentials.all))
        .collect();
    let help = "The state of a provider's circuit: 1 for the one it is in. An open one means that it is left alone.";
    into.family("caldera_provider_circuit", Kind::Gauge, help);
    for (provider, circuit, _) in &shown {
        let Some(circuit) = circuit else { continue };
        for state in CIRCUIT_STATES {
            let labels = Labels::new(&[("gen_ai_provider_name", figures_name(provider)), ("state", state)]);
            into.sample(&labels, u8::from(state == word(*circuit)));
        }
    }
    let help = "The operator's credentials at a provider: ready, or cooling after the provider turned one away.";
    into.family("caldera_provider_credentials", Kind::Gauge, help);
    for (provider, _, credentials) in &shown {
        let ready = credentials.all.saturating_sub(credentials.cooling);
        for (state, count) in [("cooling", credentials.cooling), ("ready", ready)] {
            let labels = Labels::new(&[("gen_ai_provider_name", figures_name(provider)), ("state", state)]);
            into.sample(&labels, count);
        }
    }
}

const fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Closed { .. } => "closed",
        Condition::HalfOpen => "half_open",
        Condition::Open { .. } => "open",
    }
}

fn show_database(into: &mut Exposition, state: &AppState) {
    let pool = state.database.pool_state();
    into.family(
        "caldera_database_connections",
        Kind::Gauge,
        "Connections of the pool to Postgres, by what they do.",
    )
    .sample(&Labels::new(&[("state", "busy")]), pool.open.saturating_sub(pool.idle))
    .sample(&Labels::new(&[("state", "idle")]), pool.idle);
    let help = "How many connections to Postgres the pool may have.";
    into.single("caldera_database_connections_limit", Kind::Gauge, (help, pool.limit));
}
