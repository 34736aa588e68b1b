//! Making, editing, rotating, disabling and deleting endpoints from the dashboard. A secret is shown on the page that its
//! making or rotation leads to, once.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::{Map, Value};

use crate::domain::secret::Secret;
use crate::http::audit::note_target;
use crate::http::dashboard::ask;
use crate::http::dashboard::form::{Form, object};
use crate::http::dashboard::sheet::{Sheet, is_refusal, refused_status};
use crate::http::dashboard::shell::{self, Place, Shell, see_other};
use crate::http::dashboard::visit::Visit;
use crate::http::error::ApiError;
use crate::http::webhooks as api;

use super::form::{self, EventBox, event_boxes};
use super::{Endpoint, PATH};

/// How the API names the endpoint itself.
const OWN: &str = "webhook_id";

#[derive(Template)]
#[template(path = "dashboard/webhooks/form.html")]
struct FormPage {
    shell: Shell,
    form: Sheet,
    /// `None`: it is new.
    id: Option<String>,
    title: String,
    events: Vec<EventBox>,
}

#[derive(Template)]
#[template(path = "dashboard/webhooks/secret.html")]
struct SecretPage {
    shell: Shell,
    endpoint: Endpoint,
    /// `None`: it was shown already.
    secret: Option<String>,
}

/// GET: the form of a new endpoint.
pub async fn show_new(visit: Visit) -> Result<HttpResponse, ApiError> {
    shell::page(StatusCode::OK, &FormPage::new(&visit, form::blank(), &[]))
}

/// POST: makes an endpoint.
pub async fn create(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = ask::body(&visit.request, form::body(&form));
    match ask::answer(api::create(visit.auth()?, visit.state.clone(), wanted).await) {
        Ok(webhook) => {
            note_target(&visit.request, &ask::text(&webhook, OWN));
            Ok(reveal(&visit, &webhook, "created"))
        }
        Err(error) if is_refusal(&error, OWN) => {
            let page = FormPage::again(&visit, &form, &error);
            shell::page(refused_status(&error), &page)
        }
        Err(error) => Err(error),
    }
}

/// GET: the form of an endpoint as it is.
pub async fn show_edit(visit: Visit) -> Result<HttpResponse, ApiError> {
    let webhook = load(&visit).await?;
    let chosen = ask::texts(&webhook, "events");
    let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let page = FormPage::new(&visit, form::of_webhook(&webhook), &chosen);
    shell::page(StatusCode::OK, &page.of_webhook(&webhook))
}

/// POST: changes an endpoint.
pub async fn update(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    match edit(&visit, form::body(&form)).await {
        Ok(webhook) => Ok(done(&webhook, "saved")),
        Err(error) if is_refusal(&error, OWN) => {
            let webhook = load(&visit).await?;
            let page = FormPage::again(&visit, &form, &error);
            shell::page(refused_status(&error), &page.of_webhook(&webhook))
        }
        Err(error) => Err(error),
    }
}

/// POST.
pub async fn enable(visit: Visit) -> Result<HttpResponse, ApiError> {
    let webhook = edit(&visit, object([("enabled", Value::Bool(true))])).await?;
    Ok(done(&webhook, "enabled"))
}

/// POST.
pub async fn disable(visit: Visit) -> Result<HttpResponse, ApiError> {
    let webhook = edit(&visit, object([("enabled", Value::Bool(false))])).await?;
    Ok(done(&webhook, "disabled"))
}

/// POST: a new secret, shown on the next page.
pub async fn rotate(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let grace = match form.json_number("grace_seconds") {
        Value::Null => Map::new(),
        seconds => object([("grace_seconds", seconds)]),
    };
    let wanted = ask::body(&visit.request, grace);
    let rotated = api::rotate(visit.auth()?, visit.state.clone(), visit.request.clone(), wanted).await;
    Ok(reveal(&visit, &ask::answer(rotated)?, "signing"))
}

/// POST.
pub async fn delete(visit: Visit) -> Result<HttpResponse, ApiError> {
    ask::answer(api::delete(visit.auth()?, visit.state.clone(), visit.request).await)?;
    Ok(see_other(&format!("{PATH}?done=deleted")))
}

/// GET: the secret, once.
pub async fn show_secret(visit: Visit) -> Result<HttpResponse, ApiError> {
    let endpoint = Endpoint::read(&load(&visit).await?, visit.now_ms());
    let reveals = &visit.state.reveals;
    let secret = reveals.take(visit.session().hash(), &endpoint.id, visit.now_ms());
    let page = SecretPage {
        shell: visit.shell(Place::Webhooks),
        endpoint,
        secret: secret.map(|secret| secret.expose().clone()),
    };
    shell::page(StatusCode::OK, &page)
}

async fn load(visit: &Visit) -> Result<Value, ApiError> {
    ask::answer(api::retrieve(visit.auth()?, visit.state.clone(), visit.request.clone()).await)
}

async fn edit(visit: &Visit, wanted: Map<String, Value>) -> Result<Value, ApiError> {
    let wanted = ask::body(&visit.request, wanted);
    ask::answer(api::update(visit.auth()?, visit.state.clone(), visit.request.clone(), wanted).await)
}

fn done(webhook: &Value, word: &str) -> HttpResponse {
    see_other(&format!("{PATH}/{}?done={word}", ask::text(webhook, OWN)))
}

/// Leads to the page that shows the new secret.
fn reveal(visit: &Visit, webhook: &Value, word: &str) -> HttpResponse {
    let id = ask::text(webhook, OWN);
    let secret = Secret::new(ask::text(webhook, "webhook_secret"));
    let reveals = &visit.state.reveals;
    reveals.keep(visit.session().hash(), &id, secret, visit.now_ms());
    see_other(&format!("{PATH}/{id}/secret?done={word}"))
}

impl FormPage {
    fn new(visit: &Visit, form: Sheet, chosen: &[&str]) -> Self {
        Self {
            shell: visit.shell(Place::Webhooks),
            form,
            id: None,
            title: "New webhook".to_owned(),
            events: event_boxes(chosen),
        }
    }

    fn again(visit: &Visit, form: &Form, error: &ApiError) -> Self {
        let chosen: Vec<&str> = form.texts("events").collect();
        Self::new(visit, form::blank().again(form, error), &chosen)
    }

    fn of_webhook(self, webhook: &Value) -> Self {
        Self {
            id: Some(ask::text(webhook, OWN)),
            title: ask::text(webhook, "name"),
            ..self
        }
    }
}
