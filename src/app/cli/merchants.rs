//! `caldera merchants`: the tenants of this machine's server.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::Client;
use super::failure::Outcome;
use super::output::{Column, Output, Sheet, fields, instant, items, text};

#[derive(Debug, Subcommand)]
pub enum MerchantCommand {
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

pub async fn run(command: MerchantCommand, client: &Client, output: Output) -> Outcome {
    match command {
        MerchantCommand::Create { name, test } => {
            let mode = if test { "test" } else { "live" };
            let body = json!({ "name": name, "mode": mode });
            let made = client.operate("/operator/merchants", Some(&body)).await?;
            output.answer(&made, show)
        }
        MerchantCommand::List => {
            let found = client.operate("/operator/merchants", None).await?;
            output.answer(&found, |found| show_list(items(found)))
        }
    }
}

fn show(merchant: &Value) -> String {
    fields([
        ("merchant", text(&merchant["merchant_id"])),
        ("name", text(&merchant["name"])),
        ("mode", text(&merchant["mode"])),
        ("wallet", text(&merchant["wallet_id"])),
        ("created", instant(&merchant["created_at"])),
    ])
}

fn show_list(merchants: &[Value]) -> String {
    let mut sheet = Sheet::new([
        Column::Text("MERCHANT"),
        Column::Text("NAME"),
        Column::Text("MODE"),
        Column::Text("WALLET"),
        Column::Text("FUNDING"),
        Column::Number("BALANCE"),
        Column::Number("HELD"),
    ]);
    for merchant in merchants {
        let own = ["merchant_id", "name", "mode"].map(|name| text(&merchant[name]));
        for wallet in merchant["wallets"].as_array().into_iter().flatten() {
            let paid = ["wallet_id", "funding", "balance", "reserved"].map(|name| text(&wallet[name]));
            sheet.row(own.clone().into_iter().chain(paid));
        }
    }
    sheet.render()
}
