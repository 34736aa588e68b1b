//! `/v1/calls`: the calls in flight at this moment, read from the workers that carry them, and the way to end one. A
//! wallet key sees and ends those of its wallet only; a call that has been settled, or is another's, is not there. No
//! call is looked up in Postgres.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::domain::cursor::Cursor;
use crate::domain::ids::{RequestId, SpendKeyId};
use crate::gateway::{CallView, CallsOf, EndedBy, EndedCall, Stage};
use crate::storage::page::Page;

use super::auth::KeyManagerAuth;
use super::error::ApiError;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::time::iso_millis;

/// A call that is told to end is settled within this, unless its customer's account or the disk keeps it waiting.
const SETTLING_LIMIT: Duration = Duration::from_secs(5);

type State = web::Data<AppState>;

/// GET of the list, newest first; `in_flight` says how many there are in all.
pub async fn list(auth: KeyManagerAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let page = read_page(&query)?;
    let of = CallsOf {
        spend_key_id: query.id::<SpendKeyId>("spend_key_id")?,
        ..calls_of(&auth)
    };
    let before = page.after.map(|Cursor(bits)| RequestId::from_bits(bits));
    let most = page.limit as usize;
    let mut newest = state.live_calls.newest(of, before, most + 1).await?;
    let has_more = newest.calls.len() > most;
    newest.calls.truncate(most);
    let last = newest.calls.last().filter(|_| has_more);
    let next = last.map(|call| Cursor(call.facts.admitted.id.bits()));
    let now_ms = state.now().wall_ms;
    let found = Page {
        rows: newest.calls,
        next,
    };
    let mut shown = envelope(&found, |call| show(call, now_ms));
    shown["in_flight"] = newest.count.into();
    Ok(HttpResponse::Ok().json(shown))
}

/// GET of one.
pub async fn retrieve(auth: KeyManagerAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let found = state.live_calls.find(calls_of(&auth), request_id(&request)?).await?;
    let call = found.ok_or_else(not_in_flight)?;
    Ok(HttpResponse::Ok().json(show(&call, state.now().wall_ms)))
}

/// DELETE: ends the call. What was sent of a stream is billed, and its client gets a proper end; a call that has not
/// been answered is refused to its client and billed by estimate, for the provider may have run it.
pub async fn end(auth: KeyManagerAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let id = request_id(&request)?;
    let Ok(ended) = timeout(SETTLING_LIMIT, state.live_calls.end(calls_of(&auth), id)).await else {
        return Ok(HttpResponse::Ok().json(json!({ "request_id": id, "result": "ending" })));
    };
    let ended = ended.ok_or_else(not_in_flight)?;
    tracing::info!(request.id = %id, "a call was ended by its owner");
    Ok(HttpResponse::Ok().json(show_end(id, &ended)))
}

/// What this key may see.
pub fn calls_of(auth: &KeyManagerAuth) -> CallsOf {
    CallsOf {
        merchant_id: auth.merchant_id(),
        wallet_id: auth.only_wallet(),
        spend_key_id: None,
    }
}

fn not_in_flight() -> ApiError {
    ApiError::missing("request_id", "call in flight")
}

/// A path that is no id names nothing.
fn request_id(request: &HttpRequest) -> Result<RequestId, ApiError> {
    let text = request.match_info().get("id").unwrap_or("");
    text.parse().map_err(|_| not_in_flight())
}

/// All fields of a call.
pub fn show(call: &CallView, now_ms: i64) -> Value {
    let (facts, admitted) = (&call.facts, &call.facts.admitted);
    let metered = admitted.metered.as_ref();
    json!({
        "request_id": admitted.id,
        "attempt": facts.attempt,
        "attempt_of": admitted.attempt_of,
        "stage": stage(call.stage),
        "streaming": admitted.streaming,
        "spend_key_id": admitted.spend_key_id,
        "spend_key_name": facts.key.as_ref().map(|key| &key.name),
        "wallet_id": admitted.wallet_id,
        "customer_id": metered.and_then(|metered| metered.customer_id),
        "meter_id": metered.map(|metered| metered.meter_id),
        "provider": admitted.provider,
        "provider_key_type": admitted.provider_key_type.name(),
        "model": admitted.model,
        "endpoint": admitted.endpoint,
        "operation": facts.endpoint.name(),
        "dialect": facts.speech.name(),
        "simulated": admitted.simulated,
        "started_at": iso_millis(admitted.admitted_at_ms),
        "duration_ms": now_ms.saturating_sub(admitted.admitted_at_ms).max(0),
        "output_tokens": call.output_tokens,
        "output_bytes": call.output_bytes,
        "held": call.held,
        "cost": call.cost,
        "metadata": serde_json::from_str(&admitted.metadata).unwrap_or_else(|_| json!({})),
    })
}

fn show_end(id: RequestId, ended: &EndedCall) -> Value {
    json!({
        "request_id": id,
        "result": match ended.by {
            EndedBy::Owner => "ended",
            EndedBy::Itself => "finished",
        },
        "cost": ended.cost,
        "output_tokens": ended.output_tokens,
        "usage_source": ended.usage_source.name(),
    })
}

const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Waiting => "waiting",
        Stage::Answering => "answering",
    }
}
