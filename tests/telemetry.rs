//! Traces and metrics over OTLP, as a collector gets them.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use crate::support::collector::{Collector, attribute};
use crate::support::house::{House, chat, chat_stream};
use crate::support::scripted::{self, Scripted};
use crate::support::server::{ServerSettings, eventually, free_port, secret_key};
use crate::support::stream::EventStream;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";

fn parent(flags: &str) -> String {
    format!("00-{TRACE_ID}-{PARENT_ID}-{flags}")
}

fn exporting(settings: ServerSettings, collector: &Collector) -> ServerSettings {
    settings
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .variable("OTEL_BSP_SCHEDULE_DELAY", 50)
        .variable("OTEL_METRIC_EXPORT_INTERVAL", 100)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans of the collector, once there are so many: calls, then attempts.
fn spans(collector: &Collector, count: usize) -> (Vec<Span>, Vec<Span>) {
    eventually("the spans are there", || collector.taken().spans.len() >= count);
    let spans = collector.taken().spans;
    assert_eq!(spans.len(), count, "{spans:#?}");
    // 2 is SERVER, 3 is CLIENT.
    spans.into_iter().partition(|span| span.kind == 2)
}

#[test]
fn a_call_is_a_span_under_its_callers_with_an_attempt_under_it() {
    let collector = Collector::start();
    let house = House::with(|settings| {
        exporting(settings, &collector)
            .variable("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=mine")
            .variable("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=trial")
    });
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let caller = house.caller(&key).with_header("traceparent", &parent("01"));
    let answer = caller
        .post("/v1/chat/completions", &chat("output_tokens=10"))
        .expect_status(200);
    let (calls, attempts) = spans(&collector, 2);
    let (call, attempt) = (&calls[0], &attempts[0]);
    assert_eq!((&*call.name, &*attempt.name), ("chat gpt-4o-mini", "chat gpt-4o-mini"));
    assert_eq!(hexadecimal(&call.trace_id), TRACE_ID);
    assert_eq!(hexadecimal(&call.parent_span_id), PARENT_ID);
    assert_eq!(
        (&attempt.trace_id, &attempt.parent_span_id),
        (&call.trace_id, &call.span_id)
    );
    let usage = answer.json()["usage"].clone();
    for (key, expected) in [
        ("gen_ai.operation.name", "chat".to_owned()),
        ("gen_ai.provider.name", "openai".to_owned()),
        ("gen_ai.request.model", "gpt-4o-mini".to_owned()),
        ("gen_ai.usage.input_tokens", usage["prompt_tokens"].to_string()),
        ("gen_ai.usage.output_tokens", "10".to_owned()),
        ("http.response.status_code", "200".to_owned()),
        (
            "caldera.request.id",
            answer.header("x-lava-request-id").unwrap().to_owned(),
        ),
        ("caldera.cost", house.row(&answer)["cost"].as_str().unwrap().to_owned()),
    ] {
        for span in [call, attempt] {
            assert_eq!(attribute(&span.attributes, key), Some(expected.clone()), "{key}");
        }
    }
    assert!(attempt.end_time_unix_nano > attempt.start_time_unix_nano);
    let taken = collector.taken();
    assert_eq!(attribute(&taken.resource, "service.name").as_deref(), Some("caldera"));
    assert_eq!(
        attribute(&taken.resource, "deployment.environment").as_deref(),
        Some("trial")
    );
    assert!(
        taken.heads.iter().all(|head| head.contains("x-tenant: mine")),
        "{:?}",
        taken.heads
    );
    let said = String::from_utf8_lossy(&taken.bytes).into_owned();
    for secret in [&*key, secret_key(), "Hello", "[[sim"] {
        assert!(!said.contains(secret), "{secret} was exported");
    }
    house.settled(&id);
}

#[test]
fn a_call_that_goes_on_to_a_fallback_has_an_attempt_for_each_and_a_refusal_has_none() {
    let collector = Collector::start();
    let house = House::with(|settings| exporting(settings, &collector));
    let fallbacks = r#"[{"model":"claude-haiku-4-5"}]"#;
    let caller = house.server.client().with_header("x-lava-fallbacks", fallbacks);
    let failing = chat("status=500 fail_times=1 tag=telemetry");
    let answer = caller.post("/v1/chat/completions", &failing).expect_status(200);
    assert_eq!(answer.header("x-lava-served-by"), Some("anthropic"));
    let (calls, attempts) = spans(&collector, 3);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].name, "chat claude-haiku-4-5");
    let of = |provider: &str| {
        let found = attempts
            .iter()
            .find(|span| attribute(&span.attributes, "gen_ai.provider.name").as_deref() == Some(provider));
        found.unwrap_or_else(|| panic!("{provider} is not in {attempts:#?}"))
    };
    assert_eq!(
        attribute(&of("openai").attributes, "error.type").as_deref(),
        Some("500")
    );
    assert_eq!(attribute(&of("anthropic").attributes, "error.type"), None);
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.parent_span_id == calls[0].span_id)
    );
    house
        .caller("lava_sk_nobodys")
        .post("/v1/chat/completions", &chat(""))
        .expect_status(401);
    let (calls, attempts) = spans(&collector, 4);
    assert_eq!((calls.len(), attempts.len()), (2, 2));
    assert_eq!(
        attribute(&calls[1].attributes, "error.type").as_deref(),
        Some("invalid_api_key")
    );
}

#[test]
fn the_provider_is_told_the_attempts_span_or_what_the_caller_said_where_nothing_is_exported() {
    let said = |exports: bool| {
        let collector = Collector::start();
        let provider = Scripted::start(|_| {
            scripted::json(
                &json!({ "id": "x", "choices": [], "usage": { "prompt_tokens": 1, "completion_tokens": 1 } }),
            )
        });
        let house = House::with(|settings| {
            let settings = settings.variable("OPENAI_BASE_URL", provider.url());
            if exports {
                exporting(settings, &collector)
            } else {
                settings
            }
        });
        let caller = house.server.client().with_header("traceparent", &parent("01"));
        let caller = caller.with_header("tracestate", "vendor=value");
        caller.post("/v1/chat/completions", &chat("")).expect_status(200);
        let spans = if exports { spans(&collector, 2).1 } else { Vec::new() };
        (provider.last(), spans)
    };
    let (seen, attempts) = said(true);
    let expected = format!("00-{TRACE_ID}-{}-01", hexadecimal(&attempts[0].span_id));
    assert_eq!(seen.header("traceparent"), Some(&*expected));
    assert_eq!(seen.header("tracestate"), Some("vendor=value"));
    let (seen, _) = said(false);
    assert_eq!(seen.header("traceparent"), Some(&*parent("01")));
    assert_eq!(seen.header("tracestate"), Some("vendor=value"));
}

#[test]
fn metrics_are_exported_by_the_names_of_the_conventions_and_what_is_left_at_the_stop() {
    let collector = Collector::start();
    let mut house = House::with(|settings| {
        exporting(settings, &collector)
            .variable("OTEL_TRACES_EXPORTER", "none")
            .variable("OTEL_METRIC_EXPORT_INTERVAL", 3_600_000)
    });
    let call = chat_stream("output_tokens=10");
    EventStream::post(house.server.port, "/v1/chat/completions", secret_key(), &call).all_data();
    assert!(house.server.stop().success());
    let taken = collector.taken();
    assert!(taken.spans.is_empty());
    let metric = |name: &str| {
        let found = taken.metrics.iter().find(|metric| metric.name == name);
        found
            .unwrap_or_else(|| panic!("{name} is not in {:#?}", taken.metrics))
            .data
            .clone()
            .unwrap()
    };
    let histogram = |name: &str| match metric(name) {
        Data::Histogram(histogram) => histogram.data_points,
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!(histogram("gen_ai.client.operation.duration")[0].count, 1);
    assert_eq!(histogram("gen_ai.client.operation.time_to_first_chunk")[0].count, 1);
    let tokens = histogram("gen_ai.client.token.usage");
    let output = tokens
        .iter()
        .find(|point| attribute(&point.attributes, "gen_ai.token.type").as_deref() == Some("output"));
    assert_eq!(output.unwrap().sum, Some(10.0));
    for name in [
        "caldera.cost",
        "caldera.reserved",
        "caldera.journal.lag",
        "caldera.calls_in_flight",
    ] {
        metric(name);
    }
}

#[test]
fn a_collector_that_is_away_holds_nothing_up_and_is_told_once() {
    let house = House::with(|settings| {
        settings
            .variable(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://127.0.0.1:{}", free_port()),
            )
            .variable("OTEL_BSP_SCHEDULE_DELAY", 10)
            .variable("OTEL_METRIC_EXPORT_INTERVAL", 10)
    });
    for _ in 0..20 {
        house
            .server
            .client()
            .post("/v1/chat/completions", &chat(""))
            .expect_status(200);
    }
    let told = || {
        house
            .server
            .stderr()
            .matches("the collector of OpenTelemetry does not take")
            .count()
    };
    eventually("it is told", || told() > 0);
    for _ in 0..20 {
        house
            .server
            .client()
            .post("/v1/chat/completions", &chat(""))
            .expect_status(200);
    }
    assert_eq!(told(), 1);
}

#[test]
fn what_is_switched_off_sends_nothing() {
    let collector = Collector::start();
    let mut house = House::with(|settings| exporting(settings, &collector).variable("OTEL_SDK_DISABLED", "true"));
    house
        .server
        .client()
        .post("/v1/chat/completions", &chat(""))
        .expect_status(200);
    assert!(house.server.stop().success());
    assert!(collector.taken().heads.is_empty());
}

#[test]
fn a_trace_that_its_caller_does_not_sample_is_passed_on_and_not_exported() {
    let collector = Collector::start();
    let mut house = House::with(|settings| exporting(settings, &collector).variable("OTEL_METRICS_EXPORTER", "none"));
    let caller = house.server.client().with_header("traceparent", &parent("00"));
    caller.post("/v1/chat/completions", &chat("")).expect_status(200);
    assert!(house.server.stop().success());
    assert!(collector.taken().spans.is_empty());
}
