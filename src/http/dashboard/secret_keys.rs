//! Secrets: the keys of the management API. A new one is shown once; the one that this session was opened with is
//! marked, because deleting it ends the session.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::Value;

use crate::domain::secret::Secret;
use crate::http::audit::note_target;
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::query::Query;
use crate::http::secret_keys as api;

use super::ask;
use super::form::{Form, object};
use super::listing::Listing;
use super::sheet::{Sheet, is_refusal, refused_status};
use super::shell::{self, Place, Shell, see_other};
use super::shown::Moment;
use super::visit::Visit;

const PATH: &str = "/dashboard/secret_keys";
/// How the API names a key.
const OWN: &str = "secret_key_id";

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
    form: Sheet,
    listing: Listing,
    keys: Vec<Key>,
    /// One that was made a moment ago.
    secret: Option<String>,
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
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(visit.request.query_string());
    let made = query.text("made")?.unwrap_or_default();
    let secret = visit.state.reveals.take(visit.session().hash(), made, visit.now_ms());
    let mut page = KeysPage::read(&visit, blank()).await?;
    page.secret = secret.map(|secret| secret.expose().clone());
    shell::page(StatusCode::OK, &page)
}

/// POST.
async fn create(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = ask::body(&visit.request, object([("name", Value::from(form.text("name")))]));
    match ask::answer(api::create(visit.auth()?, visit.state.clone(), wanted).await) {
        Ok(key) => {
            let (id, secret) = (ask::text(&key, OWN), ask::text(&key, "secret_key"));
            note_target(&visit.request, &id);
            let reveals = &visit.state.reveals;
            reveals.keep(visit.session().hash(), &id, Secret::new(secret), visit.now_ms());
            Ok(see_other(&format!("{PATH}?done=created&made={id}")))
        }
        Err(error) if is_refusal(&error, OWN) => {
            let page = KeysPage::read(&visit, blank().again(&form, &error)).await?;
            shell::page(refused_status(&error), &page)
        }
        Err(error) => Err(error),
    }
}

/// POST.
async fn delete(visit: Visit) -> Result<HttpResponse, ApiError> {
    ask::answer(api::delete(visit.auth()?, visit.state.clone(), visit.request).await)?;
    Ok(see_other(&format!("{PATH}?done=deleted")))
}

fn blank() -> Sheet {
    Sheet::new([("name", String::new())])
}

impl KeysPage {
    async fn read(visit: &Visit, form: Sheet) -> Result<Self, ApiError> {
        let listing = Listing::read(&visit.request, &[])?.of_rows(50);
        let found = ask::answer(api::list(visit.auth()?, visit.state.clone(), listing.asked()).await)?;
        let own = visit.session().row.secret_key_id.map(|id| id.to_string());
        let key = |key: &Value| Key::read(key, own.as_deref(), visit.now_ms());
        Ok(Self {
            shell: visit.shell(Place::Secrets),
            form,
            keys: ask::items(&found).iter().map(key).collect(),
            secret: None,
            next: listing.next(&found),
            listing,
        })
    }
}

impl Key {
    fn read(key: &Value, own: Option<&str>, now_ms: i64) -> Self {
        let id = ask::text(key, OWN);
        Self {
            is_own: own == Some(id.as_str()),
            id,
            name: ask::text(key, "name"),
            hint: ask::text(key, "secret_key_hint"),
            created: Moment::read(&ask::text(key, "created_at"), now_ms),
        }
    }
}
