//! What calls are told to OpenTelemetry by, where the operator exports: a tracer for their spans, and the instruments of
//! the conventions for generative AI. Prometheus has figures of its own (`engine::metrics`); these are kept besides,
//! only where metrics are exported.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry_sdk::trace::SdkTracer;

use crate::engine::metrics::calls::{CallSeries, DURATION_BOUNDS, Observation, TOKEN_BOUNDS};

use super::trace::CallTrace;

/// Both, each where it is exported.
#[derive(Default)]
pub struct Telemetry {
    pub tracer: Option<SdkTracer>,
    pub instruments: Option<Instruments>,
}

impl Telemetry {
    /// Begins the span of a call that came with these headers.
    pub fn begin(&self, headers: &HeaderMap) -> Option<CallTrace> {
        Some(CallTrace::begin(self.tracer.as_ref()?, headers))
    }

    pub(super) fn observe(&self, series: &CallSeries, observed: &Observation) {
        if let Some(instruments) = &self.instruments {
            instruments.observe(series, observed);
        }
    }
}

/// The instruments of calls.
pub struct Instruments {
    durations: Histogram<f64>,
    first_chunks: Histogram<f64>,
    tokens: Histogram<u64>,
    cost: Counter<u64>,
    unpriced: Counter<u64>,
}

impl Instruments {
    pub fn new(meter: &Meter) -> Self {
        let timed = |name: &'static str, description: &'static str| {
            let bounds = DURATION_BOUNDS.iter();
            let bounds = bounds.map(|micros| Duration::from_micros(*micros).as_secs_f64());
            let builder = meter.f64_histogram(name).with_unit("s").with_description(description);
            builder.with_boundaries(bounds.collect()).build()
        };
        let counted = |name: &'static str, unit: &'static str, description: &'static str| {
            let builder = meter.u64_counter(name).with_unit(unit).with_description(description);
            builder.build()
        };
        let tokens = meter.u64_histogram("gen_ai.client.token.usage").with_unit("{token}");
        let bounds = TOKEN_BOUNDS.iter().map(|tokens| *tokens as f64);
        Self {
            durations: timed("gen_ai.client.operation.duration", "GenAI operation duration."),
            first_chunks: timed(
                "gen_ai.client.operation.time_to_first_chunk",
                "Time to receive the first chunk of a stream.",
            ),
            tokens: tokens
                .with_description("Number of input and output tokens used.")
                .with_boundaries(bounds.collect())
                .build(),
            cost: counted(
                "caldera.cost",
                "nUSD",
                "What calls cost at their providers, in billionths of a dollar.",
            ),
            unpriced: counted("caldera.unpriced_requests", "{request}", "Calls without a price."),
        }
    }

    fn observe(&self, series: &CallSeries, observed: &Observation) {
        let mut attributes = Vec::with_capacity(4);
        attributes.push(KeyValue::new("gen_ai.operation.name", series.operation));
        attributes.push(KeyValue::new("gen_ai.provider.name", series.provider.clone()));
        if !series.model.is_empty() {
            attributes.push(KeyValue::new("gen_ai.request.model", series.model.clone()));
        }
        let cost = u64::try_from(observed.cost.nanos()).unwrap_or_default();
        self.cost.add(cost, &attributes);
        if observed.is_unpriced {
            self.unpriced.add(1, &attributes);
        }
        if let Some(first_chunk) = observed.first_chunk {
            self.first_chunks.record(first_chunk.as_secs_f64(), &attributes);
        }
        for (kind, tokens) in [
            ("input", observed.usage.total_input()),
            ("output", observed.usage.output_tokens),
        ] {
            if tokens > 0 {
                attributes.push(KeyValue::new("gen_ai.token.type", kind));
                self.tokens.record(tokens, &attributes);
                attributes.pop();
            }
        }
        if let Some(failure) = observed.failure {
            attributes.push(KeyValue::new("error.type", failure.word()));
        }
        self.durations.record(observed.duration.as_secs_f64(), &attributes);
    }
}
