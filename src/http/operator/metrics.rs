//! GET `/metrics` on the operator's listener: the figures of the engine, and what is read at the moment of the scrape
//! because it costs next to nothing: circuits, credentials, the database pool, the process. Nothing here waits for
//! Postgres or for a worker.

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};

use super::State;
use super::process;
use crate::domain::spend::Now;
use crate::engine::metrics::text::{Exposition, Kind, Labels};
use crate::gateway::breaker::Condition;
use crate::gateway::provider::{CredentialCounts, Provider};
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

/// What is shown under one name. All simulated providers have one, and a name is shown once.
struct Shown<'a> {
    name: &'a str,
    /// The worst of them.
    circuit: Option<Condition>,
    credentials: CredentialCounts,
}

/// Providers that have a credential or a circuit that is not closed; all others are only a name in the catalogue.
fn shown<'a>(providers: &'a [Arc<Provider>], gateway: &Gateway, now: Now) -> Vec<Shown<'a>> {
    let mut by_name: Vec<Shown<'_>> = Vec::new();
    for provider in providers {
        let circuit = gateway
            .breakers()
            .find(provider)
            .map(|circuit| circuit.view().condition);
        let (name, credentials) = (figures_name(provider), provider.credential_counts(now));
        let is_quiet = circuit.is_none_or(|condition| condition == Condition::Closed { failures_in_a_row: 0 });
        if credentials.all == 0 && is_quiet {
            continue;
        }
        match by_name.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.circuit = known
                    .circuit
                    .into_iter()
                    .chain(circuit)
                    .max_by_key(|condition| badness(*condition));
                known.credentials.all += credentials.all;
                known.credentials.cooling += credentials.cooling;
            }
            None => by_name.push(Shown {
                name,
                circuit,
                credentials,
            }),
        }
    }
    by_name
}

fn show_providers(into: &mut Exposition, gateway: &Gateway, now: Now) {
    let providers = gateway.providers();
    let shown = shown(&providers, gateway, now);
    let help = "The state of a provider's circuit: 1 for the one it is in. An open one means that it is left alone.";
    into.family("caldera_provider_circuit", Kind::Gauge, help);
    for Shown { name, circuit, .. } in &shown {
        let Some(circuit) = circuit else { continue };
        for state in CIRCUIT_STATES {
            let labels = Labels::new(&[("gen_ai_provider_name", name), ("state", state)]);
            into.sample(&labels, u8::from(state == word(*circuit)));
        }
    }
    let help = "The operator's credentials at a provider: ready, or cooling after the provider turned one away.";
    into.family("caldera_provider_credentials", Kind::Gauge, help);
    for Shown { name, credentials, .. } in &shown {
        let ready = credentials.all.saturating_sub(credentials.cooling);
        for (state, count) in [("cooling", credentials.cooling), ("ready", ready)] {
            let labels = Labels::new(&[("gen_ai_provider_name", name), ("state", state)]);
            into.sample(&labels, count);
        }
    }
}

/// Which of several is shown.
const fn badness(condition: Condition) -> u8 {
    match condition {
        Condition::Closed { .. } => 0,
        Condition::HalfOpen => 1,
        Condition::Open { .. } => 2,
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
