//! Tool calls of a stream of chat completions, told one after the other. The call that began first is told as it comes;
//! what comes of others before it is whole waits, within a limit. More of a call that is over is an error, because it
//! would stand in the wrong one.

use super::answer::call_id;
use crate::gateway::translate::inner::{Event, PartKind};
use crate::gateway::translate::stream::unreadable;

/// The most that waits of calls whose turn has not come (bytes, and calls).
const WAITING_LIMIT_BYTES: usize = 1 << 20;
const WAITING_LIMIT: usize = 1_024;

/// A piece of a call, as a chunk tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    pub(super) index: u64,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

/// What a piece belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    index: u64,
    id: Option<String>,
}

impl Mark {
    /// Some hosts give every call the same index; then a new id tells a new one.
    fn fits(&self, piece: &Piece) -> bool {
        self.index == piece.index && (piece.id.is_none() || piece.id == self.id)
    }
}

#[derive(Debug)]
struct Call {
    mark: Mark,
    /// What the client is told.
    id: String,
    name: String,
    /// What came while others were told.
    arguments: String,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Option<(Mark, Extent)>,
    waiting: Vec<Call>,
    waiting_bytes: usize,
    over: Vec<Mark>,
    count: usize,
}

impl Calls {
    /// A call is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes a piece; a call that begins here is told at once where no other is open.
    pub(super) fn push(&mut self, piece: Piece, answer_id: &str, events: &mut Vec<Event>) {
        let arguments = piece.arguments.as_deref().unwrap_or_default();
        if let Some((mark, extent)) = &mut self.open
            && mark.fits(&piece)
        {
            if !arguments.is_empty() {
                extent.follow(arguments);
                events.push(Event::Arguments(arguments.to_owned()));
            }
        } else if let Some(call) = self.waiting.iter_mut().rev().find(|call| call.mark.fits(&piece)) {
            self.waiting_bytes += arguments.len();
            call.arguments.push_str(arguments);
        } else if self.over.iter().any(|mark| mark.fits(&piece)) {
            if !arguments.is_empty() {
                events.push(unreadable());
            }
            return;
        } else {
            self.begin(piece, answer_id);
        }
        if self.waiting_bytes > WAITING_LIMIT_BYTES || self.waiting.len() + self.over.len() > WAITING_LIMIT {
            return events.push(unreadable());
        }
        self.advance(events);
    }

    /// Nothing more can come of any call: those that wait are told, and the last is closed.
    pub(super) fn close(&mut self, events: &mut Vec<Event>) {
        while self.open.is_some() || !self.waiting.is_empty() {
            self.end_open(events);
            self.tell_next(events);
        }
    }

    fn begin(&mut self, piece: Piece, answer_id: &str) {
        let arguments = piece.arguments.unwrap_or_default();
        let mark = Mark {
            index: piece.index,
            id: piece.id.clone(),
        };
        let call = Call {
            id: piece.id.unwrap_or_else(|| call_id(answer_id, self.count)),
            mark,
            name: piece.name.unwrap_or_default(),
            arguments,
        };
        self.count += 1;
        self.waiting_bytes += call.arguments.len() + call.id.len() + call.name.len();
        self.waiting.push(call);
    }

    /// Goes on to the calls that wait as long as the open one is whole.
    fn advance(&mut self, events: &mut Vec<Event>) {
        while !self.waiting.is_empty() {
            match &self.open {
                Some((_, extent)) if !extent.is_whole() => return,
                Some(_) => self.end_open(events),
                None => {}
            }
            self.tell_next(events);
        }
    }

    fn end_open(&mut self, events: &mut Vec<Event>) {
        if let Some((mark, _)) = self.open.take() {
            events.push(Event::PartEnd);
            self.over.push(mark);
        }
    }

    fn tell_next(&mut self, events: &mut Vec<Event>) {
        if self.waiting.is_empty() {
            return;
        }
        let call = self.waiting.remove(0);
        self.waiting_bytes -= call.arguments.len() + call.id.len() + call.name.len();
        let mut extent = Extent::default();
        extent.follow(&call.arguments);
        events.push(Event::PartBegin(PartKind::ToolCall {
            id: call.id,
            name: call.name,
            signature: None,
        }));
        if !call.arguments.is_empty() {
            events.push(Event::Arguments(call.arguments));
        }
        self.open = Some((call.mark, extent));
    }
}

/// How far the JSON object of a call's arguments has come, without keeping it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Extent {
    depth: usize,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Extent {
    fn follow(&mut self, text: &str) {
        for byte in text.bytes() {
            match (self.in_string, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (false, b'{' | b'[') => {
                    self.begun = true;
                    self.depth += 1;
                }
                (false, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
                (true | false, _) => {}
            }
        }
    }

    const fn is_whole(self) -> bool {
        self.begun && self.depth == 0
    }
}
