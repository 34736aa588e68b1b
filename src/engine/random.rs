//! Randomness from the operating system. Where that fails nothing secret can be made, so the call ends in an error.

use std::cell::RefCell;

use crate::domain::credential::{KeyKind, mint};
use crate::domain::secret::Secret;

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// Ids whose randomness is fetched at once.
const POOL: usize = 32;

thread_local! {
    /// Randomness for the ids of this thread, each taken once, and how many are left. Nothing secret is made of it.
    static IDS: RefCell<([u128; POOL], usize)> = const { RefCell::new(([0; POOL], 0)) };
}

/// 128 random bits, for ids.
pub fn bits() -> Result<u128, NoRandomness> {
    IDS.with_borrow_mut(|(pool, left)| {
        if *left == 0 {
            let fetched: [u8; POOL * 16] = bytes()?;
            for (bits, piece) in pool.iter_mut().zip(fetched.as_chunks().0) {
                *bits = u128::from_ne_bytes(*piece);
            }
            *left = POOL;
        }
        *left -= 1;
        Ok(pool[*left])
    })
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
