//! Minting, editing, pausing, resuming, rotating and revoking from the dashboard. Every form leads on by a redirect, so
//! that going back or reloading repeats nothing; a secret is shown on the page that it leads to, once.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::{Map, Value};

use crate::domain::key::RequestShape;
use crate::domain::secret::Secret;
use crate::http::audit::note_target;
use crate::http::auth::KeyManagerAuth;
use crate::http::dashboard::ask;
use crate::http::dashboard::form::{Form, object};
use crate::http::dashboard::session::Session;
use crate::http::dashboard::shell::{self, Place, Shell, see_other};
use crate::http::error::ApiError;
use crate::http::guides::{self, Filling, Guide};
use crate::http::own_url::own_url;
use crate::http::spend_keys as api;

use super::card::Card;
use super::form::{KeyForm, body};
use super::{PATH, State};

#[derive(Template)]
#[template(path = "dashboard/spend_keys/form.html")]
struct FormPage {
    shell: Shell,
    form: KeyForm,
    /// `None`: the key is new.
    id: Option<String>,
    /// The name as it is stored.
    title: String,
}

#[derive(Template)]
#[template(path = "dashboard/spend_keys/secret.html")]
struct SecretPage {
    shell: Shell,
    card: Card,
    /// `None`: it was shown already.
    secret: Option<String>,
    /// Where this server is, as the browser knows it.
    base_url: String,
    tools: Vec<Tool>,
}

/// How one tool is told of the key.
struct Tool {
    name: &'static str,
    snippets: Vec<Snippet>,
}

struct Snippet {
    id: String,
    title: &'static str,
    text: String,
}

/// GET: the form of a new key.
pub async fn show_new(request: HttpRequest, session: Session) -> Result<HttpResponse, ApiError> {
    shell::page(StatusCode::OK, &FormPage::new(&session, &request, KeyForm::blank()))
}

/// POST: mints a key.
pub async fn create(
    request: HttpRequest,
    session: Session,
    auth: KeyManagerAuth,
    state: State,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let wanted = body(&form);
    let wanted = wanted.into_iter().filter(|(_, value)| !value.is_null()).collect();
    match ask::answer(api::create(auth, state.clone(), ask::body(&request, wanted)).await) {
        Ok(key) => {
            note_target(&request, &ask::text(&key, "spend_key_id"));
            reveal(&session, &state, &key, "created")
        }
        Err(error) if error.status().is_client_error() => {
            let again = FormPage::new(&session, &request, KeyForm::again(&form, &error));
            shell::page(StatusCode::UNPROCESSABLE_ENTITY, &again)
        }
        Err(error) => Err(error),
    }
}

/// GET: the form of a key as it is.
pub async fn show_edit(
    request: HttpRequest,
    session: Session,
    auth: KeyManagerAuth,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let key = ask::answer(api::retrieve(auth, state, request.clone()).await)?;
    let page = FormPage::of_key(&session, &request, &key, KeyForm::of_key(&key));
    shell::page(StatusCode::OK, &page)
}

/// POST: changes a key.
pub async fn update(
    request: HttpRequest,
    session: Session,
    auth: KeyManagerAuth,
    state: State,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let json = ask::body(&request, body(&form));
    match ask::answer(api::update(auth.clone(), state.clone(), request.clone(), json).await) {
        Ok(key) => Ok(done(&key, "saved")),
        Err(error) if error.status().is_client_error() && error.status() != StatusCode::NOT_FOUND => {
            let key = ask::answer(api::retrieve(auth, state, request.clone()).await)?;
            let page = FormPage::of_key(&session, &request, &key, KeyForm::again(&form, &error));
            shell::page(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(error) => Err(error),
    }
}

/// POST.
pub async fn pause(request: HttpRequest, auth: KeyManagerAuth, state: State) -> Result<HttpResponse, ApiError> {
    set_status(request, auth, state, "paused").await
}

/// POST.
pub async fn resume(request: HttpRequest, auth: KeyManagerAuth, state: State) -> Result<HttpResponse, ApiError> {
    set_status(request, auth, state, "active").await
}

/// POST: a new secret, shown on the next page.
pub async fn rotate(
    request: HttpRequest,
    session: Session,
    auth: KeyManagerAuth,
    state: State,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let grace = match form.json_number("grace_seconds") {
        Value::Null => Map::new(),
        seconds => object([("grace_seconds", seconds)]),
    };
    let json = ask::body(&request, grace);
    let key = ask::answer(api::rotate(auth, state.clone(), request, json).await)?;
    reveal(&session, &state, &key, "rotated")
}

/// POST.
pub async fn revoke(request: HttpRequest, auth: KeyManagerAuth, state: State) -> Result<HttpResponse, ApiError> {
    ask::answer(api::revoke(auth, state, request).await)?;
    Ok(see_other(&format!("{PATH}?done=revoked")))
}

/// GET: the secret, once.
pub async fn show_secret(
    request: HttpRequest,
    session: Session,
    auth: KeyManagerAuth,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let key = ask::answer(api::retrieve(auth, state.clone(), request.clone()).await)?;
    let now_ms = state.now().wall_ms;
    let card = Card::read(&key, now_ms);
    let secret = state.reveals.take(session.hash(), &card.id, now_ms);
    let base_url = own_url(&state, &request);
    let secret = secret.map(|secret| secret.expose().clone());
    let filling = Filling {
        base_url: &base_url,
        key: secret.as_deref().unwrap_or_default(),
    };
    let page = SecretPage {
        shell: Shell::new(&session, &request, Place::AiSpend),
        tools: tools(&ask::text(&key, "request_shape"), &filling),
        card,
        secret,
        base_url,
    };
    shell::page(StatusCode::OK, &page)
}

/// The guides of the tools that speak what the key speaks, with the key filled in.
fn tools(shape: &str, filling: &Filling<'_>) -> Vec<Tool> {
    let fits = |guide: &&Guide| RequestShape::from_name(shape) == Some(guide.request_shape);
    let tool = |guide: &Guide| Tool {
        name: guide.name,
        snippets: guide
            .snippets
            .iter()
            .enumerate()
            .map(|(place, block)| Snippet {
                id: format!("{}-{place}", guide.slug),
                title: block.title(),
                text: block.filled(filling),
            })
            .collect(),
    };
    guides::all().iter().filter(fits).map(tool).collect()
}

impl FormPage {
    fn new(session: &Session, request: &HttpRequest, form: KeyForm) -> Self {
        Self {
            shell: Shell::new(session, request, Place::AiSpend),
            form,
            id: None,
            title: "New spend key".to_owned(),
        }
    }

    fn of_key(session: &Session, request: &HttpRequest, key: &Value, form: KeyForm) -> Self {
        Self {
            id: Some(ask::text(key, "spend_key_id")),
            title: ask::text(key, "name"),
            ..Self::new(session, request, form)
        }
    }
}

async fn set_status(
    request: HttpRequest,
    auth: KeyManagerAuth,
    state: State,
    status: &str,
) -> Result<HttpResponse, ApiError> {
    let json = ask::body(&request, object([("status", Value::from(status))]));
    let key = ask::answer(api::update(auth, state, request, json).await)?;
    Ok(done(&key, if status == "paused" { "paused" } else { "resumed" }))
}

fn done(key: &Value, word: &str) -> HttpResponse {
    see_other(&format!("{PATH}/{}?done={word}", ask::text(key, "spend_key_id")))
}

/// Leads to the page that shows the new secret.
fn reveal(session: &Session, state: &State, key: &Value, word: &str) -> Result<HttpResponse, ApiError> {
    let id = ask::text(key, "spend_key_id");
    let secret = Secret::new(ask::text(key, "key"));
    state.reveals.keep(session.hash(), &id, secret, state.now().wall_ms);
    Ok(see_other(&format!("{PATH}/{id}/secret?done={word}")))
}
