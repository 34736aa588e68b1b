//! The end of a run: the key takes no more calls, those that still run are awaited for a while, and when their rows are
//! there it is told what they cost and the key is revoked. Where the sums cannot be had the key is revoked all the same.

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::cli::client::{Client, segment};
use crate::app::cli::failure::{Failure, Outcome};
use crate::app::cli::output::{Column, Output, Sheet, text};
use crate::app::cli::requests::RequestFilter;
use crate::app::cli::usage::{Sums, sum_by};

const INTERVAL: Duration = Duration::from_millis(50);
/// How often it is asked whether calls still run, and whether their rows are there.
const LOOKS: u32 = 200;

/// Tells what the key's calls cost, and revokes it.
pub async fn settle(client: &Client, id: &str, output: Output) -> Outcome {
    let path = format!("/spend_keys/{}", segment(id));
    let sums = spent(client, id, &path, output).await;
    let revoked = client.delete(&path).await;
    let told = sums.map(|(key, by_model)| tell(&key, &by_model, output));
    revoked.map_err(|failure| {
        let why = failure.message();
        Failure::Failed(format!(
            "the key {id} of this run could not be revoked ({why}); it ends at its expiry"
        ))
    })?;
    told
}

/// The key as it ends, and its calls by model.
async fn spent(client: &Client, id: &str, path: &str, output: Output) -> Result<(Value, Vec<(String, Sums)>), Failure> {
    let mut key = client.patch(path, &json!({ "status": "paused" })).await?;
    for _ in 0..LOOKS {
        if key["reserved_spend"] == "0.00" {
            break;
        }
        tokio::time::sleep(INTERVAL).await;
        key = client.get(path).await?;
    }
    let filter = RequestFilter {
        key: Some(id.to_owned()),
        ..RequestFilter::default()
    };
    let mut by_model = Vec::new();
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(INTERVAL).await;
        }
        by_model = sum_by("model", &filter, None, (client, output)).await?;
        if total(&by_model).requests >= key["total_requests"].as_u64().unwrap_or(0) {
            break;
        }
    }
    Ok((key, by_model))
}

fn total(by_model: &[(String, Sums)]) -> Sums {
    by_model.iter().fold(Sums::default(), |all, (_, sums)| all.plus(*sums))
}

/// On standard error, because the tool's answer is on standard output.
fn tell(key: &Value, by_model: &[(String, Sums)], output: Output) {
    let all = total(by_model);
    let (cost, budget) = (text(&key["total_spend"]), text(&key["spend_limit"]["amount"]));
    if output == Output::Json {
        let models = by_model.iter().map(|(model, sums)| {
            let mut item = sums.as_json();
            item["model"] = Value::from(model.as_str());
            item
        });
        let run = json!({
            "spend_key_id": key["spend_key_id"],
            "total_cost": cost,
            "budget": budget,
            "total_requests": all.requests,
            "total_usage_tokens": all.tokens,
            "models": models.collect::<Vec<_>>(),
        });
        eprintln!("{run}");
        return;
    }
    let plural = if all.requests == 1 { "request" } else { "requests" };
    eprintln!(
        "caldera: the run cost {cost} of {budget} dollars, {} {plural}, {} tokens",
        all.requests, all.tokens
    );
    if by_model.len() < 2 && all.requests == 0 {
        return;
    }
    let columns = [
        Column::Text("MODEL"),
        Column::Number("REQUESTS"),
        Column::Number("TOKENS"),
        Column::Number("COST"),
    ];
    let mut sheet = Sheet::new(columns);
    for (model, sums) in by_model {
        let figures = [
            sums.requests.to_string(),
            sums.tokens.to_string(),
            sums.cost.to_string(),
        ];
        sheet.row(std::iter::once(model.clone()).chain(figures));
    }
    eprintln!("{}", sheet.render());
}
