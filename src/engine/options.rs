//! The options of the journal, of the billing actor and of spend keys.
//! Plain numbers with their units in their names; `app::config` fills them and has checked their ranges.

use serde::Deserialize;

/// When an answer's last byte may leave: after the record is written, or after it is on the disk.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Written to the page cache, fsynced in groups: a killed process loses nothing, lost power some milliseconds.
    #[default]
    Os,
    /// Fsynced first.
    Fsync,
}

/// `[journal]`: the segments that hold every billable event until Postgres has it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct JournalOptions {
    pub durability: Durability,
    pub segment_size_mb: u64,
    pub max_size_mb: u64,
    /// The share of `max_size_mb` at which new calls are refused.
    pub shed_at_percent: u64,
    pub fsync_interval_ms: u64,
    /// How often the progress of an open stream is recorded.
    pub progress_interval_ms: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Os,
            segment_size_mb: 16,
            max_size_mb: 2048,
            shed_at_percent: 80,
            fsync_interval_ms: 10,
            progress_interval_ms: 1000,
        }
    }
}

/// `[billing]`: the batches that carry the journal to Postgres.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct BillingOptions {
    pub batch_rows: usize,
    pub batch_interval_ms: u64,
}

impl Default for BillingOptions {
    fn default() -> Self {
        Self {
            batch_rows: 1000,
            batch_interval_ms: 100,
        }
    }
}

/// `[spend_keys]`: what holds for a key that does not say otherwise.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SpendKeyOptions {
    /// Calls at once; 0 sets no limit.
    pub default_max_parallel: u32,
    /// How long a call waits for room that other calls hold.
    pub hold_wait_ms: u64,
    /// How many calls of one key may wait so.
    pub hold_wait_slots: usize,
    /// Output tokens that an adaptive hold covers ahead of a stream.
    pub slice_tokens: u64,
}

impl Default for SpendKeyOptions {
    fn default() -> Self {
        Self {
            default_max_parallel: 0,
            hold_wait_ms: 1000,
            hold_wait_slots: 64,
            slice_tokens: 512,
        }
    }
}
