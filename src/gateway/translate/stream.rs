//! Translates one stream, frame by frame, with the memory that it takes: what is open, which ids were given, what was
//! said of usage. A stream that breaks off, or has a frame that cannot be read, ends with an error in the client's
//! dialect: it fails closed, because text that is missing from the middle must not look like an answer.

use bytes::{Bytes, BytesMut};

use super::inner::{Event, Stop};
use super::{Pair, table};
use crate::domain::usage::Usage;
use crate::gateway::sse::Frame;

/// How the client is written to.
#[derive(Clone, Debug, Default)]
pub struct WriterOptions {
    /// The client asked for the usage chunk (OpenAI's dialect); other dialects always tell.
    pub include_usage: bool,
    /// Unix seconds (OpenAI's dialect).
    pub created_s: u64,
    /// The model's name where the provider does not tell one.
    pub model: String,
}

/// Reads a provider's stream.
pub(super) trait ReadEvents: Send {
    /// Takes the data of one frame.
    fn push(&mut self, data: &[u8], events: &mut Vec<Event>);

    /// Takes the end of the connection: the end of the stream where the provider said all, or else an error.
    fn finish(&mut self, events: &mut Vec<Event>);
}

/// Writes a client's stream: whole frames of its dialect.
pub(super) trait WriteEvents: Send {
    fn push(&mut self, event: &Event, out: &mut BytesMut);
}

/// The translator of one stream.
pub struct StreamTranslator {
    pair: Pair,
    reader: Box<dyn ReadEvents>,
    writer: Box<dyn WriteEvents>,
    events: Vec<Event>,
    /// What the answer is called where the provider does not say.
    id: String,
    begun: bool,
    ended: bool,
}

impl std::fmt::Debug for StreamTranslator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StreamTranslator")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl StreamTranslator {
    pub fn new(pair: Pair, options: WriterOptions) -> Self {
        Self {
            pair,
            reader: (table(pair.provider).reader)(),
            writer: (table(pair.client).writer)(options),
            events: Vec::new(),
            id: String::new(),
            begun: false,
            ended: false,
        }
    }

    /// Names the answer of a provider that gives it no id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// What a provider's frame is in the client's dialect; nothing for comments, pings and frames after the end.
    pub fn push(&mut self, frame: &Frame) -> Bytes {
        match self.pair.provider.data(frame) {
            Some(data) => self.push_data(&data),
            None => Bytes::new(),
        }
    }

    /// The same for the data alone, or for one message of a binary framing (Bedrock).
    pub fn push_data(&mut self, data: &[u8]) -> Bytes {
        if !self.ended {
            self.reader.push(data, &mut self.events);
        }
        self.write()
    }

    /// We end the stream at a limit: everything is closed, the reason is the output cap, then usage, then the last
    /// frame. What the provider sends afterwards is not translated any more.
    pub fn stop(&mut self, usage: &Usage) -> Bytes {
        if !self.begun && !self.id.is_empty() {
            self.events.push(Event::Begin {
                id: String::new(),
                model: String::new(),
                usage: Some(*usage),
            });
        }
        let events = [Event::Stop(Stop::OutputCap), Event::Usage(*usage), Event::End];
        self.events.extend(events);
        self.write()
    }

    /// The provider closed the connection: nothing where the stream had ended, else its end or an error.
    pub fn end(&mut self) -> Bytes {
        if !self.ended {
            self.reader.finish(&mut self.events);
        }
        self.write()
    }

    /// The stream has come to its last frame.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    fn write(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        for mut event in self.events.drain(..) {
            if self.ended {
                break;
            }
            if let Event::Begin { id, .. } = &mut event {
                self.begun = true;
                if id.is_empty() {
                    id.clone_from(&self.id);
                }
            }
            self.writer.push(&event, &mut out);
            self.ended = matches!(event, Event::End | Event::Error { .. });
        }
        out.freeze()
    }
}

/// The error of a frame that cannot be read.
pub(super) fn unreadable() -> Event {
    Event::Error {
        kind: "api_error".to_owned(),
        message: "the provider sent an event that cannot be read".to_owned(),
    }
}

/// The error of a stream that stopped in the middle.
pub(super) fn broken_off() -> Event {
    Event::Error {
        kind: "api_error".to_owned(),
        message: "the provider broke off the stream".to_owned(),
    }
}
