//! What SIGHUP does to the configuration: the file, the environment's secret files, the catalogue and its credentials
//! are read anew, checked whole, and only then put in force. It fails closed: whatever is refused leaves everything as it
//! was. Options that a running process cannot change are named, each time, until a restart takes them.

use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web;

use crate::gateway::Gateway;
use crate::gateway::egress::read_places;
use crate::http::state::AppState;

use super::StartError;
use super::catalogues::CatalogueSource;
use super::config::{Config, ConfigError};
use super::environment::Environment;
use super::purge::Purger;
use super::telemetry::{self, TelemetryError};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Settings(#[from] StartError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Options with new values, in force now.
    pub changed: Vec<String>,
    /// Those that wait for a restart.
    pub waiting: Vec<String>,
}

/// What a reload reaches.
pub struct ReloadParts {
    pub config: Config,
    pub source: CatalogueSource,
    pub gateway: Arc<Gateway>,
    pub state: web::Data<AppState>,
    pub purger: Purger,
}

/// Reloads, one at a time.
pub struct Reloader {
    /// With the configuration in force: what waits for a restart has its old value in it.
    parts: Mutex<ReloadParts>,
}

impl Reloader {
    pub fn new(parts: ReloadParts) -> Self {
        Self {
            parts: Mutex::new(parts),
        }
    }

    /// Blocks while it reads.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        // Each step below is whole, so a panic on the way spoils nothing.
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let environment = Environment::of_process();
        let read = Config::load(parts.config.file.as_deref(), &environment)?;
        let (next, waiting) = parts.config.renewed(read)?;
        let changed = parts.config.changed_options(&next);
        // Everything that can be refused comes before anything that takes effect.
        let settings = parts.source.load(&next, &environment)?;
        let webhook_hosts = read_places(&next.webhooks.allow_private_hosts).map_err(StartError::Webhooks)?;
        if next.log.filter != parts.config.log.filter {
            telemetry::set_filter(&next.log.filter)?;
        }
        parts.gateway.reload(settings);
        let state = &parts.state;
        state.reload(next.management.clone(), next.server.trusted_proxies.clone());
        state.webhook_hosts.become_as(&webhook_hosts);
        state.retention.set_options(next.retention);
        parts.purger.wake();
        parts.config = next;
        Ok(Reloaded { changed, waiting })
    }
}
