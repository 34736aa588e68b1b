//! One file of one lane: preallocated, written in place, fsynced in groups, deleted when Postgres has all of it. It
//! carries how far it was written and how far it is on the disk, for those who read behind the writer.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};

/// `magic 8 | version u32 | lane u32 | first sequence u64 | crc32c u32`, padded.
pub const HEADER: u64 = 64;
const MAGIC: &[u8; 8] = b"CALDERAJ";
const VERSION: u32 = 1;

/// A segment that somebody may still write.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    file: File,
    size: u64,
    written: AtomicU64,
    durable: AtomicU64,
    sealed: AtomicBool,
}

/// What the head of a segment file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub lane: u32,
    pub first_sequence: u64,
}

impl Segment {
    /// Preallocates a file that no lane has taken yet; `serial` makes its name unique.
    pub fn prepare(directory: &Path, serial: u64, size: u64) -> io::Result<Self> {
        let path = directory.join(format!("{serial:020}.journal"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        if let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, size) {
            drop(fs::remove_file(&path));
            return Err(error.into());
        }
        let (written, durable) = (AtomicU64::new(HEADER), AtomicU64::new(0));
        Ok(Self {
            path,
            file,
            size,
            written,
            durable,
            sealed: AtomicBool::new(false),
        })
    }

    /// Writes the head: from now on it belongs to a lane.
    pub fn begin(&self, header: Header) -> io::Result<()> {
        let mut bytes = [0; HEADER as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&header.lane.to_le_bytes());
        bytes[16..24].copy_from_slice(&header.first_sequence.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..24]);
        bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
        self.file.write_all_at(&bytes, 0)
    }

    /// Appends at the end; only the lane that owns the segment calls this.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let at = self.written.load(Ordering::Relaxed);
        self.file.write_all_at(bytes, at)?;
        self.written.store(at + bytes.len() as u64, Ordering::Release);
        Ok(())
    }

    /// Bytes that can still be appended.
    pub fn free(&self) -> u64 {
        self.size.saturating_sub(self.written.load(Ordering::Relaxed))
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Nothing will be appended any more.
    pub fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    pub fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Brings what was written to the disk; whether there was anything to bring.
    pub fn sync(&self) -> io::Result<bool> {
        let written = self.written();
        if written == self.durable() {
            return Ok(false);
        }
        self.file.sync_data()?;
        self.durable.store(written, Ordering::Release);
        Ok(true)
    }

    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Deletes the file; readers that hold the segment may go on reading.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Reads the head of a file's bytes; `None` where it was prepared but never taken, or is no segment.
pub fn read_header(bytes: &[u8]) -> Option<Header> {
    let head = bytes.get(..28)?;
    let word = |at: usize| head[at..at + 4].try_into().map(u32::from_le_bytes).ok();
    let sound = &head[..8] == MAGIC && word(8)? == VERSION && word(24)? == crc32c::crc32c(&head[..24]);
    let first_sequence = u64::from_le_bytes(head[16..24].try_into().ok()?);
    sound.then_some(Header {
        lane: word(12)?,
        first_sequence,
    })
}

/// All segment files of a directory, oldest first.
pub fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let serial = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".journal"));
        if let Some(serial) = serial.and_then(|serial| serial.parse().ok()) {
            found.push((serial, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Shared between the lane that writes and those that read behind it.
pub type SharedSegment = Arc<Segment>;
