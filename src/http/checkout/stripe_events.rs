//! `/v1/payments/stripe/events`: Stripe says that a payment has come to its end. Nothing that it says is believed but
//! that there is news: the payment is then looked at as anybody would. It fails closed: a message without Stripe's
//! signature does nothing.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::PaymentId;
use crate::engine::payments::Approval;
use crate::gateway::payments::stripe::signature;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::json_body::read_bytes;

use super::{State, settle};

/// POST, from Stripe.
pub async fn take(request: HttpRequest, state: State, payload: web::Payload) -> Result<HttpResponse, ApiError> {
    state.phase.require_ready()?;
    let Some(secret) = &state.checkout.stripe_webhook_secret else {
        return Err(ApiError::new(ErrorCode::NotFound));
    };
    let body = read_bytes(&request, payload.into_inner()).await?;
    let header = request.headers().get("stripe-signature");
    let header = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    if let Err(error) = signature::verify(secret, header, &body, state.now().wall_s()) {
        tracing::warn!(%error, "a message that says it is from Stripe is not believed");
        return Err(ApiError::new(ErrorCode::InvalidRequest).say("The signature is not valid."));
    }
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let named = event["data"]["object"]["metadata"]["payment_id"].as_str();
    // Other programs may use the same account.
    if let Some(payment) = named.and_then(|text| text.parse::<PaymentId>().ok()) {
        match settle::settle(&state, payment, Approval::Unknown).await {
            Err(error) if error.code() != ErrorCode::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(HttpResponse::Ok().json(json!({ "received": true })))
}
