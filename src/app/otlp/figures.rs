//! The gateway's own figures as instruments that are read when they are exported. Money goes as whole billionths of a
//! dollar, because OpenTelemetry has no decimals.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::engine::metrics::{Metrics, Payer};

/// What is read of the figures.
type Read = fn(&Metrics) -> u64;

/// Has the meter read these figures.
pub fn observe(meter: &Meter, metrics: &Arc<Metrics>) {
    let gauges: [(&'static str, &'static str, Read); 5] = [
        ("caldera.calls_in_flight", "{call}", |metrics| {
            metrics.calls_in_flight.value()
        }),
        ("caldera.journal.lag", "ms", |metrics| metrics.journal_lag_ms.value()),
        ("caldera.journal.backlog", "By", |metrics| {
            metrics.journal_backlog_bytes.value()
        }),
        ("caldera.webhooks.pending", "{delivery}", |metrics| {
            metrics.webhooks_pending.value()
        }),
        ("caldera.webhooks.dead", "{delivery}", |metrics| {
            metrics.webhooks_dead.value()
        }),
    ];
    for (name, unit, read) in gauges {
        let metrics = metrics.clone();
        let builder = meter.u64_observable_gauge(name).with_unit(unit);
        builder
            .with_callback(move |observer| observer.observe(read(&metrics), &[]))
            .build();
    }
    let counters: [(&'static str, &'static str, Read); 6] = [
        ("caldera.overrun", "nUSD", |metrics| metrics.overrun_nanos.value()),
        ("caldera.holds_underestimated", "{call}", |metrics| {
            metrics.holds_underestimated.value()
        }),
        ("caldera.clients_gone", "{client}", |metrics| {
            metrics.clients_gone.value()
        }),
        ("caldera.fallbacks_tried", "{call}", |metrics| {
            metrics.fallbacks_tried.value()
        }),
        ("caldera.retries", "{call}", |metrics| metrics.retries.value()),
        ("caldera.usage_estimated", "{call}", |metrics| {
            metrics.usage_estimated.value()
        }),
    ];
    for (name, unit, read) in counters {
        let metrics = metrics.clone();
        let builder = meter.u64_observable_counter(name).with_unit(unit);
        builder
            .with_callback(move |observer| observer.observe(read(&metrics), &[]))
            .build();
    }
    observe_money(meter, metrics);
    let denials = metrics.clone();
    let builder = meter.u64_observable_counter("caldera.denials").with_unit("{call}");
    let told = builder.with_callback(move |observer| {
        for (code, count) in denials.denials() {
            observer.observe(count, &[KeyValue::new("code", code)]);
        }
    });
    told.build();
}

fn observe_money(meter: &Meter, metrics: &Arc<Metrics>) {
    let reserved = metrics.clone();
    let builder = meter.i64_observable_gauge("caldera.reserved").with_unit("nUSD");
    let told = builder.with_callback(move |observer| {
        let held = reserved.calls.held();
        for payer in Payer::ALL {
            observer.observe(held.nanos[payer as usize], &[KeyValue::new("payer", payer.word())]);
        }
    });
    told.build();
    let drifting = metrics.clone();
    let builder = meter.i64_observable_gauge("caldera.drift").with_unit("nUSD");
    let told = builder.with_callback(move |observer| {
        for drift in drifting.drift() {
            observer.observe(drift.nanos, &[KeyValue::new("invariant", drift.invariant)]);
        }
    });
    told.build();
}
