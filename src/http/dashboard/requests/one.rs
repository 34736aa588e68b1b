//! One request whole: what it used, what it cost and charged and how that was reached, what was held, how long it took,
//! and what other attempts its call had.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::Value;

use crate::domain::ids::RequestId;
use crate::http::dashboard::ask;
use crate::http::dashboard::shell::{self, Place, Shell};
use crate::http::dashboard::shown::{Amount, Moment, grouped, length};
use crate::http::dashboard::visit::Visit;
use crate::http::error::ApiError;
use crate::http::requests as api;
use crate::storage::requests::{self as rows, RequestRow};

use super::{Mark, key_names, time};

#[derive(Template)]
#[template(path = "dashboard/requests/one.html")]
struct OnePage {
    shell: Shell,
    id: String,
    mark: Mark,
    why: String,
    at: Option<Moment>,
    ended: Option<Moment>,
    duration: String,
    first_token: String,
    model: String,
    provider: String,
    endpoint: String,
    key_id: String,
    key_name: String,
    customer_id: String,
    meter_id: String,
    response_id: String,
    credential: &'static str,
    source: &'static str,
    is_streaming: bool,
    is_simulated: bool,
    counts: Vec<(&'static str, String)>,
    cost: Option<Amount>,
    input_cost: Option<Amount>,
    output_cost: Option<Amount>,
    hold: Option<Amount>,
    price_version: String,
    charge: Option<Amount>,
    tiers: Vec<Tier>,
    metadata: Vec<(String, String)>,
    attempts: Vec<Attempt>,
}

/// What of a charge fell into one tier.
struct Tier {
    start: String,
    rate: String,
    quantity: String,
    cost: Option<Amount>,
}

/// One of the providers that the call was sent to.
struct Attempt {
    id: String,
    is_this: bool,
    provider: String,
    model: String,
    status: String,
    class: &'static str,
    cost: Amount,
    duration: String,
}

/// The counts that are shown where they are not zero.
const COUNTS: [(&str, &str); 17] = [
    ("Input tokens", "input_tokens"),
    ("of these from the cache", "cache_read_tokens"),
    ("of these written to it", "cache_write_tokens"),
    ("of these sound", "audio_input_tokens"),
    ("of these images", "image_input_tokens"),
    ("Output tokens", "output_tokens"),
    ("of these reasoning", "reasoning_tokens"),
    ("of these sound", "audio_output_tokens"),
    ("of these images", "image_output_tokens"),
    ("Web searches", "web_searches"),
    ("Images", "images"),
    ("Characters", "characters"),
    ("Sound in, ms", "audio_ms"),
    ("Sound out, ms", "output_audio_ms"),
    ("Pages", "pages"),
    ("Queries", "queries"),
    ("Total tokens", "total_tokens"),
];

/// GET.
pub async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    let found = api::retrieve(visit.auth()?, visit.state.clone(), visit.request.clone()).await;
    let row = ask::answer(found)?;
    let names = key_names(&visit, std::slice::from_ref(&row)).await?;
    let attempts = attempts(&visit, &row).await?;
    let now_ms = visit.now_ms();
    let text = |name: &str| ask::text(&row, name);
    let amount = |value: &Value| value.as_str().and_then(Amount::read);
    let key_id = text("spend_key_id");
    let usage = &row["model_usage"];
    let page = OnePage {
        shell: visit.shell(Place::Requests),
        id: text("request_id"),
        mark: Mark::read(&row),
        why: why(&row),
        at: Moment::read(&text("created_at"), now_ms),
        ended: Moment::read(&text("timestamp"), now_ms),
        duration: time(&row, "duration_ms"),
        first_token: time(&row, "first_token_ms"),
        model: text("model"),
        provider: text("provider"),
        endpoint: text("endpoint"),
        key_name: names.get(&key_id).cloned().unwrap_or_default(),
        key_id,
        customer_id: text("customer_id"),
        meter_id: text("meter_id"),
        response_id: text("response_id"),
        credential: credential(&text("provider_key_type")),
        source: source(&text("usage_source")),
        is_streaming: row["streaming"] == true,
        is_simulated: row["simulated"] == true,
        counts: counts(usage),
        cost: amount(&row["cost"]),
        input_cost: amount(&usage["input_cost"]),
        output_cost: amount(&usage["output_cost"]),
        hold: amount(&row["hold"]),
        price_version: ask::count(&row, "price_version").to_string(),
        charge: amount(&row["charge"]["amount"]).filter(|_| row["customer_id"].is_string()),
        tiers: tiers(&row["charge"]),
        metadata: metadata(&row["metadata"]),
        attempts,
    };
    shell::page(StatusCode::OK, &page)
}

async fn attempts(visit: &Visit, row: &Value) -> Result<Vec<Attempt>, ApiError> {
    let id = |name: &str| ask::text(row, name).parse::<RequestId>().ok();
    let Some(this) = id("request_id") else {
        return Ok(Vec::new());
    };
    let first = id("attempt_of").unwrap_or(this);
    let merchant_id = visit.merchant_id();
    let found = visit
        .state
        .database
        .run(move |connection| rows::attempts(connection, merchant_id, first))
        .await?;
    let is_alone = found.len() < 2;
    let show = |attempt: &RequestRow| Attempt::of(attempt, this);
    Ok(if is_alone {
        Vec::new()
    } else {
        found.iter().map(show).collect()
    })
}

impl Attempt {
    fn of(row: &RequestRow, this: RequestId) -> Self {
        use crate::domain::request::Outcome;
        Self {
            id: row.id.to_string(),
            is_this: row.id == this,
            provider: row.provider.clone(),
            model: row.model.clone().unwrap_or_default(),
            status: row.http_status.to_string(),
            class: match row.outcome {
                Outcome::Completed => "good",
                Outcome::Error => "bad",
            },
            cost: Amount::of(row.cost),
            duration: row.duration_ms().map_or_else(|| "–".to_owned(), length),
        }
    }
}

fn counts(usage: &Value) -> Vec<(&'static str, String)> {
    let named = COUNTS.iter().map(|(label, name)| (*label, ask::count(usage, name)));
    named
        .filter(|(_, count)| *count > 0)
        .map(|(label, count)| (label, grouped(count)))
        .collect()
}

fn tiers(charge: &Value) -> Vec<Tier> {
    let parts = ask::array(charge, "breakdown");
    let is_percentage = charge["rate_type"] == "percentage";
    let read = |part: &Value| {
        // A call is one request, which the API does not count.
        let is_by_request = part["tier"]["type"] == "requests";
        let quantity = ["tokens", "characters", "seconds"]
            .iter()
            .map(|name| (name, ask::count(part, name)))
            .find(|(_, count)| *count > 0);
        let rate = ask::text(&part["tier"], "rate");
        Tier {
            start: grouped(ask::count(&part["tier"], "start")),
            rate: if is_percentage {
                format!("{rate} %")
            } else {
                format!("${rate}")
            },
            quantity: match quantity {
                Some((name, count)) => format!("{} {name}", grouped(count)),
                None if is_by_request => "1 request".to_owned(),
                None => "–".to_owned(),
            },
            cost: Amount::read(&ask::text(part, "cost")),
        }
    };
    parts.iter().map(read).collect()
}

fn metadata(pairs: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = pairs.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Why it ended as it did, where that needs words.
fn why(row: &Value) -> String {
    if ask::text(row, "status") == "completed" {
        return String::new();
    }
    match ask::count(row, "http_status") {
        0 => "The server ended while this call was running. What it had used by then was settled by estimate, within what was held.",
        200..400 => "The answer did not come to its end: the provider or the client broke it off, the key was revoked, or its limit was reached. What had been served is billed.",
        401 | 403 => "The provider refused the credential, or what was asked with it.",
        404 => "The provider does not know the model or the address.",
        429 => "The provider wants fewer calls. Send later, or name another target in x-lava-fallbacks.",
        400..500 => "The provider refused the call as it was sent.",
        504 => "The provider did not answer in time.",
        _ => "The provider failed or could not be reached.",
    }
    .to_owned()
}

fn source(word: &str) -> &'static str {
    match word {
        "provider" => "the provider's own figures",
        "partial" => "the provider's figures up to where the answer was cut",
        "estimated" => "our count of what was served",
        "crash_estimate" => "our count as of the last record before a crash",
        "reported" => "reported by you",
        _ => "nothing was served",
    }
}

fn credential(word: &str) -> &'static str {
    match word {
        "managed" => "the operator's: your wallet pays",
        "stored" => "yours, stored here",
        _ => "the caller's own",
    }
}
