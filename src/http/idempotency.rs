//! `Idempotency-Key` on management POSTs: a middleware over all of them, so that no handler knows of it. The same key
//! with the same request within 24 hours gets the first answer again, byte for byte; twins at the same time wait for
//! it; another request under the key is refused. A refusal before the work began (bad input, a limit, a server that is
//! not ready) gives the key back, so that it may be tried again.
//! The key's row is stored before the work and its answer after it. Where the process ends between the two, or the
//! database goes away under the work, it is not known whether the work was done, and the key answers 409 for the rest of
//! its day: it fails closed, for nothing is done twice.

pub mod call;
pub mod running;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, ResponseError as _, web};

use crate::storage::StorageError;
use crate::storage::idempotency::{self as rows, Claim, Fingerprint, PRUNED_AT_ONCE, Place};

use self::call::{HEADER, KeyedCall};
use self::running::Turn;
use super::auth::{self, KeyManagerAuth};
use super::error::{ApiError, ErrorCode};
use super::json_body;
use super::limits::Standing;
use super::state::AppState;

/// How long a call waits for its twin.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a database that did not answer is left alone.
const INTERVAL: Duration = Duration::from_secs(1);

type State = web::Data<AppState>;
type Served = Result<ServiceResponse, actix_web::Error>;

/// Middleware of the management routes. A caller without a key that manages is left to the route itself.
pub async fn once(mut request: ServiceRequest, next: Next<BoxBody>) -> Served {
    let Some((state, auth)) = keyed(&request) else {
        return next.call(request).await;
    };
    let payload = request.take_payload();
    let call = match auth {
        Ok(auth) => read(request.request(), &state, &auth, payload).await,
        Err(refusal) => Err(refusal),
    };
    match call {
        Err(refusal) => Ok(refuse(request, &refusal)),
        // To its end, whether or not the caller waits for it: an answer that is not stored is lost.
        Ok(call) => match actix_rt::spawn(serve(state, call, request, next)).await {
            Ok(served) => served,
            Err(error) => Err(ApiError::internal("a call with an idempotency key", &error).into()),
        },
    }
}

/// Who calls, where the call is a POST of a route that is there, names a key, and comes with a credential that manages.
fn keyed(request: &ServiceRequest) -> Option<(State, Result<KeyManagerAuth, ApiError>)> {
    let is_asked = request.method() == Method::POST && request.headers().contains_key(HEADER);
    if !is_asked || request.match_pattern().is_none() {
        return None;
    }
    let state = request.app_data::<State>()?.clone();
    auth::manager(request.request(), &state).map(|auth| (state, auth))
}

async fn read(
    request: &HttpRequest,
    state: &AppState,
    auth: &KeyManagerAuth,
    payload: Payload,
) -> Result<KeyedCall, ApiError> {
    let body = json_body::read_bytes(request, payload).await?;
    KeyedCall::new(request, state, auth, body)
}

async fn serve(state: State, call: KeyedCall, request: ServiceRequest, next: Next<BoxBody>) -> Served {
    let Some(turn) = state.idempotency.take(call.place.key_hash, PATIENCE).await else {
        let busy = ApiError::new(ErrorCode::IdempotencyInProgress).retry_after(1);
        return Ok(refuse(request, &busy));
    };
    let (place, fingerprint, now_ms) = (call.place, call.fingerprint, state.now().wall_ms);
    prune_when_due(&state, now_ms);
    match claim(&state, place, fingerprint, now_ms).await {
        Ok(Claim::New) => work(state, call, turn, request, next).await,
        Ok(Claim::Answered(sealed)) => Ok(match call.replay(&sealed) {
            Ok(response) => announced(request.into_response(response)),
            Err(error) => refuse(request, &error),
        }),
        Ok(Claim::OtherRequest) => Ok(refuse(request, &ApiError::new(ErrorCode::IdempotencyKeyReused))),
        Ok(Claim::Unanswered) => {
            let unknown = ApiError::new(ErrorCode::IdempotencyOutcomeUnknown).do_not_retry();
            Ok(refuse(request, &unknown))
        }
        Err(error) => {
            // Whether there is a row now or not, no work has begun under it.
            if let StorageError::Unavailable(_) = error {
                actix_rt::spawn(persist(state, turn, place, Ending::Release));
            }
            Ok(refuse(request, &error.into()))
        }
    }
}

/// Claims the key; a claim that this gives up on releases itself where it comes through after all.
async fn claim(state: &State, place: Place, fingerprint: Fingerprint, now_ms: i64) -> Result<Claim, StorageError> {
    let is_given_up = Arc::new(AtomicBool::new(false));
    let seen = is_given_up.clone();
    let work = move |connection: &mut _| {
        let claim = rows::claim(connection, place, fingerprint, now_ms)?;
        if claim == Claim::New && seen.load(Ordering::SeqCst) {
            rows::release(connection, place)?;
        }
        Ok(claim)
    };
    let claim = state.database.run(work).await;
    is_given_up.store(claim.is_err(), Ordering::SeqCst);
    claim
}

/// Does the work, and keeps its answer or gives the key back.
async fn work(state: State, call: KeyedCall, turn: Turn, mut request: ServiceRequest, next: Next<BoxBody>) -> Served {
    request.set_payload(Payload::from(call.body.clone()));
    let response = match next.call(request).await {
        Ok(response) => response,
        Err(error) => {
            // A refusal of a middleware below: no handler ran.
            end(&state, turn, call.place, Ending::Release).await;
            return Err(error);
        }
    };
    let is_in_doubt = code_of(response.response()) == Some(ErrorCode::Unavailable);
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let body = to_bytes(body)
        .await
        .map_err(|error| ApiError::internal("reading an answer", &error))?;
    if is_in_doubt {
        tracing::warn!("the database went away under a call with an idempotency key; its outcome is unknown");
    } else if has_begun(head.status()) {
        // Where it cannot be sealed, the key's outcome stays unknown; the caller has his answer.
        if let Ok(sealed) = call.seal(&head, &body) {
            end(&state, turn, call.place, Ending::Answer(sealed)).await;
        }
    } else {
        end(&state, turn, call.place, Ending::Release).await;
    }
    Ok(ServiceResponse::new(request, head.set_body(body).map_into_boxed_body()))
}

/// Whether an answer of this status comes from work that had begun, rather than from what is looked at before.
fn has_begun(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 400 | 401 | 403 | 405 | 408 | 413 | 415 | 429 | 503)
}

fn code_of(response: &HttpResponse) -> Option<ErrorCode> {
    response.error()?.as_error::<ApiError>().map(ApiError::code)
}

/// How a key's row ends.
enum Ending {
    Answer(Vec<u8>),
    Release,
}

/// Ends the key's row, in the background where the database is away; until then a twin waits.
async fn end(state: &State, turn: Turn, place: Place, ending: Ending) {
    if let Err(ending) = try_to_end(state, place, ending).await {
        actix_rt::spawn(persist(state.clone(), turn, place, ending));
    }
}

async fn persist(state: State, turn: Turn, place: Place, mut ending: Ending) {
    while let Err(again) = try_to_end(&state, place, ending).await {
        ending = again;
        tokio::time::sleep(INTERVAL).await;
    }
    drop(turn);
}

/// `Err` with the ending, where the database was away.
async fn try_to_end(state: &State, place: Place, ending: Ending) -> Result<(), Ending> {
    let done = match &ending {
        Ending::Answer(sealed) => {
            let sealed = sealed.clone();
            let work = move |connection: &mut _| rows::answer(connection, place, &sealed);
            state.database.run(work).await
        }
        Ending::Release => {
            state
                .database
                .run(move |connection| rows::release(connection, place))
                .await
        }
    };
    match done {
        Ok(()) => Ok(()),
        Err(StorageError::Unavailable(_)) => Err(ending),
        Err(error) => {
            tracing::error!(%error, "the outcome under an idempotency key was not stored");
            Ok(())
        }
    }
}

fn prune_when_due(state: &State, now_ms: i64) {
    if !state.idempotency.is_prune_due(now_ms) {
        return;
    }
    let state = state.clone();
    actix_rt::spawn(async move {
        let prune = || state.database.run(move |connection| rows::prune(connection, now_ms));
        while matches!(prune().await, Ok(PRUNED_AT_ONCE)) {}
    });
}

fn refuse(request: ServiceRequest, refusal: &ApiError) -> ServiceResponse {
    announced(request.into_response(refusal.error_response()))
}

/// What the routes' own answers carry.
fn announced(mut response: ServiceResponse) -> ServiceResponse {
    let standing = response.request().extensions().get::<Standing>().copied();
    if let Some(standing) = standing {
        standing.write(response.headers_mut());
    }
    response
}
