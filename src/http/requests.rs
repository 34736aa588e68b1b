//! `/v1/requests`: the rows of usage. A row is written in a batch a moment after its call has ended, so the look-up of
//! one row waits for the batch, up to half a second, before it says that there is no such request.

mod listing;
mod report;
mod shown;

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};

use crate::domain::ids::{CustomerId, MerchantId, MeterId, RequestId, SpendKeyId};
use crate::storage::StorageError;
use crate::storage::requests::{self as rows, RequestFilter, RequestRow};

pub use self::listing::{list, read_search};
pub use self::report::create;
use self::shown::{MeterKinds, show};

use super::auth::SecretKeyAuth;
use super::error::{ApiError, ErrorCode};
use super::fields::check_text;
use super::query::Query;
use super::state::AppState;

const POLL_INTERVAL: Duration = Duration::from_millis(25);
const POLLS: u32 = 20;

type State = web::Data<AppState>;

/// GET of one.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::missing("request_id", "request");
    let name = request.match_info().get("id").unwrap_or("");
    let Ok(id) = name.parse::<RequestId>() else {
        check_text(name, 255).map_err(|_| unknown())?;
        let reported = report::find(&state, auth.merchant_id(), name).await?;
        return reported.map(|row| HttpResponse::Ok().json(row)).ok_or_else(unknown);
    };
    for poll in 0..=POLLS {
        if poll > 0 {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        match find(&state, auth.merchant_id(), id).await {
            Ok((row, kinds)) => return Ok(HttpResponse::Ok().json(show(&row, &kinds))),
            // What was never admitted in this half second will not come.
            Err(StorageError::NotFound) if is_recent(id, state.now().wall_ms) => {}
            Err(StorageError::NotFound) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(unknown())
}

/// The filters of lists and of usage.
pub fn read_filter(query: &Query, state: &AppState, merchant_id: MerchantId) -> Result<RequestFilter, ApiError> {
    Ok(RequestFilter {
        spend_key_id: query.id::<SpendKeyId>("spend_key_id")?,
        customer_id: read_customer(query, state, merchant_id)?,
        meter_id: query.id::<MeterId>("meter_id")?,
        metadata: query.metadata_filters()?,
    })
}

/// A customer by his id, also where he is deleted, for his usage stays; or by his reference id.
fn read_customer(query: &Query, state: &AppState, merchant_id: MerchantId) -> Result<Option<CustomerId>, ApiError> {
    let Some(name) = query.text("customer_id")? else {
        return Ok(None);
    };
    let by_reference = || state.customers.find(merchant_id, name).map(|customer| customer.id);
    let id = name.parse().ok().or_else(by_reference);
    id.map(Some)
        .ok_or_else(|| ApiError::new(ErrorCode::CustomerNotFound).param("customer_id"))
}

async fn find(state: &State, merchant_id: MerchantId, id: RequestId) -> Result<(RequestRow, MeterKinds), StorageError> {
    state
        .database
        .run(move |connection| {
            let row = rows::find(connection, merchant_id, id)?;
            let kinds = MeterKinds::of(connection, std::slice::from_ref(&row))?;
            Ok((row, kinds))
        })
        .await
}

/// Whether a request of this id may still be running: no call lasts longer than an hour.
fn is_recent(id: RequestId, now_ms: i64) -> bool {
    now_ms.saturating_sub(id.created_ms()) < 3_600_000
}
