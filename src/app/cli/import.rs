//! `caldera import litellm`: a LiteLLM proxy's configuration becomes a catalogue file of one's own, and its virtual keys
//! become spend keys of the same limits. Nothing is lost in silence: what has no place here is named with the reason.
//! Keys of providers are never written down; the variables that must hold them are named.

mod carried;
mod deployment;
mod litellm_keys;
mod settings;
mod yaml;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::config::Config;
use crate::domain::price::PriceBook;
use crate::gateway::provider::{Catalogue, Demo};

use super::PlaceArguments;
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::{Column, Output, Sheet, items, text};
use super::prices::write_whole;
use crate::app::catalogues::SHIPPED_PROVIDERS;
use crate::app::serving::SHIPPED_PRICES;

use carried::Carried;
use litellm_keys::{KeyImport, Minting};

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// From a LiteLLM proxy.
    Litellm(LitellmArguments),
}

#[derive(Debug, Args)]
pub struct LitellmArguments {
    /// The proxy's config.yaml.
    config_file: PathBuf,
    /// Its virtual keys as JSON: the answer of GET /key/list?return_full_object=true, or rows of
    /// LiteLLM_VerificationToken. Given once for each page of the list. Spend keys of the same limits are made, with new
    /// secrets.
    #[arg(long, value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Where the catalogue is written, for files.more_providers.
    #[arg(long, value_name = "FILE", default_value = "litellm-providers.toml")]
    out: PathBuf,
    /// Where prices that the configuration sets are written, for files.more_prices.
    #[arg(long, value_name = "FILE", default_value = "litellm-prices.json")]
    prices_out: PathBuf,
    /// Where the new secrets are written, readable by you only; without it they are shown.
    #[arg(long, value_name = "FILE", requires = "keys")]
    secrets_out: Option<PathBuf>,
    /// Which interface the keys are for.
    #[arg(long, value_parser = ["openai", "anthropic"], default_value = "openai")]
    request_shape: String,
    /// Writes over files that are there.
    #[arg(long)]
    force: bool,
    /// Shows it, and writes and makes nothing.
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(command: ImportCommand, (config, place): (&Config, &PlaceArguments), output: Output) -> Outcome {
    let ImportCommand::Litellm(arguments) = command;
    let tree = yaml::read(&read_file(&arguments.config_file)?)
        .map_err(|why| Failure::Failed(format!("{} is not YAML: {why}", arguments.config_file.display())))?;
    let shipped = Catalogue::load(SHIPPED_PROVIDERS, addresses, Demo::Off).map_err(Failure::failed)?;
    let (book, _) = PriceBook::parse(SHIPPED_PRICES).map_err(Failure::failed)?;
    let mut carried = Carried::from_config(&tree, &shipped, &book)?;
    settings::name_what_is_left(&tree, &mut carried);
    check(&carried)?;
    let keys = read_keys(&arguments, &carried)?;
    let mut answer = carried.as_json();
    answer["written"] = json!([]);
    let mut ended = Ok(());
    if arguments.dry_run {
        if let Some(keys) = &keys {
            answer["keys"] = keys.as_json();
        }
    } else {
        let wanted = files(&arguments, &carried)?;
        // Nothing is written before all that it takes has been found to be there.
        let minting = match keys {
            Some(keys) => {
                let client = Client::open(config, place)?;
                Some((Minting::begin(client, arguments.secrets_out.as_deref()).await?, keys))
            }
            None => None,
        };
        answer["written"] = json!(write_files(wanted)?);
        if let Some((minting, keys)) = minting {
            let minted = minting.make(keys, output).await;
            answer["keys"] = minted.keys;
            ended = minted.ended;
        }
    }
    output.answer(&answer, |answer| told(answer, &arguments, &carried))?;
    ended
}

fn read_keys(arguments: &LitellmArguments, carried: &Carried) -> Result<Option<KeyImport>, Failure> {
    if arguments.keys.is_empty() {
        return Ok(None);
    }
    let pages: Result<Vec<String>, Failure> = arguments.keys.iter().map(|path| read_file(path)).collect();
    KeyImport::read(&pages?, carried, &arguments.request_shape).map(Some)
}

/// Addresses for the shipped rows that wait for one, so that they are known here.
fn addresses(variable: &str) -> Option<String> {
    match variable {
        "AZURE_BASE_URL" => Some("https://unset.invalid/openai/v1".to_owned()),
        "OLLAMA_BASE_URL" => Some("http://localhost:11434/v1".to_owned()),
        _ => None,
    }
}

/// Refuses what the start would refuse.
fn check(carried: &Carried) -> Outcome {
    let environment = |name: &str| std::env::var(name).ok();
    let catalogue = carried.catalogue();
    Catalogue::load_with(SHIPPED_PROVIDERS, &catalogue, environment, Demo::Off)
        .map_err(|error| Failure::Failed(format!("what the file comes to would be refused: {error}")))?;
    let prices = carried.prices();
    PriceBook::merge(SHIPPED_PRICES, prices.as_deref())
        .map_err(|error| Failure::Failed(format!("the prices of the file would be refused: {error}")))?;
    Ok(())
}

/// What is to be written, where nothing is in the way.
fn files<'a>(arguments: &'a LitellmArguments, carried: &Carried) -> Result<Vec<(&'a PathBuf, String)>, Failure> {
    let prices = carried.prices().map(|text| (&arguments.prices_out, text));
    let wanted = [Some((&arguments.out, carried.catalogue())), prices];
    let wanted: Vec<(&PathBuf, String)> = wanted.into_iter().flatten().collect();
    match wanted.iter().find(|(path, _)| path.exists() && !arguments.force) {
        None => Ok(wanted),
        Some((path, _)) => Err(Failure::Failed(format!(
            "{} is there already; --force writes over it",
            path.display()
        ))),
    }
}

fn write_files(wanted: Vec<(&PathBuf, String)>) -> Result<Vec<&PathBuf>, Failure> {
    let mut written = Vec::new();
    for (path, text) in wanted {
        write_whole(path, &text)?;
        written.push(path);
    }
    Ok(written)
}

fn told(answer: &Value, arguments: &LitellmArguments, carried: &Carried) -> String {
    let mut parts = Vec::new();
    let aliases = Sheet::new([Column::Text("MODEL"), Column::Text("IS SERVED BY")]);
    let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let aliases = aliases.rows_of(&list("models"), |row| [text(&row["name"]), text(&row["target"])]);
    parts.push(aliases.render());
    let variables = Sheet::new(["VARIABLE", "IS SET", "HOLDS"].map(Column::Text));
    let variables = variables.rows_of(&list("variables"), |row| {
        ["name", "is_set", "holds"].map(|name| text(&row[name]))
    });
    if !variables.is_empty() {
        parts.push(format!("The server's environment needs:\n{}", variables.render()));
    }
    let left = Sheet::new([Column::Text("NOT CARRIED OVER"), Column::Text("WHY")]);
    let left = left.rows_of(&list("not_carried_over"), |row| [text(&row["what"]), text(&row["why"])]);
    if !left.is_empty() {
        parts.push(left.render());
    }
    if let Some(keys) = litellm_keys::told(&answer["keys"], arguments.secrets_out.as_deref()) {
        parts.push(keys);
    }
    if arguments.dry_run {
        parts.push(format!("The catalogue would be:\n\n{}", carried.catalogue()));
    } else {
        parts.push(next_steps(arguments, items(&json!({ "data": answer["written"] }))));
    }
    parts.join("\n\n")
}

fn next_steps(arguments: &LitellmArguments, written: &[Value]) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut lines = vec!["Written. In the configuration of the server, and then restart it:".to_owned()];
    lines.push("  [files]".to_owned());
    lines.push(format!("  more_providers = {:?}", absolute(&arguments.out)));
    if written.len() > 1 {
        lines.push(format!("  more_prices = {:?}", absolute(&arguments.prices_out)));
    }
    lines.join("\n")
}

fn read_file(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::Failed(format!("{} cannot be read: {error}", path.display())))
}
