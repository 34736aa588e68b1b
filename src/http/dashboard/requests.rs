//! Requests: a table to find one in, and one whole. It answers what a call cost and why, and why one failed.

mod one;

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::Value;

use crate::domain::ids::SpendKeyId;
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::query::Query;
use crate::http::requests as api;
use crate::storage::spend_keys;

use super::ask;
use super::shell::{self, Place, Shell};
use super::shown::{Amount, Moment, compact, length};
use super::visit::Visit;

const PATH: &str = "/dashboard/requests";
/// Rows on one page.
const ROWS: &str = "50";

/// What the form asks for, by the API's names.
const FIELDS: [&str; 9] = [
    "search",
    "spend_key_id",
    "customer_id",
    "meter_id",
    "model",
    "provider",
    "status",
    "from",
    "to",
];

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(plain("/requests").route(web::get().to(list)))
        .service(plain("/requests/table").route(web::get().to(table)))
        .service(plain("/requests/{id}").route(web::get().to(one::show)));
}

#[derive(Template)]
#[template(path = "dashboard/requests/list.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    asked: Asked,
    /// What is wrong with what was asked; empty where nothing is.
    refusal: String,
    is_narrowed: bool,
    is_first_page: bool,
    next: Option<String>,
    table: String,
}

/// What the form holds.
struct Asked {
    values: HashMap<&'static str, String>,
    metadata: String,
}

/// One line of the table.
struct Row {
    id: String,
    at: Option<Moment>,
    model: String,
    provider: String,
    key_id: String,
    key_name: String,
    mark: Mark,
    input: String,
    output: String,
    cost: Option<Amount>,
    duration: String,
    first_token: String,
    is_later_attempt: bool,
}

/// How a request ended, in a word and its colour.
pub struct Mark {
    pub word: String,
    pub class: &'static str,
}

impl Asked {
    fn read(query: &Query) -> Result<Self, ApiError> {
        let mut values = HashMap::new();
        for name in FIELDS {
            values.insert(name, query.text(name)?.unwrap_or("").trim().to_owned());
        }
        let metadata = query.text("metadata")?.unwrap_or("").trim().to_owned();
        Ok(Self { values, metadata })
    }

    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn is_narrowed(&self) -> bool {
        !self.metadata.is_empty() || self.values.values().any(|value| !value.is_empty())
    }

    /// The form's own query.
    fn query(&self, more: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let own = FIELDS.iter().map(|name| (*name, self.value(name)));
        let own = own.chain([("metadata", self.metadata.as_str())]);
        for (name, value) in own.chain(more.iter().copied()).filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.finish()
    }

    /// The same as the API takes it: days become instants of UTC, and `key=value` a pair of metadata.
    fn for_api(&self, more: &[(&str, &str)]) -> Query {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in FIELDS {
            let value = self.value(name);
            let value = match name {
                "from" if value.len() == 10 => format!("{value}T00:00:00Z"),
                "to" if value.len() == 10 => format!("{value}T23:59:59.999Z"),
                _ => value.to_owned(),
            };
            query.append_pair(name, &value);
        }
        if let Some((key, value)) = self.metadata.split_once('=') {
            let pairs = serde_json::json!([[key.trim(), value.trim()]]).to_string();
            query.append_pair("metadata_filters", &pairs);
        }
        for (name, value) in more {
            query.append_pair(name, value);
        }
        Query::parse(&query.finish())
    }
}

/// GET of the table. What is wrong with a filter stands above it, and nothing that was typed is lost.
async fn list(visit: Visit) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(visit.request.query_string());
    let asked = Asked::read(&query)?;
    let cursor = query.text("cursor")?.unwrap_or("").to_owned();
    let is_pair = asked.metadata.is_empty() || asked.metadata.contains('=');
    let answer = if is_pair {
        let api_query = asked.for_api(&[("limit", ROWS), ("cursor", &cursor)]);
        ask::answer(api::list(visit.auth()?, visit.state.clone(), api_query).await)
    } else {
        Err(ApiError::invalid(
            "metadata",
            "must be a key and its value, as team=blue",
        ))
    };
    let (found, refusal) = ask::found_or_refused(answer)?;
    let names = key_names(&visit, ask::items(&found)).await?;
    let now_ms = visit.now_ms();
    let next = ask::next_cursor(&found).map(|cursor| format!("{PATH}?{}", asked.query(&[("cursor", &cursor)])));
    let status = if refusal.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    let page = ListPage {
        shell: visit.shell(Place::Requests),
        rows: ask::items(&found)
            .iter()
            .map(|row| Row::read(row, &names, now_ms))
            .collect(),
        refusal,
        is_narrowed: asked.is_narrowed(),
        is_first_page: cursor.is_empty(),
        next,
        table: format!("{PATH}/table?{}", asked.query(&[])),
        asked,
    };
    shell::page(status, &page)
}

/// GET of all that the filters choose, as CSV.
async fn table(visit: Visit) -> Result<HttpResponse, ApiError> {
    let asked = Asked::read(&Query::parse(visit.request.query_string()))?;
    api::list(visit.auth()?, visit.state.clone(), asked.for_api(&[("format", "csv")])).await
}

/// The names of the keys that some rows are of, by their ids.
pub async fn key_names(visit: &Visit, requests: &[Value]) -> Result<HashMap<String, String>, ApiError> {
    let mut ids: Vec<SpendKeyId> = requests
        .iter()
        .filter_map(|row| ask::text(row, "spend_key_id").parse().ok())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let merchant_id = visit.merchant_id();
    let found = visit
        .state
        .database
        .run(move |connection| spend_keys::names(connection, merchant_id, &ids))
        .await?;
    Ok(found.into_iter().map(|(id, name)| (id.to_string(), name)).collect())
}

impl Row {
    fn read(row: &Value, names: &HashMap<String, String>, now_ms: i64) -> Self {
        let key_id = ask::text(row, "spend_key_id");
        let usage = &row["model_usage"];
        Self {
            id: ask::text(row, "request_id"),
            at: Moment::read(&ask::text(row, "created_at"), now_ms),
            model: ask::text(row, "model"),
            provider: ask::text(row, "provider"),
            key_name: names.get(&key_id).cloned().unwrap_or_default(),
            key_id,
            mark: Mark::read(row),
            input: compact(ask::count(usage, "input_tokens")),
            output: compact(ask::count(usage, "output_tokens")),
            cost: Amount::read(&ask::text(row, "cost")),
            duration: time(row, "duration_ms"),
            first_token: time(row, "first_token_ms"),
            is_later_attempt: row["attempt_of"].is_string(),
        }
    }
}

/// A length of time; a dash where there is none.
fn time(row: &Value, name: &str) -> String {
    row[name].as_u64().map_or_else(|| "–".to_owned(), length)
}

impl Mark {
    fn read(row: &Value) -> Self {
        let (status, source) = (ask::count(row, "http_status"), ask::text(row, "usage_source"));
        if ask::text(row, "status") == "completed" {
            let is_estimate = matches!(source.as_str(), "estimated" | "partial");
            return Self {
                word: if is_estimate { "Estimated" } else { "Completed" }.to_owned(),
                class: if is_estimate { "warn" } else { "good" },
            };
        }
        let word = match status {
            0 => "Crashed".to_owned(),
            200..400 => "Broken off".to_owned(),
            429 => "429 throttled".to_owned(),
            504 => "504 too slow".to_owned(),
            status => format!("{status} error"),
        };
        Self { word, class: "bad" }
    }
}
