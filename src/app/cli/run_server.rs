//! The commands that do their work in this process: the server, the simulated provider, and the migrations.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::app::catalogues;
use crate::app::config::Config;
use crate::app::simulator::{self, TlsListener};
use crate::app::{self, Providers, telemetry};
use crate::storage::{Database, lease, migrations};

use super::failure::Failure;
use super::output::Output;

#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Every provider is simulated; answers and rows say so.
    #[arg(long)]
    demo: bool,
    /// The same where no provider has a credential, and the real providers where one has.
    #[arg(long)]
    demo_if_no_credentials: bool,
}

#[derive(Debug, Args)]
pub struct SimulateArguments {
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// 0 takes a free port.
    #[arg(long, default_value_t = 9797)]
    port: u16,
    /// Serves TLS on this port too; 0 takes a free one.
    #[arg(long, requires = "certificate")]
    tls_port: Option<u16>,
    /// The PEM file of the certificate that is shown there.
    #[arg(long, requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// The PEM file of its key.
    #[arg(long)]
    certificate_key: Option<PathBuf>,
}

/// Runs the server until it is told to stop.
pub fn serve(config: &Config, arguments: &ServeArguments) -> Result<ExitCode, Failure> {
    telemetry::start(&config.log).map_err(Failure::failed)?;
    // What is wrong with the providers is said before anything is started or waited for.
    let is_demo = arguments.demo
        || (!catalogues::has_credentials(config).map_err(Failure::failed)? && arguments.demo_if_no_credentials);
    let providers = if is_demo { Providers::Simulated } else { Providers::Real };
    let served = actix_rt::System::new().block_on(app::serve(config.clone(), providers));
    served.map_err(Failure::failed)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the simulated provider until it is told to stop.
pub fn simulate_provider(arguments: &SimulateArguments) -> Result<ExitCode, Failure> {
    let bind = |port: u16| {
        let host = arguments.host.as_str();
        TcpListener::bind((host, port))
            .map_err(|error| Failure::Failed(format!("cannot listen on {host}:{port}: {error}")))
    };
    let listener = bind(arguments.port)?;
    let tls = match (arguments.tls_port, &arguments.certificate, &arguments.certificate_key) {
        (Some(port), Some(certificate), Some(key)) => {
            Some(TlsListener::new(bind(port)?, certificate, key).map_err(Failure::failed)?)
        }
        _ => None,
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let run = async {
        let simulator = simulator::start(simulator::SimulatorOptions { listener, workers, tls })?;
        if let Some(address) = simulator.tls_address {
            tell(&format!("listening for TLS on {address}"));
        }
        tell(&format!("listening on {}", simulator.address));
        simulator.server.await
    };
    actix_rt::System::new().block_on(run).map_err(Failure::failed)?;
    Ok(ExitCode::SUCCESS)
}

/// It serves on where nobody reads that.
fn tell(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// The private cluster is left to `serve`: stopping it here would take it away from a server that runs.
pub fn migrate(config: &Config, output: Output) -> Result<ExitCode, Failure> {
    if config.database.url.is_empty() {
        return Err(Failure::Failed(
            "DATABASE_URL is not set; the private Postgres is migrated by `caldera serve`".to_owned(),
        ));
    }
    let url = &config.database.url;
    let mut applied = migrations::begin(url).map_err(Failure::failed)?;
    let database = Database::connect(url, &config.database).map_err(Failure::failed)?;
    // A server that runs goes on with the tables that it knows; whoever migrates under it loses what it writes.
    let lease = lease::acquire(&database).map_err(|error| Failure::Failed(format!("{error}; stop it first")))?;
    applied.extend(migrations::migrate(url).map_err(Failure::failed)?);
    lease.release().map_err(Failure::failed)?;
    output.answer(&json!({ "applied": applied }), |_| {
        let mut text: String = applied.iter().map(|name| format!("applied {name}\n")).collect();
        text.push_str("the database is up to date");
        text
    })?;
    Ok(ExitCode::SUCCESS)
}
