//! Requests and usage in the reference.

use serde_json::json;
use utoipa::openapi::Object;
use utoipa::openapi::schema::ArrayBuilder;

use crate::domain::meter::{RateType, TierType};
use crate::domain::request::{Outcome, ProviderKeyType, UsageSource};
use crate::domain::usage::COUNT_MAX;
use crate::http::error::ErrorCode;
use crate::http::vocabulary::{BASE_COST_PAYER, TOKEN_BASIS};

use super::call::{Call, secret};
use super::part::Part;
use super::schema::{
    Field, Shape, Unknown, any_text, body, count, flag, id, instant, integer, labels, list, money, nested, object,
    text, the, word,
};

pub fn requests() -> Part {
    let about = "One row for each call, however it ended, with what it used, what it cost and what a customer was charged. \
                 Prompts and answers are never stored. A look-up of one row waits up to half a second for it to be written.";
    Part::new("Requests", about)
        .listed_thing("Request", object(shown()))
        .thing("ModelUsage", object(usage_shown()))
        .thing("Charge", charge())
        .post(&["/v1/requests"], report_call())
        .get(&["/v1/requests"], list_call())
        .get(
            &["/v1/requests/{id}"],
            secret("getRequest", "Get a request")
                .of_one(text("id", "The request, by its id or by the one that its report gave it.").example("job-7"))
                .answers(200, "The request.", the("Request")),
        )
}

pub fn usage() -> Part {
    let day = vec![
        text("date", "The day, in the zone of `start`.")
            .like(r"^\d{4}-\d{2}-\d{2}$")
            .example("2026-11-21"),
        instant("start", "Its first second."),
        instant("end", "Its last second."),
    ];
    let day = object([day, figures()].concat());
    let report = object(vec![
        list(
            "items",
            Shape::from(day),
            "The days, oldest first; days without a request are left out.",
        ),
        nested("totals", object(figures()), "All of them together."),
    ]);
    let start = instant("start", "From when on; its offset says where days begin.")
        .example("2026-11-01T00:00:00Z")
        .required();
    let call = secret("getUsage", "Get usage by day")
        .query(start)
        .query(instant("end", "Until when, inclusive; now where it is not said.").example("2026-11-21T23:59:59Z"));
    Part::new("Usage", "What a merchant used, by day.")
        .thing("UsageReport", report)
        .get(
            &["/v1/usage"],
            filtered(call)
                .answers(
                    200,
                    "The days and their sums; as a table a row for each day.",
                    the("UsageReport"),
                )
                .or_table(),
        )
}

fn list_call() -> Call {
    let ending = text(
        "status",
        "Only those that ended so: `completed`, `error`, a status such as `429`, or a class such as `5xx`.",
    );
    let ids = "Only the one with this id, or those whose id begins so; the id of a report, or that of a response of OpenAI's.";
    let when = |name, says| instant(name, says).example("2026-11-01T00:00:00Z");
    filtered(secret("listRequests", "List requests"))
        .says("Where much has to be looked through, a page may be short, or empty, and still have a next one.")
        .query(text("model", "Only those of this model.").most(255))
        .query(text("provider", "Only those that this provider served.").most(255))
        .query(ending.like(r"^(completed|error|[1-5](\d\d|xx))$").example("error"))
        .query(word(
            "usage_source",
            UsageSource::WORDS,
            "Only those whose usage is known so.",
        ))
        .query(when("from", "Only those from then on."))
        .query(when("to", "Only those until then, inclusive."))
        .search(ids)
        .answers_page("Request")
        .or_table()
}

/// What lists and usage may be narrowed by.
fn filtered(call: Call) -> Call {
    let pair = ArrayBuilder::new()
        .items(Shape::from(any_text("", "")))
        .min_items(Some(2))
        .max_items(Some(2))
        .build();
    let filters = "Only rows whose metadata has all of these pairs, as `[[\"key\",\"value\"],...]`.";
    call.query(
        text(
            "customer_id",
            "Only those of this customer, by his id or his reference id.",
        )
        .most(255),
    )
    .query(id("meter_id", "prd", "Only those on this meter."))
    .query(id("spend_key_id", "spk", "Only those of this key."))
    .json_query(list("metadata_filters", Shape::from(pair), filters).entries(0..=100))
    .json_query(labels("metadata", "The same as an object."))
    .refuses(&[ErrorCode::CustomerNotFound])
}

fn report_call() -> Call {
    let most = usize::try_from(COUNT_MAX).unwrap_or(usize::MAX);
    let count = |name, says| integer(name, 0..=most, says).or_null();
    let seconds = |name, says| integer(name, 0..=most / 1000, says).or_null();
    let fields = vec![
        text("request_id", "Your own id of the usage, good for one request for ever: the same id again answers with the request that has it.").most(255).required(),
        text("customer_id", "The customer, by his id or his reference id.").most(255).required(),
        text("meter_slug", "The meter that charges; not one of percentages.").most(255).required(),
        labels("metadata", "Labels of your own.").or_null(),
        count("input_tokens", "Tokens in."),
        count("output_tokens", "Tokens out."),
        count("input_characters", "Characters in."),
        count("output_characters", "Characters out."),
        seconds("input_seconds", "Seconds in."),
        seconds("output_seconds", "Seconds out."),
    ];
    let example = json!({ "request_id": "job-7", "customer_id": "user-42", "meter_slug": "chat", "input_tokens": 1200, "output_tokens": 300 });
    secret("reportRequest", "Report usage")
        .says("A usage that was served elsewhere, after the fact. It is charged however little credit is left.")
        .takes(body(Unknown::Refused, fields), example)
        .answers(201, "The new request.", the("Request"))
        .answers(200, "The request that has this id.", the("Request"))
        .refuses(&[
            ErrorCode::NotFound,
            ErrorCode::CustomerNotFound,
            ErrorCode::MeterNotOnPlan,
            ErrorCode::Conflict,
        ])
        .refuses(&[ErrorCode::Overloaded, ErrorCode::BillingBacklog])
}

fn shown() -> Vec<Field> {
    [of_whom(), of_what(), older()].concat()
}

fn of_whom() -> Vec<Field> {
    vec![
        text("request_id", "The request's id, or the one that its report gave it."),
        id(
            "attempt_of",
            "req",
            "Of an attempt after the first: the call that it belongs to.",
        )
        .or_null(),
        word("status", Outcome::WORDS, "How it ended."),
        id(
            "spend_key_id",
            "spk",
            "The key that called; null where it was another kind.",
        )
        .or_null(),
        id("wallet_id", "wal", "The wallet that paid."),
        id("customer_id", "con", "The customer whom it was for.").optional(),
        id("meter_id", "prd", "The meter that charged.").optional(),
        text("provider", "The provider that served it."),
        word(
            "provider_key_type",
            ProviderKeyType::WORDS,
            "Whose credential it was made with: the operator's, the caller's, or one that the merchant has stored.",
        ),
        text("model", "The model.").optional(),
        text("endpoint", "What was called."),
        text("response_id", "The id that the provider gave his answer.").optional(),
    ]
}

fn of_what() -> Vec<Field> {
    vec![
        super::schema::link("model_usage", "ModelUsage", "What was used."),
        money("cost", "What the provider took."),
        super::schema::link("charge", "Charge", "What the customer was charged."),
        count("price_version", "The price book that was in force."),
        money("total_request_cost", "Cost and charge together."),
        money("total_wallet_cost", "The charge."),
        money("total_merchant_cost", "The cost."),
        labels_shown(),
        word("usage_source", UsageSource::WORDS, "How the usage is known."),
        count("http_status", "The status of the answer; 0 where there was none."),
        flag("streaming", "Whether the answer was streamed."),
        flag("simulated", "Whether the simulated provider answered."),
        money("hold", "What was held for it; null where nothing was.").or_null(),
        count(
            "duration_ms",
            "How many milliseconds it took; null where nobody knows, and of what was reported.",
        )
        .or_null(),
        count(
            "first_token_ms",
            "After how many milliseconds its first token came; null where it did not stream.",
        )
        .or_null(),
        instant("timestamp", "When it ended."),
        instant("created_at", "When it began."),
    ]
}

fn labels_shown() -> Field {
    super::schema::open("metadata", "The caller's labels.")
}

fn older() -> Vec<Field> {
    let service_charge = object(vec![
        money("amount", "Always nothing."),
        word("payer", &[BASE_COST_PAYER], "Always the same."),
    ]);
    vec![
        id("connection_id", "con", "As `customer_id`.").optional().older(),
        id("product_id", "prd", "As `meter_id`.").optional().older(),
        nested("fee", object(fee()), "As `charge`.").older(),
        nested("service_charge", service_charge, "Nobody takes a part.").older(),
    ]
}

fn fee() -> Vec<Field> {
    let mut fields = charge_fields();
    fields.push(word("token_basis", &[TOKEN_BASIS], "Always the same."));
    fields
}

fn charge() -> Object {
    object(charge_fields())
}

fn charge_fields() -> Vec<Field> {
    let tier = object(vec![
        count("start", "From which quantity on the rate counts."),
        money("rate", "The rate."),
        word("type", TierType::WORDS, "What is counted."),
    ]);
    let part = object(vec![
        nested("tier", tier, "The tier."),
        count("tokens", "Tokens in it."),
        count("characters", "Characters in it."),
        count("seconds", "Seconds in it."),
        money("cost", "What it came to."),
    ]);
    vec![
        money("amount", "Dollars."),
        word("rate_type", RateType::WORDS, "What a rate is."),
        list("breakdown", Shape::from(part), "The charge by tier."),
    ]
}

fn usage_shown() -> Vec<Field> {
    let counts = [
        ("input_tokens", "Tokens in, cached ones with them."),
        ("output_tokens", "Tokens out."),
        ("total_tokens", "Both."),
        ("cache_read_tokens", "Tokens read from a cache."),
        ("cache_write_tokens", "Tokens written to a cache."),
        ("reasoning_tokens", "Tokens of reasoning, which are among those out."),
        ("audio_input_tokens", "Tokens of sound in."),
        ("audio_output_tokens", "Tokens of sound out."),
        ("audio_cache_read_tokens", "Tokens of sound read from a cache."),
        ("image_input_tokens", "Tokens of images in."),
        ("image_output_tokens", "Tokens of images out."),
        ("images", "Images made."),
        ("characters", "Characters."),
        ("input_characters", "Characters in."),
        ("output_characters", "Characters out."),
        ("total_characters", "Both."),
        ("audio_ms", "Milliseconds of sound in."),
        ("output_audio_ms", "Milliseconds of sound out."),
        ("input_seconds", "Seconds in, rounded."),
        ("output_seconds", "Seconds out, rounded."),
        ("total_seconds", "Both."),
        ("web_searches", "Searches of the web."),
        ("pages", "Pages read."),
        ("queries", "Queries."),
    ];
    let mut fields: Vec<Field> = counts.iter().map(|(name, says)| count(name, says)).collect();
    fields.extend([
        money("input_cost", "What the input cost."),
        money("output_cost", "What the output cost."),
        money("total_cost", "Both."),
        word("payer", &[BASE_COST_PAYER], "Who pays the provider."),
    ]);
    fields
}

fn figures() -> Vec<Field> {
    let amounts = [
        ("total_cost", "What providers took."),
        ("total_charge", "What customers were charged."),
    ];
    let older = [
        ("total_usage_cost", "As `total_cost`."),
        ("total_merchant_cost", "As `total_cost`."),
        ("total_fee_amount", "As `total_charge`."),
        ("total_wallet_cost", "As `total_charge`."),
        ("total_gross_volume", "As `total_charge`."),
        ("total_net_volume", "As `total_charge`."),
        ("total_service_charge_amount", "Always nothing."),
        ("total_request_cost", "Cost and charge together."),
    ];
    let mut fields = vec![
        count("total_requests", "Requests."),
        count("total_usage_tokens", "Tokens in and out."),
    ];
    fields.extend(amounts.iter().map(|(name, says)| money(name, says)));
    fields.extend(older.iter().map(|(name, says)| money(name, says).older()));
    fields
}
