//! `/v1/wallet_keys`: the keys that only manage the spend keys of one wallet. They are made from the command line; here
//! they are listed, rotated and revoked, with one of them or with a secret key. A wallet key sees those of its wallet.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::credential::{KeyHash, KeyKind, preview};
use crate::domain::ids::{WalletId, WalletKeyId};
use crate::engine::keyring::{Credential, Merchant, WalletKey};
use crate::engine::random;
use crate::storage::StorageError;
use crate::storage::keys::{self as rows, NewSecret, WalletKeyRow};

use super::auth::KeyManagerAuth;
use super::doubt::resolve_later;
use super::error::ApiError;
use super::fields::Fields;
use super::json_body::JsonBody;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::time::iso_millis;
use super::turns::to_the_end;

type State = web::Data<AppState>;

/// A key to be made.
pub struct NewWalletKey {
    pub merchant: Arc<Merchant>,
    pub wallet_id: WalletId,
    pub name: String,
}

/// Makes a key; the answer holds its secret.
pub async fn mint(state: &State, new: NewWalletKey) -> Result<Value, ApiError> {
    let secret = random::mint_key(KeyKind::Wallet).map_err(|error| ApiError::internal("minting a key", &error))?;
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let now_ms = state.now().wall_ms;
    let row = WalletKeyRow {
        id: WalletKeyId::compose_in_order(new.merchant.mode(), state.clock.wall_us(), random),
        merchant_id: new.merchant.id,
        wallet_id: new.wallet_id,
        name: new.name,
        preview: preview(secret.expose()),
        hash: state.keyring.hash(secret.expose()),
        last_used_ms: None,
        created_at_ms: now_ms,
    };
    let state = state.clone();
    to_the_end(async move {
        let mut shown = show(&row, None);
        shown["key"] = Value::from(secret.expose().as_str());
        let (hash, key) = (row.hash, live_key(new.merchant, &row));
        state
            .database
            .run(move |connection| rows::create_wallet(connection, &row))
            .await?;
        state.keyring.insert(hash, key);
        Ok(shown)
    })
    .await
}

/// GET of the list, newest first.
pub async fn list(auth: KeyManagerAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, owner) = (read_page(&query)?, auth.owner());
    let found = state
        .database
        .run(move |connection| rows::list_wallet(connection, owner, page))
        .await?;
    save_last_used(&state, &found.rows);
    Ok(HttpResponse::Ok().json(envelope(&found, |row| show(row, last_used_ms(&state, &row.hash)))))
}

/// POST of a rotation: same key, new secret; the old one is dead before the answer leaves.
pub async fn rotate(
    auth: KeyManagerAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    Fields::of_body(&body.0, &[])?;
    let id = key_id(&request)?;
    let secret = random::mint_key(KeyKind::Wallet).map_err(|error| ApiError::internal("minting a key", &error))?;
    let shown = to_the_end(async move {
        let _turn = state.turns.take(id.bits()).await;
        let new = NewSecret {
            hash: state.keyring.hash(secret.expose()),
            preview: preview(secret.expose()),
        };
        let owner = auth.owner();
        let work = state
            .database
            .run(move |connection| rows::rotate_wallet(connection, owner, id, &new));
        let (mut row, old_hash) = work.await.map_err(|error| in_doubt(&state, id, error))?;
        let last_used_ms = last_used_ms(&state, &old_hash);
        row.last_used_ms = last_used_ms.or(row.last_used_ms);
        state.keyring.remove(&old_hash);
        state.keyring.insert(row.hash, live_key(auth.merchant().clone(), &row));
        let mut shown = show(&row, last_used_ms);
        shown["key"] = Value::from(secret.expose().as_str());
        Ok(shown)
    });
    Ok(HttpResponse::Ok().json(shown.await?))
}

/// DELETE.
pub async fn revoke(auth: KeyManagerAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let id = key_id(&request)?;
    to_the_end(async move {
        let _turn = state.turns.take(id.bits()).await;
        let owner = auth.owner();
        let work = state
            .database
            .run(move |connection| rows::revoke_wallet(connection, owner, id));
        let row = work.await.map_err(|error| in_doubt(&state, id, error))?;
        state.keyring.remove(&row.hash);
        Ok(())
    })
    .await?;
    Ok(HttpResponse::Ok().json(json!({ "success": true })))
}

fn unknown_key(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound => ApiError::missing("wallet_key_id", "wallet key"),
        other => ApiError::from(other),
    }
}

/// Where a connection broke, the old secret may be dead already.
fn in_doubt(state: &State, id: WalletKeyId, error: StorageError) -> ApiError {
    let is_meant = |known: &Credential| matches!(known, Credential::Wallet(key) if key.id == id);
    unknown_key(resolve_later(state, error, is_meant))
}

/// A path that is no id names nothing.
fn key_id(request: &HttpRequest) -> Result<WalletKeyId, ApiError> {
    let text = request.match_info().get("id").unwrap_or("");
    text.parse().map_err(|_| unknown_key(StorageError::NotFound))
}

fn live_key(merchant: Arc<Merchant>, row: &WalletKeyRow) -> Credential {
    let last_used_ms = AtomicI64::new(row.last_used_ms.unwrap_or(0));
    Credential::Wallet(Arc::new(WalletKey {
        id: row.id,
        merchant,
        wallet_id: row.wallet_id,
        last_used_ms,
    }))
}

/// When the key was last used, as this process knows.
fn last_used_ms(state: &State, hash: &KeyHash) -> Option<i64> {
    match state.keyring.find_by_hash(hash) {
        Some(Credential::Wallet(key)) => Some(key.last_used_ms.load(Ordering::Relaxed)).filter(|at| *at > 0),
        Some(Credential::Secret(_) | Credential::Spend { .. }) | None => None,
    }
}

/// Writes down what is newer here than in the rows. Nobody waits for it; the next list or the stop tries again.
fn save_last_used(state: &State, listed: &[WalletKeyRow]) {
    let newer = |row: &WalletKeyRow| {
        let live = last_used_ms(state, &row.hash).filter(|at| row.last_used_ms.is_none_or(|stored| stored < *at))?;
        Some((row.id, live))
    };
    let used: Vec<(WalletKeyId, i64)> = listed.iter().filter_map(newer).collect();
    if used.is_empty() {
        return;
    }
    let state = state.clone();
    actix_rt::spawn(async move {
        let work = state
            .database
            .run(move |connection| rows::save_last_used(connection, &used));
        if let Err(error) = work.await {
            tracing::debug!(%error, "the last use of wallet keys was not saved");
        }
    });
}

fn show(row: &WalletKeyRow, last_used_ms: Option<i64>) -> Value {
    json!({
        "wallet_key_id": row.id,
        "key_preview": row.preview,
        "name": row.name,
        "wallet_id": row.wallet_id,
        "last_used_at": last_used_ms.or(row.last_used_ms).map(iso_millis),
        "created_at": iso_millis(row.created_at_ms),
    })
}
