//! `caldera prices`: what a price file would change of the book in force, and its import into the operator's own file.
//! The file is read as the start reads it, and nothing is written that the start would refuse: neither a field that is
//! not known, nor a price ten times off that nobody said is meant. It is written whole or not at all.

mod file;
mod shown;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::config::Config;
use crate::domain::price::PriceBook;

use super::PlaceArguments;
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::{Output, text};

pub use file::write as write_whole;
use file::{Proposal, Texts};

#[derive(Debug, Subcommand)]
pub enum PriceCommand {
    /// Puts the entries of a file into your own prices, and in force: one of the same form, or the one that LiteLLM
    /// publishes (model_prices_and_context_window.json), of which only what is new or other is taken.
    Import(ImportArguments),
    /// Shows what an import of a file would change of the book in force; without a file, what your own prices change of
    /// the shipped book.
    Diff(DiffArguments),
}

#[derive(Debug, Args)]
pub struct ImportArguments {
    /// A JSON file; - reads standard input.
    file: PathBuf,
    /// Where your own prices are written; without it what files.more_prices says.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArguments,
    /// A model whose price may leap; as often as there are models.
    #[arg(long, value_name = "MODEL")]
    accept: Vec<String>,
    /// Shows it and writes nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub struct DiffArguments {
    /// A JSON file; - reads standard input.
    file: Option<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArguments,
}

/// Which of the file's entries are meant.
#[derive(Debug, Args)]
pub struct ChoiceArguments {
    /// Only these models, `*` for any run of characters; as often as there are patterns.
    #[arg(long = "model", value_name = "PATTERN")]
    models: Vec<String>,
    /// Your own entries that the file does not have go.
    #[arg(long)]
    replace: bool,
}

pub async fn run(command: PriceCommand, (config, place): (&Config, &PlaceArguments), output: Output) -> Outcome {
    match command {
        PriceCommand::Diff(arguments) => diff(&arguments, config, output),
        PriceCommand::Import(arguments) => import(&arguments, (config, place), output).await,
    }
}

fn diff(arguments: &DiffArguments, config: &Config, output: Output) -> Outcome {
    let texts = Texts::read(config)?;
    let (before, now, proposal) = match &arguments.file {
        None => (texts.shipped_book()?, texts.book_in_force()?, None),
        Some(path) => {
            let proposal = Proposal::read(path, &arguments.choice, &texts)?;
            (texts.book_in_force()?, proposal.book(&texts)?, Some(proposal))
        }
    };
    let difference = now.difference_from(&before);
    let mut answer = shown::as_json(&difference);
    let leaps: Vec<String> = now.leaps_from(&before).iter().map(ToString::to_string).collect();
    answer["leaps"] = json!(leaps);
    answer["left_out"] = proposal.as_ref().map_or(Value::Null, Proposal::left_out);
    output.answer(&answer, |answer| {
        let told = shown::told(&difference, &leaps);
        let left_out = shown::left_out(&answer["left_out"]);
        format!("{told}{left_out}")
    })
}

async fn import(arguments: &ImportArguments, (config, place): (&Config, &PlaceArguments), output: Output) -> Outcome {
    let own = &config.files.more_prices;
    let target = match &arguments.out {
        Some(path) => path.clone(),
        None if own.as_os_str().is_empty() => {
            return Err(Failure::Usage(
                "there is no file for your own prices: name one by files.more_prices in the configuration, or by --out"
                    .to_owned(),
            ));
        }
        None => own.clone(),
    };
    let texts = Texts::read(config)?;
    let mut proposal = Proposal::read(&arguments.file, &arguments.choice, &texts)?;
    proposal.accept(&arguments.accept)?;
    let (before, now) = (texts.book_in_force()?, proposal.book(&texts)?);
    refuse_leaps(&now, &before)?;
    let difference = now.difference_from(&before);
    if !arguments.dry_run {
        file::write(&target, &proposal.own.write())?;
    }
    let mut answer = shown::as_json(&difference);
    answer["written"] = if arguments.dry_run { Value::Null } else { json!(target) };
    answer["left_out"] = proposal.left_out();
    answer["reloaded"] = if arguments.dry_run || target != *own {
        Value::Null
    } else {
        reload(&arguments.accept, (config, place)).await?
    };
    output.answer(&answer, |answer| {
        let told = shown::told(&difference, &[]);
        let left_out = shown::left_out(&answer["left_out"]);
        format!("{told}{left_out}\n{}", ending(answer))
    })
}

fn ending(answer: &Value) -> String {
    let reloaded = &answer["reloaded"];
    match (&answer["written"], reloaded["price_version"].as_u64()) {
        (Value::Null, _) => "nothing is written".to_owned(),
        (path, Some(version)) => format!("written to {}; in force as version {version}", text(path)),
        (path, None) if reloaded["error"].is_string() => {
            format!(
                "written to {}; it counts from the next start ({})",
                text(path),
                text(&reloaded["error"])
            )
        }
        (path, None) => format!(
            "written to {}; name it by files.more_prices for it to count",
            text(path)
        ),
    }
}

/// Leaps are refused here as the start and the reload refuse them.
fn refuse_leaps(now: &PriceBook, before: &PriceBook) -> Outcome {
    let leaps = now.leaps_from(before);
    if leaps.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = leaps.iter().map(|leap| format!("  {leap}")).collect();
    Err(Failure::Failed(format!(
        "prices are ten times off those in force, and nothing is written:\n{}\nWhere one is meant: --accept MODEL",
        told.join("\n")
    )))
}

/// Has the running server read its files anew; where none runs, the next start does.
async fn reload(accepted: &[String], (config, place): (&Config, &PlaceArguments)) -> Result<Value, Failure> {
    let client = match Client::open(config, place) {
        Ok(client) => client,
        Err(failure) => return Ok(json!({ "error": failure.message() })),
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(accepted.iter().map(|model| ("accept", model)));
    match client
        .operate(&format!("/prices/reload?{}", query.finish()), Some(&json!({})))
        .await
    {
        Ok(reloaded) => Ok(reloaded),
        Err(Failure::Refused(error)) => Err(Failure::Refused(error)),
        Err(failure) => Ok(json!({ "error": failure.message() })),
    }
}
