//! The running server: workers with their shards and lanes, the billing actor, the lease. Everything that a stop must
//! end in order is here.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

use crate::engine::accounts::Accounts;
use crate::engine::answers::Answers;
use crate::engine::billing_actor::{BillingActor, BillingParts};
use crate::engine::clock::Clock;
use crate::engine::customer_accounts::{CustomerAccounts, Whose};
use crate::engine::customers::Customers;
use crate::engine::journal::Journal;
use crate::engine::keyring::{Credential, Keyring};
use crate::engine::metrics::Metrics;
use crate::engine::outbox::{Bell, Outbox, OutboxParts};
use crate::engine::prices::{PriceFiles, Prices};
use crate::engine::provider_keys::ProviderKeys;
use crate::engine::retention::Retention;
use crate::engine::sealing::SealingKey;
use crate::engine::spend::SpendShards;
use crate::engine::tariffs::Tariffs;
use crate::gateway::courier::HttpCourier;
use crate::gateway::egress::{PrivateHosts, Trust, read_places};
use crate::gateway::{Gateway, GatewayParts, GatewaySettings, LiveCalls, Telemetry};
use crate::http;
use crate::http::checkout::CheckoutParts;
use crate::http::checkout::charges::{charge_renewals, charge_top_ups};
use crate::http::checkout::settle::go_on_with_open_payments;
use crate::http::mcp::{Mcp, McpParts};
use crate::http::spend_keys::live::grace;
use crate::http::state::{AppState, StateParts};
use crate::http::webhooks::customers::ShownCustomers;
use crate::storage::Database;
use crate::storage::embedded::EmbeddedCluster;
use crate::storage::replica::Replica;
use crate::storage::webhooks::{PgOutbox, WebhookRow};
use crate::storage::writer::PgSink;

use super::boot::Booted;
use super::catalogues::CatalogueSource;
use super::config::Config;
use super::crew::{Crew, CrewParts};
use super::environment::Environment;
use super::gauges;
use super::lease_keeper::LeaseKeeper;
use super::otlp::{self, Exporting};
use super::purge::{PurgeParts, Purger};
use super::refusals;
use super::reload::{ReloadParts, Reloader};
use super::stored_answers::StoredAnswers;
use super::{Providers, StartError};

pub(super) const SHIPPED_PRICES: &str = include_str!("../../config/prices.json");

/// What runs, for the stop to end in order.
pub struct Serving {
    pub state: web::Data<AppState>,
    pub gateway: Arc<Gateway>,
    pub server: ServerHandle,
    pub billing: BillingActor,
    pub outbox: Outbox,
    pub purger: Purger,
    pub journal: Arc<Journal>,
    pub lease: LeaseKeeper,
    pub cluster: Option<Arc<EmbeddedCluster>>,
    pub exporting: Exporting,
    /// For reloads.
    pub source: CatalogueSource,
}

impl Serving {
    /// What reloads the configuration of this server.
    pub fn reloader(&self, config: Config) -> Reloader {
        Reloader::new(ReloadParts {
            config,
            source: self.source.clone(),
            gateway: self.gateway.clone(),
            state: self.state.clone(),
            purger: self.purger.clone(),
        })
    }

    /// Starts the workers and returns when every shard has its keys.
    pub async fn start(
        config: &Config,
        booted: Booted,
        simulated: Simulated,
        listener: TcpListener,
    ) -> Result<Self, StartError> {
        let workers = worker_count(config);
        let shared = Shared {
            spend: SpendShards::new(workers),
            accounts: Accounts::new(workers),
            customer_accounts: CustomerAccounts::new(workers),
            clock: booted.clock,
            metrics: Arc::new(Metrics::default()),
            provider_keys: Arc::new(booted.provider_keys),
            customers: booted.replica.customers.clone(),
            prices: Arc::new(load_prices(config)?),
            answers: Arc::new(Answers::new(Box::new(StoredAnswers(booted.database.clone())))),
            tariffs: Arc::new(booted.replica.tariffs()),
            sealing: Arc::new(booted.sealing),
            webhook_hosts: read_places(&config.webhooks.allow_private_hosts).map_err(StartError::Webhooks)?,
            bell: Bell::default(),
        };
        let journal = Journal::open(booted.journal, &config.journal, &booted.last_sequences, workers)?;
        let journal = Arc::new(journal);
        let billing = start_billing(config, &shared, &journal, booted.sink.ringing(shared.bell.clone()))?;
        let lease = LeaseKeeper::start(booted.lease, booted.database.clone())?;
        let (exporting, telemetry) = otlp::start(&shared.metrics);
        let environment = Environment::of_process();
        let source = CatalogueSource::new(simulated, shared.provider_keys.clone());
        let gateway = open_gateway(config, &shared, source.load(config, &environment)?, telemetry)?;
        let checkout =
            super::checkout::open(&config.checkout, &trust(config)?, &environment).map_err(StartError::Checkout)?;
        let from_gateway = (checkout, gateway.live_calls().clone());
        let state = app_state(config, &shared, (booted.database.clone(), booted.keyring), from_gateway)?;
        http::mcp::start(&state, listener.local_addr()?);
        http::operator::prepare(&state)?;
        fill(&state, &booted.replica);
        gauges::watch(&shared, gateway.clone(), &journal);
        let parts = CrewParts {
            shared: shared.clone(),
            options: config.spend_keys.clone(),
            journal: journal.clone(),
            gateway: gateway.clone(),
        };
        let half_deleted = booted.replica.half_deleted();
        charge_cards(&state);
        refusals::keep(&state);
        let crew = Arc::new(Crew::new(parts, booted.replica));
        let server = run_server(config, crew, state.clone(), listener)?;
        while !shared.is_complete() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        gauges::watch_books(&state, &journal, &config.operator);
        end_half_deleted(&state, half_deleted);
        let courier = HttpCourier::new(&trust(config)?, shared.webhook_hosts.clone());
        Ok(Self {
            gateway,
            server,
            billing,
            outbox: start_outbox(&shared, &state, courier),
            purger: start_purger(&state, &journal)?,
            state,
            journal,
            lease,
            cluster: booted.cluster,
            exporting,
            source,
        })
    }
}

/// Where the simulated provider is, and whether it stands for all.
#[derive(Clone, Copy, Debug)]
pub struct Simulated {
    pub address: SocketAddr,
    pub providers: Providers,
}

/// What the parts of the server have in common.
#[derive(Clone)]
pub struct Shared {
    pub spend: SpendShards,
    pub accounts: Accounts,
    pub customer_accounts: CustomerAccounts,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub provider_keys: Arc<ProviderKeys>,
    pub customers: Arc<Customers>,
    pub prices: Arc<Prices>,
    pub answers: Arc<Answers>,
    pub tariffs: Arc<Tariffs>,
    pub sealing: Arc<SealingKey>,
    pub webhook_hosts: PrivateHosts,
    pub bell: Bell,
}

impl Shared {
    /// Whether every worker has taken on its shards.
    fn is_complete(&self) -> bool {
        self.spend.is_complete() && self.accounts.is_complete() && self.customer_accounts.is_complete()
    }
}

fn start_billing(config: &Config, shared: &Shared, journal: &Journal, sink: PgSink) -> std::io::Result<BillingActor> {
    let (options, metrics, clock) = (config.billing.clone(), shared.metrics.clone(), shared.clock.clone());
    BillingActor::start(
        journal.tail(),
        Box::new(sink),
        BillingParts {
            options,
            metrics,
            clock,
        },
    )
}

fn start_purger(state: &web::Data<AppState>, journal: &Arc<Journal>) -> std::io::Result<Purger> {
    Purger::start(PurgeParts {
        database: state.database.clone(),
        journal: Arc::downgrade(journal),
        retention: state.retention.clone(),
        clock: state.clock.clone(),
    })
}

/// On this thread, which has little else to do.
fn start_outbox(shared: &Shared, state: &web::Data<AppState>, courier: HttpCourier) -> Outbox {
    Outbox::start(OutboxParts {
        deliveries: Box::new(PgOutbox {
            database: state.database.clone(),
            retention: state.retention.clone(),
        }),
        courier: Box::new(courier),
        customers: Box::new(ShownCustomers(state.clone())),
        sealing: shared.sealing.clone(),
        place: WebhookRow::place,
        bell: shared.bell.clone(),
        clock: shared.clock.clone(),
        metrics: shared.metrics.clone(),
    })
}

fn app_state(
    config: &Config,
    shared: &Shared,
    (database, keyring): (Database, Keyring),
    (checkout, live_calls): (CheckoutParts, LiveCalls),
) -> std::io::Result<web::Data<AppState>> {
    let keyring = Arc::new(keyring);
    let parts = McpParts {
        keyring: keyring.clone(),
        clock: shared.clock.clone(),
    };
    let mcp = Mcp::open(config.mcp.clone(), parts)?;
    Ok(web::Data::new(AppState::new(StateParts {
        database,
        keyring,
        provider_keys: shared.provider_keys.clone(),
        customers: shared.customers.clone(),
        prices: shared.prices.clone(),
        tariffs: shared.tariffs.clone(),
        sealing: shared.sealing.clone(),
        webhook_hosts: shared.webhook_hosts.clone(),
        bell: shared.bell.clone(),
        spend: shared.spend.clone(),
        accounts: shared.accounts.clone(),
        customer_accounts: shared.customer_accounts.clone(),
        checkout,
        live_calls,
        clock: shared.clock.clone(),
        metrics: shared.metrics.clone(),
        phase: Default::default(),
        retention: Arc::new(Retention::new(config.retention)),
        mcp,
        management: config.management.clone(),
        trusted_proxies: config.server.trusted_proxies.clone(),
        data_dir: config.data.dir.clone(),
    })))
}

/// Goes on with customers whose deletion was cut short.
fn end_half_deleted(state: &web::Data<AppState>, whose: Vec<Whose>) {
    for whose in whose {
        actix_rt::spawn(http::subscriptions::end_for_good(state.clone(), whose));
    }
}

/// On this thread, for as long as the server runs.
fn charge_cards(state: &web::Data<AppState>) {
    actix_rt::spawn(go_on_with_open_payments(state.clone()));
    actix_rt::spawn(charge_renewals(state.clone()));
    actix_rt::spawn(charge_top_ups(state.clone()));
}

/// Puts every key into the keyring, those too whose rotation left them some grace.
fn fill(state: &web::Data<AppState>, replica: &Replica) {
    for (hash, key) in &replica.secret_keys {
        state.keyring.insert(*hash, Credential::Secret(key.clone()));
    }
    for (hash, key) in &replica.wallet_keys {
        state.keyring.insert(*hash, Credential::Wallet(key.clone()));
    }
    for key in &replica.spend_keys {
        state.keyring.insert(key.hash, key.credential());
        if let Some(previous) = key.previous {
            grace(state, previous, key.credential());
        }
    }
}

fn worker_count(config: &Config) -> usize {
    match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}

fn open_gateway(
    config: &Config,
    shared: &Shared,
    settings: GatewaySettings,
    telemetry: Option<Arc<Telemetry>>,
) -> Result<Arc<Gateway>, StartError> {
    let parts = GatewayParts {
        trust: trust(config)?,
        prices: shared.prices.clone(),
        spend: shared.spend.clone(),
        accounts: shared.accounts.clone(),
        customer_accounts: shared.customer_accounts.clone(),
        clock: shared.clock.clone(),
        metrics: shared.metrics.clone(),
        answers: shared.answers.clone(),
        telemetry,
        slice_tokens: config.spend_keys.slice_tokens,
        progress_interval_ms: config.journal.progress_interval_ms,
        data_dir: config.data.dir.clone(),
    };
    Ok(Arc::new(Gateway::new(parts, settings)))
}

/// Where the prices stand.
pub(super) fn price_files(config: &Config) -> PriceFiles {
    PriceFiles {
        shipped: SHIPPED_PRICES,
        prices: config.files.prices.clone(),
        more_prices: config.files.more_prices.clone(),
    }
}

pub(super) fn load_prices(config: &Config) -> Result<Prices, StartError> {
    let prices = Prices::load(price_files(config)).map_err(|error| StartError::Prices(error.to_string()))?;
    tracing::debug!(count = prices.warnings().len(), "the price book has warnings");
    Ok(prices)
}

/// Who vouches for providers: the web's authorities, and those of the operator's file.
pub(super) fn trust(config: &Config) -> Result<Trust, StartError> {
    let path = &config.files.trusted_certificates;
    let refused = |error: String| StartError::Certificates(format!("{}: {error}", path.display()));
    let added = if path.as_os_str().is_empty() {
        None
    } else {
        Some(std::fs::read(path).map_err(|error| refused(error.to_string()))?)
    };
    Trust::new(added.as_deref()).map_err(|error| refused(error.to_string()))
}

/// Lets the system end a connection whose client has left bytes unread for so long; nobody here writes to it then.
fn give_up_slow_readers(connection: &dyn std::any::Any, patience_ms: u32) {
    if let Some(socket) = connection.downcast_ref::<tokio::net::TcpStream>()
        && let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(socket, patience_ms)
    {
        tracing::debug!(%error, "a connection was left without a limit for slow readers");
    }
}

fn run_server(
    config: &Config,
    crew: Arc<Crew>,
    state: web::Data<AppState>,
    listener: TcpListener,
) -> std::io::Result<ServerHandle> {
    let workers = crew.size();
    let factory = move || {
        let worker = crew.sign_on();
        App::new()
            .app_data(state.clone())
            .app_data(worker)
            .configure(http::configure)
    };
    let patience_ms = u32::try_from(config.gateway.slow_reader_timeout_ms).unwrap_or(u32::MAX);
    let server = HttpServer::new(factory)
        .on_connect(move |connection, _| give_up_slow_readers(connection, patience_ms))
        .workers(workers)
        .max_connections(config.server.max_connections)
        .keep_alive(Duration::from_secs(config.server.keep_alive_s))
        .client_request_timeout(Duration::from_secs(config.server.first_head_timeout_s))
        .tcp_nodelay(true)
        .h1_allow_half_closed(false)
        .disable_signals()
        .shutdown_timeout(2)
        .listen(listener)?
        .run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(handle)
}
