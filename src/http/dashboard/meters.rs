//! Meters: what customers pay for what they use, with the tiers of each as a table. What a meter counts never changes; its
//! tiers may, for the usage that comes after.

mod change;
mod form;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::Value;

use crate::engine::tariffs::ListedPlan;
use crate::http::error::ApiError;
use crate::http::meters as api;
use crate::http::plain;

use super::ask;
use super::history::{self, History, Thing};
use super::listing::Listing;
use super::shell::{self, Place, Shell};
use super::shown::{Amount, Moment, grouped};
use super::visit::Visit;

const PATH: &str = "/dashboard/meters";

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            plain("/meters")
                .route(web::get().to(list))
                .route(web::post().to(change::create)),
        )
        .service(plain("/meters/new").route(web::get().to(change::show_new)))
        .service(
            plain("/meters/{id}")
                .route(web::get().to(show))
                .route(web::post().to(change::update)),
        )
        .service(plain("/meters/{id}/edit").route(web::get().to(change::show_edit)))
        .service(plain("/meters/{id}/delete").route(web::post().to(change::delete)));
}

#[derive(Template)]
#[template(path = "dashboard/meters/list.html")]
struct ListPage {
    shell: Shell,
    listing: Listing,
    meters: Vec<Meter>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/meters/one.html")]
struct OnePage {
    shell: Shell,
    meter: Meter,
    /// Plans whose credit it may draw on.
    plans: Vec<Linked>,
    history: History,
}

/// A meter, read from the API's answer.
struct Meter {
    id: String,
    name: String,
    slug: String,
    counts: Counts,
    is_percentage: bool,
    tiers: Vec<Tier>,
    created: Option<Moment>,
}

struct Linked {
    id: String,
    name: String,
}

struct Tier {
    from: String,
    /// Where the next tier begins; `None` in the last.
    to: Option<String>,
    rate: Amount,
    /// As `10.00 %`, of a percentage meter.
    percent: String,
}

/// What a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    noun: &'static str,
    /// What one rate is for.
    unit: &'static str,
}

/// GET of the list.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &["search"])?;
    let found = ask::answer(api::list(visit.auth()?, visit.state.clone(), listing.asked()).await)?;
    let now_ms = visit.now_ms();
    let page = ListPage {
        shell: visit.shell(Place::Meters),
        meters: ask::items(&found)
            .iter()
            .map(|meter| Meter::read(meter, now_ms))
            .collect(),
        next: listing.next(&found),
        listing,
    };
    shell::page(StatusCode::OK, &page)
}

/// GET of one meter.
async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    let meter = ask::answer(api::retrieve(visit.auth()?, visit.state.clone(), visit.request.clone()).await)?;
    let meter = Meter::read(&meter, visit.now_ms());
    let thing = Thing {
        nouns: &["meters", "products"],
        ids: &[&meter.id],
        name: &meter.slug,
    };
    let page = OnePage {
        shell: visit.shell(Place::Meters),
        plans: plans_with(&visit, &meter.id),
        history: history::of(&visit, thing).await?,
        meter,
    };
    shell::page(StatusCode::OK, &page)
}

/// The plans that have this meter.
fn plans_with(visit: &Visit, meter_id: &str) -> Vec<Linked> {
    let Ok(meter_id) = meter_id.parse() else {
        return Vec::new();
    };
    let plans = visit.state.tariffs.plans_of(visit.merchant_id());
    let linked = |plan: &Arc<ListedPlan>| Linked {
        id: plan.plan.id().to_string(),
        name: plan.plan.terms.name.clone(),
    };
    plans
        .iter()
        .filter(|plan| plan.has_meter(meter_id))
        .map(linked)
        .collect()
}

impl Meter {
    fn read(meter: &Value, now_ms: i64) -> Self {
        let tiers = ask::array(meter, "tiers");
        let starts: Vec<String> = tiers.iter().map(start).collect();
        let tier = |(place, tier): (usize, &Value)| Tier {
            from: starts[place].clone(),
            to: starts.get(place + 1).cloned(),
            rate: Amount::of(ask::money(tier, "rate")),
            percent: format!("{} %", ask::text(tier, "rate")),
        };
        let kind = tiers.first().map(|tier| ask::text(tier, "type")).unwrap_or_default();
        Self {
            id: ask::text(meter, "meter_id"),
            name: ask::text(meter, "name"),
            slug: ask::text(meter, "meter_slug"),
            counts: Counts::of(&kind),
            is_percentage: ask::text(meter, "rate_type") == "percentage",
            tiers: tiers.iter().enumerate().map(tier).collect(),
            created: Moment::read(&ask::text(meter, "created_at"), now_ms),
        }
    }
}

impl Counts {
    /// By the API's word.
    fn of(word: &str) -> Self {
        match word {
            "characters_1m" => Self {
                noun: "Characters",
                unit: "1M characters",
            },
            "minutes" => Self {
                noun: "Minutes",
                unit: "minute",
            },
            "requests" => Self {
                noun: "Requests",
                unit: "request",
            },
            _ => Self {
                noun: "Tokens",
                unit: "1M tokens",
            },
        }
    }
}

/// The start of a tier in groups of three, whether it came as a number or as a text.
fn start(tier: &Value) -> String {
    let number = match tier.get("start") {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(other) => other.as_u64().unwrap_or(0),
        None => 0,
    };
    grouped(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tier_ends_where_the_next_begins() {
        let tiers = json!([
            { "start": "0", "rate": "2.00", "type": "minutes" }, { "start": 1000, "rate": "1.00", "type": "minutes" },
        ]);
        let meter = Meter::read(&json!({ "rate_type": "fixed", "tiers": tiers }), 0);
        let bounds: Vec<_> = meter
            .tiers
            .iter()
            .map(|tier| (tier.from.as_str(), tier.to.as_deref()))
            .collect();
        assert_eq!(bounds, [("0", Some("1,000")), ("1,000", None)]);
        assert_eq!((meter.counts.unit, meter.is_percentage), ("minute", false));
    }
}
