//! Carries webhooks' messages: one POST a message through the guarded connector, without redirects and on a connection
//! of its own, so that what was checked is what is dialled. Of an answer the beginning is kept, for the endpoint's
//! owner. It fails closed: a name that leads to no public address gets nothing.

use std::time::Duration;

use actix_web::http::Uri;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use awc::error::{ConnectError, SendRequestError};
use futures_util::StreamExt as _;

use super::egress::{GuardedConnector, PrivateHosts, Trust};
use crate::engine::ports::{Answered, Courier, CourierAnswer, NoAnswer, Post};

/// How much of an answer is kept.
const KEPT_BYTES: usize = 16 * 1024;
/// How long the rest of an answer may take once its head is there; the head alone says how it went.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The client of one thread.
pub struct HttpCourier {
    client: awc::Client,
}

impl HttpCourier {
    /// One that believes whom the gateway believes, and that dials these hosts wherever they are.
    pub fn new(trust: &Trust, private: PrivateHosts) -> Self {
        let connector = awc::Connector::new()
            .connector(GuardedConnector::new(private))
            .rustls_0_23(trust.client_config())
            .limit(0)
            .timeout(CONNECT_TIMEOUT)
            .handshake_timeout(CONNECT_TIMEOUT);
        let client = awc::Client::builder()
            .connector(connector)
            .disable_redirects()
            // Whoever sends sets the time.
            .disable_timeout()
            .no_default_headers()
            .finish();
        Self { client }
    }
}

impl Courier for HttpCourier {
    fn post(&self, post: Post) -> Answered<CourierAnswer, NoAnswer> {
        let client = self.client.clone();
        Box::pin(carry(client, post))
    }
}

async fn carry(client: awc::Client, post: Post) -> Result<CourierAnswer, NoAnswer> {
    let url: Uri = post.url.parse().map_err(|_| NoAnswer("the address cannot be used"))?;
    let mut request = client.post(url).no_decompress().force_close();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("Caldera-Webhooks/1"));
    for (name, value) in post.headers {
        let value = HeaderValue::try_from(value).map_err(|_| NoAnswer("the message cannot be signed"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let mut answer = request.send_body(post.body).await.map_err(|error| explain(&error))?;
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.map(str::to_owned);
    let mut kept = Vec::new();
    let read = async {
        while let Some(Ok(chunk)) = answer.next().await {
            let room = KEPT_BYTES - kept.len();
            kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room {
                return;
            }
        }
    };
    // What came in time is kept.
    drop(tokio::time::timeout(BODY_TIMEOUT, read).await);
    Ok(CourierAnswer {
        status: answer.status().as_u16(),
        retry_after,
        body: String::from_utf8_lossy(&kept).into_owned(),
    })
}

/// In words for the endpoint's owner, who learns nothing of this network.
fn explain(error: &SendRequestError) -> NoAnswer {
    tracing::debug!(error = %error, "a webhook was not answered");
    NoAnswer(match error {
        SendRequestError::Url(_) => "the address cannot be used",
        SendRequestError::Connect(ConnectError::Resolver(_) | ConnectError::NoRecords) => {
            "the host's name leads to no public address"
        }
        SendRequestError::Connect(ConnectError::Timeout) => "no connection came about in time",
        SendRequestError::Connect(ConnectError::Disconnected) => "the connection broke",
        SendRequestError::Connect(_) => "there is no connection to the host, or its certificate is not trusted",
        SendRequestError::Timeout => "no answer came in time",
        _ => "the connection broke",
    })
}
