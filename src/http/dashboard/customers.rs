//! Customers: a list with what each has left, and one customer whole. It answers at first glance who can still use what
//! he pays for.

mod account;
mod change;
mod form;
pub mod one;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::{Value, json};

use crate::domain::cursor::Cursor;
use crate::http::customers as api;
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::query::Query;
use crate::storage::customers::CustomerRow;

use super::listing::Listing;
use super::shell::{self, Place, Shell};
use super::subscribed::{Standing, Subscribed, standing_of};
use super::visit::Visit;

pub const PATH: &str = "/dashboard/customers";

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            plain("/customers")
                .route(web::get().to(list))
                .route(web::post().to(change::create)),
        )
        .service(plain("/customers/new").route(web::get().to(change::show_new)))
        .service(plain("/customers/table").route(web::get().to(table)))
        .service(
            plain("/customers/{id}")
                .route(web::get().to(one::show))
                .route(web::post().to(change::update)),
        )
        .service(plain("/customers/{id}/edit").route(web::get().to(change::show_edit)))
        .service(plain("/customers/{id}/delete").route(web::post().to(change::delete)));
}

#[derive(Template)]
#[template(path = "dashboard/customers/list.html")]
struct ListPage {
    shell: Shell,
    listing: Listing,
    rows: Vec<Row>,
    next: Option<String>,
}

/// One customer of the list.
struct Row {
    id: String,
    title: String,
    reference: String,
    subscription: Option<Subscribed>,
    standing: Standing,
}

/// GET of the list.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &["search"])?;
    let found = api::load_page(&visit.auth()?, &visit.state, &listing.asked()).await?;
    let page = ListPage {
        shell: visit.shell(Place::Customers),
        rows: found
            .rows
            .iter()
            .map(|(row, whole)| Row::read(&visit, row, whole))
            .collect(),
        next: listing.next(&json!({ "next_cursor": found.next.map(Cursor::encode) })),
        listing,
    };
    shell::page(StatusCode::OK, &page)
}

/// GET of all that the filters choose, as CSV.
async fn table(visit: Visit) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(&format!("{}&format=csv", visit.request.query_string()));
    api::list(visit.auth()?, visit.state.clone(), query).await
}

impl Row {
    fn read(visit: &Visit, row: &CustomerRow, whole: &Value) -> Self {
        let subscription = Subscribed::of(visit, whole);
        Self {
            id: row.id.to_string(),
            title: title(row),
            reference: row.fields.reference_id.clone().unwrap_or_default(),
            standing: standing_of(subscription.as_ref()),
            subscription,
        }
    }
}

/// What a customer is called: the first that is known of him.
fn title(row: &CustomerRow) -> String {
    let fields = &row.fields;
    let known = [&fields.name, &fields.email, &fields.reference_id, &fields.phone];
    let known = known.into_iter().flatten().next();
    known.cloned().unwrap_or_else(|| row.id.to_string())
}
