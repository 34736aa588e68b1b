//! Carries one call to its provider and its answer back. It outlives the client: a client that leaves cancels nothing
//! here, and what was served is billed. Every way out of it settles the call exactly once.

use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::domain::request::{Outcome, UsageSource};

use super::breaker::{Pass, Trouble};
use super::conduit::{ClientSide, Cut};
use super::dialect::{Answer, Dialect, UsageFrames, read_answer, refuses_key};
use super::dispatch::Dispatch;
use super::headers;
use super::media::{MediaAnswer, MediaAsk};
use super::open_call::{Costs, Ending, OpenCall};
use super::passage::{self, Carriage};
use super::prepare::Translation;
use super::quote::TopUp;
use super::upstream::{RawAnswer, UpstreamFailure, is_redirect};
use super::worker::Running;
use super::{Refusal, Worker, stream};

/// A whole answer above this is cut; no provider sends one in practice.
const ANSWER_LIMIT_BYTES: usize = 256 << 20;

/// What the client gets.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: ReplyBody,
}

/// An answer's body.
pub enum ReplyBody {
    /// With what it cost.
    Whole(Bytes, Costs),
    /// Chunks as they come; an error ends the connection without a proper end.
    Stream(ClientSide),
}

/// Whether a stream is given to the client before it has said anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstFrame {
    Passed,
    /// Another target is left: a stream that ends before its first frame, or begins with an error, is no answer.
    Awaited,
}

/// What a pump needs besides its call.
pub struct Errand {
    pub call: OpenCall,
    pub dialect: Dialect,
    /// Whether the answer may be a stream whose usage has to be read.
    pub streaming: bool,
    pub usage_frames: UsageFrames,
    /// How usage is read: `None` where the endpoint costs nothing.
    pub reads_usage: bool,
    pub top_up: TopUp,
    pub operators_credential: bool,
    pub drains: bool,
    pub appends_cost: bool,
    pub first_frame: FirstFrame,
    pub dispatch: Dispatch,
    /// Wants to hear how the provider did.
    pub pass: Option<Pass>,
    pub translation: Option<Translation>,
    pub carriage: Carriage,
    /// What a call for images or sound asks for.
    pub media: Option<MediaAsk>,
}

impl Errand {
    /// The provider's answer is whole; whether it is one of its failures, its status says.
    pub fn answered(&mut self, status: StatusCode) {
        match self.pass.take() {
            Some(pass) if status.is_server_error() => pass.failed(Trouble::ServerError),
            Some(pass) => pass.good(),
            None => {}
        }
    }

    /// What the client's stream is framed in.
    pub(super) fn framing(&self) -> Dialect {
        self.translation.as_ref().map_or(self.dialect, Translation::client)
    }

    /// Whether a comment may stand between two frames of the client's stream.
    pub(super) fn takes_comments(&self) -> bool {
        match self.framing() {
            Dialect::OpenAi | Dialect::Anthropic | Dialect::Google | Dialect::Responses => true,
            Dialect::Bedrock => false,
        }
    }
}

/// Runs the call to its answer; a stream goes on from there as its client reads it.
pub async fn run(worker: Worker, mut errand: Box<Errand>) -> Result<Reply, Refusal> {
    let running = worker.begin_pump();
    let is_head = errand.dispatch.outgoing.method == Method::HEAD;
    // The query may hold a credential.
    let path = errand.dispatch.outgoing.url.path();
    tracing::debug!(request.id = %errand.call.id, url.path = path, "calling the provider");
    let live = errand.call.live.call();
    let Ok(sent) = live.unless_ended(errand.dispatch.send(&worker)).await else {
        return Err(end(errand).await);
    };
    // What was sent may be large, and an answer may take long.
    errand.dispatch.outgoing.body = Bytes::new();
    match sent {
        Err(failure) => Err(fail(errand, failure).await),
        Ok(answer) if is_redirect(answer.status()) => Err(refuse(errand, Refusal::ProviderRedirected, 502).await),
        Ok(answer) if errand.operators_credential && is_credential_error(answer.status()) => {
            Err(refuse(errand, Refusal::ProviderAuthFailed, 502).await)
        }
        Ok(answer) if errand.carriage == Carriage::Unread && (is_head || passage::is_bodiless(&answer)) => {
            Ok(passage::without_body(errand, answer).await)
        }
        Ok(answer) if passes(&errand, &answer) => Ok(passage::begin(worker.clone(), errand, answer, running)),
        Ok(answer) if errand.streaming && answer.status().is_success() && is_event_stream(&answer) => {
            streamed(worker, errand, answer, running).await
        }
        Ok(answer) => whole(&worker, errand, answer).await,
    }
}

/// Whether the answer goes on as it comes. An error is read whole, for it may have to be put in other words.
fn passes(errand: &Errand, answer: &RawAnswer) -> bool {
    match errand.carriage {
        Carriage::Read => false,
        Carriage::Media => answer.status().is_success(),
        Carriage::Unread => true,
    }
}

/// Begins a stream, once it has said something where another target could be asked instead.
async fn streamed(
    worker: Worker,
    mut errand: Box<Errand>,
    mut answer: RawAnswer,
    running: Running,
) -> Result<Reply, Refusal> {
    let heard = match errand.first_frame {
        FirstFrame::Passed => Ok(Bytes::new()),
        FirstFrame::Awaited => {
            let patience = Duration::from_millis(worker.options().idle_timeout_ms);
            let first = timeout(patience, stream::first_frame(&mut answer, errand.dialect));
            let Ok(heard) = errand.call.live.call().unless_ended(first).await else {
                return Err(end(errand).await);
            };
            heard.unwrap_or(Err(UpstreamFailure::TimedOut))
        }
    };
    match heard {
        Ok(heard) => {
            if !heard.is_empty() {
                errand.call.watch.note_chunk();
            }
            errand.pass = errand.pass.take().and_then(Pass::began);
            Ok(stream::begin(worker, errand, stream::Opened { answer, heard }, running))
        }
        Err(failure) => Err(fail(errand, failure).await),
    }
}

/// Settles a call that got no answer.
async fn fail(mut errand: Box<Errand>, failure: UpstreamFailure) -> Refusal {
    if let Some(pass) = errand.pass.take() {
        pass.failed(Trouble::Upstream(failure));
    }
    let refusal = Refusal::Upstream(failure);
    let status = match failure {
        UpstreamFailure::TimedOut => 504,
        UpstreamFailure::Unreachable | UpstreamFailure::Broken => 502,
    };
    if !failure.may_have_run() || errand.carriage == Carriage::Unread {
        return refuse(errand, refusal, status).await;
    }
    settle_unseen(errand, status).await;
    refusal
}

/// Settles a call whose owner ended it before it was answered: the provider may have run it, whom that says nothing of.
async fn end(errand: Box<Errand>) -> Refusal {
    let status = 403;
    if errand.carriage == Carriage::Unread {
        errand.call.settle(Ending::nothing(status)).await;
    } else {
        settle_unseen(errand, status).await;
    }
    Refusal::Ended
}

/// Settles a call that may have run without an answer that was seen.
async fn settle_unseen(errand: Box<Errand>, status: u16) {
    let ending = Ending {
        usage: errand.call.pricing.estimate(0),
        usage_source: UsageSource::Estimated,
        ..Ending::nothing(status)
    };
    errand.call.settle(ending).await;
}

/// Settles a call that the provider did not serve.
async fn refuse(mut errand: Box<Errand>, refusal: Refusal, status: u16) -> Refusal {
    errand.answered(StatusCode::OK);
    errand.call.settle(Ending::nothing(status)).await;
    refusal
}

/// Carries an answer that does not stream.
async fn whole(worker: &Worker, mut errand: Box<Errand>, answer: RawAnswer) -> Result<Reply, Refusal> {
    let (status, mut headers) = (answer.status(), client_headers(&answer));
    // The client library takes a connection that closes early for the end of the answer.
    let promised: Option<u64> = text_header(&answer, CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let patience = Duration::from_millis(worker.options().answer_timeout_ms);
    let collected = errand
        .call
        .live
        .call()
        .unless_ended(timeout(patience, collect(answer)))
        .await;
    let Ok(collected) = collected else {
        return Err(end(errand).await);
    };
    let body = match collected {
        Ok(Ok(body)) if promised.is_some_and(|length| length != body.len() as u64) => {
            return Err(fail(errand, UpstreamFailure::Broken).await);
        }
        Ok(Ok(body)) => body,
        Ok(Err(Cut)) => return Err(fail(errand, UpstreamFailure::Broken).await),
        Err(_) => return Err(fail(errand, UpstreamFailure::TimedOut).await),
    };
    if errand.operators_credential && refuses_key(status.as_u16(), &body) {
        errand.dispatch.turned_away(worker);
        return Err(refuse(errand, Refusal::ProviderAuthFailed, 502).await);
    }
    errand.answered(status);
    let ending = if status.is_success() && errand.reads_usage {
        ending_of(worker, &errand, status, &body)
    } else {
        let outcome = if status.is_success() {
            Outcome::Completed
        } else {
            Outcome::Error
        };
        Ending {
            outcome,
            ..Ending::nothing(status.as_u16())
        }
    };
    let held = errand.call.held();
    let (written, costs) = errand.call.settle(ending).await;
    worker.note_underestimate(held, costs.total);
    if written.durable().await.is_err() {
        tracing::error!("the journal was closed under a running call");
    }
    let body = match &errand.translation {
        Some(translation) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.remove(CONTENT_ENCODING);
            in_clients_words(translation, status, &body)?
        }
        None => body,
    };
    Ok(Reply {
        status,
        headers,
        body: ReplyBody::Whole(body, costs),
    })
}

/// An answer in the client's dialect. One that cannot be read has been billed and is not shown.
fn in_clients_words(translation: &Translation, status: StatusCode, body: &[u8]) -> Result<Bytes, Refusal> {
    if status.is_success() {
        translation
            .answer(body)
            .ok_or(Refusal::Upstream(UpstreamFailure::Broken))
    } else {
        Ok(translation.error(status.as_u16(), body))
    }
}

fn ending_of(worker: &Worker, errand: &Errand, status: StatusCode, body: &[u8]) -> Ending {
    if let Some(ask) = &errand.media {
        return media_ending(errand, ask, status, body);
    }
    let answer: Answer = read_answer(errand.dialect, body);
    let (usage, usage_source) = match answer.usage {
        Some(usage) => {
            errand.call.pricing.teach(worker.calibration(), &usage);
            (usage, UsageSource::Provider)
        }
        None => (
            errand.call.pricing.estimate(answer.content_tokens()),
            UsageSource::Estimated,
        ),
    };
    Ending {
        outcome: Outcome::Completed,
        http_status: status.as_u16(),
        usage,
        usage_source,
        service_tier: answer.service_tier,
        response_id: answer.response_id.unwrap_or_default(),
    }
}

fn media_ending(errand: &Errand, ask: &MediaAsk, status: StatusCode, body: &[u8]) -> Ending {
    let answer = MediaAnswer::read(body);
    let measured = ask.measure(errand.call.pricing.price.as_deref(), &answer);
    Ending {
        outcome: Outcome::Completed,
        usage: measured.usage,
        usage_source: measured.source,
        response_id: answer.response_id.unwrap_or_default(),
        ..Ending::nothing(status.as_u16())
    }
}

/// The headers of an answer that the client may see.
pub(super) fn client_headers(answer: &RawAnswer) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers::copy_response_headers(answer.headers(), &mut headers);
    headers
}

async fn collect(mut answer: RawAnswer) -> Result<Bytes, Cut> {
    let Some(first) = answer.next().await else {
        return Ok(Bytes::new());
    };
    let first = first.map_err(|_| Cut)?;
    let Some(second) = answer.next().await else {
        return Ok(first);
    };
    let mut body = BytesMut::from(&first[..]);
    body.extend_from_slice(&second.map_err(|_| Cut)?);
    while let Some(chunk) = answer.next().await {
        body.extend_from_slice(&chunk.map_err(|_| Cut)?);
        if body.len() > ANSWER_LIMIT_BYTES {
            return Err(Cut);
        }
    }
    Ok(body.freeze())
}

fn is_credential_error(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN
}

fn text_header(answer: &RawAnswer, name: HeaderName) -> Option<&str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn is_event_stream(answer: &RawAnswer) -> bool {
    let kinds = ["text/event-stream", "application/vnd.amazon.eventstream"];
    text_header(answer, CONTENT_TYPE).is_some_and(|kind| kinds.iter().any(|known| kind.starts_with(known)))
}
