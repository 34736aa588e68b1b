//! The catalogues of providers: the shipped or the operator's rows, with the credentials of the environment, for live
//! merchants and for test merchants. Read at the start and at every reload; it fails closed, with one line that says
//! which row or variable is wrong.

use std::path::Path;
use std::sync::Arc;

use crate::engine::provider_keys::ProviderKeys;
use crate::gateway::GatewaySettings;
use crate::gateway::provider::{Catalogue, Demo};

use super::config::Config;
use super::environment::Environment;
use super::serving::Simulated;
use super::{Providers, StartError};

pub(super) const SHIPPED_PROVIDERS: &str = include_str!("../../config/providers.toml");

/// What is the same at every reading.
#[derive(Clone)]
pub struct CatalogueSource {
    pub simulated: Simulated,
    /// The credentials that merchants stored.
    pub stored: Arc<ProviderKeys>,
}

impl CatalogueSource {
    pub fn new(simulated: Simulated, stored: Arc<ProviderKeys>) -> Self {
        Self { simulated, stored }
    }

    /// The gateway's settings by this configuration.
    pub fn load(&self, config: &Config, environment: &Environment) -> Result<GatewaySettings, StartError> {
        let demo = match self.simulated.providers {
            Providers::Real => Demo::Off,
            Providers::Simulated => Demo::Simulated(self.simulated.address),
        };
        Ok(GatewaySettings {
            options: config.gateway.clone(),
            catalogue: self.catalogue(config, environment, demo)?,
            test_catalogue: self.catalogue(config, environment, Demo::Simulated(self.simulated.address))?,
        })
    }

    fn catalogue(&self, config: &Config, environment: &Environment, demo: Demo) -> Result<Catalogue, StartError> {
        Ok(load_catalogue(config, environment, demo)?.with_stored_keys(self.stored.clone()))
    }
}

/// The catalogue as its files and the environment make it.
pub(super) fn load_catalogue(config: &Config, environment: &Environment, demo: Demo) -> Result<Catalogue, StartError> {
    let providers = file_or(&config.files.providers, SHIPPED_PROVIDERS)?;
    let more = file_or(&config.files.more_providers, "")?;
    let refused = |reason: String| StartError::Catalogue(reason);
    let loaded = environment
        .lend(|find| Catalogue::load_with(&providers, &more, find, demo))
        .map_err(|error| refused(error.to_string()))?;
    let hosts = &config.gateway.forward_hosts;
    let catalogue = loaded.and_then(|catalogue| catalogue.with_forward_hosts(hosts));
    catalogue.map_err(|error| refused(error.to_string()))
}

fn file_or(path: &Path, shipped: &str) -> Result<String, StartError> {
    if path.as_os_str().is_empty() {
        return Ok(shipped.to_owned());
    }
    std::fs::read_to_string(path).map_err(|error| StartError::Catalogue(format!("{}: {error}", path.display())))
}
