//! Customers, and the connections that they once were, in the reference.

use serde_json::json;
use utoipa::openapi::Object;

use crate::domain::subscription::Status;
use crate::http::error::ErrorCode;

use super::call::{Call, secret};
use super::part::Part;
use super::schema::{
    Field, Unknown, any_text, body, flag, id, instant, link, money, nested, object, open, text, the, word,
};

pub fn part() -> Part {
    let all = ["/v1/customers"];
    let one = ["/v1/customers/{id}"];
    let about = "Whom a merchant bills. A customer is named by his id or by the merchant's own reference id for him, \
                 wherever an id is asked for.";
    Part::new("Customers", about)
        .listed_thing("Customer", object(shown()))
        .thing("Contact", contact())
        .thing("SubscriptionInBrief", object(in_brief()))
        .post(&all, create_call())
        .get(&all, customers_call())
        .get(&one, of_one("getCustomer", "Get a customer").answers(200, "The customer.", the("Customer")))
        .patch(&one, update_call())
        .delete(
            &["/v1/customers/{id}", "/v1/connections/{id}"],
            of_one("deleteCustomer", "Delete a customer")
                .says("He is unknown from now on, his reference id is free, and his subscription ends with all its credit.")
                .answers_success(),
        )
        .get(
            &["/v1/customers/{id}/subscription", "/v1/connections/{id}/subscription"],
            of_one("getCustomerSubscription", "Get a customer's subscription")
                .answers(200, "His subscription, whole; null where he has none.", subscription_alone()),
        )
}

/// Customers as older clients read them.
pub fn connections() -> Part {
    Part::new(
        "Connections",
        "Customers in the words of older clients. New programs use customers.",
    )
    .listed_thing("Connection", object(connection_shown()))
    .get(
        &["/v1/connections"],
        list_call("listConnections", "List connections").answers_page("Connection"),
    )
    .get(
        &["/v1/connections/{id}"],
        of_one("getConnection", "Get a connection").answers(200, "The connection.", the("Connection")),
    )
    .all_older()
}

fn customers_call() -> Call {
    list_call("listCustomers", "List customers")
        .search("Only those whose name, address, reference id or id has it.")
        .answers_page("Customer")
        .or_table()
}

fn create_call() -> Call {
    let example = json!({ "reference_id": "user-42", "email": "jane@example.com", "name": "Jane Smith" });
    secret("createCustomer", "Make a customer")
        .says("He begins on the merchant's free plan. A reference id that is taken answers with the customer who has it, as he is.")
        .takes(body(Unknown::Ignored, fields()), example)
        .answers(201, "The new customer.", the("Customer"))
        .answers(200, "The customer who has this reference id.", the("Customer"))
        .refuses(&[ErrorCode::Conflict])
}

fn update_call() -> Call {
    of_one("updateCustomer", "Change a customer")
        .says("Changes what the body mentions; null clears.")
        .takes(body(Unknown::Ignored, fields()), json!({ "email": "jane@example.com" }))
        .answers(200, "The customer as he is now.", the("Customer"))
        .refuses(&[ErrorCode::Conflict])
}

fn list_call(id: &'static str, title: &'static str) -> Call {
    secret(id, title).query(text("reference_id", "Only the customer with this reference id.").most(255))
}

fn of_one(id: &'static str, title: &'static str) -> Call {
    let customer = text("id", "The customer, by his id or his reference id.").example("user-42");
    secret(id, title)
        .of_one(customer)
        .refuses(&[ErrorCode::CustomerNotFound])
}

fn fields() -> Vec<Field> {
    vec![
        text(
            "reference_id",
            "Your own name for him, which no other customer has; it must not begin with `con_`.",
        )
        .most(255)
        .or_null(),
        text("name", "His name.").most(255).or_null(),
        text("email", "His address.")
            .most(254)
            .example("jane@example.com")
            .or_null(),
        text("phone", "His telephone number as E.164 has it.")
            .like(r"^\+[1-9]\d{1,14}$")
            .example("+15551234567")
            .or_null(),
        open(
            "metadata",
            "Any JSON object of yours, of at most 100 fields and 16 KiB.",
        )
        .or_null(),
    ]
}

fn shown() -> Vec<Field> {
    vec![
        id("customer_id", "con", "The customer's id."),
        text("reference_id", "Your own name for him.").or_null(),
        link("contact", "Contact", "How he is reached."),
        link(
            "subscription",
            "SubscriptionInBrief",
            "The plan that he is on; null where he has none.",
        )
        .or_null(),
        open("metadata", "Your own JSON object.").or_null(),
        instant("created_at", "When he was made."),
    ]
}

fn contact() -> Object {
    object(vec![
        any_text("phone", "Empty where it is not known."),
        any_text("email", "Empty where it is not known."),
        any_text("first_name", "The first word of his name."),
        any_text("last_name", "The rest of his name."),
    ])
}

fn in_brief() -> Vec<Field> {
    vec![
        id("subscription_id", "sub", "The subscription's id."),
        id("plan_id", "sc", "The plan."),
        text("name", "What the plan is called."),
        word(
            "status",
            &[Status::Active.name(), Status::Cancelled.name()],
            "Always `active` here.",
        ),
        id("subscription_config_id", "sc", "As `plan_id`; of connections only.")
            .optional()
            .older(),
    ]
}

fn subscription_alone() -> Object {
    object(vec![
        link("subscription", "Subscription", "The subscription.").or_null(),
    ])
}

fn connection_shown() -> Vec<Field> {
    let mut wallet = contact();
    for field in [
        money("balance", "The credit that he has."),
        flag("autopay_enabled", "Whether a bundle is bought by itself."),
    ] {
        wallet.required.push(field.name.to_owned());
        wallet.properties.insert(field.name.to_owned(), field.shape);
    }
    let more = vec![
        id("connection_id", "con", "As `customer_id`."),
        id(
            "connection_secret",
            "con",
            "As `customer_id`, where a secret once stood.",
        ),
        link("customer", "Contact", "As `contact`."),
        flag("has_lava_credit_balance", "Whether he has credit."),
        nested("wallet", wallet, "His contact, with his credit."),
        instant("previous_usage_reset", "When his cycle began.").or_null(),
        instant("next_usage_reset", "When his cycle ends.").or_null(),
    ];
    [shown(), more].concat()
}
