//! The hold machine of one spend key: windows of spend and requests, the token bucket, and the holds of calls in flight.
//! It decides and counts; the shard that owns it carries the messages. A limit is held because nothing is admitted
//! that settled spend, holds and the call's own bound together do not leave room for.

use chrono_tz::Tz;

pub use super::call::{Admission, Attempt, Call, Denial, Hold, Now, SpendShortage};
use super::cycle::{Cycle, Window};
use super::key::{Enforcement, KeySettings, KeyStatus};
use super::money::Money;
use super::rate::{Bucket, RateStatus};
use super::room::{Claim, Fit, Room};

/// What one window has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    pub window: Window,
    /// Settled only.
    pub spent: Money,
    pub held: Money,
    /// Admitted.
    pub requests: u64,
}

impl Counter {
    const fn empty(window: Window) -> Self {
        Self {
            window,
            spent: Money::ZERO,
            held: Money::ZERO,
            requests: 0,
        }
    }

    const fn shortage(&self, cycle: Cycle, limit: Money, claim: Claim) -> SpendShortage {
        SpendShortage {
            limit,
            cycle,
            spent: self.spent,
            held: self.held,
            needed: claim.minimum,
            resets_at: self.window.end,
        }
    }

    /// Begins a new window where this one has ended, and returns the one that ended.
    fn advance(&mut self, cycle: Cycle, now: i64, zone: Tz) -> Option<Self> {
        self.window.end.filter(|end| now >= *end)?;
        let next = Self::empty(self.window.advance(cycle, now, zone));
        Some(std::mem::replace(self, next))
    }
}

/// What was stored of a key's counters when it was loaded: the start of each window, what it spent, how many requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredCounters {
    /// In the order of [`Cycle::ALL`]: unix seconds, nano-dollars, requests.
    pub windows: [(i64, Money, u64); 4],
    pub last_used_ms: Option<i64>,
}

/// Everything that changes while a key is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendState {
    /// In the order of [`Cycle::ALL`].
    counters: [Counter; 4],
    /// Windows that ended while calls admitted in them were running: their limits hold until the last one ends.
    ended: Vec<(Cycle, Counter)>,
    bucket: Bucket,
    open_calls: u32,
    pub last_used_ms: Option<i64>,
}

impl SpendState {
    /// The state at `now` of a key with these stored counters; windows that have ended start anew.
    pub fn load(stored: &StoredCounters, zone: Tz, now: Now) -> Self {
        let counter = |place: usize| {
            let window = Window::containing(Cycle::ALL[place], now.wall_s(), zone);
            let (start, spent, requests) = stored.windows[place];
            // A stored start later than the zone's own is a window that a change of zone shortened.
            if start < window.start {
                return Counter::empty(window);
            }
            Counter {
                window: Window { start, end: window.end },
                spent,
                held: Money::ZERO,
                requests,
            }
        };
        Self {
            counters: std::array::from_fn(counter),
            ended: Vec::new(),
            bucket: Bucket::default(),
            open_calls: 0,
            last_used_ms: stored.last_used_ms,
        }
    }

    /// Admits the call and sets its money aside, or says why not. Nothing is counted for a call that is refused.
    pub fn reserve(&mut self, settings: &KeySettings, call: &Call, now: Now) -> Result<Hold, Denial> {
        self.advance(settings.timezone, now);
        permit(settings, call, now)?;
        let blocks = settings.enforcement != Enforcement::Observe;
        if blocks {
            self.check_pace(settings, call.attempt, now)?;
        }
        let amount = self.fit(settings, self.admission(), call.claim)?;
        let hold = Hold {
            amount,
            admission: self.admission(),
            attempt: call.attempt,
        };
        self.admit(settings, hold, now);
        Ok(hold)
    }

    /// Enlarges a running call's hold by what the claim asks for; `Err` where there is no room.
    pub fn extend(&mut self, settings: &KeySettings, hold: &mut Hold, claim: Claim, now: Now) -> Result<Money, Denial> {
        self.advance(settings.timezone, now);
        let amount = self.fit(settings, hold.admission, claim)?;
        self.for_admission(hold.admission, |counter| {
            counter.held = counter.held.saturating_add(amount)
        });
        hold.amount = hold.amount.saturating_add(amount);
        Ok(amount)
    }

    /// Ends a hold and books what the call cost.
    pub fn settle(&mut self, hold: Hold, actual: Money) {
        self.for_admission(hold.admission, |counter| {
            counter.spent = counter.spent.saturating_add(actual)
        });
        self.end_call(hold);
    }

    /// Ends the hold of a call that was not admitted after all, as if it had never been.
    pub fn release(&mut self, settings: &KeySettings, hold: Hold) {
        if hold.attempt == Attempt::First {
            self.for_admission(hold.admission, |counter| {
                counter.requests = counter.requests.saturating_sub(1)
            });
            if let Some(limit) = settings.rate_limit {
                self.bucket.give_back(limit);
            }
        }
        self.end_call(hold);
    }

    /// Takes back an extension that nobody received.
    pub fn shrink(&mut self, hold: Hold, amount: Money) {
        self.for_admission(hold.admission, |counter| {
            counter.held = counter.held.saturating_sub(amount).or_zero()
        });
    }

    /// The refusal of a call that others are ahead of.
    pub fn busy(&self, settings: &KeySettings, claim: Claim) -> Denial {
        let cycle = settings.spend_limit.map_or(Cycle::Total, |limit| limit.cycle);
        let limit = settings.spend_limit.map_or(Money::MAX, |limit| limit.amount);
        Denial::Busy(self.counter(cycle).shortage(cycle, limit, claim))
    }

    /// The counter of a cycle, as of the last decision or [`SpendState::advance`].
    pub fn counter(&self, cycle: Cycle) -> &Counter {
        &self.counters[cycle as usize]
    }

    pub fn rate_status(&self, settings: &KeySettings, now: Now) -> Option<RateStatus> {
        settings
            .rate_limit
            .map(|limit| self.bucket.status(limit, now.monotonic_us))
    }

    pub const fn open_calls(&self) -> u32 {
        self.open_calls
    }

    /// Begins new windows where the old ones have ended.
    pub fn advance(&mut self, zone: Tz, now: Now) {
        for (counter, cycle) in self.counters.iter_mut().zip(Cycle::ALL) {
            let ended = counter.advance(cycle, now.wall_s(), zone);
            self.ended.extend(
                ended
                    .filter(|ended| ended.held > Money::ZERO)
                    .map(|ended| (cycle, ended)),
            );
        }
    }

    fn admission(&self) -> Admission {
        Admission {
            day_start: self.counter(Cycle::Daily).window.start,
            week_start: self.counter(Cycle::Weekly).window.start,
            month_start: self.counter(Cycle::Monthly).window.start,
        }
    }

    fn check_pace(&self, settings: &KeySettings, attempt: Attempt, now: Now) -> Result<(), Denial> {
        let counts = attempt == Attempt::First;
        if let Some(status) = self.rate_status(settings, now).filter(|_| counts)
            && status.remaining == 0
        {
            return Err(Denial::RateLimited(status));
        }
        if let Some(limit) = settings.max_parallel
            && self.open_calls >= limit
        {
            return Err(Denial::TooManyParallel { limit });
        }
        if !counts {
            return Ok(());
        }
        if let Some(limit) = settings.request_limit {
            let counter = self.counter(limit.cycle);
            if counter.requests >= limit.count {
                return Err(Denial::RequestLimit {
                    limit: limit.count,
                    cycle: limit.cycle,
                    resets_at: counter.window.end,
                });
            }
        }
        Ok(())
    }

    fn fit(&self, settings: &KeySettings, admission: Admission, claim: Claim) -> Result<Money, Denial> {
        let Some(limit) = settings.spend_limit else {
            return Ok(claim.wanted);
        };
        let counter = self.counter_of(limit.cycle, admission);
        let unspent = limit.amount.saturating_sub(counter.spent);
        let fit = match settings.enforcement {
            Enforcement::Observe => Fit::Granted(claim.wanted),
            Enforcement::Soft if unspent > Money::ZERO => Fit::Granted(claim.wanted),
            Enforcement::Soft => Fit::Never,
            Enforcement::Adaptive | Enforcement::Strict => Room {
                unspent,
                held: counter.held,
            }
            .fit(claim),
        };
        match fit {
            Fit::Granted(amount) => Ok(amount),
            Fit::Busy => Err(Denial::Busy(counter.shortage(limit.cycle, limit.amount, claim))),
            Fit::Never => Err(Denial::SpendLimit(counter.shortage(limit.cycle, limit.amount, claim))),
        }
    }

    fn admit(&mut self, settings: &KeySettings, hold: Hold, now: Now) {
        let requests = match hold.attempt {
            Attempt::First => 1,
            Attempt::Later => 0,
        };
        for counter in &mut self.counters {
            counter.held = counter.held.saturating_add(hold.amount);
            counter.requests = counter.requests.saturating_add(requests);
        }
        if let Some(limit) = settings.rate_limit.filter(|_| requests > 0) {
            self.bucket.take(limit, now.monotonic_us);
        }
        self.open_calls = self.open_calls.saturating_add(1);
        self.last_used_ms = Some(now.wall_ms);
    }

    fn end_call(&mut self, hold: Hold) {
        self.open_calls = self.open_calls.saturating_sub(1);
        self.for_admission(hold.admission, |counter| {
            counter.held = counter.held.saturating_sub(hold.amount).or_zero()
        });
        self.ended.retain(|(_, counter)| counter.held > Money::ZERO);
    }

    /// The counter of the window that a call was admitted in; the current one where that has been forgotten.
    fn counter_of(&self, cycle: Cycle, admission: Admission) -> &Counter {
        let start = admission.start(cycle);
        let ended = self
            .ended
            .iter()
            .find(|(kind, counter)| *kind == cycle && counter.window.start == start);
        ended.map_or(self.counter(cycle), |(_, counter)| counter)
    }

    /// Changes the counters of the windows that a call was admitted in.
    fn for_admission(&mut self, admission: Admission, mut change: impl FnMut(&mut Counter)) {
        let current = self.counters.iter_mut().zip(Cycle::ALL);
        let ended = self.ended.iter_mut().map(|(cycle, counter)| (counter, *cycle));
        for (counter, cycle) in current.chain(ended) {
            if counter.window.start == admission.start(cycle) {
                change(counter);
            }
        }
    }
}

/// What does not depend on counters.
fn permit(settings: &KeySettings, call: &Call, now: Now) -> Result<(), Denial> {
    if call.secret_version != settings.secret_version {
        return Err(Denial::Invalid);
    }
    match settings.status {
        KeyStatus::Active => {}
        KeyStatus::Paused => return Err(Denial::Paused),
        KeyStatus::Revoked => return Err(Denial::Invalid),
    }
    if settings.expires_at_ms.is_some_and(|at| now.wall_ms >= at) {
        return Err(Denial::Expired);
    }
    if !settings.allows_ip(call.address) {
        return Err(Denial::IpNotAllowed);
    }
    if call.shape.is_some_and(|shape| shape != settings.request_shape) {
        return Err(Denial::ShapeMismatch {
            expected: settings.request_shape,
        });
    }
    if !settings.allows_provider(&call.provider) {
        return Err(Denial::ProviderNotAllowed);
    }
    let model = call.model.as_deref();
    // A call that names no model cannot be shown to be one of the list.
    if settings.allowed_models.is_some() && !model.is_some_and(|model| settings.allows_model(model)) {
        return Err(Denial::ModelNotAllowed);
    }
    Ok(())
}

#[cfg(test)]
#[path = "spend_tests.rs"]
mod tests;
