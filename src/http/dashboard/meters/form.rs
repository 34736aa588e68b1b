//! The form of a meter: what was typed, as it goes to the API, with its tiers as rows of a table. A row with nothing in it
//! is no tier; a start may have commas in it, as people write large numbers.

use serde_json::{Map, Value, json};

use crate::http::dashboard::ask;
use crate::http::dashboard::form::{Form, object};
use crate::http::dashboard::sheet::Sheet;

/// One tier as it stands in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierRow {
    pub start: String,
    pub rate: String,
}

/// A form with what most people want.
pub fn blank() -> Sheet {
    sheet(|name| match name {
        "rate_type" => "fixed".to_owned(),
        "tier_type" => "tokens_1m".to_owned(),
        _ => String::new(),
    })
}

/// A meter as it is.
pub fn of_meter(meter: &Value) -> Sheet {
    sheet(|name| match name {
        "tier_type" => ask::array(meter, "tiers")
            .first()
            .map(|tier| ask::text(tier, "type"))
            .unwrap_or_default(),
        name => ask::text(meter, name),
    })
}

fn sheet(text: impl Fn(&str) -> String) -> Sheet {
    let names = ["name", "meter_slug", "rate_type", "tier_type", "tiers"];
    Sheet::new(names.map(|name| (name, text(name))))
}

/// The body that makes a meter.
pub fn creation(form: &Form) -> Map<String, Value> {
    let fields = object([
        ("name", Value::from(form.text("name"))),
        ("meter_slug", form.json_text("meter_slug")),
        ("rate_type", form.json_text("rate_type")),
        ("tier_type", form.json_text("tier_type")),
        ("tiers", tiers(form)),
    ]);
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// The body that changes one.
pub fn edit(form: &Form) -> Map<String, Value> {
    object([("name", Value::from(form.text("name"))), ("tiers", tiers(form))])
}

fn tiers(form: &Form) -> Value {
    TierRow::typed(form).iter().map(TierRow::json).collect()
}

impl TierRow {
    /// The first tier of a new meter, which begins at zero.
    pub fn first() -> Self {
        Self {
            start: "0".to_owned(),
            rate: String::new(),
        }
    }

    /// The tiers of a meter.
    pub fn of_meter(meter: &Value) -> Vec<Self> {
        let row = |tier: &Value| Self {
            start: match tier.get("start") {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            },
            rate: ask::text(tier, "rate"),
        };
        ask::array(meter, "tiers").iter().map(row).collect()
    }

    /// The rows that something was typed into, in their order. A first row that has its zero only is one of them, so that
    /// it is said what it lacks.
    pub fn typed(form: &Form) -> Vec<Self> {
        let rows = form.texts("tier_start").zip(form.texts("tier_rate"));
        let rows = rows.map(|(start, rate)| Self {
            start: start.to_owned(),
            rate: rate.to_owned(),
        });
        rows.filter(|row| !row.start.is_empty() || !row.rate.is_empty())
            .collect()
    }

    fn json(&self) -> Value {
        let start: String = self.start.chars().filter(|letter| *letter != ',').collect();
        json!({ "start": start, "rate": self.rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_nothing_in_them_are_no_tiers() {
        let form = Form::read(
            b"name=Tokens&rate_type=fixed&tier_type=tokens_1m&meter_slug=\
            &tier_start=0&tier_rate=2.00&tier_start=&tier_rate=&tier_start=1,000,000&tier_rate=1.5",
        );
        let body = creation(&form);
        let tiers = json!([{ "start": "0", "rate": "2.00" }, { "start": "1000000", "rate": "1.5" }]);
        assert_eq!(body["tiers"], tiers);
        assert!(!body.contains_key("meter_slug"));
        assert_eq!(edit(&form).keys().collect::<Vec<_>>(), ["name", "tiers"]);
    }
}
