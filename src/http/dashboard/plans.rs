//! Plans: what customers subscribe to, with how many are on each. A plan's price and interval never change, and whoever
//! is on a plan keeps what he agreed to, so its page says what an edit does not do.

mod change;
mod form;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::Value;
use std::collections::HashMap;

use crate::domain::ids::PlanId;
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::plans as api;
use crate::storage::subscriptions::count_by_plan;

use super::ask;
use super::history::{self, History, Thing};
use super::listing::Listing;
use super::shell::{self, Place, Shell};
use super::shown::{Amount, Moment, grouped};
use super::subscribed::interval;
use super::visit::Visit;

const PATH: &str = "/dashboard/plans";

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            plain("/plans")
                .route(web::get().to(list))
                .route(web::post().to(change::create)),
        )
        .service(plain("/plans/new").route(web::get().to(change::show_new)))
        .service(
            plain("/plans/{id}")
                .route(web::get().to(show))
                .route(web::post().to(change::update)),
        )
        .service(plain("/plans/{id}/edit").route(web::get().to(change::show_edit)))
        .service(plain("/plans/{id}/delete").route(web::post().to(change::delete)));
}

#[derive(Template)]
#[template(path = "dashboard/plans/list.html")]
struct ListPage {
    shell: Shell,
    listing: Listing,
    plans: Vec<Plan>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/plans/one.html")]
struct OnePage {
    shell: Shell,
    plan: Plan,
    history: History,
}

/// A plan, read from the API's answer.
struct Plan {
    id: String,
    name: String,
    price: Amount,
    interval: &'static str,
    included: Amount,
    cycle_lapses: bool,
    bundle_lapses: bool,
    meters: Vec<Meter>,
    bundles: Vec<Bundle>,
    subscribers: String,
    created: Option<Moment>,
}

/// A meter that may draw on its credit.
struct Meter {
    id: String,
    name: String,
}

struct Bundle {
    id: String,
    name: String,
    cost: Amount,
    credit: Amount,
    /// Bought by itself as credit runs out.
    is_default: bool,
}

/// GET of the list.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &["search"])?;
    let found = ask::answer(api::list(visit.auth()?, visit.state.clone(), listing.asked()).await)?;
    let counts = subscriber_counts(&visit).await?;
    let now_ms = visit.now_ms();
    let page = ListPage {
        shell: visit.shell(Place::Plans),
        plans: ask::items(&found)
            .iter()
            .map(|plan| Plan::read(plan, &counts, now_ms))
            .collect(),
        next: listing.next(&found),
        listing,
    };
    shell::page(StatusCode::OK, &page)
}

/// GET of one plan.
async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    let plan = ask::answer(api::retrieve(visit.auth()?, visit.state.clone(), visit.request.clone()).await)?;
    let plan = Plan::read(&plan, &subscriber_counts(&visit).await?, visit.now_ms());
    let thing = Thing {
        nouns: &["plans", "subscription_configs"],
        ids: &[&plan.id],
        name: "",
    };
    let page = OnePage {
        shell: visit.shell(Place::Plans),
        history: history::of(&visit, thing).await?,
        plan,
    };
    shell::page(StatusCode::OK, &page)
}

async fn subscriber_counts(visit: &Visit) -> Result<HashMap<PlanId, u64>, ApiError> {
    let merchant_id = visit.merchant_id();
    let work = visit
        .state
        .database
        .run(move |connection| count_by_plan(connection, merchant_id));
    Ok(work.await?)
}

impl Plan {
    fn read(plan: &Value, counts: &HashMap<PlanId, u64>, now_ms: i64) -> Self {
        let money = |name: &str| Amount::of(ask::money(plan, name));
        let id = ask::text(plan, "plan_id");
        let count = id.parse().ok().and_then(|id: PlanId| counts.get(&id)).copied();
        let default = ask::text(plan, "default_auto_top_up_bundle_id");
        let meter = |meter: &Value| Meter {
            id: ask::text(meter, "meter_id"),
            name: ask::text(meter, "name"),
        };
        Self {
            name: ask::text(plan, "name"),
            price: money("period_amount"),
            interval: interval(&ask::text(plan, "billing_interval")),
            included: money("included_credit"),
            cycle_lapses: ask::text(plan, "rollover_type") != "full",
            bundle_lapses: ask::text(plan, "bundle_rollover_type") != "full",
            meters: ask::array(plan, "linked_meters").iter().map(meter).collect(),
            bundles: ask::array(plan, "credit_bundles")
                .iter()
                .map(|bundle| Bundle::read(bundle, &default))
                .collect(),
            subscribers: grouped(count.unwrap_or(0)),
            created: Moment::read(&ask::text(plan, "created_at"), now_ms),
            id,
        }
    }
}

impl Bundle {
    fn read(bundle: &Value, default: &str) -> Self {
        let money = |name: &str| Amount::of(ask::money(bundle, name));
        let id = ask::text(bundle, "credit_bundle_id");
        Self {
            name: ask::text(bundle, "name"),
            cost: money("cost"),
            credit: money("credit_amount"),
            is_default: id == default,
            id,
        }
    }
}
