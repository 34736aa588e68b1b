//! Where tools hand in what is to be done: calls of this server's own interface over loopback, keys to be made, sessions
//! to be ended. A tool runs on whichever thread its session is on and may be given up at any time; the work is done on
//! the server's first thread, and a call that nobody waits for any more is cut, so that an agent's cancelling reaches
//! the provider. A call goes the whole way that a client's own call goes, with its limits, its journal and its bill.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::domain::secret::Secret;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::inside::{self, Inside, InsideToken, Shapes};
use crate::http::state::AppState;

use super::keys;
use super::session::{Session, SessionKey};
use super::visitor::{Manager, Visitor};

/// One call of our own interface.
pub struct InnerCall {
    pub method: Method,
    /// With the query.
    pub path: String,
    pub credential: Option<Secret<String>>,
    pub inside: Inside,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Option<Bytes>,
    /// An answer's rest is left.
    pub limit_bytes: usize,
}

/// What was answered.
pub struct InnerAnswer {
    pub status: u16,
    pub content_type: String,
    /// Those of ours: `x-lava-...`.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub is_whole: bool,
}

/// Which session key is to be made.
pub struct KeyOrder {
    pub manager: Manager,
    pub client: String,
    pub address: Option<IpAddr>,
}

enum Job {
    Call(InnerCall, oneshot::Sender<Result<InnerAnswer, ApiError>>),
    MakeKey(KeyOrder, oneshot::Sender<Result<SessionKey, ApiError>>),
    End(Arc<Session>),
}

/// Takes jobs from any thread; clones are one desk.
#[derive(Clone)]
pub struct Desk(mpsc::UnboundedSender<Job>);

/// What was handed in, for the thread that does it.
pub struct Tray(mpsc::UnboundedReceiver<Job>);

/// How calls of our own interface are made.
pub struct Runner {
    client: awc::Client,
    address: SocketAddr,
    token: Arc<InsideToken>,
}

impl InnerCall {
    /// A call in this visitor's place, as if he had made it.
    pub fn new(method: Method, path: impl Into<String>, visitor: &Visitor) -> Self {
        Self {
            method,
            path: path.into(),
            credential: None,
            inside: Inside {
                address: visitor.address,
                shapes: Shapes::Own,
            },
            headers: visitor.place.clone(),
            body: None,
            limit_bytes: 1 << 20,
        }
    }

    pub fn credential(mut self, credential: Secret<String>, shapes: Shapes) -> Self {
        self.credential = Some(credential);
        self.inside.shapes = shapes;
        self
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.headers
            .push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        self.body = Some(Bytes::from(body.to_string()));
        self
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl InnerAnswer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// One of our own headers.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Desk {
    pub fn open() -> (Self, Tray) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Tray(receiver))
    }

    /// Makes the call; it is cut where this is dropped.
    pub async fn call(&self, call: InnerCall) -> Result<InnerAnswer, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(Job::Call(call, reply))?;
        answer.await.map_err(|_| ApiError::new(ErrorCode::Stopping))?
    }

    /// Makes a session's spend key, to its end.
    pub async fn make_key(&self, order: KeyOrder) -> Result<SessionKey, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(Job::MakeKey(order, reply))?;
        answer.await.map_err(|_| ApiError::new(ErrorCode::Stopping))?
    }

    /// Revokes what the session had; nobody waits for it.
    pub fn end(&self, session: Arc<Session>) {
        if self.hand_in(Job::End(session)).is_err() {
            tracing::warn!("a session ended after the desk; its spend key lapses by itself");
        }
    }

    fn hand_in(&self, job: Job) -> Result<(), ApiError> {
        self.0.send(job).map_err(|_| ApiError::new(ErrorCode::Stopping))
    }
}

impl Tray {
    /// Does what is handed in, on this thread, for as long as there is a desk.
    pub fn work(mut self, state: &web::Data<AppState>, address: SocketAddr) {
        let runner = Rc::new(Runner::new(state.mcp.shared_token(), address));
        let state = state.clone();
        actix_rt::spawn(async move {
            while let Some(job) = self.0.recv().await {
                actix_rt::spawn(work(job, runner.clone(), state.clone()));
            }
        });
    }
}

async fn work(job: Job, runner: Rc<Runner>, state: web::Data<AppState>) {
    match job {
        Job::Call(call, mut reply) => {
            let answer = tokio::select! {
                answer = runner.run(call) => answer,
                () = reply.closed() => return,
            };
            // Given up a moment ago.
            drop(reply.send(answer));
        }
        Job::MakeKey(order, reply) => {
            let made = keys::make(&state, &runner, order).await;
            if let Err(Ok(unwanted)) = reply.send(made) {
                keys::revoke(&state, Some(&*runner), unwanted).await;
            }
        }
        Job::End(session) => keys::end(&state, Some(&*runner), &session).await,
    }
}

impl Runner {
    fn new(token: Arc<InsideToken>, address: SocketAddr) -> Self {
        let client = awc::Client::builder()
            // No bound of its own: what is bounded is the sessions.
            .connector(awc::Connector::new().limit(0))
            .disable_redirects()
            // The interface has its own.
            .disable_timeout()
            .no_default_headers()
            .finish();
        Self {
            client,
            address: reachable(address),
            token,
        }
    }

    pub async fn run(&self, call: InnerCall) -> Result<InnerAnswer, ApiError> {
        let url = format!("http://{}{}", self.address, call.path);
        let mut request = self.client.request(call.method, url).no_decompress().force_close();
        let headers = request.headers_mut();
        for (name, value) in call.headers {
            headers.append(name, value);
        }
        if let Some(credential) = call.credential {
            let value = HeaderValue::from_str(&format!("Bearer {}", credential.expose()));
            let mut value = value.map_err(|error| ApiError::internal("naming a key", &error))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(value) = self.token.sign(call.inside) {
            headers.insert(inside::HEADER, value);
        }
        let sent = request.send_body(call.body.unwrap_or_default()).await;
        let answer = sent.map_err(|error| ApiError::internal("a call of our own interface", &error))?;
        collect(answer, call.limit_bytes).await
    }
}

async fn collect<S>(mut answer: awc::ClientResponse<S>, limit_bytes: usize) -> Result<InnerAnswer, ApiError>
where
    S: futures_util::Stream<Item = Result<Bytes, actix_web::error::PayloadError>> + Unpin,
{
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = answer
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-lava-"));
    let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
    let content_type = answer.headers().get(CONTENT_TYPE).map(text).unwrap_or_default();
    let mut body = BytesMut::new();
    let mut is_whole = true;
    while let Some(chunk) = answer.next().await {
        let chunk = chunk.map_err(|error| ApiError::internal("an answer of our own interface", &error))?;
        let room = limit_bytes - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            is_whole = false;
            break;
        }
    }
    Ok(InnerAnswer {
        status: answer.status().as_u16(),
        content_type,
        headers,
        body: body.freeze(),
        is_whole,
    })
}

/// A listener on all addresses is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        let table = [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ];
        for (bound, reached) in table {
            assert_eq!(reachable(bound.parse().unwrap()).to_string(), reached);
        }
    }
}
