//! The catalogue file as it is written, and how a row becomes a provider with what the environment adds.

mod environment;

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use super::credentials::{Credentials, WeightedKey};
use super::face::{Face, Served};
use super::{CredentialStyle, Demo, Origin, Provider};
use crate::domain::credential::parse_kind;
use crate::gateway::dialect::{Dialect, OutputCapField};
use environment::{address, expanded, override_address, read_keys};

/// Why the catalogue cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    #[error("the provider catalogue cannot be read: {0}")]
    Unreadable(String),
    #[error("the file of more providers cannot be read: {0}")]
    MoreUnreadable(String),
    #[error("the provider catalogue names {0} twice")]
    Twice(String),
    #[error("the provider catalogue has no provider named {0}, which its dialect needs")]
    NoDefault(&'static str),
    #[error("{name} is not the address of a provider: {reason}")]
    Address { name: String, reason: &'static str },
    #[error("{0:?} is not the name of a provider: it must be made of lower-case letters, digits and hyphens")]
    Name(String),
    #[error("the alias {name:?} must stand for provider/model of a known provider, not for {target:?}")]
    Alias { name: String, target: String },
    #[error("{variable} is not a key: it must be printable ASCII")]
    Key { variable: String },
    #[error(
        "{variable} is a key of Caldera's, which provider {name} does not take; a Caldera behind this one is a row of its \
         own in files.more_providers"
    )]
    OwnKey { variable: String, name: String },
    #[error("{variable} is not a list of keys, as in key*2,key: {reason}")]
    Keys { variable: String, reason: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) endpoint: Vec<Endpoint>,
    pub(super) provider: Vec<Row>,
}

/// The operator's own rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct More {
    #[serde(default)]
    pub(super) provider: Vec<Row>,
    /// Names for models, each with `provider/model`.
    #[serde(default)]
    pub(super) aliases: BTreeMap<String, String>,
}

/// What an endpoint is for, which says how its usage is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointKind {
    Chat,
    /// OpenAI's older form: a prompt in, a text out.
    Completions,
    Embeddings,
    ImageGenerations,
    ImageEdits,
    Speech,
    /// A sound heard in its own language.
    Transcriptions,
    /// A sound heard in English.
    Translations,
    /// ElevenLabs' own form of speech.
    TextToSpeech,
    /// Free.
    CountTokens,
    /// Free.
    Models,
    /// Anything else, reached with the caller's own credential only; nothing is read of it.
    Opaque,
}

impl EndpointKind {
    /// The word on the wire, as in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::ImageGenerations => "image_generations",
            Self::ImageEdits => "image_edits",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::TextToSpeech => "text_to_speech",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::Opaque => "opaque",
        }
    }

    /// True where the provider bills nothing.
    pub const fn is_free(self) -> bool {
        match self {
            Self::CountTokens | Self::Models => true,
            Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::TextToSpeech
            | Self::Opaque => false,
        }
    }

    /// True where images or sound are made or heard. A provider has none of these unless its row says so.
    pub const fn is_media(self) -> bool {
        match self {
            Self::ImageGenerations
            | Self::ImageEdits
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::TextToSpeech => true,
            Self::Chat | Self::Completions | Self::Embeddings | Self::CountTokens | Self::Models | Self::Opaque => {
                false
            }
        }
    }
}

/// A (method, path) pair that the operator's credential may call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    pub(super) dialect: Dialect,
    pub(super) method: String,
    /// Behind the base address; `*` stands for one segment, `{model}` for the model's.
    pub(super) path: String,
    /// Where a stream is asked for, in dialects whose address says it.
    pub(super) stream_path: Option<String>,
    pub(super) kind: EndpointKind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) name: String,
    label: Option<String>,
    api_reference: Option<String>,
    /// A row without one has the address that its variable gives.
    base_url: Option<String>,
    /// False: it is there only where its variable gives an address.
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default = "openai")]
    dialect: Dialect,
    /// Other dialects that it speaks.
    #[serde(default)]
    also: Vec<Face>,
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
    echoes_reasoning: bool,
    #[serde(default)]
    output_cap_field: OutputCapField,
    /// The address may be of the operator's own network.
    #[serde(default)]
    private: bool,
    endpoints: Option<Vec<EndpointKind>>,
    #[serde(default)]
    media: Vec<EndpointKind>,
    #[serde(skip)]
    origin: Origin,
}

const fn openai() -> Dialect {
    Dialect::OpenAi
}

const fn yes() -> bool {
    true
}

/// The rows with the operator's in the places of those that they replace, and behind them.
pub(super) fn merged(shipped: Vec<Row>, more: Vec<Row>) -> Result<Vec<Row>, CatalogueError> {
    let mut rows = distinct(shipped)?;
    for mut row in distinct(more)? {
        row.origin = Origin::Operator;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if row.name.is_empty() || !row.name.bytes().all(is_name) {
            return Err(CatalogueError::Name(row.name));
        }
        match rows.iter_mut().find(|known| known.name == row.name) {
            Some(known) => *known = row,
            None => rows.push(row),
        }
    }
    Ok(rows)
}

fn distinct(rows: Vec<Row>) -> Result<Vec<Row>, CatalogueError> {
    let mut names = std::collections::HashSet::new();
    match rows.iter().find(|row| !names.insert(&row.name)) {
        Some(row) => Err(CatalogueError::Twice(row.name.clone())),
        None => Ok(rows),
    }
}

pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

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
            label: None,
            api_reference: None,
            base_url: Some(format!("https://{host}")),
            enabled: true,
            hosts: Vec::new(),
            dialect: Dialect::OpenAi,
            also: Vec::new(),
            credential: CredentialStyle::Bearer,
            outside_credential: None,
            key_variables: Vec::new(),
            price_tags: Vec::new(),
            price_prefixes: Vec::new(),
            takes_stream_options: false,
            echoes_reasoning: false,
            output_cap_field: OutputCapField::MaxTokens,
            private: false,
            endpoints: Some(Vec::new()),
            media: Vec::new(),
            origin: Origin::Operator,
        };
        let base = address(&row.name, &format!("https://{host}"))?;
        let is_domain = matches!(base.host(), Some(url::Host::Domain(_)));
        if is_domain {
            Ok(row)
        } else {
            Err(refused("it must be a host name, not an address"))
        }
    }

    /// The provider with what the environment adds; `None` where the row waits for an address that nobody gives.
    pub(super) fn into_provider(
        self,
        endpoints: &[Endpoint],
        env: Env<'_>,
        demo: Demo,
    ) -> Result<Option<Provider>, CatalogueError> {
        let capitals = self.name.to_ascii_uppercase().replace('-', "_");
        let given = override_address(&format!("{capitals}_BASE_URL"), env);
        let given = match demo {
            Demo::Off => given?,
            // Nothing is called there; it only says whether the provider is one of the operator's.
            Demo::Simulated(_) => given.unwrap_or_default(),
        };
        if !self.enabled && given.is_none() {
            return Ok(None);
        }
        let shipped = self
            .base_url
            .as_deref()
            .map(|url| address(&self.name, &expanded(url, env)));
        let Some(public_base) = shipped.transpose()?.or_else(|| given.clone()) else {
            return Ok(None);
        };
        let (base, private) = match (demo, given) {
            (Demo::Simulated(at), _) => (address(&self.name, &format!("http://{at}/v1"))?, true),
            (Demo::Off, Some(given)) => (given, true),
            (Demo::Off, None) => (public_base.clone(), self.private),
        };
        let mut key_variables = self.key_variables.clone();
        if key_variables.is_empty() {
            key_variables.push(format!("{capitals}_API_KEY"));
        }
        Ok(Some(Provider {
            circuit_name: format!("{} {base}", self.name).into(),
            endpoints: self.served(endpoints, &base),
            credentials: self.credentials(&key_variables, env, demo)?,
            label: self.label.unwrap_or_else(|| self.name.clone()),
            name: self.name.into(),
            api_reference: self.api_reference,
            dialect: self.dialect,
            credential_style: self.credential,
            outside_style: self.outside_credential.unwrap_or(self.credential),
            key_variable: key_variables.swap_remove(0),
            public_base,
            private,
            origin: if self.base_url.is_some() && !self.private {
                self.origin
            } else {
                Origin::Operator
            },
            hosts: self.hosts,
            base,
            price_tags: self.price_tags.into_iter().map(Into::into).collect(),
            price_prefixes: self.price_prefixes.into_iter().map(Into::into).collect(),
            takes_stream_options: self.takes_stream_options,
            echoes_reasoning: self.echoes_reasoning,
            output_cap_field: self.output_cap_field,
            simulated: demo != Demo::Off,
        }))
    }

    /// The operator's credentials; the simulated provider takes any.
    fn credentials(&self, variables: &[String], env: Env<'_>, demo: Demo) -> Result<Credentials, CatalogueError> {
        let found = match demo {
            Demo::Off => read_keys(variables, env)?.or_else(|| self.credential.keys_of_environment(env)),
            Demo::Simulated(_) => Some((String::new(), vec![WeightedKey::alone("simulated".to_owned())])),
        };
        let (variable, keys) = found.unwrap_or_default();
        // As `caldera env` sets it for tools; a server that is started from their shell would call itself.
        if self.origin == Origin::Catalogue && keys.iter().any(|weighted| parse_kind(&weighted.key).is_some()) {
            let name = self.name.clone();
            return Err(CatalogueError::OwnKey { variable, name });
        }
        let mut styles = vec![self.credential];
        styles.extend(self.also.iter().filter_map(|face| face.credential));
        Credentials::new(&styles, &keys).map_err(|_| CatalogueError::Key { variable })
    }

    fn served(&self, endpoints: &[Endpoint], base: &Url) -> Vec<Served> {
        let is_served = |endpoint: &&Endpoint| {
            let kinds = self.endpoints.as_ref().filter(|_| !endpoint.kind.is_media());
            let is_named = |kinds: &Vec<EndpointKind>| kinds.contains(&endpoint.kind);
            if endpoint.kind.is_media() {
                is_named(&self.media)
            } else {
                kinds.is_none_or(is_named)
            }
        };
        let own = Face::own(self.dialect, self.credential);
        let faces = std::iter::once(&own).chain(&self.also);
        let served = faces.flat_map(|face| {
            let spoken = endpoints.iter().filter(|endpoint| endpoint.dialect == face.dialect);
            let spoken = spoken.filter(is_served);
            spoken.map(|endpoint| Served::new(endpoint, face, self.credential, base))
        });
        served.collect()
    }
}
