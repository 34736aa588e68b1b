//! Models and the directory of services in the reference.

use utoipa::openapi::Object;

use crate::http::error::ErrorCode;

use super::call::{Call, public};
use super::envelope::Envelope;
use super::part::Part;
use super::refusals;
use super::schema::{Field, any_text, anything, count, flag, integer, list, money, nested, object, text, the, word};

pub fn models() -> Part {
    let list = object(vec![
        word("object", &["list"], "Always the same."),
        list("data", the("Model"), "The models."),
    ]);
    let about = "Which models can be called now. Open to all; with a key the list holds what that key may call.";
    Part::new("Models", about)
        .thing("Model", model())
        .get(
            &["/v1/models"],
            models_call("listModels", "List models", Envelope::Lava).answers(
                200,
                "The models that can be called.",
                list,
            ),
        )
        .get(
            &["/v1/models/{model}"],
            models_call("getModel", "Get a model", Envelope::Lava)
                .at(text("model", "The model, as `provider/model` or bare.").example("gpt-4o-mini"))
                .answers(200, "The model.", the("Model")),
        )
}

pub fn services() -> Part {
    let whole = object(vec![
        word("object", &["list"], "Always the same."),
        list("data", the("Service"), "The models."),
        list("providers", the("Provider"), "Their providers."),
    ]);
    let found = object(vec![
        word("object", &["list"], "Always the same."),
        list("data", the("Provider"), "The providers, the best first."),
    ]);
    let about = "The directory of all that the catalogue and the price book list, with prices. Open to all.";
    Part::new("Services", about)
        .thing("Service", object(service()))
        .thing("Provider", object(provider()))
        .get(
            &["/v1/services"],
            directory("listServices", "List services")
                .query(text("provider", "Only those of this provider.").example("openai"))
                .query(text(
                    "query",
                    "Only those whose model or provider has all of these words.",
                ))
                .query(integer(
                    "limit",
                    1..=1_000_000,
                    "How many at most; all where nothing is said.",
                ))
                .answers(200, "The directory.", whole),
        )
        .get(
            &["/v1/services/providers"],
            directory("searchProviders", "Search for providers")
                .query(text(
                    "query",
                    "Words that stand in a provider's names or models; without one nothing is found.",
                ))
                .query(word(
                    "category",
                    &["model", "models"],
                    "What is searched; there are models only.",
                ))
                .answers(200, "What was found.", found),
        )
}

/// A call that lists models, whose answer depends on who asks.
pub fn models_call(id: &'static str, title: &'static str, envelope: Envelope) -> Call {
    let mut call = public(id, title).open_to_all();
    call.envelope = envelope;
    call.refuses(refusals::OF_CALLER).refuses(&[
        ErrorCode::ModelNotFound,
        ErrorCode::InvalidRequest,
        ErrorCode::NotFound,
    ])
}

fn directory(id: &'static str, title: &'static str) -> Call {
    public(id, title).refuses(&[ErrorCode::Internal])
}

fn model() -> Object {
    object(vec![
        text("id", "What it is called with."),
        word("object", &["model"], "Always the same."),
        count("created", "Always 0."),
        text("owned_by", "The provider."),
    ])
}

fn service() -> Vec<Field> {
    vec![
        text("id", "The model."),
        word("object", &["model"], "Always the same."),
        text("provider", "The provider."),
        text("provider_label", "How the provider is called."),
        any_text("api_reference", "Where the provider describes it.").or_null(),
        text("endpoint", "Where this server takes calls of it."),
        text("method", "Always `POST`."),
        any_text("url_template", "The provider's own address.").or_null(),
        anything("workflow", "Always null."),
        anything("example_body", "A body that works there; null where it is a form."),
        word("service_type", &["model"], "Always the same."),
        flag("managed", "Whether the operator has a credential."),
        nested("pricing", pricing(), "Dollars for a million tokens."),
        list("capabilities", any_text("", ""), "What it can do."),
    ]
}

fn pricing() -> Object {
    let both = || object(vec![money("input", "In."), money("output", "Out.")]);
    object(vec![
        word("type", &["tokens_1m"], "Always the same."),
        money("input", "Tokens in."),
        money("output", "Tokens out."),
        money("cache_input_read", "Tokens read from a cache."),
        money("cache_input_write", "Tokens written to a cache."),
        money("cost_per_request", "Each request."),
        nested("text", both(), "Text."),
        nested("audio", both(), "Sound."),
        anything("image", "Always null."),
    ])
}

fn provider() -> Vec<Field> {
    vec![
        text("id", "The provider."),
        text("label", "How it is called."),
        any_text("api_reference", "Where it describes itself.").or_null(),
        word("service_type", &["model"], "Always the same."),
        flag("managed", "Whether the operator has a credential."),
        count("entry_count", "How many of its models are listed."),
    ]
}
