//! What the operations of the document refer to: things, lists of them, errors, refusals, headers, and the ways in which
//! a credential may come.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Object, Response};

use crate::http::error::ErrorCode;

use super::document::codes;
use super::envelope::Envelope;
use super::part::Part;
use super::refusals;
use super::schema::{Field, any_text, count, flag, list, object, text, the, word};

/// All of them.
pub fn components(parts: &[Part]) -> Components {
    let mut components = ComponentsBuilder::new();
    for part in parts {
        for (name, thing) in &part.things {
            components = components.schema(*name, thing.clone());
        }
        for name in &part.listed {
            components = components.schema(format!("{name}List"), page_of(name));
        }
    }
    for envelope in Envelope::ALL {
        components = components.schema(envelope.schema_name(), envelope.schema());
    }
    components = components.schema("ErrorCode", error_code());
    components = components.schema("Success", success()).schema("Deleted", deleted());
    for (name, response) in refused(parts) {
        components = components.response(name, response);
    }
    for header in headers() {
        let (name, shape) = (header.name, header.shape);
        components = components.header(name, HeaderBuilder::new().schema(Some(shape)).build());
    }
    for (name, scheme) in schemes() {
        components = components.security_scheme(name, scheme);
    }
    components.build()
}

/// Every refusal that a call may be answered with, once.
fn refused(parts: &[Part]) -> BTreeMap<String, Response> {
    let routes = parts.iter().flat_map(|part| &part.routes);
    let all = routes.flat_map(|route| refusals::by_status(&codes(route), route.call.envelope));
    all.map(|refusal| (refusal.name, refusal.response)).collect()
}

fn page_of(name: &str) -> Object {
    object(vec![
        list("data", the(name), "Newest first."),
        flag("has_more", "Whether there is a next page."),
        text(
            "next_cursor",
            "What the next page is asked for with, as `cursor`; null on the last page.",
        )
        .or_null(),
    ])
}

/// The words of the table of errors.
fn error_code() -> Object {
    let words: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.word()).collect();
    let lines = ErrorCode::ALL.iter().map(|code| {
        let (word, status, message) = (code.word(), code.status().as_u16(), code.message());
        format!("- `{word}` ({status}): {message}")
    });
    let mut known = object(vec![]);
    if let utoipa::openapi::RefOr::T(utoipa::openapi::Schema::Object(found)) = word("", &words, "").shape {
        known = found;
    }
    known.description = Some(lines.collect::<Vec<_>>().join("\n"));
    known
}

fn success() -> Object {
    object(vec![flag("success", "Always true.")])
}

fn deleted() -> Object {
    object(vec![text("id", "What is no more."), flag("deleted", "Always true.")])
}

fn headers() -> Vec<Field> {
    vec![
        count(
            "x-ratelimit-limit",
            "How many management calls a minute this key may make.",
        ),
        count("x-ratelimit-remaining", "How many of them are left."),
        count(
            "x-ratelimit-reset",
            "When all of them are there again, in unix seconds.",
        ),
        any_text("retry-after", "In how many seconds to come back."),
        any_text("x-should-retry", "`false`: the same call will fail again."),
        text(
            "x-lava-request-id",
            "The id of this call, under which `GET /v1/requests/{id}` finds it.",
        ),
        text("x-lava-served-by", "The provider that answered."),
        count(
            "x-lava-attempts",
            "To how many providers the call was sent, where it was more than one.",
        ),
        text(
            "x-lava-cost",
            "What the call cost, where `x-lava-include-cost: true` asked for it.",
        ),
        count(
            "x-lava-output-cap",
            "The cap of output that was set because the call had none.",
        ),
        text(
            "x-lava-dropped",
            "What of the call the provider's format has no place for.",
        ),
        text("x-lava-simulated", "`true`: the answer is of the simulated provider."),
        text("etag", "The version of the document."),
    ]
}

fn schemes() -> Vec<(&'static str, SecurityScheme)> {
    let bearer = |says: &str| {
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(says))
                .build(),
        )
    };
    let header =
        |name: &str, says: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, says)));
    let parameter =
        ApiKeyValue::with_description("key", "The same as a query parameter; on the gateway's routes only.");
    vec![
        (
            "SecretKey",
            bearer(
                "A merchant's secret key, `aks_live_...` or `aks_test_...`: it manages everything. On the gateway's routes a forward token, which names a customer, a meter or a provider's key beside it, may stand in its place.",
            ),
        ),
        (
            "WalletKey",
            bearer("A wallet key, `lava_wk_...`: it manages the spend keys of one wallet."),
        ),
        (
            "SpendKey",
            bearer("A spend key, `lava_sk_...`: what applications call the gateway with."),
        ),
        (
            "KeyHeader",
            header("x-api-key", "Any of these keys, where there is no bearer."),
        ),
        (
            "GoogleKeyHeader",
            header(
                "x-goog-api-key",
                "The same as Google's clients send it; on the gateway's routes only.",
            ),
        ),
        (
            "VoiceKeyHeader",
            header(
                "xi-api-key",
                "The same as the clients of ElevenLabs send it; on the gateway's routes only.",
            ),
        ),
        (
            "Session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                "caldera_session",
                "Whoever is signed in at the dashboard has it in his browser.",
            ))),
        ),
        ("KeyParameter", SecurityScheme::ApiKey(ApiKey::Query(parameter))),
    ]
}
