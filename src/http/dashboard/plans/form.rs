//! The form of a plan: what was typed, as it goes to the API, with its bundles as rows of a table. A row with nothing in
//! it is no bundle, so that a form may have rows to spare.

use serde_json::{Map, Value, json};

use crate::http::dashboard::ask;
use crate::http::dashboard::form::{Form, object};
use crate::http::dashboard::sheet::Sheet;

/// One bundle as it stands in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleRow {
    /// Empty: it is new.
    pub id: String,
    pub name: String,
    pub cost: String,
    pub credit: String,
    pub is_removed: bool,
    pub is_default: bool,
}

/// A form with what most people want.
pub fn blank() -> Sheet {
    sheet(|name| match name {
        "billing_interval" => "month".to_owned(),
        "rollover_type" => "none".to_owned(),
        "bundle_rollover_type" => "full".to_owned(),
        _ => String::new(),
    })
}

/// A plan as it is.
pub fn of_plan(plan: &Value) -> Sheet {
    sheet(|name| ask::text(plan, name))
}

fn sheet(text: impl Fn(&str) -> String) -> Sheet {
    let names = [
        "name",
        "period_amount",
        "billing_interval",
        "included_credit",
        "rollover_type",
        "bundle_rollover_type",
        "meter_ids",
        "credit_bundles",
    ];
    Sheet::new(names.map(|name| (name, text(name))))
}

/// The body that makes a plan.
pub fn creation(form: &Form) -> Map<String, Value> {
    let rows = BundleRow::typed(form);
    let default = rows.iter().position(|row| row.is_default);
    let fields = object([
        ("name", Value::from(form.text("name"))),
        ("period_amount", form.json_text("period_amount")),
        ("billing_interval", form.json_text("billing_interval")),
        ("included_credit", form.json_text("included_credit")),
        ("rollover_type", form.json_text("rollover_type")),
        ("bundle_rollover_type", form.json_text("bundle_rollover_type")),
        ("meter_ids", meter_ids(form)),
        ("credit_bundles", rows.iter().map(BundleRow::json).collect()),
        ("default_auto_top_up_bundle_index", json!(default)),
    ]);
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// The body that changes one. Bundles of which nothing is said stay.
pub fn edit(form: &Form) -> Map<String, Value> {
    let rows = BundleRow::typed(form);
    let default = rows.iter().find(|row| row.is_default && !row.is_removed);
    object([
        ("name", Value::from(form.text("name"))),
        ("included_credit", Value::from(form.text("included_credit"))),
        ("rollover_type", form.json_text("rollover_type")),
        ("bundle_rollover_type", form.json_text("bundle_rollover_type")),
        ("meter_ids", meter_ids(form)),
        ("credit_bundles", rows.iter().map(BundleRow::json).collect()),
        (
            "default_auto_top_up_bundle_id",
            json!(default.map(|row| row.id.as_str())),
        ),
    ])
}

fn meter_ids(form: &Form) -> Value {
    form.texts("meter_ids").map(Value::from).collect()
}

impl BundleRow {
    /// The bundles of a plan.
    pub fn of_plan(plan: &Value) -> Vec<Self> {
        let default = ask::text(plan, "default_auto_top_up_bundle_id");
        let row = |bundle: &Value| {
            let id = ask::text(bundle, "credit_bundle_id");
            Self {
                name: ask::text(bundle, "name"),
                cost: ask::text(bundle, "cost"),
                credit: ask::text(bundle, "credit_amount"),
                is_removed: false,
                is_default: id == default,
                id,
            }
        };
        ask::array(plan, "credit_bundles").iter().map(row).collect()
    }

    /// The rows that something was typed into, in their order. Which is bought by itself is named by its id, or by its
    /// place among the rows where it is new.
    pub fn typed(form: &Form) -> Vec<Self> {
        let named = form.texts("bundle_id").zip(form.texts("bundle_name"));
        let priced = form.texts("bundle_cost").zip(form.texts("bundle_credit"));
        let removed: Vec<&str> = form.texts("bundle_removed").collect();
        let default = form.text("default_bundle");
        type Typed<'a> = ((&'a str, &'a str), (&'a str, &'a str));
        let row = |(place, ((id, name), (cost, credit))): (usize, Typed<'_>)| Self {
            id: id.to_owned(),
            name: name.to_owned(),
            cost: cost.to_owned(),
            credit: credit.to_owned(),
            is_removed: !id.is_empty() && removed.contains(&id),
            is_default: default
                == if id.is_empty() {
                    place.to_string()
                } else {
                    id.to_owned()
                },
        };
        named
            .zip(priced)
            .enumerate()
            .map(row)
            .filter(|row| {
                ![&row.id, &row.name, &row.cost, &row.credit]
                    .iter()
                    .all(|text| text.is_empty())
            })
            .collect()
    }

    fn json(&self) -> Value {
        if self.is_removed {
            return json!({ "credit_bundle_id": self.id, "is_deleted": true });
        }
        let mut bundle = json!({ "name": self.name, "cost": self.cost, "credit_amount": self.credit });
        if !self.id.is_empty() {
            bundle["credit_bundle_id"] = Value::from(self.id.as_str());
        }
        bundle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "bundle_id=&bundle_name=&bundle_cost=&bundle_credit=\
        &bundle_id=&bundle_name=Small&bundle_cost=9&bundle_credit=10\
        &bundle_id=cb_1&bundle_name=Large&bundle_cost=50&bundle_credit=60";

    #[test]
    fn rows_with_nothing_in_them_are_no_bundles() {
        let form = Form::read(format!("name=Pro&period_amount=25&{ROWS}&default_bundle=1").as_bytes());
        let body = creation(&form);
        assert_eq!(body["credit_bundles"].as_array().map(Vec::len), Some(2));
        assert_eq!(body["default_auto_top_up_bundle_index"], 0);
        assert!(!body.contains_key("included_credit"));
        assert_eq!(body["meter_ids"], json!([]));
    }

    #[test]
    fn an_edit_names_the_bundles_that_are_there() {
        let form = format!("name=Pro&included_credit=5&meter_ids=m_1&{ROWS}&default_bundle=cb_1");
        let body = edit(&Form::read(form.as_bytes()));
        let small = json!({ "name": "Small", "cost": "9", "credit_amount": "10" });
        assert_eq!(body["credit_bundles"][0], small);
        assert_eq!(body["credit_bundles"][1]["credit_bundle_id"], "cb_1");
        assert_eq!(body["default_auto_top_up_bundle_id"], "cb_1");
        let removed = edit(&Form::read(format!("{form}&bundle_removed=cb_1").as_bytes()));
        let gone = json!({ "credit_bundle_id": "cb_1", "is_deleted": true });
        assert_eq!(removed["credit_bundles"][1], gone);
        assert_eq!(removed["default_auto_top_up_bundle_id"], Value::Null);
    }
}
