//! When a provider is left alone: the state machine of one circuit, pure on the instants that it is given. It opens after
//! failures in a row, or when too many of the last calls failed; then it refuses, and after a while lets one call through
//! to see. Whoever is admitted gets the number of the state that admitted him; a report from an earlier one is not heard,
//! so that calls which hung through an outage say nothing about what came after it.

/// How many of the last calls are looked at for their share of failures.
const SAMPLE: u32 = 20;

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Failures in a row.
    pub failures: u32,
    /// The share of failures among the last calls, once there are enough of them.
    pub percent: u32,
    /// After so long without a word the past is forgotten.
    pub window_us: u64,
    pub open_us: u64,
    /// Each failed probe doubles the time, up to this.
    pub longest_open_us: u64,
}

/// How a call went, as far as the provider is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Failed,
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    Opened,
    Closed,
}

/// What is known of the last calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    failures_in_a_row: u32,
    /// The last calls, the latest in the lowest bit; set where one failed.
    outcomes: u32,
    count: u32,
    heard_at_us: u64,
}

impl Tally {
    fn add(&mut self, verdict: Verdict, terms: &Terms, now_us: u64) {
        if now_us.saturating_sub(self.heard_at_us) > terms.window_us {
            *self = Self::default();
        }
        self.heard_at_us = now_us;
        self.count = SAMPLE.min(self.count + 1);
        self.outcomes = (self.outcomes << 1) & ((1 << SAMPLE) - 1);
        match verdict {
            Verdict::Good => self.failures_in_a_row = 0,
            Verdict::Failed => {
                self.failures_in_a_row += 1;
                self.outcomes |= 1;
            }
        }
        if self.outcomes == 0 {
            *self = Self::default();
        }
    }

    fn is_too_much(&self, terms: &Terms) -> bool {
        let failed = self.outcomes.count_ones();
        self.failures_in_a_row >= terms.failures || (self.count == SAMPLE && failed * 100 >= terms.percent * SAMPLE)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed(Tally),
    Open {
        until_us: u64,
        length_us: u64,
    },
    /// One call is on its way to see; another one goes when that takes too long.
    Probing {
        until_us: u64,
        length_us: u64,
    },
}

/// What a circuit shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Closed { failures_in_a_row: u32 },
    Open { until_us: u64 },
    HalfOpen,
}

/// One circuit.
#[derive(Clone, Debug)]
pub struct Machine {
    terms: Terms,
    phase: Phase,
    /// The number of the current state.
    epoch: u64,
}

impl Machine {
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            phase: Phase::Closed(Tally::default()),
            epoch: 0,
        }
    }

    /// From the next report on.
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// Whether nothing bad is remembered: then good news need not be told.
    pub fn is_clean(&self) -> bool {
        self.phase == Phase::Closed(Tally::default())
    }

    /// The number that the call reports under, or in how many microseconds to ask again.
    pub fn admit(&mut self, now_us: u64) -> Result<u64, u64> {
        match self.phase {
            Phase::Closed(_) => Ok(self.epoch),
            Phase::Open { until_us, length_us } | Phase::Probing { until_us, length_us } => {
                if now_us < until_us {
                    return Err(until_us - now_us);
                }
                let until_us = now_us.saturating_add(length_us);
                self.enter(Phase::Probing { until_us, length_us });
                Ok(self.epoch)
            }
        }
    }

    /// Takes a report; `noise` spreads the instants at which several servers ask again.
    pub fn report(&mut self, epoch: u64, verdict: Verdict, now_us: u64, noise: u32) -> Change {
        if epoch != self.epoch {
            return Change::Nothing;
        }
        match (&mut self.phase, verdict) {
            (Phase::Closed(tally), _) => {
                tally.add(verdict, &self.terms, now_us);
                if verdict == Verdict::Good || !tally.is_too_much(&self.terms) {
                    return Change::Nothing;
                }
                self.open(self.terms.open_us, now_us, noise)
            }
            (Phase::Probing { .. }, Verdict::Good) => {
                self.enter(Phase::Closed(Tally::default()));
                Change::Closed
            }
            (Phase::Probing { length_us, .. }, Verdict::Failed) => {
                let length_us = length_us.saturating_mul(2).min(self.terms.longest_open_us);
                self.open(length_us, now_us, noise)
            }
            (Phase::Open { .. }, Verdict::Good | Verdict::Failed) => Change::Nothing,
        }
    }

    /// A call that was admitted was never sent: where it was to see, the next one may.
    pub fn abandon(&mut self, epoch: u64) {
        if let Phase::Probing { until_us, .. } = &mut self.phase
            && epoch == self.epoch
        {
            *until_us = 0;
        }
    }

    pub fn condition(&self) -> Condition {
        match self.phase {
            Phase::Closed(tally) => Condition::Closed {
                failures_in_a_row: tally.failures_in_a_row,
            },
            Phase::Open { until_us, .. } => Condition::Open { until_us },
            Phase::Probing { .. } => Condition::HalfOpen,
        }
    }

    /// Between four and six fifths of the time.
    fn open(&mut self, length_us: u64, now_us: u64, noise: u32) -> Change {
        let fifth_us = length_us / 5;
        let spread_us = (u128::from(2 * fifth_us) * u128::from(noise)) >> u32::BITS;
        let spread_us = u64::try_from(spread_us).expect("it is below two fifths");
        let until_us = now_us.saturating_add(length_us - fifth_us + spread_us);
        self.enter(Phase::Open { until_us, length_us });
        Change::Opened
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests;
