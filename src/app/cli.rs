//! The command line, one file a noun. `serve`, `simulate-provider`, `migrate` and `check` do their work in this process;
//! everything else asks the running server, so that nothing changes behind the back of its live state. People get
//! tables, `--json` gives the server's own answers. A command that fails says why on standard error and ends with 1; one
//! that was called wrongly ends with 2.

mod check;
mod client;
mod completions;
mod customers;
mod dashboard;
mod doctor;
mod env;
mod failure;
mod finding;
mod import;
mod keys;
mod merchants;
mod output;
mod prices;
mod refused;
mod requests;
mod run;
mod run_server;
mod spend_flags;
mod tool;
mod usage;
mod wallets;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::config::Config;
use super::environment::Environment;
use super::health_check;

use client::Client;
use failure::Failure;
use output::Output;

/// A self-hosted AI gateway that controls spend and bills for usage.
#[derive(Debug, Parser)]
#[command(name = "caldera", version, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    place: PlaceArguments,
    #[command(subcommand)]
    command: Command,
}

/// Which server is meant, on whose behalf, and how the answer is written.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Where and how")]
pub struct PlaceArguments {
    /// The configuration file; else CALDERA_CONFIG.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another machine's server; else CALDERA_URL. Its secret key stands in --key-file, CALDERA_SECRET_KEY or
    /// LAVA_SECRET_KEY. Without an address the server of this machine is asked, with its operator's token.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The file that holds the secret key for --url.
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// For which merchant, on this machine's server; without it for the oldest.
    #[arg(long, global = true, value_name = "ID")]
    merchant: Option<String>,
    /// Writes the answers as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(run_server::ServeArguments),
    /// Looks whether the server would start with this configuration on this machine.
    Check,
    /// Asks the running server how it fares, and says what to do.
    Doctor,
    /// Brings the database of DATABASE_URL to this program's schema; `serve` does so too.
    Migrate,
    /// Asks the server of this configuration whether it is ready; ends with 1 where it is not.
    Health,
    /// Makes a link that signs in to the dashboard once.
    Dashboard(dashboard::DashboardArguments),
    /// Tenants.
    #[command(subcommand)]
    Merchants(merchants::MerchantCommand),
    /// Spend keys, secret keys and wallet keys.
    #[command(subcommand)]
    Keys(keys::KeyCommand),
    /// What pays provider cost.
    #[command(subcommand)]
    Wallets(wallets::WalletCommand),
    /// Whom a merchant bills.
    #[command(subcommand)]
    Customers(customers::CustomerCommand),
    /// What was used, and what it cost.
    Usage(usage::UsageArguments),
    /// Single calls: the latest, one whole, or all as they come.
    Requests(requests::RequestArguments),
    /// What models cost: an import of prices, and what one would change.
    #[command(subcommand)]
    Prices(prices::PriceCommand),
    /// Writes the lines that tell a tool in this shell to call here.
    Env(Box<env::EnvArguments>),
    /// Runs a tool with a key and a budget of its own, and says what it cost.
    Run(Box<run::RunArguments>),
    /// Takes over what another gateway was set up with.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Writes what a shell completes behind `caldera`.
    Completions(completions::CompletionArguments),
    /// Runs a simulated provider that speaks the providers' formats.
    SimulateProvider(run_server::SimulateArguments),
}

/// The program.
pub fn main() -> ExitCode {
    let Arguments { place, command } = Arguments::parse();
    let output = if place.json { Output::Json } else { Output::People };
    match run(&place, command, output) {
        Ok(code) => code,
        Err(failure) => failure.report(output),
    }
}

fn run(place: &PlaceArguments, command: Command, output: Output) -> Result<ExitCode, Failure> {
    let command = match command {
        Command::Serve(arguments) => return run_server::serve(&load(place)?, &arguments),
        Command::Migrate => return run_server::migrate(&load(place)?, output),
        Command::SimulateProvider(arguments) => return run_server::simulate_provider(&arguments),
        Command::Check => return check::run(place, output),
        Command::Health => {
            health_check::ask(&load(place)?.server).map_err(Failure::failed)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Completions(arguments) => {
            completions::run::<Arguments>(&arguments)?;
            return Ok(ExitCode::SUCCESS);
        }
        asking => asking,
    };
    let system = actix_rt::System::new();
    system.block_on(async { ask(place, command, output).await })
}

/// The commands that ask a server.
async fn ask(place: &PlaceArguments, command: Command, output: Output) -> Result<ExitCode, Failure> {
    let config = load(place)?;
    let command = match command {
        Command::Env(arguments) => {
            env::run(*arguments, (&config, place), output).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Prices(command) => {
            prices::run(command, (&config, place), output).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Import(command) => {
            import::run(command, (&config, place), output).await?;
            return Ok(ExitCode::SUCCESS);
        }
        asking => asking,
    };
    let client = Client::open(&config, place)?;
    match command {
        Command::Doctor => return doctor::run(&client, &config, output).await,
        Command::Run(arguments) => return run::run(*arguments, &client, output).await,
        Command::Dashboard(arguments) => dashboard::run(arguments, &client, output).await,
        Command::Merchants(command) => merchants::run(command, &client, output).await,
        Command::Keys(command) => keys::run(command, &client, output).await,
        Command::Wallets(command) => wallets::run(command, &client, output).await,
        Command::Customers(command) => customers::run(command, &client, output).await,
        Command::Usage(arguments) => usage::run(arguments, &client, output).await,
        Command::Requests(arguments) => requests::run(arguments, &client, output).await,
        // They are done in `run`, because they need no server.
        Command::Serve(_)
        | Command::Migrate
        | Command::SimulateProvider(_)
        | Command::Check
        | Command::Health
        | Command::Completions(_)
        | Command::Import(_)
        | Command::Env(_)
        | Command::Prices(_) => Ok(()),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn load(place: &PlaceArguments) -> Result<Config, Failure> {
    let config = Config::load(place.config.as_deref(), &Environment::of_process());
    config.map_err(|error| Failure::Failed(error.to_string()))
}

#[cfg(test)]
mod tests;
