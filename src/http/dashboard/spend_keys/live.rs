//! What of the cards moves: asked for by an open page every two seconds, and by nobody else.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::domain::ids::SpendKeyId;
use crate::http::dashboard::ask;
use crate::http::dashboard::shown::Amount;
use crate::http::dashboard::visit::Visit;
use crate::http::error::ApiError;
use crate::http::query::Query;
use crate::http::spend_keys::{live, view};
use crate::storage::spend_keys as rows;

use super::CARDS;
use super::card::Card;

/// GET `?ids=spk_...,spk_...`: for each that is still there its figures, under its id.
pub async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(visit.request.query_string());
    let ids: Vec<SpendKeyId> = query
        .text("ids")?
        .unwrap_or("")
        .split(',')
        .filter_map(|id| id.parse().ok())
        .take(usize::try_from(CARDS).unwrap_or(usize::MAX))
        .collect();
    let owner = visit.manager().owner();
    let found = visit
        .state
        .database
        .run(move |connection| rows::find_all(connection, owner, &ids))
        .await?;
    let states = live::states_of(&visit.state, &found).await?;
    let now_ms = visit.now_ms();
    let shown = |(row, state)| {
        let key = Value::Object(view::show(row, state));
        (ask::text(&key, "spend_key_id"), figures(&Card::read(&key, now_ms)))
    };
    let figures: serde_json::Map<String, Value> = found.iter().zip(&states).map(shown).collect();
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(figures))
}

fn figures(card: &Card) -> Value {
    let limit = card.limit.as_ref();
    json!({
        "state": card.state.word(),
        "class": card.state.class(),
        "spent": parts(&card.spent),
        "held": parts(&card.held),
        "left": limit.map(|limit| parts(&limit.left)),
        "spent_width": limit.map(|limit| limit.spent_width),
        "held_width": limit.map(|limit| limit.held_width),
        "requests": card.requests,
        "last_used": card.last_used.as_ref().map_or("never", |moment| &moment.relative),
    })
}

fn parts(amount: &Amount) -> [&str; 3] {
    [&amount.whole, &amount.fraction, &amount.exact]
}
