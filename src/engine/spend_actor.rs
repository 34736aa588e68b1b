//! One shard of the spend keys: owns their settings and live state, and answers reserve, extend, settle, release.
//! Waiting calls are served in order when room comes free. A panic here ends the process. A crash loses holds and token buckets, whose calls the
//! journal settles; a stop flushes nothing, because every settlement is in the journal before it is sent here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult};
use tokio::sync::oneshot;

use crate::domain::cycle::Cycle;
use crate::domain::ids::SpendKeyId;
use crate::domain::key::{KeySettings, KeyStatus};
use crate::domain::money::Money;
use crate::domain::room::Claim;
use crate::domain::spend::{Call, Denial, Hold, Now, SpendState, StoredCounters};

use super::clock::Clock;
use super::options::SpendKeyOptions;
use super::spend::{Granted, HoldGuard, KeySnapshot, ReserveError, Revocation};
use super::unwinding::EndsOnPanic;
use super::waiting::WaitingLine;

/// How many admissions may queue up before more are refused.
const MAILBOX: usize = 4096;
/// How often calls whose wait is over are told.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(25);

/// Asks for a hold.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reserve {
    pub key_id: SpendKeyId,
    pub call: Call,
    pub reply: oneshot::Sender<Result<Granted, ReserveError>>,
}

/// Asks for more room for a running call.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Extend {
    pub key_id: SpendKeyId,
    pub hold: Hold,
    pub claim: Claim,
    pub reply: oneshot::Sender<Result<Money, Denial>>,
}

/// Ends a hold with what the call cost.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Settle {
    pub key_id: SpendKeyId,
    pub hold: Hold,
    pub actual: Money,
}

/// Ends the hold of a call that never was.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Release {
    pub key_id: SpendKeyId,
    pub hold: Hold,
}

/// A new key.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Adopt {
    pub settings: Arc<KeySettings>,
    pub stored: StoredCounters,
}

/// New settings of a known key.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Apply {
    pub settings: Arc<KeySettings>,
}

/// The state of these keys.
#[derive(Message)]
#[rtype(result = "Vec<Option<KeySnapshot>>")]
pub struct Read {
    pub ids: Vec<SpendKeyId>,
}

/// What all keys of the shard that are not revoked have spent, ever.
#[derive(Message)]
#[rtype(result = "Money")]
pub struct TotalSpend;

struct Key {
    settings: Arc<KeySettings>,
    state: SpendState,
    waiting: WaitingLine<Reserve>,
    /// Made when the key is first used.
    revocation: Option<Arc<Revocation>>,
}

/// The actor.
pub struct SpendShard {
    keys: HashMap<SpendKeyId, Key>,
    /// Keys whose lines are not empty.
    waited_for: HashSet<SpendKeyId>,
    clock: Clock,
    options: SpendKeyOptions,
}

impl SpendShard {
    pub fn new(clock: Clock, options: SpendKeyOptions, keys: Vec<(Arc<KeySettings>, StoredCounters)>) -> Self {
        let mut shard = Self {
            keys: HashMap::with_capacity(keys.len()),
            waited_for: HashSet::new(),
            clock,
            options,
        };
        for (settings, stored) in keys {
            shard.adopt(settings, &stored);
        }
        shard
    }

    fn adopt(&mut self, settings: Arc<KeySettings>, stored: &StoredCounters) {
        let state = SpendState::load(stored, settings.timezone, self.clock.now());
        let key = Key {
            state,
            waiting: WaitingLine::default(),
            revocation: None,
            settings,
        };
        self.keys.insert(key.settings.id, key);
    }

    fn reserve(&mut self, message: Reserve, shard: &actix::Addr<Self>) {
        let _guard = EndsOnPanic;
        let now = self.clock.now();
        let Some(key) = self.keys.get_mut(&message.key_id) else {
            let denied = ReserveError::Denied {
                denial: Denial::Invalid,
                rate: None,
            };
            // A caller that has left needs no refusal.
            drop(message.reply.send(Err(denied)));
            return;
        };
        // Whoever comes while others wait goes behind them.
        let first = key.waiting.is_empty();
        let given_back = if first {
            key.serve(message, shard, &self.clock)
        } else {
            Err(message)
        };
        let Err(message) = given_back else { return };
        if self.options.hold_wait_ms == 0 {
            return key.refuse(message, now);
        }
        let deadline = Instant::now() + Duration::from_millis(self.options.hold_wait_ms);
        self.waited_for.insert(key.settings.id);
        if let Err(message) = key.waiting.join(message, deadline, self.options.hold_wait_slots) {
            key.refuse(message, now);
        }
    }

    fn extend(&mut self, message: Extend) {
        let _guard = EndsOnPanic;
        let now = self.clock.now();
        let Some(key) = self.keys.get_mut(&message.key_id) else {
            return;
        };
        let mut hold = message.hold;
        let answer = key.state.extend(&key.settings, &mut hold, message.claim, now);
        if let Err(Ok(amount)) = message.reply.send(answer) {
            key.state.shrink(hold, amount);
        }
    }

    /// Applies a change that may free room, and lets waiting calls have it.
    fn free(&mut self, key_id: SpendKeyId, shard: &actix::Addr<Self>, change: impl FnOnce(&mut Key)) {
        let _guard = EndsOnPanic;
        let Some(key) = self.keys.get_mut(&key_id) else { return };
        change(key);
        if !key.waiting.is_empty() {
            key.serve_waiting(shard, &self.clock);
            if key.waiting.is_empty() {
                self.waited_for.remove(&key_id);
            }
        }
    }

    fn expire(&mut self) {
        let _guard = EndsOnPanic;
        let (now, instant) = (self.clock.now(), Instant::now());
        let keys = &mut self.keys;
        self.waited_for.retain(|key_id| {
            let Some(key) = keys.get_mut(key_id) else { return false };
            for message in key.waiting.expire(instant) {
                key.refuse(message, now);
            }
            !key.waiting.is_empty()
        });
    }

    fn total_spend(&self) -> Money {
        let alive = self
            .keys
            .values()
            .filter(|key| key.settings.status != KeyStatus::Revoked);
        alive.fold(Money::ZERO, |sum, key| {
            sum.saturating_add(key.state.counter(Cycle::Total).spent)
        })
    }

    fn read(&mut self, ids: &[SpendKeyId]) -> Vec<Option<KeySnapshot>> {
        let _guard = EndsOnPanic;
        let now = self.clock.now();
        let read = |id: &SpendKeyId| {
            let key = self.keys.get_mut(id)?;
            key.state.advance(key.settings.timezone, now);
            Some(KeySnapshot {
                settings: key.settings.clone(),
                state: key.state.clone(),
            })
        };
        ids.iter().map(read).collect()
    }
}

impl Key {
    /// Answers the call, or gives it back where only calls in flight stand in its way.
    fn serve(&mut self, message: Reserve, shard: &actix::Addr<SpendShard>, clock: &Clock) -> Result<(), Reserve> {
        if message.reply.is_closed() {
            return Ok(());
        }
        let now = clock.now();
        let answer = match self.state.reserve(&self.settings, &message.call, now) {
            Ok(hold) => Ok(self.grant(hold, now, shard)),
            Err(Denial::Busy(_)) => return Err(message),
            Err(denial) => Err(ReserveError::Denied {
                denial,
                rate: self.state.rate_status(&self.settings, now),
            }),
        };
        // A grant that nobody takes releases itself when it is dropped.
        drop(message.reply.send(answer));
        Ok(())
    }

    fn grant(&mut self, hold: Hold, now: Now, shard: &actix::Addr<SpendShard>) -> Granted {
        Granted {
            guard: HoldGuard {
                key_id: self.settings.id,
                hold,
                shard: shard.clone(),
                ended: false,
            },
            admitted_at_ms: now.wall_ms,
            settings: self.settings.clone(),
            rate: self
                .settings
                .rate_limit
                .and_then(|_| self.state.rate_status(&self.settings, now)),
            revocation: self.revocation.get_or_insert_default().clone(),
        }
    }

    fn serve_waiting(&mut self, shard: &actix::Addr<SpendShard>, clock: &Clock) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.offer(|message| self.serve(message, shard, clock));
        self.waiting = waiting;
    }

    /// Tells a call that waited in vain, or could not wait, what stands in its way.
    fn refuse(&mut self, message: Reserve, now: Now) {
        let rate = self.state.rate_status(&self.settings, now);
        let answer = match self.state.reserve(&self.settings, &message.call, now) {
            Err(denial) => Err(ReserveError::Denied { denial, rate }),
            Ok(hold) => {
                // Room came free, but the line moves in order: this call is not the one that has waited longest.
                self.state.release(&self.settings, hold);
                Err(ReserveError::Denied {
                    denial: self.state.busy(&self.settings, message.call.claim),
                    rate,
                })
            }
        };
        drop(message.reply.send(answer));
    }
}

impl Actor for SpendShard {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        context.run_interval(EXPIRY_INTERVAL, |shard, _| shard.expire());
    }
}

impl Handler<Reserve> for SpendShard {
    type Result = ();

    fn handle(&mut self, message: Reserve, context: &mut Self::Context) {
        self.reserve(message, &context.address());
    }
}

impl Handler<Extend> for SpendShard {
    type Result = ();

    fn handle(&mut self, message: Extend, _: &mut Self::Context) {
        self.extend(message);
    }
}

impl Handler<Settle> for SpendShard {
    type Result = ();

    fn handle(&mut self, message: Settle, context: &mut Self::Context) {
        self.free(message.key_id, &context.address(), |key| {
            key.state.settle(message.hold, message.actual)
        });
    }
}

impl Handler<Release> for SpendShard {
    type Result = ();

    fn handle(&mut self, message: Release, context: &mut Self::Context) {
        self.free(message.key_id, &context.address(), |key| {
            key.state.release(&key.settings, message.hold)
        });
    }
}

impl Handler<Adopt> for SpendShard {
    type Result = ();

    fn handle(&mut self, message: Adopt, _: &mut Self::Context) {
        self.adopt(message.settings, &message.stored);
    }
}

impl Handler<Apply> for SpendShard {
    type Result = ();

    fn handle(&mut self, message: Apply, context: &mut Self::Context) {
        let revoked = message.settings.status == KeyStatus::Revoked;
        self.free(message.settings.id, &context.address(), |key| {
            key.settings = message.settings;
            if let Some(revocation) = key.revocation.as_ref().filter(|_| revoked) {
                revocation.announce();
            }
        });
    }
}

impl Handler<Read> for SpendShard {
    type Result = MessageResult<Read>;

    fn handle(&mut self, message: Read, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.read(&message.ids))
    }
}

impl Handler<TotalSpend> for SpendShard {
    type Result = MessageResult<TotalSpend>;

    fn handle(&mut self, _: TotalSpend, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.total_spend())
    }
}
