//! Randomness from the operating system. Where that fails nothing secret can be made, so the call ends in an error.

use crate::domain::credential::{KeyKind, mint};
use crate::domain::secret::Secret;

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// 128 random bits, for ids.
pub fn bits() -> Result<u128, NoRandomness> {
    Ok(u128::from_ne_bytes(bytes()?))
}

pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// The plain text of a new key.
pub fn mint_key(kind: KeyKind) -> Result<Secret<String>, NoRandomness> {
    Ok(mint(kind, &bytes()?))
}
