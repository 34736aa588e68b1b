//! What became of an endpoint's events: lists by status, one with what was told and what the endpoint said, and the
//! replay of one that was given up.

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::{State, unknown_or_broken, webhook_id};
use crate::domain::ids::{DeliveryId, WebhookId};
use crate::domain::webhook::DeliveryStatus;
use crate::http::auth::SecretKeyAuth;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::page::{envelope, read_page};
use crate::http::query::Query;
use crate::http::time::iso_millis;
use crate::storage::StorageError;
use crate::storage::webhooks::{self as rows, DeliveryFilter, DeliveryRow, Replayed};

/// GET of an endpoint's deliveries, newest first, of one `status` where it is asked for.
pub async fn list(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let merchant_id = auth.merchant_id();
    let (page, status) = (read_page(&query)?, query.text("status")?);
    let wrong = || ApiError::invalid("status", format!("must be one of {}", DeliveryStatus::WORDS.join(", ")));
    let status = status.map(|word| DeliveryStatus::from_name(word).ok_or_else(wrong));
    let filter = DeliveryFilter {
        webhook_id: webhook_id(&request)?,
        status: status.transpose()?,
    };
    let work = state
        .database
        .run(move |connection| rows::list_deliveries(connection, merchant_id, filter, page));
    let found = work.await.map_err(unknown_or_broken)?;
    Ok(HttpResponse::Ok().json(envelope(&found, show)))
}

/// GET of one, with the body that is told and the beginning of what the endpoint said.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (ids, merchant_id) = (delivery_id(&request)?, auth.merchant_id());
    let work = state
        .database
        .run(move |connection| rows::find_delivery(connection, merchant_id, ids));
    let row = work.await.map_err(unknown_delivery_or_broken)?;
    let mut shown = show(&row);
    shown["body"] = Value::from(row.body);
    shown["last_answer"] = Value::from(row.last_answer);
    Ok(HttpResponse::Ok().json(shown))
}

/// POST: sends it at once, and then as often as a new one. One that is being sent goes on as it is.
pub async fn replay(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (ids, merchant_id) = (delivery_id(&request)?, auth.merchant_id());
    let now_ms = state.now().wall_ms;
    let work = state
        .database
        .run(move |connection| rows::replay(connection, merchant_id, ids, now_ms));
    match work.await.map_err(unknown_delivery_or_broken)? {
        Replayed::Due(row) => {
            state.bell.ring();
            Ok(HttpResponse::Ok().json(show(&row)))
        }
        Replayed::Disabled => {
            let message = "The webhook is disabled; enable it first.";
            Err(ApiError::new(ErrorCode::Conflict).say(message).param("webhook_id"))
        }
    }
}

fn delivery_id(request: &HttpRequest) -> Result<(WebhookId, DeliveryId), ApiError> {
    let text = request.match_info().get("delivery").unwrap_or("");
    let id = text.parse().map_err(|_| unknown_delivery())?;
    Ok((webhook_id(request)?, id))
}

fn unknown_delivery() -> ApiError {
    ApiError::missing("delivery_id", "delivery")
}

fn unknown_delivery_or_broken(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound => unknown_delivery(),
        other => ApiError::from(other),
    }
}

fn show(row: &DeliveryRow) -> Value {
    let is_pending = match row.status {
        DeliveryStatus::Pending => true,
        DeliveryStatus::Delivered | DeliveryStatus::Dead => false,
    };
    json!({
        "delivery_id": row.id,
        "webhook_id": row.webhook_id,
        "event_id": row.event_id,
        "event": row.event,
        "status": row.status,
        "attempt_count": row.attempt_count,
        "next_attempt_at": is_pending.then(|| iso_millis(row.due_at_ms)),
        "last_attempt_at": row.last_attempt_ms.map(iso_millis),
        "last_status": row.last_status,
        "last_error": row.last_error,
        "ended_at": row.ended_at_ms.map(iso_millis),
        "created_at": iso_millis(row.event_id.created_ms()),
    })
}
