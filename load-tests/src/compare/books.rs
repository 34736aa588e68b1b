//! Checks Caldera's books from outside: what its API says against what was sent and what the simulated provider counted.
//! Four figures, all of them zero when nothing was lost, billed twice, priced wrongly or left behind.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::{Days, Utc};
use serde::Serialize;
use serde_json::Value;

use super::arena::Arena;
use super::lane::Lane;
use super::management::Management;
use super::money::parse_nanos;
use crate::failure::Failure;

/// Nanodollars for a token of gpt-4o-mini, in and out.
const INPUT_PRICE_NANOS: i128 = 150;
const OUTPUT_PRICE_NANOS: i128 = 600;
/// How long rows may take to arrive.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(200);

/// The four figures and what they were made of.
#[derive(Serialize)]
pub struct Books {
    pub rows_minus_sent: i128,
    pub charged_minus_served_nanos: i128,
    pub past_limits_nanos: i128,
    pub held_nanos: i128,
    pub sent_count: u64,
    pub row_count: i128,
    pub charged_nanos: i128,
    pub served_nanos: i128,
    /// The sum of all keys' own totals; it must be what was charged.
    pub keys_total_nanos: i128,
}

impl Books {
    /// Whether nothing is wrong.
    pub fn balance(&self) -> bool {
        let figures = [
            self.rows_minus_sent,
            self.charged_minus_served_nanos,
            self.past_limits_nanos,
            self.held_nanos,
        ];
        figures == [0; 4] && self.keys_total_nanos == self.charged_nanos
    }
}

/// Waits until the rows have arrived, then reads and compares.
pub async fn check(arena: &Arena, sent_count: u64) -> Result<Books, Failure> {
    let mut management = arena.management();
    let deadline = Instant::now() + ARRIVAL_LIMIT;
    loop {
        let books = read(&mut management, &mut arena.ledger(), sent_count).await?;
        if books.balance() || Instant::now() > deadline {
            return Ok(books);
        }
        tokio::time::sleep(STEP).await;
    }
}

async fn read(management: &mut Management, ledger: &mut Management, sent_count: u64) -> Result<Books, Failure> {
    let (row_count, charged_nanos) = read_usage(management).await?;
    let keys = read_keys(management).await?;
    let served_nanos = read_served(ledger).await?;
    Ok(Books {
        rows_minus_sent: row_count - i128::from(sent_count),
        charged_minus_served_nanos: charged_nanos - served_nanos,
        past_limits_nanos: keys.past_limits_nanos,
        held_nanos: keys.held_nanos,
        sent_count,
        row_count,
        charged_nanos,
        served_nanos,
        keys_total_nanos: keys.total_nanos,
    })
}

async fn read_usage(management: &mut Management) -> Result<(i128, i128), Failure> {
    let yesterday = Utc::now()
        .checked_sub_days(Days::new(1))
        .unwrap_or_default()
        .format("%Y-%m-%dT00:00:00Z");
    let usage = management.get(&format!("/v1/usage?start={yesterday}")).await?;
    let totals = &usage["totals"];
    Ok((whole(totals, "total_requests")?, nanos(totals, "total_cost")?))
}

async fn read_served(ledger: &mut Management) -> Result<i128, Failure> {
    let ledger = ledger.get("/_sim/ledger").await?;
    let Some(model) = ledger["models"].get(Lane::Caldera.model()) else {
        return Ok(0);
    };
    Ok(whole(model, "input_tokens")? * INPUT_PRICE_NANOS + whole(model, "output_tokens")? * OUTPUT_PRICE_NANOS)
}

/// What all spend keys say together.
#[derive(Default)]
struct KeySums {
    total_nanos: i128,
    held_nanos: i128,
    past_limits_nanos: i128,
}

async fn read_keys(management: &mut Management) -> Result<KeySums, Failure> {
    let mut sums = KeySums::default();
    let mut seen_cursors = HashSet::new();
    let mut path = "/v1/spend_keys?limit=100".to_owned();
    loop {
        let page = management.get(&path).await?;
        for key in page["data"].as_array().into_iter().flatten() {
            sums.add(key)?;
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            return Ok(sums);
        };
        if !seen_cursors.insert(cursor.to_owned()) {
            return Err(Failure::new("the list of spend keys goes in a circle"));
        }
        path = format!("/v1/spend_keys?limit=100&cursor={}", percent_encoded(cursor));
    }
}

impl KeySums {
    fn add(&mut self, key: &Value) -> Result<(), Failure> {
        let limit = &key["spend_limit"];
        if !limit.is_null() {
            let past = nanos(key, "current_spend")? - nanos(limit, "amount")?;
            self.past_limits_nanos += past.max(0);
        }
        self.total_nanos += nanos(key, "total_spend")?;
        self.held_nanos += nanos(key, "reserved_spend")?;
        Ok(())
    }
}

fn nanos(object: &Value, field: &str) -> Result<i128, Failure> {
    let found = object[field].as_str().and_then(parse_nanos);
    found.ok_or_else(|| Failure::new(format!("{field} is not a decimal string: {}", object[field])))
}

/// A whole number, written as a number or as a string.
fn whole(object: &Value, field: &str) -> Result<i128, Failure> {
    let value = &object[field];
    let found = value.as_i64().map(i128::from).or_else(|| value.as_str()?.parse().ok());
    found.ok_or_else(|| Failure::new(format!("{field} is not a whole number: {value}")))
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(current: &str, total: &str, held: &str) -> Value {
        let limit = json!({ "amount": "1.00", "cycle": "daily" });
        json!({ "spend_limit": limit, "current_spend": current, "total_spend": total, "reserved_spend": held })
    }

    #[test]
    fn what_one_key_is_past_its_limit_is_not_made_up_by_another() {
        let mut sums = KeySums::default();
        sums.add(&key("0.10", "3.00", "0.00")).unwrap();
        sums.add(&key("1.000000002", "2.00", "0.000000007")).unwrap();
        assert_eq!(
            (sums.past_limits_nanos, sums.held_nanos, sums.total_nanos),
            (2, 7, 5_000_000_000)
        );
    }

    #[test]
    fn a_missing_field_is_a_failure_and_not_a_zero() {
        let mut without_holds = key("0", "0", "0");
        without_holds.as_object_mut().unwrap().remove("reserved_spend");
        assert!(KeySums::default().add(&without_holds).is_err());
        assert!(whole(&json!({}), "total_requests").is_err());
    }

    #[test]
    fn each_of_the_figures_alone_breaks_the_balance() {
        let books = |figures: [i128; 5]| Books {
            rows_minus_sent: figures[0],
            charged_minus_served_nanos: figures[1],
            past_limits_nanos: figures[2],
            held_nanos: figures[3],
            sent_count: 0,
            row_count: 0,
            charged_nanos: 0,
            served_nanos: 0,
            keys_total_nanos: figures[4],
        };
        assert!(books([0; 5]).balance());
        for index in 0..5 {
            let mut figures = [0; 5];
            figures[index] = -1;
            assert!(!books(figures).balance(), "{index}");
        }
    }

    #[test]
    fn a_cursor_is_percent_encoded() {
        assert_eq!(percent_encoded("a+b/c==~"), "a%2Bb%2Fc%3D%3D~");
    }
}
