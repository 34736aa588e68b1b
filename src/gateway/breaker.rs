//! The circuits of all providers, shared by all workers: a provider that fails again and again is left alone for a
//! while, so that its callers are told at once or go on to a fallback. Only the provider's own failures count: its 5xx,
//! and connections that fail, break or take too long; never what it refuses. While all is well a call costs one atomic
//! load here. It holds no lock while anything is awaited, and a restart forgets it all.

mod machine;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::clock::Clock;
use crate::engine::metrics::Metrics;
use crate::engine::random;

use super::options::GatewayOptions;
use super::provider::{Catalogue, Provider};
use super::upstream::UpstreamFailure;
pub use machine::Condition;
use machine::{Change, Machine, Terms, Verdict};

/// What a provider did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It answered with a 5xx.
    ServerError,
    Upstream(UpstreamFailure),
}

impl Trouble {
    /// The word that the operator sees.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ServerError => "server_error",
            Self::Upstream(UpstreamFailure::Unreachable) => "unreachable",
            Self::Upstream(UpstreamFailure::Broken) => "broken",
            Self::Upstream(UpstreamFailure::TimedOut) => "timeout",
        }
    }
}

/// The circuit is open: nothing is sent for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    pub wait_us: u64,
}

/// All circuits; none where they are switched off.
#[derive(Default)]
pub struct Breakers {
    circuits: HashMap<Box<str>, Arc<Circuit>>,
}

/// What every circuit needs.
pub struct CircuitParts {
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
}

impl Breakers {
    /// The circuits of these providers; one that is known goes on with what it remembers.
    pub fn new<'a>(
        options: &GatewayOptions,
        catalogues: impl IntoIterator<Item = &'a Catalogue>,
        known: &Self,
        parts: &CircuitParts,
    ) -> Self {
        let Some(terms) = terms(options) else {
            return Self::default();
        };
        let circuit = |provider: &Arc<Provider>| match known.find(provider) {
            Some(circuit) => {
                circuit.state().machine.set_terms(terms);
                circuit.clone()
            }
            None => Arc::new(Circuit::new(provider.name.clone(), terms, parts)),
        };
        let providers = catalogues.into_iter().flat_map(Catalogue::providers);
        Self {
            circuits: providers
                .map(|provider| (provider.circuit_name().into(), circuit(provider)))
                .collect(),
        }
    }

    /// Whether a call may go to this provider; `Ok(None)` where nobody counts.
    pub fn admit(&self, provider: &Provider) -> Result<Option<Pass>, LeftAlone> {
        self.find(provider).map(Circuit::admit).transpose()
    }

    pub fn find(&self, provider: &Provider) -> Option<&Arc<Circuit>> {
        self.circuits.get(provider.circuit_name())
    }
}

/// `None` where breakers are switched off.
fn terms(options: &GatewayOptions) -> Option<Terms> {
    (options.breaker_failures > 0).then(|| Terms {
        failures: options.breaker_failures,
        percent: options.breaker_percent,
        window_us: options.breaker_window_ms.saturating_mul(1000),
        open_us: options.breaker_open_ms.saturating_mul(1000),
        longest_open_us: options.breaker_longest_open_ms.saturating_mul(1000),
    })
}

/// One provider's circuit at one address.
pub struct Circuit {
    provider: Arc<str>,
    /// The number of the machine's state, doubled, and one more where it is not closed.
    gate: AtomicU64,
    /// Set while something bad is remembered; until then good news need no lock.
    troubled: AtomicBool,
    state: Mutex<State>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

struct State {
    machine: Machine,
    last_trouble: Option<(Trouble, i64)>,
}

/// What the operator sees of a circuit.
#[derive(Clone, Copy, Debug)]
pub struct CircuitView {
    pub condition: Condition,
    /// With its instant in unix milliseconds.
    pub last_trouble: Option<(Trouble, i64)>,
}

impl Circuit {
    fn new(provider: Arc<str>, terms: Terms, parts: &CircuitParts) -> Self {
        Self {
            provider,
            gate: AtomicU64::new(0),
            troubled: AtomicBool::new(false),
            state: Mutex::new(State {
                machine: Machine::new(terms),
                last_trouble: None,
            }),
            clock: parts.clock.clone(),
            metrics: parts.metrics.clone(),
        }
    }

    fn admit(self: &Arc<Self>) -> Result<Pass, LeftAlone> {
        let gate = self.gate.load(Ordering::Acquire);
        let pass = |epoch, kind| Pass {
            circuit: self.clone(),
            epoch,
            kind,
        };
        if gate & 1 == 0 {
            return Ok(pass(gate >> 1, PassKind::Usual));
        }
        let mut state = self.state();
        let admitted = state.machine.admit(self.clock.monotonic_us());
        self.show(&state.machine);
        match admitted {
            Ok(epoch) if state.machine.is_closed() => Ok(pass(epoch, PassKind::Usual)),
            Ok(epoch) => Ok(pass(epoch, PassKind::Probe)),
            Err(wait_us) => Err(LeftAlone { wait_us }),
        }
    }

    pub fn view(&self) -> CircuitView {
        let state = self.state();
        CircuitView {
            condition: state.machine.condition(),
            last_trouble: state.last_trouble,
        }
    }

    fn report(&self, epoch: u64, trouble: Option<Trouble>) {
        let verdict = match trouble {
            Some(_) => Verdict::Failed,
            None if !self.troubled.load(Ordering::Acquire) => return,
            None => Verdict::Good,
        };
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(trouble) = trouble {
            state.last_trouble = Some((trouble, now.wall_ms));
        }
        // Without randomness the circuit opens for its shortest time.
        let noise = match verdict {
            Verdict::Good => 0,
            Verdict::Failed => random::bits().map_or(0, |bits| bits as u32),
        };
        let change = state.machine.report(epoch, verdict, now.monotonic_us, noise);
        self.show(&state.machine);
        drop(state);
        match change {
            Change::Nothing => {}
            Change::Opened => {
                self.metrics.circuits_opened.add(1);
                let error = trouble.map_or("", Trouble::word);
                tracing::warn!(provider.name = %self.provider, error, "a provider fails again and again and is left alone for a while");
            }
            Change::Closed => {
                tracing::info!(provider.name = %self.provider, "a provider that was left alone serves again")
            }
        }
    }

    /// Lets the others see the machine's state without its lock; to be called under it.
    fn show(&self, machine: &Machine) {
        let shut = u64::from(!machine.is_closed());
        self.gate.store(machine.epoch() << 1 | shut, Ordering::Release);
        self.troubled.store(!machine.is_clean(), Ordering::Release);
    }

    /// Every change of the machine is whole when the lock is given up, so a panic elsewhere spoils nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PassKind {
    Usual,
    /// The one call that is let through to see.
    Probe,
}

/// Leave to call a provider, which wants to hear how it went. One that is dropped unheard says nothing.
pub struct Pass {
    circuit: Arc<Circuit>,
    epoch: u64,
    kind: PassKind,
}

impl Pass {
    /// The provider did its part.
    pub fn good(self) {
        self.circuit.report(self.epoch, None);
    }

    pub fn failed(self, trouble: Trouble) {
        self.circuit.report(self.epoch, Some(trouble));
    }

    /// A stream has begun: enough to see, not enough to call it good.
    pub fn began(self) -> Option<Self> {
        match self.kind {
            PassKind::Usual => Some(self),
            PassKind::Probe => {
                self.good();
                None
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.kind == PassKind::Probe {
            // Nothing changes where it has been heard.
            self.circuit.state().machine.abandon(self.epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuit() -> Arc<Circuit> {
        let options = GatewayOptions {
            breaker_failures: 2,
            breaker_open_ms: 0,
            ..GatewayOptions::default()
        };
        let parts = CircuitParts {
            clock: Clock::new(0),
            metrics: Arc::default(),
        };
        let circuit = Circuit::new("p".into(), terms(&options).unwrap(), &parts);
        Arc::new(circuit)
    }

    #[test]
    fn a_circuit_opens_probes_and_closes() {
        let circuit = circuit();
        circuit.admit().unwrap().failed(Trouble::ServerError);
        circuit.admit().unwrap().good();
        let hung = circuit.admit().unwrap();
        for failure in [UpstreamFailure::Unreachable, UpstreamFailure::TimedOut] {
            circuit.admit().unwrap().failed(Trouble::Upstream(failure));
        }
        assert_eq!(circuit.gate.load(Ordering::Acquire) & 1, 1);
        assert_eq!(circuit.view().last_trouble.unwrap().0.word(), "timeout");
        drop(circuit.admit().unwrap());
        let probe = circuit.admit().unwrap();
        assert_eq!(
            (probe.kind, circuit.view().condition),
            (PassKind::Probe, Condition::HalfOpen)
        );
        hung.failed(Trouble::ServerError);
        assert!(probe.began().is_none(), "the head of a stream is enough");
        assert_eq!(circuit.view().condition, Condition::Closed { failures_in_a_row: 0 });
        assert_eq!(circuit.metrics.circuits_opened.value(), 1);
        assert!(!circuit.troubled.load(Ordering::Acquire));
    }

    #[test]
    fn nobody_counts_where_breakers_are_switched_off() {
        let options = GatewayOptions {
            breaker_failures: 0,
            ..GatewayOptions::default()
        };
        assert!(terms(&options).is_none());
    }
}
