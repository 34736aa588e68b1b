//! The call to the provider: one connection pool a worker, no redirects, no decompression, no limits of the client
//! library's own. An error says whether the provider may have run the call, which decides what it is billed.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri};
use awc::ClientRequest;
use awc::error::{ConnectError, SendRequestError};
use bytes::Bytes;

use super::egress::{GuardedConnector, PrivateHosts, Trust};
use super::options::GatewayOptions;
use super::upload::Parcel;

/// The head of an answer with its body still to be read.
pub type RawAnswer = awc::ClientResponse;

/// The headers of a call; no name comes twice but where the client sent it so.
pub type SentHeaders = Vec<(HeaderName, HeaderValue)>;

/// What goes to the provider, as often as it is sent.
#[derive(Default)]
pub struct Outgoing {
    pub method: Method,
    pub url: Uri,
    pub headers: SentHeaders,
    pub body: Bytes,
    /// In place of the body, where there is one.
    pub parcel: Parcel,
    pub first_byte_timeout: Duration,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// The call never reached the provider.
    Unreachable,
    /// The connection broke after the call went out: the provider may have run it.
    Broken,
    /// No answer in time: the provider may be running it.
    TimedOut,
}

impl UpstreamFailure {
    pub fn may_have_run(self) -> bool {
        match self {
            Self::Unreachable => false,
            Self::Broken | Self::TimedOut => true,
        }
    }
}

/// A worker's client.
#[derive(Clone)]
pub struct Upstream {
    client: awc::Client,
}

impl Upstream {
    pub fn new(options: &GatewayOptions, trust: &Trust, private: PrivateHosts) -> Self {
        let connect = Duration::from_millis(options.connect_timeout_ms);
        let connector = awc::Connector::new()
            .connector(GuardedConnector::new(private))
            .rustls_0_23(trust.client_config())
            .limit(0)
            .timeout(connect)
            .handshake_timeout(connect);
        let client = awc::Client::builder()
            .connector(connector)
            .disable_redirects()
            .disable_timeout()
            .no_default_headers()
            .finish();
        Self { client }
    }

    /// The call without its body.
    pub fn request(&self, outgoing: &Outgoing) -> ClientRequest {
        let mut request = self
            .client
            .request(outgoing.method.clone(), outgoing.url.clone())
            .no_decompress()
            .timeout(outgoing.first_byte_timeout);
        for (name, value) in outgoing.headers.iter().cloned() {
            request.headers_mut().append(name, value);
        }
        request
    }

    /// Sends the call and waits for the head of its answer.
    pub async fn send(request: ClientRequest, outgoing: &Outgoing) -> Result<RawAnswer, UpstreamFailure> {
        let sent = match outgoing.parcel.body().map_err(|_| UpstreamFailure::Unreachable)? {
            Some(upload) => request.send_body(upload),
            None if outgoing.body.is_empty() => request.send(),
            None => request.send_body(outgoing.body.clone()),
        };
        sent.await.map_err(|error| {
            tracing::debug!(error = %error, "the provider did not answer");
            classify(&error)
        })
    }
}

fn classify(error: &SendRequestError) -> UpstreamFailure {
    match error {
        // The client library says this of a connection too that ended after the call went out.
        SendRequestError::Connect(ConnectError::Disconnected | ConnectError::H2(_)) => UpstreamFailure::Broken,
        SendRequestError::Url(_)
        | SendRequestError::Connect(_)
        | SendRequestError::Http(_)
        | SendRequestError::TunnelNotSupported => UpstreamFailure::Unreachable,
        SendRequestError::Timeout => UpstreamFailure::TimedOut,
        _ => UpstreamFailure::Broken,
    }
}

/// Whether a status sends the caller elsewhere, which is never followed.
pub fn is_redirect(status: StatusCode) -> bool {
    status.is_redirection() && status != StatusCode::NOT_MODIFIED
}
