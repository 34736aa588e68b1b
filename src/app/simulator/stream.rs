//! A streamed answer on its way out: a dialect's frames at the asked pace, cut, hung or split as directed.
//! It owns the call's ledger entry: a content frame is booked when the connection takes it, and an answer whose
//! client goes away is booked as cut when the stream is dropped. An idle stream holds one timer and no buffer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use super::answer::Usage;
use super::directive::{Directives, Ending};
use super::ledger::{OpenEntry, Outcome};

/// How long a hanging answer keeps its connection when the client never goes away.
pub(super) const HANG: Duration = Duration::from_secs(600);

/// The error that makes the server drop the connection instead of ending the answer.
#[derive(Debug)]
pub(super) struct CutOff;

/// The frames of one answer in a dialect.
pub(super) trait Script: Unpin {
    /// What comes next; none when all is said.
    fn upcoming(&self) -> Option<Part>;
    /// Writes the upcoming frame and moves on. Called only while there is one.
    fn write_next(&mut self) -> Frame;
    /// The tokens of the upcoming frame if it is one of content.
    fn upcoming_tokens(&self) -> u64 {
        1
    }
}

/// Where in its answer a frame stands.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Part {
    Opening,
    Content,
    Closing,
}

/// One SSE message and, where it says so, the usage it reports.
#[derive(Debug)]
pub(super) struct Frame {
    pub bytes: Bytes,
    pub reported: Option<Reported>,
}

/// Input and output tokens as one frame reports them.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) struct Reported {
    pub input_tokens: i64,
    pub output_tokens: i64,
}

impl Reported {
    /// The final usage of an answer.
    pub(super) fn whole(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
        }
    }
}

/// A stream of the bytes of a script.
pub(super) struct AnswerStream<S> {
    script: S,
    entry: OpenEntry,
    content_count: u64,
    chunk: Duration,
    ending: Ending,
    split_bytes: Option<usize>,
    unsplit: BytesMut,
    state: State,
    flush: Flush,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum State {
    /// The next frame may be written at once.
    Ready,
    /// A frame was written, and the pace of the frames comes before the next.
    Paced,
    Hanging,
    Cutting,
}

/// Whether what was written must reach the socket before anything more is done. The server writes to the socket
/// when the stream has nothing for the moment, so one poll without an answer is a flush.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Flush {
    Needless,
    Due,
}

/// What follows when there is nothing left over to write.
enum Step {
    Write(Bytes),
    Wait(Duration),
    Cut,
    End,
}

impl<S: Script> AnswerStream<S> {
    /// Prepares the stream; nothing is written and no time is counted before it is polled.
    pub(super) fn new(script: S, entry: OpenEntry, directives: &Directives) -> Self {
        Self {
            script,
            entry,
            content_count: 0,
            chunk: Duration::from_millis(directives.timing.chunk_ms),
            ending: directives.ending,
            split_bytes: directives.split_bytes,
            unsplit: BytesMut::new(),
            state: State::Ready,
            flush: Flush::Needless,
            timer: None,
        }
    }

    fn step(&mut self) -> Step {
        match self.state {
            State::Cutting => Step::Cut,
            State::Hanging => {
                self.state = State::Cutting;
                Step::Wait(HANG)
            }
            State::Ready | State::Paced if self.script.upcoming().is_none() => Step::End,
            State::Paced if !self.chunk.is_zero() => {
                self.state = State::Ready;
                Step::Wait(self.chunk)
            }
            State::Ready | State::Paced => Step::Write(self.write_frame()),
        }
    }

    fn write_frame(&mut self) -> Bytes {
        if self.script.upcoming() == Some(Part::Content) {
            self.entry.sums.output_tokens += self.script.upcoming_tokens();
            self.content_count += 1;
        }
        let frame = self.script.write_next();
        if let Some(reported) = frame.reported {
            self.entry.sums.reported_input_tokens = reported.input_tokens;
            self.entry.sums.reported_output_tokens = reported.output_tokens;
        }
        self.look_ahead();
        frame.bytes
    }

    /// Finds what follows the frame just written. The good end is booked here, with the last frame, because nothing
    /// need be polled after it.
    fn look_ahead(&mut self) {
        let written = self.content_count;
        let reached = |after: Option<u64>| after.is_some_and(|after| written >= after);
        self.state = match self.script.upcoming() {
            None => {
                self.entry.outcome = Outcome::Completed;
                State::Paced
            }
            Some(Part::Opening) => State::Paced,
            Some(Part::Content | Part::Closing) if reached(self.ending.cut_after) => {
                self.flush = Flush::Due;
                State::Cutting
            }
            Some(Part::Content | Part::Closing) if reached(self.ending.hang_after) => State::Hanging,
            Some(Part::Content | Part::Closing) => State::Paced,
        };
    }

    /// The next piece of a split stream: a full one, or what is left before a stop.
    fn take_piece(&mut self) -> Option<Bytes> {
        let split_bytes = self.split_bytes?;
        let stops = match self.state {
            State::Cutting | State::Hanging => true,
            State::Ready | State::Paced => self.script.upcoming().is_none(),
        };
        let size = self.unsplit.len().min(split_bytes);
        if size == split_bytes || (stops && size > 0) {
            self.flush = Flush::Due;
            return Some(self.unsplit.split_to(size).freeze());
        }
        None
    }
}

impl<S: Script> Stream for AnswerStream<S> {
    type Item = Result<Bytes, CutOff>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(timer) = &mut this.timer {
                ready!(timer.as_mut().poll(context));
                this.timer = None;
            }
            if this.flush == Flush::Due {
                this.flush = Flush::Needless;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(piece) = this.take_piece() {
                return Poll::Ready(Some(Ok(piece)));
            }
            match this.step() {
                Step::Write(bytes) if this.split_bytes.is_some() => this.unsplit.extend_from_slice(&bytes),
                Step::Write(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Step::Wait(duration) => this.timer = Some(Box::pin(sleep(duration))),
                Step::Cut => return Poll::Ready(Some(Err(CutOff))),
                Step::End => return Poll::Ready(None),
            }
        }
    }
}

impl std::fmt::Display for CutOff {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the simulated provider cuts the connection as directed")
    }
}

impl std::error::Error for CutOff {}
