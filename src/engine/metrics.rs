//! What `/metrics` shows: counts that only grow, and gauges, each one atomic that whoever knows it changes. Losing them
//! with the process is no loss; nothing is decided by them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

/// A figure that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A figure that is what it was last set to.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn rise(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn fall(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All figures of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub requests_completed: Counter,
    pub requests_failed: Counter,
    /// Calls that ran but whose client had gone before the end.
    pub clients_gone: Counter,
    /// By the code of the error table.
    denials: DashMap<&'static str, Counter>,
    pub calls_in_flight: Gauge,
    /// Calls that cost more than was held for them: a wrong bound, or a provider that ignores a cap.
    pub holds_underestimated: Counter,
    pub holds_extended: Counter,
    /// Calls that went on to another provider, once for each that was asked.
    pub fallbacks_tried: Counter,
    /// Calls that were sent once more because they cannot have been served.
    pub retries: Counter,
    /// Times that a provider was left alone because it failed again and again.
    pub circuits_opened: Counter,
    pub journal_backlog_bytes: Gauge,
    pub journal_backlog_records: Gauge,
    pub billing_batches: Counter,
    pub billing_rows: Counter,
    pub billing_retries: Counter,
    /// Settlements whose figures are estimates, after a crash or a broken stream.
    pub usage_estimated: Counter,
    /// Unix milliseconds of the last batch that was written.
    pub billing_last_batch_ms: Gauge,
    pub webhooks_delivered: Counter,
    /// Attempts, of which a delivery has up to ten.
    pub webhooks_failed: Counter,
    pub webhooks_pending: Gauge,
    pub webhooks_dead: Gauge,
}

impl Metrics {
    /// Counts a refusal under the word of its error code.
    pub fn count_denial(&self, code: &'static str) {
        self.denials.entry(code).or_default().add(1);
    }

    /// All of it in the text format of Prometheus, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(4096);
        let requests = [
            ("completed", self.requests_completed.value()),
            ("error", self.requests_failed.value()),
        ];
        family(&mut text, "caldera_requests_total", "counter", "outcome", &requests);
        let mut denials: Vec<(&str, u64)> = self
            .denials
            .iter()
            .map(|entry| (*entry.key(), entry.value().value()))
            .collect();
        denials.sort_unstable();
        family(&mut text, "caldera_denials_total", "counter", "code", &denials);
        let attempts = [
            ("delivered", self.webhooks_delivered.value()),
            ("failed", self.webhooks_failed.value()),
        ];
        let name = "caldera_webhook_attempts_total";
        family(&mut text, name, "counter", "outcome", &attempts);
        for (name, value) in [
            ("caldera_clients_gone_total", self.clients_gone.value()),
            ("caldera_holds_underestimated_total", self.holds_underestimated.value()),
            ("caldera_holds_extended_total", self.holds_extended.value()),
            ("caldera_fallbacks_tried_total", self.fallbacks_tried.value()),
            ("caldera_retries_total", self.retries.value()),
            ("caldera_circuits_opened_total", self.circuits_opened.value()),
            ("caldera_billing_batches_total", self.billing_batches.value()),
            ("caldera_billing_rows_total", self.billing_rows.value()),
            ("caldera_billing_retries_total", self.billing_retries.value()),
            ("caldera_usage_estimated_total", self.usage_estimated.value()),
        ] {
            single(&mut text, name, "counter", value);
        }
        for (name, value) in [
            ("caldera_calls_in_flight", self.calls_in_flight.value()),
            ("caldera_journal_backlog_bytes", self.journal_backlog_bytes.value()),
            ("caldera_journal_backlog_records", self.journal_backlog_records.value()),
            (
                "caldera_billing_last_batch_timestamp_ms",
                self.billing_last_batch_ms.value(),
            ),
            ("caldera_webhook_deliveries_pending", self.webhooks_pending.value()),
            ("caldera_webhook_deliveries_dead", self.webhooks_dead.value()),
        ] {
            single(&mut text, name, "gauge", value);
        }
        text
    }
}

fn family(text: &mut String, name: &str, kind: &str, label: &str, values: &[(&str, u64)]) {
    line(text, format_args!("# TYPE {name} {kind}"));
    for (word, value) in values {
        line(text, format_args!("{name}{{{label}=\"{word}\"}} {value}"));
    }
}

fn single(text: &mut String, name: &str, kind: &str, value: u64) {
    line(text, format_args!("# TYPE {name} {kind}"));
    line(text, format_args!("{name} {value}"));
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_comment_or_a_name_and_a_whole_number() {
        let metrics = Metrics::default();
        metrics.count_denial("spend_limit_reached");
        metrics.count_denial("spend_limit_reached");
        metrics.calls_in_flight.rise();
        metrics.requests_completed.add(3);
        let text = metrics.render();
        for expected in [
            "caldera_denials_total{code=\"spend_limit_reached\"} 2\n",
            "caldera_calls_in_flight 1\n",
            "caldera_requests_total{outcome=\"completed\"} 3\n",
        ] {
            assert!(text.contains(expected), "{text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.rsplit_once(' ').unwrap().1.parse::<u64>().is_ok(), "{line}");
        }
    }
}
