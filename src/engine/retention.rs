//! How long rows are kept, and what was last purged of them. It owns the options in force, which a reload replaces, and
//! the account of the last runs that the operator is shown; the purge itself is done by `app::purge` and by the outbox's
//! sweep. A restart forgets the account, and nothing else.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

/// `[retention]`: days; 0 keeps for ever.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RetentionOptions {
    pub requests_days: u32,
    pub webhook_deliveries_days: u32,
    pub audit_days: u32,
}

impl Default for RetentionOptions {
    fn default() -> Self {
        Self {
            requests_days: 0,
            webhook_deliveries_days: 30,
            audit_days: 0,
        }
    }
}

/// What is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Requests,
    /// Events with their deliveries.
    WebhookDeliveries,
    Audit,
}

impl Kept {
    pub const ALL: [Self; 3] = [Self::Requests, Self::WebhookDeliveries, Self::Audit];

    /// As the operator sees it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::WebhookDeliveries => "webhook_deliveries",
            Self::Audit => "audit",
        }
    }

    /// `None`: for ever.
    pub fn days(self, options: &RetentionOptions) -> Option<u32> {
        let days = match self {
            Self::Requests => options.requests_days,
            Self::WebhookDeliveries => options.webhook_deliveries_days,
            Self::Audit => options.audit_days,
        };
        (days > 0).then_some(days)
    }
}

/// How old a row must be to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// The house's time, in unix milliseconds.
    pub now_ms: i64,
    pub days: u32,
}

impl Age {
    /// As Postgres counts.
    pub fn days(self) -> i32 {
        i32::try_from(self.days).unwrap_or(i32::MAX)
    }

    /// What is from before this instant goes; unix milliseconds.
    pub fn oldest_ms(self) -> i64 {
        self.now_ms
            .saturating_sub(i64::from(self.days).saturating_mul(86_400_000))
    }
}

/// One purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeRun {
    /// Unix milliseconds.
    pub began_ms: i64,
    pub ended_ms: i64,
    pub rows: u64,
    /// Why it ended before all was gone; the next run goes on.
    pub error: Option<String>,
}

/// What there is to show.
#[derive(Clone, Debug, Default)]
pub struct RetentionView {
    pub options: RetentionOptions,
    /// The last run of each, in the order of [`Kept::ALL`].
    pub last: [Option<PurgeRun>; 3],
    /// When the next run begins, in unix milliseconds; `None` while one is under way.
    pub next_ms: Option<i64>,
}

/// Shared by those who purge, those who show and those who reload.
#[derive(Debug, Default)]
pub struct Retention(Mutex<RetentionView>);

impl Retention {
    pub fn new(options: RetentionOptions) -> Self {
        Self(Mutex::new(RetentionView {
            options,
            ..RetentionView::default()
        }))
    }

    pub fn options(&self) -> RetentionOptions {
        self.view_mut().options
    }

    /// From the next run on.
    pub fn set_options(&self, options: RetentionOptions) {
        self.view_mut().options = options;
    }

    /// Keeps the account of a run.
    pub fn note(&self, kept: Kept, run: PurgeRun) {
        self.view_mut().last[kept as usize] = Some(run);
    }

    pub fn note_next(&self, next_ms: Option<i64>) {
        self.view_mut().next_ms = next_ms;
    }

    pub fn view(&self) -> RetentionView {
        self.view_mut().clone()
    }

    fn view_mut(&self) -> MutexGuard<'_, RetentionView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_of_an_age_that_is_for_ever() {
        let options = RetentionOptions::default();
        let kept: Vec<_> = Kept::ALL.iter().map(|kept| kept.days(&options)).collect();
        assert_eq!(kept, [None, Some(30), None]);
        let age = Age {
            now_ms: 86_400_000 * 40,
            days: 32,
        };
        assert_eq!((age.oldest_ms(), age.days()), (86_400_000 * 8, 32));
    }
}
