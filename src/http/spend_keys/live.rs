//! What is in force of a spend key: its entries in the keyring and its settings in its shard. Whoever has changed a row
//! calls this before he answers, holding the key's turn. Where it is unknown whether a change was made, the row is read
//! until Postgres answers; until then the old settings stay in force.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::credential::KeyHash;
use crate::domain::ids::SpendKeyId;
use crate::domain::key::KeyStatus;
use crate::domain::spend::{SpendState, StoredCounters};
use crate::engine::keyring::{Credential, Merchant};
use crate::http::error::ApiError;
use crate::storage::StorageError;
use crate::storage::keys::Owner;
use crate::storage::spend_keys::{self as rows, PreviousSecret, SpendKeyRow};

use super::State;

const RECONCILE_INTERVAL: Duration = Duration::from_secs(1);

/// Takes in a new key: its shard knows it before the first call can be recognised.
pub async fn adopt(state: &State, merchant: Arc<Merchant>, row: &SpendKeyRow) -> Result<(), ApiError> {
    let settings = Arc::new(row.settings.clone());
    state.spend.adopt(settings.clone(), StoredCounters::default()).await?;
    state.keyring.insert(row.hash, Credential::Spend { merchant, settings });
    Ok(())
}

/// Puts the changed row in force; returns when the shard enforces it.
pub async fn replace(
    state: &State,
    merchant: Arc<Merchant>,
    before: &SpendKeyRow,
    row: &SpendKeyRow,
) -> Result<(), ApiError> {
    let settings = Arc::new(row.settings.clone());
    for hash in dead_hashes(before, row) {
        state.keyring.remove(&hash);
    }
    if settings.status != KeyStatus::Revoked {
        let credential = Credential::Spend {
            merchant,
            settings: settings.clone(),
        };
        if let Some(previous) = row.previous {
            grace(state, previous, credential.clone());
        }
        state.keyring.insert(row.hash, credential);
    }
    state.spend.apply(settings).await?;
    Ok(())
}

/// The key's live state.
pub async fn state_of(state: &State, row: &SpendKeyRow) -> Result<SpendState, ApiError> {
    let mut states = states_of(state, std::slice::from_ref(row)).await?;
    Ok(states.swap_remove(0))
}

/// The live states of these rows, in their order; one that its shard does not know has spent nothing.
pub async fn states_of(state: &State, rows: &[SpendKeyRow]) -> Result<Vec<SpendState>, ApiError> {
    let ids: Vec<SpendKeyId> = rows.iter().map(|row| row.settings.id).collect();
    let snapshots = state.spend.read(&ids).await?;
    let now = state.now();
    let live = |(row, snapshot): (&SpendKeyRow, Option<_>)| match snapshot {
        Some(snapshot) => snapshot,
        None => SpendState::load(&StoredCounters::default(), row.settings.timezone, now),
    };
    let snapshots = snapshots
        .into_iter()
        .map(|snapshot| snapshot.map(|snapshot| snapshot.state));
    Ok(rows.iter().zip(snapshots).map(live).collect())
}

/// Reads the row until that succeeds, and puts it in force.
pub fn reconcile_later(state: State, merchant: Arc<Merchant>, before: SpendKeyRow) {
    actix_rt::spawn(async move {
        let (id, merchant_id) = (before.settings.id, before.settings.merchant_id);
        let owner = Owner {
            merchant_id,
            wallet_id: None,
        };
        loop {
            tokio::time::sleep(RECONCILE_INTERVAL).await;
            let _turn = state.turns.take(id.bits()).await;
            let row = match state
                .database
                .run(move |connection| rows::find(connection, owner, id))
                .await
            {
                Ok(row) => row,
                Err(StorageError::NotFound) => revoked(&before),
                Err(_) => continue,
            };
            if let Err(error) = replace(&state, merchant, &before, &row).await {
                tracing::error!(key.id = %id, %error, "a change of a spend key is stored but not in force");
            }
            return;
        }
    });
}

fn revoked(before: &SpendKeyRow) -> SpendKeyRow {
    let mut row = before.clone();
    row.settings.status = KeyStatus::Revoked;
    row
}

/// The hashes that meant this key before and no longer do.
fn dead_hashes(before: &SpendKeyRow, row: &SpendKeyRow) -> Vec<KeyHash> {
    let hashes = |row: &SpendKeyRow| {
        [Some(row.hash), row.previous.map(|previous| previous.hash)]
            .into_iter()
            .flatten()
            .collect()
    };
    let old: Vec<KeyHash> = hashes(before);
    let new: Vec<KeyHash> = if row.settings.status == KeyStatus::Revoked {
        Vec::new()
    } else {
        hashes(row)
    };
    old.into_iter().filter(|hash| !new.contains(hash)).collect()
}

/// Lets an old secret work, with the new settings, until its grace is over. At a start the replica's old secrets come
/// through here too.
pub fn grace(state: &State, previous: PreviousSecret, credential: Credential) {
    let left_ms = u64::try_from(previous.until_ms.saturating_sub(state.now().wall_ms)).unwrap_or(0);
    if left_ms == 0 {
        return state.keyring.remove(&previous.hash);
    }
    state.keyring.insert(previous.hash, credential);
    let state = state.clone();
    actix_rt::spawn(async move {
        tokio::time::sleep(Duration::from_millis(left_ms)).await;
        state.keyring.remove(&previous.hash);
    });
}
