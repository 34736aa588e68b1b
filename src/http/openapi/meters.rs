//! Meters in the reference.

use serde_json::json;

use crate::domain::meter::{HIGHEST_START, RateType, TierType};
use crate::http::error::ErrorCode;
use crate::http::vocabulary::{BASE_COST_PAYER, TOKEN_BASIS};

use super::call::{Call, secret};
use super::part::Part;
use super::schema::{Field, Shape, Unknown, amount, body, count, id, instant, list, money, object, text, the, word};

pub fn part() -> Part {
    let all = ["/v1/meters", "/v1/products"];
    let one = ["/v1/meters/{id}", "/v1/products/{id}"];
    let about = "The prices of what a merchant's customers use: graduated tiers over what a customer has used in his \
                 cycle. What a meter counts never changes; its tiers may, for the usage that comes after.";
    Part::new("Meters", about)
        .listed_thing("Meter", object(shown()))
        .post(&all, create_call())
        .get(
            &all,
            secret("listMeters", "List meters")
                .search("Only those whose name, slug or id has it.")
                .answers_page("Meter"),
        )
        .get(
            &one,
            of_one("getMeter", "Get a meter").answers(200, "The meter.", the("Meter")),
        )
        .patch(&one, update_call())
        .delete(&one, of_one("deleteMeter", "Delete a meter").answers_deleted())
}

fn create_call() -> Call {
    let mut fields = vec![
        name().required(),
        word(
            "rate_type",
            RateType::WORDS,
            "`fixed`: a rate is dollars for a unit; `percentage`: hundredths of what the provider took.",
        )
        .required(),
        word("tier_type", TierType::WORDS, "What is counted.").required(),
        tiers().required(),
        text(
            "meter_slug",
            "What the meter is named by in tokens and reports; made from the name where none is given.",
        )
        .like("^[A-Za-z0-9._-]{1,100}$")
        .or_null(),
    ];
    fields.extend(older());
    let example = json!({
        "name": "Chat", "rate_type": "fixed", "tier_type": "tokens_1m",
        "tiers": [{ "start": "0", "rate": "12.00" }, { "start": "1000000", "rate": "10.00" }],
    });
    secret("createMeter", "Make a meter")
        .takes(body(Unknown::Refused, fields), example)
        .answers(201, "The new meter.", the("Meter"))
        .refuses(&[ErrorCode::Conflict])
}

fn update_call() -> Call {
    let fields = [vec![name(), tiers()], older()].concat();
    of_one("updateMeter", "Change a meter")
        .says("Its name or its tiers, for the usage that comes after.")
        .takes(
            body(Unknown::Refused, fields),
            json!({ "tiers": [{ "start": "0", "rate": "9.00" }] }),
        )
        .answers(200, "The meter as it is now.", the("Meter"))
}

fn of_one(id: &'static str, title: &'static str) -> Call {
    secret(id, title).of_one(text("id", "The meter, by its id or its slug.").example("chat"))
}

fn name() -> Field {
    text("name", "What the meter is called.").most(255)
}

fn tiers() -> Field {
    let start = text(
        "start",
        "From which quantity on the rate counts: `0` in the first tier, above the one before in the others. A number is taken too.",
    );
    let tier = body(Unknown::Refused, vec![
        start.like(r"^\d{1,16}$").or_number(HIGHEST_START).required(),
        amount("rate", "Dollars for 1,000,000 tokens or characters, for a minute or for a request; of a percentage meter the percentage.").required(),
    ]);
    list("tiers", Shape::from(tier), "The rates, from the first quantity on.").entries(1..=100)
}

/// What older clients say may only say what is so anyway.
fn older() -> Vec<Field> {
    vec![
        word("token_basis", &[TOKEN_BASIS], "There is no other way to count.")
            .or_null()
            .older(),
        word(
            "base_cost_payer",
            &[BASE_COST_PAYER],
            "The merchant pays what the provider takes.",
        )
        .or_null()
        .older(),
        word(
            "service_charge_payer",
            &["merchant", "wallet"],
            "There is no service charge.",
        )
        .or_null()
        .older(),
    ]
}

fn shown() -> Vec<Field> {
    let tier = object(vec![
        count("start", "From which quantity on the rate counts."),
        money("rate", "Dollars for a unit, or the percentage."),
        word("type", TierType::WORDS, "What is counted."),
    ]);
    vec![
        id("meter_id", "prd", "The meter's id."),
        text("meter_slug", "What it is named by in tokens and reports."),
        text("name", "What it is called."),
        word("rate_type", RateType::WORDS, "What a rate is."),
        list("tiers", Shape::from(tier), "The rates."),
        id("product_id", "prd", "As `meter_id`.").older(),
        word("token_basis", &[TOKEN_BASIS], "Always the same.").older(),
        word("base_cost_payer", &[BASE_COST_PAYER], "Always the same.").older(),
        word("service_charge_payer", &[BASE_COST_PAYER], "Always the same.").older(),
        instant("created_at", "When it was made."),
    ]
}
