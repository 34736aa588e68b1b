//! `/v1/spend_keys` and its older name `/v1/manage/spend_keys`: what applications call with, made, read, changed,
//! rotated and revoked with a secret key or a wallet key. A change is in Postgres, in the keyring and in its shard
//! before it is answered. A wallet key sees the keys of its wallet only; whatever is not the caller's is not there.

pub mod body;
mod listing;
pub mod live;
pub mod view;

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono_tz::Tz;
use diesel::PgConnection;
use serde_json::Value;

use crate::domain::credential::{KeyKind, preview};
use crate::domain::ids::{MerchantId, SpendKeyId, WalletId};
use crate::domain::key::{Enforcement, KeySettings, KeyStatus, OnDisconnect, RequestShape};
use crate::engine::keyring::Merchant;
use crate::engine::random;
use crate::storage::keys::{NewSecret, Owner};
use crate::storage::spend_keys::{self as rows, Editable, SpendKeyRow};
use crate::storage::{StorageError, wallets};

pub use self::listing::list;

use self::body::{Creation, SettingsChange, read_grace_seconds};
use super::auth::KeyManagerAuth;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::state::AppState;
use super::turns::to_the_end;

type State = web::Data<AppState>;

/// POST: a new key, with its secret.
pub async fn create(auth: KeyManagerAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let creation = Creation::read(&body.0, state.now().wall_ms)?;
    let wallet_id = choose_wallet(&auth, creation.wallet_id)?;
    let key = mint(&state, auth.merchant().clone(), wallet_id, creation).await?;
    Ok(HttpResponse::Created().json(key))
}

/// Makes a key of this merchant and this wallet; the answer holds its secret.
pub async fn mint(
    state: &State,
    merchant: Arc<Merchant>,
    wallet_id: WalletId,
    creation: Creation,
) -> Result<Value, ApiError> {
    let secret = random::mint_key(KeyKind::Spend).map_err(|error| ApiError::internal("minting a key", &error))?;
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let now_ms = state.now().wall_ms;
    let mut settings = blank_settings(
        SpendKeyId::compose_in_order(merchant.mode(), state.clock.wall_us(), random),
        merchant.id,
        wallet_id,
    );
    let tags = creation.settings.tags.clone().value();
    creation.settings.apply(&mut settings);
    let row = SpendKeyRow {
        settings,
        tags,
        previous: None,
        preview: preview(secret.expose()),
        created_at_ms: now_ms,
        hash: state.keyring.hash(secret.expose()),
    };
    let work_state = state.clone();
    to_the_end(async move {
        let stored = row.clone();
        work_state
            .database
            .run(move |connection| insert(connection, &stored))
            .await
            .map_err(|error| match error {
                StorageError::NotFound => ApiError::missing("wallet_id", "wallet"),
                other => ApiError::from(other),
            })?;
        live::adopt(&work_state, merchant, &row).await?;
        let snapshot = live::state_of(&work_state, &row).await?;
        Ok(Value::Object(view::show_with_secret(&row, &snapshot, &secret)))
    })
    .await
}

/// GET of one.
pub async fn retrieve(auth: KeyManagerAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let row = load(&state, &auth, key_id(&request)?).await?;
    let snapshot = live::state_of(&state, &row).await?;
    Ok(HttpResponse::Ok().json(view::show(&row, &snapshot)))
}

/// PUT and PATCH: changes what the body mentions.
pub async fn update(
    auth: KeyManagerAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let id = key_id(&request)?;
    let change = SettingsChange::read(&body.0, state.now().wall_ms)?;
    let row = change_row(auth, state.clone(), id, move |connection, owner| {
        let edited = rows::update(connection, owner, id, |mut editable: Editable| {
            change.tags.clone().apply(&mut editable.tags);
            change.apply(&mut editable.settings);
            Ok::<_, Infallible>(editable)
        });
        edited.map(|Ok(row)| row)
    })
    .await?;
    let snapshot = live::state_of(&state, &row).await?;
    Ok(HttpResponse::Ok().json(view::show(&row, &snapshot)))
}

/// POST of a rotation: a new secret; the old one is dead before the answer, or after its grace.
pub async fn rotate(
    auth: KeyManagerAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let id = key_id(&request)?;
    let grace_seconds = read_grace_seconds(&body.0)?;
    let secret = random::mint_key(KeyKind::Spend).map_err(|error| ApiError::internal("minting a key", &error))?;
    let grace_until_ms = (grace_seconds > 0).then(|| {
        state
            .now()
            .wall_ms
            .saturating_add_unsigned(grace_seconds.saturating_mul(1000))
    });
    let new = NewSecret {
        hash: state.keyring.hash(secret.expose()),
        preview: preview(secret.expose()),
    };
    let row = change_row(auth, state.clone(), id, move |connection, owner| {
        rows::rotate(connection, owner, id, new, grace_until_ms).map(|rotation| rotation.row)
    })
    .await?;
    let snapshot = live::state_of(&state, &row).await?;
    Ok(HttpResponse::Ok().json(view::show_with_secret(&row, &snapshot, &secret)))
}

/// DELETE: the key is refused from now on, and its running streams are cut.
pub async fn revoke(auth: KeyManagerAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    end(state, auth, key_id(&request)?).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "success": true })))
}

/// Revokes a key: it is refused before this returns.
pub async fn end(state: State, auth: KeyManagerAuth, id: SpendKeyId) -> Result<(), ApiError> {
    let revoked = change_row(auth, state, id, move |connection, owner| {
        rows::revoke(connection, owner, id)
    });
    revoked.await.map(drop)
}

/// Changes the row in Postgres, then what is in force; the next change of this key waits for both.
async fn change_row<F>(auth: KeyManagerAuth, state: State, id: SpendKeyId, work: F) -> Result<SpendKeyRow, ApiError>
where
    F: FnOnce(&mut PgConnection, Owner) -> Result<SpendKeyRow, StorageError> + Send + 'static,
{
    to_the_end(async move {
        let _turn = state.turns.take(id.bits()).await;
        let before = load(&state, &auth, id).await?;
        let (merchant, owner) = (auth.merchant().clone(), auth.owner());
        match state.database.run(move |connection| work(connection, owner)).await {
            Ok(row) => {
                live::replace(&state, merchant, &before, &row).await?;
                Ok(row)
            }
            Err(error) => {
                // The answer may have been lost on the way, and the change made.
                if matches!(error, StorageError::Unavailable(_)) {
                    live::reconcile_later(state.clone(), merchant, before);
                }
                Err(error.into())
            }
        }
    })
    .await
}

async fn load(state: &State, auth: &KeyManagerAuth, id: SpendKeyId) -> Result<SpendKeyRow, ApiError> {
    let owner = auth.owner();
    state
        .database
        .run(move |connection| rows::find(connection, owner, id))
        .await
        .map_err(unknown_key)
}

fn unknown_key(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound => ApiError::missing("spend_key_id", "spend key"),
        other => ApiError::from(other),
    }
}

/// A path that is no id names nothing.
fn key_id(request: &HttpRequest) -> Result<SpendKeyId, ApiError> {
    let text = request.match_info().get("id").unwrap_or("");
    text.parse().map_err(|_| unknown_key(StorageError::NotFound))
}

fn choose_wallet(auth: &KeyManagerAuth, asked: Option<WalletId>) -> Result<WalletId, ApiError> {
    match (auth.only_wallet(), asked) {
        (Some(own), Some(asked)) if own != asked => Err(ApiError::missing("wallet_id", "wallet")),
        (Some(own), _) => Ok(own),
        (None, asked) => Ok(asked.unwrap_or(auth.merchant().default_wallet_id)),
    }
}

fn insert(connection: &mut PgConnection, row: &SpendKeyRow) -> Result<(), StorageError> {
    wallets::find(connection, row.settings.merchant_id, row.settings.wallet_id)?;
    rows::insert(connection, row)
}

/// The settings of a key that says nothing of itself.
fn blank_settings(id: SpendKeyId, merchant_id: MerchantId, wallet_id: WalletId) -> KeySettings {
    KeySettings {
        id,
        merchant_id,
        wallet_id,
        secret_version: 1,
        name: Arc::from(""),
        status: KeyStatus::Active,
        request_shape: RequestShape::OpenAi,
        allowed_models: None,
        allowed_providers: None,
        allowed_ips: None,
        spend_limit: None,
        request_limit: None,
        rate_limit: None,
        max_parallel: None,
        enforcement: Enforcement::Adaptive,
        on_disconnect: OnDisconnect::Drain,
        timezone: Tz::UTC,
        expires_at_ms: None,
    }
}
