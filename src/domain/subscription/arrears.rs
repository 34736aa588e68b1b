//! Payments of renewals: what is due, and when one that failed is tried again. Nothing is paid here.

use super::super::money::Money;

/// When a failed payment is tried again, in days after the first failure; the last failure ends the subscription.
pub const RETRY_DAYS: [i64; 4] = [1, 3, 5, 7];

const DAY_S: i64 = 86_400;

/// A payment that the next cycle waits for. The cycle and the attempt name it, so that asking twice pays once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Due {
    pub amount: Money,
    /// The end of the cycle before.
    pub cycle_end_s: i64,
    /// From one.
    pub attempt: u32,
}

/// Payments that failed since the cycle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Arrears {
    /// At least one.
    pub failures: u32,
    pub first_failed_at_s: i64,
}

impl Arrears {
    /// When the payment is tried again.
    pub fn next_attempt_s(self) -> i64 {
        let days = RETRY_DAYS.get(self.failures.saturating_sub(1) as usize);
        let days = days.copied().unwrap_or_default();
        self.first_failed_at_s.saturating_add(days * DAY_S)
    }

    /// Whether there is no further attempt.
    pub const fn is_last(self) -> bool {
        self.failures as usize > RETRY_DAYS.len()
    }
}
