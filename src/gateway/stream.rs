//! Carries a stream: passes the provider's frames on, counts what they cost, tops the hold up or ends the stream in its
//! own dialect, and reads on for the usage when the client has left. The settlement is written before the last frame
//! leaves.

mod closing;
mod opening;
mod passing;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::domain::money::Money;
use crate::domain::request::UsageSource;
use crate::domain::usage::Usage;

use super::Worker;
use super::conduit::{self, PumpSide};
use super::dialect::{FrameVerdict, StreamReader};
use super::drain::DrainSlot;
use super::frames::Frames;
use super::open_call::Ending;
use super::prepare::Translation;
use super::pump::{Errand, Reply, ReplyBody, client_headers};
use super::quote::TopUp;
use super::translate::StreamTranslator;
use super::upstream::RawAnswer;
use super::worker::Running;
use closing::{Over, cost_comment, read_out};
pub use opening::{Opened, first_frame};
use passing::Passing;

/// Output tokens after which progress is recorded, whatever the time.
const PROGRESS_TOKENS: u64 = 512;

/// What the next wait brought.
enum Event {
    Chunk(Bytes),
    Over(Over),
    ClientLeft,
    /// The client has heard nothing for a while.
    Quiet,
}

/// One stream under way.
pub struct StreamPump {
    worker: Worker,
    errand: Box<Errand>,
    answer: RawAnswer,
    /// Its end has been read; it must not be asked for more.
    is_read: bool,
    /// What has been read of it already.
    heard: Bytes,
    splitter: Frames,
    reader: StreamReader,
    translator: Option<StreamTranslator>,
    /// `None` once the client has left.
    client: Option<PumpSide>,
    /// Held back until the call is settled.
    last: BytesMut,
    drain: Option<DrainSlot>,
    drained_bytes: u64,
    deadline: Instant,
    recorded_tokens: u64,
    recorded_at: Instant,
    /// When the provider was last heard, and the client last told something.
    heard_at: Instant,
    told_at: Instant,
    /// Rings no later than when something is due; it is set anew when it rings, not for every chunk.
    alarm: Pin<Box<Sleep>>,
    revoked: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// The cost up to which the hold is known to suffice.
    covered: Money,
}

/// Gives the head to the client, and the rest as the client reads it.
pub fn begin(worker: Worker, errand: Box<Errand>, opened: Opened, running: Running) -> Reply {
    let (status, mut headers) = (opened.answer.status(), client_headers(&opened.answer));
    if errand.framing() != errand.dialect {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(errand.framing().stream_type()));
    }
    let (client, pump_side) = conduit::open(worker.pumps(), Some(errand.call.live.call()));
    let pump = StreamPump::new(worker, errand, opened, pump_side);
    let body = client.drive(Box::pin(async move {
        pump.run().await;
        drop(running);
    }));
    Reply {
        status,
        headers,
        body: ReplyBody::Stream(body),
    }
}

impl StreamPump {
    fn new(worker: Worker, errand: Box<Errand>, opened: Opened, client: PumpSide) -> Self {
        let now = Instant::now();
        errand.call.live.begin_answer();
        let revocation = errand.call.live.revocation.clone();
        let splitter = Frames::of(errand.dialect);
        Self {
            reader: StreamReader::new(errand.dialect, errand.usage_frames),
            translator: errand.translation.as_ref().map(Translation::stream),
            deadline: now + Duration::from_millis(worker.options().stream_timeout_ms),
            covered: errand.call.held().unwrap_or(Money::MAX),
            worker,
            errand,
            answer: opened.answer,
            is_read: false,
            heard: opened.heard,
            splitter,
            client: Some(client),
            last: BytesMut::new(),
            drain: None,
            drained_bytes: 0,
            recorded_tokens: 0,
            recorded_at: now,
            heard_at: now,
            told_at: now,
            alarm: Box::pin(sleep_until(now)),
            revoked: revocation.map(|revocation| Box::pin(async move { revocation.revoked().await }) as _),
        }
    }

    /// Carries the stream to its end and settles it.
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
                Event::Quiet => self.pass_on(Bytes::from_static(b": keep-alive\n\n")).await,
            }
        };
        self.finish(over).await;
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if !self.heard.is_empty() {
            return Poll::Ready(Event::Chunk(std::mem::take(&mut self.heard)));
        }
        if self.client.as_ref().is_some_and(PumpSide::is_gone) {
            return Poll::Ready(Event::ClientLeft);
        }
        if let Poll::Ready(chunk) = self.answer.poll_next_unpin(context) {
            self.is_read = !matches!(chunk, Some(Ok(_)));
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
            match self.due(Instant::now()) {
                Ok(event) => return Poll::Ready(event),
                Err(later) => self.alarm.as_mut().reset(later),
            }
        }
        Poll::Pending
    }

    /// What is due now, or when the next thing will be.
    fn due(&self, now: Instant) -> Result<Event, Instant> {
        let options = self.worker.options();
        let silent_at = (self.heard_at + Duration::from_millis(options.idle_timeout_ms)).min(self.deadline);
        if now >= silent_at {
            return Ok(Event::Over(Over::Broken));
        }
        let interval = options.keep_alive_comment_ms;
        if self.client.is_none() || interval == 0 || !self.errand.takes_comments() {
            return Err(silent_at);
        }
        let quiet_at = self.told_at + Duration::from_millis(interval);
        if now >= quiet_at {
            return Ok(Event::Quiet);
        }
        Err(silent_at.min(quiet_at))
    }

    /// Passes a chunk's frames on; `Some` where the stream is over with it.
    async fn take(&mut self, chunk: Bytes) -> Option<Over> {
        self.heard_at = Instant::now();
        self.errand.call.watch.note_chunk();
        // A provider that always has more at hand would keep the next wait from seeing these.
        if self.heard_at >= self.deadline {
            return Some(Over::Broken);
        }
        if self.errand.call.live.must_end() {
            return Some(Over::Ended);
        }
        self.drained_bytes += if self.client.is_none() { chunk.len() as u64 } else { 0 };
        self.splitter.push(chunk);
        let mut passed = Passing::default();
        let over = self.take_frames(&mut passed).await;
        if let Some(bytes) = passed.into_bytes() {
            self.pass_on(bytes).await;
        }
        self.note_progress();
        let spent = self.drain.is_some() && self.drained_bytes > self.worker.options().drain_limit_bytes;
        over.or(spent.then_some(Over::Abandoned))
    }

    /// Each frame must be covered before the next one passes.
    async fn take_frames(&mut self, passed: &mut Passing) -> Option<Over> {
        loop {
            let frame = match self.splitter.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(_) => return Some(Over::Broken),
            };
            match (self.reader.push(&frame), &mut self.translator) {
                (FrameVerdict::Pass, None) => passed.push(frame.into_bytes()),
                (FrameVerdict::Hide, None) => {}
                (FrameVerdict::Pass | FrameVerdict::Hide, Some(translator)) => passed.push(translator.push(&frame)),
                (FrameVerdict::Hold, translator) => {
                    let said = translator.as_mut().map(|translator| translator.push(&frame));
                    self.last.extend_from_slice(said.as_ref().unwrap_or(frame.bytes()));
                }
                (FrameVerdict::Last, translator) => {
                    let said = translator.as_mut().map(|translator| translator.push(&frame));
                    self.last.extend_from_slice(said.as_ref().unwrap_or(frame.bytes()));
                    return Some(Over::Finished);
                }
            }
            if !self.cover().await {
                return Some(Over::LimitReached);
            }
        }
    }

    async fn pass_on(&mut self, bytes: Bytes) {
        self.told_at = Instant::now();
        if let Some(client) = &self.client {
            // The next wait sees that the client has left.
            let _gone = client.send(bytes).await;
        }
    }

    /// The client has left, or its stream was taken from it: `None` where the provider's is read on for its usage.
    fn lose_client(&mut self) -> Option<Over> {
        self.client = None;
        if self.errand.call.live.must_end() {
            return Some(Over::Ended);
        }
        self.worker.metrics().clients_gone.add(1);
        self.drain = if self.errand.drains {
            self.worker.drains().claim()
        } else {
            None
        };
        let patience = Duration::from_millis(self.worker.options().drain_timeout_ms);
        self.deadline = self.deadline.min(Instant::now() + patience);
        self.alarm.as_mut().reset(self.deadline);
        self.drain.is_none().then_some(Over::Abandoned)
    }

    fn note_progress(&mut self) {
        let tokens = self.reader.content_tokens();
        self.errand.call.serve(tokens);
        let interval = Duration::from_millis(self.worker.progress_interval_ms());
        let due = tokens >= self.recorded_tokens + PROGRESS_TOKENS
            || (tokens > self.recorded_tokens && self.recorded_at.elapsed() >= interval);
        if due {
            self.errand.call.record_progress();
            (self.recorded_tokens, self.recorded_at) = (tokens, Instant::now());
        }
    }

    /// Tops the hold up where what was served is no longer covered; whether the stream may go on.
    async fn cover(&mut self) -> bool {
        let (slice, counted) = match self.errand.top_up {
            TopUp::Never => return true,
            TopUp::Ahead(slice) => (slice, self.reader.content_tokens()),
            TopUp::Overrun(slice) => (slice, self.reader.least_tokens()),
        };
        let usage = self.usage_with(counted).0;
        let cost = self.errand.call.pricing.cost(&usage, None).total;
        if !self.errand.call.cover_charge(&usage, cost).await {
            return false;
        }
        if cost <= self.covered {
            return true;
        }
        self.worker.metrics().holds_extended.add(1);
        let covered = self.errand.call.cover(cost, slice).await;
        self.covered = self.errand.call.held().unwrap_or(Money::MAX);
        covered
    }

    /// The provider's figures where there are any, else our own count.
    fn usage_so_far(&self) -> (Usage, UsageSource) {
        self.usage_with(self.reader.content_tokens())
    }

    fn usage_with(&self, counted: u64) -> (Usage, UsageSource) {
        if let Some(usage) = self.reader.final_usage() {
            return (usage, UsageSource::Provider);
        }
        match self.reader.partial_usage() {
            Some(partial) => (
                Usage {
                    output_tokens: partial.output_tokens.max(counted),
                    ..partial
                },
                UsageSource::Partial,
            ),
            None => (self.errand.call.pricing.estimate(counted), UsageSource::Estimated),
        }
    }

    async fn finish(mut self, over: Over) {
        let splitter = std::mem::replace(&mut self.splitter, Frames::of(self.errand.dialect));
        if let Some(frame) = splitter.finish() {
            // A last frame without its blank line.
            self.reader.push(&frame);
            let said = self.translator.as_mut().map(|translator| translator.push(&frame));
            self.last.extend_from_slice(said.as_ref().unwrap_or(frame.bytes()));
        }
        let (usage, usage_source) = self.usage_so_far();
        if usage_source == UsageSource::Provider {
            self.errand.call.pricing.teach(self.worker.calibration(), &usage);
        }
        let over = over.of(&self.reader);
        if let Some(pass) = self.errand.pass.take() {
            over.tell(pass);
        }
        let ending = Ending {
            outcome: over.outcome(),
            http_status: self.answer.status().as_u16(),
            usage,
            usage_source,
            service_tier: self.reader.service_tier(),
            response_id: self.reader.response_id().unwrap_or_default().to_owned(),
        };
        match (over, &mut self.translator) {
            (Over::LimitReached | Over::Ended, None) => self.last = self.reader.terminal(&usage).into(),
            (Over::LimitReached | Over::Ended, Some(translator)) => self.last = translator.stop(&usage).into(),
            (Over::Finished | Over::Broken, Some(translator)) => self.last.extend_from_slice(&translator.end()),
            (Over::Finished | Over::Broken | Over::Abandoned, _) => {}
        }
        let held = self.errand.call.held();
        let tells_cost = self.errand.appends_cost && self.errand.takes_comments();
        let Self {
            worker,
            errand,
            client,
            mut last,
            answer,
            is_read,
            ..
        } = self;
        let (written, costs) = errand.call.settle(ending).await;
        worker.note_underestimate(held, costs.total);
        if written.durable().await.is_err() {
            tracing::error!("the journal was closed under a running stream");
        }
        if tells_cost {
            last.extend_from_slice(&cost_comment(costs));
        }
        if let Some(client) = client {
            if !last.is_empty() {
                // A client that has left misses the end; the call is settled all the same.
                let _gone = client.send(last.freeze()).await;
            }
            if over == Over::Broken {
                client.cut();
            }
        }
        if over == Over::Finished && !is_read {
            read_out(&worker, answer);
        }
    }
}
