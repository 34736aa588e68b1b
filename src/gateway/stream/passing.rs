//! What of one chunk goes on to the client: the frames that were neither hidden nor held back.

use bytes::{Bytes, BytesMut};

/// Frames that go on together; a single one is not copied.
#[derive(Default)]
pub(super) struct Passing {
    first: Option<Bytes>,
    more: BytesMut,
}

impl Passing {
    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        match &self.first {
            None => self.first = Some(bytes),
            Some(first) => {
                if self.more.is_empty() {
                    self.more.extend_from_slice(first);
                }
                self.more.extend_from_slice(&bytes);
            }
        }
    }

    pub(super) fn into_bytes(self) -> Option<Bytes> {
        if self.more.is_empty() {
            self.first
        } else {
            Some(self.more.freeze())
        }
    }
}
