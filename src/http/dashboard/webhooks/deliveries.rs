//! One endpoint with its deliveries, and one delivery with what was told and what the endpoint said. What is replayed is
//! due at once, and the page says so.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::Value;

use crate::http::dashboard::ask;
use crate::http::dashboard::history::{self, History, Thing};
use crate::http::dashboard::listing::Listing;
use crate::http::dashboard::shell::{self, Place, Shell, see_other};
use crate::http::dashboard::shown::{Moment, grouped};
use crate::http::dashboard::visit::Visit;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::webhooks as api;

use super::{Endpoint, PATH};

#[derive(Template)]
#[template(path = "dashboard/webhooks/one.html")]
struct EndpointPage {
    shell: Shell,
    endpoint: Endpoint,
    listing: Listing,
    deliveries: Vec<Delivery>,
    next: Option<String>,
    history: History,
}

#[derive(Template)]
#[template(path = "dashboard/webhooks/delivery.html")]
struct DeliveryPage {
    shell: Shell,
    endpoint: Endpoint,
    delivery: Delivery,
    /// Why it was not replayed; empty where nothing was refused.
    refusal: String,
}

/// A delivery, read from the API's answer.
struct Delivery {
    id: String,
    event_id: String,
    event: String,
    word: &'static str,
    class: &'static str,
    is_pending: bool,
    attempts: String,
    created: Option<Moment>,
    next_attempt: Option<Moment>,
    last_attempt: Option<Moment>,
    ended: Option<Moment>,
    /// The status of the last answer; empty where there was none.
    last_status: String,
    last_error: String,
    last_answer: String,
    /// What is told; empty where that is found out when it is first sent.
    body: String,
}

/// What is said of a delivery's status.
pub fn word(status: &str) -> &'static str {
    match status {
        "delivered" => "Delivered",
        "dead" => "Given up",
        _ => "Waiting",
    }
}

/// The class of its mark.
pub fn class(status: &str) -> &'static str {
    match status {
        "delivered" => "good",
        "dead" => "bad",
        _ => "off",
    }
}

/// GET of one endpoint.
pub async fn show_endpoint(visit: Visit) -> Result<HttpResponse, ApiError> {
    let endpoint = load_endpoint(&visit).await?;
    let listing = Listing::read(&visit.request, &["status"])?;
    let found = api::list_deliveries(
        visit.auth()?,
        visit.state.clone(),
        visit.request.clone(),
        listing.asked(),
    );
    let (found, now_ms) = (ask::answer(found.await)?, visit.now_ms());
    let thing = Thing {
        nouns: &["webhooks"],
        ids: &[&endpoint.id],
        name: "",
    };
    let page = EndpointPage {
        shell: visit.shell(Place::Webhooks),
        history: history::of(&visit, thing).await?,
        deliveries: ask::items(&found)
            .iter()
            .map(|item| Delivery::read(item, now_ms))
            .collect(),
        next: listing.next(&found),
        endpoint,
        listing,
    };
    shell::page(StatusCode::OK, &page)
}

/// GET of one delivery.
pub async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    shell::page(StatusCode::OK, &DeliveryPage::read(&visit, String::new()).await?)
}

/// POST: sends it again.
pub async fn replay(visit: Visit) -> Result<HttpResponse, ApiError> {
    let replayed = api::replay(visit.auth()?, visit.state.clone(), visit.request.clone()).await;
    match ask::answer(replayed) {
        Ok(delivery) => {
            let (webhook_id, id) = (ask::text(&delivery, "webhook_id"), ask::text(&delivery, "delivery_id"));
            Ok(see_other(&format!("{PATH}/{webhook_id}/deliveries/{id}?done=replayed")))
        }
        Err(error) if error.code() == ErrorCode::Conflict => {
            let page = DeliveryPage::read(&visit, error.message().to_owned()).await?;
            shell::page(StatusCode::CONFLICT, &page)
        }
        Err(error) => Err(error),
    }
}

async fn load_endpoint(visit: &Visit) -> Result<Endpoint, ApiError> {
    let found = api::retrieve(visit.auth()?, visit.state.clone(), visit.request.clone()).await;
    Ok(Endpoint::read(&ask::answer(found)?, visit.now_ms()))
}

impl DeliveryPage {
    async fn read(visit: &Visit, refusal: String) -> Result<Self, ApiError> {
        let endpoint = load_endpoint(visit).await?;
        let found = api::retrieve_delivery(visit.auth()?, visit.state.clone(), visit.request.clone()).await;
        Ok(Self {
            shell: visit.shell(Place::Webhooks),
            delivery: Delivery::read(&ask::answer(found)?, visit.now_ms()),
            endpoint,
            refusal,
        })
    }
}

impl Delivery {
    fn read(delivery: &Value, now_ms: i64) -> Self {
        let moment = |name: &str| Moment::read(&ask::text(delivery, name), now_ms);
        let status = ask::text(delivery, "status");
        Self {
            id: ask::text(delivery, "delivery_id"),
            event_id: ask::text(delivery, "event_id"),
            event: ask::text(delivery, "event"),
            word: word(&status),
            class: class(&status),
            is_pending: status == "pending",
            attempts: grouped(ask::count(delivery, "attempt_count")),
            created: moment("created_at"),
            next_attempt: moment("next_attempt_at"),
            last_attempt: moment("last_attempt_at"),
            ended: moment("ended_at"),
            last_status: delivery
                .get("last_status")
                .and_then(Value::as_i64)
                .map(|status| status.to_string())
                .unwrap_or_default(),
            last_error: ask::text(delivery, "last_error"),
            last_answer: ask::text(delivery, "last_answer"),
            body: indented(ask::text(delivery, "body")),
        }
    }
}

/// JSON as a person reads it, in the order in which it was told; what is none stays as it is.
fn indented(text: String) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
        return text;
    }
    let (mut shown, mut depth) = (String::with_capacity(text.len() * 2), 0usize);
    let (mut is_text, mut is_escaped) = (false, false);
    for letter in text.chars() {
        if is_text || letter == '"' {
            is_text = letter != '"' || is_escaped || !is_text;
            is_escaped = letter == '\\' && !is_escaped;
            shown.push(letter);
            continue;
        }
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                begin_line(&mut shown, depth);
            }
            _ => {}
        }
        shown.push(letter);
        match letter {
            '{' | '[' | ',' => begin_line(&mut shown, depth),
            ':' => shown.push(' '),
            _ => {}
        }
    }
    shown
}

fn begin_line(shown: &mut String, depth: usize) {
    shown.push('\n');
    shown.extend(std::iter::repeat_n(' ', depth * 2));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_laid_out_in_its_own_order() {
        let shown = indented(r#"{"z":"a{\"b,","a":[1,{"n":null}]}"#.to_owned());
        let expected = "{\n  \"z\": \"a{\\\"b,\",\n  \"a\": [\n    1,\n    {\n      \"n\": null\n    }\n  ]\n}";
        assert_eq!(shown, expected);
        assert_eq!(indented("no json,".to_owned()), "no json,");
    }
}
