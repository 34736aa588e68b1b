//! The calls in flight, as they are this second, each with a button that ends it. The page reads itself again every two
//! seconds while somebody looks.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::Value;

use crate::http::calls as api;
use crate::http::error::ApiError;
use crate::http::plain;

use super::ask;
use super::listing::Listing;
use super::shell::{self, Place, Shell, see_other};
use super::shown::{Amount, grouped};
use super::visit::Visit;

const PATH: &str = "/dashboard/calls";

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(plain("/calls").route(web::get().to(list)))
        .service(plain("/calls/{id}/end").route(web::post().to(end)));
}

#[derive(Template)]
#[template(path = "dashboard/calls.html")]
struct CallsPage {
    shell: Shell,
    listing: Listing,
    calls: Vec<Call>,
    in_flight: String,
    next: Option<String>,
}

struct Call {
    id: String,
    key: Option<(String, String)>,
    customer: String,
    provider: String,
    model: String,
    stage: String,
    attempt: u64,
    running: String,
    tokens: String,
    held: Option<Amount>,
    cost: Option<Amount>,
}

/// GET.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &[])?.of_rows(50);
    let found = ask::answer(api::list(visit.manager(), visit.state.clone(), listing.asked()).await)?;
    let page = CallsPage {
        shell: visit.shell(Place::Calls),
        calls: ask::items(&found).iter().map(Call::read).collect(),
        in_flight: grouped(ask::count(&found, "in_flight")),
        next: listing.next(&found),
        listing,
    };
    shell::page(StatusCode::OK, &page)
}

/// POST: ends one. One that has ended by itself meanwhile is as good.
async fn end(visit: Visit) -> Result<HttpResponse, ApiError> {
    match ask::answer(api::end(visit.manager(), visit.state.clone(), visit.request).await) {
        Ok(_) => Ok(see_other(&format!("{PATH}?done=ended"))),
        Err(error) if error.status() == StatusCode::NOT_FOUND => Ok(see_other(&format!("{PATH}?done=over"))),
        Err(error) => Err(error),
    }
}

impl Call {
    fn read(call: &Value) -> Self {
        let key = ask::text(call, "spend_key_id");
        let amount = |name: &str| Amount::read(&ask::text(call, name));
        Self {
            id: ask::text(call, "request_id"),
            key: (!key.is_empty()).then(|| (key, ask::text(call, "spend_key_name"))),
            customer: ask::text(call, "customer_id"),
            provider: ask::text(call, "provider"),
            model: ask::text(call, "model"),
            stage: ask::text(call, "stage").replace('_', " "),
            attempt: ask::count(call, "attempt"),
            running: seconds(ask::count(call, "duration_ms")),
            tokens: grouped(ask::count(call, "output_tokens")),
            held: amount("held"),
            cost: amount("cost"),
        }
    }
}

/// As `12.3 s`.
fn seconds(duration_ms: u64) -> String {
    format!("{}.{} s", grouped(duration_ms / 1000), duration_ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_tenths_of_a_second() {
        for (duration_ms, text) in [(0, "0.0 s"), (1999, "1.9 s"), (61_050, "61.0 s")] {
            assert_eq!(seconds(duration_ms), text);
        }
    }
}
