//! Providers: which can be called and how they fare, and the merchant's own credentials at them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::Value;

use crate::gateway::Worker;
use crate::http::audit::note_target;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::operator::providers as health;
use crate::http::plain;
use crate::http::provider_keys as api;
use crate::http::query::Query;

use super::ask;
use super::form::{Form, object};
use super::sheet::{Sheet, is_refusal, refused_status};
use super::shell::{self, Place, Shell, see_other};
use super::shown::Moment;
use super::visit::Visit;

const PATH: &str = "/dashboard/providers";
/// How the API names a credential.
const OWN: &str = "provider_key_id";

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
    form: Sheet,
    providers: Vec<Provider>,
    keys: Vec<Key>,
    /// Whether not one provider can be called.
    none_is_ready: bool,
}

struct Provider {
    name: String,
    word: &'static str,
    class: &'static str,
    credentials: String,
    trouble: String,
    troubled: Option<Moment>,
    retry: Option<Moment>,
    /// Whether the merchant has stored a credential for it.
    has_own: bool,
}

struct Key {
    id: String,
    provider: String,
    name: String,
    hint: String,
    created: Option<Moment>,
}

/// GET.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let page = ProvidersPage::read(&visit, blank()).await?;
    shell::page(StatusCode::OK, &page)
}

/// POST: a credential of the merchant's own.
async fn create(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = object([
        ("provider", Value::from(form.text("provider"))),
        ("key", Value::from(form.text("key"))),
        ("name", form.json_text("name")),
    ]);
    let wanted = ask::body(&visit.request, wanted);
    let made = api::create(visit.auth()?, visit.state.clone(), visit.request.clone(), wanted).await;
    match ask::answer(made) {
        Ok(key) => {
            note_target(&visit.request, &ask::text(&key, OWN));
            Ok(see_other(&format!("{PATH}?done=saved")))
        }
        Err(error) if is_refusal(&error, OWN) => {
            // The credential has its place, but does not go back to the browser.
            let again = blank().again(&form, &error).with("key", "");
            let page = ProvidersPage::read(&visit, again).await?;
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
    Sheet::new(["provider", "name"].map(|name| (name, String::new())))
}

impl ProvidersPage {
    async fn read(visit: &Visit, form: Sheet) -> Result<Self, ApiError> {
        let worker = visit
            .request
            .app_data::<Worker>()
            .ok_or_else(|| ApiError::new(ErrorCode::Starting))?;
        let now_ms = visit.now_ms();
        let keys = api::list(visit.auth()?, visit.state.clone(), Query::parse("limit=100")).await;
        let keys = ask::answer(keys)?;
        let keys: Vec<Key> = ask::items(&keys).iter().map(|key| Key::read(key, now_ms)).collect();
        let health = health::health(worker.gateway(), visit.state.now());
        let provider = |row: &Value| Provider::read(row, &keys, now_ms);
        let mut providers: Vec<Provider> = health.iter().map(provider).collect();
        // Those that can be called first, each part in its configured order.
        providers.sort_by_key(|provider| provider.class == "off");
        Ok(Self {
            shell: visit.shell(Place::Providers),
            form,
            none_is_ready: providers.iter().all(|provider| provider.class == "off"),
            providers,
            keys,
        })
    }
}

impl Provider {
    fn read(row: &Value, keys: &[Key], now_ms: i64) -> Self {
        let moment = |name: &str| Moment::read(&ask::text(row, name), now_ms);
        let name = ask::text(row, "name");
        let has_own = keys.iter().any(|key| key.provider == name);
        let credentials = row.get("credentials").unwrap_or(&Value::Null);
        let (all, cooling) = (ask::count(credentials, "count"), ask::count(credentials, "cooling"));
        let (word, class) = match (ask::text(row, "state").as_str(), all) {
            ("open", _) => ("Left alone", "bad"),
            ("half_open", _) => ("Being tried", "warn"),
            (_, 0) if has_own => ("Ready (yours)", "good"),
            (_, 0) => ("No credential", "off"),
            (_, _) if cooling > 0 => ("Cooling down", "warn"),
            (_, _) => ("Ready", "good"),
        };
        Self {
            name,
            has_own,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_provider_is_ready_with_a_credential_of_either() {
        let row = |count: u64| json!({ "name": "openai", "state": "closed", "credentials": { "count": count, "cooling": 0 } });
        let own = [Key::read(&json!({ "provider": "openai" }), 0)];
        let other = [Key::read(&json!({ "provider": "anthropic" }), 0)];
        let word = |count, keys| Provider::read(&row(count), keys, 0).word;
        assert_eq!((word(1, &own), word(0, &own)), ("Ready", "Ready (yours)"));
        assert_eq!(word(0, &other), "No credential");
    }
}
