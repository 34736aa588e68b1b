//! `caldera wallets`: how a wallet pays, and what is in it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::failure::Outcome;
use super::output::{Output, fields, text};

#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Shows the merchant's own wallet; `merchants list` shows all.
    Show,
    /// Changes how a wallet pays.
    Set {
        id: String,
        /// prepaid or postpaid.
        #[arg(long, value_parser = ["prepaid", "postpaid"])]
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

pub async fn run(command: WalletCommand, client: &Client, output: Output) -> Outcome {
    let wallet = match command {
        WalletCommand::Show => client.get("/wallet").await,
        WalletCommand::Set { id, funding } => {
            let path = format!("/operator/wallets/{}/funding", segment(&id));
            client.operate(&path, Some(&json!({ "funding": funding }))).await
        }
        WalletCommand::Fund { id, amount, note } => {
            let mut body = json!({ "amount": amount });
            if let Some(note) = note {
                body["note"] = Value::from(note);
            }
            let path = format!("/operator/wallets/{}/fund", segment(&id));
            client.operate(&path, Some(&body)).await
        }
    }?;
    output.answer(&wallet, |wallet| {
        fields([
            ("wallet", text(&wallet["wallet_id"])),
            ("funding", text(&wallet["funding"])),
            ("balance", text(&wallet["balance"])),
            ("held", text(&wallet["reserved"])),
        ])
    })
}
