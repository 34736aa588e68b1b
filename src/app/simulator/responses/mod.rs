//! OpenAI's Responses, whole and streamed. What a request asks is read in `request`, the items of an answer are made
//! in `items`, the events of a stream in `events`. Errors are OpenAI's. Nothing is kept: an earlier answer is named
//! and not looked up.

mod events;
mod items;
mod request;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::ledger::Ledger;
use super::provider::Provider;
use super::reply::{Incoming, Reply};
use super::turn::{CachedInput, Turn};
use items::Response;
use request::Call;

/// `POST /v1/responses`
pub(super) async fn create(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let incoming = Incoming::new(Provider::OpenAi, ledger, request, body);
    incoming
        .answer_json(|body, directives, entry| {
            let Call { ask, wishes } = Call::read(body)?;
            entry.model = ask.model.as_str().into();
            entry.stream = wishes.streamed;
            let turn = Turn::decide(ask, directives, body.to_string().as_bytes())?;
            entry.id = format!("resp_{}", turn.id);
            turn.book(entry, CachedInput::Within);
            let streamed = wishes.streamed;
            let response = Response::new(turn, wishes);
            if streamed {
                entry.sums.output_tokens = response.hidden_tokens();
                return Ok(Reply::events(events::reel(&response)));
            }
            entry.sums.output_tokens = response.turn().output_tokens();
            Ok(Reply::json(&response.whole(), response.turn().reported()))
        })
        .await
}
