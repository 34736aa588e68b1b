//! A session's keys: the spend key that its calls are paid by, named after the client and limited by the operator's
//! option, and the secret key that a sign-in gave it. Both are listed among the merchant's keys, where he may revoke
//! them, and both end with the session. A revocation that fails is logged; the spend key lapses by itself.

use serde_json::{Map, Value, json};

use crate::domain::secret::Secret;
use crate::engine::keyring::Credential;
use crate::http::auth::KeyManagerAuth;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::secret_keys;
use crate::http::spend_keys::{self, body::Creation};
use crate::http::state::AppState;
use crate::http::time::iso_millis;

use super::desk::KeyOrder;
use super::session::{KeySlot, Session, SessionKey};

type State = actix_web::web::Data<AppState>;

/// Makes a spend key for a session whose secret key still works.
pub async fn make(state: &State, order: KeyOrder) -> Result<SessionKey, ApiError> {
    let known = state.keyring.find(order.manager.token.expose());
    if !matches!(known, Some(Credential::Secret(_))) {
        return Err(ApiError::new(ErrorCode::InvalidApiKey));
    }
    let options = state.mcp.options();
    let now_ms = state.now().wall_ms;
    let ttl_ms = i64::try_from(options.session_key_ttl_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let expires_at_ms = now_ms.saturating_add(ttl_ms);
    let mut body = Map::new();
    body.insert(
        "name".to_owned(),
        Value::from(format!("MCP session of {}", order.client)),
    );
    body.insert("expires_at".to_owned(), Value::from(iso_millis(expires_at_ms)));
    body.insert("tags".to_owned(), json!(["mcp"]));
    // What an agent gives up is not paid to its end.
    body.insert("on_disconnect".to_owned(), Value::from("cancel"));
    if !options.session_spend_limit.is_empty() {
        let limit = json!({ "amount": options.session_spend_limit, "cycle": "daily" });
        body.insert("spend_limit".to_owned(), limit);
    }
    let creation = Creation::read(&body, now_ms)?;
    let merchant = order.manager.key.merchant.clone();
    let wallet_id = merchant.default_wallet_id;
    let made = spend_keys::mint(state, merchant, wallet_id, creation).await?;
    let text = |name: &str| made[name].as_str().unwrap_or_default();
    let id = text("spend_key_id").parse();
    Ok(SessionKey {
        id: id.map_err(|_| ApiError::internal("making a session's key", &"it has no id"))?,
        secret: Secret::new(text("key").to_owned()),
        expires_at_ms,
        manager: order.manager,
    })
}

/// Revokes all that the session had.
pub async fn end(state: &State, session: &Session) {
    let slot = std::mem::replace(&mut *session.key.lock().await, KeySlot::Over);
    match slot {
        KeySlot::Made(key) => revoke(state, key).await,
        KeySlot::Empty | KeySlot::Over => {}
    }
    let Some(granted) = session.granted() else { return };
    let merchant_id = granted.key.merchant.id;
    if let Err(error) = secret_keys::revoke(state, merchant_id, granted.key.id).await {
        let id = granted.key.id.to_string();
        tracing::warn!(key.id = id, %error, "a session ended, but its secret key was not revoked");
    }
}

/// Revokes a session's spend key.
pub async fn revoke(state: &State, key: SessionKey) {
    let auth = KeyManagerAuth::Secret(key.manager.key);
    if let Err(error) = spend_keys::end(state.clone(), auth, key.id).await {
        let id = key.id.to_string();
        tracing::warn!(key.id = id, %error, "a session ended, but its spend key was not revoked; it lapses by itself");
    }
}
