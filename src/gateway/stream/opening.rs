//! The first frame of a stream, heard before the client is told of it: as long as nothing has been passed on, another
//! provider can be asked instead. Nothing is kept of what is heard but the bytes, which the stream then begins with.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::super::dialect::{Dialect, StreamReader, UsageFrames};
use super::super::frames::Frames;
use super::super::upstream::{RawAnswer, UpstreamFailure};

/// A stream, and what has been read of it.
pub struct Opened {
    pub answer: RawAnswer,
    pub heard: Bytes,
}

/// Reads up to the first frame that says something. A stream that ends before it, or begins with an error, broke.
pub async fn first_frame(answer: &mut RawAnswer, dialect: Dialect) -> Result<Bytes, UpstreamFailure> {
    let mut beginning = Beginning::new(dialect);
    loop {
        let chunk = match answer.next().await {
            Some(Ok(chunk)) => chunk,
            Some(Err(_)) | None => return Err(UpstreamFailure::Broken),
        };
        match beginning.push(chunk) {
            Said::Nothing => {}
            Said::Something => return Ok(beginning.heard.freeze()),
            Said::Error => return Err(UpstreamFailure::Broken),
        }
    }
}

/// What a stream has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Something,
    Error,
}

struct Beginning {
    heard: BytesMut,
    dialect: Dialect,
    splitter: Frames,
    reader: StreamReader,
}

impl Beginning {
    fn new(dialect: Dialect) -> Self {
        Self {
            heard: BytesMut::new(),
            dialect,
            splitter: Frames::of(dialect),
            reader: StreamReader::new(dialect, UsageFrames::Pass),
        }
    }

    fn push(&mut self, chunk: Bytes) -> Said {
        self.heard.extend_from_slice(&chunk);
        self.splitter.push(chunk);
        loop {
            match self.splitter.next_frame() {
                Ok(Some(frame)) if self.dialect.data(&frame).is_some() => {
                    self.reader.push(&frame);
                    return if self.reader.is_failed() {
                        Said::Error
                    } else {
                        Said::Something
                    };
                }
                // A comment only keeps the connection open.
                Ok(Some(_)) => {}
                Ok(None) => return Said::Nothing,
                Err(_) => return Said::Error,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(dialect: Dialect, chunks: &[&'static str]) -> Vec<Said> {
        let mut beginning = Beginning::new(dialect);
        let said = |chunk: &&'static str| beginning.push(Bytes::from_static(chunk.as_bytes()));
        chunks.iter().map(said).collect()
    }

    #[test]
    fn the_first_frame_with_data_says_whether_the_stream_is_an_answer() {
        let table: [(Dialect, &[&'static str], &[Said]); 6] = [
            (
                Dialect::OpenAi,
                &[": hi\n\n", "data: {\"choices\":[", "]}\n", "\nrest"],
                &[Said::Nothing, Said::Nothing, Said::Nothing, Said::Something],
            ),
            (
                Dialect::OpenAi,
                &["data: {\"error\":{\"message\":\"Overloaded\"}}\n\n"],
                &[Said::Error],
            ),
            (Dialect::OpenAi, &["data: [DONE]\n\n"], &[Said::Something]),
            (Dialect::OpenAi, &["data: what is this\n\n"], &[Said::Something]),
            (
                Dialect::Anthropic,
                &["event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n"],
                &[Said::Error],
            ),
            (
                Dialect::Anthropic,
                &["event: message_start\ndata: {\"type\":\"message_start\"}\n\n"],
                &[Said::Something],
            ),
        ];
        for (dialect, chunks, wanted) in table {
            assert_eq!(said(dialect, chunks), wanted, "{chunks:?}");
        }
    }

    #[test]
    fn what_was_heard_is_kept_to_the_byte() {
        let mut beginning = Beginning::new(Dialect::OpenAi);
        for chunk in [": a\r\n\r", "\nda", "ta: {}\n\ndata: more"] {
            beginning.push(Bytes::from_static(chunk.as_bytes()));
        }
        assert_eq!(&beginning.heard[..], b": a\r\n\r\ndata: {}\n\ndata: more");
    }
}
