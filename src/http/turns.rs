//! One change of a key at a time. A change commits in Postgres and then reaches the keyring and the shard; two changes
//! of one key that overtook each other between the two would leave in force what the database no longer says.
//! A change also runs to its end when its caller hangs up half-way, for the same reason.

use std::future::Future;

use tokio::sync::{Mutex, MutexGuard};

use super::error::ApiError;

const STRIPES: usize = 64;

/// The turns of all keys, in stripes: two keys may share one.
pub struct Turns([Mutex<()>; STRIPES]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    /// Waits for the turn of the thing with these bits; it ends with the guard.
    pub async fn take(&self, bits: u128) -> MutexGuard<'_, ()> {
        // The lowest bit says live or test; the rest of the low bits are random.
        self.0[(bits >> 1) as usize % STRIPES].lock().await
    }
}

/// Does the work to its end, whether or not the caller waits for it.
pub async fn to_the_end<T, F>(work: F) -> Result<T, ApiError>
where
    T: 'static,
    F: Future<Output = Result<T, ApiError>> + 'static,
{
    let ended = actix_rt::spawn(work).await;
    ended.unwrap_or_else(|error| Err(ApiError::internal("a change", &error)))
}
