//! Webhooks: where events are told, and what became of each. It answers at first glance whether everything arrives.

mod change;
mod deliveries;
mod form;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::Value;

use crate::domain::ids::WebhookId;
use crate::domain::webhook::{DeliveryStatus, MOST_ENDPOINTS};
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::webhooks as api;
use crate::storage::page::PageRequest;
use crate::storage::webhooks::{DeliveryFilter, list_deliveries};

use super::ask;
use super::listing::Listing;
use super::shell::{self, Place, Shell};
use super::shown::Moment;
use super::visit::Visit;

const PATH: &str = "/dashboard/webhooks";

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            plain("/webhooks")
                .route(web::get().to(list))
                .route(web::post().to(change::create)),
        )
        .service(plain("/webhooks/new").route(web::get().to(change::show_new)))
        .service(
            plain("/webhooks/{id}")
                .route(web::get().to(deliveries::show_endpoint))
                .route(web::post().to(change::update)),
        )
        .service(plain("/webhooks/{id}/edit").route(web::get().to(change::show_edit)))
        .service(plain("/webhooks/{id}/secret").route(web::get().to(change::show_secret)))
        .service(plain("/webhooks/{id}/enable").route(web::post().to(change::enable)))
        .service(plain("/webhooks/{id}/disable").route(web::post().to(change::disable)))
        .service(plain("/webhooks/{id}/rotate").route(web::post().to(change::rotate)))
        .service(plain("/webhooks/{id}/delete").route(web::post().to(change::delete)))
        .service(plain("/webhooks/{id}/deliveries/{delivery}").route(web::get().to(deliveries::show)))
        .service(plain("/webhooks/{id}/deliveries/{delivery}/replay").route(web::post().to(deliveries::replay)));
}

#[derive(Template)]
#[template(path = "dashboard/webhooks/list.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    most: usize,
}

/// One endpoint of the list.
struct Row {
    endpoint: Endpoint,
    last: Option<Last>,
}

/// What became of the latest event.
struct Last {
    word: &'static str,
    class: &'static str,
    moment: Option<Moment>,
}

/// An endpoint, read from the API's answer.
struct Endpoint {
    id: String,
    name: String,
    url: String,
    /// Empty: it is told everything.
    events: Vec<String>,
    is_enabled: bool,
    state: EndpointState,
    /// Until when the last secret signs too.
    previous_until: Option<Moment>,
    created: Option<Moment>,
}

/// What is to be said of an endpoint at first glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndpointState {
    Enabled,
    /// Some events were given up.
    LosesEvents,
    /// By its owner.
    Disabled,
    /// It said that it is gone.
    Gone,
    /// It has failed for days.
    Failing,
}

impl EndpointState {
    const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::LosesEvents => "Some events given up",
            Self::Disabled => "Disabled",
            Self::Gone => "Disabled: it answered that it is gone",
            Self::Failing => "Disabled: it failed for five days",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Enabled => "good",
            Self::LosesEvents => "warn",
            Self::Disabled => "off",
            Self::Gone | Self::Failing => "bad",
        }
    }
}

/// GET of the list.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &[])?;
    let found = ask::answer(api::list(visit.auth()?, visit.state.clone(), listing.asked()).await)?;
    let mut rows = Vec::new();
    for item in ask::items(&found) {
        rows.push(Row::read(&visit, item).await?);
    }
    let page = ListPage {
        shell: visit.shell(Place::Webhooks),
        rows,
        most: MOST_ENDPOINTS,
    };
    shell::page(StatusCode::OK, &page)
}

impl Row {
    async fn read(visit: &Visit, item: &Value) -> Result<Self, ApiError> {
        let mut endpoint = Endpoint::read(item, visit.now_ms());
        let (merchant_id, id) = (visit.merchant_id(), endpoint.id.parse::<WebhookId>());
        let Ok(webhook_id) = id else {
            return Ok(Self { endpoint, last: None });
        };
        let one = PageRequest { after: None, limit: 1 };
        let work = visit.state.database.run(move |connection| {
            let mut latest =
                |status| list_deliveries(connection, merchant_id, DeliveryFilter { webhook_id, status }, one);
            Ok((latest(None)?, latest(Some(DeliveryStatus::Dead))?))
        });
        let (latest, dead) = work.await?;
        if !dead.rows.is_empty() && endpoint.state == EndpointState::Enabled {
            endpoint.state = EndpointState::LosesEvents;
        }
        let last = latest.rows.first().map(|row| Last {
            word: deliveries::word(row.status.name()),
            class: deliveries::class(row.status.name()),
            moment: Moment::read(
                &crate::http::time::iso_millis(row.event_id.created_ms()),
                visit.now_ms(),
            ),
        });
        Ok(Self { endpoint, last })
    }
}

impl Endpoint {
    fn read(webhook: &Value, now_ms: i64) -> Self {
        let moment = |name: &str| Moment::read(&ask::text(webhook, name), now_ms);
        let is_enabled = webhook.get("enabled").and_then(Value::as_bool).unwrap_or(false);
        let reason = ask::text(webhook, "disabled_reason");
        Self {
            id: ask::text(webhook, "webhook_id"),
            name: ask::text(webhook, "name"),
            url: ask::text(webhook, "url"),
            events: ask::texts(webhook, "events"),
            is_enabled,
            state: match (is_enabled, reason.as_str()) {
                (true, _) => EndpointState::Enabled,
                (false, "gone") => EndpointState::Gone,
                (false, "failing") => EndpointState::Failing,
                (false, _) => EndpointState::Disabled,
            },
            previous_until: moment("previous_secret_expires_at"),
            created: moment("created_at"),
        }
    }
}
