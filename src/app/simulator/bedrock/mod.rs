//! AWS Bedrock's Converse interface, whole and streamed, with its errors. What a request asks is read in `request`,
//! an answer is written in `answer`, and `framing` packs the events of a stream.

mod answer;
mod framing;
mod request;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::ledger::Ledger;
use super::provider::Provider;
use super::reply::{Incoming, Reply};
use super::turn::{CachedInput, Turn};

/// `POST /model/{modelId}/converse`
pub(super) async fn converse(
    ledger: web::Data<Ledger>,
    request: HttpRequest,
    model: web::Path<String>,
    body: Bytes,
) -> HttpResponse {
    let incoming = Incoming::new(Provider::Bedrock, ledger, request, body);
    incoming
        .answer_json(|body, directives, entry| {
            entry.model = model.as_str().into();
            let turn = Turn::decide(request::read(&model, body)?, directives, body.to_string().as_bytes())?;
            entry.id = turn.id.to_string();
            turn.book(entry, CachedInput::Beside);
            entry.sums.output_tokens = turn.output_tokens();
            Ok(Reply::json(&answer::whole(&turn), turn.reported()))
        })
        .await
}

/// `POST /model/{modelId}/converse-stream`
pub(super) async fn converse_stream(
    ledger: web::Data<Ledger>,
    request: HttpRequest,
    model: web::Path<String>,
    body: Bytes,
) -> HttpResponse {
    let incoming = Incoming::new(Provider::Bedrock, ledger, request, body);
    incoming
        .answer_json(|body, directives, entry| {
            entry.model = model.as_str().into();
            entry.stream = true;
            let turn = Turn::decide(request::read(&model, body)?, directives, body.to_string().as_bytes())?;
            entry.id = turn.id.to_string();
            turn.book(entry, CachedInput::Beside);
            Ok(Reply::Streamed {
                content_type: framing::CONTENT_TYPE,
                reel: answer::reel(&turn),
            })
        })
        .await
}

/// What AWS calls the error of a status, in the header `x-amzn-errortype`.
pub(super) fn error_type(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 | 529 => "ServiceUnavailableException",
        400..500 => "ValidationException",
        _ => "InternalServerException",
    }
}
