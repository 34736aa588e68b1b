//! Calls to a provider's own address in the reference.

use serde_json::json;
use utoipa::openapi::HttpMethod;

use super::call::Call;
use super::conversations::{carried, passing};
use super::envelope::Envelope;
use super::part::Part;
use super::schema::{Field, anything, text, word};

/// The methods that are forwarded, with the ids of their operations: by the query, and by the path.
const METHODS: [(HttpMethod, &str, &str); 7] = [
    (HttpMethod::Post, "forwardPost", "forwardPostByPath"),
    (HttpMethod::Get, "forwardGet", "forwardGetByPath"),
    (HttpMethod::Put, "forwardPut", "forwardPutByPath"),
    (HttpMethod::Patch, "forwardPatch", "forwardPatchByPath"),
    (HttpMethod::Delete, "forwardDelete", "forwardDeleteByPath"),
    (HttpMethod::Head, "forwardHead", "forwardHeadByPath"),
    (HttpMethod::Options, "forwardOptions", "forwardOptionsByPath"),
];

pub fn part() -> Part {
    let about = "A provider's own address, called through the gateway. With the operator's credential those endpoints of \
                 which the catalogue knows what they cost; with a credential of your own any path of the host. Method, \
                 body and query pass as they are.";
    let mut part = Part::new("Forward and rewrite", about);
    for (method, by_query, by_path) in METHODS {
        part = part.route(
            method.clone(),
            &["/v1/forward"],
            forward_call(by_query, &method).query(url("u").required()),
        );
        part = part.route(
            method.clone(),
            &["/v1/forward/{target}"],
            forward_call(by_path, &method).at(url("target")),
        );
    }
    let format = word(
        "format",
        &["openai", "anthropic", "google", "bedrock"],
        "The format that you speak.",
    );
    let rewrite = carried("rewrite", "Call an address in another format", Envelope::OpenAi)
        .says("The call is translated from the format that you speak into that of the address, and the answer back. Refusals come in the format that you speak.")
        .at(format)
        .at(url("target"))
        .takes(passing(vec![]), json!({ "model": "claude-haiku-4-5", "messages": [{ "role": "user", "content": "Hello" }] }))
        .answers_in(200, "The answer, in the format that you speak.", whatever());
    part.post(&["/v1/rewrite/{format}/{target}"], rewrite)
}

fn forward_call(id: &'static str, method: &HttpMethod) -> Call {
    let call = carried(id, "Forward a call", Envelope::OpenAi)
        .says("Refusals come in OpenAI's format, or in Anthropic's where the call has the header `anthropic-version`.")
        .answers_in(200, "The provider's answer, as it was sent.", whatever());
    match method {
        HttpMethod::Post | HttpMethod::Put | HttpMethod::Patch => call.takes_anything(),
        _ => call,
    }
}

fn url(name: &'static str) -> Field {
    text(
        name,
        "The provider's address, with or without its scheme, or `{provider}/{path}`.",
    )
    .most(2048)
    .example("api.openai.com/v1/chat/completions")
}

fn whatever() -> Vec<(&'static str, super::schema::Shape)> {
    vec![("*/*", anything("", "").into())]
}
