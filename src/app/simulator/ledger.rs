//! The simulated provider's own books: what was really served, whatever was reported.
//! A call opens an entry and the entry is booked when it is dropped, so that an answer whose client went away is
//! booked as cut with what was served until then. Each booking is one short lock. The newest entries are kept one
//! by one in a bounded ring; older ones live on only in the sums.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// The entries that are kept one by one.
const ENTRY_COUNT_MAXIMUM: usize = 100_000;

/// The books of one simulated provider, shared by its workers.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    open_count: AtomicU64,
    books: Mutex<Books>,
}

/// Tokens and other billed units of one model, without the answers that were errors.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(super) struct ModelSums {
    pub requests: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub cache_write_tokens: u64,
    pub output_tokens: u64,
    pub reported_input_tokens: i64,
    pub reported_output_tokens: i64,
    /// Images made.
    pub images: u64,
    /// Unicode characters of text to be spoken.
    pub characters: u64,
    /// Milliseconds of sound that came in.
    pub audio_ms: u64,
    /// Searches of the web.
    pub searches: u64,
}

/// What `GET /_sim/ledger` answers.
#[derive(Debug, Serialize)]
pub(super) struct Sums {
    pub requests: u64,
    pub completed: u64,
    pub errors: u64,
    pub cut: u64,
    pub open: u64,
    pub models: BTreeMap<Arc<str>, ModelSums>,
}

/// One call as `GET /_sim/requests` lists it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    pub id: String,
    pub model: Arc<str>,
    pub tag: Option<Box<str>>,
    pub stream: bool,
    pub status: u16,
    pub completed: bool,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub images: u64,
    pub characters: u64,
    pub audio_ms: u64,
    pub searches: u64,
    /// Unix time in milliseconds at which the answer ended.
    pub at: u64,
}

/// How a call ended. An entry that nobody ended was cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    Completed,
    Error { status: u16 },
    Cut,
}

/// The running entry of one call; it is booked when it is dropped.
#[derive(Debug)]
pub(super) struct OpenEntry {
    ledger: Arc<Ledger>,
    pub id: String,
    pub model: Box<str>,
    pub tag: Option<Box<str>>,
    pub stream: bool,
    pub sums: ModelSums,
    pub outcome: Outcome,
}

#[derive(Debug, Default)]
struct Books {
    completed: u64,
    errors: u64,
    cut: u64,
    models: HashMap<Arc<str>, ModelSums>,
    entries: VecDeque<Entry>,
    failures: HashMap<Box<str>, u64>,
}

impl Ledger {
    /// Opens the entry of a call that has just come in.
    pub(super) fn open(self: &Arc<Self>) -> OpenEntry {
        self.open_count.fetch_add(1, Ordering::Relaxed);
        OpenEntry {
            ledger: Arc::clone(self),
            id: String::new(),
            model: Box::default(),
            tag: None,
            stream: false,
            sums: ModelSums::default(),
            outcome: Outcome::Cut,
        }
    }

    /// Counts one failure asked for under the tag; true while no more than `limit` were counted.
    pub(super) fn count_failure(&self, tag: &str, limit: u64) -> bool {
        let mut books = self.lock();
        let count = books.failures.entry(tag.into()).or_default();
        *count += 1;
        *count <= limit
    }

    /// The sums of everything since the start or the last reset.
    pub(super) fn sums(&self) -> Sums {
        let books = self.lock();
        let open = self.open_count.load(Ordering::Relaxed);
        Sums {
            requests: books.completed + books.errors + books.cut + open,
            completed: books.completed,
            errors: books.errors,
            cut: books.cut,
            open,
            models: books
                .models
                .iter()
                .map(|(model, sums)| (Arc::clone(model), sums.clone()))
                .collect(),
        }
    }

    /// The newest entries, newest first.
    pub(super) fn newest(&self, limit: usize) -> Vec<Entry> {
        self.lock().entries.iter().rev().take(limit).cloned().collect()
    }

    /// Forgets everything but the calls that are still open, which are booked when they end.
    pub(super) fn reset(&self) {
        *self.lock() = Books::default();
    }

    /// A panic while the lock was held leaves at worst one entry half booked, which is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        let ledger = Arc::clone(&self.ledger);
        let mut books = ledger.lock();
        ledger.open_count.fetch_sub(1, Ordering::Relaxed);
        books.book(self);
    }
}

impl Books {
    fn book(&mut self, open: &mut OpenEntry) {
        let status = match open.outcome {
            Outcome::Completed | Outcome::Cut => 200,
            Outcome::Error { status } => status,
        };
        let model = match open.outcome {
            Outcome::Completed => {
                self.completed += 1;
                self.add(open)
            }
            Outcome::Cut => {
                self.cut += 1;
                self.add(open)
            }
            Outcome::Error { .. } => {
                self.errors += 1;
                Arc::from(&*open.model)
            }
        };
        if self.entries.len() == ENTRY_COUNT_MAXIMUM {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            id: std::mem::take(&mut open.id),
            model,
            tag: open.tag.take(),
            stream: open.stream,
            status,
            completed: open.outcome == Outcome::Completed,
            input_tokens: open.sums.input_tokens,
            output_tokens: open.sums.output_tokens,
            images: open.sums.images,
            characters: open.sums.characters,
            audio_ms: open.sums.audio_ms,
            searches: open.sums.searches,
            at: unix_ms(),
        });
    }

    fn add(&mut self, open: &OpenEntry) -> Arc<str> {
        if let Some((model, sums)) = self.models.get_key_value(&*open.model) {
            let (model, mut sums) = (Arc::clone(model), sums.clone());
            sums.add(&open.sums);
            self.models.insert(Arc::clone(&model), sums);
            return model;
        }
        let model: Arc<str> = Arc::from(&*open.model);
        let mut sums = ModelSums::default();
        sums.add(&open.sums);
        self.models.insert(Arc::clone(&model), sums);
        model
    }
}

impl ModelSums {
    /// Reported counts may be absurd on purpose and saturate; served counts cannot come near an overflow.
    fn add(&mut self, one: &Self) {
        self.requests += 1;
        self.input_tokens += one.input_tokens;
        self.cached_tokens += one.cached_tokens;
        self.cache_write_tokens += one.cache_write_tokens;
        self.output_tokens += one.output_tokens;
        self.images += one.images;
        self.characters += one.characters;
        self.audio_ms += one.audio_ms;
        self.searches += one.searches;
        self.reported_input_tokens = self.reported_input_tokens.saturating_add(one.reported_input_tokens);
        self.reported_output_tokens = self.reported_output_tokens.saturating_add(one.reported_output_tokens);
    }
}

fn unix_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(ledger: &Arc<Ledger>, outcome: Outcome, output_tokens: u64) {
        let mut open = ledger.open();
        open.model = "m".into();
        open.sums.output_tokens = output_tokens;
        open.outcome = outcome;
    }

    #[test]
    fn errors_are_counted_but_left_out_of_the_models_sums() {
        let ledger = Arc::new(Ledger::default());
        book(&ledger, Outcome::Completed, 5);
        book(&ledger, Outcome::Cut, 2);
        book(&ledger, Outcome::Error { status: 429 }, 9);
        let sums = ledger.sums();
        assert_eq!(
            (sums.requests, sums.completed, sums.cut, sums.errors, sums.open),
            (3, 1, 1, 1, 0)
        );
        assert_eq!((sums.models["m"].requests, sums.models["m"].output_tokens), (2, 7));
        assert_eq!(ledger.newest(1)[0].status, 429);
    }

    #[test]
    fn a_call_that_runs_through_a_reset_is_booked_when_it_ends() {
        let ledger = Arc::new(Ledger::default());
        let open = ledger.open();
        ledger.reset();
        assert_eq!((ledger.sums().open, ledger.sums().requests), (1, 1));
        drop(open);
        assert_eq!((ledger.sums().open, ledger.sums().cut), (0, 1));
    }

    #[test]
    fn the_ring_of_entries_is_bounded() {
        let ledger = Arc::new(Ledger::default());
        for _ in 0..ENTRY_COUNT_MAXIMUM + 3 {
            book(&ledger, Outcome::Completed, 1);
        }
        assert_eq!(ledger.newest(usize::MAX).len(), ENTRY_COUNT_MAXIMUM);
        assert_eq!(ledger.sums().completed, ENTRY_COUNT_MAXIMUM as u64 + 3);
    }
}
