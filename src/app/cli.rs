//! The command line. `serve`, `simulate-provider` and `migrate` do their work in this process; everything else asks
//! the running server over the operator's listener, so that nothing changes behind the back of its live state.
//! A command that fails says why in one line on standard error and ends with 1.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args, Parser, Subcommand};
use serde_json::{Map, Value, json};

use crate::storage::migrations;

use super::config::{Config, process_environment};
use super::operator_client::{OperatorCall, call};
use super::simulator::{self, TlsListener};
use super::{Providers, serve, telemetry};

/// A self-hosted AI gateway that controls spend and bills for usage.
#[derive(Debug, Parser)]
#[command(name = "caldera", version)]
struct Arguments {
    /// The configuration file; else CALDERA_CONFIG.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve {
        /// Every provider is simulated; answers and rows say so.
        #[arg(long)]
        demo: bool,
    },
    /// Runs a simulated provider that speaks OpenAI's and Anthropic's formats.
    SimulateProvider(SimulateArguments),
    /// Brings the database of DATABASE_URL to this program's schema; `serve` does so too.
    Migrate,
    /// Tenants.
    #[command(subcommand)]
    Merchants(MerchantCommand),
    /// Secret keys, wallet keys and spend keys.
    #[command(subcommand)]
    Keys(KeyCommand),
    /// What pays provider cost.
    #[command(subcommand)]
    Wallets(WalletCommand),
}

#[derive(Debug, Args)]
struct SimulateArguments {
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

#[derive(Debug, Subcommand)]
enum MerchantCommand {
    /// Makes a merchant and his wallet.
    Create {
        #[arg(long, default_value = "Merchant")]
        name: String,
        /// A test merchant: his calls never reach a real provider with the operator's live credentials.
        #[arg(long)]
        test: bool,
    },
    /// Shows all merchants with their wallets.
    List,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Makes a key and shows its secret this once.
    Create(KeyArguments),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("kind").required(true).args(["secret", "wallet", "spend"])))]
struct KeyArguments {
    /// A key of the management API.
    #[arg(long)]
    secret: bool,
    /// A key that only manages the spend keys of one wallet.
    #[arg(long)]
    wallet: bool,
    /// What an application calls with.
    #[arg(long)]
    spend: bool,
    #[arg(long, default_value = "From the command line")]
    name: String,
    /// Whose key; without it the wallet's owner, or else the first merchant.
    #[arg(long, value_name = "ID")]
    merchant: Option<String>,
    /// Which wallet; without it the merchant's own.
    #[arg(long, value_name = "ID", conflicts_with = "secret")]
    wallet_id: Option<String>,
    /// Dollars, as 5.00; only with --spend.
    #[arg(long, value_name = "DOLLARS", conflicts_with_all = ["secret", "wallet"])]
    spend_limit: Option<String>,
    /// daily, weekly, monthly or total.
    #[arg(long, default_value = "total", requires = "spend_limit")]
    cycle: String,
    /// openai or anthropic.
    #[arg(long, conflicts_with_all = ["secret", "wallet"])]
    request_shape: Option<String>,
    /// adaptive, strict, soft or observe.
    #[arg(long, conflicts_with_all = ["secret", "wallet"])]
    enforcement: Option<String>,
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Changes how a wallet pays.
    Set {
        id: String,
        /// prepaid or postpaid.
        #[arg(long)]
        funding: String,
    },
    /// Puts money into a wallet.
    Fund {
        id: String,
        /// Dollars, as 10.00.
        #[arg(allow_negative_numbers = true)]
        amount: String,
        #[arg(long)]
        note: Option<String>,
    },
}

/// The program.
pub fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    match run(config, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("caldera: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: Option<PathBuf>, command: Command) -> Result<(), String> {
    if let Command::SimulateProvider(arguments) = &command {
        return simulate_provider(arguments);
    }
    let config = Config::load(path.as_deref(), process_environment()).map_err(|error| error.to_string())?;
    match command {
        Command::Serve { demo } => run_server(config, if demo { Providers::Simulated } else { Providers::Real }),
        Command::Migrate => migrate(&config),
        Command::Merchants(command) => operate(&config, merchant_call(command)),
        Command::Keys(KeyCommand::Create(arguments)) => operate(&config, key_call(arguments)),
        Command::Wallets(command) => operate(&config, wallet_call(command)),
        // It is done above, because it needs no configuration.
        Command::SimulateProvider(_) => Ok(()),
    }
}

fn run_server(config: Config, providers: Providers) -> Result<(), String> {
    telemetry::start(&config.log).map_err(|error| error.to_string())?;
    actix_rt::System::new()
        .block_on(serve(config, providers))
        .map_err(|error| error.to_string())
}

fn simulate_provider(arguments: &SimulateArguments) -> Result<(), String> {
    let bind = |port: u16| {
        let host = arguments.host.as_str();
        TcpListener::bind((host, port)).map_err(|error| format!("cannot listen on {host}:{port}: {error}"))
    };
    let listener = bind(arguments.port)?;
    let tls = match (arguments.tls_port, &arguments.certificate, &arguments.certificate_key) {
        (Some(port), Some(certificate), Some(key)) => Some(TlsListener::new(bind(port)?, certificate, key)?),
        _ => None,
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let run = async {
        let simulator = simulator::start(simulator::SimulatorOptions { listener, workers, tls })?;
        if let Some(address) = simulator.tls_address {
            println!("listening for TLS on {address}");
        }
        println!("listening on {}", simulator.address);
        simulator.server.await
    };
    actix_rt::System::new().block_on(run).map_err(|error| error.to_string())
}

/// The private cluster is left to `serve`: stopping it here would take it away from a server that runs.
fn migrate(config: &Config) -> Result<(), String> {
    if config.database.url.is_empty() {
        return Err("DATABASE_URL is not set; the private Postgres is migrated by `caldera serve`".to_owned());
    }
    let applied = migrations::migrate(&config.database.url).map_err(|error| error.to_string())?;
    for name in &applied {
        println!("applied {name}");
    }
    println!("the database is up to date");
    Ok(())
}

fn operate(config: &Config, wanted: OperatorCall) -> Result<(), String> {
    let answer = call(config, wanted).map_err(|error| error.to_string())?;
    println!("{answer:#}");
    Ok(())
}

fn merchant_call(command: MerchantCommand) -> OperatorCall {
    match command {
        MerchantCommand::List => OperatorCall::read("/operator/merchants"),
        MerchantCommand::Create { name, test } => {
            let mode = if test { "test" } else { "live" };
            OperatorCall::send("/operator/merchants", json!({ "name": name, "mode": mode }))
        }
    }
}

fn key_call(arguments: KeyArguments) -> OperatorCall {
    let kind = match (arguments.secret, arguments.wallet) {
        (true, _) => "secret",
        (false, true) => "wallet",
        (false, false) => "spend",
    };
    let limit = arguments
        .spend_limit
        .map(|amount| json!({ "amount": amount, "cycle": arguments.cycle }));
    let fields = [
        ("kind", Some(Value::from(kind))),
        ("name", Some(Value::from(arguments.name))),
        ("merchant_id", arguments.merchant.map(Value::from)),
        ("wallet_id", arguments.wallet_id.map(Value::from)),
        ("spend_limit", limit),
        ("request_shape", arguments.request_shape.map(Value::from)),
        ("enforcement", arguments.enforcement.map(Value::from)),
    ];
    OperatorCall::send("/operator/keys", object(fields))
}

fn wallet_call(command: WalletCommand) -> OperatorCall {
    match command {
        WalletCommand::Set { id, funding } => OperatorCall::send(
            format!("/operator/wallets/{}/funding", segment(&id)),
            json!({ "funding": funding }),
        ),
        WalletCommand::Fund { id, amount, note } => {
            let fields = [("amount", Some(Value::from(amount))), ("note", note.map(Value::from))];
            OperatorCall::send(format!("/operator/wallets/{}/fund", segment(&id)), object(fields))
        }
    }
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let set = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(Map::from_iter(set))
}

/// An argument as one segment of a path.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn call_of(line: &str) -> Result<OperatorCall, clap::Error> {
        let arguments = Arguments::try_parse_from(line.split_whitespace())?;
        Ok(match arguments.command {
            Command::Merchants(command) => merchant_call(command),
            Command::Keys(KeyCommand::Create(arguments)) => key_call(arguments),
            Command::Wallets(command) => wallet_call(command),
            Command::Serve { .. } | Command::SimulateProvider(_) | Command::Migrate => panic!("{line}"),
        })
    }

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn each_command_says_what_it_asks_of_the_server() {
        let table = [
            ("caldera merchants list", "/operator/merchants", None),
            (
                "caldera merchants create --test --name T",
                "/operator/merchants",
                Some(json!({"name": "T", "mode": "test"})),
            ),
            (
                "caldera keys create --spend --name N --merchant mer_1 --spend-limit 5.00 --cycle daily",
                "/operator/keys",
                Some(json!({
                    "kind": "spend", "name": "N", "merchant_id": "mer_1",
                    "spend_limit": {"amount": "5.00", "cycle": "daily"},
                })),
            ),
            (
                "caldera keys create --wallet --wallet-id wal_1",
                "/operator/keys",
                Some(json!({"kind": "wallet", "name": "From the command line", "wallet_id": "wal_1"})),
            ),
            (
                "caldera keys create --secret --name S",
                "/operator/keys",
                Some(json!({"kind": "secret", "name": "S"})),
            ),
            (
                "caldera wallets set a/b --funding prepaid",
                "/operator/wallets/a%2Fb/funding",
                Some(json!({"funding": "prepaid"})),
            ),
            (
                "caldera wallets fund wal_1 10.00",
                "/operator/wallets/wal_1/fund",
                Some(json!({"amount": "10.00"})),
            ),
        ];
        for (line, path, body) in table {
            let call = call_of(line).unwrap();
            assert_eq!((call.path.as_str(), &call.body), (path, &body), "{line}");
        }
    }

    #[test]
    fn a_key_has_one_kind_and_only_spend_keys_have_limits() {
        for line in [
            "caldera keys create",
            "caldera keys create --secret --spend",
            "caldera keys create --secret --spend-limit 5",
            "caldera keys create --secret --wallet-id wal_1",
            "caldera wallets fund wal_1",
            "caldera wallets set wal_1",
        ] {
            assert!(call_of(line).is_err(), "{line}");
        }
    }
}
