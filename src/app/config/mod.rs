//! The configuration: the defaults, then a file, then the environment, each over the one before.
//! Every option has its default in `config/default.toml`, which is also the list of what exists: an option that is not
//! there is refused by name and place, as is a value out of range. It fails closed: a server with a doubtful
//! configuration does not start. The provider credentials of the environment are read with the catalogue, not here.

mod layers;
mod ranges;
mod renewal;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::secret::Secret;
use crate::engine::options::{BillingOptions, JournalOptions, SpendKeyOptions};
use crate::engine::retention::RetentionOptions;
use crate::gateway::options::{GatewayOptions, WebhookOptions};
use crate::http::mcp::options::McpOptions;
use crate::http::options::{CheckoutOptions, ManagementOptions, OperatorOptions, ServerOptions};
use crate::storage::{DatabaseOptions, embedded};

use super::environment::{Environment, SecretError};
use layers::Layers;
use renewal::Values;

const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// Everything that can be set, checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: ServerOptions,
    pub operator: OperatorOptions,
    pub data: DataOptions,
    pub database: DatabaseOptions,
    pub journal: JournalOptions,
    pub billing: BillingOptions,
    pub spend_keys: SpendKeyOptions,
    pub gateway: GatewayOptions,
    pub management: ManagementOptions,
    pub webhooks: WebhookOptions,
    pub retention: RetentionOptions,
    pub checkout: CheckoutOptions,
    pub mcp: McpOptions,
    pub files: FileOptions,
    pub log: LogOptions,
    pub secrets: SecretOptions,
    /// The first merchant's secret key, from `CALDERA_BOOTSTRAP_SECRET_KEY` or its file only: never an option.
    #[serde(skip)]
    pub bootstrap_secret_key: Option<Secret<String>>,
    /// Where it was read from, for a reload.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    #[serde(skip)]
    values: Values,
}

/// `[data]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct DataOptions {
    /// Absolute once loaded.
    pub dir: PathBuf,
}

/// `[files]`: replacements of what is compiled in; an empty path means the shipped one, or none.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FileOptions {
    pub prices: PathBuf,
    /// The operator's own entries of the price book.
    pub more_prices: PathBuf,
    pub providers: PathBuf,
    /// The operator's own rows of the catalogue.
    pub more_providers: PathBuf,
    /// PEM certificates that vouch for providers beside the web's authorities.
    pub trusted_certificates: PathBuf,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// `[log]`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LogOptions {
    pub format: LogFormat,
    /// Directives as in `RUST_LOG`.
    pub filter: String,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

/// `[secrets]`: files of mode 0600; an empty path means the one in the data directory.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SecretOptions {
    pub pepper_file: PathBuf,
    pub seal_key_file: PathBuf,
}

/// Why a configuration is refused; each is one line that names the option and where it stands.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {path}: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("{place} is not TOML: {reason}")]
    Syntax { place: String, reason: String },
    #[error("unknown option `{option}` in {place}{hint}")]
    Unknown {
        option: String,
        place: String,
        hint: String,
    },
    #[error("option `{option}` in {place} {why}")]
    Refused { option: String, place: String, why: String },
    #[error("no data directory: set CALDERA_DATA_DIR, or HOME")]
    Homeless,
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Config {
    /// The configuration from the defaults, the file (`path`, else `CALDERA_CONFIG`) and these variables.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let mut layers = Layers::of_defaults(DEFAULTS)?;
        let named = environment.plain("CALDERA_CONFIG").map(PathBuf::from);
        let file = path.map(Path::to_owned).or(named);
        if let Some(path) = &file {
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
                path: path.display().to_string(),
                reason: error.to_string(),
            })?;
            layers.add_file(&path.display().to_string(), &text)?;
        }
        layers.add_environment(environment)?;
        ranges::check(&layers)?;
        let values = Values::of(&layers);
        let mut config: Self = layers.into_options()?;
        (config.file, config.values) = (file, values);
        config.data.dir = data_directory(&config.data.dir, environment)?;
        config.bootstrap_secret_key = environment.secret("CALDERA_BOOTSTRAP_SECRET_KEY")?.map(Secret::new);
        Ok(config)
    }
}

fn data_directory(configured: &Path, environment: &Environment) -> Result<PathBuf, ConfigError> {
    let directory = if !configured.as_os_str().is_empty() {
        configured.to_owned()
    } else if embedded::effective_user_id() == Some(0) {
        PathBuf::from("/var/lib/caldera")
    } else if let Some(home) = environment.plain("XDG_DATA_HOME") {
        Path::new(home).join("caldera")
    } else {
        let home = environment.plain("HOME").ok_or(ConfigError::Homeless)?;
        Path::new(home).join(".local/share/caldera")
    };
    std::path::absolute(&directory).map_err(|_| ConfigError::Homeless)
}

#[cfg(test)]
mod tests;
