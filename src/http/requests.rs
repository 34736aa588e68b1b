//! `/v1/requests`: the rows of usage. A row is written in a batch a moment after its call has ended, so the look-up of
//! one row waits for the batch, up to half a second, before it says that there is no such request.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::{CustomerId, MerchantId, MeterId, RequestId, SpendKeyId};
use crate::storage::StorageError;
use crate::storage::requests::{self as rows, RequestFilter, RequestRow};

use super::auth::SecretKeyAuth;
use super::error::ApiError;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::time::iso_millis;

const POLL_INTERVAL: Duration = Duration::from_millis(25);
const POLLS: u32 = 20;

type State = web::Data<AppState>;

/// GET of the list, newest first.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, filter) = (read_page(&query)?, read_filter(&query)?);
    let merchant_id = auth.merchant_id();
    let found = state
        .database
        .run(move |connection| rows::list(connection, merchant_id, &filter, page))
        .await?;
    Ok(HttpResponse::Ok().json(envelope(&found, show)))
}

/// GET of one.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::missing("request_id", "request");
    let id: RequestId = request
        .match_info()
        .get("id")
        .unwrap_or("")
        .parse()
        .map_err(|_| unknown())?;
    for poll in 0..=POLLS {
        if poll > 0 {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        match find(&state, auth.merchant_id(), id).await {
            Ok(row) => return Ok(HttpResponse::Ok().json(show(&row))),
            // What was never admitted in this half second will not come.
            Err(StorageError::NotFound) if is_recent(id, state.now().wall_ms) => {}
            Err(StorageError::NotFound) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(unknown())
}

/// The filters of lists and of usage.
pub fn read_filter(query: &Query) -> Result<RequestFilter, ApiError> {
    Ok(RequestFilter {
        spend_key_id: query.id::<SpendKeyId>("spend_key_id")?,
        customer_id: query.id::<CustomerId>("customer_id")?,
        meter_id: query.id::<MeterId>("meter_id")?,
        metadata: query.metadata_filters()?,
    })
}

async fn find(state: &State, merchant_id: MerchantId, id: RequestId) -> Result<RequestRow, StorageError> {
    state
        .database
        .run(move |connection| rows::find(connection, merchant_id, id))
        .await
}

/// Whether a request of this id may still be running: no call lasts longer than an hour.
fn is_recent(id: RequestId, now_ms: i64) -> bool {
    now_ms.saturating_sub(id.created_ms()) < 3_600_000
}

fn show(row: &RequestRow) -> Value {
    json!({
        "request_id": row.id,
        "attempt_of": row.attempt_of,
        "status": row.outcome.name(),
        "customer_id": row.customer_id,
        "meter_id": row.meter_id,
        "spend_key_id": row.spend_key_id,
        "wallet_id": row.wallet_id,
        "provider": row.provider,
        "provider_key_type": row.provider_key_type.name(),
        "model": row.model,
        "endpoint": row.endpoint,
        "response_id": row.response_id,
        "model_usage": usage(row),
        "cost": row.cost,
        "price_version": row.price_version,
        "charge": { "amount": row.charge, "rate_type": null, "breakdown": [] },
        "metadata": row.metadata.clone().unwrap_or_else(|| json!({})),
        "usage_source": row.usage_source.name(),
        "http_status": row.http_status,
        "streaming": row.streaming,
        "simulated": row.simulated,
        "timestamp": iso_millis(row.finished_at_ms),
        "created_at": iso_millis(row.admitted_at_ms),
    })
}

fn usage(row: &RequestRow) -> Value {
    let usage = row.usage;
    json!({
        "input_tokens": usage.total_input(),
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens),
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_input_tokens": usage.audio_input_tokens,
        "audio_output_tokens": usage.audio_output_tokens,
        "web_searches": usage.web_searches,
        "image_input_tokens": usage.image_input_tokens,
        "image_output_tokens": usage.image_output_tokens,
        "audio_cache_read_tokens": usage.audio_cache_read_tokens,
        "images": usage.images,
        "characters": usage.characters,
        "audio_ms": usage.audio_ms,
        "output_audio_ms": usage.output_audio_ms,
        "pages": usage.pages,
        "queries": usage.queries,
        "input_characters": usage.characters,
        "output_characters": 0,
        "total_characters": usage.characters,
        "input_seconds": seconds(usage.audio_ms),
        "output_seconds": seconds(usage.output_audio_ms),
        "total_seconds": seconds(usage.audio_ms.saturating_add(usage.output_audio_ms)),
        "input_cost": row.input_cost,
        "output_cost": row.output_cost,
        "total_cost": row.cost,
    })
}

/// Whole seconds, rounded half up; the exact milliseconds stand beside them.
fn seconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_add(500) / 1000
}
