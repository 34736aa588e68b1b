//! One file of one lane: preallocated, written in place, fsynced in groups, deleted when Postgres has all of it. It
//! carries how far it was written and how far it is on the disk, for those who read behind the writer. The lane writes
//! through a [`Window`] of it, straight into the page cache, where a killed process leaves what it wrote.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{FallocateFlags, fallocate};

/// `magic 8 | version u32 | lane u32 | first sequence u64 | crc32c u32`, padded.
pub const HEADER: u64 = 64;
/// How much of a segment is mapped at once: little of it counts as the process's memory. A multiple of every page size.
const WINDOW_BYTES: u64 = 1 << 20;
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
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&path)?;
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

    /// Appends at the end; only the lane that owns the segment calls this, with the window that it keeps for it.
    pub fn append(&self, window: &mut Option<Window>, mut bytes: &[u8]) -> io::Result<()> {
        let mut at = self.written.load(Ordering::Relaxed);
        while !bytes.is_empty() {
            let open = match window.take().filter(|window| window.room_at(at) > 0) {
                Some(open) => open,
                None => self.map(at)?,
            };
            let open = window.insert(open);
            let (now, later) = bytes.split_at(bytes.len().min(open.room_at(at)));
            open.write(at, now);
            at += now.len() as u64;
            bytes = later;
        }
        self.written.store(at, Ordering::Release);
        Ok(())
    }

    /// The window around an offset; `StorageFull` beyond the end.
    fn map(&self, at: u64) -> io::Result<Window> {
        let start = at - at % WINDOW_BYTES;
        let length = WINDOW_BYTES.min(self.size.saturating_sub(start));
        if at >= self.size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut options = MmapOptions::new();
        options.offset(start).len(length as usize);
        Ok(Window {
            map: map_shared(&options, &self.file)?,
            start,
        })
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

/// A part of a segment in memory. A disk that fails under it ends the process, as a failed write does.
pub struct Window {
    map: MmapMut,
    start: u64,
}

impl Window {
    /// Bytes that can be written at this offset of the file.
    fn room_at(&self, at: u64) -> usize {
        let within = at
            .checked_sub(self.start)
            .and_then(|within| usize::try_from(within).ok());
        within.map_or(0, |within| self.map.len().saturating_sub(within))
    }

    /// Writes where [`Window::room_at`] has room.
    fn write(&mut self, at: u64, bytes: &[u8]) {
        let within = (at - self.start) as usize;
        self.map[within..within + bytes.len()].copy_from_slice(bytes);
    }
}

#[allow(unsafe_code)]
fn map_shared(options: &MmapOptions, file: &File) -> io::Result<MmapMut> {
    // SAFETY: the file is in a directory that this process has locked, its space is allocated, and nobody truncates it;
    // the bytes of a window are only ever written, by the one lane that owns the segment.
    unsafe { options.map_mut(file) }
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
