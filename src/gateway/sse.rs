//! Splits a byte stream into server-sent events. A frame keeps its exact bytes, so that it can pass unchanged; one that
//! lies in a single chunk is not copied. Lines end in LF, CRLF or CR, at any place of a chunk's edge. A frame above the
//! limit is an error: memory stays bounded whatever a provider sends.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// The largest frame that is held.
pub const FRAME_LIMIT_BYTES: usize = 1 << 20;

/// A frame passed the limit; nothing after it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server-sent event is larger than is held")]
pub struct FrameTooLarge;

/// One event with its terminator, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
}

/// The fields of a frame that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    pub event: Option<&'a [u8]>,
    /// The data lines, joined by LF; `None` for comments and other frames without data.
    pub data: Option<Cow<'a, [u8]>>,
}

impl Frame {
    /// A frame of the given bytes, terminator included.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Reads the fields; comments and unknown fields are skipped, as the standard says.
    pub fn fields(&self) -> Fields<'_> {
        let mut fields = Fields::default();
        let mut rest = self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.bytes);
        while !rest.is_empty() {
            let end = line_end(rest).unwrap_or(rest.len());
            fields.read_line(&rest[..end]);
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        fields
    }
}

impl<'a> Fields<'a> {
    fn read_line(&mut self, line: &'a [u8]) {
        if let Some(value) = field(line, b"data") {
            self.data = Some(match self.data.take() {
                None => Cow::Borrowed(value),
                Some(before) => Cow::Owned([before.as_ref(), b"\n", value].concat()),
            });
        } else if let Some(value) = field(line, b"event") {
            self.event = Some(value);
        }
    }
}

/// The value of a line `name: value` or of a bare `name`.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// The next CR or LF. Looks at a block at a time, which the compiler turns into vector instructions.
fn line_end(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let is_end = |byte: &u8| *byte == b'\n' || *byte == b'\r';
    let mut offset = 0;
    for block in bytes.chunks(BLOCK) {
        if block.iter().fold(false, |found, byte| found | is_end(byte)) {
            return block.iter().position(is_end).map(|at| offset + at);
        }
        offset += BLOCK;
    }
    None
}

/// Where the splitter stands between two bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// At the start of a line.
    #[default]
    LineStart,
    /// Inside a line.
    InLine,
    /// Behind a CR that ended a line; an LF here belongs to it.
    BehindReturn,
    /// Behind a CR that ended a frame; an LF here belongs to that frame, which is gone already.
    BehindFrame,
}

/// Takes chunks, gives frames.
#[derive(Debug)]
pub struct SseSplitter {
    /// The start of a frame that earlier chunks held.
    pending: BytesMut,
    chunk: Bytes,
    place: Place,
    limit_bytes: usize,
}

impl Default for SseSplitter {
    fn default() -> Self {
        Self::with_limit(FRAME_LIMIT_BYTES)
    }
}

impl SseSplitter {
    pub fn new() -> Self {
        Self::default()
    }

    /// One that holds larger frames.
    pub fn with_limit(limit_bytes: usize) -> Self {
        Self {
            pending: BytesMut::new(),
            chunk: Bytes::new(),
            place: Place::default(),
            limit_bytes,
        }
    }

    /// Takes the next chunk; the frames of the one before must have been taken out.
    pub fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "frames are taken out before the next chunk");
        self.chunk = chunk;
    }

    /// The next whole frame, or `None` until more bytes come.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameTooLarge> {
        let Some(end) = self.find_end() else {
            self.hold_rest()?;
            return Ok(None);
        };
        if self.pending.len() + end > self.limit_bytes {
            return Err(FrameTooLarge);
        }
        let tail = self.chunk.split_to(end);
        if self.pending.is_empty() {
            return Ok(Some(Frame::new(tail)));
        }
        self.pending.extend_from_slice(&tail);
        Ok(Some(Frame::new(self.pending.split().freeze())))
    }

    /// What came after the last whole frame: an event that the stream did not finish.
    pub fn finish(mut self) -> Option<Frame> {
        self.pending.extend_from_slice(&self.chunk);
        (!self.pending.is_empty()).then(|| Frame::new(self.pending.freeze()))
    }

    fn hold_rest(&mut self) -> Result<(), FrameTooLarge> {
        if self.pending.len() + self.chunk.len() > self.limit_bytes {
            return Err(FrameTooLarge);
        }
        let rest = std::mem::take(&mut self.chunk);
        self.pending.extend_from_slice(&rest);
        Ok(())
    }

    /// The offset in the chunk just behind the current frame's blank line.
    fn find_end(&mut self) -> Option<usize> {
        let bytes = &self.chunk;
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match (self.place, byte) {
                (Place::BehindReturn | Place::BehindFrame, b'\n') => {
                    self.place = Place::LineStart;
                    at += 1;
                }
                (Place::LineStart | Place::BehindReturn | Place::BehindFrame, b'\n' | b'\r') => {
                    let pair = bytes[at..].starts_with(b"\r\n");
                    self.place = if *byte == b'\r' && !pair {
                        Place::BehindFrame
                    } else {
                        Place::LineStart
                    };
                    return Some(at + if pair { 2 } else { 1 });
                }
                (Place::InLine, b'\n') => {
                    self.place = Place::LineStart;
                    at += 1;
                }
                (Place::InLine, b'\r') => {
                    self.place = Place::BehindReturn;
                    at += 1;
                }
                (Place::LineStart | Place::InLine | Place::BehindReturn | Place::BehindFrame, _) => {
                    self.place = Place::InLine;
                    at = line_end(&bytes[at..]).map_or(bytes.len(), |length| at + length);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
