//! How far a call has come on its way from target to target: which attempts were recorded, and which one the client is
//! told of. It decides nothing; `serve` and the fallbacks keep it.

use crate::domain::ids::RequestId;
use crate::domain::spend::Attempt;

use super::call::{Incoming, Refusal, Refused, Served, TargetAnswer};
use super::pump::FirstFrame;
use super::worker::Place;

/// The course of one call.
#[derive(Debug)]
pub(super) struct Course {
    /// The attempt that the client is told of.
    current: RequestId,
    first: Option<RequestId>,
    attempts: u32,
    first_frame: FirstFrame,
}

impl Course {
    pub(super) fn new(incoming: &Incoming<'_>) -> Self {
        Self {
            current: incoming.id,
            first: None,
            attempts: 0,
            first_frame: FirstFrame::Passed,
        }
    }

    /// The next attempt has this id. Where others are left behind it, its answer is looked at before it is passed on.
    pub(super) fn enter(&mut self, id: RequestId, first_frame: FirstFrame) {
        self.current = id;
        self.first_frame = first_frame;
    }

    /// The client is told of this attempt.
    pub(super) fn tell_of(&mut self, id: RequestId) {
        self.current = id;
    }

    /// An attempt has been recorded.
    pub(super) fn opened(&mut self, id: RequestId) {
        self.first.get_or_insert(id);
        self.attempts += 1;
    }

    /// The first attempt that was recorded: later ones are attempts of its call.
    pub(super) fn first(&self) -> Option<RequestId> {
        self.first
    }

    /// How many attempts have been recorded.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How the key counts the attempt that is next: a call that was never recorded has not been counted.
    pub(super) fn attempt(&self) -> Attempt {
        match self.first {
            None => Attempt::First,
            Some(_) => Attempt::Later,
        }
    }

    pub(super) fn first_frame(&self) -> FirstFrame {
        self.first_frame
    }

    pub(super) fn served(&self, answer: TargetAnswer, place: Place) -> Served {
        Served {
            answer,
            request_id: self.current,
            attempts: self.attempts,
            place,
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) -> Refused {
        Refused {
            refusal,
            request_id: self.current,
            attempts: self.attempts,
        }
    }
}
