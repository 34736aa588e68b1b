//! Carries a stream: passes the provider's frames on, counts what they cost, tops the hold up or ends the stream in its
//! own dialect, and reads on for the usage when the client has left. The settlement is written before the last frame
//! leaves.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::domain::money::Money;
use crate::domain::request::{Outcome, UsageSource};
use crate::domain::usage::Usage;

use super::Worker;
use super::dialect::{FrameVerdict, StreamReader};
use super::drain::DrainSlot;
use super::open_call::{Costs, Ending};
use super::pump::{Cut, Errand, Reply, ReplyBody, answer_with, client_headers};
use super::sse::SseSplitter;
use super::upstream::RawAnswer;

/// Chunks that may wait for a slow client.
const CHANNEL_CHUNKS: usize = 16;
/// Output tokens after which progress is recorded, whatever the time.
const PROGRESS_TOKENS: u64 = 512;

/// Why the stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// The provider said so, or closed in good order.
    Finished,
    /// The provider broke off, fell silent or took too long.
    Broken,
    /// The limit was reached: we ended it.
    LimitReached,
    /// The key was revoked: we ended it.
    Revoked,
    /// The client left and the rest was not waited for.
    Abandoned,
}

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
    splitter: SseSplitter,
    reader: StreamReader,
    /// `None` once the client has left.
    client: Option<mpsc::Sender<Result<Bytes, Cut>>>,
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
    /// The cost up to which the hold is known to suffice.
    covered: Money,
}

impl StreamPump {
    /// Sends the head to the client; the rest is [`StreamPump::run`].
    pub fn new(worker: Worker, mut errand: Box<Errand>, answer: RawAnswer) -> Box<Self> {
        let (sender, receiver) = mpsc::channel(CHANNEL_CHUNKS);
        let reply = Reply {
            status: answer.status(),
            headers: client_headers(&answer),
            body: ReplyBody::Stream(receiver),
        };
        let unused = tokio::sync::oneshot::channel().0;
        answer_with(std::mem::replace(&mut errand.reply, unused), Ok(reply));
        let now = Instant::now();
        Box::new(Self {
            reader: StreamReader::new(errand.dialect, errand.usage_frames),
            deadline: now + Duration::from_millis(worker.options().stream_timeout_ms),
            covered: errand.call.held().unwrap_or(Money::MAX),
            worker,
            errand,
            answer,
            splitter: SseSplitter::new(),
            client: Some(sender),
            last: BytesMut::new(),
            drain: None,
            drained_bytes: 0,
            recorded_tokens: 0,
            recorded_at: now,
            heard_at: now,
            told_at: now,
        })
    }

    /// Carries the stream to its end and settles it.
    pub async fn run(mut self: Box<Self>) {
        let over = loop {
            match self.next_event().await {
                Event::Chunk(chunk) => {
                    if let Some(over) = self.take(chunk).await {
                        break over;
                    }
                }
                Event::Over(over) => break over,
                Event::ClientLeft => {
                    if !self.begin_drain() {
                        break Over::Abandoned;
                    }
                }
                Event::Quiet => self.pass_on(Bytes::from_static(b": keep-alive\n\n")).await,
            }
        };
        self.finish(over).await;
    }

    async fn next_event(&mut self) -> Event {
        let silent_at =
            (self.heard_at + Duration::from_millis(self.worker.options().idle_timeout_ms)).min(self.deadline);
        let quiet_at = self.quiet_at();
        let revoked: OptionFuture<_> = self
            .errand
            .revocation
            .as_ref()
            .map(|revocation| revocation.revoked())
            .into();
        let left: OptionFuture<_> = self.client.as_ref().map(|client| client.closed()).into();
        let (mut revoked, mut left) = (pin!(revoked), pin!(left));
        tokio::select! {
            biased;
            chunk = self.answer.next() => match chunk {
                Some(Ok(chunk)) => Event::Chunk(chunk),
                None => Event::Over(Over::Finished),
                Some(Err(_)) => Event::Over(Over::Broken),
            },
            Some(()) = &mut revoked => Event::Over(Over::Revoked),
            Some(()) = &mut left => Event::ClientLeft,
            () = tokio::time::sleep_until(silent_at) => Event::Over(Over::Broken),
            () = tokio::time::sleep_until(quiet_at.unwrap_or(silent_at)), if quiet_at.is_some() => Event::Quiet,
        }
    }

    /// When the client is told that the stream is still there; `None` where there is nobody to tell.
    fn quiet_at(&self) -> Option<Instant> {
        let interval = self.worker.options().keep_alive_comment_ms;
        (self.client.is_some() && interval > 0).then(|| self.told_at + Duration::from_millis(interval))
    }

    /// Passes a chunk's frames on; `Some` where the stream is over with it.
    async fn take(&mut self, chunk: Bytes) -> Option<Over> {
        self.heard_at = Instant::now();
        self.drained_bytes += if self.client.is_none() { chunk.len() as u64 } else { 0 };
        self.splitter.push(chunk);
        let mut passed = Passing::default();
        let mut finished = false;
        loop {
            let frame = match self.splitter.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => return Some(Over::Broken),
            };
            match self.reader.push(&frame) {
                FrameVerdict::Pass => passed.push(frame.into_bytes()),
                FrameVerdict::Hide => {}
                FrameVerdict::Last => {
                    finished = true;
                    self.last.extend_from_slice(frame.bytes());
                }
            }
        }
        if let Some(bytes) = passed.into_bytes() {
            self.pass_on(bytes).await;
        }
        self.note_progress();
        if finished {
            return Some(Over::Finished);
        }
        if !self.cover().await {
            return Some(Over::LimitReached);
        }
        let spent = self
            .drain
            .as_ref()
            .is_some_and(|_| self.drained_bytes > self.worker.options().drain_limit_bytes);
        spent.then_some(Over::Abandoned)
    }

    async fn pass_on(&mut self, bytes: Bytes) {
        self.told_at = Instant::now();
        let Some(client) = &self.client else { return };
        let patience = Duration::from_millis(self.worker.options().slow_reader_timeout_ms);
        let sent = timeout(patience, client.send(Ok(bytes))).await;
        if !matches!(sent, Ok(Ok(()))) && !self.begin_drain() {
            // The next wait sees that nobody reads any more.
            self.deadline = Instant::now();
        }
    }

    /// The client has left: whether the provider's stream is read on for its usage.
    fn begin_drain(&mut self) -> bool {
        self.client = None;
        self.worker.metrics().clients_gone.add(1);
        self.drain = if self.errand.drains {
            self.worker.drains().claim()
        } else {
            None
        };
        let patience = Duration::from_millis(self.worker.options().drain_timeout_ms);
        self.deadline = self.deadline.min(Instant::now() + patience);
        self.drain.is_some()
    }

    fn note_progress(&mut self) {
        let tokens = self.reader.content_tokens();
        self.errand.call.served_tokens = tokens;
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
        let Some(slice) = self.errand.slice else { return true };
        let usage = self.usage_so_far().0;
        let cost = self.errand.call.pricing.cost(&usage, None).total;
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
        if let Some(usage) = self.reader.final_usage() {
            return (usage, UsageSource::Provider);
        }
        let counted = self.reader.content_tokens();
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

    async fn finish(mut self: Box<Self>, over: Over) {
        if let Some(frame) = std::mem::take(&mut self.splitter).finish() {
            // A last frame without its blank line.
            self.reader.push(&frame);
            self.last.extend_from_slice(frame.bytes());
        }
        let (usage, usage_source) = self.usage_so_far();
        // The client library takes a connection that closes early for the end of the stream.
        let ended = self.reader.is_finished() || self.reader.final_usage().is_some();
        let over = if over == Over::Finished && !ended {
            Over::Broken
        } else {
            over
        };
        let complete = over == Over::Finished;
        let ending = Ending {
            outcome: if complete || over == Over::LimitReached {
                Outcome::Completed
            } else {
                Outcome::Error
            },
            http_status: self.answer.status().as_u16(),
            usage,
            usage_source,
            service_tier: self.reader.service_tier(),
            response_id: self.reader.response_id().unwrap_or_default().to_owned(),
        };
        if over == Over::LimitReached || over == Over::Revoked {
            self.last = BytesMut::from(&self.reader.terminal(&usage)[..]);
        }
        let held = self.errand.call.held();
        let Self {
            worker,
            errand,
            client,
            mut last,
            answer,
            ..
        } = *self;
        let (written, costs) = errand.call.settle(ending);
        worker.note_underestimate(held, costs.total);
        if written.durable().await.is_err() {
            tracing::error!("the journal was closed under a running stream");
        }
        if errand.appends_cost {
            last.extend_from_slice(&cost_comment(costs));
        }
        if let Some(client) = client {
            let broken = over == Over::Broken;
            send_end(
                &client,
                last.freeze(),
                broken,
                Duration::from_millis(worker.options().slow_reader_timeout_ms),
            )
            .await;
            drop(client);
        }
        if over == Over::Finished {
            read_out(answer).await;
        }
    }
}

async fn send_end(client: &mpsc::Sender<Result<Bytes, Cut>>, last: Bytes, broken: bool, patience: Duration) {
    let send = async {
        if !last.is_empty() {
            client.send(Ok(last)).await?;
        }
        if broken { client.send(Err(Cut)).await } else { Ok(()) }
    };
    // A client that has left, or does not read, misses the end; the call is settled all the same.
    drop(timeout(patience, send).await);
}

/// Reads the few bytes after a stream's last frame, so that the connection can serve again.
async fn read_out(mut answer: RawAnswer) {
    let rest = async { while let Some(Ok(_)) = answer.next().await {} };
    drop(timeout(Duration::from_millis(200), rest).await);
}

fn cost_comment(costs: Costs) -> Bytes {
    Bytes::from(format!(": x-lava-cost {}\n\n", costs.total))
}

/// Frames that go on together; a single one is not copied.
#[derive(Default)]
struct Passing {
    first: Option<Bytes>,
    more: BytesMut,
}

impl Passing {
    fn push(&mut self, bytes: Bytes) {
        match &self.first {
            None => self.first = Some(bytes),
            Some(first) => {
                if self.more.is_empty() {
                    self.more.extend_from_slice(first);
                }
                self.more.extend_from_slice(&bytes);
            }
        }
    }

    fn into_bytes(self) -> Option<Bytes> {
        if self.more.is_empty() {
            self.first
        } else {
            Some(self.more.freeze())
        }
    }
}
