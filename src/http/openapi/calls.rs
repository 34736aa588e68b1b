//! Calls in flight, those that were refused, and the feed of a merchant's figures, in the reference.

use utoipa::openapi::Object;

use crate::domain::key::KeyStatus;
use crate::domain::request::{ProviderKeyType, UsageSource};
use crate::http::error::ErrorCode;

use super::call::{Call, events, manager, secret};
use super::part::Part;
use super::schema::{Field, any_text, count, flag, id, instant, list, money, object, open, text, the, word};

const ONE: &str = "/v1/calls/{id}";

pub fn part() -> Part {
    let about = "What is in flight at this moment, with what it has cost so far, and the way to end it. A call that has \
                 ended is a request. A wallet key sees and ends the calls of its wallet.";
    Part::new("Calls in flight", about)
        .thing("LiveCall", object(shown()))
        .thing("Figures", figures())
        .get(&["/v1/calls"], list_call())
        .get(
            &[ONE],
            of_one("getCall", "Get a call in flight").answers(200, "The call.", the("LiveCall")),
        )
        .delete(&[ONE], end_call())
        .get(&["/v1/live"], feed_call())
}

pub fn refusals() -> Part {
    let about = "Which calls were refused before anything was sent, and why: counted by hour, spend key and code, with what \
                 the last one was told. They cost nothing.";
    let when = |name, says| instant(name, says).example("2026-11-01T00:00:00Z");
    let list = secret("listRefusals", "List refusals")
        .query(id("spend_key_id", "spk", "Only those of this key."))
        .query(word("code", &codes(), "Only those for this reason."))
        .query(when("from", "Only those whose last call came then or later."))
        .query(when("to", "Only those whose first call came then or earlier."));
    Part::new("Refusals", about)
        .listed_thing("Refusal", object(refusal()))
        .get(&["/v1/refusals"], list.answers_page("Refusal").or_table())
}

fn codes() -> Vec<&'static str> {
    ErrorCode::ALL.iter().map(|code| code.word()).collect()
}

fn refusal() -> Vec<Field> {
    vec![
        id("spend_key_id", "spk", "The key; null where the call came without one.").or_null(),
        word("code", &codes(), "Why: the code of the error."),
        count("status", "The status that was answered."),
        text("message", "What the last one was told."),
        id("request_id", "req", "The last one."),
        count("call_count", "How many there were in the hour."),
        instant("first_at", "When the first one of the hour came."),
        instant("last_at", "When the last one came."),
    ]
}

fn list_call() -> Call {
    let page = object(vec![
        list("data", the("LiveCall"), "Newest first."),
        flag("has_more", "Whether there is a next page."),
        text(
            "next_cursor",
            "What the next page is asked for with; null on the last page.",
        )
        .or_null(),
        count("in_flight", "How many there are in all."),
    ]);
    manager("listCalls", "List calls in flight")
        .query(id("spend_key_id", "spk", "Only those of this key."))
        .page()
        .answers(200, "One page, newest first.", page)
}

fn end_call() -> Call {
    let ended = object(vec![
        id("request_id", "req", "The call."),
        word(
            "result",
            &["ended", "finished", "ending"],
            "It was ended, it had just come to its own end, or it will end in a moment.",
        ),
        money("cost", "What it came to; missing while it is ending.").optional(),
        count("output_tokens", "What was sent of it; missing while it is ending.").optional(),
        word(
            "usage_source",
            UsageSource::WORDS,
            "How its usage is known; missing while it is ending.",
        )
        .optional(),
    ]);
    of_one("endCall", "End a call in flight")
        .says("What was sent of a stream is billed, and its client gets a proper end. A call that has not been answered is refused to its client with `call_ended` and billed by estimate, for the provider may have run it.")
        .answers(200, "How it ended.", ended)
}

fn feed_call() -> Call {
    let keys = any_text(
        "spend_key_ids",
        "Up to 100 spend keys to be told of, with commas between them.",
    );
    let says = "Server-sent events: one `figures` a second, whose data is `Figures`. The feed ends after a minute; \
                clients of server-sent events come again by themselves.";
    manager("watchFigures", "Watch the figures of this second")
        .says(says)
        .query(keys)
        .answers_in(200, "The feed.", vec![("text/event-stream", events())])
        .refuses(&[ErrorCode::NotFound, ErrorCode::Overloaded])
}

fn of_one(name: &'static str, title: &'static str) -> Call {
    manager(name, title).of_one(id("id", "req", "The call, by the id in its `x-lava-request-id`."))
}

fn shown() -> Vec<Field> {
    let provider_key =
        "Whose credential it is made with: the operator's, the caller's, or one that the merchant has stored.";
    vec![
        id("request_id", "req", "The id of the request that it will be."),
        count(
            "attempt",
            "How often it has been sent to a provider, this time with it.",
        ),
        id(
            "attempt_of",
            "req",
            "Of an attempt after the first: the call that it belongs to.",
        )
        .or_null(),
        word("stage", &["waiting", "answering"], "Whether an answer has begun."),
        flag("streaming", "Whether its answer is streamed."),
        id(
            "spend_key_id",
            "spk",
            "The key that called; null where it was another kind.",
        )
        .or_null(),
        text("spend_key_name", "What that key was called as it called.").or_null(),
        id("wallet_id", "wal", "The wallet that pays."),
        id("customer_id", "con", "The customer whom it is for.").or_null(),
        id("meter_id", "prd", "The meter that charges.").or_null(),
        text("provider", "The provider that serves it."),
        word("provider_key_type", ProviderKeyType::WORDS, provider_key),
        text("model", "The model.").or_null(),
        text("endpoint", "What was called."),
        text("operation", "What kind of call it is, such as `chat`."),
        text("dialect", "Whose format the caller speaks."),
        flag("simulated", "Whether the simulated provider answers."),
        instant("started_at", "When it began."),
        count("duration_ms", "For how many milliseconds it has run."),
        count("output_tokens", "Tokens that have come so far."),
        count(
            "output_bytes",
            "Bytes that have come so far of an answer that is not read, such as a sound.",
        ),
        money("held", "What is held for it; null where nobody must cover it.").or_null(),
        money("cost", "What it is thought to have cost so far; null without a price.").or_null(),
        open("metadata", "The caller's labels."),
    ]
}

fn figures() -> Object {
    let key = object(vec![
        id("spend_key_id", "spk", "The key."),
        word("status", KeyStatus::WORDS, "Whether it may be used."),
        money(
            "current_spend",
            "What it has spent in the limit's cycle; without a limit, ever.",
        ),
        money("reserved_spend", "What is held for its calls in flight."),
        money("available", "What is left of the limit; null without one.").or_null(),
        instant("resets_at", "When the limit's cycle ends.").or_null(),
    ]);
    object(vec![
        instant("at", "When it was so."),
        count("calls_in_flight", "Calls in flight."),
        money("held", "What is held for them."),
        count(
            "requests_per_second",
            "How many ended since the last event; null in the first.",
        )
        .or_null(),
        money("spend_per_second", "What those cost; null in the first.").or_null(),
        list("spend_keys", key, "The keys that were asked for, in their order."),
    ])
}
