//! Talks JSON to a server over one connection: the management API of Caldera, and the ledger of the simulated provider.
//! Every call is bounded in time; an answer that is not a 2xx is a failure that carries the answer.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::answer::Reuse;
use crate::connection::Connection;
use crate::failure::{Doing, Failure};
use crate::request::{Target, Template};

const CALL_LIMIT: Duration = Duration::from_secs(20);
const BUFFER_BYTES: usize = 16 * 1024;

/// A client of one server with one credential.
pub struct Management {
    address: SocketAddr,
    credential: String,
    connection: Option<Connection>,
}

impl Management {
    /// A client that is not connected yet.
    pub fn new(address: SocketAddr, credential: &str) -> Self {
        Self {
            address,
            credential: credential.to_owned(),
            connection: None,
        }
    }

    /// GET as JSON.
    pub async fn get(&mut self, path: &str) -> Result<Value, Failure> {
        self.call("GET", path, "").await
    }

    /// POST of a JSON body, answered as JSON.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call("POST", path, &body.to_string()).await
    }

    /// Whether the server says that it is ready to serve; what it says beside the status is not read.
    pub async fn is_ready(&mut self) -> Result<(), Failure> {
        let exchange = tokio::time::timeout(CALL_LIMIT, self.exchange("GET", "/readyz", ""));
        match exchange
            .await
            .doing("asking for readiness")?
            .doing("asking for readiness")?
        {
            (200, _) => Ok(()),
            (status, _) => Err(Failure::new(format!("not ready: {status}"))),
        }
    }

    async fn call(&mut self, method: &str, path: &str, body: &str) -> Result<Value, Failure> {
        let what = format!("{method} {path}");
        let exchange = tokio::time::timeout(CALL_LIMIT, self.exchange(method, path, body));
        let (status, text) = exchange.await.doing(&what)?.doing(&what)?;
        if !(200..300).contains(&status) {
            let text = String::from_utf8_lossy(&text);
            return Err(Failure::new(format!("{what}: {status} {text}")));
        }
        serde_json::from_slice(&text).doing(&what)
    }

    async fn exchange(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address, BUFFER_BYTES).await?,
        };
        let target = Target {
            address: self.address,
            method,
            path,
        };
        let request = Template::new(target, body).with_key(&self.credential);
        let mut text = Vec::new();
        let answer = connection
            .exchange_keeping(request.as_slice(), &mut |data| text.extend_from_slice(data))
            .await?;
        if answer.reuse == Reuse::Keep {
            self.connection = Some(connection);
        }
        Ok((answer.status, text))
    }
}
