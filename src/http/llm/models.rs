//! `GET /v1/models`: open to all; with a spend key the list holds what that key may call.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::Mode;
use crate::gateway::Worker;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;

use super::caller;

/// The models that can be called now.
pub async fn list(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let worker = request
        .app_data::<Worker>()
        .ok_or_else(|| ApiError::new(ErrorCode::Starting))?;
    state.phase.require_ready()?;
    let has_credential = caller::presented(request.headers()).next().is_some();
    let caller = if has_credential {
        Some(caller::find(&request, &state, None)?)
    } else {
        None
    };
    let settings = caller.as_ref().and_then(|caller| caller.spend_key.as_deref());
    let allowed = |model: &str, provider: &str| {
        settings.is_none_or(|settings| settings.allows_model(model) && settings.allows_provider(provider))
    };
    let mode = caller.as_ref().map_or(Mode::Live, |caller| caller.merchant.mode());
    let models = worker.catalogue_for(mode).models_for(worker.prices());
    let data: Vec<Value> = models
        .iter()
        .filter(|model| allowed(&model.id, &model.owned_by))
        .map(|model| json!({ "id": model.id, "object": "model", "created": 0, "owned_by": &*model.owned_by }))
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "object": "list", "data": data })))
}
