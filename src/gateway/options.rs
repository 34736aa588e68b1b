//! The limits of one request on its way to a provider and back.
//! Plain numbers with their units in their names; `app::config` fills them and has checked their ranges.

use serde::Deserialize;

/// `[webhooks]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct WebhookOptions {
    /// Hosts with their ports that events may be sent to wherever they are, and without TLS.
    pub allow_private_hosts: Vec<String>,
}

/// `[gateway]`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct GatewayOptions {
    pub body_limit_bytes: usize,
    pub body_timeout_ms: u64,
    /// The largest form (images, sound).
    pub spool_limit_bytes: u64,
    /// All forms of the process together.
    pub spool_total_bytes: u64,
    /// Calls at once in the whole process; above it a call is refused as overloaded.
    pub in_flight_limit: usize,
    pub connect_timeout_ms: u64,
    pub first_byte_timeout_ms: u64,
    /// The whole of an answer that does not stream.
    pub answer_timeout_ms: u64,
    /// Silence between two chunks of a stream.
    pub idle_timeout_ms: u64,
    /// The whole of a stream.
    pub stream_timeout_ms: u64,
    /// How long a client may leave a chunk unread.
    pub slow_reader_timeout_ms: u64,
    /// Streams read to their end at once after their clients left.
    pub drain_slots: usize,
    pub drain_timeout_ms: u64,
    pub drain_limit_bytes: u64,
    /// Silence after which an SSE comment keeps the client's connection open; 0 sends none.
    pub keep_alive_comment_ms: u64,
    /// Output tokens assumed at most where a call and its model set no cap.
    pub default_output_cap: u64,
    /// Dollars per million tokens for models without a price, as decimal text; empty means none.
    pub default_input_price: String,
    /// As `default_input_price`, for output.
    pub default_output_price: String,
    /// Failures of a provider in a row after which it is left alone for a while; 0 leaves none alone.
    pub breaker_failures: u32,
    /// The share of failures among the last calls after which it is, too.
    pub breaker_percent: u32,
    /// Failures further apart do not belong together.
    pub breaker_window_ms: u64,
    pub breaker_open_ms: u64,
    /// The longest that it is left alone; each call that fails in between doubles the time.
    pub breaker_longest_open_ms: u64,
    /// Hosts that `/v1/forward` may reach with the caller's own credential, beside the catalogue's.
    pub forward_hosts: Vec<String>,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            body_limit_bytes: 33_554_432,
            body_timeout_ms: 30_000,
            spool_limit_bytes: 67_108_864,
            spool_total_bytes: 4_294_967_296,
            in_flight_limit: 4000,
            connect_timeout_ms: 5000,
            first_byte_timeout_ms: 120_000,
            answer_timeout_ms: 600_000,
            idle_timeout_ms: 90_000,
            stream_timeout_ms: 1_800_000,
            slow_reader_timeout_ms: 30_000,
            drain_slots: 256,
            drain_timeout_ms: 120_000,
            drain_limit_bytes: 1_048_576,
            keep_alive_comment_ms: 15_000,
            default_output_cap: 16_384,
            default_input_price: String::new(),
            default_output_price: String::new(),
            breaker_failures: 5,
            breaker_percent: 50,
            breaker_window_ms: 30_000,
            breaker_open_ms: 10_000,
            breaker_longest_open_ms: 60_000,
            forward_hosts: Vec::new(),
        }
    }
}
