//! `caldera usage`: what was used and what it cost, by day as the server sums it up, or by key or model, summed up here
//! from the rows. Amounts are decimal text and never a float.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::domain::money::Money;

use super::client::{Client, query};
use super::failure::{Failure, Outcome};
use super::output::{Column, Output, Sheet, items, text};
use super::requests::RequestFilter;

const PAGE: u32 = 100;
/// Rows that are read at most for one sum.
const ROWS_LIMIT: usize = 200_000;

#[derive(Debug, Args)]
pub struct UsageArguments {
    /// How many days back, today among them.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// What each line stands for.
    #[arg(long, value_enum, default_value_t = By::Day)]
    by: By,
    #[command(flatten)]
    filter: RequestFilter,
}

/// What usage is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Day,
    Key,
    Model,
    Provider,
}

/// Sums over some requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub requests: u64,
    pub tokens: u64,
    pub cost: Money,
    pub charge: Money,
}

impl Sums {
    /// One more request.
    pub fn add(&mut self, row: &Value) {
        let amount = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).unwrap_or(Money::ZERO);
        // A call that was tried elsewhere first is one request.
        self.requests += u64::from(row["attempt_of"].is_null());
        self.tokens = self
            .tokens
            .saturating_add(row["model_usage"]["total_tokens"].as_u64().unwrap_or(0));
        self.cost = self.cost.saturating_add(amount(&row["cost"]));
        self.charge = self.charge.saturating_add(amount(&row["charge"]["amount"]));
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
            cost: self.cost.saturating_add(other.cost),
            charge: self.charge.saturating_add(other.charge),
        }
    }

    pub fn as_json(self) -> Value {
        json!({
            "total_requests": self.requests,
            "total_usage_tokens": self.tokens,
            "total_cost": self.cost,
            "total_charge": self.charge,
        })
    }
}

pub async fn run(arguments: UsageArguments, client: &Client, output: Output) -> Outcome {
    let today = Utc::now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    let start = today - TimeDelta::days(i64::from(arguments.days) - 1);
    let field = match arguments.by {
        By::Day => return by_day(&arguments.filter, start, client, output).await,
        By::Key => "spend_key_id",
        By::Model => "model",
        By::Provider => "provider",
    };
    let sums = sum_by(field, &arguments.filter, Some(start), (client, output)).await?;
    let listed: Vec<Value> = sums
        .iter()
        .map(|(name, sums)| {
            let mut item = sums.as_json();
            item[field] = Value::from(name.as_str());
            item
        })
        .collect();
    let answer = json!({ "start": start.to_rfc3339_opts(SecondsFormat::Secs, true), "items": listed });
    output.answer(&answer, |answer| show(&answer["items"], field))
}

async fn by_day(filter: &RequestFilter, start: DateTime<Utc>, client: &Client, output: Output) -> Outcome {
    let start = ("start", Some(start.to_rfc3339_opts(SecondsFormat::Secs, true)));
    let [key, customer, meter, metadata] = filter.pairs()?;
    let asked = query([start, key, customer, meter, metadata]);
    let report = client.get(&format!("/usage{asked}")).await?;
    output.answer(&report, |report| {
        let mut days = report["items"].as_array().cloned().unwrap_or_default();
        let mut totals = report["totals"].clone();
        totals["date"] = Value::from("all");
        days.push(totals);
        show(&Value::from(days), "date")
    })
}

/// The sums of the requests since `start`, told apart by a field of theirs, the dearest first.
pub async fn sum_by(
    field: &str,
    filter: &RequestFilter,
    start: Option<DateTime<Utc>>,
    (client, output): (&Client, Output),
) -> Result<Vec<(String, Sums)>, Failure> {
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    let since = start.map(|start| start.to_rfc3339_opts(SecondsFormat::Millis, true));
    let bar = output.progress(0, "requests");
    let (mut cursor, mut read) = (None::<String>, 0);
    loop {
        let page = client.get(&filter.page(PAGE, cursor.as_deref())?).await?;
        read += items(&page).len();
        bar.set_length(read as u64);
        bar.set_position(read as u64);
        // They come newest first, and instants in one form sort as texts.
        let is_meant = |row: &&Value| {
            since
                .as_deref()
                .is_none_or(|since| text(&row["created_at"]).as_str() >= since)
        };
        let meant: Vec<&Value> = items(&page).iter().filter(is_meant).collect();
        for row in &meant {
            sums.entry(text(&row[field])).or_default().add(row);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || meant.len() < items(&page).len() {
            break;
        }
        if read >= ROWS_LIMIT {
            return Err(Failure::Failed(format!(
                "these are more than {ROWS_LIMIT} requests; ask for fewer days or for one key, or by day"
            )));
        }
    }
    bar.finish_and_clear();
    let mut sums: Vec<(String, Sums)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.cost));
    Ok(sums)
}

fn show(list: &Value, field: &str) -> String {
    let title = match field {
        "date" => "DAY",
        "spend_key_id" => "KEY",
        "model" => "MODEL",
        _ => "PROVIDER",
    };
    let columns = [
        Column::Text(title),
        Column::Number("REQUESTS"),
        Column::Number("TOKENS"),
        Column::Number("COST"),
        Column::Number("CHARGE"),
    ];
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    if list.is_empty() {
        return "Nothing was used.".to_owned();
    }
    let sheet = Sheet::new(columns).rows_of(list, |item| {
        [
            text(&item[field]),
            text(&item["total_requests"]),
            text(&item["total_usage_tokens"]),
            text(&item["total_cost"]),
            text(&item["total_charge"]),
        ]
    });
    sheet.render()
}
