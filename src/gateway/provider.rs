//! The provider catalogue: which providers there are, where they live, how they take a credential, and which of their
//! endpoints the operator's credential may call. Read once at the start from `config/providers.toml` and the
//! environment; anything odd in either stops the start. A provider's credential is bound to its own row and goes to no
//! other address.

mod resolve;
mod row;

pub use resolve::{CredentialOwner, ListedModel, ResolveError, Target, Wanted};
pub use row::{CatalogueError, EndpointKind};

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::http::Uri;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use serde::Deserialize;
use url::Url;

use super::dialect::{Dialect, OutputCapField};
use row::{Endpoint, File, Row};

/// Whether calls go to the real providers or to the simulated one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demo {
    Off,
    /// Every provider is the simulated one at this address.
    Simulated(SocketAddr),
}

/// How a provider takes its credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialStyle {
    #[default]
    Bearer,
    XApiKey,
    XGoogApiKey,
    XiApiKey,
}

impl CredentialStyle {
    /// The header that carries a key, marked so that no log prints it.
    pub fn header(self, key: &str) -> Result<(HeaderName, HeaderValue), InvalidHeaderValue> {
        let (name, mut value) = match self {
            Self::Bearer => (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))?),
            Self::XApiKey => (HeaderName::from_static("x-api-key"), HeaderValue::from_str(key)?),
            Self::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), HeaderValue::from_str(key)?),
            Self::XiApiKey => (HeaderName::from_static("xi-api-key"), HeaderValue::from_str(key)?),
        };
        value.set_sensitive(true);
        Ok((name, value))
    }
}

/// One provider.
pub struct Provider {
    pub name: Arc<str>,
    pub dialect: Dialect,
    pub credential_style: CredentialStyle,
    /// The style outside the base address.
    outside_style: CredentialStyle,
    /// The operator's credential as the header that carries it.
    credential: Option<(HeaderName, HeaderValue)>,
    /// The variable that would hold the credential.
    pub key_variable: String,
    /// The address that clients know, without a slash at the end.
    public_base: Url,
    hosts: Vec<String>,
    /// The address that is called: the public one, the operator's override, or the simulated provider.
    base: Url,
    /// The row says that it may be of the operator's own network.
    private: bool,
    endpoints: Vec<(Endpoint, Option<Uri>)>,
    pub price_tags: Vec<Arc<str>>,
    pub price_prefixes: Vec<Arc<str>>,
    pub takes_stream_options: bool,
    pub output_cap_field: OutputCapField,
    /// Answers come from the simulated provider and must say so.
    pub simulated: bool,
}

impl Provider {
    /// The operator's credential, as the header to send.
    pub fn operator_credential(&self) -> Option<&(HeaderName, HeaderValue)> {
        self.credential.as_ref()
    }

    /// Whether the operator named the address himself.
    fn is_private(&self) -> bool {
        self.private || self.base != self.public_base
    }

    pub fn has_credential(&self) -> bool {
        self.credential.is_some()
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
}

impl Catalogue {
    /// Reads the catalogue file, and keys and addresses from the environment.
    pub fn load(text: &str, env: impl Fn(&str) -> Option<String>, demo: Demo) -> Result<Self, CatalogueError> {
        let file: File = toml::from_str(text).map_err(|error| CatalogueError::Unreadable(error.to_string()))?;
        let mut providers: Vec<Arc<Provider>> = Vec::with_capacity(file.provider.len());
        for row in file.provider {
            if providers.iter().any(|known| *known.name == row.name) {
                return Err(CatalogueError::Twice(row.name));
            }
            providers.push(Arc::new(row.into_provider(&file.endpoint, &env, demo)?));
        }
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            let own = |provider: &Arc<Provider>| *provider.name == *dialect.name() && provider.dialect == dialect;
            if !providers.iter().any(own) {
                return Err(CatalogueError::NoDefault(dialect.name()));
            }
        }
        Ok(Self { providers })
    }

    /// Adds hosts that callers may reach with a credential of their own; the operator has none for them.
    pub fn with_forward_hosts(mut self, hosts: &[String]) -> Result<Self, CatalogueError> {
        for host in hosts {
            let row = Row::of_host(host)?;
            self.providers
                .push(Arc::new(row.into_provider(&[], &|_| None, Demo::Off)?));
        }
        Ok(self)
    }

    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// The provider of this name, or with this prefix in the price book.
    pub fn find(&self, name: &str) -> Option<&Arc<Provider>> {
        let by_name = self.providers.iter().find(|provider| *provider.name == *name);
        by_name.or_else(|| {
            self.providers
                .iter()
                .find(|provider| provider.price_prefixes.iter().any(|prefix| **prefix == *name))
        })
    }

    /// Where the operator's own addresses lead: they need not be of the public internet.
    pub fn private_hosts(&self) -> impl Iterator<Item = (String, u16)> {
        let own = self.providers.iter().filter(|provider| provider.is_private());
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

#[cfg(test)]
mod tests;
