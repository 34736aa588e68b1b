//! What the figures say as text, and how long saying it takes.

use std::time::{Duration, Instant};

use super::calls::{CallName, CallRecorder, ErrorType, MODEL_LIMIT, Observation};
use super::text::Exposition;
use super::{Metrics, Payer};
use crate::domain::money::Money;
use crate::domain::usage::Usage;

fn shown(metrics: &Metrics) -> String {
    let mut exposition = Exposition::default();
    metrics.show(&mut exposition);
    exposition.into_text()
}

fn name(model: &str) -> CallName<'_> {
    CallName {
        provider: "openai",
        model,
        operation: "chat",
        is_priced: true,
    }
}

fn observation() -> Observation {
    Observation {
        failure: None,
        duration: Duration::from_millis(30),
        first_chunk: Some(Duration::from_millis(10)),
        usage: Usage {
            input_tokens: 5,
            cache_read_tokens: 2,
            output_tokens: 3,
            ..Usage::default()
        },
        cost: Money::from_nanos(1_500_000),
        is_unpriced: false,
    }
}

#[test]
fn the_figures_of_all_workers_are_one_series() {
    let metrics = Metrics::default();
    for _worker in 0..2 {
        let series = CallRecorder::new(metrics.calls.clone()).series(name("m"));
        series.observe(&observation());
        series.change_hold(Payer::Wallet, Money::ZERO, Money::from_nanos(2_000_000_000));
    }
    metrics.count_denial("spend_limit_reached");
    metrics.count_denial("spend_limit_reached");
    let labels = r#"gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="m""#;
    let text = shown(&metrics);
    for expected in [
        "caldera_denials_total{code=\"spend_limit_reached\"} 2\n".to_owned(),
        "caldera_reserved_dollars{payer=\"wallet\"} 4\n".to_owned(),
        "caldera_holds{payer=\"wallet\"} 2\n".to_owned(),
        format!("caldera_cost_dollars_total{{{labels}}} 0.003\n"),
        format!("gen_ai_client_operation_duration_seconds_bucket{{{labels},le=\"0.04\"}} 2\n"),
        format!("gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type=\"input\"}} 14\n"),
        format!("caldera_token_parts_total{{{labels},part=\"cache_read\"}} 4\n"),
    ] {
        assert!(text.contains(&expected), "{expected} is not in {text}");
    }
}

#[test]
fn a_failure_is_counted_apart_and_a_hold_that_ends_is_gone() {
    let metrics = Metrics::default();
    let series = CallRecorder::new(metrics.calls.clone()).series(name("m"));
    series.observe(&Observation {
        failure: Some(ErrorType::of_status(429)),
        is_unpriced: true,
        ..observation()
    });
    let held = Money::from_nanos(7);
    series.change_hold(Payer::SpendKey, Money::ZERO, held);
    series.change_hold(Payer::SpendKey, held, Money::ZERO);
    let text = shown(&metrics);
    assert!(text.contains("error_type=\"429\",le=\"+Inf\"} 1\n"), "{text}");
    assert!(
        text.contains("caldera_reserved_dollars{payer=\"spend_key\"} 0\n"),
        "{text}"
    );
    assert!(text.contains("caldera_unpriced_requests_total{"), "{text}");
}

/// Prints how long a scrape takes with as many models as are told apart; run it with `--ignored --nocapture`.
#[test]
#[ignore = "a benchmark"]
fn benchmark_of_a_scrape_with_many_models() {
    let metrics = Metrics::default();
    for _worker in 0..16 {
        let recorder = CallRecorder::new(metrics.calls.clone());
        for number in 0..MODEL_LIMIT {
            let series = recorder.series(name(&format!("some-model-of-a-usual-length-{number}")));
            series.observe(&observation());
        }
    }
    let mut times: Vec<Duration> = Vec::new();
    let mut size_bytes = 0;
    for _ in 0..20 {
        let began = Instant::now();
        size_bytes = shown(&metrics).len();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!(
        "{MODEL_LIMIT} models, 16 workers: {size_bytes} bytes, median {:?}, worst {:?}",
        times[10], times[19]
    );
}
