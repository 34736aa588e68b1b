//! `caldera dashboard`: a link that signs in to the dashboard once, within ten minutes. Only the operator of this machine
//! makes one; whoever has a secret key signs in with that. `--end-sessions` signs everybody out.

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::failure::Outcome;
use super::output::Output;

#[derive(Debug, Args)]
pub struct DashboardArguments {
    /// Where the browser finds the server, as https://ai.example.com; without it where applications call.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Makes no link, but signs everybody out and ends the links that nobody has used.
    #[arg(long, conflicts_with = "base_url")]
    end_sessions: bool,
}

pub async fn run(arguments: DashboardArguments, client: &Client, output: Output) -> Outcome {
    let body = match client.merchant() {
        Some(merchant) => json!({ "merchant_id": merchant }),
        None => json!({}),
    };
    if arguments.end_sessions {
        let ended = client.operate("/operator/dashboard_sessions/end", Some(&body)).await?;
        return output.answer(&ended, told);
    }
    let mut link = client.operate("/operator/dashboard_links", Some(&body)).await?;
    let base = arguments
        .base_url
        .as_deref()
        .unwrap_or(client.gateway())
        .trim_end_matches('/');
    let path = link.get("path").and_then(Value::as_str).unwrap_or_default();
    let url = format!("{base}{path}");
    if let Some(fields) = link.as_object_mut() {
        fields.insert("url".to_owned(), Value::from(url.as_str()));
    }
    output.answer(&link, |_| format!("{url}\nIt signs in once, within ten minutes."))
}

fn told(ended: &Value) -> String {
    let name = ended.get("merchant_name").and_then(Value::as_str).unwrap_or_default();
    let count = ended.get("ended_count").and_then(Value::as_u64).unwrap_or_default();
    format!("Everybody is signed out of the dashboard of {name}. Sessions that ended: {count}.")
}
