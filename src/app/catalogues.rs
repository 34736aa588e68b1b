//! The catalogues of providers: the shipped or the operator's rows, with the credentials of the environment, for live
//! merchants and for test merchants. Read at the start and at every reload; it fails closed, with one line that says
//! which row or variable is wrong.

use std::path::Path;
use std::sync::Arc;

use url::Host;

use crate::engine::provider_keys::ProviderKeys;
use crate::gateway::GatewaySettings;
use crate::gateway::provider::{Catalogue, Demo, Provider};
use crate::http::options::ServerOptions;

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
    let catalogue = catalogue.map_err(|error| refused(error.to_string()))?;
    match catalogue
        .providers()
        .iter()
        .find(|provider| is_own(provider, &config.server))
    {
        Some(own) if demo == Demo::Off => Err(refused(format!(
            "provider {0} is at {1}, which is this server itself; its address may come from a variable of a shell that \
             is meant for tools, as `caldera env` sets it",
            own.name,
            own.called_base()
        ))),
        _ => Ok(catalogue),
    }
}

/// Whether a call of this provider would come back to this server, and go round until nothing is left.
fn is_own(provider: &Provider, server: &ServerOptions) -> bool {
    let base = provider.called_base();
    let is_here = match base.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let is_named = base
        .host_str()
        .is_some_and(|host| host.trim_matches(['[', ']']) == server.host);
    base.port_or_known_default() == Some(server.port) && (is_here || is_named)
}

/// Whether any provider can be called with what the environment says.
pub(super) fn has_credentials(config: &Config) -> Result<bool, StartError> {
    let catalogue = load_catalogue(config, &Environment::of_process(), Demo::Off)?;
    Ok(catalogue.providers().iter().any(|provider| provider.has_credential()))
}

fn file_or(path: &Path, shipped: &str) -> Result<String, StartError> {
    if path.as_os_str().is_empty() {
        return Ok(shipped.to_owned());
    }
    std::fs::read_to_string(path).map_err(|error| StartError::Catalogue(format!("{}: {error}", path.display())))
}
