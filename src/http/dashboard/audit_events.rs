//! The audit log: who changed what, when, from where, and how it ended.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Value;

use crate::http::audit as api;
use crate::http::auth::SecretKeyAuth;
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::query::Query;
use crate::http::state::AppState;

use super::ask;
use super::session::Session;
use super::shell::{self, Place, Shell};
use super::shown::Moment;

const PATH: &str = "/dashboard/audit_events";

pub fn configure(config: &mut ServiceConfig) {
    config.service(plain("/audit_events").route(web::get().to(list)));
}

#[derive(Template)]
#[template(path = "dashboard/audit_events.html")]
struct AuditPage {
    shell: Shell,
    events: Vec<Event>,
    action: String,
    target: String,
    actor: String,
    is_narrowed: bool,
    next: Option<String>,
}

struct Event {
    moment: Option<Moment>,
    action: String,
    target: String,
    /// The page of what was changed, where it has one.
    path: Option<String>,
    actor: String,
    actor_kind: String,
    address: String,
    status: String,
    /// `good`, `bad`, or `warn` where it is not known how it ended.
    class: &'static str,
    asked: String,
}

async fn list(
    request: HttpRequest,
    session: Session,
    auth: SecretKeyAuth,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let text = |name: &str| query.text(name).map(|text| text.unwrap_or("").to_owned());
    let (action, target, actor, cursor) = (text("action")?, text("target")?, text("actor")?, text("cursor")?);
    let asked = |cursor: &str, limit: &str| {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("action", &action)
            .append_pair("target", &target)
            .append_pair("actor", &actor)
            .append_pair("cursor", cursor)
            .append_pair("limit", limit)
            .finish()
    };
    let found = ask::answer(api::list(auth, state.clone(), Query::parse(&asked(&cursor, "50"))).await)?;
    let now_ms = state.now().wall_ms;
    let page = AuditPage {
        shell: Shell::new(&session, &request, Place::Audit),
        events: ask::items(&found)
            .iter()
            .map(|event| Event::read(event, now_ms))
            .collect(),
        next: ask::next_cursor(&found).map(|cursor| format!("{PATH}?{}", asked(&cursor, ""))),
        is_narrowed: [&action, &target, &actor].iter().any(|text| !text.is_empty()),
        action,
        target,
        actor,
    };
    shell::page(StatusCode::OK, &page)
}

impl Event {
    fn read(event: &Value, now_ms: i64) -> Self {
        let (action, target) = (ask::text(event, "action"), ask::text(event, "target"));
        let status = event.get("status").and_then(Value::as_u64);
        let noun = action.split('.').next().unwrap_or("");
        let path = matches!(noun, "spend_keys" | "customers" | "plans" | "meters" | "webhooks");
        Self {
            moment: Moment::read(&ask::text(event, "created_at"), now_ms),
            path: (path && !target.is_empty()).then(|| format!("/dashboard/{noun}/{target}")),
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
