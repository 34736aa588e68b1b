//! `/v1/credit_bundles`: the bundles of all plans, to be read only. They are made, changed and removed with their plan.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use crate::domain::ids::CreditBundleId;
use crate::storage::StorageError;
use crate::storage::credit_bundles::{self as rows, CreditBundleRow};

use super::auth::SecretKeyAuth;
use super::error::ApiError;
use super::page::{envelope, read_page};
use super::plans::show_bundle;
use super::query::Query;
use super::state::AppState;
use super::time::iso_millis;

type State = web::Data<AppState>;

/// GET of the list, newest first; `plan_id` names the plan whose bundles are asked for.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, merchant_id) = (read_page(&query)?, auth.merchant_id());
    let plan_id = query.id("plan_id")?;
    let found = state
        .database
        .run(move |connection| rows::list(connection, merchant_id, plan_id, page))
        .await?;
    Ok(HttpResponse::Ok().json(envelope(&found, show)))
}

/// GET of one.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::missing("credit_bundle_id", "credit bundle");
    let text = request.match_info().get("id").unwrap_or("");
    let id: CreditBundleId = text.parse().map_err(|_| unknown())?;
    let merchant_id = auth.merchant_id();
    let work = state
        .database
        .run(move |connection| rows::find(connection, merchant_id, id));
    let row = work.await.map_err(|error| match error {
        StorageError::NotFound => unknown(),
        other => ApiError::from(other),
    })?;
    Ok(HttpResponse::Ok().json(show(&row)))
}

fn show(row: &CreditBundleRow) -> Value {
    let mut shown = show_bundle(&row.bundle);
    for name in ["plan_id", "subscription_config_id"] {
        shown[name] = Value::from(row.plan_id.to_string());
    }
    shown["created_at"] = Value::from(iso_millis(row.created_at_ms));
    shown
}
