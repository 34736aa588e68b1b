//! `/v1/secret_keys`: the keys of the management API itself. A new key works, and a deleted one is refused, before the
//! answer leaves. A key may delete itself: it is the last thing that it does.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::credential::KeyKind;
use crate::domain::ids::{MerchantId, SecretKeyId};
use crate::engine::keyring::{Credential, Merchant, SecretKey};
use crate::engine::random;
use crate::storage::StorageError;
use crate::storage::keys::{self as rows, Lasting, SecretKeyRow};

use super::auth::SecretKeyAuth;
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

/// POST `{name}`.
pub async fn create(auth: SecretKeyAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let fields = Fields::of_body(&body.0, &["name"])?;
    let name = fields.required("name", fields.text("name", 255)?)?;
    let key = mint(&state, auth.0.merchant.clone(), name).await?;
    Ok(HttpResponse::Created().json(key))
}

/// Makes a key of this merchant; the answer holds its secret.
pub async fn mint(state: &State, merchant: Arc<Merchant>, name: String) -> Result<Value, ApiError> {
    make(state, merchant, name, Lasting::Always).await
}

/// The same for an agent's session: a key that a crash leaves behind ends at the next start.
pub async fn mint_for_session(state: &State, merchant: Arc<Merchant>, name: String) -> Result<Value, ApiError> {
    make(state, merchant, name, Lasting::ThisRun).await
}

async fn make(state: &State, merchant: Arc<Merchant>, name: String, lasting: Lasting) -> Result<Value, ApiError> {
    let kind = KeyKind::Secret(merchant.mode());
    let secret = random::mint_key(kind).map_err(|error| ApiError::internal("minting a key", &error))?;
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let now_ms = state.now().wall_ms;
    let row = SecretKeyRow {
        id: SecretKeyId::compose_in_order(merchant.mode(), state.clock.wall_us(), random),
        merchant_id: merchant.id,
        name,
        hint: last_characters(secret.expose(), 4),
        hash: state.keyring.hash(secret.expose()),
        created_at_ms: now_ms,
    };
    let state = state.clone();
    to_the_end(async move {
        let mut shown = show(&row);
        shown["secret_key"] = Value::from(secret.expose().as_str());
        let (id, hash) = (row.id, row.hash);
        state
            .database
            .run(move |connection| rows::create_secret(connection, &row, lasting))
            .await?;
        state
            .keyring
            .insert(hash, Credential::Secret(Arc::new(SecretKey { id, merchant })));
        Ok(shown)
    })
    .await
}

/// GET of the list, newest first.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, merchant_id) = (read_page(&query)?, auth.merchant_id());
    let found = state
        .database
        .run(move |connection| rows::list_secret(connection, merchant_id, page))
        .await?;
    Ok(HttpResponse::Ok().json(envelope(&found, show)))
}

/// DELETE.
pub async fn delete(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let id: SecretKeyId = request
        .match_info()
        .get("id")
        .unwrap_or("")
        .parse()
        .map_err(|_| unknown())?;
    revoke(&state, auth.merchant_id(), id).await?;
    Ok(HttpResponse::Ok().json(json!({ "id": id, "deleted": true })))
}

/// Ends a key: it is refused before this returns.
pub async fn revoke(state: &State, merchant_id: MerchantId, id: SecretKeyId) -> Result<(), ApiError> {
    let state = state.clone();
    to_the_end(async move {
        let work = state
            .database
            .run(move |connection| rows::revoke_secret(connection, merchant_id, id));
        let is_meant = |known: &Credential| matches!(known, Credential::Secret(key) if key.id == id);
        let row = work
            .await
            .map_err(|error| match resolve_later(&state, error, is_meant) {
                StorageError::NotFound => unknown(),
                other => ApiError::from(other),
            })?;
        state.keyring.remove(&row.hash);
        Ok(())
    })
    .await
}

fn unknown() -> ApiError {
    ApiError::missing("secret_key_id", "secret key")
}

fn show(row: &SecretKeyRow) -> Value {
    json!({
        "secret_key_id": row.id,
        "name": row.name,
        "secret_key_hint": row.hint,
        "created_at": iso_millis(row.created_at_ms),
    })
}

/// Keys are ASCII.
fn last_characters(token: &str, count: usize) -> String {
    token
        .chars()
        .skip(token.chars().count().saturating_sub(count))
        .collect()
}
