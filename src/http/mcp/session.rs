//! One session of an agent: who opened it, the spend key that its calls are paid by, and what a sign-in gave it. All of
//! it lives in the memory of this process. The spend key is made when it is first needed and revoked when the session
//! ends; one that a crash leaves behind lapses by itself.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::credential::KeyHash;
use crate::domain::ids::SpendKeyId;
use crate::domain::secret::Secret;
use crate::engine::keyring::Keyring;
use crate::http::limits::network_of;

use super::visitor::{Manager, Standing};

/// A key that is so near its end is replaced.
const KEY_MARGIN_MS: i64 = 60_000;

/// How many tools run at once in a session: one whose client reads no answers holds no more than these.
pub const CALLS_MOST: i64 = 32;

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

/// Who opens a session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opener {
    /// His credential; a guest has none.
    pub owner: Option<KeyHash>,
    pub address: Option<IpAddr>,
}

/// A session, and all that must end with it.
pub struct Session {
    /// The credential that opened it; only who has it may go on with it.
    pub owner: Option<KeyHash>,
    /// From which network it was opened, where that is known.
    pub network: Option<IpAddr>,
    /// The second half of its id towards the client: the first stands in log lines.
    pub secret: Secret<String>,
    last_seen_ms: AtomicI64,
    calls: Arc<AtomicI64>,
    streams: Arc<AtomicI64>,
    /// Held while a key is being made, so that a session has one.
    pub key: tokio::sync::Mutex<KeySlot>,
    granted: Mutex<Option<Manager>>,
}

/// Something that goes on in a session, counted until this is dropped.
pub struct Going(Arc<AtomicI64>);

impl Session {
    pub fn new(opener: Opener, secret: Secret<String>, now_ms: i64) -> Self {
        Self {
            owner: opener.owner,
            network: opener.address.map(network_of),
            secret,
            last_seen_ms: AtomicI64::new(now_ms),
            calls: Arc::default(),
            streams: Arc::default(),
            key: tokio::sync::Mutex::default(),
            granted: Mutex::new(None),
        }
    }

    /// A tool that runs; its session is not idle. `None` where [`CALLS_MOST`] run.
    pub fn run(&self) -> Option<Going> {
        let one_more = |count: i64| (count < CALLS_MOST).then_some(count + 1);
        let begun = self.calls.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        begun.ok().map(|_| Going(self.calls.clone()))
    }

    /// A stream that its client listens to; neither is the session of one who is known.
    pub fn listen(&self) -> Going {
        self.streams.fetch_add(1, Ordering::AcqRel);
        Going(self.streams.clone())
    }

    pub fn is_running(&self) -> bool {
        self.calls.load(Ordering::Acquire) > 0
    }

    pub fn touch(&self, now_ms: i64) {
        self.last_seen_ms.store(now_ms, Ordering::Release);
    }

    /// For how long nothing was heard of it.
    pub fn idle_ms(&self, now_ms: i64) -> i64 {
        let is_heard = self.streams.load(Ordering::Acquire) > 0 && !self.is_guest();
        if self.is_running() || is_heard {
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

    /// Whether what it stands on is in force: the credential that opened it, and the one that a sign-in gave it. A
    /// session that has lost either is to end.
    pub fn holds(&self, keyring: &Keyring) -> bool {
        let is_known = |owner: KeyHash| keyring.find_by_hash(&owner).is_some();
        let is_good = |manager: Manager| keyring.find(manager.token.expose()).is_some();
        self.owner.is_none_or(is_known) && self.granted().is_none_or(is_good)
    }

    /// What the visitor may do in this session.
    pub fn standing(&self, visitor: &Standing, keyring: &Keyring) -> Standing {
        match (visitor, self.granted()) {
            (Standing::Guest, Some(manager)) if self.holds(keyring) => Standing::Manager(manager),
            (Standing::Guest | Standing::Spender(_) | Standing::Manager(_), _) => visitor.clone(),
        }
    }
}

impl SessionKey {
    pub fn is_good(&self, now_ms: i64) -> bool {
        now_ms < self.expires_at_ms.saturating_sub(KEY_MARGIN_MS)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
