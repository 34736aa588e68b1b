//! What is looked at now and then, so that a scrape need not: the journal's backlog each second, and whether the books
//! drift, as often as the operator wishes and never so often that it takes more than a twentieth of a connection's
//! time. It only reads; what it cannot read it leaves as it was.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use actix_web::web;

use crate::domain::money::Money;
use crate::engine::journal::Journal;
use crate::engine::metrics::{Drift, Metrics};
use crate::gateway::Gateway;
use crate::http::options::OperatorOptions;
use crate::http::state::AppState;
use crate::storage::StorageError;
use crate::storage::proof::{self, Invariant};

use super::serving::Shared;

/// A check waits so many times as long as the last one took.
const REST: u32 = 20;
/// Before a difference between live state and Postgres is believed it is looked at again.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Brings the gauges up to date each second; they are read by whoever asks for the metrics.
pub fn watch(shared: &Shared, gateway: Arc<Gateway>, journal: &Arc<Journal>) {
    let (metrics, clock, journal) = (shared.metrics.clone(), shared.clock.clone(), Arc::downgrade(journal));
    metrics
        .journal_shed_bytes
        .set(journal.upgrade().map_or(0, |journal| journal.shed_bytes()));
    actix_rt::spawn(async move {
        while let Some(journal) = journal.upgrade() {
            let backlog = journal.backlog();
            metrics.calls_in_flight.set(gateway.open_calls() as u64);
            metrics.journal_backlog_bytes.set(journal.size_bytes());
            metrics.journal_backlog_records.set(backlog);
            let now_ms = u64::try_from(clock.wall_ms()).unwrap_or_default();
            let caught_up_ms = metrics.billing_caught_up_ms.value();
            let waits = backlog > 0 && caught_up_ms > 0;
            metrics
                .journal_lag_ms
                .set(if waits { now_ms.saturating_sub(caught_up_ms) } else { 0 });
            drop(journal);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
}

/// Looks whether the books drift, as often as the options say.
pub fn watch_books(state: &web::Data<AppState>, journal: &Arc<Journal>, options: &OperatorOptions) {
    let interval = Duration::from_secs(options.books_check_interval_s);
    if interval.is_zero() {
        return;
    }
    let books = Books {
        state: state.clone(),
        journal: Arc::downgrade(journal),
    };
    actix_rt::spawn(async move {
        while books.backlog().is_some() {
            let began = Instant::now();
            if let Err(error) = books.check().await {
                tracing::debug!(%error, "the books could not be checked for drift");
            }
            let rest = began.elapsed() * REST;
            if let Err(error) = books.check_live().await {
                tracing::debug!(%error, "the live figures could not be checked for drift");
            }
            tokio::time::sleep(interval.max(rest)).await;
        }
    });
}

struct Books {
    state: web::Data<AppState>,
    /// Never held while something is awaited: the stop is the last to let go of the journal.
    journal: Weak<Journal>,
}

impl Books {
    async fn check(&self) -> Result<(), StorageError> {
        let found = self.state.database.run(proof::read_cheap).await?;
        let drift: Vec<Drift> = found.iter().map(drift).collect();
        self.metrics().note_drift(&drift);
        let now_ms = u64::try_from(self.state.now().wall_ms).unwrap_or_default();
        self.metrics().books_checked_ms.set(now_ms);
        Ok(())
    }

    async fn check_live(&self) -> Result<(), StorageError> {
        if let Some(first) = self.live_drift().await?
            && (first == 0 || self.is_still(first).await?)
        {
            let invariant = "live_spend_of_keys";
            self.metrics().note_drift(&[Drift {
                invariant,
                nanos: first,
            }]);
        }
        Ok(())
    }

    /// A rotation or a revocation may have come between the two readings; it does not come twice.
    async fn is_still(&self, first: i64) -> Result<bool, StorageError> {
        tokio::time::sleep(SECOND_LOOK).await;
        Ok(self.live_drift().await? == Some(first))
    }

    /// What the keys have spent as the shards know it, less what Postgres says; `None` where calls ended meanwhile, so
    /// that the two cannot be compared.
    async fn live_drift(&self) -> Result<Option<i64>, StorageError> {
        let before = self.metrics().ended_calls();
        if self.backlog() != Some(0) {
            return Ok(None);
        }
        let stored = self.state.database.run(proof::spend_of_live_keys).await?;
        let live = self.state.spend.total_spend().await;
        let live = live.map_err(|error| StorageError::Unavailable(error.to_string()))?;
        let is_quiet = self.backlog() == Some(0) && self.metrics().ended_calls() == before;
        Ok(is_quiet.then(|| live.saturating_sub(stored).nanos()))
    }

    /// `None` once the journal is closed.
    fn backlog(&self) -> Option<u64> {
        self.journal.upgrade().map(|journal| journal.backlog())
    }

    fn metrics(&self) -> &Metrics {
        &self.state.metrics
    }
}

fn drift(invariant: &Invariant) -> Drift {
    Drift {
        invariant: invariant.name,
        nanos: Money::from_nanos(invariant.left)
            .saturating_sub(Money::from_nanos(invariant.right))
            .nanos(),
    }
}
