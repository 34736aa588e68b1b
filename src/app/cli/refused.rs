//! `caldera requests refused`: which calls were refused before anything was sent, and why.

use clap::Args;
use serde_json::Value;

use super::client::{Client, query};
use super::failure::Outcome;
use super::output::{Column, Output, Sheet, instant, items, text};

#[derive(Debug, Args)]
pub struct RefusedArguments {
    /// Those of this spend key.
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Those for this reason, as spend_limit_reached.
    #[arg(long)]
    code: Option<String>,
    /// At most this many, up to 100.
    #[arg(long, default_value_t = 25)]
    limit: u32,
    /// From where the list before ended (next_cursor).
    #[arg(long)]
    cursor: Option<String>,
}

pub async fn run(arguments: RefusedArguments, client: &Client, output: Output) -> Outcome {
    let asked = query([
        ("spend_key_id", arguments.key),
        ("code", arguments.code),
        ("limit", Some(arguments.limit.to_string())),
        ("cursor", arguments.cursor),
    ]);
    output.answer(&client.get(&format!("/refusals{asked}")).await?, show)
}

fn show(found: &Value) -> String {
    let list = items(found);
    if list.is_empty() {
        return "Nothing was refused.".to_owned();
    }
    let columns = [
        Column::Text("LAST"),
        Column::Number("CALLS"),
        Column::Text("CODE"),
        Column::Text("KEY"),
        Column::Text("THE LAST ONE WAS TOLD"),
    ];
    let sheet = Sheet::new(columns).rows_of(list, |row| {
        [
            instant(&row["last_at"]),
            text(&row["call_count"]),
            text(&row["code"]),
            text(&row["spend_key_id"]),
            text(&row["message"]),
        ]
    });
    match found["next_cursor"].as_str() {
        None => sheet.render(),
        Some(cursor) => format!("{}\n\nmore: --cursor {cursor}", sheet.render()),
    }
}
