//! The calls in flight of all workers, for the management API: each question goes to every worker as a message, and what
//! they say is put together. Nothing runs here between two questions. It fails closed: where a worker is gone, the
//! answer is that the server is stopping, and never a part of the truth.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::domain::ids::RequestId;
use crate::engine::clock::Clock;
use crate::engine::spend::Stopped;

use super::live_call::{CallView, EndedCall};
use super::roster::{CallsOf, Figures, Roster};

/// What a worker is asked.
enum Question {
    Newest {
        of: CallsOf,
        before: Option<RequestId>,
        most: usize,
        reply: oneshot::Sender<(Vec<CallView>, usize)>,
    },
    Find {
        of: CallsOf,
        id: RequestId,
        reply: oneshot::Sender<Option<CallView>>,
    },
    End {
        of: CallsOf,
        id: RequestId,
        reply: oneshot::Sender<EndedCall>,
    },
    Figures {
        of: CallsOf,
        reply: oneshot::Sender<Figures>,
    },
}

/// The newest calls in flight, and how many there are.
pub struct NewestCalls {
    pub calls: Vec<CallView>,
    /// In all, on whatever page.
    pub count: usize,
}

/// All workers' calls. Clones are the same.
#[derive(Clone, Default)]
pub struct LiveCalls {
    workers: Arc<Mutex<Vec<mpsc::UnboundedSender<Question>>>>,
}

impl LiveCalls {
    /// Has a worker answer; to be called once on its own thread.
    pub(super) fn enrol(&self, roster: Rc<Roster>, clock: Clock) {
        let (sender, mut questions) = mpsc::unbounded_channel();
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        actix_rt::spawn(async move {
            while let Some(question) = questions.recv().await {
                answer(&roster, question, &clock);
            }
        });
    }

    /// The newest, at most so many, older than `before`.
    pub async fn newest(&self, of: CallsOf, before: Option<RequestId>, most: usize) -> Result<NewestCalls, Stopped> {
        let said = self.ask(|reply| Question::Newest {
            of,
            before,
            most,
            reply,
        });
        let mut newest = NewestCalls {
            calls: Vec::new(),
            count: 0,
        };
        for said in said {
            let (calls, count) = said.await.map_err(|_| Stopped)?;
            newest.calls.extend(calls);
            newest.count += count;
        }
        newest
            .calls
            .sort_unstable_by_key(|call| std::cmp::Reverse(call.facts.admitted.id));
        newest.calls.truncate(most);
        Ok(newest)
    }

    /// One call; `None` where it does not run, or is another's.
    pub async fn find(&self, of: CallsOf, id: RequestId) -> Result<Option<CallView>, Stopped> {
        for said in self.ask(|reply| Question::Find { of, id, reply }) {
            if let Some(call) = said.await.map_err(|_| Stopped)? {
                return Ok(Some(call));
            }
        }
        Ok(None)
    }

    /// Has a call end and waits until it is settled; `None` where it does not run, or is another's. Whoever stops
    /// waiting changes nothing of it.
    pub async fn end(&self, of: CallsOf, id: RequestId) -> Option<EndedCall> {
        let asked = self.ask(|reply| Question::End { of, id, reply });
        // Each worker but the call's own drops the question.
        let mut ended = None;
        for said in asked {
            ended = said.await.ok().or(ended);
        }
        ended
    }

    /// What these calls come to. Ended calls are counted from the first question on, for as long as questions come.
    pub async fn figures(&self, of: CallsOf) -> Result<Figures, Stopped> {
        let mut sum = Figures::default();
        for said in self.ask(|reply| Question::Figures { of, reply }) {
            let figures = said.await.map_err(|_| Stopped)?;
            sum.in_flight += figures.in_flight;
            sum.held = sum.held.saturating_add(figures.held);
            sum.ended_count += figures.ended_count;
            sum.ended_cost = sum.ended_cost.saturating_add(figures.ended_cost);
        }
        Ok(sum)
    }

    /// Asks every worker at once; an answer of one that is gone is an error.
    fn ask<T>(&self, question: impl Fn(oneshot::Sender<T>) -> Question) -> Vec<oneshot::Receiver<T>> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = |worker: &mpsc::UnboundedSender<Question>| {
            let (reply, answer) = oneshot::channel();
            // Where the worker is gone the reply is dropped with the question.
            drop(worker.send(question(reply)));
            answer
        };
        workers.iter().map(ask).collect()
    }
}

/// Whoever asked may have left.
fn answer(roster: &Roster, question: Question, clock: &Clock) {
    match question {
        Question::Newest {
            of,
            before,
            most,
            reply,
        } => drop(reply.send(roster.newest(of, before, most))),
        Question::Find { of, id, reply } => drop(reply.send(roster.find(of, id))),
        Question::End { of, id, reply } => roster.end(of, id, reply),
        Question::Figures { of, reply } => drop(reply.send(roster.figures(of, clock.wall_ms()))),
    }
}
