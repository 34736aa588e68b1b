//! Webhooks and what became of their events, in the reference.

use serde_json::json;

use crate::domain::webhook::{DeliveryStatus, DisabledReason, EventName};
use crate::http::error::ErrorCode;

use super::call::{Call, secret};
use super::part::Part;
use super::schema::{Field, Unknown, any_text, body, count, flag, id, instant, integer, list, object, text, the, word};

const ONE: &str = "/v1/webhooks/{id}";

pub fn part() -> Part {
    let about = "Where a merchant is told what happened, signed as Standard Webhooks has it. An event is told at least \
                 once, in no promised order, under an id that stays the same; what fails is told again for three days. A \
                 merchant has at most three endpoints, at public addresses.";
    let plain_text = text("webhook_secret", "What signs; shown this once.");
    Part::new("Webhooks", about)
        .listed_thing("Webhook", object(shown()))
        .thing("WebhookWithSecret", object([shown(), vec![plain_text]].concat()))
        .listed_thing("Delivery", object(delivery_shown()))
        .thing("DeliveryWithBody", object([delivery_shown(), told()].concat()))
        .post(&["/v1/webhooks"], create_call())
        .get(
            &["/v1/webhooks"],
            secret("listWebhooks", "List webhooks")
                .search("Only those whose name, address or id has it.")
                .answers_page("Webhook"),
        )
        .get(
            &[ONE],
            of_one("getWebhook", "Get a webhook").answers(200, "The webhook.", the("Webhook")),
        )
        .patch(&[ONE], update_call())
        .post(&["/v1/webhooks/{id}/rotate"], rotate_call())
        .delete(
            &[ONE],
            of_one("deleteWebhook", "Delete a webhook")
                .says("With all that was to be told there.")
                .answers_deleted(),
        )
        .get(&["/v1/webhooks/{id}/deliveries"], deliveries_call())
        .get(
            &["/v1/webhooks/{id}/deliveries/{delivery}"],
            of_one_delivery("getDelivery", "Get a delivery").answers(
                200,
                "The delivery, with what was told and the beginning of what was answered.",
                the("DeliveryWithBody"),
            ),
        )
        .post(
            &["/v1/webhooks/{id}/deliveries/{delivery}/replay"],
            of_one_delivery("replayDelivery", "Tell it again")
                .says("Sends it at once, and then as often as a new one.")
                .answers(200, "The delivery as it is now.", the("Delivery"))
                .refuses(&[ErrorCode::Conflict]),
        )
}

fn create_call() -> Call {
    let fields = vec![
        text("name", "What the endpoint is called.").most(255).required(),
        url().required(),
        events(),
        flag("enabled", "Whether it is told anything.").usually(true).or_null(),
    ];
    let example = json!({ "name": "billing", "url": "https://example.com/hooks", "events": ["customer.created"] });
    secret("createWebhook", "Make a webhook")
        .takes(body(Unknown::Ignored, fields), example)
        .answers(201, "The new webhook, with its secret.", the("WebhookWithSecret"))
}

fn update_call() -> Call {
    let fields = vec![
        text("name", "What the endpoint is called.").most(255),
        url(),
        events(),
        flag("enabled", "Whether it is told anything."),
    ];
    of_one("updateWebhook", "Change a webhook")
        .says("Changes what the body mentions.")
        .takes(body(Unknown::Ignored, fields), json!({ "enabled": true }))
        .answers(200, "The webhook as it is now.", the("Webhook"))
}

fn rotate_call() -> Call {
    let grace = integer(
        "grace_seconds",
        0..=604_800,
        "For how many seconds the last secret signs too.",
    );
    of_one("rotateWebhook", "Rotate a webhook's secret")
        .takes(
            body(Unknown::Ignored, vec![grace.usually(86_400).or_null()]),
            json!({ "grace_seconds": 3600 }),
        )
        .answers(200, "The webhook, with its new secret.", the("WebhookWithSecret"))
}

fn deliveries_call() -> Call {
    of_one("listDeliveries", "List deliveries")
        .query(word("status", DeliveryStatus::WORDS, "Only those that are so."))
        .answers_page("Delivery")
}

fn of_one(id_of_call: &'static str, title: &'static str) -> Call {
    secret(id_of_call, title).of_one(id("id", "whk", "The webhook."))
}

fn of_one_delivery(id_of_call: &'static str, title: &'static str) -> Call {
    of_one(id_of_call, title).of_one(id("delivery", "whd", "The delivery."))
}

fn url() -> Field {
    text("url", "Where it is told: `https`, at a public address.")
        .most(2048)
        .example("https://example.com/hooks")
}

fn events() -> Field {
    let says = "What is told; all of today's events where nothing is said. Of an event in older words and in today's only one may be asked for.";
    list("events", word("", EventName::WORDS, ""), says)
        .entries(1..=100)
        .or_null()
}

fn shown() -> Vec<Field> {
    vec![
        id("webhook_id", "whk", "The webhook's id."),
        text("name", "What it is called."),
        text("url", "Where it is told."),
        list("events", word("", EventName::WORDS, ""), "What is told; null for all.").or_null(),
        flag("enabled", "Whether it is told anything."),
        word(
            "disabled_reason",
            DisabledReason::WORDS,
            "Why it was disabled: it said 410, or it only failed for days.",
        )
        .or_null(),
        instant("previous_secret_expires_at", "Until when the last secret signs too.").or_null(),
        instant("created_at", "When it was made."),
    ]
}

fn delivery_shown() -> Vec<Field> {
    vec![
        id("delivery_id", "whd", "The delivery's id."),
        id("webhook_id", "whk", "Whose it is."),
        id("event_id", "evt", "The event, which is the same over all attempts."),
        word("event", EventName::WORDS, "What happened."),
        word(
            "status",
            DeliveryStatus::WORDS,
            "Whether it is told, will be, or was given up.",
        ),
        count("attempt_count", "How often it was tried."),
        instant("next_attempt_at", "When it is tried again.").or_null(),
        instant("last_attempt_at", "When it was last tried.").or_null(),
        count("last_status", "What the endpoint last said.").or_null(),
        text("last_error", "What last went wrong.").or_null(),
        instant("ended_at", "When it was told, or given up.").or_null(),
        instant("created_at", "When it happened."),
    ]
}

fn told() -> Vec<Field> {
    vec![
        text("body", "What is told."),
        any_text("last_answer", "The beginning of what the endpoint last said.").or_null(),
    ]
}
