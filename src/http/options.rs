//! The options of the two listeners and of the management API.
//! Plain numbers with their units in their names; `app::config` fills them and has checked their ranges.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// `[server]`: the listener of `/v1`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ServerOptions {
    pub host: String,
    /// 0 takes a free port.
    pub port: u16,
    /// 0 means one a core.
    pub workers: usize,
    /// Connections of one worker.
    pub max_connections: usize,
    pub keep_alive_s: u64,
    /// How long a new connection may wait before the head of its first request is there: clients open some ahead.
    pub first_head_timeout_s: u64,
    /// Networks whose word on the client's address is taken; a single address is a network of one.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// How long a stop goes on taking new calls, with `/readyz` already refusing.
    pub drain_delay_ms: u64,
    /// How long a stop waits for calls that run.
    pub drain_timeout_s: u64,
    /// How long a stop waits for the journal to reach Postgres.
    pub flush_timeout_s: u64,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8787,
            workers: 0,
            max_connections: 8000,
            keep_alive_s: 75,
            first_head_timeout_s: 60,
            trusted_proxies: Vec::new(),
            drain_delay_ms: 0,
            drain_timeout_s: 120,
            flush_timeout_s: 10,
        }
    }
}

/// `[checkout]`: the hosted page on which customers pay, and who takes the money.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CheckoutOptions {
    /// Where browsers reach this server; empty means what the request says of the way that it came.
    pub public_url: String,
    /// Who sends one-time codes to customers' phones; empty means that none are asked for.
    pub code_webhook_url: String,
    pub stripe_api_url: String,
    pub stripe_script_url: String,
    pub stripe_publishable_key: String,
}

impl Default for CheckoutOptions {
    fn default() -> Self {
        Self {
            public_url: String::new(),
            code_webhook_url: String::new(),
            stripe_api_url: "https://api.stripe.com".to_owned(),
            stripe_script_url: "https://js.stripe.com/v3/".to_owned(),
            stripe_publishable_key: String::new(),
        }
    }
}

/// `[operator]`: the listener of `/metrics` and of all that is not for callers.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct OperatorOptions {
    pub host: String,
    /// 0 takes a free port.
    pub port: u16,
    /// How often the books are checked for drift; 0 means never.
    pub books_check_interval_s: u64,
}

impl Default for OperatorOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8788,
            books_check_interval_s: 60,
        }
    }
}

/// `[management]`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ManagementOptions {
    /// For one key.
    pub requests_per_minute: u32,
    pub body_limit_bytes: usize,
    /// For one client address.
    pub failed_credentials_per_minute: u32,
}

impl Default for ManagementOptions {
    fn default() -> Self {
        Self {
            requests_per_minute: 1000,
            body_limit_bytes: 65_536,
            failed_credentials_per_minute: 20,
        }
    }
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| parse_network(text))
        .collect::<Result<_, _>>()
        .map_err(D::Error::custom)
}

/// A network, or a single address as a network of one.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    text.parse::<IpNet>()
        .map_err(|_| format!("`{text}` is neither an address nor a network such as 10.0.0.0/8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_address_is_a_network_of_one() {
        assert_eq!(parse_network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(parse_network("::1").unwrap().to_string(), "::1/128");
        assert_eq!(parse_network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert!(parse_network("10.0.0.0/33").is_err());
        assert!(parse_network("proxy.internal").is_err());
    }
}
