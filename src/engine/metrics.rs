//! What `/metrics` shows: counts that only grow, gauges and histograms, each a few atomics that whoever knows it changes.
//! Losing them with the process is no loss; nothing is decided by them.

pub mod calls;
pub mod histogram;
mod show;
#[cfg(test)]
mod show_tests;
pub mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;

use calls::CallTable;

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

/// Of what money is held for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payer {
    SpendKey,
    Wallet,
    Customer,
}

impl Payer {
    pub const COUNT: usize = 3;
    pub const ALL: [Self; Self::COUNT] = [Self::SpendKey, Self::Wallet, Self::Customer];

    pub const fn word(self) -> &'static str {
        match self {
            Self::SpendKey => "spend_key",
            Self::Wallet => "wallet",
            Self::Customer => "customer",
        }
    }
}

/// By how much the two sides of an invariant of the books differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    pub invariant: &'static str,
    pub nanos: i64,
}

/// All figures of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub requests_completed: Counter,
    pub requests_failed: Counter,
    /// Calls to providers, by model.
    pub calls: Arc<CallTable>,
    /// Calls that ran but whose client had gone before the end.
    pub clients_gone: Counter,
    /// By the code of the error table.
    denials: DashMap<&'static str, Counter>,
    pub calls_in_flight: Gauge,
    /// Calls that cost more than was held for them: a wrong bound, or a provider that ignores a cap.
    pub holds_underestimated: Counter,
    /// By how much, in nano-dollars.
    pub overrun_nanos: Counter,
    pub holds_extended: Counter,
    /// Calls that went on to another provider, once for each that was asked.
    pub fallbacks_tried: Counter,
    /// Calls that were sent once more because they cannot have been served.
    pub retries: Counter,
    /// Times that a provider was left alone because it failed again and again.
    pub circuits_opened: Counter,
    pub journal_backlog_bytes: Gauge,
    /// At how many of these bytes new calls are refused.
    pub journal_shed_bytes: Gauge,
    pub journal_backlog_records: Gauge,
    /// Since when something has stood in the journal that Postgres does not have, in milliseconds; 0 where nothing has.
    pub journal_lag_ms: Gauge,
    /// Unix milliseconds: everything that was written before has reached Postgres.
    pub billing_caught_up_ms: Gauge,
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
    /// Of the books, when they were last looked at.
    drift: Mutex<Vec<Drift>>,
    /// Unix milliseconds; 0 before the first time.
    pub books_checked_ms: Gauge,
}

impl Metrics {
    /// Counts a refusal under the word of its error code.
    pub fn count_denial(&self, code: &'static str) {
        if let Some(counter) = self.denials.get(code) {
            return counter.add(1);
        }
        self.denials.entry(code).or_default().add(1);
    }

    /// Refusals by the word of their code, in order.
    pub fn denials(&self) -> Vec<(&'static str, u64)> {
        let denials = self.denials.iter().map(|entry| (*entry.key(), entry.value().value()));
        let mut denials: Vec<_> = denials.collect();
        denials.sort_unstable();
        denials
    }

    /// Calls that have ended, however.
    pub fn ended_calls(&self) -> u64 {
        self.requests_completed
            .value()
            .wrapping_add(self.requests_failed.value())
    }

    /// Replaces what was known of these invariants.
    pub fn note_drift(&self, found: &[Drift]) {
        let mut known = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        for drift in found {
            match known.iter_mut().find(|known| known.invariant == drift.invariant) {
                Some(known) => *known = *drift,
                None => known.push(*drift),
            }
        }
    }

    pub fn drift(&self) -> Vec<Drift> {
        self.drift.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
