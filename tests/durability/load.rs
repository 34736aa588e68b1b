//! Callers that call one key until they are told to stop, and what became of their calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::house::{House, chat};

/// How hard a caller tries again where nobody answers.
const AGAIN: Duration = Duration::from_millis(2);

/// How often something is done: in the usual suite, and in the long one, which `CALDERA_LONG_TESTS` asks for.
pub fn rounds(usual: u64, long: u64) -> u64 {
    match std::env::var_os("CALDERA_LONG_TESTS") {
        None => usual,
        Some(_) => long,
    }
}

/// Callers of one key.
pub struct Load<'a> {
    pub house: &'a House,
    pub key: &'a str,
    pub callers: u32,
    /// From one call of a caller to his next; zero means at once.
    pub interval: Duration,
}

/// What became of the calls.
#[derive(Debug, Default)]
pub struct Outcome {
    pub answered: u64,
    /// The statuses of the others; zero where there was no answer.
    pub failed: Vec<u16>,
    /// How long the answers took.
    pub latencies: Vec<Duration>,
}

impl Load<'_> {
    /// Calls until told to stop.
    pub fn run(&self, stop: &AtomicBool) -> Outcome {
        self.call_while(&|_| !stop.load(Ordering::SeqCst))
    }

    /// Calls until every caller has had so many answers.
    pub fn run_times(&self, count: u64) -> Outcome {
        self.call_while(&|outcome| outcome.answered < count)
    }

    fn call_while(&self, goes_on: &(dyn Fn(&Outcome) -> bool + Sync)) -> Outcome {
        thread::scope(|scope| {
            let callers: Vec<_> = (0..self.callers)
                .map(|_| scope.spawn(|| self.one_caller(goes_on)))
                .collect();
            let outcomes = callers.into_iter().map(|caller| caller.join().unwrap());
            outcomes.reduce(Outcome::with).unwrap_or_default()
        })
    }

    fn one_caller(&self, goes_on: &dyn Fn(&Outcome) -> bool) -> Outcome {
        let client = self.house.caller(self.key);
        let body = chat("output_tokens=5").to_string().into_bytes();
        let mut outcome = Outcome::default();
        let mut next = Instant::now();
        while goes_on(&outcome) {
            let began = Instant::now();
            match client.try_send("POST", "/v1/chat/completions", Some(body.clone())) {
                Ok(answer) if answer.status == 200 => outcome.answered += 1,
                failed => {
                    outcome.failed.push(failed.map_or(0, |answer| answer.status));
                    thread::sleep(AGAIN);
                }
            }
            outcome.latencies.push(began.elapsed());
            next += self.interval;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        outcome
    }
}

impl Outcome {
    fn with(mut self, other: Self) -> Self {
        self.answered += other.answered;
        self.failed.extend(other.failed);
        self.latencies.extend(other.latencies);
        self
    }

    /// The latency that so many of a hundred calls did not exceed.
    pub fn percentile(&mut self, percent: usize) -> Duration {
        self.latencies.sort_unstable();
        let place = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(place).copied().unwrap_or_default()
    }
}
