//! Asks the running server for what only it may do. The address comes from the configuration, the token from the data
//! directory: whoever may read that file may ask. It blocks, and answers the server's JSON or one line that says why.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use awc::error::SendRequestError;
use serde_json::Value;

use crate::domain::secret::Secret;
use crate::http::operator::token::{read_address, read_token};

use super::config::Config;

/// A movement of a wallet waits for its commit.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked: a GET, or a POST where there is a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorCall {
    pub path: String,
    pub body: Option<Value>,
}

impl OperatorCall {
    pub fn read(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            body: None,
        }
    }

    pub fn send(path: impl Into<String>, body: Value) -> Self {
        Self {
            path: path.into(),
            body: Some(body),
        }
    }
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("no operator token in {path} ({error}); has `caldera serve` been started with this data directory?")]
    NoToken { path: PathBuf, error: io::Error },
    #[error("no server answers at {base} ({reason}); start it with `caldera serve`")]
    NotRunning { base: String, reason: String },
    #[error("{0}")]
    Refused(String),
    #[error("the server's answer cannot be read: {0}")]
    Unreadable(String),
}

/// Does the call and waits for its answer.
pub fn call(config: &Config, wanted: OperatorCall) -> Result<Value, OperatorError> {
    let directory = &config.data.dir;
    let token = read_token(directory).map_err(|error| OperatorError::NoToken {
        path: directory.clone(),
        error,
    })?;
    // The HTTP client's TLS picks this up, although nothing here is encrypted; a second one changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    actix_rt::System::new().block_on(exchange(&base_url(config), &token, wanted))
}

async fn exchange(base: &str, token: &Secret<String>, wanted: OperatorCall) -> Result<Value, OperatorError> {
    let client = awc::Client::builder().timeout(TIMEOUT).disable_redirects().finish();
    let url = format!("{base}{}", wanted.path);
    let sent = match &wanted.body {
        None => client.get(url).bearer_auth(token.expose()).send(),
        Some(body) => client.post(url).bearer_auth(token.expose()).send_json(body),
    };
    let mut answer = sent.await.map_err(|error| OperatorError::NotRunning {
        base: base.to_owned(),
        reason: reason(&error),
    })?;
    let body = answer
        .body()
        .await
        .map_err(|error| OperatorError::Unreadable(error.to_string()))?;
    let value: Value = serde_json::from_slice(&body).map_err(|error| OperatorError::Unreadable(error.to_string()))?;
    if answer.status().is_success() {
        return Ok(value);
    }
    let message = value["error"]["message"].as_str().unwrap_or("the server refused");
    Err(OperatorError::Refused(message.to_owned()))
}

fn reason(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Timeout => "no answer in time".to_owned(),
        other => other.to_string(),
    }
}

/// A listener on all addresses is asked on this machine's own; one on a port that the system chose has written it down.
fn base_url(config: &Config) -> String {
    let operator = &config.operator;
    let written = read_address(&config.data.dir).filter(|_| operator.port == 0);
    let port = written.map_or(operator.port, |address| address.port());
    match operator.host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => format!("http://127.0.0.1:{port}"),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => format!("http://[::1]:{port}"),
        Ok(IpAddr::V6(address)) => format!("http://[{address}]:{port}"),
        Ok(IpAddr::V4(_)) | Err(_) => format!("http://{}:{port}", operator.host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_one_that_can_be_called() {
        let mut config = Config::default();
        let table = [
            ("127.0.0.1", "http://127.0.0.1:8788"),
            ("0.0.0.0", "http://127.0.0.1:8788"),
            ("::", "http://[::1]:8788"),
            ("::1", "http://[::1]:8788"),
            ("localhost", "http://localhost:8788"),
        ];
        for (host, base) in table {
            config.operator.host = host.to_owned();
            assert_eq!(base_url(&config), base);
        }
    }

    #[test]
    fn without_a_token_or_a_server_it_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = directory.path().to_owned();
        let why = call(&config, OperatorCall::read("/operator/merchants")).unwrap_err();
        assert!(matches!(why, OperatorError::NoToken { .. }), "{why}");
        std::fs::write(directory.path().join("operator-token"), "0".repeat(64)).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        config.operator.port = free.port();
        let why = call(&config, OperatorCall::read("/operator/merchants")).unwrap_err();
        assert!(why.to_string().contains("caldera serve"), "{why}");
    }
}
