//! Providers: which can be called and how they fare, and the merchant's own credentials at them.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Value;

use crate::gateway::Worker;
use crate::http::audit::note_target;
use crate::http::auth::SecretKeyAuth;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::operator::providers as health;
use crate::http::plain;
use crate::http::provider_keys as api;
use crate::http::query::Query;
use crate::http::state::AppState;

use super::ask;
use super::form::{Form, object};
use super::session::Session;
use super::shell::{self, Place, Shell, see_other};
use super::shown::Moment;

type State = web::Data<AppState>;

const PATH: &str = "/dashboard/providers";

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(plain("/providers").route(web::get().to(list)))
        .service(plain("/provider_keys").route(web::post().to(create)))
        .service(plain("/provider_keys/{id}/delete").route(web::post().to(delete)));
}

#[derive(Template)]
#[template(path = "dashboard/providers.html")]
struct ProvidersPage {
    shell: Shell,
    providers: Vec<Provider>,
    ready_count: usize,
    keys: Vec<Key>,
    refusal: Option<String>,
    /// What was typed, but for the credential.
    provider: String,
    name: String,
}

struct Provider {
    name: String,
    word: &'static str,
    class: &'static str,
    credentials: String,
    trouble: String,
    troubled: Option<Moment>,
    retry: Option<Moment>,
}

struct Key {
    id: String,
    provider: String,
    name: String,
    hint: String,
    created: Option<Moment>,
}

#[derive(Default)]
struct Attempt {
    refusal: Option<String>,
    provider: String,
    name: String,
}

/// GET.
async fn list(
    request: HttpRequest,
    session: Session,
    auth: SecretKeyAuth,
    state: State,
) -> Result<HttpResponse, ApiError> {
    page(&request, &session, auth, &state, Attempt::default()).await
}

/// POST: a credential of the merchant's own.
async fn create(
    request: HttpRequest,
    session: Session,
    auth: SecretKeyAuth,
    state: State,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let body = object([
        ("provider", Value::from(form.text("provider"))),
        ("key", Value::from(form.text("key"))),
        ("name", form.json_text("name")),
    ]);
    let again = SecretKeyAuth(auth.0.clone());
    match ask::answer(api::create(auth, state.clone(), request.clone(), ask::body(&request, body)).await) {
        Ok(kept) => {
            note_target(&request, &ask::text(&kept, "provider_key_id"));
            Ok(see_other(&format!("{PATH}?done=saved")))
        }
        Err(error) if error.status().is_client_error() => {
            let attempt = Attempt {
                refusal: Some(error.message().replace('`', "")),
                provider: form.text("provider").to_owned(),
                name: form.text("name").to_owned(),
            };
            page(&request, &session, again, &state, attempt).await
        }
        Err(error) => Err(error),
    }
}

/// POST.
async fn delete(request: HttpRequest, auth: SecretKeyAuth, state: State) -> Result<HttpResponse, ApiError> {
    ask::answer(api::delete(auth, state, request).await)?;
    Ok(see_other(&format!("{PATH}?done=deleted")))
}

async fn page(
    request: &HttpRequest,
    session: &Session,
    auth: SecretKeyAuth,
    state: &State,
    attempt: Attempt,
) -> Result<HttpResponse, ApiError> {
    let worker = request
        .app_data::<Worker>()
        .ok_or_else(|| ApiError::new(ErrorCode::Starting))?;
    let health = health::health(worker.gateway(), state.now());
    let keys = ask::answer(api::list(auth, state.clone(), Query::parse("limit=100")).await)?;
    let now_ms = state.now().wall_ms;
    let mut providers: Vec<Provider> = health.iter().map(|row| Provider::read(row, now_ms)).collect();
    // Those that can be called first, each part in its configured order.
    providers.sort_by_key(|provider| provider.class == "off");
    let status = match attempt.refusal {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = ProvidersPage {
        shell: Shell::new(session, request, Place::Providers),
        ready_count: providers.iter().filter(|provider| provider.class != "off").count(),
        providers,
        keys: ask::items(&keys).iter().map(|key| Key::read(key, now_ms)).collect(),
        refusal: attempt.refusal,
        provider: attempt.provider,
        name: attempt.name,
    };
    shell::page(status, &page)
}

impl Provider {
    fn read(row: &Value, now_ms: i64) -> Self {
        let moment = |name: &str| Moment::read(&ask::text(row, name), now_ms);
        let credentials = row.get("credentials").unwrap_or(&Value::Null);
        let (all, cooling) = (ask::count(credentials, "count"), ask::count(credentials, "cooling"));
        let (word, class) = match (ask::text(row, "state").as_str(), all) {
            ("open", _) => ("Left alone", "bad"),
            ("half_open", _) => ("Being tried", "warn"),
            (_, 0) => ("No credential", "off"),
            (_, _) if cooling > 0 => ("Cooling down", "warn"),
            (_, _) => ("Ready", "good"),
        };
        Self {
            name: ask::text(row, "name"),
            word,
            class,
            credentials: match (all, cooling) {
                (_, 0) => all.to_string(),
                (_, _) => format!("{all}, {cooling} cooling down"),
            },
            trouble: ask::text(row, "last_error").replace('_', " "),
            troubled: moment("last_error_at"),
            retry: moment("retry_at"),
        }
    }
}

impl Key {
    fn read(key: &Value, now_ms: i64) -> Self {
        Self {
            id: ask::text(key, "provider_key_id"),
            provider: ask::text(key, "provider"),
            name: ask::text(key, "name"),
            hint: ask::text(key, "key_hint"),
            created: Moment::read(&ask::text(key, "created_at"), now_ms),
        }
    }
}
