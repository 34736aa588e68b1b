//! What a worker brings to every call: the shared parts of the gateway, and the worker's own client and journal lane.
//! It also counts the calls in flight, for the bound on them and for the stop that waits until they have ended.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use crate::domain::ids::Mode;
use crate::domain::money::Money;
use crate::domain::price::{ModelPrice, PriceBook};
use crate::engine::accounts::Accounts;
use crate::engine::answers::Answers;
use crate::engine::clock::Clock;
use crate::engine::customer_accounts::CustomerAccounts;
use crate::engine::journal::Lane;
use crate::engine::metrics::Metrics;
use crate::engine::metrics::calls::CallRecorder;
use crate::engine::prices::Prices;
use crate::engine::spend::SpendShards;

use super::Caller;
use super::breaker::{Breakers, CircuitParts};
use super::calibration::Calibration;
use super::drain::DrainSlots;
use super::egress::{PrivateHosts, Trust};
use super::in_force::{GatewaySettings, InForce, View};
use super::live_call::LiveCall;
use super::live_calls::LiveCalls;
use super::open_call::{OpenCall, Pricing};
use super::options::GatewayOptions;
use super::provider::{Catalogue, Provider};
use super::pumps::Pumps;
use super::roster::Roster;
use super::spool::{SpoolRoom, SpoolWriter};
use super::telemetry::Telemetry;
use super::upstream::Upstream;
use super::watch::Watch;

/// What the gateway is made of.
pub struct GatewayParts {
    pub trust: Trust,
    pub prices: Arc<Prices>,
    pub spend: SpendShards,
    pub accounts: Accounts,
    pub customer_accounts: CustomerAccounts,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    /// Whose the answers are that OpenAI keeps.
    pub answers: Arc<Answers>,
    /// Where something is exported to OpenTelemetry.
    pub telemetry: Option<Arc<Telemetry>>,
    pub slice_tokens: u64,
    pub progress_interval_ms: u64,
    /// Where bodies are spooled.
    pub data_dir: PathBuf,
}

/// The parts that all workers share.
pub struct Gateway {
    parts: GatewayParts,
    in_force: ArcSwap<InForce>,
    drains: DrainSlots,
    private: PrivateHosts,
    spool_room: SpoolRoom,
    /// Calls and the answers that clients have not taken whole.
    in_flight: AtomicUsize,
    /// Pumps that run; the stop waits for them.
    pumps: AtomicUsize,
    live_calls: LiveCalls,
}

impl GatewayParts {
    fn circuits(&self) -> CircuitParts {
        CircuitParts {
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl Gateway {
    pub fn new(parts: GatewayParts, settings: GatewaySettings) -> Self {
        Self {
            drains: DrainSlots::new(settings.options.drain_slots),
            private: PrivateHosts::new(settings.private_hosts()),
            spool_room: SpoolRoom::new(settings.options.spool_total_bytes),
            in_force: ArcSwap::from_pointee(InForce::new(settings, &Breakers::default(), &parts.circuits())),
            parts,
            in_flight: AtomicUsize::new(0),
            pumps: AtomicUsize::new(0),
            live_calls: LiveCalls::default(),
        }
    }

    /// Puts other settings in force for the calls to come. What is made once (connection pools, slots) stays as it is.
    pub fn reload(&self, settings: GatewaySettings) {
        // Before the catalogue whose providers are there.
        self.private.replace(settings.private_hosts());
        let known = self.breakers();
        let in_force = InForce::new(settings, &known, &self.parts.circuits());
        self.in_force.store(Arc::new(in_force));
    }

    pub fn breakers(&self) -> View<Breakers> {
        View::of(self.in_force.load(), |in_force| &in_force.breakers)
    }

    /// The providers of live merchants.
    pub fn providers(&self) -> View<[Arc<Provider>]> {
        View::of(self.in_force.load(), |in_force| in_force.settings.catalogue.providers())
    }

    /// The calls of all workers, for whoever wants to see or end one.
    pub fn live_calls(&self) -> &LiveCalls {
        &self.live_calls
    }

    /// Calls whose pumps run.
    pub fn open_calls(&self) -> usize {
        self.pumps.load(Ordering::Acquire)
    }

    /// Whether no call runs and no answer is on its way to a client.
    pub fn is_quiet(&self) -> bool {
        self.open_calls() == 0 && self.in_flight.load(Ordering::Acquire) == 0
    }
}

/// One worker's view of the gateway; clones stay on its thread.
#[derive(Clone)]
pub struct Worker {
    gateway: Arc<Gateway>,
    own: Rc<Own>,
}

struct Own {
    lane: Lane,
    upstream: Upstream,
    pumps: Pumps,
    calibration: Calibration,
    calls: CallRecorder,
    roster: Rc<Roster>,
}

/// A place among the calls in flight, given up when it is dropped.
pub struct Place(Arc<Gateway>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts a pump as long as it runs.
pub(super) struct Running(Arc<Gateway>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.pumps.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Worker {
    /// To be made on the worker's own thread.
    pub fn new(gateway: Arc<Gateway>, lane: Lane) -> Self {
        let options = View::of(gateway.in_force.load(), |in_force| &in_force.settings.options);
        let own = Own {
            lane,
            upstream: Upstream::new(&options, &gateway.parts.trust, gateway.private.clone()),
            pumps: Pumps::start(Duration::from_millis(options.slow_reader_timeout_ms)),
            calibration: Calibration::default(),
            calls: CallRecorder::new(gateway.parts.metrics.calls.clone()),
            roster: Rc::default(),
        };
        drop(options);
        gateway
            .live_calls
            .enrol(own.roster.clone(), gateway.parts.clock.clone());
        Self {
            gateway,
            own: Rc::new(own),
        }
    }

    /// A place for a call, where there is one.
    pub fn enter(&self) -> Option<Place> {
        let place = Place(self.gateway.clone());
        let before = self.gateway.in_flight.fetch_add(1, Ordering::AcqRel);
        (before < self.options().in_flight_limit).then_some(place)
    }

    /// Counts a pump that begins.
    pub(super) fn begin_pump(&self) -> Running {
        self.gateway.pumps.fetch_add(1, Ordering::AcqRel);
        Running(self.gateway.clone())
    }

    pub(super) fn pumps(&self) -> &Pumps {
        &self.own.pumps
    }

    pub(super) fn open_call(&self, live: LiveCall, caller: &Caller, pricing: Pricing, watch: Watch) -> OpenCall {
        OpenCall {
            id: live.facts.admitted.id,
            admitted_at_ms: live.facts.admitted.admitted_at_ms,
            first_token_ms: None,
            live: self.own.roster.enter(live),
            pricing,
            wallet_id: caller.wallet_id,
            lane: self.own.lane.clone(),
            clock: self.clock().clone(),
            metrics: self.metrics().clone(),
            accounts: self.accounts().clone(),
            hold: None,
            account_hold: None,
            metering: None,
            wallet_pays: caller.provider_key.is_none(),
            answers: None,
            watch,
            settled: false,
        }
    }

    pub(super) fn answers(&self) -> &Arc<Answers> {
        &self.gateway.parts.answers
    }

    /// Counts a call that cost more than was held for it: a wrong bound, or a provider that ignores a cap.
    pub(super) fn note_underestimate(&self, held: Option<Money>, cost: Money) {
        if let Some(held) = held.filter(|held| *held > Money::ZERO && cost > *held) {
            let overrun = cost.saturating_sub(held).nanos();
            self.metrics().holds_underestimated.add(1);
            self.metrics()
                .overrun_nanos
                .add(u64::try_from(overrun).unwrap_or_default());
        }
    }

    pub(super) fn calibration(&self) -> &Calibration {
        &self.own.calibration
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.gateway.parts.metrics
    }

    pub(super) fn calls(&self) -> &CallRecorder {
        &self.own.calls
    }

    pub fn telemetry(&self) -> Option<&Arc<Telemetry>> {
        self.gateway.parts.telemetry.as_ref()
    }

    pub(super) fn upstream(&self) -> &Upstream {
        &self.own.upstream
    }

    pub(super) fn lane(&self) -> &Lane {
        &self.own.lane
    }

    pub(super) fn drains(&self) -> &DrainSlots {
        &self.gateway.drains
    }

    /// For a body that is held back.
    pub fn spool(&self) -> SpoolWriter<'_> {
        SpoolWriter::new(
            &self.gateway.spool_room,
            &self.gateway.parts.data_dir,
            self.options().spool_limit_bytes,
        )
    }

    pub(super) fn default_price(&self) -> Option<Arc<ModelPrice>> {
        self.gateway.in_force.load().default_price.clone()
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    pub fn options(&self) -> View<GatewayOptions> {
        self.view(|in_force| &in_force.settings.options)
    }

    pub fn catalogue(&self) -> View<Catalogue> {
        self.catalogue_for(Mode::Live)
    }

    /// The catalogue of a merchant: a test merchant's calls never reach the operator's live credentials.
    pub fn catalogue_for(&self, mode: Mode) -> View<Catalogue> {
        self.view(match mode {
            Mode::Live => |in_force| &in_force.settings.catalogue,
            Mode::Test => |in_force| &in_force.settings.test_catalogue,
        })
    }

    fn view<T: ?Sized>(&self, part: fn(&InForce) -> &T) -> View<T> {
        View::of(self.gateway.in_force.load(), part)
    }

    /// The price book in force, for a moment.
    pub fn prices(&self) -> Guard<Arc<PriceBook>> {
        self.gateway.parts.prices.book()
    }

    pub fn spend(&self) -> &SpendShards {
        &self.gateway.parts.spend
    }

    pub fn accounts(&self) -> &Accounts {
        &self.gateway.parts.accounts
    }

    pub fn customer_accounts(&self) -> &CustomerAccounts {
        &self.gateway.parts.customer_accounts
    }

    pub fn clock(&self) -> &Clock {
        &self.gateway.parts.clock
    }

    pub fn slice_tokens(&self) -> u64 {
        self.gateway.parts.slice_tokens
    }

    pub fn progress_interval_ms(&self) -> u64 {
        self.gateway.parts.progress_interval_ms
    }
}
