//! Reports of traffic, and the audit log, in the reference.

use utoipa::openapi::Object;

use crate::domain::traffic::Failure;
use crate::http::error::ErrorCode;
use crate::storage::audit::ActorKind;

use super::call::{Call, secret};
use super::part::Part;
use super::schema::{Field, count, id, instant, integer, link, list, money, nested, object, open, text, the, word};

const STEPS: [&str; 2] = ["hour", "day"];
const GROUPS: [&str; 3] = ["model", "provider", "spend_key"];

pub fn traffic() -> Part {
    let about = "What went through in a period of whole days of UTC: requests, errors by kind, tokens, cost, and how long \
                 calls took, in all and by model, provider or spend key.";
    Part::new("Traffic", about)
        .thing("Traffic", report())
        .thing("TrafficFigures", object(figures()))
        .thing("TrafficTotals", object([figures(), times()].concat()))
        .get(&["/v1/traffic"], report_call())
}

pub fn audit_events() -> Part {
    let about = "Who changed what, and how it ended: an event for every call that changes something, through the API, the \
                 dashboard or the operator, and for every sign-in. Secrets are not in it.";
    Part::new("Audit log", about)
        .listed_thing("AuditEvent", object(event()))
        .get(&["/v1/audit_events"], events_call())
}

fn report_call() -> Call {
    let day = |name, says| text(name, says).like(r"^\d{4}-\d{2}-\d{2}$").example("2026-11-21");
    let steps = "By hours, for at most 31 days, or by days; by hours where nothing is said of a day or two.";
    secret("getTraffic", "Get a report of traffic")
        .query(day(
            "from",
            "The first day, at most 366 before the last; six days before it where nothing is said.",
        ))
        .query(day("to", "The last day; today where nothing is said."))
        .query(word("interval", &STEPS, steps))
        .query(word("group_by", &GROUPS, "What groups are made by.").usually("model"))
        .query(
            integer(
                "top",
                1..=100,
                "How many groups are shown by themselves, the dearest first; the others are summed in `other`. Groups \
                 times steps may come to 10,000.",
            )
            .usually(10),
        )
        .answers(
            200,
            "The report; as a table a row for each group and step.",
            the("Traffic"),
        )
        .or_table()
}

fn report() -> Object {
    let point = object([vec![start()], figures()].concat());
    let groups = "The dearest first. Of models and providers each has `provider`, with models `model`, the fields of \
                  `TrafficTotals`, and its `series`; of spend keys `spend_key_id`, `name`, four sums, and its `series`.";
    object(vec![
        text("from", "The first day."),
        text("to", "The last day."),
        word("interval", &STEPS, "How long a step is."),
        word("group_by", &GROUPS, "What groups are made by."),
        link("totals", "TrafficTotals", "All of it together."),
        link("previous", "TrafficFigures", "As many days just before."),
        list(
            "series",
            point,
            "A step after another, oldest first, those without a request with them.",
        ),
        list("groups", group(), groups),
        nested(
            "other",
            group(),
            "What is not of these groups; null where that is nothing.",
        )
        .or_null(),
    ])
}

fn group() -> Object {
    let step = object(vec![
        start(),
        count("total_requests", "Requests."),
        count("total_tokens", "Tokens in and out."),
        money("total_cost", "What providers took."),
    ]);
    let common = vec![
        count("total_requests", "Requests."),
        count("total_tokens", "Tokens in and out."),
        money("total_cost", "What providers took."),
        list(
            "series",
            step,
            "A step after another; of models and providers with all figures.",
        )
        .optional(),
    ];
    let own = vec![
        text("provider", "The provider.").optional(),
        text(
            "model",
            "The model; null where the call had none, and beyond 250 models in an hour.",
        )
        .or_null()
        .optional(),
        id("spend_key_id", "spk", "The key.").optional(),
        text("name", "What the key is called.").optional(),
        count("total_errors", "Requests that failed, of spend keys.").optional(),
    ];
    object([own, common].concat())
}

fn start() -> Field {
    instant("start", "When the step begins.")
}

fn figures() -> Vec<Field> {
    let total = count("total", "All of them.");
    let kinds = Failure::ALL.map(|kind| count(kind.name(), failure(kind)));
    vec![
        count("total_requests", "Requests."),
        nested(
            "errors",
            object([vec![total], Vec::from(kinds)].concat()),
            "Requests that failed, by kind.",
        ),
        count("error_per_mille", "Those of a thousand that failed.").or_null(),
        count("estimated_requests", "Requests whose usage is an estimate."),
        count("total_tokens", "Tokens in and out."),
        count("input_tokens", "Tokens in, cached ones with them."),
        count("cache_read_tokens", "Tokens read from a cache."),
        count("cache_write_tokens", "Tokens written to a cache."),
        count("output_tokens", "Tokens out."),
        count("cache_per_mille", "Of a thousand tokens in, those read from a cache.").or_null(),
        money("total_cost", "What providers took."),
        money("total_charge", "What customers were charged."),
    ]
}

const fn failure(kind: Failure) -> &'static str {
    match kind {
        Failure::Throttled => "The provider had too much to do: 429.",
        Failure::Rejected => "Any other status from 400 to 499.",
        Failure::TimedOut => "The provider was too slow: 504.",
        Failure::Failed => "Any other status from 500.",
        Failure::Broken => "The answer broke off.",
    }
}

fn times() -> Vec<Field> {
    let spread = || {
        let of = |name, says| count(name, says).or_null();
        object(vec![
            of("p50", "Half of them took no longer."),
            of("p95", "95 of 100 took no longer."),
            of("p99", "99 of 100 took no longer."),
        ])
    };
    vec![
        nested(
            "latency_ms",
            spread(),
            "How long calls took, in milliseconds; null where there were none.",
        ),
        nested(
            "first_token_ms",
            spread(),
            "How long streams took to their first token.",
        ),
    ]
}

fn events_call() -> Call {
    let said = |name, says| text(name, says).most(255);
    secret("listAuditEvents", "List audit events")
        .query(said("action", "Only what begins so: `spend_keys`, or `spend_keys.rotate`.").example("spend_keys"))
        .query(said("target", "Only what was done to the thing with this id."))
        .query(said("actor", "Only what this one did."))
        .answers_page("AuditEvent")
        .refuses(&[ErrorCode::InvalidRequest])
}

fn event() -> Vec<Field> {
    let kinds = [
        ActorKind::SecretKey,
        ActorKind::WalletKey,
        ActorKind::Dashboard,
        ActorKind::Operator,
    ];
    vec![
        id("audit_event_id", "aud", "The event's id."),
        word("actor_kind", &kinds.map(ActorKind::name), "What kind of caller it was."),
        text("actor", "The id of the key, or the name of the session."),
        text("action", "Noun and verb.").example("spend_keys.rotate"),
        text("target", "The id of what was changed or made.").or_null(),
        open("asked", "The fields that it came with, without secrets.").or_null(),
        count("status", "What was answered; null where the process ended before.").or_null(),
        text("address", "From where it came.").or_null(),
        instant("created_at", "When it was asked for."),
    ]
}
