//! Secrets: the keys of the management API. A new one is shown once; the one that this session was opened with is
//! marked, because deleting it ends the session.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Value;

use crate::domain::secret::Secret;
use crate::http::audit::note_target;
use crate::http::auth::SecretKeyAuth;
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::query::Query;
use crate::http::secret_keys as api;
use crate::http::state::AppState;

use super::ask;
use super::form::{Form, object};
use super::session::Session;
use super::shell::{self, Place, Shell, see_other};
use super::shown::Moment;

type State = web::Data<AppState>;

const PATH: &str = "/dashboard/secret_keys";

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            plain("/secret_keys")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(plain("/secret_keys/{id}/delete").route(web::post().to(delete)));
}

#[derive(Template)]
#[template(path = "dashboard/secret_keys.html")]
struct KeysPage {
    shell: Shell,
    keys: Vec<Key>,
    secret: Option<String>,
    refusal: Option<String>,
    name: String,
    next: Option<String>,
}

struct Key {
    id: String,
    name: String,
    hint: String,
    created: Option<Moment>,
    is_own: bool,
}

/// GET: the list, with a secret that was made a moment ago.
async fn list(
    request: HttpRequest,
    session: Session,
    auth: SecretKeyAuth,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let made = query.text("made")?.unwrap_or_default();
    let secret = state.reveals.take(session.hash(), made, state.now().wall_ms);
    let secret = secret.map(|secret| secret.expose().clone());
    page(
        &request,
        &session,
        auth,
        &state,
        Attempt {
            secret,
            ..Attempt::default()
        },
    )
    .await
}

#[derive(Default)]
struct Attempt {
    secret: Option<String>,
    refusal: Option<String>,
    name: String,
}

/// POST.
async fn create(
    request: HttpRequest,
    session: Session,
    auth: SecretKeyAuth,
    state: State,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let body = ask::body(&request, object([("name", Value::from(form.text("name")))]));
    let again = SecretKeyAuth(auth.0.clone());
    match ask::answer(api::create(auth, state.clone(), body).await) {
        Ok(key) => {
            let (id, secret) = (ask::text(&key, "secret_key_id"), ask::text(&key, "secret_key"));
            note_target(&request, &id);
            let now_ms = state.now().wall_ms;
            state.reveals.keep(session.hash(), &id, Secret::new(secret), now_ms);
            Ok(see_other(&format!("{PATH}?done=created&made={id}")))
        }
        Err(error) if error.status().is_client_error() => {
            let attempt = Attempt {
                refusal: Some(error.message().replace('`', "")),
                name: form.text("name").to_owned(),
                secret: None,
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
    let cursor = ask::cursor(request)?;
    let query = Query::parse(&format!("limit=50&cursor={cursor}"));
    let found = ask::answer(api::list(auth, state.clone(), query).await)?;
    let (now_ms, own) = (state.now().wall_ms, session.row.secret_key_id.map(|id| id.to_string()));
    let key = |key: &Value| {
        let id = ask::text(key, "secret_key_id");
        Key {
            is_own: own.as_ref() == Some(&id),
            id,
            name: ask::text(key, "name"),
            hint: ask::text(key, "secret_key_hint"),
            created: Moment::read(&ask::text(key, "created_at"), now_ms),
        }
    };
    let status = match attempt.refusal {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = KeysPage {
        shell: Shell::new(session, request, Place::Secrets),
        keys: ask::items(&found).iter().map(key).collect(),
        secret: attempt.secret,
        refusal: attempt.refusal,
        name: attempt.name,
        next: ask::next_cursor(&found).map(|cursor| format!("{PATH}?cursor={cursor}")),
    };
    shell::page(status, &page)
}
