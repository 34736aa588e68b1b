//! Logs: one subscriber for the whole process, writing to standard error, as text or as JSON.
//! It is started once, before anything that logs. Events carry no keys, prompts, answers or headers; that is the
//! promise of whoever logs, not enforced here.

use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt;
use tracing_subscriber::reload;

use super::config::{LogFormat, LogOptions};

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("not a log filter: {0}")]
    Filter(#[from] ParseError),
    #[error("logging was started twice")]
    Started,
    #[error("the log filter cannot be changed: {0}")]
    Reload(String),
}

/// Puts another filter in the place of the one in force.
type Replace = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Set once, when logging starts.
static REPLACE: OnceLock<Replace> = OnceLock::new();

/// Starts logging for the whole process.
pub fn start(options: &LogOptions) -> Result<(), TelemetryError> {
    let filter = parsed(&options.filter)?;
    let subscriber = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let (started, replace): (_, Replace) = match options.format {
        LogFormat::Text => {
            let subscriber = subscriber.with_ansi(is_terminal()).with_target(false);
            let subscriber = subscriber.with_filter_reloading();
            let handle = subscriber.reload_handle();
            (subscriber.try_init(), Box::new(move |filter| handle.reload(filter)))
        }
        LogFormat::Json => {
            let subscriber = subscriber.json().flatten_event(true).with_target(false);
            let subscriber = subscriber.with_filter_reloading();
            let handle = subscriber.reload_handle();
            (subscriber.try_init(), Box::new(move |filter| handle.reload(filter)))
        }
    };
    started.map_err(|_| TelemetryError::Started)?;
    REPLACE.set(replace).map_err(|_| TelemetryError::Started)
}

/// Logs by another filter from now on; nothing changes where it is refused, or where logging was never started.
pub fn set_filter(filter: &str) -> Result<(), TelemetryError> {
    let filter = parsed(filter)?;
    match REPLACE.get() {
        Some(replace) => replace(filter).map_err(|error| TelemetryError::Reload(error.to_string())),
        None => Ok(()),
    }
}

/// What the operator asks for, and behind it what no filter takes back: the SDK of the agents' protocol tells of each
/// session by its id, and of each call with all that is in it.
fn parsed(filter: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{filter},rmcp=off"))
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
