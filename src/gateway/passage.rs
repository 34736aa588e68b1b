//! Carries an answer that passes as it comes: a sound, the events of a media call, or anything of which nothing is read.
//! No more than a chunk of it is held, but for one event of a media call, whose usage is looked for on the way. The
//! settlement is written when the provider's end is seen, before the client's; a client that leaves ends a passage of
//! which nothing is read, and events are read on for their usage as those of other streams are.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::domain::request::{Outcome, UsageSource};

use super::Worker;
use super::conduit::{self, PumpSide};
use super::drain::DrainSlot;
use super::headers;
use super::media::{Measured, MediaAnswer, MediaAsk, SoundHead};
use super::open_call::{Costs, Ending};
use super::pump::{Errand, Reply, ReplyBody, client_headers};
use super::sse::SseSplitter;
use super::upstream::RawAnswer;
use super::worker::Running;

/// The largest event that is held: an image stands in one.
const EVENT_LIMIT_BYTES: usize = 32 << 20;

/// How an answer gets to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// Whole, or frame by frame, with its usage read.
    Read,
    /// As it comes, with the usage of a media call looked for on the way.
    Media,
    /// As it comes, whatever it is.
    Unread,
}

/// Why a passage is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Finished,
    Broken,
    /// The key was revoked, or the owner of the call wanted its end.
    Ended,
    Abandoned,
}

enum Event {
    Chunk(Bytes),
    Over(Over),
    ClientLeft,
}

struct Passage {
    worker: Worker,
    errand: Box<Errand>,
    answer: RawAnswer,
    /// `None` once the client has left.
    client: Option<PumpSide>,
    drain: Option<DrainSlot>,
    drained_bytes: u64,
    meter: Meter,
    promised_bytes: Option<u64>,
    heard_at: Instant,
    deadline: Instant,
    alarm: Pin<Box<Sleep>>,
    revoked: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// Whether an answer with this status has a body at all.
pub fn is_bodiless(answer: &RawAnswer) -> bool {
    let status = answer.status();
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED || promised(answer) == Some(0)
}

/// Settles a call of which nothing is read and whose answer has no body.
pub async fn without_body(errand: Box<Errand>, answer: RawAnswer) -> Reply {
    let (status, headers) = (answer.status(), passing_headers(&errand, &answer));
    let ending = Ending {
        outcome: outcome(status),
        ..Ending::nothing(status.as_u16())
    };
    let (written, _) = errand.call.settle(ending).await;
    if written.durable().await.is_err() {
        tracing::error!("the journal was closed under a running call");
    }
    Reply {
        status,
        headers,
        body: ReplyBody::Whole(Bytes::new(), Costs::default()),
    }
}

/// Gives the head to the client, and the rest as the client reads it.
pub fn begin(worker: Worker, errand: Box<Errand>, answer: RawAnswer, running: Running) -> Reply {
    let (status, headers) = (answer.status(), passing_headers(&errand, &answer));
    let (client, pump_side) = conduit::open(worker.pumps(), Some(errand.call.live.call()));
    let passage = Passage::new(worker, errand, answer, pump_side);
    let body = client.drive(Box::pin(async move {
        passage.run().await;
        drop(running);
    }));
    Reply {
        status,
        headers,
        body: ReplyBody::Stream(body),
    }
}

fn passing_headers(errand: &Errand, answer: &RawAnswer) -> HeaderMap {
    let mut headers = client_headers(answer);
    if errand.carriage == Carriage::Unread {
        headers::copy_unread_response_headers(answer.headers(), &mut headers);
    }
    headers
}

impl Passage {
    fn new(worker: Worker, errand: Box<Errand>, answer: RawAnswer, client: PumpSide) -> Self {
        let now = Instant::now();
        errand.call.live.begin_answer();
        let revocation = errand.call.live.revocation.clone();
        Self {
            meter: Meter::of(&errand, &answer),
            promised_bytes: promised(&answer),
            deadline: now + Duration::from_millis(worker.options().stream_timeout_ms),
            worker,
            errand,
            answer,
            client: Some(client),
            drain: None,
            drained_bytes: 0,
            heard_at: now,
            alarm: Box::pin(sleep_until(now)),
            revoked: revocation.map(|revocation| Box::pin(async move { revocation.revoked().await }) as _),
        }
    }

    async fn run(mut self) {
        let over = loop {
            match poll_fn(|context| self.poll_event(context)).await {
                Event::Chunk(chunk) => {
                    if let Some(over) = self.take(chunk).await {
                        break over;
                    }
                }
                Event::Over(over) => break over,
                Event::ClientLeft => {
                    if let Some(over) = self.lose_client() {
                        break over;
                    }
                }
            }
        };
        self.finish(over).await;
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if self.client.as_ref().is_some_and(PumpSide::is_gone) {
            return Poll::Ready(Event::ClientLeft);
        }
        if let Poll::Ready(chunk) = self.answer.poll_next_unpin(context) {
            return Poll::Ready(match chunk {
                Some(Ok(chunk)) => Event::Chunk(chunk),
                None => Event::Over(Over::Finished),
                Some(Err(_)) => Event::Over(Over::Broken),
            });
        }
        if let Some(revoked) = &mut self.revoked
            && revoked.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Event::Over(Over::Ended));
        }
        if self.errand.call.live.poll_end(context) {
            return Poll::Ready(Event::Over(Over::Ended));
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            let patience = Duration::from_millis(self.worker.options().idle_timeout_ms);
            let silent_at = (self.heard_at + patience).min(self.deadline);
            if Instant::now() >= silent_at {
                return Poll::Ready(Event::Over(Over::Broken));
            }
            self.alarm.as_mut().reset(silent_at);
        }
        Poll::Pending
    }

    async fn take(&mut self, chunk: Bytes) -> Option<Over> {
        self.heard_at = Instant::now();
        // A provider that always has more at hand would keep the next wait from seeing this.
        if self.heard_at >= self.deadline {
            return Some(Over::Broken);
        }
        if self.errand.call.live.must_end() {
            return Some(Over::Ended);
        }
        self.meter.push(&chunk);
        self.errand.call.live.note_bytes(self.meter.answer.size_bytes);
        let Some(client) = &self.client else {
            self.drained_bytes += chunk.len() as u64;
            let spent = self.drained_bytes > self.worker.options().drain_limit_bytes;
            return spent.then_some(Over::Abandoned);
        };
        // The next wait sees that the client has left.
        let _gone = client.send(chunk).await;
        None
    }

    /// The client has left, or its answer was taken from it: `None` where the rest is read for its usage.
    fn lose_client(&mut self) -> Option<Over> {
        self.client = None;
        if self.errand.call.live.must_end() {
            return Some(Over::Ended);
        }
        self.worker.metrics().clients_gone.add(1);
        if self.meter.events.is_none() || !self.errand.drains {
            return Some(Over::Abandoned);
        }
        let patience = Duration::from_millis(self.worker.options().drain_timeout_ms);
        self.deadline = self.deadline.min(Instant::now() + patience);
        self.alarm.as_mut().reset(self.deadline);
        self.drain = self.worker.drains().claim();
        self.drain.is_none().then_some(Over::Abandoned)
    }

    async fn finish(mut self, over: Over) {
        // The client library takes a connection that closes early for the end of the answer.
        let is_short = self
            .promised_bytes
            .is_some_and(|bytes| bytes != self.meter.answer.size_bytes);
        let over = if over == Over::Finished && is_short {
            Over::Broken
        } else {
            over
        };
        let ending = self.ending(over);
        let held = self.errand.call.held();
        let Self {
            worker, errand, client, ..
        } = self;
        let (written, costs) = errand.call.settle(ending).await;
        worker.note_underestimate(held, costs.total);
        if written.durable().await.is_err() {
            tracing::error!("the journal was closed under a running call");
        }
        match over {
            Over::Broken | Over::Ended => client.iter().for_each(PumpSide::cut),
            Over::Finished | Over::Abandoned => {}
        }
    }

    fn ending(&mut self, over: Over) -> Ending {
        let status = self.answer.status();
        let nothing = Ending::nothing(status.as_u16());
        let is_whole = over == Over::Finished;
        let outcome = if is_whole { outcome(status) } else { Outcome::Error };
        let Some(ask) = &self.errand.media else {
            return Ending { outcome, ..nothing };
        };
        self.meter.end();
        let price = self.errand.call.pricing.price.as_deref();
        let measured = ask.measure(price, &self.meter.answer);
        let is_known = is_whole || (measured.source == UsageSource::Provider && ask.is_known_at_once());
        let Measured { usage, source } = if is_known || self.meter.answer.tokens.is_some() {
            measured
        } else {
            // What the provider made, and bills, is more than what was seen of it.
            Measured {
                usage: ask.estimate(price),
                source: UsageSource::Estimated,
            }
        };
        Ending {
            outcome,
            usage,
            usage_source: source,
            response_id: self.meter.answer.response_id.take().unwrap_or_default(),
            ..nothing
        }
    }
}

/// What is read of an answer on its way.
struct Meter {
    /// Of a media call that answers in events.
    events: Option<SseSplitter>,
    /// The start of a sound.
    head: Option<SoundHead>,
    answer: MediaAnswer,
}

impl Meter {
    fn of(errand: &Errand, answer: &RawAnswer) -> Self {
        let is_media = errand.media.is_some();
        let has_events = is_media && super::pump::is_event_stream(answer);
        Self {
            events: has_events.then(|| SseSplitter::with_limit(EVENT_LIMIT_BYTES)),
            head: (is_media && !has_events).then(SoundHead::default),
            answer: MediaAnswer {
                characters: errand.media.as_ref().and_then(|ask| told_characters(ask, answer)),
                ..MediaAnswer::default()
            },
        }
    }

    fn push(&mut self, chunk: &Bytes) {
        self.answer.size_bytes += chunk.len() as u64;
        if let Some(head) = &mut self.head {
            head.push(chunk);
        }
        let Some(events) = &mut self.events else { return };
        events.push(chunk.clone());
        loop {
            match events.next_frame() {
                Ok(Some(frame)) => {
                    if let Some(data) = frame.fields().data {
                        self.answer.take_event(&data);
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    // Nothing behind it can be read: the call is billed by estimate.
                    self.events = None;
                    return;
                }
            }
        }
    }

    fn end(&mut self) {
        if let Some(frame) = self.events.take().and_then(SseSplitter::finish)
            && let Some(data) = frame.fields().data
        {
            self.answer.take_event(&data);
        }
        if let Some(head) = self.head.take() {
            self.answer.length_ms = head.likely_ms(self.answer.size_bytes);
        }
    }
}

/// ElevenLabs says in a header how many characters it bills.
fn told_characters(ask: &MediaAsk, answer: &RawAnswer) -> Option<u64> {
    match ask {
        MediaAsk::Speech(_) => {
            let told = answer.headers().get("character-cost")?;
            told.to_str().ok()?.parse().ok()
        }
        MediaAsk::Images(_) | MediaAsk::Hearing(_) => None,
    }
}

fn promised(answer: &RawAnswer) -> Option<u64> {
    answer.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn outcome(status: StatusCode) -> Outcome {
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        Outcome::Completed
    } else {
        Outcome::Error
    }
}
