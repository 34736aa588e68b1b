//! `/v1/customers`: whom a merchant bills. A customer is named by his id or by the merchant's reference id for him; a
//! creation with a reference id that is taken answers with the customer who has it. What is changed here is known to the
//! gateway before it is answered. Where it is unknown whether a change was stored, the rows are asked until they answer,
//! and what they say is what counts.

pub mod body;
pub mod subscription;

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use diesel::PgConnection;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::domain::customer::{CustomerFields, split_name};
use crate::domain::ids::{CustomerId, MerchantId};
use crate::engine::customer_accounts::Whose;
use crate::engine::customers::Customers;
use crate::engine::random;
use crate::storage::StorageError;
use crate::storage::customers::{self as rows, Creation, CustomerRow, REFERENCE_KEY};
use crate::storage::page::Page;

use self::body::CustomerChange;
use self::subscription::{first_subscription, in_brief, subscription_of, subscriptions_of};
use super::auth::SecretKeyAuth;
use super::csv::{self, Column, Format};
use super::error::{ApiError, ErrorCode};
use super::json_body::JsonBody;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::subscriptions::end_for_good;
use super::time::iso_millis;
use super::turns::to_the_end;
use super::webhooks::customers::{create_and_tell, delete_and_tell};

type State = web::Data<AppState>;

/// How long rows that did not answer are left alone.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a creation waits for the begin of the subscription, and a deletion for its end.
const PATIENCE: Duration = Duration::from_secs(10);

/// POST: 201 with a new customer, who is on the merchant's free plan; 200 with the one who has this reference id already, as he is.
pub async fn create(auth: SecretKeyAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let mut fields = CustomerFields::default();
    CustomerChange::read(&body.0)?.apply(&mut fields);
    let merchant = &auth.0.merchant;
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let id = CustomerId::compose_in_order(merchant.mode(), state.clock.wall_us(), random);
    let new = CustomerRow {
        id,
        merchant_id: merchant.id,
        fields,
        created_at_ms: id.created_ms(),
    };
    let subscription = first_subscription(&state, &new);
    let creation = change(&state, merchant.id, Some(id), move |connection, held| {
        let creation = create_and_tell(connection, new, &subscription)?;
        if let Creation::Made(row) = &creation {
            held.insert(row.reference());
        }
        Ok(creation)
    })
    .await?;
    match creation {
        Creation::Made(row) => {
            begin(&state, &row).await;
            Ok(HttpResponse::Created().json(shown(&state, row).await?))
        }
        Creation::Existing(row) => Ok(HttpResponse::Ok().json(shown(&state, row).await?)),
    }
}

/// GET of the list, newest first. `search` finds by name, email, reference id and id; `format=csv` gives a table of all that
/// is found.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    if Format::read(&query)? == Format::Csv {
        return table(auth, state, query).await;
    }
    let found = load_page(&auth, &state, &query).await?;
    Ok(HttpResponse::Ok().json(envelope(&found, |(row, subscription)| show(row, subscription))))
}

const COLUMNS: [Column; 10] = [
    ("customer_id", "/customer_id"),
    ("reference_id", "/reference_id"),
    ("first_name", "/contact/first_name"),
    ("last_name", "/contact/last_name"),
    ("email", "/contact/email"),
    ("phone", "/contact/phone"),
    ("plan", "/subscription/name"),
    ("credit_remaining", "/credit_remaining"),
    ("metadata", "/metadata"),
    ("created_at", "/created_at"),
];

async fn table(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (search, merchant_id) = (query.search()?, auth.merchant_id());
    csv::stream("customers", &COLUMNS, move |page| {
        let (state, search) = (state.clone(), search.clone());
        async move {
            let found = state
                .database
                .run(move |connection| rows::search(connection, merchant_id, &search, page))
                .await?;
            let subscriptions = subscriptions_of(&state, &found.rows).await?;
            let cells = |(row, subscription): (&CustomerRow, &Value)| {
                let mut shown = show(row, subscription);
                shown["credit_remaining"] = subscription["credits"]["total_remaining"].clone();
                csv::cells(&shown, &COLUMNS)
            };
            Ok(csv::Part {
                rows: found.rows.iter().zip(&subscriptions).map(cells).collect(),
                next: found.next,
            })
        }
    })
    .await
}

/// A page of customers, each with his whole subscription; `reference_id` names the only one who is asked for.
pub(super) async fn load_page(
    auth: &SecretKeyAuth,
    state: &State,
    query: &Query,
) -> Result<Page<(CustomerRow, Value)>, ApiError> {
    let (page, search, merchant_id) = (read_page(query)?, query.search()?, auth.merchant_id());
    let reference_id = query.text("reference_id")?.map(str::to_owned);
    let work = state.database.run(move |connection| {
        let Some(reference_id) = reference_id else {
            return rows::search(connection, merchant_id, &search, page);
        };
        let rows = match rows::find_by_reference(connection, merchant_id, &reference_id) {
            Ok(row) => vec![row],
            Err(StorageError::NotFound) => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Page { rows, next: None })
    });
    let found = work.await?;
    let subscriptions = subscriptions_of(state, &found.rows).await?;
    Ok(Page {
        rows: found.rows.into_iter().zip(subscriptions).collect(),
        next: found.next,
    })
}

/// GET of one.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let row = load(&auth, &state, &request).await?;
    Ok(HttpResponse::Ok().json(shown(&state, row).await?))
}

/// GET of one's subscription, whole.
pub async fn retrieve_subscription(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let row = load(&auth, &state, &request).await?;
    let subscription = subscription_of(&state, &row).await?;
    Ok(HttpResponse::Ok().json(json!({ "subscription": subscription })))
}

/// PATCH: changes what the body mentions; null clears.
pub async fn update(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let wanted = CustomerChange::read(&body.0)?;
    let (merchant_id, name) = (auth.merchant_id(), name_in(&request));
    let known = known_id(&state, merchant_id, &name);
    let row = change(&state, merchant_id, known, move |connection, held| {
        let row = rows::update(connection, merchant_id, &name, |fields| wanted.apply(fields))?;
        held.insert(row.reference());
        Ok(row)
    })
    .await?;
    Ok(HttpResponse::Ok().json(shown(&state, row).await?))
}

/// DELETE: he is unknown from now on, his reference id is free, and his subscription ends with all its credit.
pub async fn delete(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (merchant_id, name) = (auth.merchant_id(), name_in(&request));
    let known = known_id(&state, merchant_id, &name);
    let now_ms = state.now().wall_ms;
    let customer_id = change(&state, merchant_id, known, move |connection, held| {
        let row = delete_and_tell(connection, merchant_id, &name, now_ms)?;
        held.remove(row.id);
        Ok(row.id)
    })
    .await?;
    let whose = Whose {
        customer_id,
        merchant_id,
    };
    // It goes on by itself where it takes longer: he is gone already.
    let ending = actix_rt::spawn(end_for_good(state, whose));
    drop(tokio::time::timeout(PATIENCE, ending).await);
    Ok(HttpResponse::Ok().json(json!({ "success": true })))
}

/// Puts a new customer on the plan on which customers begin. Where that fails or takes longer it is made up for when he
/// is next looked at: he is there already.
async fn begin(state: &State, row: &CustomerRow) {
    let whose = Whose {
        customer_id: row.id,
        merchant_id: row.merchant_id,
    };
    drop(tokio::time::timeout(PATIENCE, state.customer_accounts.begin(whose)).await);
}

/// Does the work, which changes the row and then what is held; the merchant's next change waits for both. `id` is whose
/// row is asked again where it is unknown what was stored.
async fn change<T, F>(state: &State, merchant_id: MerchantId, id: Option<CustomerId>, work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&mut PgConnection, &Customers) -> Result<T, StorageError> + Send + 'static,
{
    let state = state.clone();
    to_the_end(async move {
        let _turn = state.turns.take(merchant_id.bits()).await;
        let held = state.customers.clone();
        let done = state.database.run(move |connection| work(connection, &held)).await;
        done.map_err(|error| {
            if let (StorageError::Unavailable(_), Some(id)) = (&error, id) {
                actix_rt::spawn(read_again(state.clone(), merchant_id, id));
            }
            refusal(error)
        })
    })
    .await
}

async fn read_again(state: State, merchant_id: MerchantId, id: CustomerId) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let _turn = state.turns.take(merchant_id.bits()).await;
        let name = id.to_string();
        let known = state
            .database
            .run(move |connection| rows::find(connection, merchant_id, &name));
        match known.await {
            Ok(row) => state.customers.insert(row.reference()),
            Err(StorageError::NotFound) => {
                state.customers.remove(id);
                let whose = Whose {
                    customer_id: id,
                    merchant_id,
                };
                actix_rt::spawn(end_for_good(state.clone(), whose));
            }
            Err(_) => continue,
        }
        return;
    }
}

/// The customer whom the path names.
pub(super) async fn load(auth: &SecretKeyAuth, state: &State, request: &HttpRequest) -> Result<CustomerRow, ApiError> {
    let (merchant_id, name) = (auth.merchant_id(), name_in(request));
    let found = state
        .database
        .run(move |connection| rows::find(connection, merchant_id, &name));
    found.await.map_err(refusal)
}

fn refusal(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound => ApiError::new(ErrorCode::CustomerNotFound).param("customer_id"),
        StorageError::Conflict { constraint } if constraint == REFERENCE_KEY => ApiError::new(ErrorCode::Conflict)
            .say("Another customer has this `reference_id`.")
            .param("reference_id"),
        other => ApiError::from(other),
    }
}

/// The id or reference id that the path names. The router has decoded all of it but `%`, `/` and `+`.
fn name_in(request: &HttpRequest) -> String {
    let text = request.match_info().get("id").unwrap_or("");
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn known_id(state: &AppState, merchant_id: MerchantId, name: &str) -> Option<CustomerId> {
    state.customers.find(merchant_id, name).map(|customer| customer.id)
}

pub async fn shown(state: &State, row: CustomerRow) -> Result<Value, ApiError> {
    let subscription = subscription_of(state, &row).await?;
    Ok(show(&row, &subscription))
}

/// A customer with his whole subscription, of which only the brief form is shown.
pub fn show(row: &CustomerRow, subscription: &Value) -> Value {
    json!({
        "customer_id": row.id,
        "reference_id": row.fields.reference_id,
        "contact": show_contact(&row.fields),
        "subscription": in_brief(subscription),
        "metadata": row.fields.metadata,
        "created_at": iso_millis(row.created_at_ms),
    })
}

/// The official clients type the parts of a contact as strings, so what is not known is empty and not null.
pub(super) fn show_contact(fields: &CustomerFields) -> Value {
    let (first_name, last_name) = split_name(fields.name.as_deref());
    json!({
        "phone": fields.phone.as_deref().unwrap_or_default(),
        "email": fields.email.as_deref().unwrap_or_default(),
        "first_name": first_name,
        "last_name": last_name,
    })
}
