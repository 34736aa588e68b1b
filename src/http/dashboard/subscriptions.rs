//! Subscriptions: which customers are on which plan, and what is done about one from its customer's page. Plans with a
//! price are begun by checkout only, as the API says.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::{Map, Value};

use crate::domain::ids::CustomerId;
use crate::http::audit::note_target;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::plain;
use crate::http::subscriptions as api;
use crate::storage::StorageError;
use crate::storage::customers::{self, CustomerRow};

use super::ask;
use super::customers::{PATH as CUSTOMERS, one};
use super::form::{Form, object};
use super::listing::Listing;
use super::sheet::is_refusal;
use super::shell::{self, Place, Shell, see_other};
use super::subscribed::Subscribed;
use super::visit::Visit;

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            plain("/subscriptions")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(plain("/subscriptions/{id}").route(web::post().to(update)))
        .service(plain("/subscriptions/{id}/cancel").route(web::post().to(cancel)))
        .service(plain("/subscriptions/{id}/withdraw").route(web::post().to(withdraw)));
}

#[derive(Template)]
#[template(path = "dashboard/subscriptions/list.html")]
struct ListPage {
    shell: Shell,
    listing: Listing,
    rows: Vec<Row>,
    next: Option<String>,
    /// Why nothing could be looked for; empty where it could.
    refusal: String,
}

/// One subscription of the list.
struct Row {
    customer_id: String,
    customer: String,
    subscription: Subscribed,
}

/// GET of the list.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &["customer_id", "status"])?;
    let found = ask::answer(api::list(visit.auth()?, visit.state.clone(), listing.asked()).await);
    let (found, refusal) = match found {
        Ok(found) => (found, String::new()),
        Err(error) if error.code() == ErrorCode::CustomerNotFound => (Value::Null, error.message().to_owned()),
        Err(error) => return Err(error),
    };
    let page = ListPage {
        shell: visit.shell(Place::Subscriptions),
        rows: ask::items(&found)
            .iter()
            .filter_map(|item| Row::read(&visit, item))
            .collect(),
        next: listing.next(&found),
        listing,
        refusal,
    };
    shell::page(StatusCode::OK, &page)
}

/// POST `customer_id`, `plan_id`: puts a customer on a free plan.
async fn create(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let row = customer(&visit, &form).await?;
    let wanted = object([
        ("customer_id", Value::from(row.id.to_string())),
        ("plan_id", Value::from(form.text("plan_id"))),
    ]);
    let wanted = ask::body(&visit.request, wanted);
    let done = ask::answer(api::create(visit.auth()?, visit.state.clone(), wanted).await);
    if let Ok(answer) = &done {
        let subscription = answer.get("subscription").unwrap_or(&Value::Null);
        note_target(&visit.request, &ask::text(subscription, "subscription_id"));
    }
    back_to(visit, row, done, "assigned").await
}

/// POST `auto_top_up_bundle_id`: which bundle is bought by itself; empty for none.
async fn update(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let bundle = form.json_text("auto_top_up_bundle_id");
    let row = customer(&visit, &form).await?;
    let done = edit(&visit, object([("auto_top_up_bundle_id", bundle)])).await;
    back_to(visit, row, done, "topped_up").await
}

/// POST: nothing happens at the end of the cycle after all.
async fn withdraw(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let row = customer(&visit, &form).await?;
    let done = edit(&visit, object([("pending_change", Value::Null)])).await;
    back_to(visit, row, done, "withdrawn").await
}

/// POST: it ends with its cycle.
async fn cancel(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let row = customer(&visit, &form).await?;
    let done = ask::answer(api::cancel(visit.auth()?, visit.state.clone(), visit.request.clone()).await);
    back_to(visit, row, done, "cancelled").await
}

/// Changes the subscription that the path names.
async fn edit(visit: &Visit, wanted: Map<String, Value>) -> Result<Value, ApiError> {
    let wanted = ask::body(&visit.request, wanted);
    ask::answer(api::update(visit.auth()?, visit.state.clone(), visit.request.clone(), wanted).await)
}

/// The merchant's customer on whose page the form stands.
async fn customer(visit: &Visit, form: &Form) -> Result<CustomerRow, ApiError> {
    let unknown = || ApiError::new(ErrorCode::CustomerNotFound).param("customer_id");
    let id: CustomerId = form.text("customer_id").parse().map_err(|_| unknown())?;
    let (merchant_id, name) = (visit.merchant_id(), id.to_string());
    let found = visit
        .state
        .database
        .run(move |connection| customers::find(connection, merchant_id, &name));
    found.await.map_err(|error| match error {
        StorageError::NotFound => unknown(),
        other => other.into(),
    })
}

/// Leads back to the customer's page, or shows it with why what was asked for was refused.
async fn back_to(
    visit: Visit,
    row: CustomerRow,
    done: Result<Value, ApiError>,
    word: &str,
) -> Result<HttpResponse, ApiError> {
    match done {
        Ok(_) => Ok(see_other(&format!("{CUSTOMERS}/{}?done={word}", row.id))),
        Err(error) if is_refusal(&error, "subscription_id") => one::show_refused(&visit, row, &error).await,
        Err(error) => Err(error),
    }
}

impl Row {
    fn read(visit: &Visit, item: &Value) -> Option<Self> {
        let contact = item.get("customer").unwrap_or(&Value::Null);
        let customer_id = ask::text(item, "customer_id");
        let name = format!(
            "{} {}",
            ask::text(contact, "first_name"),
            ask::text(contact, "last_name")
        );
        let known = [
            name.trim().to_owned(),
            ask::text(contact, "email"),
            ask::text(contact, "phone"),
        ];
        let known = known.into_iter().find(|text| !text.is_empty());
        Some(Self {
            customer: known.unwrap_or_else(|| customer_id.clone()),
            customer_id,
            subscription: Subscribed::of(visit, item)?,
        })
    }
}
