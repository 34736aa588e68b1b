//! Logs: one subscriber for the whole process, writing to standard error, as text or as JSON.
//! It is started once, before anything that logs. Events carry no keys, prompts, answers or headers; that is the
//! promise of whoever logs, not enforced here.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::config::{LogFormat, LogOptions};

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("not a log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("logging was started twice")]
    Started,
}

/// Starts logging for the whole process.
pub fn start(options: &LogOptions) -> Result<(), TelemetryError> {
    // The SDK of the protocol tells of each session, by its id; what fails is told to the agent.
    let filter = EnvFilter::try_new(format!("rmcp=off,{}", options.filter))?;
    let subscriber = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match options.format {
        LogFormat::Text => subscriber.with_ansi(is_terminal()).with_target(false).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).with_target(false).try_init(),
    };
    started.map_err(|_| TelemetryError::Started)
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
