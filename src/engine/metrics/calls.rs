//! What is counted of every call to a provider, by provider, model and operation, under the names of OpenTelemetry's
//! conventions for generative AI. Each worker has series of its own, so that a call touches no memory of another
//! worker's, takes no lock and allocates nothing once its series is known; a scrape adds the workers up. The number of
//! series is bounded: models beyond the bound are counted together as `other`.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::histogram::{Bounds, Histogram};
use super::{Counter, Payer};
use crate::domain::money::Money;
use crate::domain::usage::Usage;

/// Microseconds, by the conventions.
pub const DURATION_BOUNDS: Bounds = &[
    10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 5_120_000, 10_240_000, 20_480_000,
    40_960_000, 81_920_000,
];
/// Tokens, by the conventions.
pub const TOKEN_BOUNDS: Bounds = &[
    1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864,
];

/// How many models of providers are told apart, and how many of them may be names that the price book does not know:
/// those come from callers, who could make up any number of them.
pub const MODEL_LIMIT: usize = 256;
pub const UNKNOWN_MODEL_LIMIT: usize = 64;
/// A longer name is made up.
const NAME_LIMIT_BYTES: usize = 128;
/// What models beyond the bound are counted as.
pub const OTHER: &str = "other";

/// The values of `error_type`: the HTTP statuses that providers fail with, then the rest.
pub const ERROR_TYPES: [&str; 16] = [
    "400",
    "401",
    "403",
    "404",
    "408",
    "409",
    "413",
    "422",
    "429",
    "500",
    "502",
    "503",
    "504",
    "529",
    "incomplete",
    "_OTHER",
];

/// Which of [`ERROR_TYPES`] a call ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorType(usize);

impl ErrorType {
    /// Of a call that failed with this status; one of success means an answer that began and did not end well.
    pub fn of_status(status: u16) -> Self {
        if status < 400 {
            return Self(ERROR_TYPES.len() - 2);
        }
        let named = |word: &&str| word.parse() == Ok(status);
        Self(ERROR_TYPES.iter().position(named).unwrap_or(ERROR_TYPES.len() - 1))
    }

    pub const fn word(self) -> &'static str {
        ERROR_TYPES[self.0]
    }
}

/// What a call is counted under.
#[derive(Clone, Copy, Debug)]
pub struct CallName<'a> {
    pub provider: &'a str,
    /// Empty where the call names none.
    pub model: &'a str,
    pub operation: &'static str,
    /// Whether the price book knows the model.
    pub is_priced: bool,
}

/// How a call ended, for the figures.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    pub failure: Option<ErrorType>,
    pub duration: Duration,
    /// Of streams only.
    pub first_chunk: Option<Duration>,
    pub usage: Usage,
    pub cost: Money,
    /// It used something that has no price.
    pub is_unpriced: bool,
}

/// One worker's figures of one model at one provider.
#[derive(Debug)]
pub struct CallSeries {
    pub provider: Arc<str>,
    pub model: Arc<str>,
    pub operation: &'static str,
    pub(super) succeeded: Histogram,
    pub(super) failed: [OnceLock<Box<Histogram>>; ERROR_TYPES.len()],
    pub(super) first_chunks: Histogram,
    pub(super) input_tokens: Histogram,
    pub(super) output_tokens: Histogram,
    /// Parts of the above: read from the provider's cache, written to it, and reasoned.
    pub(super) token_parts: [Counter; 3],
    pub(super) cost_nanos: Counter,
    pub(super) unpriced: Counter,
    /// By [`Payer`].
    pub(super) held_nanos: [AtomicI64; Payer::COUNT],
    pub(super) holds: [AtomicI64; Payer::COUNT],
}

impl CallSeries {
    fn new(provider: Arc<str>, model: Arc<str>, operation: &'static str) -> Self {
        Self {
            provider,
            model,
            operation,
            succeeded: Histogram::new(DURATION_BOUNDS),
            failed: [const { OnceLock::new() }; ERROR_TYPES.len()],
            first_chunks: Histogram::new(DURATION_BOUNDS),
            input_tokens: Histogram::new(TOKEN_BOUNDS),
            output_tokens: Histogram::new(TOKEN_BOUNDS),
            token_parts: Default::default(),
            cost_nanos: Counter::default(),
            unpriced: Counter::default(),
            held_nanos: Default::default(),
            holds: Default::default(),
        }
    }

    /// Counts a call that has ended.
    pub fn observe(&self, seen: &Observation) {
        let durations = match seen.failure {
            None => &self.succeeded,
            Some(ErrorType(place)) => self.failed[place].get_or_init(|| Box::new(Histogram::new(DURATION_BOUNDS))),
        };
        durations.observe(micros(seen.duration));
        if let Some(first_chunk) = seen.first_chunk {
            self.first_chunks.observe(micros(first_chunk));
        }
        let usage = &seen.usage;
        for (histogram, tokens) in [
            (&self.input_tokens, usage.total_input()),
            (&self.output_tokens, usage.output_tokens),
        ] {
            if tokens > 0 {
                histogram.observe(tokens);
            }
        }
        let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
        let parts = [usage.cache_read_tokens, written, usage.reasoning_tokens];
        for (counter, tokens) in self.token_parts.iter().zip(parts) {
            if tokens > 0 {
                counter.add(tokens);
            }
        }
        self.cost_nanos
            .add(u64::try_from(seen.cost.nanos()).unwrap_or_default());
        if seen.is_unpriced {
            self.unpriced.add(1);
        }
    }

    /// What is held for a call changes from one amount to another.
    pub fn change_hold(&self, payer: Payer, from: Money, to: Money) {
        if from == to {
            return;
        }
        let place = payer as usize;
        self.held_nanos[place].fetch_add(to.nanos().wrapping_sub(from.nanos()), Ordering::Relaxed);
        let holds = i64::from(to > Money::ZERO) - i64::from(from > Money::ZERO);
        if holds != 0 {
            self.holds[place].fetch_add(holds, Ordering::Relaxed);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What is held, by [`Payer`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Nano-dollars.
    pub nanos: [i64; Payer::COUNT],
    pub count: [i64; Payer::COUNT],
}

/// The series of all workers.
#[derive(Debug, Default)]
pub struct CallTable {
    series: Mutex<Vec<Arc<CallSeries>>>,
    models: Mutex<Models>,
}

#[derive(Debug, Default)]
struct Models {
    told_apart: HashSet<(Arc<str>, Arc<str>)>,
    unknown_count: usize,
}

impl CallTable {
    /// All series, of which several may have the same name: one a worker.
    pub fn all(&self) -> Vec<Arc<CallSeries>> {
        locked(&self.series).clone()
    }

    /// What is held now, of all calls.
    pub fn held(&self) -> Held {
        let mut held = Held::default();
        for series in locked(&self.series).iter() {
            for place in 0..Payer::COUNT {
                held.nanos[place] += series.held_nanos[place].load(Ordering::Relaxed);
                held.count[place] += series.holds[place].load(Ordering::Relaxed);
            }
        }
        held
    }

    /// Whether this model is told apart from others; it is from now on, where there is room.
    fn admit(&self, call: &CallName<'_>) -> bool {
        if call.model.is_empty() || call.model == OTHER {
            return true;
        }
        let mut models = locked(&self.models);
        let pair: (Arc<str>, Arc<str>) = (call.provider.into(), call.model.into());
        if models.told_apart.contains(&pair) {
            return true;
        }
        let has_room = models.told_apart.len() < MODEL_LIMIT
            && call.model.len() <= NAME_LIMIT_BYTES
            && (call.is_priced || models.unknown_count < UNKNOWN_MODEL_LIMIT);
        if has_room {
            models.unknown_count += usize::from(!call.is_priced);
            models.told_apart.insert(pair);
        }
        has_room
    }
}

/// Whatever is done under these locks leaves them whole at every step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Operations = Vec<Arc<CallSeries>>;

/// By provider and model.
type Series = HashMap<Arc<str>, HashMap<Arc<str>, Operations>>;

/// One worker's way to its series; it stays on the worker's thread.
#[derive(Debug)]
pub struct CallRecorder {
    table: Arc<CallTable>,
    own: RefCell<Series>,
}

impl CallRecorder {
    pub fn new(table: Arc<CallTable>) -> Self {
        Self {
            table,
            own: RefCell::default(),
        }
    }

    /// The series of calls of this name.
    pub fn series(&self, call: CallName<'_>) -> Arc<CallSeries> {
        if let Some(known) = self.find(&call) {
            return known;
        }
        if self.table.admit(&call) {
            return self.make(&call);
        }
        let other = CallName { model: OTHER, ..call };
        self.find(&other).unwrap_or_else(|| self.make(&other))
    }

    fn find(&self, call: &CallName<'_>) -> Option<Arc<CallSeries>> {
        let own = self.own.borrow();
        let operations = own.get(call.provider)?.get(call.model)?;
        operations
            .iter()
            .find(|series| series.operation == call.operation)
            .cloned()
    }

    fn make(&self, call: &CallName<'_>) -> Arc<CallSeries> {
        let mut own = self.own.borrow_mut();
        let (provider, model): (Arc<str>, Arc<str>) = (call.provider.into(), call.model.into());
        let series = Arc::new(CallSeries::new(provider.clone(), model.clone(), call.operation));
        own.entry(provider)
            .or_default()
            .entry(model)
            .or_default()
            .push(series.clone());
        locked(&self.table.series).push(series.clone());
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(model: &str, is_priced: bool) -> CallName<'_> {
        CallName {
            provider: "openai",
            model,
            operation: "chat",
            is_priced,
        }
    }

    #[test]
    fn models_beyond_the_bound_are_counted_together() {
        let table = Arc::new(CallTable::default());
        let (one, other) = (CallRecorder::new(table.clone()), CallRecorder::new(table.clone()));
        let made_up: Vec<String> = (0..1000).map(|number| format!("made-up-{number}")).collect();
        for model in &made_up {
            one.series(name(model, false));
            other.series(name(model, false));
        }
        assert_eq!(&*one.series(name(&made_up[999], false)).model, OTHER);
        let known = one.series(name("gpt-4o-mini", true));
        assert_eq!(&*known.model, "gpt-4o-mini", "made-up names leave room for known ones");
        assert!(Arc::ptr_eq(&known, &one.series(name("gpt-4o-mini", true))));
        assert!(!Arc::ptr_eq(&known, &other.series(name("gpt-4o-mini", true))));
        assert_eq!(&*one.series(name(&"x".repeat(500), true)).model, OTHER);
        assert_eq!(table.all().len(), 2 * (UNKNOWN_MODEL_LIMIT + 2));
    }

    #[test]
    fn a_failure_is_one_of_a_few_words() {
        for (status, word) in [
            (429, "429"),
            (503, "503"),
            (200, "incomplete"),
            (418, "_OTHER"),
            (599, "_OTHER"),
        ] {
            assert_eq!(ErrorType::of_status(status).word(), word);
        }
    }
}
