//! The reading side of HTTP/1.1: the head of an answer, and where its body ends (a length, chunks, or the end of the connection).
//! It is pure: bytes in, progress out. It refuses what it cannot frame, and keeps nothing of a body but what the caller asks for.

use std::io::{Error, ErrorKind, Result};

/// The longest head that is read.
pub const HEAD_LIMIT_BYTES: usize = 16 * 1024;

/// Whether the connection may carry another request after this answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    Keep,
    Close,
}

/// The head of an answer, as far as a load generator needs it.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub framing: Framing,
    pub reuse: Reuse,
    /// How many bytes the head took, the empty line included.
    pub length_bytes: usize,
}

/// How the body ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes are still to come.
    Sized(u64),
    /// Chunks, and where in them the reader stands.
    Chunked(Chunk),
    /// The body ends with the connection.
    UntilClose,
}

/// Where a reader of chunks stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// In the digits of a size, with the value so far.
    Size(u64),
    /// After the digits, up to the end of the line.
    Extension(u64),
    /// So many bytes of data are still to come.
    Data(u64),
    /// In the line end after the data.
    DataEnd,
    /// In the lines after the last chunk, with the length of the present line.
    Trailer(usize),
}

/// Whether a body has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    More,
    Done,
}

/// Reads a head from the start of `input`; `None` while it is incomplete.
pub fn read_head(input: &[u8]) -> Result<Option<Head>> {
    let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let mut lines = input[..end].split(|byte| *byte == b'\n');
    let status = read_status(lines.next().unwrap_or_default())?;
    let mut head = Head {
        status,
        framing: Framing::UntilClose,
        reuse: Reuse::Keep,
        length_bytes: end + 4,
    };
    for line in lines {
        read_field(line, &mut head)?;
    }
    if status == 204 || status == 304 {
        head.framing = Framing::Sized(0);
    }
    if head.framing == Framing::UntilClose {
        head.reuse = Reuse::Close;
    }
    Ok(Some(head))
}

fn read_status(line: &[u8]) -> Result<u16> {
    let digits = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| invalid("the status line is not HTTP/1.x"))
}

fn read_field(line: &[u8], head: &mut Head) -> Result<()> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Err(invalid("a header line has no colon"));
    };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if name.eq_ignore_ascii_case(b"content-length") {
        let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        head.framing = Framing::Sized(length.ok_or_else(|| invalid("content-length is not a number"))?);
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
        head.framing = Framing::Chunked(Chunk::Size(0));
    } else if name.eq_ignore_ascii_case(b"connection") && value.eq_ignore_ascii_case(b"close") {
        head.reuse = Reuse::Close;
    }
    Ok(())
}

impl Framing {
    /// Takes what came of the body, hands its data to `keep`, and says whether the body has ended.
    ///
    /// Bytes after the end are an error: this client never has two requests on one connection at a time.
    pub fn take(&mut self, mut input: &[u8], keep: &mut impl FnMut(&[u8])) -> Result<Progress> {
        match self {
            Self::UntilClose => {
                keep(input);
                Ok(Progress::More)
            }
            Self::Sized(left) => {
                take_data(left, &mut input, keep);
                progress(*left == 0, input)
            }
            Self::Chunked(chunk) => {
                while !input.is_empty() {
                    if let Progress::Done = chunk.step(&mut input, keep)? {
                        return progress(true, input);
                    }
                }
                Ok(Progress::More)
            }
        }
    }

    /// Whether nothing at all is to come after the head.
    pub fn is_empty(&self) -> bool {
        *self == Self::Sized(0)
    }
}

impl Chunk {
    fn step(&mut self, input: &mut &[u8], keep: &mut impl FnMut(&[u8])) -> Result<Progress> {
        if let Self::Data(left) = self {
            take_data(left, input, keep);
            if *left == 0 {
                *self = Self::DataEnd;
            }
            return Ok(Progress::More);
        }
        let byte = input[0];
        *input = &input[1..];
        match self {
            Self::Size(size) => match char::from(byte).to_digit(16) {
                Some(digit) => *size = grown(*size, digit)?,
                None if byte == b'\n' => *self = Self::after_size(*size),
                None => *self = Self::Extension(*size),
            },
            Self::Extension(size) if byte == b'\n' => *self = Self::after_size(*size),
            Self::Extension(_) | Self::Data(_) => {}
            Self::DataEnd if byte == b'\n' => *self = Self::Size(0),
            Self::DataEnd if byte == b'\r' => {}
            Self::DataEnd => return Err(invalid("a chunk is longer than its size")),
            Self::Trailer(0) if byte == b'\n' => return Ok(Progress::Done),
            Self::Trailer(length) if byte == b'\n' => *length = 0,
            Self::Trailer(length) => *length += usize::from(byte != b'\r'),
        }
        Ok(Progress::More)
    }

    fn after_size(size: u64) -> Self {
        if size == 0 { Self::Trailer(0) } else { Self::Data(size) }
    }
}

fn grown(size: u64, digit: u32) -> Result<u64> {
    let grown = size.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
    grown.ok_or_else(|| invalid("a chunk's size overflows"))
}

fn take_data(left: &mut u64, input: &mut &[u8], keep: &mut impl FnMut(&[u8])) {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let (data, rest) = input.split_at(length);
    keep(data);
    *left -= length as u64;
    *input = rest;
}

fn progress(ended: bool, rest: &[u8]) -> Result<Progress> {
    match (ended, rest.is_empty()) {
        (true, true) => Ok(Progress::Done),
        (false, true) => Ok(Progress::More),
        (_, false) => Err(invalid("bytes follow the end of the body")),
    }
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=1\r\n, world ok\r\n0\r\nx: y\r\n\r\n";
    const SIZED: &[u8] =
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-length:  11\r\nConnection: close\r\n\r\nhello world";

    fn read_in_pieces(bytes: &[u8], piece_bytes: usize) -> (Head, Vec<u8>, Progress) {
        let mut head = read_head(bytes).unwrap().unwrap();
        let (mut body, mut last) = (Vec::new(), Progress::More);
        for piece in bytes[head.length_bytes..].chunks(piece_bytes) {
            assert_eq!(last, Progress::More);
            last = head
                .framing
                .take(piece, &mut |data| body.extend_from_slice(data))
                .unwrap();
        }
        (head, body, last)
    }

    #[test]
    fn reads_a_chunked_body_split_at_any_size() {
        for piece_bytes in 1..80 {
            let (head, body, progress) = read_in_pieces(CHUNKED, piece_bytes);
            assert_eq!((head.status, head.reuse), (200, Reuse::Keep));
            assert_eq!(body, b"hello, world ok");
            assert_eq!(progress, Progress::Done);
        }
    }

    #[test]
    fn reads_a_sized_body_split_at_any_size() {
        for piece_bytes in 1..20 {
            let (head, body, progress) = read_in_pieces(SIZED, piece_bytes);
            assert_eq!((head.status, head.reuse), (429, Reuse::Close));
            assert_eq!(body, b"hello world");
            assert_eq!(progress, Progress::Done);
        }
    }

    #[test]
    fn an_incomplete_head_is_not_an_error() {
        for length in 0..SIZED.len() - 11 {
            assert_eq!(read_head(&SIZED[..length]).unwrap(), None);
        }
    }

    #[test]
    fn refuses_what_it_cannot_frame() {
        for text in [
            "SPDY/3 200\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        ] {
            assert!(read_head(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_bytes_after_the_end_and_a_chunk_that_is_too_long() {
        for (mut framing, bytes) in [
            (Framing::Sized(2), &b"abc"[..]),
            (Framing::Chunked(Chunk::Size(0)), b"1\r\nab"),
            (Framing::Chunked(Chunk::Size(0)), b"0\r\n\r\nx"),
            (Framing::Chunked(Chunk::Size(0)), b"fffffffffffffffff\r\n"),
        ] {
            assert!(framing.take(bytes, &mut |_| {}).is_err());
        }
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let head = read_head(b"HTTP/1.0 200 OK\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.framing, head.reuse), (Framing::UntilClose, Reuse::Close));
    }
}
