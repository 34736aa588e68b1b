//! Calls that were refused before anything of them was recorded: how many of each kind there were in an hour, and what the
//! last of them was told. They wait here for `app::refusals`, which stores them each second, so that a storm of refusals
//! costs a row and not a write each. Nothing of them is billable: a crash loses those of the last second.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::ids::{MerchantId, RequestId, SpendKeyId};

/// Kinds that wait at most; calls of further ones are only counted.
const MOST_KINDS: usize = 10_000;
pub const HOUR_MS: i64 = 3_600_000;

/// What makes two refusals of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusalKind {
    pub merchant_id: MerchantId,
    /// When its hour begins, in unix milliseconds.
    pub hour_ms: i64,
    pub spend_key_id: Option<SpendKeyId>,
    /// The word of the error.
    pub code: &'static str,
}

/// One refused call.
#[derive(Clone, Debug)]
pub struct RefusedCall {
    pub merchant_id: MerchantId,
    pub spend_key_id: Option<SpendKeyId>,
    pub request_id: RequestId,
    /// Unix milliseconds.
    pub at_ms: i64,
    pub code: &'static str,
    pub status: u16,
    pub message: String,
}

/// The refusals of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalTally {
    pub count: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    /// Of the last one, as are its status and its message.
    pub request_id: RequestId,
    pub status: u16,
    pub message: String,
}

impl RefusalTally {
    /// Adds those that came after.
    fn follow(&mut self, later: Self) {
        *self = Self {
            count: self.count.saturating_add(later.count),
            first_ms: self.first_ms,
            ..later
        };
    }
}

/// What waits to be stored, in the order of the table's key.
pub type RefusalBatch = BTreeMap<RefusalKind, RefusalTally>;

/// Shared by all workers.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    kinds: RefusalBatch,
    /// Calls of kinds for which there was no room.
    left_out: u64,
}

impl Refusals {
    pub fn note(&self, call: RefusedCall) {
        let kind = RefusalKind {
            merchant_id: call.merchant_id,
            hour_ms: call.at_ms.div_euclid(HOUR_MS) * HOUR_MS,
            spend_key_id: call.spend_key_id,
            code: call.code,
        };
        let one = RefusalTally {
            count: 1,
            first_ms: call.at_ms,
            last_ms: call.at_ms,
            request_id: call.request_id,
            status: call.status,
            message: call.message,
        };
        let mut waiting = self.waiting();
        let is_full = waiting.kinds.len() >= MOST_KINDS;
        match waiting.kinds.get_mut(&kind) {
            Some(tally) => tally.follow(one),
            None if is_full => waiting.left_out = waiting.left_out.saturating_add(1),
            None => drop(waiting.kinds.insert(kind, one)),
        }
    }

    /// All that waits, and how many calls there was no room for.
    pub fn take(&self) -> (RefusalBatch, u64) {
        let waiting = std::mem::take(&mut *self.waiting());
        (waiting.kinds, waiting.left_out)
    }

    /// Puts back what could not be stored, before what has come since.
    pub fn give_back(&self, batch: RefusalBatch) {
        let mut waiting = self.waiting();
        let since = std::mem::replace(&mut waiting.kinds, batch);
        for (kind, tally) in since {
            match waiting.kinds.get_mut(&kind) {
                Some(earlier) => earlier.follow(tally),
                None => drop(waiting.kinds.insert(kind, tally)),
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Mode, compose};

    const MERCHANT: u128 = 7;

    fn call(key: Option<u128>, code: &'static str, at_ms: i64) -> RefusedCall {
        RefusedCall {
            merchant_id: MerchantId::from_bits(MERCHANT),
            spend_key_id: key.map(SpendKeyId::from_bits),
            request_id: RequestId::from_bits(compose(Mode::Live, at_ms, 1)),
            at_ms,
            code,
            status: 402,
            message: format!("at {at_ms}"),
        }
    }

    fn counts(batch: &RefusalBatch) -> Vec<(i64, Option<SpendKeyId>, &'static str, u64)> {
        let shown = |(kind, tally): (&RefusalKind, &RefusalTally)| {
            (kind.hour_ms / HOUR_MS, kind.spend_key_id, kind.code, tally.count)
        };
        batch.iter().map(shown).collect()
    }

    #[test]
    fn refusals_are_counted_by_hour_key_and_code_and_the_last_is_kept() {
        let refusals = Refusals::default();
        let (first, second) = (Some(1), Some(SpendKeyId::from_bits(1)));
        for (key, code, at_ms) in [
            (first, "spend_limit_reached", HOUR_MS),
            (first, "spend_limit_reached", 2 * HOUR_MS - 1),
            (first, "spend_limit_reached", 2 * HOUR_MS),
            (first, "key_paused", HOUR_MS),
            (None, "key_paused", HOUR_MS),
        ] {
            refusals.note(call(key, code, at_ms));
        }
        let (batch, left_out) = refusals.take();
        assert_eq!(left_out, 0);
        assert_eq!(
            counts(&batch),
            [
                (1, None, "key_paused", 1),
                (1, second, "key_paused", 1),
                (1, second, "spend_limit_reached", 2),
                (2, second, "spend_limit_reached", 1),
            ]
        );
        let tally = batch.values().find(|tally| tally.count == 2).unwrap();
        assert_eq!((tally.first_ms, tally.last_ms), (HOUR_MS, 2 * HOUR_MS - 1));
        assert_eq!(tally.message, format!("at {}", 2 * HOUR_MS - 1));
        assert!(refusals.take().0.is_empty());
    }

    #[test]
    fn what_could_not_be_stored_comes_before_what_came_since() {
        let refusals = Refusals::default();
        refusals.note(call(None, "key_paused", 1));
        let (batch, _) = refusals.take();
        refusals.note(call(None, "key_paused", 2));
        refusals.note(call(None, "key_expired", 3));
        refusals.give_back(batch);
        let (batch, _) = refusals.take();
        assert_eq!(
            counts(&batch),
            [(0, None, "key_expired", 1), (0, None, "key_paused", 2)]
        );
        let tally = batch.values().find(|tally| tally.count == 2).unwrap();
        assert_eq!((tally.first_ms, tally.last_ms, tally.message.as_str()), (1, 2, "at 2"));
    }

    #[test]
    fn without_room_calls_of_further_kinds_are_only_counted() {
        let refusals = Refusals::default();
        for key in 0..MOST_KINDS as u128 + 5 {
            refusals.note(call(Some(key), "key_paused", 1));
        }
        refusals.note(call(Some(0), "key_paused", 2));
        let (batch, left_out) = refusals.take();
        assert_eq!((batch.len(), left_out), (MOST_KINDS, 5));
        assert_eq!(batch.values().map(|tally| tally.count).max(), Some(2));
    }
}
