//! One call in flight as its worker keeps it: who made it, how far it has come, and the way to end it. The call notes
//! here what it counts for itself anyway; all else is worked out when somebody asks. It decides nothing but that a call
//! whose owner wants its end is told so, at its next wait or its next chunk, whichever comes first.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;

use crate::domain::key::KeySettings;
use crate::domain::money::Money;
use crate::domain::request::{OpenRequest, UsageSource};
use crate::engine::spend::Revocation;

use super::dialect::Speech;
use super::open_call::Pricing;
use super::provider::EndpointKind;

/// How far a call has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nothing of the answer has been passed on.
    #[default]
    Waiting,
    Answering,
}

/// Whether the provider's price is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priced {
    Yes,
    No,
}

impl Priced {
    pub(super) fn of(pricing: &Pricing) -> Self {
        if pricing.price.is_some() { Self::Yes } else { Self::No }
    }
}

/// What is known of a call from its admission on.
#[derive(Clone)]
pub struct Facts {
    pub admitted: OpenRequest,
    /// As of the admission.
    pub key: Option<Arc<KeySettings>>,
    pub speech: Speech,
    pub endpoint: EndpointKind,
    /// From 1: how often the call has been sent to a provider, this time with it.
    pub attempt: u32,
    pub priced: Priced,
}

/// One call in flight as it is at this moment.
#[derive(Clone)]
pub struct CallView {
    pub facts: Facts,
    pub stage: Stage,
    /// Counted so far.
    pub output_tokens: u64,
    /// Of an answer that passes unread, such as a sound.
    pub output_bytes: u64,
    /// `None` where nobody must cover it.
    pub held: Option<Money>,
    /// What it is thought to cost so far; `None` without a price.
    pub cost: Option<Money>,
}

/// How a call ended, for those who asked for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedCall {
    pub by: EndedBy,
    pub cost: Money,
    pub output_tokens: u64,
    pub usage_source: UsageSource,
}

/// Who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Whoever asked for it, or asked for the end of its key.
    Owner,
    /// It came to its own end first.
    Itself,
}

/// One call in flight, on its worker's thread.
pub struct LiveCall {
    pub(super) facts: Facts,
    /// Of its key, where it streams.
    pub(super) revocation: Option<Arc<Revocation>>,
    /// Where it stands on its worker's roster.
    pub(super) place: Cell<usize>,
    stage: Cell<Stage>,
    served_tokens: Cell<u64>,
    served_bytes: Cell<u64>,
    held: Cell<Option<Money>>,
    is_to_end: Cell<bool>,
    was_cut: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    asked_by: RefCell<Vec<oneshot::Sender<EndedCall>>>,
}

/// The owner of the call wants it to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToEnd;

impl LiveCall {
    pub(super) fn new(facts: Facts, revocation: Option<Arc<Revocation>>) -> Self {
        Self {
            facts,
            revocation,
            place: Cell::default(),
            stage: Cell::default(),
            served_tokens: Cell::default(),
            served_bytes: Cell::default(),
            held: Cell::default(),
            is_to_end: Cell::default(),
            was_cut: Cell::default(),
            waker: RefCell::default(),
            asked_by: RefCell::default(),
        }
    }

    pub(super) fn served_tokens(&self) -> u64 {
        self.served_tokens.get()
    }

    pub(super) fn note_tokens(&self, tokens: u64) {
        self.served_tokens.set(tokens);
    }

    pub(super) fn note_bytes(&self, bytes: u64) {
        self.served_bytes.set(bytes);
    }

    /// `None` where nobody must cover it.
    pub(super) fn held(&self) -> Option<Money> {
        self.held.get()
    }

    pub(super) fn note_held(&self, held: Option<Money>) {
        self.held.set(held);
    }

    /// The answer begins to pass.
    pub(super) fn begin_answer(&self) {
        self.stage.set(Stage::Answering);
    }

    /// Whether it is to end: its key was revoked, or somebody asked. It changes nothing.
    pub(super) fn is_to_end(&self) -> bool {
        self.is_to_end.get() || self.revocation.as_ref().is_some_and(|key| key.is_revoked())
    }

    /// As [`Self::is_to_end`]; whoever is told so ends the call.
    pub(super) fn must_end(&self) -> bool {
        let must = self.is_to_end();
        if must {
            self.was_cut.set(true);
        }
        must
    }

    /// Whether somebody asked for its end; the task is woken when that is done later.
    pub(super) fn poll_end(&self, context: &Context<'_>) -> bool {
        if self.is_to_end.get() {
            self.was_cut.set(true);
            return true;
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        false
    }

    /// Waits for the work, or drops it half way where the call is to end.
    pub(super) async fn unless_ended<T>(&self, work: impl Future<Output = T>) -> Result<T, ToEnd> {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending if self.poll_end(context) => Poll::Ready(Err(ToEnd)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Has it end; the sender is told how.
    pub(super) fn ask_to_end(&self, reply: oneshot::Sender<EndedCall>) {
        self.asked_by.borrow_mut().push(reply);
        self.is_to_end.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Tells those who asked for its end how it ended.
    pub(super) fn tell(&self, ended: EndedCall) {
        let by = if self.was_cut.get() { EndedBy::Owner } else { ended.by };
        for reply in self.asked_by.take() {
            // Who asked may have left.
            let _gone = reply.send(EndedCall { by, ..ended });
        }
    }

    /// The call as it is now.
    pub(super) fn view(&self) -> CallView {
        let output_tokens = self.served_tokens.get();
        let cost = match self.facts.priced {
            Priced::Yes => Some(self.facts.admitted.cost_so_far(output_tokens)),
            Priced::No => None,
        };
        CallView {
            facts: self.facts.clone(),
            stage: self.stage.get(),
            output_tokens,
            output_bytes: self.served_bytes.get(),
            held: self.held.get(),
            cost,
        }
    }
}
