//! One keep-alive HTTP/1.1 connection that carries one request at a time, as lean as it can be: the client shares the cores with
//! what it measures. It reads an answer to its end and says how it came; it never retries and follows no redirect.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::{Framing, HEAD_LIMIT_BYTES, Head, Progress, Reuse, read_head};

/// What an answer was, once it was read to its end.
pub struct Answer {
    pub status: u16,
    pub reuse: Reuse,
    /// When the first byte of the body was there (the head's, where the body is empty).
    pub first_byte_at: Instant,
    pub body_bytes: u64,
}

/// A connection and its reading buffer.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Connects, with Nagle's algorithm off and a reading buffer of `buffer_bytes` (at least 256).
    pub async fn open(address: SocketAddr, buffer_bytes: usize) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; buffer_bytes.max(256)],
            filled: 0,
        })
    }

    /// Sends a request and reads the answer to its end, dropping the body.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.exchange_keeping(request, &mut |_| {}).await
    }

    /// Sends a request and reads the answer to its end, handing the body to `keep`.
    pub async fn exchange_keeping(&mut self, request: &[u8], keep: &mut impl FnMut(&[u8])) -> Result<Answer> {
        let mut head = self.begin(request).await?;
        let mut body_bytes = 0;
        let mut first_byte_at = None;
        let mut progress = if head.framing.is_empty() {
            Progress::Done
        } else {
            Progress::More
        };
        while progress == Progress::More {
            if self.filled == 0 && self.fill().await? == 0 {
                match head.framing {
                    Framing::UntilClose => break,
                    Framing::Sized(_) | Framing::Chunked(_) => return Err(cut_short()),
                }
            }
            first_byte_at.get_or_insert_with(Instant::now);
            progress = head.framing.take(&self.buffer[..self.filled], &mut |data: &[u8]| {
                body_bytes += data.len() as u64;
                keep(data);
            })?;
            self.filled = 0;
        }
        Ok(Answer {
            status: head.status,
            reuse: head.reuse,
            first_byte_at: first_byte_at.unwrap_or_else(Instant::now),
            body_bytes,
        })
    }

    /// Sends a request and reads until the head and the first bytes of the body are there, then leaves the answer open.
    pub async fn open_answer(&mut self, request: &[u8]) -> Result<u16> {
        let head = self.begin(request).await?;
        if self.filled == 0 && !head.framing.is_empty() && self.fill().await? == 0 {
            return Err(cut_short());
        }
        Ok(head.status)
    }

    /// Sends a request and reads the head; what came of the body with it stays in the buffer.
    async fn begin(&mut self, request: &[u8]) -> Result<Head> {
        self.filled = 0;
        self.stream.write_all(request).await?;
        loop {
            if self.fill().await? == 0 {
                return Err(cut_short());
            }
            if let Some(head) = read_head(&self.buffer[..self.filled])? {
                self.buffer.copy_within(head.length_bytes..self.filled, 0);
                self.filled -= head.length_bytes;
                return Ok(head);
            }
            self.make_room()?;
        }
    }

    async fn fill(&mut self) -> Result<usize> {
        let count = self.stream.read(&mut self.buffer[self.filled..]).await?;
        self.filled += count;
        Ok(count)
    }

    fn make_room(&mut self) -> Result<()> {
        if self.filled < self.buffer.len() {
            return Ok(());
        }
        if self.buffer.len() >= HEAD_LIMIT_BYTES {
            return Err(Error::new(ErrorKind::InvalidData, "the head of the answer is too long"));
        }
        self.buffer.resize(self.buffer.len() * 2, 0);
        Ok(())
    }
}

fn cut_short() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "the connection ended inside an answer")
}
