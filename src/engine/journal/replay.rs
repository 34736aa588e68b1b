//! What a start finds of the last run: every record that Postgres may lack, in batches, calls that were open settled by
//! estimate. A torn end of a lane's last segment is cut; damage anywhere else stops the start, because a guess would be
//! wrong. Writing the same batches twice is safe, so a start that fails half-way begins anew.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::ids::RequestId;
use crate::domain::request::{Metered, OpenRequest};
use crate::engine::ports::{Batch, BatchSink, LaneMark, SinkError};

use super::JournalDirectory;
use super::record::{Decoded, Record, decode};
use super::segment::{HEADER, list, read_header};

/// Records in one transaction.
const BATCH_ROWS: usize = 2000;

/// Why a journal cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(
        "the journal segment {path} is damaged at byte {offset}; it is not the last of its lane, so nothing is guessed"
    )]
    Damaged { path: PathBuf, offset: u64 },
    #[error("the journal could not be read: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What was found and done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    pub settled: usize,
    pub movements: usize,
    /// Calls that the crash left open.
    pub estimated: usize,
    /// The highest number ever used, by lane.
    pub last_sequences: Vec<u64>,
}

/// Writes what the journal holds above the `marks` of Postgres to the sink, then deletes the segments.
/// `now_ms` is when calls that were left open are said to have ended.
pub fn replay(
    directory: &JournalDirectory,
    sink: &mut dyn BatchSink,
    marks: &[LaneMark],
    now_ms: i64,
) -> Result<Replayed, ReplayError> {
    let files = list(directory.path())?;
    let mut run = Run::new(sink, marks);
    let last_of_lane = last_files(&files)?;
    for (serial, path) in &files {
        run.read_file(path, last_of_lane.values().any(|last| last == serial))?;
    }
    run.settle_open(now_ms)?;
    run.flush()?;
    for (_, path) in &files {
        fs::remove_file(path)?;
    }
    Ok(run.replayed)
}

fn last_files(files: &[(u64, PathBuf)]) -> io::Result<BTreeMap<u32, u64>> {
    let mut last = BTreeMap::new();
    for (serial, path) in files {
        if let Some(header) = read_header(&read_start(path)?) {
            last.insert(header.lane, *serial);
        }
    }
    Ok(last)
}

fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::with_capacity(HEADER as usize);
    fs::File::open(path)?.take(HEADER).read_to_end(&mut bytes)?;
    Ok(bytes)
}

struct Run<'a> {
    sink: &'a mut dyn BatchSink,
    marks: HashMap<u32, u64>,
    open: HashMap<RequestId, (OpenRequest, u64)>,
    batch: Batch,
    highest: BTreeMap<u32, u64>,
    replayed: Replayed,
}

impl<'a> Run<'a> {
    fn new(sink: &'a mut dyn BatchSink, marks: &[LaneMark]) -> Self {
        let marks: HashMap<u32, u64> = marks
            .iter()
            .map(|mark| (mark.lane as u32, mark.sequence.max(0) as u64))
            .collect();
        let mut run = Self {
            sink,
            highest: BTreeMap::new(),
            open: HashMap::new(),
            batch: Batch::default(),
            replayed: Replayed::default(),
            marks,
        };
        for (lane, sequence) in run.marks.clone() {
            run.reach(lane, sequence);
        }
        run
    }

    fn read_file(&mut self, path: &Path, is_last: bool) -> Result<(), ReplayError> {
        let bytes = fs::read(path)?;
        // A file without a sound head was prepared and never taken.
        let Some(header) = read_header(&bytes) else {
            return Ok(());
        };
        let mut at = HEADER as usize;
        loop {
            match bytes.get(at..).map_or(Decoded::End, decode) {
                Decoded::Record {
                    sequence,
                    record,
                    length,
                } => {
                    self.take(header.lane, sequence, *record)?;
                    at += length;
                }
                Decoded::End => return Ok(()),
                Decoded::Damaged if is_last => {
                    tracing::warn!(
                        offset = at,
                        "the last journal segment of a lane ends in a torn record, which is cut"
                    );
                    return Ok(());
                }
                Decoded::Damaged => {
                    return Err(ReplayError::Damaged {
                        path: path.to_owned(),
                        offset: at as u64,
                    });
                }
            }
        }
    }

    fn take(&mut self, lane: u32, sequence: u64, record: Record) -> Result<(), ReplayError> {
        self.reach(lane, sequence);
        let known = self.marks.get(&lane).is_some_and(|mark| sequence <= *mark);
        match record {
            Record::Open(request) => {
                self.open.insert(request.id, (request, 0));
            }
            Record::Progress { id, output_tokens } => {
                if let Some((_, tokens)) = self.open.get_mut(&id) {
                    *tokens = output_tokens;
                }
            }
            Record::Settle(settlement) => {
                if let Some((request, _)) = self.open.remove(&settlement.id).filter(|_| !known) {
                    self.batch.settled.push((request, settlement));
                    self.replayed.settled += 1;
                }
            }
            Record::Movement(_) | Record::Turn(_) if known => {}
            Record::Movement(movement) => {
                self.batch.movements.push(movement);
                self.replayed.movements += 1;
            }
            Record::Turn(turn) => {
                self.replayed.movements += turn.entries.len();
                self.batch.turns.push(turn);
            }
        }
        if self.batch.len() >= BATCH_ROWS {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn settle_open(&mut self, now_ms: i64) -> Result<(), ReplayError> {
        for (_, (request, output_tokens)) in std::mem::take(&mut self.open) {
            // Who reported it has no answer yet, and reports it again.
            if request.metered.as_ref().is_some_and(Metered::is_report) {
                continue;
            }
            let settlement = request.crash_settlement(output_tokens, now_ms);
            self.batch.settled.push((request, settlement));
            self.replayed.estimated += 1;
            if self.batch.len() >= BATCH_ROWS {
                self.flush()?;
            }
        }
        // Every settlement is in the database now, so the marks may move over all of it.
        let mark = |(lane, sequence): (&u32, &u64)| LaneMark {
            lane: *lane as i32,
            sequence: *sequence as i64,
        };
        self.batch.marks = self.highest.iter().map(mark).collect();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ReplayError> {
        if !self.batch.is_empty() {
            self.sink.write(&self.batch)?;
            self.batch = Batch::default();
        }
        Ok(())
    }

    fn reach(&mut self, lane: u32, sequence: u64) {
        let place = lane as usize;
        if self.replayed.last_sequences.len() <= place {
            self.replayed.last_sequences.resize(place + 1, 0);
        }
        let last = &mut self.replayed.last_sequences[place];
        *last = sequence.max(*last);
        self.highest.insert(lane, *last);
    }
}
