//! What an empty database gets: a live merchant, his wallet, and one secret key. The key is written to a file that only
//! its owner reads, before it is stored; where a terminal has shown it, the file goes. So a start that fails between the
//! two loses no key.

use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;

use diesel::PgConnection;

use crate::domain::account::Funding;
use crate::domain::credential::{KeyKind, parse_kind};
use crate::domain::ids::{MerchantId, Mode, SecretKeyId, WalletId};
use crate::domain::secret::Secret;
use crate::engine::clock::Clock;
use crate::engine::keyring::Keyring;
use crate::engine::random::{self, NoRandomness};
use crate::storage::keys::SecretKeyRow;
use crate::storage::merchants::NewMerchant;
use crate::storage::{StorageError, keys, merchants};

use super::config::Config;
use super::seal::write_private;

/// Why there is no first merchant.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error(
        "CALDERA_BOOTSTRAP_SECRET_KEY is not a live secret key: aks_live_, 32 letters and digits, and their 6-character checksum"
    )]
    NotAKey,
    #[error("the first secret key cannot be written to {path}: {error}")]
    Unwritable { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error("the first merchant cannot be made: {0}")]
    Storage(#[from] StorageError),
}

/// The key of a new database, and where its owner finds it.
#[derive(Clone, Debug)]
pub enum FirstKey {
    /// To be shown once; until then it is in this file too.
    Shown { key: Secret<String>, kept: PathBuf },
    /// In this file.
    File(PathBuf),
    /// The operator gave it.
    Given,
}

impl FirstKey {
    /// To be called when it has been shown.
    pub fn forget_file(&self) -> std::io::Result<()> {
        match self {
            Self::Shown { kept, .. } => fs::remove_file(kept),
            Self::File(_) | Self::Given => Ok(()),
        }
    }
}

/// Makes the first merchant where the database has none. Where it has one, its key may still be in its file.
pub fn first_merchant(
    config: &Config,
    connection: &mut PgConnection,
    keyring: &Keyring,
) -> Result<Option<FirstKey>, BootstrapError> {
    let given = config.bootstrap_secret_key.as_ref();
    if given.is_some_and(|key| parse_kind(key.expose()) != Some(KeyKind::Secret(Mode::Live))) {
        return Err(BootstrapError::NotAKey);
    }
    if !merchants::is_empty(connection)? {
        let kept = file_of(config);
        return Ok(kept.exists().then_some(FirstKey::File(kept)));
    }
    let minted = random::mint_key(KeyKind::Secret(Mode::Live))?;
    let key = given.unwrap_or(&minted);
    let first = if given.is_some() {
        FirstKey::Given
    } else {
        keep(config, key)?
    };
    create(connection, key.expose(), keyring)?;
    Ok(Some(first))
}

/// Before the key is stored, so that a start that fails here begins anew.
fn keep(config: &Config, key: &Secret<String>) -> Result<FirstKey, BootstrapError> {
    let path = file_of(config);
    let written = write_private(&path, format!("{}\n", key.expose()).as_bytes());
    written.map_err(|error| BootstrapError::Unwritable {
        path: path.clone(),
        error,
    })?;
    if std::io::stdout().is_terminal() {
        return Ok(FirstKey::Shown {
            key: key.clone(),
            kept: path,
        });
    }
    Ok(FirstKey::File(path))
}

fn file_of(config: &Config) -> PathBuf {
    config.data.dir.join("bootstrap-secret-key")
}

fn create(connection: &mut PgConnection, key: &str, keyring: &Keyring) -> Result<(), BootstrapError> {
    use diesel::Connection;
    let now_ms = Clock::new(0).wall_ms();
    let merchant = NewMerchant {
        id: MerchantId::compose(Mode::Live, now_ms, random::bits()?),
        name: "Default".into(),
        default_wallet_id: WalletId::compose(Mode::Live, now_ms, random::bits()?),
        funding: Funding::Postpaid,
    };
    let secret = SecretKeyRow {
        id: SecretKeyId::compose(Mode::Live, now_ms, random::bits()?),
        merchant_id: merchant.id,
        name: "Bootstrap".into(),
        hash: keyring.hash(key),
        hint: key.chars().skip(key.len().saturating_sub(4)).collect(),
        created_at_ms: now_ms,
    };
    connection.transaction::<_, StorageError, _>(|connection| {
        merchants::create(connection, &merchant)?;
        keys::create_secret(connection, &secret, keys::Lasting::Always)
    })?;
    Ok(())
}
