//! The pepper under which keys are hashed and the key that seals stored secrets: files of mode 0600, made when the
//! database is empty, pinned to it by their fingerprints. A file that is missing or not this database's stops the
//! start, because every key would be unknown without it.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt as _};
use std::path::{Path, PathBuf};

use diesel::PgConnection;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::domain::credential::Pepper;
use crate::engine::random::{self, NoRandomness};
use crate::engine::sealing::SealingKey;
use crate::storage::{StorageError, merchants};

use super::config::Config;

/// Bytes of a new pepper or sealing key.
const LENGTH: usize = 32;

/// Why the start ends.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the {noun} {path} cannot be read: {error}; without it the keys of this database are unknown")]
    Missing {
        noun: &'static str,
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the {noun} {path} is not the one that this database was made with")]
    Mismatch { noun: &'static str, path: PathBuf },
    #[error("the {noun} {path} has only {length} bytes; it needs at least 16")]
    TooShort {
        noun: &'static str,
        path: PathBuf,
        length: usize,
    },
    #[error("the {noun} {path} cannot be written: {error}")]
    Unwritable {
        noun: &'static str,
        path: PathBuf,
        error: std::io::Error,
    },
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Reads or makes both files and checks them against the database.
pub fn load(config: &Config, connection: &mut PgConnection) -> Result<(Pepper, SealingKey), SealError> {
    let place = |given: &Path, name: &str| {
        if given.as_os_str().is_empty() {
            config.data.dir.join(name)
        } else {
            given.to_owned()
        }
    };
    let pepper = Kept {
        noun: "pepper file",
        pin: "pepper_fingerprint",
        path: place(&config.secrets.pepper_file, "pepper"),
    };
    let seal = Kept {
        noun: "sealing key file",
        pin: "seal_key_fingerprint",
        path: place(&config.secrets.seal_key_file, "seal-key"),
    };
    let is_new = merchants::is_empty(connection)?;
    let pepper = pepper.load(connection, is_new)?;
    let seal = seal.load(connection, is_new)?;
    Ok((Pepper::new(&pepper), SealingKey::new(&seal)))
}

struct Kept {
    noun: &'static str,
    pin: &'static str,
    path: PathBuf,
}

impl Kept {
    fn load(&self, connection: &mut PgConnection, is_new: bool) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if is_new && !self.path.exists() {
            self.make()?;
        }
        let missing = |error| SealError::Missing {
            noun: self.noun,
            path: self.path.clone(),
            error,
        };
        let bytes = Zeroizing::new(fs::read(&self.path).map_err(missing)?);
        if bytes.len() < 16 {
            return Err(SealError::TooShort {
                noun: self.noun,
                path: self.path.clone(),
                length: bytes.len(),
            });
        }
        let fingerprint = fingerprint(self.pin, &bytes);
        let pinned = merchants::pin_instance_value(connection, self.pin, &fingerprint)?;
        if pinned == fingerprint {
            Ok(bytes)
        } else {
            Err(SealError::Mismatch {
                noun: self.noun,
                path: self.path.clone(),
            })
        }
    }

    fn make(&self) -> Result<(), SealError> {
        let bytes = Zeroizing::new(random::bytes::<LENGTH>()?);
        let unwritable = |error| SealError::Unwritable {
            noun: self.noun,
            path: self.path.clone(),
            error,
        };
        write_private(&self.path, &bytes[..]).map_err(unwritable)
    }
}

/// Writes a file that only its owner reads, down to the disk.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // One that was there keeps the mode that it had.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Says nothing of the secret but whether it is the same.
fn fingerprint(purpose: &str, bytes: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(purpose.as_bytes());
    digest.update(bytes);
    digest
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
