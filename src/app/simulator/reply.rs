//! The way of a call through every endpoint that is not on the fast path of `call`: credential, directives, the
//! endpoint's own work, a fault that was asked for, the wait, and then a whole answer or a stream.
//! Every call is booked once, however it ends. Directives are read before the endpoint refuses anything, so that a
//! fault can be asked for with any body.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::Value;
use tokio::time::sleep;

use super::call::{broken_off, due_fault};
use super::credential;
use super::directive::{self, Directives, Fault};
use super::ledger::{Ledger, OpenEntry, Outcome};
use super::provider::Provider;
use super::reel::Reel;
use super::refusal::Refusal;
use super::stream::{AnswerStream, Reported};

/// The content type of server-sent events.
pub(super) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// One call as it came in.
pub(super) struct Incoming {
    pub provider: Provider,
    pub ledger: Arc<Ledger>,
    pub request: HttpRequest,
    pub body: Bytes,
}

/// A good answer.
pub(super) enum Reply {
    Whole(Whole),
    Streamed { content_type: &'static str, reel: Reel },
}

/// An answer that is there at once.
pub(super) struct Whole {
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub reported: Option<Reported>,
}

enum Plan {
    Fault(Fault),
    Reply(Reply),
}

impl Incoming {
    /// A call of an actix handler.
    pub(super) fn new(provider: Provider, ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> Self {
        Self {
            provider,
            ledger: ledger.into_inner(),
            request,
            body,
        }
    }

    /// Answers a call whose body is JSON, in which the directives stand. The work sees what was read and fills in
    /// the entry; of a whole answer it books the output, too.
    pub(super) async fn answer_json<W>(self, work: W) -> HttpResponse
    where
        W: FnOnce(&Value, &Directives, &mut OpenEntry) -> Result<Reply, Refusal>,
    {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let read = serde_json::from_str(&text)
            .map_err(|error| Refusal::bad_request(format!("We could not parse the JSON body: {error}")));
        self.answer(&text, |directives, entry| work(&read?, directives, entry))
            .await
    }

    /// Answers any call; `text` is where the directives stand.
    pub(super) async fn answer<W>(self, text: &str, work: W) -> HttpResponse
    where
        W: FnOnce(&Directives, &mut OpenEntry) -> Result<Reply, Refusal>,
    {
        let provider = self.provider;
        let mut entry = self.ledger.open();
        let planned = self.plan(text, &mut entry, work);
        // A waiting answer must not keep its body.
        drop(self);
        let (directives, plan) = match planned {
            Ok(planned) => planned,
            Err(refusal) => {
                entry.outcome = Outcome::Error { status: refusal.status };
                return refusal.respond(provider);
            }
        };
        if directives.timing.delay_ms > 0 {
            sleep(Duration::from_millis(directives.timing.delay_ms)).await;
        }
        match plan {
            Plan::Fault(fault) => fault.respond(provider),
            Plan::Reply(reply) => reply.respond(provider, entry, &directives),
        }
    }

    fn plan<W>(&self, text: &str, entry: &mut OpenEntry, work: W) -> Result<(Directives, Plan), Refusal>
    where
        W: FnOnce(&Directives, &mut OpenEntry) -> Result<Reply, Refusal>,
    {
        credential::check(self.provider, &self.request, &self.body)?;
        let header = self.request.headers().get(directive::HEADER);
        let header = header.and_then(|value| value.to_str().ok());
        let mut directives = Directives::read(header, text)
            .map_err(|unknown| Refusal::bad_request(format!("unknown directive: {}", unknown.0)))?;
        entry.tag = directives.tag.take();
        let worked = work(&directives, entry);
        if let Some(fault) = due_fault(&directives, &self.ledger, entry.tag.as_deref()) {
            entry.outcome = Outcome::Error { status: fault.status() };
            return Ok((directives, Plan::Fault(fault)));
        }
        Ok((directives, Plan::Reply(worked?)))
    }
}

impl Reply {
    /// A whole answer of JSON.
    pub(super) fn json(body: &Value, reported: Option<Reported>) -> Self {
        Self::Whole(Whole {
            content_type: "application/json",
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
            reported,
        })
    }

    /// A stream of server-sent events.
    pub(super) fn events(reel: Reel) -> Self {
        Self::Streamed {
            content_type: EVENTS,
            reel,
        }
    }

    /// The answer on its way, as the directives would have it.
    pub(super) fn respond(self, provider: Provider, entry: OpenEntry, directives: &Directives) -> HttpResponse {
        match self {
            Self::Whole(whole) => whole.respond(provider, entry, directives),
            Self::Streamed { content_type, reel } => {
                let mut response = HttpResponse::Ok();
                provider.head(&mut response);
                response
                    .content_type(content_type)
                    .insert_header((CACHE_CONTROL, "no-cache"))
                    .streaming(AnswerStream::new(reel, entry, directives))
            }
        }
    }
}

impl Whole {
    fn respond(self, provider: Provider, mut entry: OpenEntry, directives: &Directives) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        provider.head(&mut response);
        response.content_type(self.content_type);
        for header in self.headers {
            response.insert_header(header);
        }
        if directives.ending.cut_after.or(directives.ending.hang_after).is_some() {
            return response.body(broken_off(self.body, entry, directives));
        }
        if let Some(reported) = self.reported {
            entry.sums.reported_input_tokens = reported.input_tokens;
            entry.sums.reported_output_tokens = reported.output_tokens;
        }
        entry.outcome = Outcome::Completed;
        response.body(self.body)
    }
}
