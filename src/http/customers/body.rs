//! The body of a customer's creation or change. Fields that are not known are ignored: none here sets a limit or a
//! price. What is known and breaks its rule is refused by name.

use serde_json::{Map, Value};

use crate::domain::customer::{self, CustomerFields, TEXT_LENGTH_MAX};
use crate::http::error::ApiError;
use crate::http::fields::{Change, Fields};

/// What a body says of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerChange {
    reference_id: Change<String>,
    name: Change<String>,
    email: Change<String>,
    phone: Change<String>,
    metadata: Change<Map<String, Value>>,
}

impl CustomerChange {
    pub fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let fields = Fields::of_open_body(body);
        let own = |text: &str| Some(text.to_owned());
        let email = "must be an email address such as \"jane@example.com\"";
        let phone = "must be a telephone number as E.164 has it, such as \"+15551234567\"";
        Ok(Self {
            reference_id: read_reference_id(&fields)?,
            name: fields.text("name", TEXT_LENGTH_MAX)?,
            email: fields.parsed("email", email, |text| own(text).filter(|text| customer::is_email(text)))?,
            phone: fields.parsed("phone", phone, |text| own(text).filter(|text| customer::is_phone(text)))?,
            metadata: read_metadata(&fields)?,
        })
    }

    pub fn apply(self, fields: &mut CustomerFields) {
        self.reference_id.apply(&mut fields.reference_id);
        self.name.apply(&mut fields.name);
        self.email.apply(&mut fields.email);
        self.phone.apply(&mut fields.phone);
        self.metadata.apply(&mut fields.metadata);
    }
}

fn read_reference_id(fields: &Fields<'_>) -> Result<Change<String>, ApiError> {
    let change = fields.text("reference_id", TEXT_LENGTH_MAX)?;
    match &change {
        Change::Set(text) if !customer::is_reference_id(text) => {
            let what = format!("must not begin with `{}`, as customers' ids do", customer::ID_PREFIX);
            Err(ApiError::invalid("reference_id", what))
        }
        Change::Keep | Change::Clear | Change::Set(_) => Ok(change),
    }
}

fn read_metadata(fields: &Fields<'_>) -> Result<Change<Map<String, Value>>, ApiError> {
    let change = fields.map("metadata")?;
    if let Change::Set(metadata) = &change {
        customer::check_metadata(metadata).map_err(|rule| ApiError::invalid("metadata", rule))?;
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Result<CustomerChange, ApiError> {
        CustomerChange::read(body.as_object().unwrap())
    }

    #[test]
    fn every_field_is_refused_by_its_name() {
        let many: Map<String, Value> = (0..101).map(|number| (format!("k{number}"), json!("v"))).collect();
        let long = "x".repeat(256);
        let table = [
            (json!({ "reference_id": 7 }), "reference_id"),
            (json!({ "reference_id": "" }), "reference_id"),
            (json!({ "reference_id": long }), "reference_id"),
            (json!({ "reference_id": "con_1" }), "reference_id"),
            (json!({ "reference_id": "a\u{0}b" }), "reference_id"),
            (json!({ "name": long }), "name"),
            (json!({ "name": ["Jane"] }), "name"),
            (json!({ "email": "jane" }), "email"),
            (json!({ "email": 7 }), "email"),
            (json!({ "phone": "555" }), "phone"),
            (json!({ "metadata": many }), "metadata"),
            (json!({ "metadata": "x" }), "metadata"),
            (json!({ "metadata": ["x"] }), "metadata"),
            (json!({ "metadata": { "a": "x".repeat(17_000) } }), "metadata"),
        ];
        for (body, param) in table {
            let error = read(body.clone()).unwrap_err();
            assert_eq!(error.extra()["param"], param, "{body}");
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_mention_and_null_clears() {
        let metadata = json!({ "plan": { "seats": 3 }, "vip": true });
        let mut fields = CustomerFields::default();
        let all = json!({
            "reference_id": "u1", "name": "Jane Smith", "email": "jane@example.com", "phone": "+15551234567",
            "metadata": metadata, "nickname": "ignored",
        });
        read(all).unwrap().apply(&mut fields);
        assert_eq!(fields.metadata.clone().map(Value::Object), Some(metadata));
        read(json!({ "name": null, "email": "j@example.com" }))
            .unwrap()
            .apply(&mut fields);
        assert_eq!(fields.email.as_deref(), Some("j@example.com"));
        assert_eq!((fields.name, fields.reference_id.as_deref()), (None, Some("u1")));
    }
}
