//! All figures as text: which family each is, what it is called, and what is said of it. Families are shown whether or
//! not anything has been counted, so that an alert on one is never on a name that is not there.

use std::collections::BTreeMap;

use super::calls::{CallSeries, DURATION_BOUNDS, ERROR_TYPES, TOKEN_BOUNDS};
use super::histogram::{Bounds, Distribution, Histogram};
use super::text::{Decimal, Exposition, Kind, Labels, Unit};
use super::{Counter, Gauge, Metrics, Payer};

impl Metrics {
    /// Writes all of it.
    pub fn show(&self, into: &mut Exposition) {
        self.show_outcomes(into);
        self.show_counters(into);
        self.show_gauges(into);
        self.show_books(into);
        self.show_calls(into);
    }

    fn show_outcomes(&self, into: &mut Exposition) {
        let counted = |into: &mut Exposition, label: &str, counts: &[(&str, u64)]| {
            for (word, count) in counts {
                into.sample(&Labels::new(&[(label, word)]), count);
            }
        };
        let help = "Calls that ended, by how: one for each provider that was asked.";
        into.family("caldera_requests_total", Kind::Counter, help);
        let requests = [
            ("completed", self.requests_completed.value()),
            ("error", self.requests_failed.value()),
        ];
        counted(into, "outcome", &requests);
        let help = "Calls that Caldera refused, by the code of the error.";
        into.family("caldera_denials_total", Kind::Counter, help);
        let denials = self.denials();
        counted(into, "code", &denials);
        let help = "Attempts to deliver a webhook, by how they ended.";
        into.family("caldera_webhook_attempts_total", Kind::Counter, help);
        let attempts = [
            ("delivered", self.webhooks_delivered.value()),
            ("failed", self.webhooks_failed.value()),
        ];
        counted(into, "outcome", &attempts);
    }

    fn show_counters(&self, into: &mut Exposition) {
        let counters: [(&'static str, &Counter, &str); 10] = [
            (
                "caldera_clients_gone_total",
                &self.clients_gone,
                "Clients that left before their answer had ended.",
            ),
            (
                "caldera_holds_underestimated_total",
                &self.holds_underestimated,
                "Calls that cost more than was held for them.",
            ),
            (
                "caldera_holds_extended_total",
                &self.holds_extended,
                "Times that a stream asked for more to be held.",
            ),
            (
                "caldera_fallbacks_tried_total",
                &self.fallbacks_tried,
                "Times that a call went on to another provider.",
            ),
            (
                "caldera_retries_total",
                &self.retries,
                "Times that a call was sent again because it cannot have been served.",
            ),
            (
                "caldera_circuits_opened_total",
                &self.circuits_opened,
                "Times that a failing provider began to be left alone.",
            ),
            (
                "caldera_billing_batches_total",
                &self.billing_batches,
                "Batches of the journal that were written to Postgres.",
            ),
            (
                "caldera_billing_rows_total",
                &self.billing_rows,
                "Records of the journal that were written to Postgres.",
            ),
            (
                "caldera_billing_retries_total",
                &self.billing_retries,
                "Batches that could not be written and were tried again.",
            ),
            (
                "caldera_usage_estimated_total",
                &self.usage_estimated,
                "Calls billed by an estimate, because the provider did not say.",
            ),
        ];
        for (name, counter, help) in counters {
            into.single(name, Kind::Counter, (help, counter.value()));
        }
        let overrun = Decimal::dollars(self.overrun_nanos.value());
        let help = "Dollars that calls cost beyond what was held for them.";
        into.single("caldera_overrun_dollars_total", Kind::Counter, (help, overrun));
    }

    fn show_gauges(&self, into: &mut Exposition) {
        let gauges: [(&'static str, &Gauge, &str); 6] = [
            ("caldera_calls_in_flight", &self.calls_in_flight, "Calls that run."),
            (
                "caldera_journal_backlog_bytes",
                &self.journal_backlog_bytes,
                "Bytes of the journal's segments on the disk.",
            ),
            (
                "caldera_journal_shed_bytes",
                &self.journal_shed_bytes,
                "At how many bytes of the journal new calls are refused.",
            ),
            (
                "caldera_journal_backlog_records",
                &self.journal_backlog_records,
                "Records of the journal that Postgres does not have.",
            ),
            (
                "caldera_webhook_deliveries_pending",
                &self.webhooks_pending,
                "Webhook deliveries that wait for an attempt.",
            ),
            (
                "caldera_webhook_deliveries_dead",
                &self.webhooks_dead,
                "Webhook deliveries that were given up.",
            ),
        ];
        for (name, gauge, help) in gauges {
            into.single(name, Kind::Gauge, (help, gauge.value()));
        }
        let instants: [(&'static str, &Gauge, &str); 3] = [
            (
                "caldera_journal_lag_seconds",
                &self.journal_lag_ms,
                "For how long the journal has held something that Postgres does not have.",
            ),
            (
                "caldera_billing_last_batch_timestamp_seconds",
                &self.billing_last_batch_ms,
                "When a batch was last written to Postgres; 0 before the first.",
            ),
            (
                "caldera_books_checked_timestamp_seconds",
                &self.books_checked_ms,
                "When the books were last checked for drift; 0 before the first time.",
            ),
        ];
        for (name, gauge, help) in instants {
            into.single(name, Kind::Gauge, (help, Decimal::seconds_of_ms(gauge.value())));
        }
    }

    fn show_books(&self, into: &mut Exposition) {
        let help = "By how many dollars the two sides of an invariant of the books differ; anything but 0 is an error.";
        into.family("caldera_drift_dollars", Kind::Gauge, help);
        for drift in self.drift() {
            let labels = Labels::new(&[("invariant", drift.invariant)]);
            into.sample(&labels, Decimal::dollars(drift.nanos));
        }
    }

    fn show_calls(&self, into: &mut Exposition) {
        let held = self.calls.held();
        let help = "Dollars held now for calls that run, by what they are held of.";
        into.family("caldera_reserved_dollars", Kind::Gauge, help);
        for payer in Payer::ALL {
            // Two workers may be read at two instants; less than nothing is never held.
            let nanos = held.nanos[payer as usize].max(0);
            into.sample(&Labels::new(&[("payer", payer.word())]), Decimal::dollars(nanos));
        }
        let help = "Holds that are open now, by what they are held of.";
        into.family("caldera_holds", Kind::Gauge, help);
        for payer in Payer::ALL {
            let count = held.count[payer as usize].max(0);
            into.sample(&Labels::new(&[("payer", payer.word())]), count);
        }
        let all = self.calls.all();
        CallGroups::of(&all).show(into);
    }
}

/// The series of all workers, those of one name together.
struct CallGroups<'a>(Vec<(Labels, Vec<&'a CallSeries>)>);

impl<'a> CallGroups<'a> {
    fn of(all: &'a [std::sync::Arc<CallSeries>]) -> Self {
        let mut groups: BTreeMap<(&str, &str, &str), Vec<&CallSeries>> = BTreeMap::new();
        for series in all {
            let name = (&*series.provider, &*series.model, series.operation);
            groups.entry(name).or_default().push(series);
        }
        let labelled = |((provider, model, operation), series): ((&str, &str, &str), Vec<&'a CallSeries>)| {
            let labels = Labels::new(&[
                ("gen_ai_operation_name", operation),
                ("gen_ai_provider_name", provider),
                ("gen_ai_request_model", model),
            ]);
            (labels, series)
        };
        Self(groups.into_iter().map(labelled).collect())
    }

    fn show(&self, into: &mut Exposition) {
        let help = "How long calls to providers took, from sending to the end of the answer.";
        into.family("gen_ai_client_operation_duration_seconds", Kind::Histogram, help);
        self.show_durations(into);
        let help = "How long streams took to their first chunk.";
        into.family(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            Kind::Histogram,
            help,
        );
        let timed = (DURATION_BOUNDS, Unit::Microseconds);
        self.show_histogram(into, timed, |series| &series.first_chunks, ("", ""));
        let help = "Tokens of calls, as they are billed.";
        into.family("gen_ai_client_token_usage", Kind::Histogram, help);
        let counted = (TOKEN_BOUNDS, Unit::One);
        self.show_histogram(
            into,
            counted,
            |series| &series.input_tokens,
            ("gen_ai_token_type", "input"),
        );
        self.show_histogram(
            into,
            counted,
            |series| &series.output_tokens,
            ("gen_ai_token_type", "output"),
        );
        into.family("caldera_token_parts_total", Kind::Counter, "Tokens among those of gen_ai_client_token_usage that were read from a provider's cache, written to it, or reasoned.");
        for (place, part) in ["cache_read", "cache_write", "reasoning"].into_iter().enumerate() {
            self.show_sums(into, |series| &series.token_parts[place], ("part", part));
        }
        into.family(
            "caldera_cost_dollars_total",
            Kind::Counter,
            "Dollars that calls cost at their providers, by the price book.",
        );
        for (labels, group) in &self.0 {
            let nanos: u64 = group.iter().map(|series| series.cost_nanos.value()).sum();
            into.sample(labels, Decimal::dollars(nanos));
        }
        into.family(
            "caldera_unpriced_requests_total",
            Kind::Counter,
            "Calls that used something for which there is no price: they count as free.",
        );
        self.show_sums(into, |series| &series.unpriced, ("", ""));
    }

    fn show_durations(&self, into: &mut Exposition) {
        for (labels, group) in &self.0 {
            let mut succeeded = Distribution::new(DURATION_BOUNDS);
            group.iter().for_each(|series| succeeded.add(&series.succeeded));
            if !succeeded.is_empty() {
                into.histogram(labels, &succeeded, Unit::Microseconds);
            }
            for (place, word) in ERROR_TYPES.into_iter().enumerate() {
                let mut failed = Distribution::new(DURATION_BOUNDS);
                let failures = group.iter().filter_map(|series| series.failed[place].get());
                failures.for_each(|histogram| failed.add(histogram));
                if !failed.is_empty() {
                    let labels = labels.clone().with("error_type", word);
                    into.histogram(&labels, &failed, Unit::Microseconds);
                }
            }
        }
    }

    fn show_histogram(
        &self,
        into: &mut Exposition,
        (bounds, unit): (Bounds, Unit),
        of: impl Fn(&CallSeries) -> &Histogram,
        (label, value): (&str, &str),
    ) {
        for (labels, group) in &self.0 {
            let mut whole = Distribution::new(bounds);
            group.iter().for_each(|series| whole.add(of(series)));
            if !whole.is_empty() {
                into.histogram(&labels.clone().with(label, value), &whole, unit);
            }
        }
    }

    /// Those that are not zero.
    fn show_sums(&self, into: &mut Exposition, of: impl Fn(&CallSeries) -> &Counter, (label, value): (&str, &str)) {
        for (labels, group) in &self.0 {
            let sum: u64 = group.iter().map(|series| of(series).value()).sum();
            if sum > 0 {
                into.sample(&labels.clone().with(label, value), sum);
            }
        }
    }
}
