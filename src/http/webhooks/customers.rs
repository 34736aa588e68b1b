//! What endpoints are told of customers: that one came or went, in the transaction in which he did, and what he is like
//! when his balance has changed. Each time it is the customer as his own answers show him; with a balance also the
//! credit that he has.

use actix_web::web;
use diesel::{Connection as _, PgConnection};
use serde_json::{Value, json};

use crate::domain::ids::{CustomerId, MerchantId};
use crate::domain::webhook::EventName;
use crate::engine::customer_accounts::Whose;
use crate::engine::ports::{Answered, Customers, OutboxAway};
use crate::http::customers::{show, shown};
use crate::http::state::AppState;
use crate::storage::StorageError;
use crate::storage::customers::{self as rows, Creation, CustomerRow};
use crate::storage::webhooks::{NewEvent, emit};

type State = web::Data<AppState>;

/// Customers as the management calls show them.
pub struct ShownCustomers(pub State);

impl Customers for ShownCustomers {
    fn describe(&self, merchant: MerchantId, customer: CustomerId) -> Answered<Option<Value>, OutboxAway> {
        let state = self.0.clone();
        Box::pin(describe(state, merchant, customer))
    }
}

/// Stores a new customer as [`rows::create`] does, and says so where there is one more; `subscription` is what he is
/// about to begin, in brief.
pub fn create_and_tell(
    connection: &mut PgConnection,
    new: CustomerRow,
    subscription: &Value,
) -> Result<Creation, StorageError> {
    let at_ms = new.created_at_ms;
    connection.transaction(|connection| {
        let creation = rows::create(connection, new)?;
        match &creation {
            Creation::Made(row) => {
                let event = event(EventName::CustomerCreated, row, subscription, at_ms);
                emit(connection, row.merchant_id, &event)?;
            }
            Creation::Existing(_) => {}
        }
        Ok(creation)
    })
}

/// Deletes a customer as [`rows::delete`] does, and says so.
pub fn delete_and_tell(
    connection: &mut PgConnection,
    merchant: MerchantId,
    name: &str,
    at_ms: i64,
) -> Result<CustomerRow, StorageError> {
    connection.transaction(|connection| {
        let row = rows::delete(connection, merchant, name)?;
        let event = event(EventName::CustomerDeleted, &row, &Value::Null, at_ms);
        emit(connection, row.merchant_id, &event)?;
        Ok(row)
    })
}

fn event(name: EventName, row: &CustomerRow, subscription: &Value, at_ms: i64) -> NewEvent {
    NewEvent {
        name,
        subject: row.id.bits(),
        at_ms,
        data: show(row, subscription),
    }
}

async fn describe(state: State, merchant_id: MerchantId, customer_id: CustomerId) -> Result<Option<Value>, OutboxAway> {
    let name = customer_id.to_string();
    let found = state
        .database
        .run(move |connection| rows::find(connection, merchant_id, &name));
    let row = match found.await {
        Ok(row) => row,
        Err(StorageError::NotFound) => return Ok(None),
        Err(error) => return Err(OutboxAway(error.to_string())),
    };
    let whose = Whose {
        customer_id,
        merchant_id,
    };
    let account = state.customer_accounts.read(whose).await;
    let credit = account.map_err(|error| OutboxAway(error.to_string()))?.credit.credit;
    let mut told = shown(&state, row)
        .await
        .map_err(|error| OutboxAway(error.to_string()))?;
    told["credits"] = json!({
        "total_remaining": credit.total(),
        "cycle_remaining": credit.cycle,
        "bundle_remaining": credit.bundle,
    });
    Ok(Some(told))
}
