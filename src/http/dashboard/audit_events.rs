//! The audit log: who changed what, when, from where, and how it ended.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::http::audit as api;
use crate::http::error::ApiError;
use crate::http::plain;

use super::ask;
use super::listing::Listing;
use super::shell::{self, Place, Shell};
use super::shown::Moment;
use super::visit::Visit;

const PATH: &str = "/dashboard/audit_events";
/// Things that have a page, by the nouns of their actions.
const PAGES: [&str; 5] = ["spend_keys", "customers", "plans", "meters", "webhooks"];
/// All but what ids are made of.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'_').remove(b'-');
/// After these the page is gone.
const ENDS: [&str; 2] = ["delete", "revoke"];

pub fn configure(config: &mut ServiceConfig) {
    config.service(plain("/audit_events").route(web::get().to(list)));
}

#[derive(Template)]
#[template(path = "dashboard/audit_events.html")]
struct AuditPage {
    shell: Shell,
    listing: Listing,
    events: Vec<Event>,
    next: Option<String>,
}

/// One change.
pub struct Event {
    pub moment: Option<Moment>,
    pub action: String,
    pub target: String,
    /// The page of what was changed, where it has one.
    pub path: Option<String>,
    pub actor: String,
    pub actor_kind: String,
    pub address: String,
    pub status: String,
    /// `good`, `bad`, or `warn` where it is not known how it ended.
    pub class: &'static str,
    pub asked: String,
}

/// GET.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let listing = Listing::read(&visit.request, &["action", "target", "actor"])?.of_rows(50);
    let found = ask::answer(api::list(visit.auth()?, visit.state.clone(), listing.asked()).await)?;
    let now_ms = visit.now_ms();
    let page = AuditPage {
        shell: visit.shell(Place::Audit),
        events: ask::items(&found)
            .iter()
            .map(|event| Event::read(event, now_ms))
            .collect(),
        next: listing.next(&found),
        listing,
    };
    shell::page(StatusCode::OK, &page)
}

/// Where the changes of one thing are.
pub fn path_of(target: &str) -> String {
    format!("{PATH}?target={}", encoded(target))
}

impl Event {
    /// From the API's answer.
    pub fn read(event: &Value, now_ms: i64) -> Self {
        let (action, target) = (ask::text(event, "action"), ask::text(event, "target"));
        let status = event.get("status").and_then(Value::as_u64);
        Self {
            moment: Moment::read(&ask::text(event, "created_at"), now_ms),
            path: page_of(&action, &target),
            actor: ask::text(event, "actor"),
            actor_kind: ask::text(event, "actor_kind").replace('_', " "),
            address: ask::text(event, "address"),
            class: match status {
                Some(..400) => "good",
                Some(_) => "bad",
                None => "warn",
            },
            status: status.map_or_else(|| "not known".to_owned(), |status| status.to_string()),
            asked: match event.get("asked") {
                None | Some(Value::Null) => String::new(),
                Some(asked) => serde_json::to_string_pretty(asked).unwrap_or_default(),
            },
            action,
            target,
        }
    }
}

fn page_of(action: &str, target: &str) -> Option<String> {
    let (noun, verb) = action.split_once('.')?;
    let is_there = PAGES.contains(&noun) && !ENDS.contains(&verb) && !target.is_empty();
    is_there.then(|| format!("/dashboard/{noun}/{}", encoded(target)))
}

/// A target may be a merchant's own id, which is any text.
fn encoded(target: &str) -> String {
    utf8_percent_encode(target, &ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_leads_to_what_is_still_there() {
        let table = [
            ("customers.update", "u/1?x", Some("/dashboard/customers/u%2F1%3Fx")),
            ("customers.delete", "u/1", None),
            ("spend_keys.revoke", "spk_1", None),
            ("plans.create", "", None),
            ("wallet.fund", "pay_1", None),
        ];
        for (action, target, path) in table {
            let event = json!({ "action": action, "target": target, "status": null });
            let event = Event::read(&event, 0);
            assert_eq!(event.path.as_deref(), path, "{action}");
            assert_eq!((event.status.as_str(), event.class), ("not known", "warn"));
        }
    }
}
