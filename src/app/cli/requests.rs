//! `caldera requests`: single calls: the latest, one whole, or, with `--follow`, all as they come.

mod follow;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, query, segment};
use super::failure::{Failure, Outcome};
use super::output::{Column, Output, Sheet, fields, instant, items, text};
use super::refused::{self, RefusedArguments};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RequestArguments {
    #[command(subcommand)]
    command: Option<RequestCommand>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, Subcommand)]
enum RequestCommand {
    /// Shows the latest, newest first.
    List(ListArguments),
    /// Shows one whole.
    Show { id: String },
    /// Shows which calls were refused before anything was sent, and why.
    Refused(RefusedArguments),
}

#[derive(Clone, Debug, Args)]
struct ListArguments {
    /// At most this many, up to 100.
    #[arg(long, default_value_t = 25)]
    limit: u32,
    /// From where the list before ended (next_cursor).
    #[arg(long)]
    cursor: Option<String>,
    /// Goes on with new ones as they come, until it is interrupted.
    #[arg(long, short, conflicts_with = "cursor")]
    follow: bool,
    #[command(flatten)]
    filter: RequestFilter,
}

/// Which requests are meant.
#[derive(Clone, Debug, Default, Args)]
pub struct RequestFilter {
    /// Those of this spend key.
    #[arg(long, value_name = "ID")]
    pub key: Option<String>,
    /// Those of this customer.
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// Those on this meter.
    #[arg(long, value_name = "ID")]
    pub meter: Option<String>,
    /// Those with this metadata; as often as there are pairs.
    #[arg(long, value_name = "KEY=VALUE")]
    pub metadata: Vec<String>,
}

impl RequestFilter {
    /// As the API asks for them.
    pub fn pairs(&self) -> Result<[(&'static str, Option<String>); 4], Failure> {
        let pair = |text: &String| {
            let pair = text.split_once('=').map(|(key, value)| serde_json::json!([key, value]));
            pair.ok_or_else(|| Failure::Usage(format!("--metadata {text:?} must be KEY=VALUE")))
        };
        let metadata: Vec<Value> = self.metadata.iter().map(pair).collect::<Result<_, _>>()?;
        Ok([
            ("spend_key_id", self.key.clone()),
            ("customer_id", self.customer.clone()),
            ("meter_id", self.meter.clone()),
            (
                "metadata_filters",
                (!metadata.is_empty()).then(|| Value::from(metadata).to_string()),
            ),
        ])
    }

    /// The path of the one with this id, where it is among them.
    fn one(&self, id: &str) -> Result<String, Failure> {
        Ok(format!("{}&search={}", self.page(1, None)?, segment(id)))
    }

    /// The path of one page of them.
    pub fn page(&self, limit: u32, cursor: Option<&str>) -> Result<String, Failure> {
        let [key, customer, meter, metadata] = self.pairs()?;
        let place = [
            ("limit", Some(limit.to_string())),
            ("cursor", cursor.map(str::to_owned)),
        ];
        let [limit, cursor] = place;
        Ok(format!(
            "/requests{}",
            query([limit, cursor, key, customer, meter, metadata])
        ))
    }
}

pub async fn run(arguments: RequestArguments, client: &Client, output: Output) -> Outcome {
    match arguments.command {
        Some(RequestCommand::Show { id }) => {
            let found = client.get(&format!("/requests/{}", segment(&id))).await?;
            output.answer(&found, show)
        }
        Some(RequestCommand::Refused(arguments)) => refused::run(arguments, client, output).await,
        Some(RequestCommand::List(list)) => list_or_follow(&list, client, output).await,
        None => list_or_follow(&arguments.list, client, output).await,
    }
}

async fn list_or_follow(arguments: &ListArguments, client: &Client, output: Output) -> Outcome {
    if arguments.follow {
        return follow::run((&arguments.filter, arguments.limit), client, output).await;
    }
    let path = arguments.filter.page(arguments.limit, arguments.cursor.as_deref())?;
    output.answer(&client.get(&path).await?, show_list)
}

fn show_list(found: &Value) -> String {
    let list = items(found);
    if list.is_empty() {
        return "No requests.".to_owned();
    }
    let columns = [
        Column::Text("WHEN"),
        Column::Text("REQUEST"),
        Column::Text("STATUS"),
        Column::Text("MODEL"),
        Column::Text("PROVIDER"),
        Column::Number("INPUT"),
        Column::Number("OUTPUT"),
        Column::Number("COST"),
        Column::Number("CHARGE"),
    ];
    let sheet = Sheet::new(columns).rows_of(list, |row| {
        [
            instant(&row["created_at"]),
            text(&row["request_id"]),
            text(&row["status"]),
            text(&row["model"]),
            text(&row["provider"]),
            text(&row["model_usage"]["input_tokens"]),
            text(&row["model_usage"]["output_tokens"]),
            text(&row["cost"]),
            text(&row["charge"]["amount"]),
        ]
    });
    match found["next_cursor"].as_str() {
        None => sheet.render(),
        Some(cursor) => format!("{}\n\nmore: --cursor {cursor}", sheet.render()),
    }
}

fn show_line(row: &Value) -> String {
    let usage = &row["model_usage"];
    let line = format!(
        "{}  {}  {:9}  {}  {} in, {} out  {}",
        instant(&row["created_at"]),
        text(&row["request_id"]),
        text(&row["status"]),
        text(&row["model"]),
        text(&usage["input_tokens"]),
        text(&usage["output_tokens"]),
        text(&row["cost"]),
    );
    super::output::harmless(&line)
}

fn show(row: &Value) -> String {
    let usage = &row["model_usage"];
    let mut pairs: Vec<(&str, String)> = [
        ("request", "request_id"),
        ("attempt of", "attempt_of"),
        ("status", "status"),
        ("http status", "http_status"),
        ("provider", "provider"),
        ("model", "model"),
        ("endpoint", "endpoint"),
        ("spend key", "spend_key_id"),
        ("customer", "customer_id"),
        ("meter", "meter_id"),
        ("wallet", "wallet_id"),
        ("usage from", "usage_source"),
        ("streamed", "streaming"),
        ("simulated", "simulated"),
        ("cost", "cost"),
    ]
    .map(|(name, field)| (name, text(&row[field])))
    .into();
    pairs.push(("charge", text(&row["charge"]["amount"])));
    for part in row["charge"]["breakdown"].as_array().into_iter().flatten() {
        let tier = &part["tier"];
        let told = format!(
            "{} at {} from {}",
            text(&part["cost"]),
            text(&tier["rate"]),
            text(&tier["start"])
        );
        pairs.push(("  of a tier", told));
    }
    // What is nothing of a call's usage is left out.
    let counted = usage.as_object().into_iter().flatten();
    let counted =
        counted.filter(|(name, value)| value.as_u64().is_some_and(|count| count > 0) && !name.contains("total_c"));
    pairs.extend(counted.map(|(name, value)| (name.as_str(), text(value))));
    pairs.push(("metadata", text(&row["metadata"])));
    pairs.push(("began", instant(&row["created_at"])));
    pairs.push(("ended", instant(&row["timestamp"])));
    fields(pairs)
}
