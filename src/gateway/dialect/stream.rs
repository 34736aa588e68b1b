//! Follows a stream frame by frame: what was said of usage, how much text went by, which parts are open, and whether
//! the stream came to its own end. It decides whether a frame passes, never changes one, and fails open: a frame that
//! it cannot read passes and counts as text, because its bytes were served.

use bytes::Bytes;

use super::anthropic::{Counts, Event};
use super::openai::Chunk;
use super::terminal::{self, Opening};
use super::{Dialect, service_tier};
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
            finished: false,
            failed: false,
        }
    }

    /// Takes the next frame of the provider.
    pub fn push(&mut self, frame: &Frame) -> FrameVerdict {
        let Some(data) = frame.fields().data else {
            return FrameVerdict::Pass;
        };
        match self.dialect {
            Dialect::OpenAi => self.push_openai(&data),
            Dialect::Anthropic => self.push_anthropic(&data),
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

    /// The provider ended the stream by its own last frame.
    pub fn is_finished(&self) -> bool {
        self.finished
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
        }
    }

    fn push_openai(&mut self, data: &[u8]) -> FrameVerdict {
        if data.trim_ascii() == b"[DONE]" {
            self.finished = true;
            return FrameVerdict::Last;
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
            return self.count_unread(data);
        };
        self.failed |= chunk.error.is_some();
        self.open_openai(&chunk);
        let choices = chunk.choices.unwrap_or_default();
        let mut text_bytes = 0;
        let mut finishes = false;
        for choice in &choices {
            text_bytes += choice.delta.map_or(0, |delta| delta.0) + choice.text.map_or(0, |text| text.0);
            finishes |= choice.finish_reason.is_some();
            self.follow(choice.index.into(), choice.finish_reason.is_some());
        }
        self.count_text(text_bytes);
        let Some(usage) = chunk.usage else {
            return FrameVerdict::Pass;
        };
        if let Some(usage) = usage.read() {
            self.partial_usage = Some(usage);
            if choices.is_empty() || finishes {
                self.final_usage = Some(usage);
            }
        }
        match self.usage_frames {
            UsageFrames::Hide if choices.is_empty() && chunk.error.is_none() => FrameVerdict::Hide,
            UsageFrames::Hide | UsageFrames::Pass => FrameVerdict::Pass,
        }
    }

    fn open_openai(&mut self, chunk: &Chunk<'_>) {
        if let Some(tier) = &chunk.service_tier {
            self.service_tier = service_tier(&tier.0);
        }
        if self.opening.id.is_none() {
            self.opening.id = chunk
                .id
                .as_ref()
                .filter(|id| !id.0.is_empty())
                .map(|id| id.0.to_string());
        }
        if self.opening.model.is_none() {
            self.opening.model = chunk
                .model
                .as_ref()
                .filter(|model| !model.0.is_empty())
                .map(|model| model.0.to_string());
            self.opening.created_s = chunk.created.or_zero();
        }
    }

    fn push_anthropic(&mut self, data: &[u8]) -> FrameVerdict {
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
            return self.count_unread(data);
        };
        match event.kind.0.as_ref() {
            "content_block_delta" => self.count_text(event.delta.map_or(0, |delta| delta.0)),
            "content_block_start" => self.follow(event.index.unwrap_or(0), false),
            "content_block_stop" => self.follow(event.index.unwrap_or(0), true),
            "message_start" => self.open_anthropic(&event),
            "message_delta" => self.take_final_counts(&event),
            "error" => self.failed = true,
            "message_stop" => {
                self.finished = true;
                return FrameVerdict::Last;
            }
            _ => {}
        }
        FrameVerdict::Pass
    }

    fn open_anthropic(&mut self, event: &Event<'_>) {
        let Some(message) = &event.message else {
            return;
        };
        self.opening.id = message.id.as_ref().map(|id| id.0.to_string());
        self.opening.model = message.model.as_ref().map(|model| model.0.to_string());
        if let Some(usage) = &message.usage {
            self.service_tier = usage.service_tier.as_ref().and_then(|tier| service_tier(&tier.0));
            self.counts = Counts::of(usage);
            self.partial_usage = self.counts.read();
        }
    }

    /// `message_delta` carries cumulative counts; a count that cannot be true leaves what was known before.
    fn take_final_counts(&mut self, event: &Event<'_>) {
        let Some(usage) = &event.usage else { return };
        let counts = Counts::of(usage).over(self.counts);
        if let Some(usage) = counts.read() {
            self.counts = counts;
            self.final_usage = Some(usage);
            self.partial_usage = Some(usage);
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
