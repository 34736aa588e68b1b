//! `/v1/proof`: the books of a merchant proved, and those of the whole server on the operator's listener. Each invariant
//! shows both of its sides and their difference, which is zero; what is still on its way to Postgres is in neither.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::MerchantId;
use crate::domain::money::Money;
use crate::storage::proof::{self, Invariant, Unit};

use super::auth::SecretKeyAuth;
use super::error::ApiError;
use super::operator::token::OperatorAuth;
use super::state::AppState;
use super::time::iso_millis;

type State = web::Data<AppState>;

/// GET, for a merchant.
pub async fn retrieve(auth: SecretKeyAuth, state: State) -> Result<HttpResponse, ApiError> {
    prove(&state, Some(auth.merchant_id())).await
}

/// GET, for the operator.
pub async fn of_all(_: OperatorAuth, state: State) -> Result<HttpResponse, ApiError> {
    prove(&state, None).await
}

async fn prove(state: &State, merchant: Option<MerchantId>) -> Result<HttpResponse, ApiError> {
    let as_of = iso_millis(state.now().wall_ms);
    let invariants = state
        .database
        .run_long(move |connection| proof::read(connection, merchant))
        .await?;
    let holds = invariants.iter().all(|invariant| invariant.left == invariant.right);
    Ok(HttpResponse::Ok().json(json!({
        "as_of": as_of,
        "holds": holds,
        "invariants": invariants.iter().map(show).collect::<Vec<_>>(),
    })))
}

fn show(invariant: &Invariant) -> Value {
    let written = |number: i64| match invariant.unit {
        Unit::Money => Money::from_nanos(number).to_string(),
        Unit::Count => number.to_string(),
    };
    json!({
        "name": invariant.name,
        "left": written(invariant.left),
        "right": written(invariant.right),
        "difference": match invariant.left.saturating_sub(invariant.right) {
            0 => "0".to_owned(),
            difference => written(difference),
        },
    })
}
