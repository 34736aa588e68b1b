//! Spend keys in the reference.

use serde_json::json;
use utoipa::openapi::Object;

use crate::domain::key::{Enforcement, KeyStatus, OnDisconnect, RequestShape};
use crate::storage::spend_keys::{KeyOrder, Standing};

use super::call::{Call, manager};
use super::part::Part;
use super::schema::{
    Field, Unknown, amount, any_text, body, count, id, instant, integer, money, nested, object, text, texts, the, word,
};

const CYCLES: [&str; 4] = ["daily", "weekly", "monthly", "total"];

pub fn part() -> Part {
    let all = ["/v1/spend_keys", "/v1/manage/spend_keys"];
    let one = ["/v1/spend_keys/{id}", "/v1/manage/spend_keys/{id}"];
    let rotate = ["/v1/spend_keys/{id}/rotate", "/v1/manage/spend_keys/{id}/rotate"];
    let about = "What applications call the gateway with. A key may be limited in what it spends, in how often and how \
                 fast it calls, and in what it may reach; a limit holds at any number of calls at once.";
    Part::new("Spend keys", about)
        .listed_thing("SpendKey", object(shown()))
        .thing("SpendKeyWithSecret", object([shown(), vec![plain_text()]].concat()))
        .post(&all, create_call())
        .get(&all, list_call())
        .get(
            &one,
            of_one("getSpendKey", "Get a spend key").answers(200, "The key.", the("SpendKey")),
        )
        .patch(&one, update_call("updateSpendKey"))
        .put(&one, update_call("putSpendKey"))
        .post(&rotate, rotate_call())
        .delete(&one, revoke_call())
}

fn create_call() -> Call {
    let example = json!({ "name": "first", "spend_limit": { "amount": "5.00", "cycle": "daily" } });
    let mut fields = settings();
    if let Some(name) = fields.first_mut() {
        *name = name.clone().required();
    }
    fields.push(id(
        "wallet_id",
        "wal",
        "The wallet that pays; the default one where none is named.",
    ));
    fields.push(
        any_text("connection_id", "A name of older clients, on which nothing depends.")
            .most(255)
            .or_null()
            .older(),
    );
    manager("createSpendKey", "Make a spend key")
        .says("The answer holds the key itself, in `key`, which is shown this once.")
        .takes(body(Unknown::Refused, fields), example)
        .answers(201, "The new key, with its secret.", the("SpendKeyWithSecret"))
        .refuses(&[crate::http::error::ErrorCode::NotFound])
}

fn list_call() -> Call {
    let standing =
        "Only those that are so; `limited`: what it has spent, or the calls that it has made, have reached its limit.";
    let order = "In which order: newest first, by name, by what they have ever spent, or by their last use.";
    manager("listSpendKeys", "List spend keys")
        .query(id("wallet_id", "wal", "Only those of this wallet."))
        .search("Only those whose name, preview or id has it.")
        .query(word("status", &Standing::ALL.map(Standing::name), standing))
        .query(text("tag", "Only those with this tag.").most(255))
        .query(word("sort", &KeyOrder::ALL.map(KeyOrder::name), order).usually(KeyOrder::default().name()))
        .answers_page("SpendKey")
        .or_table()
}

fn update_call(name: &'static str) -> Call {
    of_one(name, "Change a spend key")
        .says("Changes what the body mentions, at once; null clears. `PUT` and `PATCH` mean the same.")
        .takes(body(Unknown::Refused, settings()), json!({ "status": "paused" }))
        .answers(200, "The key as it is now.", the("SpendKey"))
}

fn rotate_call() -> Call {
    let grace = integer(
        "grace_seconds",
        0..=86_400,
        "For how many seconds the old secret goes on working.",
    );
    of_one("rotateSpendKey", "Rotate a spend key")
        .says("Gives the key a new secret. The old one is dead before the answer leaves, or after its grace; what is streaming goes on to its end.")
        .takes(body(Unknown::Refused, vec![grace.usually(0).or_null()]), json!({ "grace_seconds": 3600 }))
        .answers(200, "The key, with its new secret.", the("SpendKeyWithSecret"))
}

fn revoke_call() -> Call {
    of_one("revokeSpendKey", "Revoke a spend key")
        .says("It is refused from now on, and what it streams is cut within a second, billed for what was sent.")
        .answers_success()
}

fn of_one(name: &'static str, title: &'static str) -> Call {
    manager(name, title).of_one(id("id", "spk", "The key."))
}

fn settings() -> Vec<Field> {
    let statuses = [KeyStatus::Active.name(), KeyStatus::Paused.name()];
    vec![
        text("name", "What the key is called.").most(255),
        word("status", &statuses, "A paused key is refused until it is active again."),
        word("request_shape", RequestShape::WORDS, "Whose format it speaks on the routes that have one."),
        nested("spend_limit", spend_limit(), "The most that it may spend in a cycle.").or_null(),
        nested("request_limit", request_limit(), "The most calls that it may make in a cycle.").or_null(),
        nested("rate_limit", rate_limit(), "How fast it may call.").or_null(),
        integer("max_parallel", 1..=1_000_000, "The most calls that it may have in flight at once.").or_null(),
        word("enforcement", Enforcement::WORDS, "How the spend limit is kept: `strict` never lets it be passed, `adaptive` by at most what one piece of a stream costs, `soft` looks only at what is spent, `observe` only counts.")
            .usually("adaptive")
            .or_null(),
        texts("allowed_models", "The only models that it may call; `*` stands for any text.").or_null(),
        texts("allowed_providers", "The only providers that it may call.").or_null(),
        texts("allowed_ips", "The only addresses or networks, as `10.0.0.0/8`, that it may be used from.").or_null(),
        word("on_disconnect", OnDisconnect::WORDS, "What becomes of a call whose client has gone: it is read to its end, or cancelled at the provider.")
            .usually("drain")
            .or_null(),
        text("timezone", "The IANA name of the zone in which its cycles begin.").example("Europe/Berlin").usually("UTC").or_null(),
        instant("expires_at", "When it expires; it must be in the future.").or_null(),
        texts("tags", "Words of your own.").or_null(),
    ]
}

fn shown() -> Vec<Field> {
    vec![
        id("spend_key_id", "spk", "The key's id."),
        text("key_preview", "How the key begins."),
        text("name", "What it is called."),
        word("status", KeyStatus::WORDS, "Whether it may be used."),
        word("request_shape", RequestShape::WORDS, "Whose format it speaks."),
        id("wallet_id", "wal", "The wallet that pays."),
        nested(
            "spend_limit",
            object(vec![money("amount", "Dollars."), cycle()]),
            "The most that it may spend in a cycle.",
        )
        .or_null(),
        money(
            "current_spend",
            "What it has spent in the limit's cycle; without a limit, ever. Only what is settled.",
        ),
        money("reserved_spend", "What is held for its calls in flight."),
        money("available", "What is left of the limit; null without one.").or_null(),
        instant(
            "resets_at",
            "When the limit's cycle ends; null without a limit, and where the cycle is `total`.",
        )
        .or_null(),
        money("total_spend", "What it has ever spent."),
        nested(
            "request_limit",
            object(vec![count("count", "Calls."), cycle()]),
            "The most calls in a cycle.",
        )
        .or_null(),
        count(
            "current_requests",
            "Its calls in that limit's cycle; without one, ever.",
        ),
        count("total_requests", "Its calls, ever."),
        nested(
            "rate_limit",
            object(vec![
                count("rpm", "Calls a minute."),
                count("burst", "How many at once.").or_null(),
            ]),
            "How fast it may call.",
        )
        .or_null(),
        count("max_parallel", "The most calls in flight at once.").or_null(),
        word("enforcement", Enforcement::WORDS, "How the spend limit is kept."),
        texts("allowed_models", "The only models.").or_null(),
        texts("allowed_providers", "The only providers.").or_null(),
        texts("allowed_ips", "The only addresses and networks.").or_null(),
        word(
            "on_disconnect",
            OnDisconnect::WORDS,
            "What becomes of a call whose client has gone.",
        ),
        text("timezone", "The zone in which its cycles begin."),
        texts("tags", "Words of your own.").or_null(),
        instant("expires_at", "When it expires.").or_null(),
        instant("last_used_at", "When it was last used.").or_null(),
        instant("created_at", "When it was made."),
    ]
}

fn plain_text() -> Field {
    text("key", "The key itself, which is shown this once.")
}

fn spend_limit() -> Object {
    body(
        Unknown::Refused,
        vec![amount("amount", "Dollars, above zero.").required(), cycle().required()],
    )
}

fn request_limit() -> Object {
    body(
        Unknown::Refused,
        vec![
            integer("count", 1..=1_000_000_000, "Calls.").required(),
            cycle().required(),
        ],
    )
}

fn rate_limit() -> Object {
    let burst = integer(
        "burst",
        1..=1_000_000,
        "How many may come at once; as `rpm` where it is not said.",
    );
    body(
        Unknown::Refused,
        vec![
            integer("rpm", 1..=1_000_000, "Calls a minute.").required(),
            burst.or_null(),
        ],
    )
}

fn cycle() -> Field {
    word(
        "cycle",
        &CYCLES,
        "When it begins anew: at midnight, on Monday, on the 1st, never.",
    )
}
