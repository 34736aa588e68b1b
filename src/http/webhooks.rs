//! `/v1/webhooks`: where a merchant is told what happened. A secret is shown when it is made and never again; while a
//! rotation runs the last one signs too. An endpoint that leads to no public address is refused by name, and again at
//! each dial. A disabled endpoint is told nothing, and what happens meanwhile is not kept for it.

pub mod customers;
mod deliveries;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::WebhookId;
use crate::domain::secret::Secret;
use crate::domain::webhook::{EventName, MOST_ENDPOINTS, signature};
use crate::engine::random;
use crate::gateway::egress::check_destination;
use crate::storage::StorageError;
use crate::storage::webhooks::{self as rows, Created, Deleted, PreviousSecret, WebhookRow};

use super::auth::SecretKeyAuth;
use super::error::ApiError;
use super::fields::{Change, Fields, Range};
use super::json_body::JsonBody;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::time::iso_millis;

pub use deliveries::{list as list_deliveries, replay, retrieve as retrieve_delivery};

type State = web::Data<AppState>;

/// How long the last secret signs too after a rotation that says nothing of it.
const DEFAULT_GRACE_S: u64 = 86_400;
const LONGEST_GRACE_S: u64 = 7 * 86_400;

/// POST `{name, url, events?, enabled?}`; the answer holds the secret.
pub async fn create(auth: SecretKeyAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let fields = Fields::of_open_body(&body.0);
    let name = fields.required("name", fields.text("name", 255)?)?;
    let url = fields.required("url", fields.text("url", 2048)?)?;
    let events = read_events(&fields)?.value();
    let enabled = fields.flag("enabled")?.value().unwrap_or(true);
    let url = check_url(&state, &url).await?;
    let merchant = &auth.0.merchant;
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let id = WebhookId::compose_in_order(merchant.mode(), state.clock.wall_us(), random);
    let (secret, sealed) = mint(&state, id)?;
    let row = WebhookRow {
        id,
        merchant_id: merchant.id,
        name,
        url,
        events,
        enabled,
        disabled_reason: None,
        secret: sealed,
        previous: None,
        created_at_ms: id.created_ms(),
    };
    let stored = row.clone();
    let created = state.database.run(move |connection| rows::create(connection, &stored));
    match created.await? {
        Created::Made => Ok(HttpResponse::Created().json(show_with_secret(&state, &row, &secret))),
        Created::Full => Err(ApiError::invalid(
            "url",
            format!("is one too many: a merchant has at most {MOST_ENDPOINTS} webhooks"),
        )),
    }
}

/// GET of the list, newest first; `search` finds by name, address and id.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, search, merchant_id) = (read_page(&query)?, query.search()?, auth.merchant_id());
    let found = state
        .database
        .run(move |connection| rows::search(connection, merchant_id, &search, page))
        .await?;
    Ok(HttpResponse::Ok().json(envelope(&found, |row| show(&state, row))))
}

/// GET of one.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (id, merchant_id) = (webhook_id(&request)?, auth.merchant_id());
    let work = state
        .database
        .run(move |connection| rows::find(connection, merchant_id, id));
    let row = work.await.map_err(unknown_or_broken)?;
    Ok(HttpResponse::Ok().json(show(&state, &row)))
}

/// PATCH `{name?, url?, events?, enabled?}`: changes what the body mentions.
pub async fn update(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (id, merchant_id) = (webhook_id(&request)?, auth.merchant_id());
    let fields = Fields::of_open_body(&body.0);
    let name = fields.not_null("name", fields.text("name", 255)?)?;
    let url = fields.not_null("url", fields.text("url", 2048)?)?;
    let events = read_events(&fields)?;
    let enabled = fields.not_null("enabled", fields.flag("enabled")?)?;
    let url = match url {
        Some(url) => Some(check_url(&state, &url).await?),
        None => None,
    };
    let edit = move |row: &mut WebhookRow| {
        row.name = name.unwrap_or(std::mem::take(&mut row.name));
        row.url = url.unwrap_or(std::mem::take(&mut row.url));
        events.apply(&mut row.events);
        if let Some(enabled) = enabled {
            row.enabled = enabled;
            row.disabled_reason = None;
        }
    };
    let work = state
        .database
        .run(move |connection| rows::update(connection, merchant_id, id, edit));
    let row = work.await.map_err(unknown_or_broken)?;
    // What was left undone while it was disabled is due.
    state.bell.ring();
    Ok(HttpResponse::Ok().json(show(&state, &row)))
}

/// POST `{grace_seconds?}`: a new secret, in the answer; the last one signs too until the time is up.
pub async fn rotate(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (id, merchant_id) = (webhook_id(&request)?, auth.merchant_id());
    let range = Range {
        least: 0,
        most: LONGEST_GRACE_S,
    };
    let grace_s = Fields::of_open_body(&body.0).integer("grace_seconds", range)?;
    let grace_s = grace_s.value().unwrap_or(DEFAULT_GRACE_S);
    let until_ms = state.now().wall_ms + i64::try_from(grace_s).unwrap_or(0) * 1000;
    let (secret, sealed) = mint(&state, id)?;
    let edit = move |row: &mut WebhookRow| {
        let last = std::mem::replace(&mut row.secret, sealed);
        row.previous = (grace_s > 0).then_some(PreviousSecret { sealed: last, until_ms });
    };
    let work = state
        .database
        .run(move |connection| rows::update(connection, merchant_id, id, edit));
    let row = work.await.map_err(unknown_or_broken)?;
    Ok(HttpResponse::Ok().json(show_with_secret(&state, &row, &secret)))
}

/// DELETE, with all that was to be told there.
pub async fn delete(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (id, merchant_id) = (webhook_id(&request)?, auth.merchant_id());
    loop {
        let work = state
            .database
            .run(move |connection| rows::delete(connection, merchant_id, id));
        match work.await.map_err(unknown_or_broken)? {
            Deleted::All => return Ok(HttpResponse::Ok().json(json!({ "id": id, "deleted": true }))),
            Deleted::Some => {}
        }
    }
}

fn webhook_id(request: &HttpRequest) -> Result<WebhookId, ApiError> {
    let text = request.match_info().get("id").unwrap_or("");
    text.parse().map_err(|_| unknown())
}

fn unknown() -> ApiError {
    ApiError::missing("webhook_id", "webhook")
}

fn unknown_or_broken(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound => unknown(),
        other => ApiError::from(other),
    }
}

/// A list that says one thing twice says it once, but nothing is told in older words and in today's at once.
fn read_events(fields: &Fields<'_>) -> Result<Change<Vec<EventName>>, ApiError> {
    let what = format!("must be one of {}", EventName::WORDS.join(", "));
    Ok(match fields.list("events", &what, EventName::from_name)? {
        Change::Set(names) => {
            let twice = |name: &&EventName| name.older().is_some_and(|older| names.contains(&older));
            if let Some(name) = names.iter().find(twice) {
                return Err(fields.wrong(
                    "events",
                    &format!("must not ask for {} in older words too", name.name()),
                ));
            }
            let known = EventName::ALL.iter().copied();
            Change::Set(known.filter(|name| names.contains(name)).collect())
        }
        other @ (Change::Keep | Change::Clear) => other,
    })
}

async fn check_url(state: &AppState, text: &str) -> Result<String, ApiError> {
    let checked = check_destination(text, &state.webhook_hosts).await;
    let url = checked.map_err(|refused| ApiError::invalid("url", refused))?;
    Ok(url.into())
}

/// A new secret for this endpoint, and as it is stored.
fn mint(state: &AppState, id: WebhookId) -> Result<(Secret<String>, Vec<u8>), ApiError> {
    let random = random::bytes().map_err(|error| ApiError::internal("minting a secret", &error))?;
    let secret = signature::mint(&random);
    let sealed = state.sealing.seal(&WebhookRow::place(id), &secret);
    let sealed = sealed.map_err(|error| ApiError::internal("sealing a secret", &error))?;
    Ok((secret, sealed))
}

fn show_with_secret(state: &AppState, row: &WebhookRow, secret: &Secret<String>) -> Value {
    let mut shown = show(state, row);
    shown["webhook_secret"] = Value::from(secret.expose().as_str());
    shown
}

fn show(state: &AppState, row: &WebhookRow) -> Value {
    let now_ms = state.now().wall_ms;
    let until_ms = row.previous.as_ref().map(|previous| previous.until_ms);
    json!({
        "webhook_id": row.id,
        "name": row.name,
        "url": row.url,
        "events": row.events,
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason,
        "previous_secret_expires_at": until_ms.filter(|until_ms| *until_ms > now_ms).map(iso_millis),
        "created_at": iso_millis(row.created_at_ms),
    })
}
