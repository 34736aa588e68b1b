//! Takes in the body of a gateway call as its endpoint wants it: JSON whole in memory, a form into the spool, and a body
//! of which nothing is read not at all, because it goes on as it comes. Each has its limits of size and time; a body of
//! the wrong kind is refused by name.

use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use crate::gateway::dialect::BodyError;
use crate::gateway::{
    BodyKind, Caller, ClientBody, Form, FormReader, Route, SpoolError, Upload, Worker, body_kind, boundary,
};
use crate::http::error::{ApiError, ErrorCode};

use super::{Arrival, refusal};

/// An upload may take a second longer for each so many bytes.
const SLOWEST_BYTES_A_SECOND: u64 = 64 << 10;

/// The body of a call: in memory, or beside it.
pub(super) struct Received {
    pub(super) body: Bytes,
    pub(super) upload: Upload,
}

pub(super) async fn receive(
    request: &HttpRequest,
    payload: web::Payload,
    worker: &Worker,
    (caller, arrival): (&Caller, &Arrival),
) -> Result<Received, ApiError> {
    let url = match &arrival.route {
        Route::Url(url) => Some(url),
        Route::Model | Route::Rewrite(_) => None,
    };
    let kind = body_kind(worker, caller, (url, arrival.endpoint, request.method()));
    let headers = request.headers();
    let form = boundary(content_type(headers)).transpose().map_err(unreadable)?;
    match (kind, form) {
        (BodyKind::Unread, _) => Ok(unread(request, payload, worker)),
        (BodyKind::Form | BodyKind::JsonOrForm, Some(boundary)) => {
            // The reader of forms is large, and most calls have none.
            let form = Box::pin(spooled(payload, worker, boundary)).await?;
            Ok(Received {
                body: Bytes::new(),
                upload: Upload::Form(form),
            })
        }
        (BodyKind::Form, None) => Err(ApiError::new(ErrorCode::UnsupportedMediaType)
            .say("The body must be a form (content-type: multipart/form-data).")),
        (BodyKind::Json, Some(_)) => Err(ApiError::new(ErrorCode::UnsupportedMediaType)),
        (BodyKind::Json | BodyKind::JsonOrForm, None) => Ok(Received {
            body: whole(payload, worker).await?,
            upload: Upload::Nothing,
        }),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn unread(request: &HttpRequest, payload: web::Payload, worker: &Worker) -> Received {
    let headers = request.headers();
    let promised = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: Option<u64> = promised.and_then(|length| length.parse().ok());
    let has_body = headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length > 0);
    let patience = Duration::from_millis(worker.options().body_timeout_ms);
    Received {
        body: Bytes::new(),
        upload: if has_body {
            Upload::stream(ClientBody::new(payload, length, patience))
        } else {
            Upload::Nothing
        },
    }
}

/// Reads the body within its limits of size and time.
async fn whole(payload: web::Payload, worker: &Worker) -> Result<Bytes, ApiError> {
    let options = worker.options();
    let patience = Duration::from_millis(options.body_timeout_ms);
    let read = tokio::time::timeout(patience, payload.to_bytes_limited(options.body_limit_bytes)).await;
    match read {
        Err(_) => Err(ApiError::new(ErrorCode::RequestTimeout)),
        Ok(Err(_)) => Err(too_large(options.body_limit_bytes as u64)),
        Ok(Ok(Err(_))) => Err(cut_off()),
        Ok(Ok(Ok(body))) => Ok(body),
    }
}

/// Reads a form into the spool, looking at it on the way.
async fn spooled(mut payload: web::Payload, worker: &Worker, boundary: &str) -> Result<Form, ApiError> {
    let (mut spool, mut reader) = (worker.spool(), FormReader::new(boundary));
    let begun = Instant::now() + Duration::from_millis(worker.options().body_timeout_ms);
    loop {
        let more = Duration::from_secs(spool.size_bytes() / SLOWEST_BYTES_A_SECOND);
        let next = timeout_at(begun + more, payload.next()).await;
        match next.map_err(|_| ApiError::new(ErrorCode::RequestTimeout))? {
            None => break,
            Some(Err(_)) => return Err(cut_off()),
            Some(Ok(chunk)) => {
                spool.push(&chunk).map_err(|error| not_kept(&error, worker))?;
                reader.push(&chunk).map_err(unreadable)?;
            }
        }
    }
    let parts = reader.finish().map_err(unreadable)?;
    let spool = spool.finish().map_err(|error| not_kept(&error, worker))?;
    Ok(Form::new(parts, spool))
}

fn not_kept(error: &SpoolError, worker: &Worker) -> ApiError {
    match error {
        SpoolError::TooLarge => too_large(worker.options().spool_limit_bytes),
        SpoolError::NoRoom => ApiError::new(ErrorCode::Overloaded).say("Too many uploads are under way; try again."),
        SpoolError::Failed(error) => {
            tracing::error!(%error, "an upload cannot be kept in the data directory");
            ApiError::new(ErrorCode::Overloaded).say("Uploads cannot be taken at the moment; try again.")
        }
    }
}

fn too_large(limit_bytes: u64) -> ApiError {
    ApiError::new(ErrorCode::PayloadTooLarge).field("limit", limit_bytes)
}

fn cut_off() -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest).say("The body could not be read.")
}

fn unreadable(error: BodyError) -> ApiError {
    refusal::of_body(error)
}
