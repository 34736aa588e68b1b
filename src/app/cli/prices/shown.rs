//! A difference of two price books, for people and for programs: dollars for a million units, and by how much.

use serde_json::{Value, json};

use crate::app::cli::output::{Column, Sheet, text};
use crate::domain::money::Money;
use crate::domain::price::{Difference, ModelPrice, RateChange};

pub fn as_json(difference: &Difference) -> Value {
    let change = |rate: &RateChange| {
        json!({
            "unit": rate.what,
            "tier": rate.tier,
            "above_tokens": rate.above_tokens,
            "before": rate.before,
            "now": rate.now,
            "percent": rate.permille().map(percent),
        })
    };
    let changed = difference
        .changed
        .iter()
        .map(|model| json!({ "model": model.model, "rates": model.rates.iter().map(change).collect::<Vec<_>>() }));
    json!({
        "added": difference.added.iter().map(|price| added(price)).collect::<Vec<_>>(),
        "changed": changed.collect::<Vec<_>>(),
        "removed": difference.missing.iter().map(|price| price.id.to_string()).collect::<Vec<_>>(),
    })
}

fn added(price: &ModelPrice) -> Value {
    let rates = price.standard.base;
    json!({
        "model": price.id,
        "input": Money::from_nanos(rates.input),
        "output": Money::from_nanos(rates.output),
    })
}

/// A table of it, and how much there is of each.
pub fn told(difference: &Difference, leaps: &[String]) -> String {
    let columns = [
        Column::Text("MODEL"),
        Column::Text("A MILLION"),
        Column::Number("BEFORE"),
        Column::Number("NOW"),
        Column::Number("PERCENT"),
    ];
    let mut sheet = Sheet::new(columns);
    for price in &difference.added {
        for (unit, rate) in [
            ("input token", price.standard.base.input),
            ("output token", price.standard.base.output),
        ] {
            let now = Money::from_nanos(rate).to_string();
            sheet.row([
                price.id.to_string(),
                unit.to_owned(),
                String::new(),
                now,
                "new".to_owned(),
            ]);
        }
    }
    for model in &difference.changed {
        for rate in &model.rates {
            let rise = rate.permille().map_or_else(String::new, percent);
            sheet.row([
                model.model.to_string(),
                unit(rate),
                rate.before.to_string(),
                rate.now.to_string(),
                rise,
            ]);
        }
    }
    for price in &difference.missing {
        sheet.row([
            price.id.to_string(),
            String::new(),
            String::new(),
            String::new(),
            "gone".to_owned(),
        ]);
    }
    let counts = format!(
        "{} added, {} changed, {} removed",
        difference.added.len(),
        difference.changed.len(),
        difference.missing.len()
    );
    let mut text = if sheet.is_empty() {
        counts
    } else {
        format!("{}\n\n{counts}", sheet.render())
    };
    if !leaps.is_empty() {
        let list = leaps.join("\n  ");
        text.push_str(&format!(
            "\nten times off, refused by an import without --accept MODEL:\n  {list}"
        ));
    }
    text
}

/// What of LiteLLM's file could not be taken. A price under a field that is not known here would be free.
pub fn left_out(value: &Value) -> String {
    let entries = value["entries"].as_array().map_or(0, Vec::len);
    let fields = value["fields"].as_array().map_or(&[][..], Vec::as_slice);
    let prices: Vec<String> = fields.iter().map(text).filter(|name| name.contains("cost")).collect();
    let mut told = String::new();
    if entries > 0 {
        told.push_str(&format!(
            "\n{entries} entries have no price here and are left out (--json names them)"
        ));
    }
    if !prices.is_empty() {
        told.push_str(&format!(
            "\nprices that are not known here are left out: {}",
            prices.join(", ")
        ));
    }
    told
}

fn unit(rate: &RateChange) -> String {
    let tier = if rate.tier == "standard" {
        String::new()
    } else {
        format!(", {}", rate.tier)
    };
    match rate.above_tokens {
        0 => format!("{}{tier}", rate.what),
        above => format!("{}{tier}, above {above}", rate.what),
    }
}

/// Tenths of a percent as people write them.
fn percent(permille: i64) -> String {
    let sign = if permille < 0 { "-" } else { "+" };
    let size = permille.unsigned_abs();
    format!("{sign}{}.{}", size / 10, size % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_has_its_sign_and_one_decimal() {
        for (permille, shown) in [(500, "+50.0"), (-5, "-0.5"), (0, "+0.0"), (12_345, "+1234.5")] {
            assert_eq!(percent(permille), shown);
        }
    }
}
