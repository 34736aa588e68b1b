//! Bodies that are held back until their model is known: in memory while they are small, then in a file of the data
//! directory that has no name, so that nothing of it outlives the process. A body has a limit of its own, and all bodies
//! of the process together have another; what does not fit is refused. Reads and writes go to the page cache on the
//! worker's own thread, a piece at a time, as those of the journal do.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

/// Bodies up to this size stay in memory.
const MEMORY_BYTES: usize = 256 << 10;
/// What is read of a file at once.
const PIECE_BYTES: u64 = 64 << 10;

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("the body is larger than is taken")]
    TooLarge,
    #[error("other bodies fill the room for bodies")]
    NoRoom,
    #[error("the body cannot be kept: {0}")]
    Failed(#[from] io::Error),
}

/// The bytes that all bodies of the process may still take.
#[derive(Clone, Debug)]
pub struct SpoolRoom(Arc<AtomicU64>);

/// What one body took of the room; given back when it is dropped.
#[derive(Debug)]
struct Share {
    room: SpoolRoom,
    size_bytes: u64,
}

/// A body on its way in.
#[derive(Debug)]
pub struct SpoolWriter<'a> {
    directory: &'a Path,
    memory: BytesMut,
    file: Option<File>,
    limit_bytes: u64,
    share: Share,
}

/// A whole body.
#[derive(Debug)]
pub struct Spool {
    content: Content,
    share: Share,
}

#[derive(Debug)]
enum Content {
    Memory(Bytes),
    File(File),
}

impl SpoolRoom {
    pub fn new(total_bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(total_bytes)))
    }

    fn take(&self, size_bytes: u64) -> bool {
        let taken = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(size_bytes));
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.0.fetch_add(self.size_bytes, Ordering::AcqRel);
    }
}

impl<'a> SpoolWriter<'a> {
    pub fn new(room: &SpoolRoom, directory: &'a Path, limit_bytes: u64) -> Self {
        Self {
            directory,
            memory: BytesMut::new(),
            file: None,
            limit_bytes,
            share: Share {
                room: room.clone(),
                size_bytes: 0,
            },
        }
    }

    pub fn size_bytes(&self) -> u64 {
        self.share.size_bytes
    }

    /// Takes the next bytes.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), SpoolError> {
        let more = chunk.len() as u64;
        if self.share.size_bytes + more > self.limit_bytes {
            return Err(SpoolError::TooLarge);
        }
        if !self.share.room.take(more) {
            return Err(SpoolError::NoRoom);
        }
        self.share.size_bytes += more;
        self.memory.extend_from_slice(chunk);
        if self.memory.len() > MEMORY_BYTES || self.file.is_some() && self.memory.len() as u64 >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// The body, once its last byte is in.
    pub fn finish(mut self) -> Result<Spool, SpoolError> {
        if self.file.is_some() {
            self.flush()?;
        }
        let content = match self.file {
            Some(file) => Content::File(file),
            None => Content::Memory(self.memory.freeze()),
        };
        Ok(Spool {
            content,
            share: self.share,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(self.directory)?),
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }
}

impl Spool {
    pub fn size_bytes(&self) -> u64 {
        self.share.size_bytes
    }

    /// The first piece of a range, not empty unless the range is.
    pub fn piece(&self, range: Range<u64>) -> io::Result<Bytes> {
        let end = range.end.min(self.size_bytes());
        let start = range.start.min(end);
        match &self.content {
            Content::Memory(bytes) => {
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(place(start)..place(end)))
            }
            Content::File(file) => {
                let size = (end - start).min(PIECE_BYTES);
                let mut piece = BytesMut::zeroed(usize::try_from(size).unwrap_or(0));
                file.read_exact_at(&mut piece, start)?;
                Ok(piece.freeze())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(spool: &Spool) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < spool.size_bytes() {
            bytes.extend_from_slice(&spool.piece(bytes.len() as u64..spool.size_bytes()).unwrap());
        }
        bytes
    }

    #[test]
    fn gives_back_what_it_took_from_memory_or_from_a_file_without_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let room = SpoolRoom::new(10 << 20);
        for size in [0, 1, MEMORY_BYTES, MEMORY_BYTES + 1, 3 << 20] {
            let sent: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut writer = SpoolWriter::new(&room, directory.path(), 4 << 20);
            sent.chunks(10_007).for_each(|chunk| writer.push(chunk).unwrap());
            let spool = writer.finish().unwrap();
            assert_eq!(matches!(spool.content, Content::File(_)), size > MEMORY_BYTES);
            assert!(whole(&spool) == sent, "{size}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(room.0.load(Ordering::Acquire), 10 << 20);
    }

    #[test]
    fn refuses_what_is_too_large_and_what_finds_no_room() {
        let room = SpoolRoom::new(100);
        let mut first = SpoolWriter::new(&room, Path::new("/nowhere"), 80);
        first.push(&[0; 80]).unwrap();
        assert!(matches!(first.push(&[0; 1]), Err(SpoolError::TooLarge)));
        let mut second = SpoolWriter::new(&room, Path::new("/nowhere"), 80);
        assert!(matches!(second.push(&[0; 21]), Err(SpoolError::NoRoom)));
        drop(first);
        second.push(&[0; 80]).unwrap();
    }
}
