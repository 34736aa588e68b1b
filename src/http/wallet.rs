//! `/v1/wallet`: the wallet that pays where a call names none, with its balance as it is now.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::auth::SecretKeyAuth;
use super::error::ApiError;
use super::state::AppState;

/// GET.
pub async fn retrieve(auth: SecretKeyAuth, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let wallet_id = auth.0.merchant.default_wallet_id;
    let account = state
        .accounts
        .read(wallet_id)
        .await?
        .ok_or_else(|| ApiError::missing("wallet_id", "wallet"))?;
    Ok(HttpResponse::Ok().json(json!({
        "wallet_id": wallet_id,
        "balance": account.balance,
        "reserved": account.held,
        "funding": account.funding,
    })))
}
