//! One worker's place in the journal: it appends to its own segment on its own thread. Space for the settlement of
//! every open call is set aside before the call is admitted, so admission stops first and a settlement never fails for
//! space. A failed write ends the process: what the journal does not have must not be answered.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::domain::ids::RequestId;
use crate::domain::request::{Movement, OpenRequest, Settlement, Turn};

use super::record::{self, LONGEST_SETTLEMENT, PROGRESS_LENGTH};
use super::segment::{HEADER, Header, SharedSegment, Window};
use super::shared::{LaneShared, Space};
use super::{JournalFull, Written};

/// A worker's lane; clones are the same lane, and all live on the worker's thread.
#[derive(Clone)]
pub struct Lane {
    writer: Rc<RefCell<Writer>>,
    shared: Arc<LaneShared>,
}

struct Writer {
    shared: Arc<LaneShared>,
    space: Arc<Space>,
    segment: SharedSegment,
    /// The part of the segment that is being written.
    window: Option<Window>,
    next_sequence: u64,
    open_calls: u64,
    buffer: Vec<u8>,
}

impl Lane {
    pub(super) fn new(shared: Arc<LaneShared>, space: Arc<Space>, next_sequence: u64) -> io::Result<Self> {
        let segment = take_segment(&shared, &space, next_sequence)?;
        let buffer = Vec::with_capacity(1024);
        let writer = Writer {
            shared: shared.clone(),
            space,
            segment,
            window: None,
            next_sequence,
            open_calls: 0,
            buffer,
        };
        Ok(Self {
            writer: Rc::new(RefCell::new(writer)),
            shared,
        })
    }

    /// Records an admitted call before its first byte goes out, and sets space aside for its settlement.
    pub fn write_open(&self, open: &OpenRequest) -> Result<(), JournalFull> {
        let mut writer = self.writer.borrow_mut();
        if writer.space.is_short() {
            return Err(JournalFull);
        }
        writer.buffer.clear();
        let sequence = writer.next_sequence;
        record::encode_open(sequence, open, &mut writer.buffer);
        writer.append(LONGEST_SETTLEMENT)?;
        writer.open_calls += 1;
        Ok(())
    }

    /// Records how far a stream has come; left out where it would take space that settlements need.
    pub fn write_progress(&self, id: RequestId, output_tokens: u64) {
        let mut writer = self.writer.borrow_mut();
        if writer.segment.free() < writer.set_aside() + PROGRESS_LENGTH {
            return;
        }
        writer.buffer.clear();
        let sequence = writer.next_sequence;
        record::encode_progress(sequence, id, output_tokens, &mut writer.buffer);
        writer.write();
    }

    /// Records how a call ended, in the space that was set aside for it.
    pub fn write_settle(&self, settlement: &Settlement) -> Written {
        let mut writer = self.writer.borrow_mut();
        writer.open_calls = writer.open_calls.saturating_sub(1);
        writer.buffer.clear();
        let sequence = writer.next_sequence;
        record::encode_settle(sequence, settlement, &mut writer.buffer);
        writer.write();
        self.written(sequence)
    }

    /// Records the movement of a balance.
    pub fn write_movement(&self, movement: &Movement) -> Result<Written, JournalFull> {
        let mut writer = self.writer.borrow_mut();
        writer.buffer.clear();
        let sequence = writer.next_sequence;
        record::encode_movement(sequence, movement, &mut writer.buffer);
        writer.append(0)?;
        Ok(self.written(sequence))
    }

    /// Records the turn of a customer's subscription.
    pub fn write_turn(&self, turn: &Turn) -> Result<Written, JournalFull> {
        let mut writer = self.writer.borrow_mut();
        writer.buffer.clear();
        let sequence = writer.next_sequence;
        record::encode_turn(sequence, turn, &mut writer.buffer);
        writer.append(0)?;
        Ok(self.written(sequence))
    }

    /// Calls that were opened here and have not ended.
    pub fn open_calls(&self) -> u64 {
        self.writer.borrow().open_calls
    }

    fn written(&self, sequence: u64) -> Written {
        Written {
            shared: self.shared.clone(),
            sequence,
        }
    }
}

impl Writer {
    fn set_aside(&self) -> u64 {
        self.open_calls * LONGEST_SETTLEMENT
    }

    /// Writes the buffer, in a new segment where this one is too full for it, what is set aside and `more` besides.
    fn append(&mut self, more: u64) -> Result<(), JournalFull> {
        let needed = self.buffer.len() as u64 + self.set_aside() + more;
        if self.segment.free() < needed {
            if self.segment.size() - HEADER < needed {
                return Err(JournalFull);
            }
            let next = take_segment(&self.shared, &self.space, self.next_sequence).map_err(|error| {
                tracing::error!(error = %error, "the journal has no space for a new segment; new calls are refused");
                JournalFull
            })?;
            self.segment.seal();
            (self.segment, self.window) = (next, None);
        }
        self.write();
        Ok(())
    }

    fn write(&mut self) {
        if let Err(error) = self.segment.append(&mut self.window, &self.buffer) {
            super::fail("the journal could not be written", &error);
        }
        self.shared.announce_write(self.next_sequence);
        self.next_sequence += 1;
    }
}

fn take_segment(shared: &LaneShared, space: &Space, first_sequence: u64) -> io::Result<SharedSegment> {
    let segment = space.take()?;
    segment.begin(Header {
        lane: shared.lane(),
        first_sequence,
    })?;
    shared.push(segment.clone());
    Ok(segment)
}
