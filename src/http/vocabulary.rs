//! The words of older generations of the API, which its older clients still say: a connection is a customer, a product
//! a meter, a subscription config a plan. Bodies and queries are read in every generation's words; what answers say in
//! older words stands beside today's, in the resource's own file. A thing that is said twice, and differently, is
//! refused.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::fields::Fields;

/// What a meter of the generation before the last counted: there is no other way to count now.
pub const TOKEN_BASIS: &str = "input+output";
/// Who pays what a provider takes.
pub const BASE_COST_PAYER: &str = "merchant";

/// What older clients call a field of a body or a parameter of a query. The secrets of connections and products were
/// names in tokens: the id, the reference id or the slug stands where they stood.
pub fn older_names(name: &str) -> &'static [&'static str] {
    match name {
        "customer_id" => &["connection_id", "connection_secret"],
        "plan_id" => &["subscription_config_id"],
        "meter_id" => &["product_id"],
        "meter_slug" => &["meter_secret", "product_secret"],
        "meter_ids" => &["product_ids"],
        _ => &[],
    }
}

/// Whether this is what older clients call one of these.
pub fn is_older_name_of(older: &str, names: &[&str]) -> bool {
    names.iter().any(|name| older_names(name).contains(&older))
}

/// The spellings of a name that are among these fields, today's first.
pub fn spellings<'n>(fields: &Map<String, Value>, name: &'n str) -> impl Iterator<Item = &'n str> {
    let all = std::iter::once(name).chain(older_names(name).iter().copied());
    all.filter(|spelling| fields.contains_key(*spelling))
}

/// The fields of older meters, which may only say what is so anyway.
pub const METER_FIELDS: [&str; 3] = ["token_basis", "base_cost_payer", "service_charge_payer"];

/// Refuses a meter that is to count or to be paid for in a way that is no more.
pub fn check_meter(fields: &Fields) -> Result<(), ApiError> {
    let only = |name: &str, words: &[&str]| fields.word(name, words, |text| words.contains(&text).then_some(()));
    only("token_basis", &[TOKEN_BASIS])?;
    only("base_cost_payer", &[BASE_COST_PAYER])?;
    // There is no service charge, so it is all the same who pays it.
    only("service_charge_payer", &["merchant", "wallet"])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fields::Change;
    use serde_json::json;

    /// What a body says under `customer_id`, which older clients call `connection_id`.
    fn customer(body: Value) -> Result<Change<String>, ApiError> {
        Fields::of_body(body.as_object().unwrap(), &["customer_id"])?.text("customer_id", 5)
    }

    #[test]
    fn a_field_is_read_under_its_older_names_and_refused_by_the_one_that_was_used() {
        for body in [
            json!({ "customer_id": "c" }),
            json!({ "connection_id": "c" }),
            json!({ "connection_secret": "c" }),
            json!({ "connection_id": "c", "customer_id": "c" }),
        ] {
            assert_eq!(customer(body.clone()).unwrap(), Change::Set("c".to_owned()), "{body}");
        }
        assert_eq!(customer(json!({ "connection_id": null })).unwrap(), Change::Clear);
        let refused = [
            (json!({ "connection_id": 7 }), "connection_id"),
            (json!({ "connection_secret": "longer" }), "connection_secret"),
            (json!({ "customer_id": "c", "connection_id": "d" }), "connection_id"),
            (json!({ "customer_id": null, "connection_id": "d" }), "connection_id"),
            (json!({ "product_id": "c" }), "product_id"),
        ];
        for (body, param) in refused {
            assert_eq!(customer(body.clone()).unwrap_err().extra()["param"], param, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_changed_cannot_be_changed_under_an_older_name() {
        let body = json!({ "meter_secret": "s" });
        let fields = Fields::of_body(body.as_object().unwrap(), &["meter_slug"]).unwrap();
        let refusal = fields.refuse_change(&["meter_slug"]).unwrap_err();
        assert_eq!(refusal.extra()["param"], "meter_secret");
    }

    #[test]
    fn a_place_in_a_list_is_named_with_the_lists_older_name() {
        let body = json!({ "product_ids": ["a", 7] });
        let fields = Fields::of_body(body.as_object().unwrap(), &["meter_ids"]).unwrap();
        let refusal = fields
            .texts("meter_ids", "is no id", |text| Some(text.to_owned()))
            .unwrap_err();
        assert_eq!(refusal.extra()["param"], "product_ids[1]");
    }
}
