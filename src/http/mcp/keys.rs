//! A session's keys: the spend key that its calls are paid by, named after the client and limited by the operator's
//! option, and the secret key that a sign-in gave it. Both are listed among the merchant's keys, where he may revoke
//! them, and both end with the session. They are made and revoked by calls of the management interface, so that the
//! audit log tells of them; where that no longer answers, or their secret key was revoked, they are revoked without it. A revocation that fails is logged;
//! the spend key lapses by itself.

use std::net::IpAddr;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::domain::secret::Secret;
use crate::http::auth::KeyManagerAuth;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::inside::{Inside, Shapes};
use crate::http::state::AppState;
use crate::http::time::iso_millis;
use crate::http::{secret_keys, spend_keys};

use super::desk::{InnerAnswer, InnerCall, KeyOrder, Runner};
use super::session::{KeySlot, Session, SessionKey};
use super::visitor::Manager;

const ANSWER_LIMIT_BYTES: usize = 65_536;

type State = actix_web::web::Data<AppState>;

/// Makes a spend key for a session.
pub async fn make(state: &State, runner: &Runner, order: KeyOrder) -> Result<SessionKey, ApiError> {
    let ttl_ms = i64::try_from(state.mcp.options().session_key_ttl_s.saturating_mul(1000));
    let expires_at_ms = state.now().wall_ms.saturating_add(ttl_ms.unwrap_or(i64::MAX));
    let body = key_body(state, &order.client, expires_at_ms);
    let mut call = call(Method::POST, "/v1/spend_keys".to_owned(), &order.manager, order.address);
    call.headers
        .push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    call.body = Some(Bytes::from(Value::Object(body).to_string()));
    let answer = runner.run(call).await?;
    let made: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !answer.is_success() {
        return Err(refusal_of(&answer, &made));
    }
    let text = |name: &str| made[name].as_str().unwrap_or_default();
    let id = text("spend_key_id").parse();
    Ok(SessionKey {
        id: id.map_err(|_| ApiError::internal("making a session's key", &"it has no id"))?,
        secret: Secret::new(text("key").to_owned()),
        expires_at_ms,
        manager: order.manager,
    })
}

/// Revokes all that the session had; without a runner the management interface answers no more.
pub async fn end(state: &State, runner: Option<&Runner>, session: &Session) {
    let slot = std::mem::replace(&mut *session.key.lock().await, KeySlot::Over);
    match slot {
        KeySlot::Made(key) => revoke(state, runner, key).await,
        KeySlot::Empty | KeySlot::Over => {}
    }
    let Some(granted) = session.granted() else { return };
    let (id, merchant_id) = (granted.key.id, granted.key.merchant.id);
    if has_deleted((state, runner), &granted, format!("/v1/secret_keys/{id}")).await {
        return;
    }
    if let Err(error) = secret_keys::revoke(state, merchant_id, id).await
        && error.code() != ErrorCode::NotFound
    {
        tracing::warn!(key.id = %id, %error, "a session ended, but its secret key was not revoked");
    }
}

/// Revokes a session's spend key.
pub async fn revoke(state: &State, runner: Option<&Runner>, key: SessionKey) {
    let id = key.id;
    if has_deleted((state, runner), &key.manager, format!("/v1/spend_keys/{id}")).await {
        return;
    }
    let auth = KeyManagerAuth::Secret(key.manager.key);
    if let Err(error) = spend_keys::end(state.clone(), auth, id).await
        && error.code() != ErrorCode::NotFound
    {
        tracing::warn!(key.id = %id, %error, "a session ended, but its spend key was not revoked; it lapses by itself");
    }
}

fn key_body(state: &State, client: &str, expires_at_ms: i64) -> Map<String, Value> {
    let limit = &state.mcp.options().session_spend_limit;
    let mut body = Map::new();
    body.insert("name".to_owned(), Value::from(format!("MCP session of {client}")));
    body.insert("expires_at".to_owned(), Value::from(iso_millis(expires_at_ms)));
    body.insert("tags".to_owned(), json!(["mcp"]));
    // What an agent gives up is not paid to its end.
    body.insert("on_disconnect".to_owned(), Value::from("cancel"));
    if !limit.is_empty() {
        let limit = json!({ "amount": limit, "cycle": "daily" });
        body.insert("spend_limit".to_owned(), limit);
    }
    body
}

/// Whether the management interface did it; it does nothing for a secret key that was revoked meanwhile.
async fn has_deleted((state, runner): (&State, Option<&Runner>), manager: &Manager, path: String) -> bool {
    let is_good = state.keyring.find(manager.token.expose()).is_some();
    let Some(runner) = runner.filter(|_| is_good) else {
        return false;
    };
    let answer = runner.run(call(Method::DELETE, path, manager, None)).await;
    answer.is_ok_and(|answer| answer.is_success())
}

fn call(method: Method, path: String, manager: &Manager, address: Option<IpAddr>) -> InnerCall {
    InnerCall {
        method,
        path,
        credential: Some(manager.token.clone()),
        inside: Inside {
            address,
            shapes: Shapes::Own,
        },
        headers: Vec::new(),
        body: None,
        limit_bytes: ANSWER_LIMIT_BYTES,
    }
}

/// The refusal again, for the tool that needed the key.
fn refusal_of(answer: &InnerAnswer, body: &Value) -> ApiError {
    let word = body["error"]["code"].as_str().unwrap_or_default();
    let code = ErrorCode::ALL.iter().find(|code| code.word() == word);
    let Some(code) = code else {
        return ApiError::internal("making a session's key", &answer.status);
    };
    let message = body["error"]["message"].as_str().unwrap_or(code.message());
    ApiError::new(*code).say(format!("The session has no spend key: {message}"))
}
