//! Bundles: the credit that customers may buy on top of their plans. They are made, changed and removed with their plan,
//! so the list leads there.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::Value;

use crate::domain::ids::PlanId;
use crate::http::credit_bundles as api;
use crate::http::error::ApiError;
use crate::http::plain;

use super::ask;
use super::listing::Listing;
use super::shell::{self, Place, Shell};
use super::shown::{Amount, Moment};
use super::visit::Visit;

pub fn configure(config: &mut ServiceConfig) {
    config.service(plain("/credit_bundles").route(web::get().to(list)));
}

#[derive(Template)]
#[template(path = "dashboard/credit_bundles/list.html")]
struct ListPage {
    shell: Shell,
    listing: Listing,
    rows: Vec<Row>,
    next: Option<String>,
}

/// One bundle of the list.
struct Row {
    name: String,
    plan_id: String,
    plan: String,
    cost: Amount,
    credit: Amount,
    created: Option<Moment>,
}

/// GET of the list.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &[])?;
    let found = ask::answer(api::list(visit.auth()?, visit.state.clone(), listing.asked()).await)?;
    let page = ListPage {
        shell: visit.shell(Place::Bundles),
        rows: ask::items(&found)
            .iter()
            .map(|bundle| Row::read(bundle, &visit))
            .collect(),
        next: listing.next(&found),
        listing,
    };
    shell::page(StatusCode::OK, &page)
}

impl Row {
    fn read(bundle: &Value, visit: &Visit) -> Self {
        let money = |name: &str| Amount::of(ask::money(bundle, name));
        let plan_id = ask::text(bundle, "plan_id");
        let plan = plan_id.parse().ok().and_then(|id: PlanId| visit.state.tariffs.plan(id));
        Self {
            name: ask::text(bundle, "name"),
            plan: plan.map_or_else(|| plan_id.clone(), |plan| plan.plan.terms.name.clone()),
            plan_id,
            cost: money("cost"),
            credit: money("credit_amount"),
            created: Moment::read(&ask::text(bundle, "created_at"), visit.now_ms()),
        }
    }
}
