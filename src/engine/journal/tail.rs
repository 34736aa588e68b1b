//! Reads behind the writers, up to what is on the disk: joins each settlement with its opening, gathers batches, and
//! deletes a segment once Postgres has all that it says. It keeps in memory only the calls that are open.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::domain::ids::RequestId;
use crate::domain::request::OpenRequest;
use crate::engine::ports::{Batch, LaneMark};

use super::record::{Decoded, Record, decode};
use super::segment::{HEADER, SharedSegment};
use super::shared::{LaneShared, Space};

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// The reader of all lanes.
pub struct Tail {
    lanes: Vec<LaneTail>,
    space: Arc<Space>,
    open: HashMap<RequestId, Opened>,
    /// Segments whose open calls are settled by the batch that is being written.
    settled_in: Vec<(usize, u64)>,
}

struct Opened {
    request: OpenRequest,
    lane: usize,
    segment: u64,
}

struct LaneTail {
    shared: Arc<LaneShared>,
    segments: Vec<Reading>,
    /// Number of the first of `segments`.
    first: u64,
    sequence: u64,
    committed: u64,
}

struct Reading {
    segment: SharedSegment,
    offset: u64,
    open_calls: u64,
    last_sequence: u64,
}

impl Tail {
    pub(super) fn new(lanes: Vec<Arc<LaneShared>>, space: Arc<Space>) -> Self {
        let tail = |shared: Arc<LaneShared>| {
            let committed = shared.committed();
            LaneTail {
                shared,
                segments: Vec::new(),
                first: 0,
                sequence: committed,
                committed,
            }
        };
        Self {
            lanes: lanes.into_iter().map(tail).collect(),
            space,
            open: HashMap::new(),
            settled_in: Vec::new(),
        }
    }

    /// The next records, about `most` of them; an empty batch where there is nothing new.
    pub fn next_batch(&mut self, most: usize) -> io::Result<Batch> {
        let mut batch = Batch::default();
        for place in 0..self.lanes.len() {
            self.read_lane(place, most, &mut batch)?;
            let lane = &self.lanes[place];
            if lane.sequence > lane.committed {
                let (lane_number, sequence) = (lane.shared.lane() as i32, lane.sequence as i64);
                batch.marks.push(LaneMark {
                    lane: lane_number,
                    sequence,
                });
            }
        }
        Ok(batch)
    }

    /// The batch is in Postgres: forgets it, and deletes the segments that nothing needs any more.
    pub fn commit(&mut self) -> io::Result<()> {
        for (place, number) in self.settled_in.drain(..) {
            let lane = &mut self.lanes[place];
            if let Some(reading) = number
                .checked_sub(lane.first)
                .and_then(|index| lane.segments.get_mut(index as usize))
            {
                reading.open_calls -= 1;
            }
        }
        for lane in &mut self.lanes {
            lane.committed = lane.sequence;
            lane.shared.announce_commit(lane.committed);
            lane.delete_finished(&self.space)?;
        }
        Ok(())
    }

    /// Calls that have been read as open and not as settled.
    pub fn open_calls(&self) -> usize {
        self.open.len()
    }

    fn read_lane(&mut self, place: usize, most: usize, batch: &mut Batch) -> io::Result<()> {
        self.lanes[place].take_new_segments();
        for index in 0..self.lanes[place].segments.len() {
            while batch.len() < most {
                let records = self.lanes[place].segments[index].read()?;
                if records.is_empty() {
                    break;
                }
                for (sequence, record) in records {
                    self.lanes[place].sequence = sequence;
                    self.take(place, index, *record, batch);
                }
            }
            // The next one may have reached the disk since this one was looked at; its records come after.
            if !self.lanes[place].segments[index].is_read_out() {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, place: usize, index: usize, record: Record, batch: &mut Batch) {
        let lane = &mut self.lanes[place];
        match record {
            Record::Open(request) => {
                lane.segments[index].open_calls += 1;
                let segment = lane.first + index as u64;
                self.open.insert(
                    request.id,
                    Opened {
                        request,
                        lane: place,
                        segment,
                    },
                );
            }
            Record::Settle(settlement) => match self.open.remove(&settlement.id) {
                Some(opened) => {
                    self.settled_in.push((opened.lane, opened.segment));
                    batch.settled.push((opened.request, settlement));
                }
                None => tracing::error!(request.id = %settlement.id, "a settlement without an opening is left out"),
            },
            Record::Movement(movement) => batch.movements.push(movement),
            Record::Turn(turn) => batch.turns.push(turn),
            // Only a replay needs to know how far a stream had come.
            Record::Progress { .. } => {}
        }
    }
}

impl LaneTail {
    fn take_new_segments(&mut self) {
        let known = self.segments.len();
        for segment in self.shared.segments().into_iter().skip(known) {
            self.segments.push(Reading {
                segment,
                offset: HEADER,
                open_calls: 0,
                last_sequence: 0,
            });
        }
    }

    fn delete_finished(&mut self, space: &Space) -> io::Result<()> {
        while let Some(oldest) = self
            .segments
            .first()
            .filter(|oldest| oldest.is_finished(self.committed))
        {
            space.give_back(&oldest.segment)?;
            self.shared.drop_oldest();
            self.segments.remove(0);
            self.first += 1;
        }
        Ok(())
    }
}

impl Reading {
    /// The whole records between the offset and what is on the disk, one chunk of them.
    fn read(&mut self) -> io::Result<Vec<(u64, Box<Record>)>> {
        let mut records = Vec::new();
        let mut size = CHUNK;
        loop {
            let available = self.segment.durable().saturating_sub(self.offset);
            let length = size.min(usize::try_from(available).unwrap_or(usize::MAX));
            let mut bytes = vec![0; length];
            self.segment.read_at(self.offset, &mut bytes)?;
            let mut at = 0;
            while let Decoded::Record {
                sequence,
                record,
                length,
            } = decode(&bytes[at..])
            {
                records.push((sequence, record));
                self.last_sequence = sequence;
                at += length;
            }
            self.offset += at as u64;
            if !records.is_empty() || (length as u64) == available {
                return self.checked(records, available);
            }
            // One record is longer than the chunk.
            size *= 4;
        }
    }

    fn checked(&self, records: Vec<(u64, Box<Record>)>, available: u64) -> io::Result<Vec<(u64, Box<Record>)>> {
        if records.is_empty() && available > 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the journal cannot be read back where it was written",
            ));
        }
        Ok(records)
    }

    /// Whether nothing more comes from here.
    fn is_read_out(&self) -> bool {
        self.segment.is_sealed() && self.offset == self.segment.written()
    }

    fn is_finished(&self, committed: u64) -> bool {
        self.is_read_out() && self.open_calls == 0 && self.last_sequence <= committed
    }
}
