//! The audit log: a middleware around every route that changes something, so that no handler can forget it. The event
//! is stored before the work and its outcome after it; where it cannot be stored the change is refused, so it fails
//! closed. Reported usage (`POST /v1/requests`) is no change of a setting and is not here: it has rows of its own. What
//! is done where the middleware knows of nobody (a sign-in, a key for a code, the operator's own) is told by a [`Deed`].

mod asked;
mod deed;

use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::{AuditEventId, MerchantId};
use crate::engine::random;
use crate::storage::audit::{self as rows, ActorKind, AuditFilter, AuditOutcome, AuditRow, NewAuditEvent};
use crate::storage::page::PageRequest;

use super::address::client_address;
use super::auth::{self, KeyManagerAuth, SecretKeyAuth};
use super::error::ApiError;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::time::iso_millis;

use asked::Asked;

pub use asked::note_body;
pub use deed::{Deed, note, note_operator};

type State = web::Data<AppState>;
type Served = Result<ServiceResponse<BoxBody>, actix_web::Error>;

/// Who changes something, where it is not the holder of the credential: put among the request's extensions by whoever
/// lets him in.
#[derive(Clone, Debug)]
pub struct Actor {
    pub kind: ActorKind,
    pub name: String,
}

impl Actor {
    /// Whoever has the operator's token.
    pub fn operator() -> Self {
        Self {
            kind: ActorKind::Operator,
            name: "command line".to_owned(),
        }
    }
}

/// What was changed or made, where neither the path nor the answer names it.
#[derive(Clone, Debug)]
struct Target(String);

/// Says what a change was of.
pub fn note_target(request: &HttpRequest, id: &str) {
    request.extensions_mut().insert(Target(id.to_owned()));
}

/// Middleware of the routes that change something.
pub async fn record(request: ServiceRequest, next: Next<BoxBody>) -> Served {
    let (state, event) = match begin(&request) {
        Ok(Some(begun)) => begun,
        Ok(None) => return next.call(request).await,
        Err(refusal) => return Ok(request.error_response(refusal)),
    };
    let id = event.id;
    let begun = state.database.run(move |connection| rows::begin(connection, &event));
    if let Err(error) = begun.await {
        return Ok(request.error_response(ApiError::from(error)));
    }
    // To its end, whether or not the caller waits for it: what is done is told as well.
    match actix_rt::spawn(work(state, id, request, next)).await {
        Ok(served) => served,
        Err(error) => Err(ApiError::internal("a change", &error).into()),
    }
}

/// Does the work, and stores how it ended.
async fn work(state: State, id: AuditEventId, request: ServiceRequest, next: Next<BoxBody>) -> Served {
    let (served, outcome) = match next.call(request).await {
        Ok(response) => {
            let (response, outcome) = outcome_of(response);
            (Ok(response), outcome)
        }
        // A refusal of a middleware below: no handler ran.
        Err(error) => {
            let outcome = AuditOutcome {
                status: error.as_response_error().status_code().as_u16(),
                target: None,
                asked: None,
            };
            (Err(error), outcome)
        }
    };
    let finished = state
        .database
        .run(move |connection| rows::finish(connection, id, &outcome));
    if let Err(error) = finished.await {
        tracing::warn!(event.id = %id, %error, "the outcome of a change is missing in the audit log");
    }
    served
}

fn outcome_of(response: ServiceResponse<BoxBody>) -> (ServiceResponse<BoxBody>, AuditOutcome) {
    let (response, target) = read_target(response);
    let asked = response.request().extensions().get::<Asked>().cloned();
    let noted = response.request().extensions().get::<Target>().cloned();
    let outcome = AuditOutcome {
        status: response.status().as_u16(),
        target: noted.map(|noted| noted.0).or(target),
        asked: asked.map(|asked| asked.0),
    };
    (response, outcome)
}

/// GET `/v1/audit_events?action=&target=&actor=`: newest first.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, merchant_id) = (read_page(&query)?, auth.merchant_id());
    let filter = read_filter(&query)?;
    let found = state
        .database
        .run(move |connection| rows::list(connection, merchant_id, &filter, page))
        .await?;
    Ok(HttpResponse::Ok().json(envelope(&found, show)))
}

/// The latest events of one thing, as the list shows them; only those whose action begins so, where that is said.
pub async fn of_target(
    state: &State,
    merchant_id: MerchantId,
    target: String,
    action: Option<String>,
) -> Result<Vec<Value>, ApiError> {
    let filter = AuditFilter {
        target: Some(target),
        action,
        ..AuditFilter::default()
    };
    let page = PageRequest { after: None, limit: 10 };
    let found = state
        .database
        .run(move |connection| rows::list(connection, merchant_id, &filter, page))
        .await?;
    Ok(found.rows.iter().map(show).collect())
}

fn read_filter(query: &Query) -> Result<AuditFilter, ApiError> {
    let text = |name: &str| -> Result<Option<String>, ApiError> {
        let text = query.text(name)?;
        if let Some(text) = text {
            super::fields::check_text(text, 255).map_err(|why| ApiError::invalid(name, why))?;
        }
        Ok(text.map(str::to_owned))
    };
    Ok(AuditFilter {
        action: text("action")?,
        target: text("target")?,
        actor: text("actor")?,
    })
}

fn show(row: &AuditRow) -> Value {
    json!({
        "audit_event_id": row.id,
        "actor_kind": row.actor_kind,
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "asked": row.asked,
        "status": row.status,
        "address": row.address,
        "created_at": iso_millis(row.at_ms),
    })
}

/// The event of a request that changes something and whose caller is known; others are left to their route.
fn begin(request: &ServiceRequest) -> Result<Option<(State, NewAuditEvent)>, ApiError> {
    if !is_change(request.method()) {
        return Ok(None);
    }
    let (Some(pattern), Some(state)) = (request.match_pattern(), request.app_data::<State>()) else {
        return Ok(None);
    };
    let action = action_of(request.method(), &pattern);
    if action == "requests.create" {
        return Ok(None);
    }
    let Some((merchant_id, actor)) = caller(request.request(), state) else {
        return Ok(None);
    };
    let event = NewAuditEvent {
        id: new_id(state, merchant_id)?,
        merchant_id,
        actor_kind: actor.kind,
        actor: actor.name,
        action,
        target: named(&pattern, request.path()),
        address: client_address(request.request(), &state.edge().trusted_proxies).map(|address| address.to_string()),
    };
    Ok(Some((state.clone(), event)))
}

fn new_id(state: &State, merchant_id: MerchantId) -> Result<AuditEventId, ApiError> {
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    Ok(AuditEventId::compose_in_order(
        merchant_id.mode(),
        state.clock.wall_us(),
        random,
    ))
}

/// What the path names, where its pattern has an id. A middleware stands before the route that would know.
fn named(pattern: &str, path: &str) -> Option<String> {
    let place = pattern.split('/').position(|segment| segment == "{id}")?;
    let text = path.split('/').nth(place)?;
    Some(
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

/// Whose change it is; `None` where the route will refuse the caller.
fn caller(request: &HttpRequest, state: &State) -> Option<(MerchantId, Actor)> {
    let actor = request.extensions().get::<Actor>().cloned();
    let auth = request.extensions().get::<KeyManagerAuth>().cloned();
    let auth = match auth {
        Some(auth) => auth,
        None => auth::manager(request, state)?.ok()?,
    };
    let actor = actor.unwrap_or_else(|| match &auth {
        KeyManagerAuth::Secret(key) => Actor {
            kind: ActorKind::SecretKey,
            name: key.id.to_string(),
        },
        KeyManagerAuth::Wallet(key) => Actor {
            kind: ActorKind::WalletKey,
            name: key.id.to_string(),
        },
    });
    Some((auth.merchant_id(), actor))
}

const fn is_change(method: &Method) -> bool {
    !(matches!(*method, Method::GET) || matches!(*method, Method::HEAD) || matches!(*method, Method::OPTIONS))
}

/// Noun and verb of a route: `POST /v1/spend_keys/{id}/rotate` is `spend_keys.rotate`.
fn action_of(method: &Method, pattern: &str) -> String {
    let path = pattern.replace('-', "_");
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .skip_while(|segment| matches!(*segment, "v1" | "manage" | "operator" | "dashboard"))
        .collect();
    let noun = segments.first().copied().unwrap_or("unknown");
    let last = segments.last().copied().unwrap_or(noun);
    let verb = match (method.as_str(), segments.len()) {
        (_, 2..) if !last.starts_with('{') => last,
        ("DELETE", _) => "delete",
        ("POST", 0 | 1) => "create",
        _ => "update",
    };
    format!("{noun}.{verb}")
}

/// The id of what was made, where the path names none.
fn read_target(response: ServiceResponse<BoxBody>) -> (ServiceResponse<BoxBody>, Option<String>) {
    let pattern = response.request().match_pattern().unwrap_or_default();
    if !response.status().is_success() || pattern.contains("{id}") {
        return (response, None);
    }
    let noun = action_of(response.request().method(), &pattern);
    let noun = noun.split('.').next().unwrap_or("").to_owned();
    let mut target = None;
    let response = response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) => {
            target = serde_json::from_slice::<Value>(&bytes)
                .ok()
                .and_then(|body| id_in(&body, &noun));
            BoxBody::new(bytes)
        }
        Err(body) => body,
    });
    (response, target)
}

fn id_in(body: &Value, noun: &str) -> Option<String> {
    let singular = noun.strip_suffix('s').unwrap_or(noun);
    let names = [format!("{singular}_id"), "id".to_owned()];
    let found = names.iter().find_map(|name| body.get(name)?.as_str());
    found.map(str::to_owned)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
