//! OpenTelemetry by its usual variables: traces and metrics over OTLP, as protobuf over HTTP. Nothing is started and
//! nothing is kept unless an endpoint is set. Spans wait in a bounded queue, whose overflow is dropped; exporting has
//! threads of its own, which nobody waits for but the stop, for some seconds. It fails open: what is wrong with the
//! variables is said in the log, and the gateway runs without.

mod collector;
mod figures;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::engine::metrics::Metrics;
use crate::gateway::{Instruments, Telemetry};

use collector::Collector;

const NAME: &str = "caldera";
/// How long a stop waits until what is left has been sent.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// What is exported, for the gateway to tell and for the stop to end.
#[derive(Default)]
pub struct Exporting {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// Starts what the environment asks for.
pub fn start(metrics: &Arc<Metrics>) -> (Exporting, Option<Arc<Telemetry>>) {
    let mut exporting = Exporting::default();
    let wanted = Wanted::read(&|name| env::var(name).ok());
    if wanted == Wanted::default() {
        return (exporting, None);
    }
    let collector = match Collector::from_environment() {
        Ok(collector) => Arc::new(collector),
        Err(error) => {
            tracing::error!(%error, "nothing is exported to OpenTelemetry");
            return (exporting, None);
        }
    };
    if wanted.traces {
        let started = start_traces(collector.clone());
        exporting.traces = started.inspect_err(|error| complain("traces", error)).ok();
    }
    if wanted.metrics {
        let started = start_metrics(collector);
        exporting.metrics = started.inspect_err(|error| complain("metrics", error)).ok();
    }
    let telemetry = exporting.telemetry(metrics);
    tracing::info!(
        traces = exporting.traces.is_some(),
        metrics = exporting.metrics.is_some(),
        "exporting to OpenTelemetry"
    );
    (exporting, Some(Arc::new(telemetry)))
}

impl Exporting {
    fn telemetry(&self, metrics: &Arc<Metrics>) -> Telemetry {
        let meter = self.metrics.as_ref().map(|provider| provider.meter(NAME));
        if let Some(meter) = &meter {
            figures::observe(meter, metrics);
        }
        Telemetry {
            tracer: self.traces.as_ref().map(|provider| provider.tracer(NAME)),
            instruments: meter.as_ref().map(Instruments::new),
        }
    }

    /// Sends what is left, for some seconds.
    pub async fn stop(self) {
        let Self { traces, metrics } = self;
        if traces.is_none() && metrics.is_none() {
            return;
        }
        let stopped = actix_rt::task::spawn_blocking(move || {
            let traces = traces.map(|provider| provider.shutdown_with_timeout(STOP_PATIENCE));
            let metrics = metrics.map(|provider| provider.shutdown_with_timeout(STOP_PATIENCE));
            [traces, metrics]
        });
        match tokio::time::timeout(STOP_PATIENCE, stopped).await {
            Ok(Ok(results)) if results.iter().flatten().all(Result::is_ok) => {}
            _ => tracing::warn!("some traces or metrics did not reach their collector before the stop"),
        }
    }
}

/// Which signals are to be exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    traces: bool,
    metrics: bool,
}

impl Wanted {
    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| {
            variable(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Self::default();
        }
        let is_wanted = |signal: &str| {
            let endpoint = set("OTEL_EXPORTER_OTLP_ENDPOINT");
            if endpoint
                .or_else(|| set(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")))
                .is_none()
            {
                return false;
            }
            let name = format!("OTEL_{signal}_EXPORTER");
            match set(&name).as_deref() {
                None | Some("otlp") => true,
                Some("none") => false,
                Some(other) => {
                    tracing::warn!(
                        variable.name = name,
                        variable.value = other,
                        "only otlp and none are known; none it is"
                    );
                    false
                }
            }
        };
        let wanted = Self {
            traces: is_wanted("TRACES"),
            metrics: is_wanted("METRICS"),
        };
        let protocol = set("OTEL_EXPORTER_OTLP_PROTOCOL").filter(|protocol| protocol != "http/protobuf");
        if let Some(protocol) = protocol.filter(|_| wanted != Self::default()) {
            tracing::warn!(protocol, "OTLP is spoken as http/protobuf only; it is used instead");
        }
        wanted
    }
}

fn complain(signal: &str, error: &ExporterBuildError) {
    tracing::error!(signal, %error, "not exported to OpenTelemetry");
}

fn start_traces(collector: Arc<Collector>) -> Result<SdkTracerProvider, ExporterBuildError> {
    let builder = SpanExporter::builder().with_http().with_shared_http_client(collector);
    let exporter = builder.with_protocol(Protocol::HttpBinary).build()?;
    Ok(SdkTracerProvider::builder()
        .with_resource(resource())
        .with_batch_exporter(exporter)
        .build())
}

fn start_metrics(collector: Arc<Collector>) -> Result<SdkMeterProvider, ExporterBuildError> {
    let builder = MetricExporter::builder().with_http().with_shared_http_client(collector);
    let exporter = builder.with_protocol(Protocol::HttpBinary).build()?;
    Ok(SdkMeterProvider::builder()
        .with_resource(resource())
        .with_periodic_exporter(exporter)
        .build())
}

/// Who speaks: what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say, and our own name where they say none.
fn resource() -> Resource {
    let named = env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|attributes| attributes.contains("service.name="));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if named {
        builder.build()
    } else {
        builder.with_service_name(NAME).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(variables: &[(&str, &str)]) -> (bool, bool) {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let Wanted { traces, metrics } = Wanted::read(&find);
        (traces, metrics)
    }

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_set_and_nothing_forbids_it() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        type Case<'a> = (&'a [(&'a str, &'a str)], (bool, bool));
        let table: [Case<'_>; 8] = [
            (&[], (false, false)),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], (false, false)),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], (false, false)),
            (&[endpoint], (true, true)),
            (&[endpoint, ("OTEL_SDK_DISABLED", "True")], (false, false)),
            (&[endpoint, ("OTEL_METRICS_EXPORTER", "none")], (true, false)),
            (&[endpoint, ("OTEL_TRACES_EXPORTER", "console")], (false, true)),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h/t")], (true, false)),
        ];
        for (variables, expected) in table {
            assert_eq!(wanted(variables), expected, "{variables:?}");
        }
    }
}
