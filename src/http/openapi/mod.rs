//! The reference of the callers' port: `/openapi.json` for programs and `/docs` for people, both made of one description
//! of every call, which stands here in a file for each noun. Errors come from their table, and words from the enums that
//! have them, so that neither can drift; that every route is described, and nothing else, is tested. It is open to all,
//! made once, and says nothing that is not the same for everyone.

mod access;
mod call;
mod calls;
mod checkout;
mod components;
mod conversations;
mod customers;
mod document;
mod envelope;
mod forward;
mod keys;
mod media;
mod meters;
mod models;
mod native;
mod page;
mod part;
mod plans;
mod refusals;
mod requests;
mod schema;
mod server;
mod spend_keys;
mod subscriptions;
mod traffic;
mod wallet;
mod webhooks;

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EntityTag, Header as _, IfNoneMatch, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::OpenApi;

use super::error::ApiError;
use super::plain;
use part::Part;

/// Nothing from elsewhere, nothing that is written into the page, and in no frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'none'; \
                      base-uri 'none'; frame-ancestors 'none'";

static DOCUMENT: LazyLock<Published> = LazyLock::new(|| {
    let written = document().to_json();
    Published::new("application/json", written.map_err(|error| error.to_string()))
});
static PAGE: LazyLock<Published> = LazyLock::new(|| {
    let rendered = page::render(&parts());
    Published::new("text/html; charset=utf-8", rendered.map_err(|error| error.to_string()))
});
static STYLE: LazyLock<Published> = LazyLock::new(|| {
    let style = include_str!("assets/reference.css").to_owned();
    Published::new("text/css; charset=utf-8", Ok(style))
});
static SCRIPT: LazyLock<Published> = LazyLock::new(|| {
    let script = include_str!("assets/reference.js").to_owned();
    Published::new("text/javascript; charset=utf-8", Ok(script))
});

static METHODS: LazyLock<HashMap<String, String>> = LazyLock::new(methods);

/// What is the same for everyone, with the tag by which a client knows that he has it already.
struct Published {
    media_type: &'static str,
    /// Or why it cannot be made.
    body: Result<Bytes, String>,
    tag: EntityTag,
}

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(plain("/openapi.json").route(web::get().to(openapi)))
        .service(plain("/docs").route(web::get().to(reference)))
        .service(plain("/docs/assets/reference.css").route(web::get().to(style)))
        .service(plain("/docs/assets/reference.js").route(web::get().to(script)));
}

/// The whole description.
pub fn document() -> OpenApi {
    document::document(&parts())
}

/// The methods that are described of a path, such as `GET, POST`; empty where it is not described.
pub fn methods_of(path: &str) -> &'static str {
    METHODS.get(path).map(String::as_str).unwrap_or_default()
}

fn methods() -> HashMap<String, String> {
    let mut methods: HashMap<String, String> = HashMap::new();
    for route in parts().into_iter().flat_map(|part| part.routes) {
        let method = page::method_name(&route.method);
        for path in route.older_paths.into_iter().chain([route.path]) {
            let known = methods.entry(path).or_default();
            let comma = if known.is_empty() { "" } else { ", " };
            known.push_str(comma);
            known.push_str(method);
        }
    }
    methods
}

/// Every part of the reference, in the order in which it is read.
fn parts() -> Vec<Part> {
    vec![
        conversations::part(),
        media::part(),
        native::google(),
        native::bedrock(),
        forward::part(),
        models::models(),
        models::services(),
        spend_keys::part(),
        requests::requests(),
        requests::usage(),
        calls::part(),
        calls::refusals(),
        traffic::traffic(),
        wallet::wallet(),
        wallet::payment_methods(),
        customers::part(),
        meters::part(),
        plans::plans(),
        plans::credit_bundles(),
        subscriptions::part(),
        checkout::part(),
        webhooks::part(),
        keys::provider_keys(),
        keys::wallet_keys(),
        keys::secret_keys(),
        access::sign_in(),
        access::mcp(),
        traffic::audit_events(),
        server::proof(),
        server::health(),
        server::reference(),
        customers::connections(),
    ]
}

async fn openapi(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    DOCUMENT.answer(&request)
}

async fn reference(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    PAGE.answer(&request)
}

async fn style(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    STYLE.answer(&request)
}

async fn script(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    SCRIPT.answer(&request)
}

impl Published {
    fn new(media_type: &'static str, text: Result<String, String>) -> Self {
        let digest = Sha256::digest(text.as_deref().unwrap_or_default());
        let tag = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Self {
            media_type,
            body: text.map(Bytes::from),
            tag: EntityTag::new_strong(tag),
        }
    }

    /// The whole, or 304 to who has it.
    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
        let body = self.body.as_ref();
        let body = body.map_err(|error| ApiError::internal("making the reference", error))?;
        let is_known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&self.tag)),
            Err(_) => false,
        };
        let mut response = HttpResponse::Ok();
        response
            .insert_header((ETAG, self.tag.to_string()))
            .insert_header((CACHE_CONTROL, "public, no-cache"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((REFERRER_POLICY, "no-referrer"));
        if is_known {
            return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
        }
        response.insert_header((CONTENT_TYPE, self.media_type));
        Ok(response.body(body.clone()))
    }
}
