//! The catalogue file as it is written, and how a row becomes a provider with what the environment adds.

use actix_web::http::Uri;
use serde::Deserialize;
use url::Url;

use super::{CredentialStyle, Demo, Provider};
use crate::gateway::dialect::{Dialect, OutputCapField};

/// Why the catalogue cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    #[error("the provider catalogue cannot be read: {0}")]
    Unreadable(String),
    #[error("the provider catalogue names {0} twice")]
    Twice(String),
    #[error("the provider catalogue has no provider named {0}, which its dialect needs")]
    NoDefault(&'static str),
    #[error("{name} is not the address of a provider: {reason}")]
    Address { name: String, reason: &'static str },
    #[error("{variable} is not a key: it must be printable ASCII")]
    Key { variable: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) endpoint: Vec<Endpoint>,
    pub(super) provider: Vec<Row>,
}

/// What an endpoint is for, which says how its usage is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointKind {
    Chat,
    /// OpenAI's older form: a prompt in, a text out.
    Completions,
    Embeddings,
    /// Free.
    CountTokens,
    /// Free.
    Models,
    /// Anything else, reached with the caller's own credential only; nothing is read of it.
    Opaque,
}

impl EndpointKind {
    /// True where the provider bills nothing.
    pub const fn is_free(self) -> bool {
        match self {
            Self::CountTokens | Self::Models => true,
            Self::Chat | Self::Completions | Self::Embeddings | Self::Opaque => false,
        }
    }
}

/// A (method, path) pair that the operator's credential may call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    dialect: Dialect,
    pub(super) method: String,
    /// Behind the base address; `/*` at the end stands for one more segment.
    path: String,
    pub(super) kind: EndpointKind,
}

impl Endpoint {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn matches(&self, method: &str, path: &str) -> bool {
        self.method == method
            && match self.path.strip_suffix("/*") {
                Some(start) => path
                    .strip_prefix(start)
                    .and_then(|rest| rest.strip_prefix('/'))
                    .is_some_and(|segment| !segment.is_empty() && !segment.contains('/')),
                None => self.path == path,
            }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) name: String,
    base_url: String,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default = "openai")]
    dialect: Dialect,
    #[serde(default)]
    credential: CredentialStyle,
    outside_credential: Option<CredentialStyle>,
    #[serde(default)]
    key_variables: Vec<String>,
    #[serde(default)]
    price_tags: Vec<String>,
    #[serde(default)]
    price_prefixes: Vec<String>,
    #[serde(default = "yes")]
    takes_stream_options: bool,
    #[serde(default)]
    output_cap_field: OutputCapField,
    /// The address may be of the operator's own network.
    #[serde(default)]
    private: bool,
    endpoints: Option<Vec<EndpointKind>>,
}

const fn openai() -> Dialect {
    Dialect::OpenAi
}

const fn yes() -> bool {
    true
}

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Row {
    /// A host that the operator lists: reached with callers' credentials, on any path.
    pub(super) fn of_host(host: &str) -> Result<Self, CatalogueError> {
        let refused = |reason| CatalogueError::Address {
            name: host.to_owned(),
            reason,
        };
        let is_name = host.contains('.')
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        if !is_name {
            return Err(refused("it must be a host name, such as api.example.com"));
        }
        let row = Self {
            name: host.to_ascii_lowercase(),
            base_url: format!("https://{host}"),
            hosts: Vec::new(),
            dialect: Dialect::OpenAi,
            credential: CredentialStyle::Bearer,
            outside_credential: None,
            key_variables: Vec::new(),
            price_tags: Vec::new(),
            price_prefixes: Vec::new(),
            takes_stream_options: false,
            output_cap_field: OutputCapField::MaxTokens,
            private: false,
            endpoints: Some(Vec::new()),
        };
        let base = address(&row.name, &row.base_url)?;
        let is_domain = matches!(base.host(), Some(url::Host::Domain(_)));
        if is_domain {
            Ok(row)
        } else {
            Err(refused("it must be a host name, not an address"))
        }
    }

    pub(super) fn into_provider(
        self,
        endpoints: &[Endpoint],
        env: Env<'_>,
        demo: Demo,
    ) -> Result<Provider, CatalogueError> {
        let capitals = self.name.to_ascii_uppercase().replace('-', "_");
        let public_base = address(&self.name, &self.base_url)?;
        let base = match demo {
            Demo::Off => override_address(&format!("{capitals}_BASE_URL"), env)?.unwrap_or_else(|| public_base.clone()),
            Demo::Simulated(at) => address(&self.name, &format!("http://{at}/v1"))?,
        };
        let mut key_variables = self.key_variables;
        if key_variables.is_empty() {
            key_variables.push(format!("{capitals}_API_KEY"));
        }
        let key = match demo {
            Demo::Off => read_key(&key_variables, env),
            Demo::Simulated(_) => Some((String::new(), "simulated".to_owned())),
        };
        let credential = key.map(|(variable, key)| {
            self.credential
                .header(&key)
                .map_err(|_| CatalogueError::Key { variable })
        });
        let served = |endpoint: &&Endpoint| {
            let listed = self
                .endpoints
                .as_ref()
                .is_none_or(|kinds| kinds.contains(&endpoint.kind));
            listed && endpoint.dialect == self.dialect
        };
        let with_uri = |endpoint: &Endpoint| (endpoint.clone(), prebuilt(&base, &endpoint.path));
        Ok(Provider {
            endpoints: endpoints.iter().filter(served).map(with_uri).collect(),
            name: self.name.into(),
            dialect: self.dialect,
            credential_style: self.credential,
            outside_style: self.outside_credential.unwrap_or(self.credential),
            credential: credential.transpose()?,
            key_variable: key_variables.swap_remove(0),
            public_base,
            private: self.private,
            hosts: self.hosts,
            base,
            price_tags: self.price_tags.into_iter().map(Into::into).collect(),
            price_prefixes: self.price_prefixes.into_iter().map(Into::into).collect(),
            takes_stream_options: self.takes_stream_options,
            output_cap_field: self.output_cap_field,
            simulated: demo != Demo::Off,
        })
    }
}

/// The first of the variables that is set, with its value.
fn read_key(variables: &[String], env: Env<'_>) -> Option<(String, String)> {
    let set = |variable: &String| {
        let value = env(variable)?.trim().to_owned();
        (!value.is_empty()).then(|| (variable.clone(), value))
    };
    variables.iter().find_map(set)
}

fn override_address(variable: &str, env: Env<'_>) -> Result<Option<Url>, CatalogueError> {
    let value = env(variable).filter(|value| !value.trim().is_empty());
    value.map(|value| address(variable, value.trim())).transpose()
}

/// A base address without a slash at the end.
fn address(name: &str, text: &str) -> Result<Url, CatalogueError> {
    let refused = |reason| CatalogueError::Address {
        name: name.to_owned(),
        reason,
    };
    let mut url = Url::parse(text).map_err(|_| refused("it is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused("it must begin with http:// or https:// and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it must have no user, query or fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn prebuilt(base: &Url, path: &str) -> Option<Uri> {
    let is_plain = !path.ends_with('*');
    is_plain
        .then(|| format!("{}{path}", base.as_str().trim_end_matches('/')).parse().ok())
        .flatten()
}
