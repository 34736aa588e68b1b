//! Which options a running process can change, and what differs between two configurations. Values are compared and never
//! shown: some are secrets.

use std::collections::BTreeMap;
use std::fmt;

use toml::Value;

use super::layers::Layers;
use super::{Config, ConfigError};

/// Options that a reload puts in force; all others wait for a restart. Their comments in the shipped file say so.
pub(super) const AT_RELOAD: [&str; 31] = [
    "files.more_providers",
    "files.providers",
    "gateway.answer_timeout_ms",
    "gateway.body_limit_bytes",
    "gateway.body_timeout_ms",
    "gateway.breaker_failures",
    "gateway.breaker_longest_open_ms",
    "gateway.breaker_open_ms",
    "gateway.breaker_percent",
    "gateway.breaker_window_ms",
    "gateway.default_input_price",
    "gateway.default_output_cap",
    "gateway.default_output_price",
    "gateway.drain_limit_bytes",
    "gateway.drain_timeout_ms",
    "gateway.first_byte_timeout_ms",
    "gateway.forward_hosts",
    "gateway.idle_timeout_ms",
    "gateway.in_flight_limit",
    "gateway.keep_alive_comment_ms",
    "gateway.spool_limit_bytes",
    "gateway.stream_timeout_ms",
    "log.filter",
    "management.body_limit_bytes",
    "management.failed_credentials_per_minute",
    "management.requests_per_minute",
    "retention.audit_days",
    "retention.requests_days",
    "retention.webhook_deliveries_days",
    "server.trusted_proxies",
    "webhooks.allow_private_hosts",
];

/// Every option as it was set.
#[derive(Clone, Default)]
pub(super) struct Values(BTreeMap<String, Value>);

/// Without the values, of which some are secrets.
impl fmt::Debug for Values {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Values").finish_non_exhaustive()
    }
}

impl Values {
    pub(super) fn of(layers: &Layers) -> Self {
        let owned = |(option, value): (&str, &Value)| (option.to_owned(), value.clone());
        Self(layers.iter().map(owned).collect())
    }
}

impl Config {
    /// This configuration with what a reload may take of a newer one, and the names of what it may not.
    pub fn renewed(&self, newer: Self) -> Result<(Self, Vec<String>), ConfigError> {
        let mut waiting = Vec::new();
        let mut values = newer.values.0;
        for (option, old) in &self.values.0 {
            if !AT_RELOAD.contains(&option.as_str()) && values.get(option) != Some(old) {
                waiting.push(option.clone());
                values.insert(option.clone(), old.clone());
            }
        }
        let renewed = Layers::of_values(values.clone()).into_options()?;
        let renewed = Self {
            values: Values(values),
            file: self.file.clone(),
            bootstrap_secret_key: self.bootstrap_secret_key.clone(),
            data: self.data.clone(),
            ..renewed
        };
        Ok((renewed, waiting))
    }

    /// The names of the options that have another value in that one.
    pub fn changed_options(&self, other: &Self) -> Vec<String> {
        let differs = |(option, value): &(&String, &Value)| other.values.0.get(*option) != Some(*value);
        let changed = self.values.0.iter().filter(differs);
        changed.map(|(option, _)| option.clone()).collect()
    }
}
