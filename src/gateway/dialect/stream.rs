//! Follows a stream frame by frame: what was said of usage, how much text went by, which parts are open, and whether
//! the stream came to its own end. It decides whether a frame passes, never changes one, and fails open: a frame that
//! it cannot read passes and counts as text, because its bytes were served.

mod anthropic;
mod bedrock;
mod google;
mod openai;
mod responses;

use bytes::Bytes;

use super::Dialect;
use super::anthropic::Counts;
use super::terminal::{self, Opening};
use crate::domain::price::ServiceTier;
use crate::domain::usage::Usage;
use crate::gateway::sse::Frame;

/// What happens to the usage chunk that was asked for on the client's behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageFrames {
    /// The client did not ask for it.
    Hide,
    Pass,
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameVerdict {
    Pass,
    Hide,
    /// Near the end: it and all that follows pass once the call is settled.
    Hold,
    /// The stream's own end: it passes once the call is settled.
    Last,
}

/// The most choices or blocks whose state is kept; a stream with more is still read, only not ended neatly.
const OPEN_MAX: usize = 128;

/// The reader of one stream.
#[derive(Debug)]
pub struct StreamReader {
    dialect: Dialect,
    usage_frames: UsageFrames,
    opening: Opening,
    service_tier: Option<ServiceTier>,
    /// The counts that Anthropic's events have given so far.
    counts: Counts,
    final_usage: Option<Usage>,
    partial_usage: Option<Usage>,
    content_bytes: u64,
    content_frames: u64,
    /// The model said why it stopped; more may follow.
    stopped: bool,
    finished: bool,
    failed: bool,
}

impl StreamReader {
    pub fn new(dialect: Dialect, usage_frames: UsageFrames) -> Self {
        Self {
            dialect,
            usage_frames,
            opening: Opening::default(),
            service_tier: None,
            counts: Counts::default(),
            final_usage: None,
            partial_usage: None,
            content_bytes: 0,
            content_frames: 0,
            stopped: false,
            finished: false,
            failed: false,
        }
    }

    /// Takes the next frame of the provider.
    pub fn push(&mut self, frame: &Frame) -> FrameVerdict {
        let Some(data) = self.dialect.data(frame) else {
            return FrameVerdict::Pass;
        };
        match self.dialect {
            Dialect::OpenAi => self.push_openai(&data),
            Dialect::Anthropic => self.push_anthropic(&data),
            Dialect::Google => self.push_google(&data),
            Dialect::Bedrock => self.push_bedrock(&data),
            Dialect::Responses => self.push_responses(&data),
        }
    }

    /// The usage that the provider gave at the stream's end; explicit zeros are a usage.
    pub fn final_usage(&self) -> Option<Usage> {
        let ended = self.finished && self.dialect == Dialect::OpenAi;
        self.final_usage.or(if ended { self.partial_usage } else { None })
    }

    /// The last usage that the provider gave on the way.
    pub fn partial_usage(&self) -> Option<Usage> {
        self.partial_usage
    }

    pub fn response_id(&self) -> Option<&str> {
        self.opening.id.as_deref()
    }

    pub fn model(&self) -> Option<&str> {
        self.opening.model.as_deref()
    }

    /// The tier that serves the call, where the stream says so.
    pub fn service_tier(&self) -> Option<ServiceTier> {
        self.service_tier
    }

    /// Bytes of text that the model produced.
    pub fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// An upper estimate of the output so far: a token a frame, or four bytes a token, whichever is more.
    pub fn content_tokens(&self) -> u64 {
        self.content_frames.max(self.content_bytes.div_ceil(4))
    }

    /// What the output so far is at least: a token a frame, or eight bytes a token, which no text keeps up for long.
    pub fn least_tokens(&self) -> u64 {
        self.content_frames.max(self.content_bytes / 8)
    }

    /// The provider ended the stream by its own last frame, or said in it why the model stopped.
    pub fn is_finished(&self) -> bool {
        self.finished || self.stopped
    }

    /// The provider reported an error inside the stream.
    pub fn is_failed(&self) -> bool {
        self.failed
    }

    /// The frames that end the stream in its own dialect when we stop it, as if the output cap had been reached.
    /// The usage chunk is among them only where the client asked for it.
    pub fn terminal(&self, usage: &Usage) -> Bytes {
        match self.dialect {
            Dialect::OpenAi => terminal::openai(&self.opening, usage, self.usage_frames),
            Dialect::Anthropic => terminal::anthropic(&self.opening, usage),
            Dialect::Google => terminal::google(&self.opening, usage),
            Dialect::Bedrock => terminal::bedrock(&self.opening, usage),
            Dialect::Responses => terminal::responses(&self.opening, usage),
        }
    }

    /// Keeps which choices or blocks are open.
    fn follow(&mut self, index: u64, closes: bool) {
        let open = &mut self.opening.open;
        if let Some((_, closed)) = open.iter_mut().find(|(known, _)| *known == index) {
            *closed |= closes;
        } else if open.len() < OPEN_MAX {
            open.push((index, closes));
        }
    }

    fn count_text(&mut self, bytes: u64) {
        if bytes > 0 {
            self.content_frames += 1;
            self.content_bytes += bytes;
        }
    }

    fn count_unread(&mut self, data: &[u8]) -> FrameVerdict {
        self.count_text(data.len() as u64);
        FrameVerdict::Pass
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "stream/native_tests.rs"]
mod native;
