//! `caldera run -- TOOL`: mints a spend key for one run of a tool, within a budget, and says at its end what it cost. The
//! key is revoked whatever becomes of the tool; where even that fails, the key's expiry ends it. The tool's status is
//! the command's own.

mod child;
mod settlement;

use std::ffi::OsString;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use chrono::Utc;
use clap::Args;
use serde_json::{Value, json};

use crate::domain::money::Money;

use super::client::Client;
use super::failure::Failure;
use super::keys::secret_of;
use super::output::{Output, text};
use super::spend_flags::SpendFlags;
use super::tool::{KEY_VARIABLE, Tool};

use child::Program;
use settlement::settle;

const DEFAULT_BUDGET: &str = "1.00";

#[derive(Debug, Args)]
pub struct RunArguments {
    /// Dollars that the run may cost; without it a terminal is asked, and else it is 1.00.
    #[arg(long, value_name = "DOLLARS")]
    budget: Option<String>,
    /// A model that may be called, `*` for any run of characters; as often as there are models.
    #[arg(long = "model", value_name = "PATTERN")]
    models: Vec<String>,
    /// When the key ends by itself: in 30m, 12h or 7d, or at an instant.
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    expires: String,
    /// How the budget is held.
    #[arg(long, value_parser = ["adaptive", "strict", "soft", "observe"])]
    enforcement: Option<String>,
    /// Which interface the tool calls; without it what is known of the tool, and else openai.
    #[arg(long, value_parser = ["openai", "anthropic"])]
    request_shape: Option<String>,
    /// Which tool it is, where its program's name does not say it.
    #[arg(long, value_enum)]
    tool: Option<Tool>,
    /// Where the tool reaches the server, when it is not where this program does.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The program and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "TOOL"
    )]
    command: Vec<OsString>,
}

/// Runs the tool and answers with its status.
pub async fn run(arguments: RunArguments, client: &Client, output: Output) -> Result<ExitCode, Failure> {
    let Some((program, own)) = arguments.command.split_first() else {
        return Err(Failure::Usage("which tool?".to_owned()));
    };
    let tool = arguments.tool.unwrap_or_else(|| Tool::of_program(program));
    let shape = arguments.request_shape.as_deref().unwrap_or(tool.request_shape());
    let gateway = arguments
        .base_url
        .as_deref()
        .unwrap_or(client.gateway())
        .trim_end_matches('/');
    let setup = tool.setup(gateway, shape);
    let body = key_body(&arguments, program, shape)?;
    // From here on a signal ends the tool and not this: there is a key to be revoked.
    let signals = child::Signals::watch().map_err(Failure::failed)?;
    let made = client.post("/spend_keys", &body).await?;
    let id = text(&made["spend_key_id"]);
    let secret = secret_of(&made).unwrap_or_default();
    let mut variables: Vec<(&str, &str)> = vec![(KEY_VARIABLE, secret)];
    variables.extend(setup.addresses.iter().map(|(name, value)| (*name, value.as_str())));
    variables.extend(setup.keys.iter().map(|name| (*name, secret)));
    let ended = signals
        .run(&Program {
            program,
            arguments: setup.arguments_with(own),
            variables: &variables,
            without: &setup.without,
        })
        .await;
    let told = settle(client, &id, output).await;
    match (ended, told) {
        (Ok(status), Ok(())) => Ok(status),
        (Ok(status), Err(failure)) => {
            // The tool has ended as it has; what is wrong here is told beside.
            let code = failure.report(output);
            Ok(if status == ExitCode::SUCCESS { code } else { status })
        }
        (Err(failure), told) => {
            if let Err(other) = told {
                other.report(output);
            }
            Err(failure)
        }
    }
}

fn key_body(arguments: &RunArguments, program: &OsString, shape: &str) -> Result<Value, Failure> {
    let budget = match &arguments.budget {
        Some(budget) => budget.clone(),
        None => ask_for_budget()?,
    };
    let amount: Money = budget
        .trim_start_matches('$')
        .parse()
        .map_err(|why| Failure::Usage(format!("--budget {budget:?} {why}")))?;
    let flags = SpendFlags {
        models: arguments.models.clone(),
        expires: Some(arguments.expires.clone()),
        enforcement: arguments.enforcement.clone(),
        ..SpendFlags::default()
    };
    let mut body = flags.body(Utc::now())?;
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    body.insert(
        "name".to_owned(),
        Value::from(format!("run: {}", name.chars().take(200).collect::<String>())),
    );
    body.insert("spend_limit".to_owned(), json!({ "amount": amount, "cycle": "total" }));
    body.insert("request_shape".to_owned(), Value::from(shape));
    body.insert("tags".to_owned(), json!(["run"]));
    Ok(Value::Object(body))
}

fn ask_for_budget() -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(DEFAULT_BUDGET.to_owned());
    }
    eprint!("Dollars that this run may cost [{DEFAULT_BUDGET}]: ");
    std::io::stderr().flush().map_err(Failure::failed)?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Failure::failed)?;
    Ok(match line.trim() {
        "" => DEFAULT_BUDGET.to_owned(),
        budget => budget.to_owned(),
    })
}
