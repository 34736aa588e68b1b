//! The options of the MCP server. `app::config` fills them and has checked their ranges.

use serde::Deserialize;
use url::Url;

/// `[mcp]`: the server for agents at `/mcp`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct McpOptions {
    /// Origins of web pages that may call; programs send none.
    pub allowed_origins: Vec<String>,
    pub max_sessions: usize,
    /// Of these, sessions without a credential: a quarter of them from one address, or ten where that is more.
    pub max_guests: usize,
    pub session_idle_s: u64,
    pub body_limit_bytes: usize,
    /// Dollars a day that one session may spend; empty means no limit.
    pub session_spend_limit: String,
    pub session_key_ttl_s: u64,
}

impl Default for McpOptions {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            max_sessions: 1000,
            max_guests: 100,
            session_idle_s: 3600,
            body_limit_bytes: 4_194_304,
            session_spend_limit: "5.00".to_owned(),
            session_key_ttl_s: 86_400,
        }
    }
}

/// An origin such as `https://app.example.com`, with its port spelled out.
pub fn parse_origin(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not an origin such as https://app.example.com");
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match (url.scheme(), url.host_str(), url.port_or_known_default()) {
        (scheme @ ("http" | "https"), Some(host), Some(port)) if is_bare => Ok(format!("{scheme}://{host}:{port}")),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        assert_eq!(parse_origin("https://a.example").unwrap(), "https://a.example:443");
        assert_eq!(parse_origin("http://localhost:3000/").unwrap(), "http://localhost:3000");
        for wrong in [
            "",
            "a.example",
            "*",
            "null",
            "ftp://a.example",
            "https://a.example/b",
            "https://u@a.example",
        ] {
            assert!(parse_origin(wrong).is_err(), "{wrong}");
        }
    }
}
