//! `/mcp`: the server of the Model Context Protocol, for agents, on the callers' port. The official SDK speaks the
//! protocol; this finds the caller, keeps sessions apart and bounded, and makes each tool a call of this server's own
//! interface with the caller's credential or with a spend key of the session. It fails closed: a credential that is not
//! known is refused, a session is only its owner's, and a web page may call only where the operator lists its origin.

mod adapter;
mod arguments;
mod calls;
mod cors;
mod desk;
mod directory;
mod keys;
pub mod login;
mod manage;
pub mod options;
mod run;
mod server;
mod session;
mod sessions;
mod told;
mod tools;
mod visitor;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use crate::engine::clock::Clock;
use crate::engine::keyring::Keyring;

use self::adapter::{SESSION_ID, answer_of_sdk, request_for_sdk};
use self::desk::{Desk, Tray};
use self::login::{Pending, PendingLogins};
use self::options::{McpOptions, parse_origin};
use self::server::McpServer;
use self::session::Opener;
use self::sessions::{OPENER, Sessions};
use self::visitor::{Visit, Visitor};
use super::error::{ApiError, ErrorCode};
use super::inside::InsideToken;
use super::json_body::read_up_to;
use super::state::AppState;

/// How often idle sessions are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a stop waits for tools whose calls have ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How long a stop waits for the sessions' keys to be revoked.
const ENDING: Duration = Duration::from_secs(5);

/// What the tools reach.
pub struct Reach {
    desk: Desk,
    sessions: Arc<Sessions>,
    keyring: Arc<Keyring>,
    clock: Clock,
    logins: Arc<PendingLogins>,
}

/// What it is made of.
pub struct McpParts {
    pub keyring: Arc<Keyring>,
    pub clock: Clock,
}

/// The server of the protocol; one for the process.
pub struct Mcp {
    service: StreamableHttpService<McpServer, Sessions>,
    sessions: Arc<Sessions>,
    logins: Arc<PendingLogins>,
    options: McpOptions,
    token: Arc<InsideToken>,
    stop: CancellationToken,
    tray: Mutex<Option<Tray>>,
}

impl Mcp {
    pub fn open(options: McpOptions, parts: McpParts) -> io::Result<Self> {
        let McpParts { keyring, clock } = parts;
        let (desk, tray) = Desk::open();
        let sessions = Arc::new(Sessions::new(
            options.clone(),
            clock.clone(),
            keyring.clone(),
            desk.clone(),
        ));
        let (stop, logins) = (CancellationToken::new(), Arc::<PendingLogins>::default());
        let origins = options.allowed_origins.iter().map(|origin| parse_origin(origin));
        let origins: Vec<String> = origins.collect::<Result<_, _>>().map_err(io::Error::other)?;
        let config = StreamableHttpServerConfig::default()
            // The names under which an operator serves are his; a page's origin says what a Host would.
            .disable_allowed_hosts()
            .with_allowed_origins(origins)
            .enforce_origin_validation()
            .with_max_request_body_bytes(options.body_limit_bytes)
            .with_cancellation_token(stop.clone());
        let reach = Arc::new(Reach {
            desk,
            sessions: sessions.clone(),
            keyring,
            clock,
            logins: logins.clone(),
        });
        let service = StreamableHttpService::new(move || Ok(McpServer(reach.clone())), sessions.clone(), config);
        Ok(Self {
            service,
            sessions,
            logins,
            options,
            token: Arc::new(InsideToken::make()?),
            stop,
            tray: Mutex::new(Some(tray)),
        })
    }

    pub fn options(&self) -> &McpOptions {
        &self.options
    }

    /// The session that waits with this code.
    pub fn find_login(&self, code: &str, now_ms: i64) -> Option<Arc<Pending>> {
        self.logins.find(code, now_ms)
    }

    /// What calls of our own interface are known by.
    pub fn inside_token(&self) -> &InsideToken {
        &self.token
    }

    fn shared_token(&self) -> Arc<InsideToken> {
        self.token.clone()
    }

    fn spelled(&self, id: &str) -> Option<String> {
        self.sessions.spelled(id)
    }

    /// Whether guests from there, at least, find no room.
    fn is_full(&self, address: Option<IpAddr>) -> bool {
        !self.sessions.has_room(Opener { owner: None, address })
    }
}

pub fn configure(config: &mut ServiceConfig) {
    config.service(web::resource("/mcp").default_service(web::to(serve)));
}

/// Does what tools hand in, on this thread, for as long as the server runs. `address` is where the callers' port listens.
pub fn start(state: &Data<AppState>, address: SocketAddr) {
    let tray = state.mcp.tray.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(tray) = tray else { return };
    tray.work(state, address);
    let state = state.clone();
    actix_rt::spawn(async move {
        while !state.mcp.stop.is_cancelled() {
            tokio::time::sleep(SWEEP).await;
            state.mcp.sessions.sweep();
        }
    });
}

/// Ends every stream and every session, with what they had.
pub async fn stop(state: &Data<AppState>) {
    let sessions = state.mcp.sessions.drain();
    // What the last calls came to is still on its way to their clients.
    let deadline = Instant::now() + LAST_ANSWERS;
    while sessions.iter().any(|session| session.is_running()) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ends = sessions.iter().map(|session| keys::end(state, None, session));
    if tokio::time::timeout(ENDING, futures_util::future::join_all(ends))
        .await
        .is_err()
    {
        tracing::warn!("not every session's spend key was revoked; they lapse by themselves");
    }
    state.mcp.stop.cancel();
}

async fn serve(request: HttpRequest, payload: web::Payload, state: Data<AppState>) -> HttpResponse {
    let origin = cors::allowed_origin(&request, &state.mcp.options.allowed_origins);
    let preflight = origin.as_ref().and_then(|_| cors::preflight(&request));
    let answer = match preflight {
        Some(answer) => Ok(answer),
        None => pass(&request, payload, &state).await,
    };
    let mut answer = answer.unwrap_or_else(|refusal| refusal.error_response());
    if let Some(origin) = origin {
        cors::let_read(answer.headers_mut(), origin);
    }
    answer
}

/// Hands a request to the SDK, in its session if it has one.
async fn pass(request: &HttpRequest, payload: web::Payload, state: &AppState) -> Result<HttpResponse, ApiError> {
    state.phase.require_ready()?;
    let (visitor, owner) = Visitor::of(request, state)?;
    let mcp = &state.mcp;
    let (session_id, session) = match request.headers().get(SESSION_ID) {
        None => (None, None),
        Some(spelled) => {
            let found = spelled
                .to_str()
                .ok()
                .and_then(|spelled| mcp.sessions.find(spelled, owner));
            let (id, session) = found.ok_or_else(unknown_session)?;
            (Some(id), Some(session))
        }
    };
    let body = read_up_to(request, payload.into_inner(), mcp.options.body_limit_bytes).await?;
    let listens = request.method() == Method::GET;
    let listening = session.as_ref().filter(|_| listens).map(|session| session.listen());
    let opener = Opener {
        owner,
        address: visitor.address,
    };
    let visit = Arc::new(Visit { visitor, session });
    let converted = request_for_sdk(request, body, visit, session_id.as_deref())?;
    let answer = OPENER.scope(opener, mcp.service.handle(converted)).await;
    answer_of_sdk(answer, (mcp, opener), listening).await
}

/// As the protocol has it: the client opens a new one.
fn unknown_session() -> ApiError {
    ApiError::new(ErrorCode::NotFound).say("There is no such session.")
}
