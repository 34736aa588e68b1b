//! `/v1/plans`: what a merchant's customers subscribe to, with the credit bundles of each plan and the meters that may
//! draw on its credit. Price and interval never change, and whoever is on a plan that is deleted stays on it.

mod body;

use std::cell::Cell;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::{CreditBundleId, Mode, PlanId};
use crate::domain::plan::{CreditBundle, PlanError};
use crate::engine::random;
use crate::engine::tariffs::Tariffs;
use crate::storage::StorageError;
use crate::storage::plans::{self as rows, LinkedMeter, PlanRefusal, PlanRow};

use super::auth::SecretKeyAuth;
use super::error::ApiError;
use super::json_body::JsonBody;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::tariffs;
use super::time::iso_millis;

type State = web::Data<AppState>;

/// POST `{name, period_amount, billing_interval, ...}`.
pub async fn create(auth: SecretKeyAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let merchant = &auth.0.merchant;
    let id = PlanId::compose_in_order(merchant.mode(), state.clock.wall_us(), random_bits()?);
    let (plan, meter_ids) = body::read_creation(&body.0, id, &new_bundle_ids(&state, merchant.mode()))?;
    let merchant_id = merchant.id;
    let done = tariffs::change(&state, merchant_id, move |connection, tariffs| {
        let created = rows::create(connection, merchant_id, plan, &meter_ids)?;
        Ok(publish(tariffs, created))
    });
    let row = done.await??.map_err(refused)?;
    Ok(HttpResponse::Created().json(show(&row)))
}

/// GET of the list, newest first; `search` finds by name and id.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, search, merchant_id) = (read_page(&query)?, query.search()?, auth.merchant_id());
    let found = state
        .database
        .run(move |connection| rows::search(connection, merchant_id, &search, page))
        .await?;
    Ok(HttpResponse::Ok().json(envelope(&found, show)))
}

/// GET of one.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (id, merchant_id) = (plan_id(&request)?, auth.merchant_id());
    let work = state
        .database
        .run(move |connection| rows::find(connection, merchant_id, id));
    Ok(HttpResponse::Ok().json(show(&work.await.map_err(unknown_plan)?)))
}

/// PATCH: changes what the body names; bundles with an id are changed or removed, those without are made.
pub async fn update(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (id, merchant) = (plan_id(&request)?, &auth.0.merchant);
    let edit = body::read_edit(&body.0, &new_bundle_ids(&state, merchant.mode()))?;
    let merchant_id = merchant.id;
    let done = tariffs::change(&state, merchant_id, move |connection, tariffs| {
        let updated = rows::update(connection, merchant_id, id, edit)?;
        Ok(publish(tariffs, updated))
    });
    let row = done.await?.map_err(unknown_plan)?.map_err(refused)?;
    Ok(HttpResponse::Ok().json(show(&row)))
}

/// DELETE.
pub async fn delete(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (id, merchant_id) = (plan_id(&request)?, auth.merchant_id());
    let done = tariffs::change(&state, merchant_id, move |connection, tariffs| {
        rows::delete(connection, merchant_id, id)?;
        tariffs.retire_plan(id);
        Ok(())
    });
    done.await?.map_err(unknown_plan)?;
    Ok(HttpResponse::Ok().json(json!({ "id": id, "deleted": true })))
}

/// Puts a plan in force as it is stored, unless it was refused.
fn publish(tariffs: &Tariffs, outcome: Result<PlanRow, PlanRefusal>) -> Result<PlanRow, PlanRefusal> {
    let row = outcome?;
    tariffs.put_plan(row.listed());
    Ok(row)
}

/// A bundle without its plan, as plans and bundles show it.
pub(super) fn show_bundle(bundle: &CreditBundle) -> Value {
    json!({
        "credit_bundle_id": bundle.id,
        "name": bundle.name,
        "cost": bundle.cost,
        "credit_amount": bundle.credit_amount,
    })
}

/// Ids for the bundles of one body, in its order.
fn new_bundle_ids(state: &State, mode: Mode) -> impl Fn() -> Result<CreditBundleId, ApiError> {
    let next_us = Cell::new(state.clock.wall_us());
    move || {
        let now_us = next_us.replace(next_us.get() + 1);
        Ok(CreditBundleId::compose_in_order(mode, now_us, random_bits()?))
    }
}

fn random_bits() -> Result<u128, ApiError> {
    random::bits().map_err(|error| ApiError::internal("making an id", &error))
}

fn refused(refusal: PlanRefusal) -> ApiError {
    match refusal {
        PlanRefusal::NoSuchMeter(place) => ApiError::missing(&format!("meter_ids[{place}]"), "meter"),
        PlanRefusal::Plan(error @ (PlanError::NoSuchBundle(_) | PlanError::NoSuchDefaultBundle)) => {
            ApiError::missing(&error.param(), "credit bundle of this plan")
        }
        PlanRefusal::Plan(error) => ApiError::invalid(&error.param(), error),
    }
}

fn unknown_plan(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound => ApiError::missing("plan_id", "plan"),
        other => ApiError::from(other),
    }
}

/// A path that is no id names nothing.
fn plan_id(request: &HttpRequest) -> Result<PlanId, ApiError> {
    let text = request.match_info().get("id").unwrap_or("");
    text.parse().map_err(|_| unknown_plan(StorageError::NotFound))
}

fn show(row: &PlanRow) -> Value {
    let (plan, terms) = (&row.plan, &row.plan.terms);
    let show_meter = |meter: &LinkedMeter| json!({ "meter_id": meter.id, "name": meter.name });
    json!({
        "plan_id": terms.plan_id,
        "subscription_config_id": terms.plan_id,
        "merchant_id": row.merchant_id,
        "name": terms.name,
        "period_amount": terms.period_amount,
        "included_credit": terms.included_credit,
        "billing_interval": terms.interval,
        "rollover_type": terms.rollover,
        "bundle_rollover_type": terms.bundle_rollover,
        "default_auto_top_up_bundle_id": plan.default_bundle_id,
        "linked_meters": row.meters.iter().map(show_meter).collect::<Vec<_>>(),
        "credit_bundles": plan.bundles.iter().map(show_bundle).collect::<Vec<_>>(),
        "created_at": iso_millis(row.created_at_ms),
    })
}
