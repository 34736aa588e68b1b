//! What the value of an option may be: one row an option. A number without a row is refused by a test, so that no
//! option goes unchecked. The messages say what would be right.

use std::net::IpAddr;

use toml::Value;
use tracing_subscriber::EnvFilter;

use super::ConfigError;
use super::layers::Layers;
use crate::domain::money::Money;
use crate::gateway::egress::read_places;
use crate::http::mcp::options::parse_origin;
use crate::http::options::parse_network;

const DAY_MS: i64 = 86_400_000;

/// Whole numbers: the least and the greatest.
pub(super) const NUMBERS: &[(&str, i64, i64)] = &[
    ("server.port", 0, 65_535),
    ("server.workers", 0, 1024),
    ("server.max_connections", 1, 1_000_000),
    ("server.keep_alive_s", 1, 3600),
    ("server.first_head_timeout_s", 1, 3600),
    ("server.drain_delay_ms", 0, 600_000),
    ("server.drain_timeout_s", 0, 3600),
    ("server.flush_timeout_s", 0, 3600),
    ("operator.port", 0, 65_535),
    ("operator.books_check_interval_s", 1, 86_400),
    ("database.pool_size", 1, 1000),
    ("database.pool_timeout_ms", 1, 60_000),
    ("journal.segment_size_mb", 1, 1024),
    ("journal.max_size_mb", 8, 1_048_576),
    ("journal.shed_at_percent", 1, 99),
    ("journal.fsync_interval_ms", 1, 10_000),
    ("journal.progress_interval_ms", 10, 60_000),
    ("billing.batch_rows", 1, 5000),
    ("billing.batch_interval_ms", 1, 60_000),
    ("spend_keys.default_max_parallel", 0, 1_000_000),
    ("spend_keys.hold_wait_ms", 0, 60_000),
    ("spend_keys.hold_wait_slots", 0, 100_000),
    ("spend_keys.slice_tokens", 1, 1_000_000),
    ("gateway.body_limit_bytes", 1024, 1_073_741_824),
    ("gateway.body_timeout_ms", 1, DAY_MS),
    ("gateway.spool_limit_bytes", 1024, 1_099_511_627_776),
    ("gateway.spool_total_bytes", 1024, 1_099_511_627_776),
    ("gateway.in_flight_limit", 1, 1_000_000),
    ("gateway.connect_timeout_ms", 1, DAY_MS),
    ("gateway.first_byte_timeout_ms", 1, DAY_MS),
    ("gateway.answer_timeout_ms", 1, DAY_MS),
    ("gateway.idle_timeout_ms", 1, DAY_MS),
    ("gateway.stream_timeout_ms", 1, DAY_MS),
    ("gateway.slow_reader_timeout_ms", 1, DAY_MS),
    ("gateway.drain_slots", 0, 1_000_000),
    ("gateway.drain_timeout_ms", 0, DAY_MS),
    ("gateway.drain_limit_bytes", 0, 1_073_741_824),
    ("gateway.keep_alive_comment_ms", 0, DAY_MS),
    ("gateway.default_output_cap", 1, 10_000_000),
    ("gateway.breaker_failures", 0, 1_000_000),
    ("gateway.breaker_percent", 1, 100),
    ("gateway.breaker_window_ms", 1, DAY_MS),
    ("gateway.breaker_open_ms", 1, DAY_MS),
    ("gateway.breaker_longest_open_ms", 1, DAY_MS),
    ("management.requests_per_minute", 1, 1_000_000_000),
    ("management.body_limit_bytes", 1024, 16_777_216),
    ("management.failed_credentials_per_minute", 1, 1_000_000_000),
    ("retention.requests_days", 0, 36_500),
    ("retention.webhook_deliveries_days", 0, 36_500),
    ("retention.audit_days", 0, 36_500),
    ("mcp.max_sessions", 1, 1_000_000),
    ("mcp.max_guests", 0, 1_000_000),
    ("mcp.session_idle_s", 1, 604_800),
    ("mcp.body_limit_bytes", 1024, 1_073_741_824),
    ("mcp.session_key_ttl_s", 120, 31_536_000),
];

/// Says why a text will not do.
type TextCheck = fn(&str) -> Result<(), String>;

/// Texts, and each text of a list.
const TEXTS: &[(&str, TextCheck)] = &[
    ("server.host", check_host),
    ("server.trusted_proxies", check_network),
    ("operator.host", check_host),
    ("database.url", check_database_url),
    ("journal.durability", check_durability),
    ("gateway.default_input_price", check_price),
    ("gateway.default_output_price", check_price),
    ("gateway.forward_hosts", check_forward_host),
    ("webhooks.allow_private_hosts", check_place),
    ("mcp.allowed_origins", check_origin),
    ("mcp.session_spend_limit", check_spend_limit),
    ("log.format", check_log_format),
    ("log.filter", check_log_filter),
];

/// Refuses the first option whose value is out of its range.
pub(super) fn check(layers: &Layers) -> Result<(), ConfigError> {
    for (option, value) in layers.iter() {
        match value {
            Value::Integer(number) => check_number(option, *number),
            Value::String(text) => check_text(option, text),
            Value::Array(items) => items
                .iter()
                .filter_map(Value::as_str)
                .try_for_each(|item| check_text(option, item)),
            Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Table(_) => Ok(()),
        }
        .map_err(|why| layers.refusal(option, why))?;
    }
    check_together(layers)
}

fn check_number(option: &str, number: i64) -> Result<(), String> {
    match NUMBERS.iter().find(|(name, _, _)| *name == option) {
        Some((_, least, greatest)) if number < *least || number > *greatest => {
            Err(format!("must be from {least} to {greatest}, not {number}"))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_text(option: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("must not contain a NUL character".to_owned());
    }
    let check = TEXTS.iter().find(|(name, _)| *name == option);
    check.map_or(Ok(()), |(_, check)| check(text))
}

/// What no option shows alone.
fn check_together(layers: &Layers) -> Result<(), ConfigError> {
    let number = |name: &str| find(layers, name).and_then(Value::as_integer).unwrap_or(0);
    let text = |name: &str| find(layers, name).and_then(Value::as_str).unwrap_or("");
    if number("journal.max_size_mb") < 4 * number("journal.segment_size_mb") {
        let why = "must be at least four times `journal.segment_size_mb`".to_owned();
        return Err(layers.refusal("journal.max_size_mb", why));
    }
    // The current month, in any zone, and the days that a delivery is tried.
    for (option, least) in [
        ("retention.requests_days", 32),
        ("retention.webhook_deliveries_days", 7),
    ] {
        if (1..least).contains(&number(option)) {
            return Err(layers.refusal(option, format!("must be 0 or at least {least}")));
        }
    }
    let port = number("operator.port");
    if port != 0 && port == number("server.port") && text("operator.host") == text("server.host") {
        let why = "must differ from `server.port` on the same host".to_owned();
        return Err(layers.refusal("operator.port", why));
    }
    let prices = ["gateway.default_input_price", "gateway.default_output_price"];
    for (set, missing) in [(prices[0], prices[1]), (prices[1], prices[0])] {
        if !text(set).is_empty() && text(missing).is_empty() {
            return Err(layers.refusal(set, format!("needs `{missing}` beside it")));
        }
    }
    Ok(())
}

fn find<'a>(layers: &'a Layers, name: &str) -> Option<&'a Value> {
    layers
        .iter()
        .find(|(option, _)| *option == name)
        .map(|(_, value)| value)
}

fn check_origin(text: &str) -> Result<(), String> {
    parse_origin(text).map(drop)
}

fn check_spend_limit(text: &str) -> Result<(), String> {
    match text.parse::<Money>() {
        _ if text.is_empty() => Ok(()),
        Ok(amount) if amount > Money::ZERO => Ok(()),
        Ok(_) | Err(_) => Err("must be dollars such as \"5.00\", or empty for no limit".to_owned()),
    }
}

fn check_host(text: &str) -> Result<(), String> {
    if text.parse::<IpAddr>().is_ok() || is_host_name(text) {
        return Ok(());
    }
    Err(format!("must be an address or a host name, not `{text}`"))
}

fn check_network(text: &str) -> Result<(), String> {
    parse_network(text).map(|_| ())
}

/// The text itself is not shown: it may hold a password.
fn check_database_url(text: &str) -> Result<(), String> {
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if text.is_empty() || is_url || text.contains('=') {
        return Ok(());
    }
    Err("must be empty or a PostgreSQL address such as postgres://user@host/database".to_owned())
}

fn check_durability(text: &str) -> Result<(), String> {
    one_of(&["os", "fsync"], text)
}

fn check_log_format(text: &str) -> Result<(), String> {
    one_of(&["text", "json"], text)
}

fn check_log_filter(text: &str) -> Result<(), String> {
    let parsed = EnvFilter::try_new(text);
    parsed
        .map(|_| ())
        .map_err(|error| format!("is not a log filter: {error}"))
}

fn check_price(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let parsed = text.parse::<Money>();
    parsed.map(|_| ()).map_err(|error| format!("{error}, not `{text}`"))
}

fn check_forward_host(text: &str) -> Result<(), String> {
    if is_host_name(text) && text.contains('.') && text.parse::<IpAddr>().is_err() {
        return Ok(());
    }
    Err(format!("must hold host names such as api.example.com, not `{text}`"))
}

fn check_place(text: &str) -> Result<(), String> {
    read_places([&text.to_owned()]).map(|_| ())
}

fn one_of(choices: &[&str], text: &str) -> Result<(), String> {
    if choices.contains(&text) {
        return Ok(());
    }
    Err(format!("must be one of {}, not `{text}`", choices.join(", ")))
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        label.len() <= 63
            && is_edge(label.bytes().next())
            && is_edge(label.bytes().last())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}
