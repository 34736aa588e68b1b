//! The calls that run on one worker. A call enters once and leaves once; whoever wants to know of them asks through
//! `live_calls`, and only then is anything looked at. It fails open: a call that is not on it runs all the same.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

use tokio::sync::oneshot;

use crate::domain::ids::{MerchantId, RequestId, SpendKeyId, WalletId};
use crate::domain::money::Money;
use crate::domain::request::OpenRequest;

use super::live_call::{CallView, EndedCall, LiveCall};

/// For how long the ended calls of a merchant are counted after somebody last asked for them.
const TALLY_LEASE_MS: i64 = 5_000;

/// Whose calls are meant; `None` for all of the merchant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallsOf {
    pub merchant_id: MerchantId,
    pub wallet_id: Option<WalletId>,
    pub spend_key_id: Option<SpendKeyId>,
}

impl CallsOf {
    fn has(&self, admitted: &OpenRequest) -> bool {
        admitted.merchant_id == self.merchant_id
            && self.wallet_id.is_none_or(|wallet| admitted.wallet_id == wallet)
            && self.spend_key_id.is_none_or(|key| admitted.spend_key_id == Some(key))
    }
}

/// What the calls of a merchant come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub in_flight: u64,
    pub held: Money,
    /// Calls that ended, and what they cost, since somebody began to ask.
    pub ended_count: u64,
    pub ended_cost: Money,
}

/// The calls of one worker.
#[derive(Default)]
pub struct Roster {
    calls: RefCell<Vec<Rc<LiveCall>>>,
    tallies: RefCell<Vec<Tally>>,
}

/// What calls came to while somebody watched.
struct Tally {
    of: CallsOf,
    asked_at_ms: i64,
    count: u64,
    cost: Money,
}

/// A call's place on the roster, which it leaves when this is dropped.
pub(super) struct Listed {
    call: Rc<LiveCall>,
    roster: Rc<Roster>,
}

impl Listed {
    pub(super) fn call(&self) -> Rc<LiveCall> {
        self.call.clone()
    }

    /// Tells those who asked for its end, and those who watch, how the call ended.
    pub(super) fn ended(&self, ended: EndedCall, now_ms: i64) {
        self.roster.count(&self.call.facts.admitted, ended.cost, now_ms);
        self.call.tell(ended);
    }
}

impl Deref for Listed {
    type Target = LiveCall;

    fn deref(&self) -> &LiveCall {
        &self.call
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut calls = self.roster.calls.borrow_mut();
        let place = self.call.place.get();
        calls.swap_remove(place);
        if let Some(moved) = calls.get(place) {
            moved.place.set(place);
        }
    }
}

impl Roster {
    pub(super) fn enter(self: &Rc<Self>, call: LiveCall) -> Listed {
        let call = Rc::new(call);
        let mut calls = self.calls.borrow_mut();
        call.place.set(calls.len());
        calls.push(call.clone());
        Listed {
            call,
            roster: self.clone(),
        }
    }

    /// The newest of these calls, at most so many, older than `before`; and how many there are in all.
    pub(super) fn newest(&self, of: CallsOf, before: Option<RequestId>, most: usize) -> (Vec<CallView>, usize) {
        let calls = self.calls.borrow();
        let mut meant: Vec<&Rc<LiveCall>> = calls.iter().filter(|call| of.has(&call.facts.admitted)).collect();
        let count = meant.len();
        let id = |call: &&Rc<LiveCall>| call.facts.admitted.id;
        meant.retain(|call| before.is_none_or(|before| id(call) < before));
        meant.sort_unstable_by_key(|call| std::cmp::Reverse(id(call)));
        (meant.into_iter().take(most).map(|call| call.view()).collect(), count)
    }

    pub(super) fn find(&self, of: CallsOf, id: RequestId) -> Option<CallView> {
        self.live(of, id).map(|call| call.view())
    }

    /// Has a call end, and its end told; the sender is dropped where there is no such call.
    pub(super) fn end(&self, of: CallsOf, id: RequestId, reply: oneshot::Sender<EndedCall>) {
        if let Some(call) = self.live(of, id) {
            call.ask_to_end(reply);
        }
    }

    /// What these calls come to; from the first question on, those that end are counted.
    pub(super) fn figures(&self, of: CallsOf, now_ms: i64) -> Figures {
        let mut tallies = self.tallies.borrow_mut();
        let place = tallies.iter().position(|tally| tally.of == of).unwrap_or_else(|| {
            tallies.push(Tally {
                of,
                asked_at_ms: now_ms,
                count: 0,
                cost: Money::ZERO,
            });
            tallies.len() - 1
        });
        let tally = &mut tallies[place];
        tally.asked_at_ms = now_ms;
        let mut figures = Figures {
            ended_count: tally.count,
            ended_cost: tally.cost,
            ..Figures::default()
        };
        for call in self.calls.borrow().iter().filter(|call| of.has(&call.facts.admitted)) {
            figures.in_flight += 1;
            figures.held = figures.held.saturating_add(call.held().unwrap_or_default());
        }
        figures
    }

    /// Costs one look at an empty list where nobody watches.
    fn count(&self, admitted: &OpenRequest, cost: Money, now_ms: i64) {
        let mut tallies = self.tallies.borrow_mut();
        if tallies.is_empty() {
            return;
        }
        tallies.retain(|tally| now_ms.saturating_sub(tally.asked_at_ms) < TALLY_LEASE_MS);
        for tally in tallies.iter_mut().filter(|tally| tally.of.has(admitted)) {
            tally.count += 1;
            tally.cost = tally.cost.saturating_add(cost);
        }
    }

    fn live(&self, of: CallsOf, id: RequestId) -> Option<Rc<LiveCall>> {
        let calls = self.calls.borrow();
        let meant = |call: &&Rc<LiveCall>| call.facts.admitted.id == id && of.has(&call.facts.admitted);
        calls.iter().find(meant).cloned()
    }
}

#[cfg(test)]
mod tests;
