//! What is done where it is unknown whether the end of a secret or wallet key was stored: the connection broke while it
//! was being committed. The rows are asked until they answer, and a key that they no longer know ends here too. Until
//! then the key works, as its caller was told with the 503.

use std::time::Duration;

use actix_web::web;

use crate::domain::credential::KeyHash;
use crate::engine::keyring::Credential;
use crate::storage::StorageError;
use crate::storage::keys as rows;

use super::state::AppState;

const INTERVAL: Duration = Duration::from_secs(1);

/// Passes the error on; where it leaves the end of these keys in doubt, that is resolved in the background.
pub fn resolve_later(
    state: &web::Data<AppState>,
    error: StorageError,
    is_meant: impl Fn(&Credential) -> bool,
) -> StorageError {
    if let StorageError::Unavailable(_) = error {
        let hashes = state.keyring.hashes_of(is_meant);
        actix_rt::spawn(forget_dead(state.clone(), hashes));
    }
    error
}

async fn forget_dead(state: web::Data<AppState>, hashes: Vec<KeyHash>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let asked = hashes.clone();
        let known = state
            .database
            .run(move |connection| rows::live_hashes(connection, &asked))
            .await;
        let Ok(live) = known else { continue };
        for dead in hashes.iter().filter(|hash| !live.contains(hash)) {
            state.keyring.remove(dead);
        }
        return;
    }
}
