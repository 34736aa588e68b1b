//! Minting, editing, pausing, resuming, rotating and revoking from the dashboard. Every form leads on by a redirect, so
//! that going back or reloading repeats nothing; a secret is shown on the page that it leads to, once.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::{Map, Value};

use crate::domain::key::RequestShape;
use crate::domain::secret::Secret;
use crate::http::audit::note_target;
use crate::http::dashboard::ask;
use crate::http::dashboard::form::{Form, object};
use crate::http::dashboard::sheet::{Sheet, is_refusal, refused_status};
use crate::http::dashboard::shell::{self, Place, Shell, see_other};
use crate::http::dashboard::visit::Visit;
use crate::http::error::ApiError;
use crate::http::guides::{self, Filling, Guide};
use crate::http::own_url::own_url;
use crate::http::spend_keys as api;

use super::card::Card;
use super::{PATH, form};

/// How the API names the key itself.
const OWN: &str = "spend_key_id";

#[derive(Template)]
#[template(path = "dashboard/spend_keys/form.html")]
struct FormPage {
    shell: Shell,
    form: Sheet,
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
pub async fn show_new(visit: Visit) -> Result<HttpResponse, ApiError> {
    shell::page(StatusCode::OK, &FormPage::new(&visit, form::blank()))
}

/// POST: mints a key.
pub async fn create(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = ask::body(&visit.request, form::creation(&form));
    match ask::answer(api::create(visit.manager(), visit.state.clone(), wanted).await) {
        Ok(key) => {
            note_target(&visit.request, &ask::text(&key, OWN));
            Ok(reveal(&visit, &key, "created"))
        }
        Err(error) if is_refusal(&error, OWN) => {
            let page = FormPage::new(&visit, form::blank().again(&form, &error));
            shell::page(refused_status(&error), &page)
        }
        Err(error) => Err(error),
    }
}

/// GET: the form of a key as it is.
pub async fn show_edit(visit: Visit) -> Result<HttpResponse, ApiError> {
    let key = load(&visit).await?;
    shell::page(StatusCode::OK, &FormPage::of_key(&visit, &key, form::of_key(&key)))
}

/// POST: changes of a key what was edited.
pub async fn update(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let key = load(&visit).await?;
    match edit(&visit, form::edit(&form, &form::of_key(&key))).await {
        Ok(key) => Ok(done(&key, "saved")),
        Err(error) if is_refusal(&error, OWN) => {
            let page = FormPage::of_key(&visit, &key, form::blank().again(&form, &error));
            shell::page(refused_status(&error), &page)
        }
        Err(error) => Err(error),
    }
}

/// POST.
pub async fn pause(visit: Visit) -> Result<HttpResponse, ApiError> {
    let key = edit(&visit, object([("status", Value::from("paused"))])).await?;
    Ok(done(&key, "paused"))
}

/// POST.
pub async fn resume(visit: Visit) -> Result<HttpResponse, ApiError> {
    let key = edit(&visit, object([("status", Value::from("active"))])).await?;
    Ok(done(&key, "resumed"))
}

/// POST: a new secret, shown on the next page.
pub async fn rotate(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let grace = match form.json_number("grace_seconds") {
        Value::Null => Map::new(),
        seconds => object([("grace_seconds", seconds)]),
    };
    let wanted = ask::body(&visit.request, grace);
    let rotated = api::rotate(visit.manager(), visit.state.clone(), visit.request.clone(), wanted).await;
    Ok(reveal(&visit, &ask::answer(rotated)?, "rotated"))
}

/// POST.
pub async fn revoke(visit: Visit) -> Result<HttpResponse, ApiError> {
    ask::answer(api::revoke(visit.manager(), visit.state.clone(), visit.request).await)?;
    Ok(see_other(&format!("{PATH}?done=revoked")))
}

/// GET: the secret, once.
pub async fn show_secret(visit: Visit) -> Result<HttpResponse, ApiError> {
    let key = load(&visit).await?;
    let card = Card::read(&key, visit.now_ms());
    let secret = visit
        .state
        .reveals
        .take(visit.session().hash(), &card.id, visit.now_ms());
    let base_url = own_url(&visit.state, &visit.request);
    let secret = secret.map(|secret| secret.expose().clone());
    let filling = Filling {
        base_url: &base_url,
        key: secret.as_deref().unwrap_or_default(),
    };
    let page = SecretPage {
        shell: visit.shell(Place::AiSpend),
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

/// The key that the path names.
async fn load(visit: &Visit) -> Result<Value, ApiError> {
    ask::answer(api::retrieve(visit.manager(), visit.state.clone(), visit.request.clone()).await)
}

/// Changes the key that the path names.
async fn edit(visit: &Visit, wanted: Map<String, Value>) -> Result<Value, ApiError> {
    let wanted = ask::body(&visit.request, wanted);
    ask::answer(api::update(visit.manager(), visit.state.clone(), visit.request.clone(), wanted).await)
}

impl FormPage {
    fn new(visit: &Visit, form: Sheet) -> Self {
        Self {
            shell: visit.shell(Place::AiSpend),
            form,
            id: None,
            title: "New spend key".to_owned(),
        }
    }

    fn of_key(visit: &Visit, key: &Value, form: Sheet) -> Self {
        Self {
            id: Some(ask::text(key, OWN)),
            title: ask::text(key, "name"),
            ..Self::new(visit, form)
        }
    }
}

fn done(key: &Value, word: &str) -> HttpResponse {
    see_other(&format!("{PATH}/{}?done={word}", ask::text(key, OWN)))
}

/// Leads to the page that shows the new secret.
fn reveal(visit: &Visit, key: &Value, word: &str) -> HttpResponse {
    let id = ask::text(key, OWN);
    let secret = Secret::new(ask::text(key, "key"));
    let reveals = &visit.state.reveals;
    reveals.keep(visit.session().hash(), &id, secret, visit.now_ms());
    see_other(&format!("{PATH}/{id}/secret?done={word}"))
}
