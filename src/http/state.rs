//! What every management handler reaches: the database, the live state, the clock and the limits. It owns nothing that
//! a crash could lose. Until the server is ready, and once it stops, everything under `/v1` is refused: it fails closed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use ipnet::IpNet;

use crate::domain::spend::Now;
use crate::engine::accounts::Accounts;
use crate::engine::clock::Clock;
use crate::engine::customer_accounts::CustomerAccounts;
use crate::engine::customers::Customers;
use crate::engine::keyring::Keyring;
use crate::engine::metrics::Metrics;
use crate::engine::outbox::Bell;
use crate::engine::prices::Prices;
use crate::engine::provider_keys::ProviderKeys;
use crate::engine::refusals::Refusals;
use crate::engine::retention::Retention;
use crate::engine::sealing::SealingKey;
use crate::engine::spend::SpendShards;
use crate::engine::tariffs::Tariffs;
use crate::gateway::LiveCalls;
use crate::gateway::egress::PrivateHosts;
use crate::storage::Database;

use super::checkout::CheckoutParts;
use super::dashboard::{Proofs, Reveals};
use super::error::{ApiError, ErrorCode};
use super::idempotency::running::Running;
use super::limits::{FailureLimit, ManagementLimit};
use super::live::Listeners;
use super::logins::Logins;
use super::mcp::Mcp;
use super::operator::token::OperatorToken;
use super::options::ManagementOptions;
use super::services::Directory;
use super::turns::Turns;

/// How far the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Migrations, the lease and the replay are under way.
    Starting,
    Ready,
    /// No new calls; those that run are awaited.
    Stopping,
}

/// The phase as all workers see it; clones share it.
#[derive(Clone, Debug, Default)]
pub struct PhaseCell(Arc<AtomicU8>);

impl PhaseCell {
    pub fn enter(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    pub fn current(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            2.. => Phase::Stopping,
        }
    }

    /// `Err` with the 503 that says why nothing is served.
    pub fn require_ready(&self) -> Result<(), ApiError> {
        match self.current() {
            Phase::Starting => Err(ApiError::new(ErrorCode::Starting)),
            Phase::Ready => Ok(()),
            Phase::Stopping => Err(ApiError::new(ErrorCode::Stopping)),
        }
    }
}

/// What the state is made of.
pub struct StateParts {
    pub database: Database,
    pub keyring: Arc<Keyring>,
    pub provider_keys: Arc<ProviderKeys>,
    pub customers: Arc<Customers>,
    pub prices: Arc<Prices>,
    pub tariffs: Arc<Tariffs>,
    pub sealing: Arc<SealingKey>,
    /// Hosts that webhooks may be sent to wherever they are.
    pub webhook_hosts: PrivateHosts,
    pub bell: Bell,
    pub spend: SpendShards,
    pub accounts: Accounts,
    pub customer_accounts: CustomerAccounts,
    pub checkout: CheckoutParts,
    pub live_calls: LiveCalls,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub phase: PhaseCell,
    pub retention: Arc<Retention>,
    pub mcp: Mcp,
    pub management: ManagementOptions,
    pub trusted_proxies: Vec<IpNet>,
    /// Where the operator's token lies.
    pub data_dir: PathBuf,
}

/// What every caller meets first, and a reload replaces.
pub struct Edge {
    /// Whose word on the client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    pub options: ManagementOptions,
    pub(super) management_limit: Arc<ManagementLimit>,
    pub(super) failure_limit: Arc<FailureLimit>,
}

/// Shared by all workers as `web::Data<AppState>`.
pub struct AppState {
    pub database: Database,
    pub keyring: Arc<Keyring>,
    pub provider_keys: Arc<ProviderKeys>,
    pub customers: Arc<Customers>,
    pub prices: Arc<Prices>,
    pub tariffs: Arc<Tariffs>,
    /// Seals what is stored of merchants' credentials.
    pub sealing: Arc<SealingKey>,
    /// Hosts that webhooks may be sent to wherever they are.
    pub webhook_hosts: PrivateHosts,
    /// To be rung by whoever has committed an event.
    pub bell: Bell,
    pub spend: SpendShards,
    pub accounts: Accounts,
    pub customer_accounts: CustomerAccounts,
    pub checkout: CheckoutParts,
    pub live_calls: LiveCalls,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub phase: PhaseCell,
    pub retention: Arc<Retention>,
    /// Calls that were refused and are not stored yet.
    pub refusals: Refusals,
    pub mcp: Mcp,
    pub data_dir: PathBuf,
    edge: ArcSwap<Edge>,
    /// Places for those who listen to the live feed.
    pub(super) listeners: Listeners,
    pub(super) logins: Logins,
    pub(super) turns: Turns,
    pub(super) idempotency: Running,
    /// Secrets on their way to the page that shows them.
    pub(super) reveals: Reveals,
    /// What the books said when somebody last asked on the dashboard.
    pub(super) proofs: Proofs,
    /// Made when somebody first asks for it.
    pub(super) directory: ArcSwapOption<Directory>,
    /// Set before the operator's listener opens; until then nobody is the operator.
    pub(super) operator_token: OnceLock<OperatorToken>,
}

impl AppState {
    pub fn new(parts: StateParts) -> Self {
        Self {
            logins: Logins::default(),
            edge: ArcSwap::from_pointee(Edge {
                management_limit: Arc::new(ManagementLimit::new(parts.management.requests_per_minute)),
                failure_limit: Arc::new(FailureLimit::new(parts.management.failed_credentials_per_minute)),
                trusted_proxies: parts.trusted_proxies,
                options: parts.management,
            }),
            turns: Turns::default(),
            idempotency: Running::default(),
            reveals: Reveals::default(),
            proofs: Proofs::default(),
            directory: ArcSwapOption::empty(),
            operator_token: OnceLock::new(),
            database: parts.database,
            keyring: parts.keyring,
            provider_keys: parts.provider_keys,
            customers: parts.customers,
            prices: parts.prices,
            tariffs: parts.tariffs,
            sealing: parts.sealing,
            webhook_hosts: parts.webhook_hosts,
            bell: parts.bell,
            spend: parts.spend,
            accounts: parts.accounts,
            customer_accounts: parts.customer_accounts,
            checkout: parts.checkout,
            live_calls: parts.live_calls,
            listeners: Listeners::default(),
            clock: parts.clock,
            metrics: parts.metrics,
            phase: parts.phase,
            retention: parts.retention,
            refusals: Refusals::default(),
            mcp: parts.mcp,
            data_dir: parts.data_dir,
        }
    }

    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// The limits in force, for a moment.
    pub fn edge(&self) -> Guard<Arc<Edge>> {
        self.edge.load()
    }

    /// Puts other limits in force. A limit that is the same goes on counting where it was.
    pub fn reload(&self, management: ManagementOptions, trusted_proxies: Vec<IpNet>) {
        let before = self.edge.load();
        let mut edge = Edge {
            management_limit: before.management_limit.clone(),
            failure_limit: before.failure_limit.clone(),
            trusted_proxies,
            options: management,
        };
        let (old, new) = (&before.options, &edge.options);
        if old.requests_per_minute != new.requests_per_minute {
            edge.management_limit = Arc::new(ManagementLimit::new(new.requests_per_minute));
        }
        if old.failed_credentials_per_minute != new.failed_credentials_per_minute {
            edge.failure_limit = Arc::new(FailureLimit::new(edge.options.failed_credentials_per_minute));
        }
        self.edge.store(Arc::new(edge));
        // It names the providers that have a credential.
        self.directory.store(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ready_server_serves() {
        let phase = PhaseCell::default();
        assert_eq!(phase.require_ready().unwrap_err().code(), ErrorCode::Starting);
        phase.clone().enter(Phase::Ready);
        assert!(phase.require_ready().is_ok());
        phase.enter(Phase::Stopping);
        assert_eq!(phase.require_ready().unwrap_err().code(), ErrorCode::Stopping);
    }
}
