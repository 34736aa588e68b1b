//! The audit log: a middleware around every route that changes something, so that no handler can forget it. The event
//! is stored before the work and its outcome after it; where it cannot be stored the change is refused, so it fails
//! closed. Reported usage (`POST /v1/requests`) is no change of a setting and is not here: it has rows of its own.

use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

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

type State = web::Data<AppState>;

/// What of a body is kept, in characters of JSON.
const ASKED_LIMIT: usize = 4096;
/// The longest text of a field that is kept.
const TEXT_LIMIT: usize = 300;
const HIDDEN: &str = "[hidden]";

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

/// Stores what the operator has done to a merchant beyond what a key of his could do: after it is done, because only
/// then it is known whose it is.
pub async fn note_operator(
    state: &State,
    merchant_id: MerchantId,
    action: &str,
    target: String,
) -> Result<(), ApiError> {
    let actor = Actor::operator();
    let event = NewAuditEvent {
        id: new_id(state, merchant_id)?,
        merchant_id,
        actor_kind: actor.kind,
        actor: actor.name,
        action: action.to_owned(),
        target: Some(target),
        address: None,
    };
    let outcome = AuditOutcome {
        status: 200,
        target: None,
        asked: None,
    };
    let work = state.database.run(move |connection| {
        rows::begin(connection, &event)?;
        rows::finish(connection, event.id, &outcome)
    });
    Ok(work.await?)
}

/// The body that a change came with, without secrets: put among the request's extensions by whoever reads it.
#[derive(Clone, Debug)]
struct Asked(Value);

/// Keeps the fields of a body for the audit log, without what nobody may read there.
pub fn note_body(request: &HttpRequest, fields: &Map<String, Value>) {
    if is_change(request.method()) {
        let shown = Value::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), shown(name, value)))
                .collect(),
        );
        if shown.to_string().len() <= ASKED_LIMIT {
            request.extensions_mut().insert(Asked(shown));
        } else {
            let names: Vec<&String> = fields.keys().collect();
            request.extensions_mut().insert(Asked(json!({ "fields": names })));
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
pub async fn record(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some((state, event)) = begin(&request)? else {
        return next.call(request).await;
    };
    let id = event.id;
    let work = state.database.run(move |connection| rows::begin(connection, &event));
    if let Err(error) = work.await {
        let refusal = ApiError::from(error);
        return Ok(request.into_response(actix_web::ResponseError::error_response(&refusal)));
    }
    let response = next.call(request).await?;
    let (response, target) = read_target(response);
    let asked = response.request().extensions().get::<Asked>().cloned();
    let noted = response.request().extensions().get::<Target>().cloned();
    let outcome = AuditOutcome {
        status: response.status().as_u16(),
        target: noted.map(|noted| noted.0).or(target),
        asked: asked.map(|asked| asked.0),
    };
    let finish = async move {
        let work = state
            .database
            .run(move |connection| rows::finish(connection, id, &outcome));
        if let Err(error) = work.await {
            tracing::warn!(event.id = %id, %error, "the outcome of a change is missing in the audit log");
        }
    };
    // To its end, whether or not the caller waits for it.
    let _ = actix_rt::spawn(finish).await;
    Ok(response)
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

/// The latest events of one thing, as the list shows them.
pub async fn of_target(state: &State, merchant_id: MerchantId, target: String) -> Result<Vec<Value>, ApiError> {
    let filter = AuditFilter {
        target: Some(target),
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

/// A field as it may be kept.
fn shown(name: &str, value: &Value) -> Value {
    if is_secret(name) && !value.is_null() {
        return Value::from(HIDDEN);
    }
    match value {
        Value::String(text) if text.chars().count() > TEXT_LIMIT => {
            Value::from(text.chars().take(TEXT_LIMIT).chain(['…']).collect::<String>())
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), shown(name, value)))
            .collect(),
        Value::Array(items) => items.iter().map(|item| shown(name, item)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Names of fields whose values are secrets, or a person's.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let endings = [
        "key",
        "secret",
        "token",
        "credential",
        "password",
        "number",
        "cvc",
        "code",
    ];
    endings.iter().any(|ending| name.ends_with(ending)) || ["phone", "email", "value", "contact"].contains(&&*name)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
