//! Plans and credit bundles in the reference.

use serde_json::json;

use crate::domain::terms::{Interval, Rollover};
use crate::http::error::ErrorCode;

use super::call::{Call, secret};
use super::part::Part;
use super::schema::{
    Field, Shape, Unknown, amount, body, flag, id, instant, integer, list, money, object, text, the, word,
};

pub fn plans() -> Part {
    let all = ["/v1/plans", "/v1/subscription_configs"];
    let one = ["/v1/plans/{id}", "/v1/subscription_configs/{id}"];
    let about = "What a merchant's customers subscribe to, with the credit that each cycle includes, the bundles that may \
                 be bought beside, and the meters that may draw on the credit. Price and interval never change; whoever \
                 is on a plan that is deleted stays on it.";
    Part::new("Plans", about)
        .listed_thing("Plan", object(shown()))
        .thing("BundleOfPlan", object(bundle_shown()))
        .post(&all, create_call())
        .get(
            &all,
            secret("listPlans", "List plans")
                .search("Only those whose name or id has it.")
                .answers_page("Plan"),
        )
        .get(
            &one,
            of_one("getPlan", "Get a plan").answers(200, "The plan.", the("Plan")),
        )
        .patch(&one, update_call("updatePlan"))
        .put(&one, update_call("putPlan"))
        .delete(&one, of_one("deletePlan", "Delete a plan").answers_deleted())
}

pub fn credit_bundles() -> Part {
    let plan = id("plan_id", "sc", "The plan that it belongs to.");
    let older = id("subscription_config_id", "sc", "As `plan_id`.").older();
    let more = vec![plan, older, instant("created_at", "When it was made.")];
    Part::new(
        "Credit bundles",
        "Credit that customers buy beside their plan's. Bundles are made, changed and removed with their plan.",
    )
    .listed_thing("CreditBundle", object([bundle_shown(), more].concat()))
    .get(
        &["/v1/credit_bundles"],
        secret("listCreditBundles", "List credit bundles")
            .query(id("plan_id", "sc", "Only those of this plan."))
            .answers_page("CreditBundle"),
    )
    .get(
        &["/v1/credit_bundles/{id}"],
        secret("getCreditBundle", "Get a credit bundle")
            .of_one(id("id", "cb", "The bundle."))
            .answers(200, "The bundle.", the("CreditBundle")),
    )
}

fn create_call() -> Call {
    let bundle = body(
        Unknown::Refused,
        vec![bundle_name().required(), cost().required(), credit_amount().required()],
    );
    let fields = vec![
        name().required(),
        amount("period_amount", "What a cycle costs; `0` makes the plan free.").required(),
        word("billing_interval", Interval::WORDS, "How long a cycle is.").required(),
        included_credit().or_null(),
        rollover().usually("none").or_null(),
        bundle_rollover().usually("full").or_null(),
        meter_ids().or_null(),
        list("credit_bundles", Shape::from(bundle), "The bundles that may be bought beside.").entries(0..=100).or_null(),
        integer("default_auto_top_up_bundle_index", 0..=99, "Which of `credit_bundles` is bought by itself when credit runs out, unless the customer chooses otherwise.").or_null(),
    ];
    let example = json!({
        "name": "Pro", "period_amount": "20.00", "billing_interval": "month", "included_credit": "15.00",
        "credit_bundles": [{ "name": "Ten more", "cost": "10.00", "credit_amount": "10.00" }],
    });
    secret("createPlan", "Make a plan")
        .takes(body(Unknown::Refused, fields), example)
        .answers(201, "The new plan.", the("Plan"))
        .refuses(&[ErrorCode::NotFound])
}

fn update_call(name_of_call: &'static str) -> Call {
    let bundle = body(
        Unknown::Refused,
        vec![
            id(
                "credit_bundle_id",
                "cb",
                "The bundle to change or to remove; without it a new one is made.",
            )
            .or_null(),
            flag("is_deleted", "True removes the bundle.").or_null(),
            bundle_name(),
            cost(),
            credit_amount(),
        ],
    );
    let fields = vec![
        name(),
        included_credit(),
        rollover(),
        bundle_rollover(),
        meter_ids(),
        list(
            "credit_bundles",
            Shape::from(bundle),
            "Changes of the bundles; those that are not named stay.",
        )
        .entries(0..=100),
        id(
            "default_auto_top_up_bundle_id",
            "cb",
            "Which bundle is bought by itself; null for none.",
        )
        .or_null(),
    ];
    of_one(name_of_call, "Change a plan")
        .says("Changes what the body mentions. Price and interval cannot be changed. `PUT` and `PATCH` mean the same.")
        .takes(body(Unknown::Refused, fields), json!({ "included_credit": "18.00" }))
        .answers(200, "The plan as it is now.", the("Plan"))
}

fn of_one(id_of_call: &'static str, title: &'static str) -> Call {
    secret(id_of_call, title).of_one(id("id", "sc", "The plan."))
}

fn name() -> Field {
    text("name", "What the plan is called.").most(255)
}

fn included_credit() -> Field {
    amount(
        "included_credit",
        "The credit of a cycle; the price where nothing is said.",
    )
}

fn rollover() -> Field {
    word(
        "rollover_type",
        Rollover::WORDS,
        "What becomes of a cycle's credit that is left: it lapses, or stays.",
    )
}

fn bundle_rollover() -> Field {
    word("bundle_rollover_type", Rollover::WORDS, "The same of bundles' credit.")
}

fn meter_ids() -> Field {
    let meter = id("", "prd", "");
    list("meter_ids", meter, "The meters that may draw on the credit.").entries(0..=100)
}

fn bundle_name() -> Field {
    text("name", "What the bundle is called.").most(255)
}

fn cost() -> Field {
    amount("cost", "What it costs, above zero.")
}

fn credit_amount() -> Field {
    amount("credit_amount", "The credit that it gives, above zero.")
}

fn bundle_shown() -> Vec<Field> {
    vec![
        id("credit_bundle_id", "cb", "The bundle's id."),
        text("name", "What it is called."),
        money("cost", "What it costs."),
        money("credit_amount", "The credit that it gives."),
    ]
}

fn shown() -> Vec<Field> {
    let meter = object(vec![
        id("meter_id", "prd", "The meter's id."),
        text("name", "What it is called."),
    ]);
    vec![
        id("plan_id", "sc", "The plan's id."),
        id("merchant_id", "mer", "Whose it is."),
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
        id(
            "default_auto_top_up_bundle_id",
            "cb",
            "The bundle that is bought by itself.",
        )
        .or_null(),
        list(
            "linked_meters",
            Shape::from(meter),
            "The meters that may draw on the credit.",
        ),
        list("credit_bundles", the("BundleOfPlan"), "Its bundles."),
        id("subscription_config_id", "sc", "As `plan_id`.").older(),
        instant("created_at", "When it was made."),
    ]
}
