//! A stream taken apart into frames, whatever its dialect frames it with: server-sent events, or AWS's binary messages.

use bytes::Bytes;

use super::dialect::Dialect;
use super::sse::{Frame, SseSplitter};
use super::translate::bedrock::MessageSplitter;

/// Nothing behind this can be read: a frame is too large, or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's stream cannot be taken apart")]
pub(super) struct Unreadable;

/// Takes chunks, gives frames as they stand on the wire.
#[derive(Debug)]
pub(super) enum Frames {
    Events(SseSplitter),
    Messages(MessageSplitter),
}

impl Frames {
    pub(super) fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAi | Dialect::Anthropic | Dialect::Google | Dialect::Responses => {
                Self::Events(SseSplitter::new())
            }
            Dialect::Bedrock => Self::Messages(MessageSplitter::new()),
        }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Events(splitter) => splitter.push(chunk),
            Self::Messages(splitter) => splitter.push(&chunk),
        }
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, Unreadable> {
        match self {
            Self::Events(splitter) => splitter.next_frame().map_err(|_| Unreadable),
            Self::Messages(splitter) => {
                let message = splitter.next_message().map_err(|_| Unreadable)?;
                Ok(message.map(Frame::new))
            }
        }
    }

    /// A last frame without its end, where the dialect's frames can do without one.
    pub(super) fn finish(self) -> Option<Frame> {
        match self {
            Self::Events(splitter) => splitter.finish(),
            Self::Messages(_) => None,
        }
    }
}
