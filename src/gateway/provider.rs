//! The provider catalogue: which providers there are, where they live, how they take a credential, and which of their
//! endpoints the operator's credential may call. Read once at the start from `config/providers.toml` and the
//! environment; anything odd in either stops the start. A provider's credential is bound to its own row and goes to no
//! other address.

mod aliases;
mod aws;
mod credentials;
mod face;
mod listing;
mod resolve;
mod row;
mod style;

pub use credentials::{CredentialCounts, Lease};
pub use listing::{ListedModel, Service};
pub use resolve::{CredentialOwner, Means, ResolveError, Target, Wanted};
pub use row::{CatalogueError, EndpointKind};
pub use style::{Credential, CredentialStyle, Sending};

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

#[cfg(test)]
use actix_web::http::header::{HeaderName, HeaderValue};
use url::Url;

use super::dialect::{Dialect, OutputCapField};
use crate::engine::provider_keys::ProviderKeys;
use aliases::Aliases;
use credentials::Credentials;
use face::Served;
use row::{File, More, Row};

/// Whether calls go to the real providers or to the simulated one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demo {
    Off,
    /// Every provider is the simulated one at this address.
    Simulated(SocketAddr),
}

/// Who wrote a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Origin {
    /// It stands in the catalogue, with an address that all the world knows.
    #[default]
    Catalogue,
    /// The operator: the address is his own business.
    Operator,
}

/// One provider.
pub struct Provider {
    pub name: Arc<str>,
    /// The name that people know.
    pub label: String,
    /// Where the provider describes its API.
    pub api_reference: Option<String>,
    pub dialect: Dialect,
    pub credential_style: CredentialStyle,
    /// The style outside the base address.
    outside_style: CredentialStyle,
    /// The operator's credentials.
    credentials: Credentials,
    /// The variable that would hold the credential.
    pub key_variable: String,
    /// The address that clients know, without a slash at the end.
    public_base: Url,
    hosts: Vec<String>,
    /// The address that is called: the public one, the operator's override, or the simulated provider.
    base: Url,
    /// Its name and that address.
    circuit_name: Box<str>,
    /// It may be of the operator's own network: the row says so, or the operator named the address himself.
    private: bool,
    origin: Origin,
    endpoints: Vec<Served>,
    pub price_tags: Vec<Arc<str>>,
    pub price_prefixes: Vec<Arc<str>>,
    pub takes_stream_options: bool,
    /// It wants back what a model thought before it called a tool.
    pub echoes_reasoning: bool,
    pub output_cap_field: OutputCapField,
    /// Answers come from the simulated provider and must say so.
    pub simulated: bool,
}

impl Provider {
    /// The operator's first credential, where it is a header.
    #[cfg(test)]
    pub fn operator_credential(&self) -> Option<&(HeaderName, HeaderValue)> {
        match self.credentials.first()? {
            Credential::Header(header) => Some(header),
            Credential::Query(_) | Credential::Aws(_) | Credential::Nothing => None,
        }
    }

    /// The name under which its failures are counted: those of one address.
    pub fn circuit_name(&self) -> &str {
        &self.circuit_name
    }

    /// The address that is called, without a slash at the end.
    pub fn called_base(&self) -> &Url {
        &self.base
    }

    /// The host that is called, with its port where it is not the usual one.
    pub fn called_host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Whether the operator's own calls are served: he has a credential, or none is needed.
    pub fn has_credential(&self) -> bool {
        !self.credentials.is_empty()
    }
}

/// The credential never shows, and the rest of the row is in the file.
impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Provider");
        shown
            .field("name", &self.name)
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// All providers, in the configured order.
#[derive(Debug)]
pub struct Catalogue {
    providers: Vec<Arc<Provider>>,
    /// The credentials that merchants stored, for their own calls.
    stored: Arc<ProviderKeys>,
    aliases: Aliases,
}

impl Catalogue {
    /// Reads the catalogue file, and keys and addresses from the environment.
    pub fn load(text: &str, env: impl Fn(&str) -> Option<String>, demo: Demo) -> Result<Self, CatalogueError> {
        Self::load_with(text, "", env, demo)
    }

    /// The same with the operator's rows: each replaces the row of its name, or stands behind the others.
    pub fn load_with(
        text: &str,
        more: &str,
        env: impl Fn(&str) -> Option<String>,
        demo: Demo,
    ) -> Result<Self, CatalogueError> {
        let file: File = toml::from_str(text).map_err(|error| CatalogueError::Unreadable(error.to_string()))?;
        let more: More = toml::from_str(more).map_err(|error| CatalogueError::MoreUnreadable(error.to_string()))?;
        let mut providers: Vec<Arc<Provider>> = Vec::with_capacity(file.provider.len() + more.provider.len());
        for row in row::merged(file.provider, more.provider)? {
            providers.extend(row.into_provider(&file.endpoint, &env, demo)?.map(Arc::new));
        }
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            let own = |provider: &Arc<Provider>| *provider.name == *dialect.name() && provider.dialect == dialect;
            if !providers.iter().any(own) {
                return Err(CatalogueError::NoDefault(dialect.name()));
            }
        }
        let is_provider = |name: &str| find(&providers, name).is_some();
        let aliases = Aliases::read(more.aliases, is_provider)?;
        Ok(Self {
            aliases,
            providers,
            stored: Arc::default(),
        })
    }

    /// Lets calls use the credentials that their merchants stored.
    pub fn with_stored_keys(mut self, stored: Arc<ProviderKeys>) -> Self {
        self.stored = stored;
        self
    }

    /// Adds hosts that callers may reach with a credential of their own; the operator has none for them.
    pub fn with_forward_hosts(mut self, hosts: &[String]) -> Result<Self, CatalogueError> {
        for host in hosts {
            let row = Row::of_host(host)?;
            let provider = row.into_provider(&[], &|_| None, Demo::Off)?;
            self.providers.extend(provider.map(Arc::new));
        }
        Ok(self)
    }

    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// The provider of this name, or with this prefix in the price book.
    pub fn find(&self, name: &str) -> Option<&Arc<Provider>> {
        find(&self.providers, name)
    }

    /// Where the operator's own addresses lead: they need not be of the public internet.
    pub fn private_hosts(&self) -> impl Iterator<Item = (String, u16)> {
        let own = self.providers.iter().filter(|provider| provider.private);
        own.filter_map(|provider| {
            let base = &provider.base;
            Some((
                base.host_str()?.trim_matches(['[', ']']).to_owned(),
                base.port_or_known_default()?,
            ))
        })
    }

    /// The public address of a provider, as `/forward/{provider}/...` means it.
    pub fn public_base(&self, name: &str) -> Option<&Url> {
        self.find(name).map(|provider| &provider.public_base)
    }
}

fn find<'p>(providers: &'p [Arc<Provider>], name: &str) -> Option<&'p Arc<Provider>> {
    let by_name = providers.iter().find(|provider| *provider.name == *name);
    by_name.or_else(|| {
        let is_prefix = |provider: &&Arc<Provider>| provider.price_prefixes.iter().any(|prefix| **prefix == *name);
        providers.iter().find(is_prefix)
    })
}

#[cfg(test)]
mod tests;
