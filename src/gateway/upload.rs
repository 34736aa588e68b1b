//! Bodies that are not held whole in memory: a form from the spool, with its model's name changed where it must be, and a
//! body of which nothing is read, passed on as the client sends it. A client that leaves, or that is silent for too long,
//! ends the call to the provider.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::web;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep, sleep_until};

use super::media::FormParts;
use super::spool::Spool;

/// What came with a call instead of a body in memory; clones are the same.
#[derive(Clone, Default)]
pub enum Upload {
    #[default]
    Nothing,
    Form(Form),
    /// Sent once; empty afterwards.
    Stream(Rc<Cell<Option<ClientBody>>>),
}

/// What is sent instead of a body in memory.
#[derive(Clone, Default)]
pub struct Parcel {
    upload: Upload,
    /// The provider's name of the model.
    model: Option<String>,
}

/// A body that came as a stream has been sent already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body has been sent already and cannot be sent again")]
pub struct Spent;

impl Parcel {
    pub fn new(upload: Upload, model: Option<String>) -> Self {
        Self { upload, model }
    }

    /// The body for one sending.
    pub fn body(&self) -> Result<Option<UploadBody>, Spent> {
        match &self.upload {
            Upload::Nothing => Ok(None),
            Upload::Form(form) => {
                let body = FormBody::new(form.clone(), self.model.as_deref());
                Ok(Some(UploadBody::Form(body)))
            }
            Upload::Stream(body) => body.take().map(|body| Some(UploadBody::Stream(body))).ok_or(Spent),
        }
    }
}

/// A whole form; clones are the same.
#[derive(Clone, Debug)]
pub struct Form {
    pub parts: Arc<FormParts>,
    pub spool: Arc<Spool>,
}

impl Form {
    pub fn new(parts: FormParts, spool: Spool) -> Self {
        Self {
            parts: Arc::new(parts),
            spool: Arc::new(spool),
        }
    }
}

/// A body on its way to a provider.
pub enum UploadBody {
    Form(FormBody),
    Stream(ClientBody),
}

impl Upload {
    /// A body that goes on as it comes.
    pub fn stream(body: ClientBody) -> Self {
        Self::Stream(Rc::new(Cell::new(Some(body))))
    }

    pub fn form(&self) -> Option<&Form> {
        match self {
            Self::Form(form) => Some(form),
            Self::Nothing | Self::Stream(_) => None,
        }
    }
}

/// A form as it is sent.
pub struct FormBody {
    spool: Arc<Spool>,
    /// What is still to be sent, the last of it first.
    rest: Vec<Piece>,
    size_bytes: u64,
}

enum Piece {
    Spooled(Range<u64>),
    Text(Bytes),
}

impl FormBody {
    fn new(form: Form, model: Option<&str>) -> Self {
        let end = form.spool.size_bytes();
        let named = form.parts.model().ok();
        let change = named.zip(model).filter(|((old, _), new)| old != new);
        let Some(((_, place), model)) = change else {
            return Self {
                spool: form.spool,
                rest: vec![Piece::Spooled(0..end)],
                size_bytes: end,
            };
        };
        let size_bytes = end - (place.end - place.start) + model.len() as u64;
        let rest = vec![
            Piece::Spooled(place.end..end),
            Piece::Text(Bytes::copy_from_slice(model.as_bytes())),
            Piece::Spooled(0..place.start),
        ];
        Self {
            spool: form.spool,
            rest,
            size_bytes,
        }
    }

    fn next_piece(&mut self) -> Option<std::io::Result<Bytes>> {
        loop {
            match self.rest.pop()? {
                Piece::Text(text) => return Some(Ok(text)),
                Piece::Spooled(range) if range.is_empty() => {}
                Piece::Spooled(range) => {
                    let piece = self.spool.piece(range.clone());
                    if let Ok(piece) = &piece {
                        self.rest
                            .push(Piece::Spooled(range.start + piece.len() as u64..range.end));
                    }
                    return Some(piece);
                }
            }
        }
    }
}

/// A client's body as it comes.
pub struct ClientBody {
    payload: web::Payload,
    length: Option<u64>,
    patience: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl ClientBody {
    /// `length` is what the client promised, where it did; `patience` how long it may be silent.
    pub fn new(payload: web::Payload, length: Option<u64>, patience: Duration) -> Self {
        Self {
            payload,
            length,
            patience,
            alarm: Box::pin(sleep_until(Instant::now() + patience)),
        }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        match self.payload.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(chunk))) => {
                self.alarm.as_mut().reset(Instant::now() + self.patience);
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(UploadError::Left))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self
                .alarm
                .as_mut()
                .poll(context)
                .map(|()| Some(Err(UploadError::Silent))),
        }
    }
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("the client left")]
    Left,
    #[error("the client was silent for too long")]
    Silent,
    #[error("the body could not be read back: {0}")]
    Spool(#[from] std::io::Error),
}

impl MessageBody for UploadBody {
    type Error = UploadError;

    fn size(&self) -> BodySize {
        match self {
            Self::Form(form) => BodySize::Sized(form.size_bytes),
            Self::Stream(body) => body.length.map_or(BodySize::Stream, BodySize::Sized),
        }
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match self.get_mut() {
            Self::Form(form) => Poll::Ready(form.next_piece().map(|piece| piece.map_err(UploadError::Spool))),
            Self::Stream(body) => body.poll_chunk(context),
        }
    }
}

/// What clients send never shows.
impl fmt::Debug for UploadBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UploadBody").finish_non_exhaustive()
    }
}
