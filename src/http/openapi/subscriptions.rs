//! Subscriptions in the reference.

use serde_json::json;
use utoipa::openapi::Object;

use crate::domain::subscription::Status;
use crate::domain::terms::{Interval, Rollover};
use crate::http::error::ErrorCode;

use super::call::{Call, secret};
use super::part::Part;
use super::schema::{Field, Unknown, anything, body, id, instant, link, money, nested, object, text, word};

const STATUSES: [&str; 2] = [Status::Active.name(), Status::Cancelled.name()];

pub fn part() -> Part {
    let about = "Which customers are on which plan, with the credit that goes with it. A subscription to a free plan is \
                 begun and changed here; a plan with a price is begun by checkout.";
    let in_list = vec![
        id("customer_id", "con", "Whose it is."),
        id("connection_id", "con", "As `customer_id`.").older(),
        link("customer", "Contact", "How he is reached."),
    ];
    Part::new("Subscriptions", about)
        .thing("Subscription", object(shown()))
        .listed_thing("ListedSubscription", object([shown(), in_list].concat()))
        .post(&["/v1/subscriptions"], create_call())
        .get(&["/v1/subscriptions"], list_call())
        .patch(&["/v1/subscriptions/{id}"], update_call())
        .delete(
            &["/v1/subscriptions/{id}"],
            of_one("cancelSubscription", "Cancel a subscription")
                .says("It ends with its cycle.")
                .answers_success()
                .refuses(REFUSALS),
        )
}

/// What any change may come to.
const REFUSALS: &[ErrorCode] = &[
    ErrorCode::Conflict,
    ErrorCode::CustomerNotFound,
    ErrorCode::BillingBacklog,
];

fn create_call() -> Call {
    let fields = vec![
        text("customer_id", "The customer, by his id or his reference id.")
            .most(255)
            .required(),
        text("plan_id", "The plan, which must be free.").most(255).required(),
    ];
    let example = json!({ "customer_id": "user-42", "plan_id": "sc_01M7ZY4PNXAAW507MJ9YGSP41Y" });
    let alone = || {
        object(vec![
            link("subscription", "Subscription", "The subscription.").or_null(),
        ])
    };
    secret("createSubscription", "Put a customer on a free plan")
        .takes(body(Unknown::Ignored, fields), example)
        .answers(201, "He begins the plan.", alone())
        .answers(
            200,
            "His subscription goes over to the plan, or he stays on it after all.",
            alone(),
        )
        .refuses(&[ErrorCode::NotFound])
        .refuses(REFUSALS)
}

fn list_call() -> Call {
    secret("listSubscriptions", "List subscriptions")
        .query(word("status", &["active", "cancelled", "all"], "Which of them.").usually("active"))
        .query(text("customer_id", "Only those of this customer.").most(255))
        .answers_page("ListedSubscription")
        .refuses(&[ErrorCode::CustomerNotFound])
}

fn update_call() -> Call {
    let fields = vec![
        id(
            "auto_top_up_bundle_id",
            "cb",
            "The bundle of the plan that is bought when credit runs out; null for none.",
        )
        .or_null(),
        anything(
            "pending_change",
            "Null takes back what was to happen at the end of the cycle.",
        ),
    ];
    of_one("updateSubscription", "Change a subscription")
        .takes(body(Unknown::Refused, fields), json!({ "pending_change": null }))
        .answers_success()
        .refuses(REFUSALS)
}

fn of_one(id_of_call: &'static str, title: &'static str) -> Call {
    secret(id_of_call, title).of_one(id("id", "sub", "The subscription."))
}

fn shown() -> Vec<Field> {
    vec![
        id("subscription_id", "sub", "The subscription's id."),
        id("plan_id", "sc", "The plan."),
        word("status", &STATUSES, "Whether it runs."),
        nested("plan", object(terms()), "The plan as the customer took it."),
        nested("credits", credits(), "The credit that is left."),
        id(
            "auto_top_up_bundle_id",
            "cb",
            "The bundle that is bought when credit runs out.",
        )
        .or_null(),
        nested("pending_change", pending(), "What happens at the end of the cycle.").or_null(),
        instant("started_at", "When it began."),
        instant("cancelled_at", "When it ended.").or_null(),
        instant("cycle_start_at", "When this cycle began."),
        instant("cycle_end_at", "When it ends."),
        id("subscription_config_id", "sc", "As `plan_id`.").older(),
    ]
}

fn terms() -> Vec<Field> {
    vec![
        text("name", "What it is called."),
        money("period_amount", "What a cycle costs."),
        money("included_credit", "The credit of a cycle."),
        word("billing_interval", Interval::WORDS, "How long a cycle is."),
        word(
            "rollover_type",
            Rollover::WORDS,
            "What becomes of a cycle's credit that is left.",
        ),
        word("bundle_rollover_type", Rollover::WORDS, "The same of bundles' credit."),
    ]
}

fn credits() -> Object {
    object(vec![
        money(
            "total_remaining",
            "All of it; below zero where a call cost more than was left.",
        ),
        money("cycle_remaining", "That of the cycle, which is used first."),
        money("bundle_remaining", "That of bundles."),
    ])
}

fn pending() -> Object {
    object(vec![
        word(
            "type",
            &["cancellation", "downgrade"],
            "It ends, or goes over to a smaller plan.",
        ),
        instant("effective_at", "When."),
        id("plan_id", "sc", "The plan that it goes over to.").optional(),
        id("subscription_config_id", "sc", "As `plan_id`.").optional().older(),
        text("name", "What that plan is called.").optional(),
        money("period_amount", "What a cycle of it costs.").optional(),
        money("included_credit", "The credit of a cycle of it.").optional(),
    ])
}
