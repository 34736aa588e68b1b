//! The management API on the operator's listener, under `/operator/v1`: whoever has the operator's token acts there as
//! one merchant, the one whom `x-caldera-merchant` names or else the oldest, with all that a secret key of his may do. No
//! limit of requests counts him. It fails closed: without the token nothing behind it is reached.

use std::sync::Arc;

use actix_web::HttpMessage as _;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web;

use super::find_owner;
use super::token::admit;
use crate::domain::ids::{MerchantId, SecretKeyId};
use crate::engine::keyring::SecretKey;
use crate::http::audit::Actor;
use crate::http::auth::KeyManagerAuth;
use crate::http::error::ApiError;
use crate::http::state::AppState;

/// Names the merchant for whom the operator acts.
pub const MERCHANT_HEADER: &str = "x-caldera-merchant";

/// Middleware: lets the operator in as a merchant, and leaves `OperatorAuth` in the request's extensions for whoever
/// wants to know that it is he.
pub async fn as_merchant(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, actix_web::Error> {
    match enter(&request).await {
        Ok(()) => next.call(request).await,
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

async fn enter(request: &ServiceRequest) -> Result<(), ApiError> {
    let operator = admit(request.request())?;
    let Some(state) = request.app_data::<web::Data<AppState>>() else {
        return Err(ApiError::internal("reading the state", &"the route has none"));
    };
    let (merchant, _) = find_owner(state, named(request)?, None).await?;
    let key = SecretKey {
        // No such key is stored: its id says that it was the operator.
        id: SecretKeyId::compose(merchant.mode(), 0, 0),
        merchant,
    };
    let mut extensions = request.extensions_mut();
    extensions.insert(operator);
    extensions.insert(Actor::operator());
    extensions.insert(KeyManagerAuth::Secret(Arc::new(key)));
    Ok(())
}

fn named(request: &ServiceRequest) -> Result<Option<MerchantId>, ApiError> {
    let Some(value) = request.headers().get(MERCHANT_HEADER) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some)
        .ok_or_else(|| ApiError::invalid(MERCHANT_HEADER, "must be the id of a merchant (mer_...)"))
}
