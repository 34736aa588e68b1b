//! Who a credential is: a full replica in memory of every key that may call, by keyed hash. It is changed by the
//! management calls before they answer, so a rotated or revoked key is unknown before the 2xx leaves. It fails closed:
//! what is not here is refused, and no look-up ever waits for the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dashmap::DashMap;

use crate::domain::credential::{KeyHash, Pepper, parse_kind};
use crate::domain::ids::{MerchantId, Mode, SecretKeyId, WalletId, WalletKeyId};
use crate::domain::key::KeySettings;

/// A tenant as every call knows him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merchant {
    pub id: MerchantId,
    /// What pays where a call names no wallet.
    pub default_wallet_id: WalletId,
}

impl Merchant {
    pub fn mode(&self) -> Mode {
        self.id.mode()
    }
}

/// A key of the management API.
#[derive(Debug)]
pub struct SecretKey {
    pub id: SecretKeyId,
    pub merchant: Arc<Merchant>,
}

/// A key that manages one wallet's spend keys.
#[derive(Debug)]
pub struct WalletKey {
    pub id: WalletKeyId,
    pub merchant: Arc<Merchant>,
    pub wallet_id: WalletId,
    /// Unix milliseconds; zero for never. Saved when the keys are listed and at the stop; a crash loses the latest.
    pub last_used_ms: AtomicI64,
}

impl WalletKey {
    pub fn touch(&self, now_ms: i64) {
        self.last_used_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// What a key turned out to be.
#[derive(Clone, Debug)]
pub enum Credential {
    Secret(Arc<SecretKey>),
    Wallet(Arc<WalletKey>),
    Spend {
        merchant: Arc<Merchant>,
        settings: Arc<KeySettings>,
    },
}

/// All keys.
pub struct Keyring {
    pepper: Pepper,
    keys: DashMap<KeyHash, Credential>,
}

impl Keyring {
    pub fn new(pepper: Pepper) -> Self {
        Self {
            pepper,
            keys: DashMap::new(),
        }
    }

    pub fn hash(&self, token: &str) -> KeyHash {
        self.pepper.hash(token)
    }

    /// The key behind a token. Junk is refused by its form, before any look-up.
    pub fn find(&self, token: &str) -> Option<Credential> {
        parse_kind(token)?;
        self.keys.get(&self.hash(token)).map(|entry| entry.value().clone())
    }

    /// The key that is stored under this hash.
    pub fn find_by_hash(&self, hash: &KeyHash) -> Option<Credential> {
        self.keys.get(hash).map(|entry| entry.value().clone())
    }

    /// The hashes of the keys that are meant. It looks at every key: not for the path of a call.
    pub fn hashes_of(&self, is_meant: impl Fn(&Credential) -> bool) -> Vec<KeyHash> {
        let meant = self.keys.iter().filter(|entry| is_meant(entry.value()));
        meant.map(|entry| *entry.key()).collect()
    }

    /// When each wallet key was last used, in unix milliseconds; those never used are left out.
    pub fn wallet_key_uses(&self) -> Vec<(WalletKeyId, i64)> {
        let used = |entry: dashmap::mapref::multiple::RefMulti<'_, KeyHash, Credential>| match entry.value() {
            Credential::Wallet(key) => {
                Some((key.id, key.last_used_ms.load(Ordering::Relaxed))).filter(|(_, at)| *at > 0)
            }
            Credential::Secret(_) | Credential::Spend { .. } => None,
        };
        self.keys.iter().filter_map(used).collect()
    }

    pub fn insert(&self, hash: KeyHash, credential: Credential) {
        self.keys.insert(hash, credential);
    }

    pub fn remove(&self, hash: &KeyHash) {
        self.keys.remove(hash);
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
