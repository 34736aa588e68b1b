//! The event-stream encoding of AWS: messages of a prelude (lengths and their CRC32), headers, a payload, and a CRC32
//! of it all. The splitter trusts no length whose checksum does not fit, and holds no message above the limit, so memory
//! stays bounded; nothing behind a damaged message can be read.

use bytes::{BufMut, Bytes, BytesMut};

/// The largest message that is held.
pub const MESSAGE_LIMIT_BYTES: usize = 1 << 20;

/// Two lengths and their checksum.
const PRELUDE_BYTES: usize = 12;

/// The prelude, and the checksum at the end.
const FRAME_BYTES: usize = 16;

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("a message of the event stream is larger than {MESSAGE_LIMIT_BYTES} bytes")]
    TooLarge,
    #[error("a message of the event stream is damaged")]
    Damaged,
}

/// Takes chunks, gives whole messages as they stand on the wire.
#[derive(Debug, Default)]
pub struct MessageSplitter {
    pending: BytesMut,
}

impl MessageSplitter {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, chunk: &[u8]) {
        self.pending.extend_from_slice(chunk);
    }

    /// The next whole message, or `None` until more bytes come.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, FramingError> {
        let Some(prelude) = Prelude::read(&self.pending)? else {
            return Ok(None);
        };
        if prelude.total_bytes > MESSAGE_LIMIT_BYTES {
            return Err(FramingError::TooLarge);
        }
        if self.pending.len() < prelude.total_bytes {
            return Ok(None);
        }
        Ok(Some(self.pending.split_to(prelude.total_bytes).freeze()))
    }

    /// True when no started message is left.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

struct Prelude {
    total_bytes: usize,
    header_bytes: usize,
}

impl Prelude {
    fn read(bytes: &[u8]) -> Result<Option<Self>, FramingError> {
        let Some(prelude) = bytes.get(..PRELUDE_BYTES) else {
            return Ok(None);
        };
        let (total_bytes, header_bytes) = (number(prelude, 0), number(prelude, 4));
        let fits = crc32fast::hash(&prelude[..8]) as usize == number(prelude, 8)
            && total_bytes >= FRAME_BYTES
            && header_bytes <= total_bytes - FRAME_BYTES;
        if !fits {
            return Err(FramingError::Damaged);
        }
        Ok(Some(Self {
            total_bytes,
            header_bytes,
        }))
    }
}

/// The number of four bytes at a place that is there.
fn number(bytes: &[u8], at: usize) -> usize {
    bytes[at..at + 4]
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// One message, taken apart. Of the headers only texts are kept: all that say what a message is are texts.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Message<'a> {
    headers: Vec<(&'a str, &'a str)>,
    pub(in crate::gateway) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes a whole message apart; `None` for a damaged one.
    pub(in crate::gateway) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let prelude = Prelude::read(bytes).ok()??;
        if bytes.len() != prelude.total_bytes {
            return None;
        }
        let end = bytes.len() - 4;
        if crc32fast::hash(&bytes[..end]) as usize != number(bytes, end) {
            return None;
        }
        let payload_at = PRELUDE_BYTES + prelude.header_bytes;
        Some(Self {
            headers: read_headers(&bytes[PRELUDE_BYTES..payload_at])?,
            payload: &bytes[payload_at..end],
        })
    }

    pub(in crate::gateway) fn header(&self, name: &str) -> Option<&'a str> {
        let header = self.headers.iter().find(|(known, _)| *known == name);
        header.map(|(_, value)| *value)
    }
}

fn read_headers(mut bytes: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let name = take_counted(&mut bytes, 1)?;
        let kind = take(&mut bytes, 1)?[0];
        match kind {
            0 | 1 => {}
            2 => drop(take(&mut bytes, 1)?),
            3 => drop(take(&mut bytes, 2)?),
            4 => drop(take(&mut bytes, 4)?),
            5 | 8 => drop(take(&mut bytes, 8)?),
            6 => drop(take_counted(&mut bytes, 2)?),
            7 => {
                let value = take_counted(&mut bytes, 2)?;
                headers.push((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?));
            }
            9 => drop(take(&mut bytes, 16)?),
            _ => return None,
        }
    }
    Some(headers)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// Takes bytes whose count stands before them, in so many bytes of its own.
fn take_counted<'a>(bytes: &mut &'a [u8], count_bytes: usize) -> Option<&'a [u8]> {
    let count = take(bytes, count_bytes)?;
    let count = count.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    take(bytes, count)
}

/// Writes one message whose headers are texts.
pub(in crate::gateway) fn write_message(headers: &[(&str, &str)], payload: &[u8], out: &mut BytesMut) {
    let start = out.len();
    let header_bytes: usize = headers.iter().map(|(name, value)| 4 + name.len() + value.len()).sum();
    out.put_u32(size(FRAME_BYTES + header_bytes + payload.len()));
    out.put_u32(size(header_bytes));
    out.put_u32(crc32fast::hash(&out[start..]));
    for (name, value) in headers {
        out.put_u8(u8::try_from(name.len()).expect("names of headers are short and our own"));
        out.put_slice(name.as_bytes());
        out.put_u8(7);
        out.put_u16(u16::try_from(value.len()).expect("values of headers are short and our own"));
        out.put_slice(value.as_bytes());
    }
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out[start..]));
}

/// Lengths have four bytes; no event comes near, because a provider's frames are limited.
fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an event is smaller than its limit")
}

#[cfg(test)]
mod junk_tests;

#[cfg(test)]
mod tests {
    use super::*;

    /// One header, `content-type: application/json`, and 13 bytes: an example that implementations share.
    const KNOWN: &str = "0000003d0000002007fd83960c636f6e74656e742d74797065070010\
        6170706c69636174696f6e2f6a736f6e7b27666f6f273a27626172277d8d9c08b1";

    fn known() -> Vec<u8> {
        (0..KNOWN.len() / 2)
            .map(|at| u8::from_str_radix(&KNOWN[2 * at..2 * at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn reads_and_writes_the_known_message() {
        let bytes = known();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.header("content-type"), Some("application/json"));
        assert_eq!(message.payload, b"{'foo':'bar'}");
        let mut out = BytesMut::new();
        write_message(&[("content-type", "application/json")], b"{'foo':'bar'}", &mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn splits_the_same_wherever_the_stream_is_cut() {
        let stream = known().repeat(3);
        for cut in 0..stream.len() {
            let mut splitter = MessageSplitter::new();
            let mut list = Vec::new();
            for chunk in [&stream[..cut], &stream[cut..]] {
                splitter.push(chunk);
                while let Some(message) = splitter.next_message().unwrap() {
                    list.push(message);
                }
            }
            assert_eq!(list, [known(), known(), known()], "cut at {cut}");
            assert!(splitter.is_empty());
        }
    }

    #[test]
    fn a_bit_that_flipped_anywhere_is_found() {
        for bit in 0..known().len() * 8 {
            let mut bytes = known();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Message::parse(&bytes), None, "bit {bit}");
        }
    }

    #[test]
    fn every_type_of_header_is_passed_over_and_lengths_that_lie_are_refused() {
        let headers = [
            &b"\x01a\x00\x01b\x01\x01c\x02x\x01d\x03xx\x01e\x04xxxx\x01f\x05xxxxxxxx\x01g\x06\x00\x02xx"[..],
            b"\x01h\x08xxxxxxxx\x01i\x09xxxxxxxxxxxxxxxx\x01j\x07\x00\x01y",
        ];
        assert_eq!(read_headers(&headers.concat()), Some(vec![("j", "y")]));
        for lie in [
            &b"\x05a"[..],
            b"\x01a",
            b"\x01a\x0a",
            b"\x01a\x07\x00\x05y",
            b"\x01a\x04x",
        ] {
            assert_eq!(read_headers(lie), None);
        }
        let mut huge = BytesMut::new();
        huge.put_u32(u32::MAX);
        huge.put_u32(0);
        huge.put_u32(crc32fast::hash(&huge));
        let mut splitter = MessageSplitter::new();
        splitter.push(&huge);
        assert_eq!(splitter.next_message(), Err(FramingError::TooLarge));
        let mut splitter = MessageSplitter::new();
        splitter.push(b"HTTP/1.1 502 Bad Gateway");
        assert_eq!(splitter.next_message(), Err(FramingError::Damaged));
    }
}
