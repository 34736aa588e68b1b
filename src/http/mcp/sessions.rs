//! All sessions of the MCP server: bounded in number and in time, and bound to who opened them. The official SDK keeps
//! what it needs of each; this stands around it, so that none is opened above the bound, none is used by another than
//! its owner, and all that a session has ends with it. A restart forgets them: clients open new ones.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, LocalSessionManagerError};
use rmcp::transport::streamable_http_server::{SessionId, SessionManager};
use subtle::ConstantTimeEq as _;

use crate::domain::credential::KeyHash;
use crate::domain::secret::Secret;
use crate::engine::clock::Clock;
use crate::engine::keyring::Keyring;
use crate::engine::random;
use crate::http::limits::network_of;

use super::desk::Desk;
use super::options::McpOptions;
use super::session::{Opener, Session};

/// A guest's session lives for as long as the sign-in may take.
const GUEST_IDLE_MS: i64 = 600_000;
/// So many guests are let in from one network, where there is room at all.
const LEAST_GUESTS: usize = 10;
/// How long the SDK may take to let go of a session: one whose client reads nothing may be stuck.
const CLOSING: Duration = Duration::from_secs(5);

tokio::task_local! {
    /// Who opens the session that is being made; the SDK makes it within the call that serves his request.
    pub static OPENER: Opener;
}

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("too many sessions are open")]
    Full,
    #[error("no randomness for a session's id")]
    NoRandomness,
    #[error("{0}")]
    Inner(#[from] LocalSessionManagerError),
}

/// The sessions, as the SDK asks for them and as we do.
pub struct Sessions {
    inner: Arc<LocalSessionManager>,
    options: McpOptions,
    clock: Clock,
    keyring: Arc<Keyring>,
    desk: Desk,
    open: Mutex<HashMap<String, Arc<Session>>>,
    /// Those of clients whose protocol has no sessions: one for each credential.
    unspoken: Mutex<HashMap<KeyHash, Arc<Session>>>,
}

impl Sessions {
    pub fn new(options: McpOptions, clock: Clock, keyring: Arc<Keyring>, desk: Desk) -> Self {
        let mut inner = LocalSessionManager::default();
        // What is idle is ended by the sweep, which knows of tools that run.
        inner.session_config.keep_alive = None;
        Self {
            inner: Arc::new(inner),
            options,
            clock,
            keyring,
            desk,
            open: Mutex::default(),
            unspoken: Mutex::default(),
        }
    }

    /// The session of this id, as its client spells it, if it is this owner's; and the SDK's own id of it. One whose
    /// credential was revoked ends here.
    pub fn find(&self, spelled: &str, owner: Option<KeyHash>) -> Option<(String, Arc<Session>)> {
        let (id, secret) = spelled.split_once('.')?;
        let session = self.lock_open().get(id).cloned()?;
        let is_known = bool::from(secret.as_bytes().ct_eq(session.secret.expose().as_bytes()));
        if !is_known || session.owner != owner {
            return None;
        }
        if !session.holds(&self.keyring) {
            self.end(id);
            return None;
        }
        session.touch(self.clock.now().wall_ms);
        Some((id.to_owned(), session))
    }

    /// How the client is to spell the id of a session that was just opened.
    pub fn spelled(&self, id: &str) -> Option<String> {
        let session = self.lock_open().get(id).cloned()?;
        Some(format!("{id}.{}", session.secret.expose()))
    }

    /// The session of a client whose protocol has none; `None` where there are too many.
    pub fn unspoken(&self, owner: KeyHash) -> Option<Arc<Session>> {
        let now_ms = self.clock.now().wall_ms;
        let mut unspoken = self.unspoken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = unspoken.get(&owner) {
            session.touch(now_ms);
            return Some(session.clone());
        }
        if unspoken.len() >= self.options.max_sessions {
            return None;
        }
        let opener = Opener {
            owner: Some(owner),
            address: None,
        };
        let session = Arc::new(Session::new(opener, Secret::new(String::new()), now_ms));
        unspoken.insert(owner, session.clone());
        Some(session)
    }

    /// Whether one more may be opened.
    pub fn has_room(&self, opener: Opener) -> bool {
        self.has_room_in(&self.lock_open(), opener)
    }

    /// Ends those that were idle for too long, and those whose credential was revoked. It waits for none of them.
    pub fn sweep(&self) {
        let now_ms = self.clock.now().wall_ms;
        let limit_ms = i64::try_from(self.options.session_idle_s.saturating_mul(1000)).unwrap_or(i64::MAX);
        let is_over = |session: &Session| {
            let limit_ms = if session.is_guest() {
                GUEST_IDLE_MS.min(limit_ms)
            } else {
                limit_ms
            };
            session.idle_ms(now_ms) > limit_ms || !session.holds(&self.keyring)
        };
        let open = self.lock_open().clone();
        for (id, _) in open.iter().filter(|(_, session)| is_over(session)) {
            self.end(id);
        }
        let mut unspoken = self.unspoken.lock().unwrap_or_else(PoisonError::into_inner);
        unspoken.retain(|_, session| {
            let is_over = is_over(session);
            if is_over {
                self.desk.end(session.clone());
            }
            !is_over
        });
    }

    /// Ends a session with what it had. What the SDK keeps of it goes by itself.
    fn end(&self, id: &str) {
        let session = self.lock_open().remove(id);
        if let Some(session) = session {
            self.desk.end(session);
        }
        let (inner, id) = (self.inner.clone(), SessionId::from(id));
        tokio::spawn(async move {
            match tokio::time::timeout(CLOSING, inner.close_session(&id)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a session did not end in good order"),
                Err(_) => tracing::warn!("a session whose client reads nothing was given up"),
            }
        });
    }

    /// Takes all of them out, for the server's stop to end.
    pub fn drain(&self) -> Vec<Arc<Session>> {
        let mut unspoken = self.unspoken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = unspoken.drain().map(|(_, session)| session).collect();
        all.extend(self.lock_open().drain().map(|(_, session)| session));
        all
    }

    fn has_room_in(&self, open: &HashMap<String, Arc<Session>>, opener: Opener) -> bool {
        let network = opener.address.map(network_of);
        let guests = || open.values().filter(|session| session.is_guest());
        let has_guests_room = || {
            let of_network = guests().filter(|session| session.network == network);
            guests().count() < self.options.max_guests && of_network.count() < self.guests_of_a_network()
        };
        open.len() < self.options.max_sessions && (opener.owner.is_some() || has_guests_room())
    }

    /// A quarter of them, so that one takes no other's places.
    fn guests_of_a_network(&self) -> usize {
        (self.options.max_guests / 4).max(LEAST_GUESTS)
    }

    fn lock_open(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::manual_async_fn, reason = "the streams are spelled as the trait spells them")]
impl SessionManager for Sessions {
    type Error = SessionError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        let opener = OPENER.try_with(|opener| *opener).unwrap_or_default();
        if !self.has_room(opener) {
            return Err(SessionError::Full);
        }
        let bytes: [u8; 16] = random::bytes().map_err(|_| SessionError::NoRandomness)?;
        let secret = Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        let session = Arc::new(Session::new(opener, secret, self.clock.now().wall_ms));
        let (id, transport) = self.inner.create_session().await?;
        let has_room = {
            let mut open = self.lock_open();
            let has_room = self.has_room_in(&open, opener);
            if has_room {
                open.insert(id.to_string(), session);
            }
            has_room
        };
        if !has_room {
            self.inner.close_session(&id).await?;
            return Err(SessionError::Full);
        }
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, SessionError> {
        Ok(self.inner.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, SessionError> {
        Ok(self.inner.has_session(id).await?)
    }

    /// Called for every end of a session but that of the server.
    async fn close_session(&self, id: &SessionId) -> Result<(), SessionError> {
        self.end(id);
        Ok(())
    }

    fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError>> + Send
    {
        async move { Ok(self.inner.create_stream(id, message).await?) }
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), SessionError> {
        Ok(self.inner.accept_message(id, message).await?)
    }

    fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> impl Future<Output = Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError>> + Send
    {
        async move { Ok(self.inner.create_standalone_stream(id).await?) }
    }

    fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> impl Future<Output = Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError>> + Send
    {
        async move { Ok(self.inner.resume(id, last_event_id).await?) }
    }
}
