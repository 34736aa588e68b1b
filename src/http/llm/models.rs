//! `GET /v1/models` and `GET /v1/models/{model}`: open to all; with a spend key the list holds what that key may call. The
//! same under `/v1beta` for Google's clients, in Google's shape: every model can be called through its format.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::Mode;
use crate::gateway::Worker;
use crate::gateway::dialect::Speech;
use crate::gateway::provider::ListedModel;
use crate::gateway::target::OwnParameters;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;

use super::{answer, caller};

/// The models that can be called now.
pub async fn list(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let models = callable(&request, &state)?;
    let data: Vec<Value> = models.iter().map(shown).collect();
    Ok(HttpResponse::Ok().json(json!({ "object": "list", "data": data })))
}

/// One of them.
pub async fn retrieve(
    request: HttpRequest,
    state: web::Data<AppState>,
    wanted: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let model = one(callable(&request, &state)?, &wanted)?;
    Ok(HttpResponse::Ok().json(shown(&model)))
}

/// The models as Google lists them: on one page, however many are asked for.
pub async fn google_list(request: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    match callable(&request, &state) {
        Ok(models) => {
            let models: Vec<Value> = models.iter().map(shown_to_google).collect();
            HttpResponse::Ok().json(json!({ "models": models }))
        }
        Err(error) => answer::refused(&error, Speech::Google, None),
    }
}

/// One of them as Google shows it.
pub async fn google_retrieve(
    request: HttpRequest,
    state: web::Data<AppState>,
    wanted: web::Path<String>,
) -> HttpResponse {
    match callable(&request, &state).and_then(|models| one(models, &wanted)) {
        Ok(model) => HttpResponse::Ok().json(shown_to_google(&model)),
        Err(error) => answer::refused(&error, Speech::Google, None),
    }
}

fn one(models: Vec<ListedModel>, wanted: &str) -> Result<ListedModel, ApiError> {
    let named = |model: &ListedModel| {
        let bare = wanted
            .strip_prefix(&*model.owned_by)
            .and_then(|rest| rest.strip_prefix('/'));
        model.id == wanted || bare == Some(&model.id)
    };
    models.into_iter().find(named).ok_or_else(|| {
        ApiError::new(ErrorCode::ModelNotFound)
            .say("There is no such model, or it cannot be called.")
            .param("model")
    })
}

fn callable(request: &HttpRequest, state: &web::Data<AppState>) -> Result<Vec<ListedModel>, ApiError> {
    let worker = request
        .app_data::<Worker>()
        .ok_or_else(|| ApiError::new(ErrorCode::Starting))?;
    state.phase.require_ready()?;
    let own = OwnParameters::read(request.query_string()).map_err(|error| {
        ApiError::new(ErrorCode::InvalidRequest)
            .say(error.message)
            .param(error.param)
    })?;
    let has_credential = own.key.is_some() || caller::presented(request.headers()).next().is_some();
    let caller = if has_credential {
        Some(caller::find(request, state, own.key.as_ref())?)
    } else {
        None
    };
    let settings = caller.as_ref().and_then(|caller| caller.spend_key.as_deref());
    let mode = caller.as_ref().map_or(Mode::Live, |caller| caller.merchant.mode());
    let catalogue = worker.catalogue_for(mode);
    let means = caller.as_ref().map(|caller| catalogue.means(caller.merchant.id, None));
    let mut models = catalogue.models_with(&worker.prices(), &means.unwrap_or_default());
    models.retain(|model| {
        settings.is_none_or(|settings| {
            settings.allows_model(model.alias_of.as_ref().unwrap_or(&model.id))
                && settings.allows_provider(&model.owned_by)
        })
    });
    Ok(models)
}

fn shown(model: &ListedModel) -> Value {
    json!({ "id": model.id, "object": "model", "created": 0, "owned_by": &*model.owned_by })
}

fn shown_to_google(model: &ListedModel) -> Value {
    let mut shown = json!({
        "name": format!("models/{}", model.id), "version": "1", "displayName": model.id,
        "description": format!("{} of {}", model.id, model.owned_by),
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    });
    let limits = [
        ("inputTokenLimit", model.price.max_input_tokens),
        ("outputTokenLimit", model.price.max_output_tokens),
    ];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            shown[name] = limit.into();
        }
    }
    shown
}
