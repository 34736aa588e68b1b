//! The form of an endpoint: its name, its address, and which events it is told. Without an event it is told all.

use serde_json::{Map, Value};

use crate::domain::webhook::EventName;
use crate::http::dashboard::ask;
use crate::http::dashboard::form::{Form, object};
use crate::http::dashboard::sheet::Sheet;

/// An event that may be asked for.
pub struct EventBox {
    pub name: &'static str,
    pub what: &'static str,
    /// It is told of in the words of older clients.
    pub is_older: bool,
    pub is_chosen: bool,
}

/// A form with nothing in it.
pub fn blank() -> Sheet {
    of_webhook(&Value::Null)
}

/// An endpoint as it is.
pub fn of_webhook(webhook: &Value) -> Sheet {
    let names = ["name", "url", "events"];
    Sheet::new(names.map(|name| (name, ask::text(webhook, name))))
}

/// Every event, with those that are asked for.
pub fn event_boxes(chosen: &[&str]) -> Vec<EventBox> {
    let older: Vec<EventName> = EventName::ALL.iter().filter_map(|name| name.older()).collect();
    let event = |name: &EventName| EventBox {
        name: name.name(),
        what: what(*name),
        is_older: older.contains(name),
        is_chosen: chosen.contains(&name.name()),
    };
    EventName::ALL.iter().map(event).collect()
}

/// The body for the API.
pub fn body(form: &Form) -> Map<String, Value> {
    let events: Vec<Value> = form.texts("events").map(Value::from).collect();
    object([
        ("name", Value::from(form.text("name"))),
        ("url", Value::from(form.text("url"))),
        (
            "events",
            if events.is_empty() {
                Value::Null
            } else {
                Value::Array(events)
            },
        ),
    ])
}

const fn what(name: EventName) -> &'static str {
    match name {
        EventName::CustomerCreated | EventName::ConnectionCreated => "A customer came.",
        EventName::CustomerBalanceUpdated | EventName::ConnectionBalanceUpdated => {
            "A customer's credit changed; what happens within ten seconds is told as one."
        }
        EventName::CustomerDeleted | EventName::ConnectionDeleted => "A customer was deleted.",
        EventName::SpendKeyThresholdReached => "A spend key has spent 50, 80 or 100 percent of its limit.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn without_an_event_all_are_told() {
        assert_eq!(body(&Form::read(b"name=n&url=u"))["events"], Value::Null);
        let two = body(&Form::read(
            b"name=n&url=u&events=customer.created&events=customer.deleted",
        ));
        assert_eq!(two["events"], json!(["customer.created", "customer.deleted"]));
        let boxes = event_boxes(&["customer.created"]);
        assert_eq!(boxes.iter().filter(|event| event.is_older).count(), 3);
        assert_eq!(boxes.iter().filter(|event| event.is_chosen).count(), 1);
    }
}
