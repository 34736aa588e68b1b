//! The limits of a LiteLLM key as ours: amounts by their digits, and durations as the cycles that there are.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use crate::domain::money::Money;

use super::wanted::is_set;

/// What bounds a key's spend.
pub enum Limit {
    None,
    UsedUp,
    Some { amount: Money, cycle: &'static str },
}

/// The limits of a key: its own, and where it has none those of the budget that it belongs to.
pub struct Limits<'r> {
    row: &'r Value,
    budget: &'r Value,
}

impl<'r> Limits<'r> {
    pub fn of(row: &'r Value) -> Self {
        Self {
            row,
            budget: &row["litellm_budget_table"],
        }
    }

    pub fn get(&self, field: &str) -> &'r Value {
        let own = &self.row[field];
        if own.is_null() { &self.budget[field] } else { own }
    }

    /// A whole number that bounds something.
    pub fn count(&self, field: &str) -> Result<Option<u64>, String> {
        let value = self.get(field);
        match value.as_u64() {
            None if value.is_null() => Ok(None),
            None => Err(format!("its {field} {value} is no whole number")),
            count => Ok(count),
        }
    }

    /// What bounds it that the row does not hold, or that is more than there can be here.
    pub fn stand_elsewhere(&self) -> Option<String> {
        let id = self.row["budget_id"].as_str().filter(|id| !id.is_empty());
        match id {
            Some(id) if !self.budget.is_object() => Some(format!("its budget {id} is not in the export")),
            Some(_) | None if is_set(self.get("budget_limits")) => Some("it has several budgets at once".to_owned()),
            Some(_) | None => None,
        }
    }

    /// A budget that never begins again is carried over as what is left of it.
    pub fn spend_limit(&self, notes: &mut Vec<String>) -> Result<Limit, String> {
        let holder = if self.row["max_budget"].is_null() {
            self.budget
        } else {
            self.row
        };
        let Some(budget) = dollars(&holder["max_budget"])? else {
            return Ok(Limit::None);
        };
        let duration = holder["budget_duration"].as_str().unwrap_or_default();
        let cycle = cycle_of(duration, notes);
        let spent = dollars(&self.row["spend"])?.unwrap_or(Money::ZERO);
        let amount = if cycle == "total" {
            budget.saturating_sub(spent)
        } else {
            budget
        };
        if cycle != "total" && spent > Money::ZERO {
            notes.push(format!("the {spent} spent in this cycle begin at nothing"));
        }
        if amount <= Money::ZERO {
            notes.push("its budget is used up: it is paused and has no limit yet".to_owned());
            return Ok(Limit::UsedUp);
        }
        Ok(Limit::Some { amount, cycle })
    }
}

/// A number of dollars by its digits, to the nano-dollar.
fn dollars(value: &Value) -> Result<Option<Money>, String> {
    let written = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => return Err(format!("{other} is no amount")),
    };
    let plain = match written.split_once(['e', 'E']) {
        // So small or so large an amount is none that somebody budgets.
        Some((_, exponent)) if exponent.starts_with('-') => "0".to_owned(),
        Some(_) => return Err(format!("{written} is too large")),
        None => written.clone(),
    };
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, "0"));
    let fraction: String = fraction.chars().take(9).collect();
    let amount = format!("{whole}.{fraction}").parse();
    amount.map(Some).map_err(|why| format!("{written} {why}"))
}

/// The cycle of a duration such as `30d`; where there is none of this length, the next longer one, which is stricter.
fn cycle_of(duration: &str, notes: &mut Vec<String>) -> &'static str {
    let end = duration
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(duration.len());
    let (count, unit) = duration.split_at(end);
    let count: u64 = count.parse().unwrap_or(1);
    let hours = match unit {
        "" if duration.is_empty() => return "total",
        "s" => count / 3600,
        "m" => count / 60,
        "h" => count,
        "d" => count.saturating_mul(24),
        "w" => count.saturating_mul(24 * 7),
        "mo" => count.saturating_mul(24 * 30),
        _ => match duration {
            "daily" => 24,
            "weekly" => 24 * 7,
            "monthly" => 24 * 30,
            _ => u64::MAX,
        },
    };
    let (cycle, is_equal) = match hours {
        0..=24 => ("daily", hours == 24),
        25..=168 => ("weekly", hours == 168),
        169..=744 => ("monthly", hours >= 28 * 24),
        745.. => ("total", false),
    };
    if !is_equal {
        notes.push(format!("a budget of {duration} has become {cycle}, which is stricter"));
    }
    cycle
}

/// When a key ends; one that has ended is not made.
pub fn expiry(value: &Value) -> Result<Option<String>, String> {
    let Some(text) = value.as_str() else { return Ok(None) };
    let at = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1))
        .map(|at| at.to_utc())
        .or_else(|_| {
            NaiveDateTime::parse_from_str(&text.replacen(' ', "T", 1), "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc())
        });
    let at = at.map_err(|_| format!("it expires at {text:?}, which is no instant"))?;
    if at <= Utc::now() {
        return Err("it has expired".to_owned());
    }
    Ok(Some(at.to_rfc3339()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_budget_has_the_cycle_of_its_duration_or_a_stricter_one() {
        let table = [
            ("", "total", 0),
            ("24h", "daily", 0),
            ("1d", "daily", 0),
            ("1h", "daily", 1),
            ("7d", "weekly", 0),
            ("3d", "weekly", 1),
            ("30d", "monthly", 0),
            ("1mo", "monthly", 0),
            ("14d", "monthly", 1),
            ("90d", "total", 1),
            ("monthly", "monthly", 0),
            ("sometimes", "total", 1),
        ];
        for (duration, cycle, said) in table {
            let mut notes = Vec::new();
            assert_eq!(
                (cycle_of(duration, &mut notes), notes.len()),
                (cycle, said),
                "{duration}"
            );
        }
    }

    #[test]
    fn an_amount_is_read_by_its_digits() {
        let table = [
            (json!(10), "10.00"),
            (json!(10.5), "10.50"),
            (json!("0.1234567891"), "0.123456789"),
            (json!(1e-7), "0.00"),
        ];
        for (value, amount) in table {
            assert_eq!(dollars(&value).unwrap().unwrap().to_string(), amount, "{value}");
        }
        assert!(dollars(&json!(-1)).is_err());
        assert!(dollars(&json!([])).is_err());
    }
}
