//! One session of an agent: who opened it, the spend key that its calls are paid by, and what a sign-in gave it. All of
//! it lives in the memory of this process. The spend key is made when it is first needed and revoked when the session
//! ends; one that a crash leaves behind lapses by itself.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::credential::KeyHash;
use crate::domain::ids::SpendKeyId;
use crate::domain::secret::Secret;

use super::visitor::{Manager, Standing};

/// A key that is so near its end is replaced.
const KEY_MARGIN_MS: i64 = 60_000;

/// What a session's calls are paid by.
#[derive(Clone)]
pub struct SessionKey {
    pub id: SpendKeyId,
    pub secret: Secret<String>,
    pub expires_at_ms: i64,
    /// With which it was made, and is revoked.
    pub manager: Manager,
}

/// Where a session's key is.
#[derive(Default)]
pub enum KeySlot {
    /// None was needed yet.
    #[default]
    Empty,
    Made(SessionKey),
    /// The session has ended: none is made any more.
    Over,
}

/// A session, and all that must end with it.
pub struct Session {
    /// The credential that opened it; only who has it may go on with it.
    pub owner: Option<KeyHash>,
    /// The second half of its id towards the client: the first stands in log lines.
    pub secret: Secret<String>,
    last_seen_ms: AtomicI64,
    calls: AtomicI64,
    /// Held while a key is being made, so that a session has one.
    pub key: tokio::sync::Mutex<KeySlot>,
    granted: Mutex<Option<Manager>>,
}

/// A tool that runs; a session with one is not idle.
pub struct Running<'a>(&'a Session);

impl Session {
    pub fn new(owner: Option<KeyHash>, secret: Secret<String>, now_ms: i64) -> Self {
        Self {
            owner,
            secret,
            last_seen_ms: AtomicI64::new(now_ms),
            calls: AtomicI64::new(0),
            key: tokio::sync::Mutex::default(),
            granted: Mutex::new(None),
        }
    }

    /// Counts a tool for as long as the guard lives.
    pub fn run(&self) -> Running<'_> {
        self.calls.fetch_add(1, Ordering::AcqRel);
        Running(self)
    }

    pub fn is_running(&self) -> bool {
        self.calls.load(Ordering::Acquire) > 0
    }

    pub fn touch(&self, now_ms: i64) {
        self.last_seen_ms.store(now_ms, Ordering::Release);
    }

    /// For how long nothing was heard of it; zero while a tool runs.
    pub fn idle_ms(&self, now_ms: i64) -> i64 {
        if self.is_running() {
            self.touch(now_ms);
        }
        now_ms.saturating_sub(self.last_seen_ms.load(Ordering::Acquire))
    }

    /// Whether nobody stands behind it yet.
    pub fn is_guest(&self) -> bool {
        self.owner.is_none() && self.granted().is_none()
    }

    /// What a sign-in gave it.
    pub fn granted(&self) -> Option<Manager> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives a guest's session what its user has authorised.
    pub fn grant(&self, manager: Manager) {
        *self.granted.lock().unwrap_or_else(PoisonError::into_inner) = Some(manager);
    }

    /// What the visitor may do in this session.
    pub fn standing(&self, visitor: &Standing) -> Standing {
        match (visitor, self.granted()) {
            (Standing::Guest, Some(manager)) => Standing::Manager(manager),
            (Standing::Guest | Standing::Spender(_) | Standing::Manager(_), _) => visitor.clone(),
        }
    }
}

impl SessionKey {
    pub fn is_good(&self, now_ms: i64) -> bool {
        now_ms < self.expires_at_ms.saturating_sub(KEY_MARGIN_MS)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::AcqRel);
    }
}
