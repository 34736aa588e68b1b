//! What Google's and AWS's own clients call in the reference.

use serde_json::{Value, json};
use utoipa::openapi::Object;

use super::call::{Call, bytes, events};
use super::conversations::{carried, passing};
use super::envelope::Envelope;
use super::models::models_call;
use super::part::Part;
use super::schema::{
    Field, Shape, Unknown, any_text, anything, body, count, integer, list, nested, object, open, text, word,
};

pub fn google() -> Part {
    let about = "What Google's clients call, on any model of any provider.";
    let listed = object(vec![list("models", model_shown(), "The models, on one page.")]);
    let list_call = models_call("listGoogleModels", "List models, as Google has them", Envelope::Google);
    let get_call = models_call("getGoogleModel", "Get a model, as Google has it", Envelope::Google);
    let mut part = Part::new("Google's format", about)
        .get(
            &["/v1beta/models", "/v1alpha/models"],
            list_call.answers(200, "The models that can be called.", listed),
        )
        .get(
            &["/v1beta/models/{model}", "/v1alpha/models/{model}"],
            get_call.at(model()).answers(200, "The model.", model_shown()),
        );
    for (method, call, slashed) in [
        ("generateContent", generate_call(), "generateContentOfPublisher"),
        (
            "streamGenerateContent",
            stream_call(),
            "streamGenerateContentOfPublisher",
        ),
        ("countTokens", count_call(), "countContentTokensOfPublisher"),
    ] {
        let paths =
            |before: &str| ["v1beta", "v1alpha"].map(|version| format!("/{version}/{before}/{{model}}:{method}"));
        let [today, older] = paths("models");
        part = part.post(&[&today, &older], call.clone());
        let publisher = text("publisher", "What stands before the slash in the model's name.");
        let [today, older] = paths("{publisher}");
        part = part.post(&[&today, &older], call.named(slashed).at(publisher));
    }
    part
}

pub fn bedrock() -> Part {
    let about = "What AWS's clients call, on any model of any provider. Their signature is not read: the key comes as a \
                 bearer, as Bedrock's own API keys do.";
    let streamed = vec![("application/vnd.amazon.eventstream", bytes())];
    Part::new("Bedrock's format", about)
        .post(
            &["/model/{model}/converse"],
            converse_call("converse", "Converse").answers(
                200,
                "The answer.",
                open("", "An answer in Bedrock's format."),
            ),
        )
        .post(
            &["/model/{model}/converse-stream"],
            converse_call("converseStream", "Converse, as a stream").answers_in(200, "The stream.", streamed),
        )
}

fn generate_call() -> Call {
    google_call("generateContent", "Generate content").answers(200, "The answer.", answer())
}

fn stream_call() -> Call {
    google_call("streamGenerateContent", "Generate content, as a stream")
        .query(word("alt", &["sse"], "Streams come as server-sent events only.").required())
        .answers_in(200, "The stream.", vec![("text/event-stream", events())])
}

fn count_call() -> Call {
    let counted = object(vec![count("totalTokens", "How many.")]);
    google_call("countContentTokens", "Count tokens, as Google has it").answers(200, "The count.", counted)
}

fn google_call(id: &'static str, title: &'static str) -> Call {
    let content = body(
        Unknown::Ignored,
        vec![
            word("role", &["user", "model"], "Who says it."),
            list("parts", Object::new(), "What is said, in parts.").required(),
        ],
    );
    let cap = integer("maxOutputTokens", 1..=10_000_000, "The cap of output.");
    let fields = vec![
        list("contents", Shape::from(content), "The conversation so far.").required(),
        anything("systemInstruction", "What the model is told of itself."),
        nested(
            "generationConfig",
            body(Unknown::Ignored, vec![cap]),
            "How it is to answer.",
        ),
        list("tools", Object::new(), "The tools that the model may call."),
    ];
    carried(id, title, Envelope::Google).at(model()).takes(
        passing(fields),
        json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] }),
    )
}

fn converse_call(id: &'static str, title: &'static str) -> Call {
    let message = body(
        Unknown::Ignored,
        vec![
            word("role", &["user", "assistant"], "Who says it.").required(),
            list("content", Object::new(), "What is said, in blocks.").required(),
        ],
    );
    let cap = integer("maxTokens", 1..=10_000_000, "The cap of output.");
    let fields = vec![
        list("messages", Shape::from(message), "The conversation so far.").required(),
        list("system", Object::new(), "What the model is told of itself."),
        nested(
            "inferenceConfig",
            body(Unknown::Ignored, vec![cap]),
            "How it is to answer.",
        ),
        nested("toolConfig", Object::new(), "The tools that the model may call."),
    ];
    let example: Value = json!({ "messages": [{ "role": "user", "content": [{ "text": "Hello" }] }] });
    carried(id, title, Envelope::Bedrock)
        .at(model())
        .takes(passing(fields), example)
}

fn model() -> Field {
    text("model", "The model, as `provider/model` or bare.").example("gpt-4o-mini")
}

fn answer() -> Object {
    object(vec![
        list("candidates", Object::new(), "What the model says.").optional(),
        nested("usageMetadata", Object::new(), "What was used.").optional(),
        any_text("modelVersion", "The model that answered.").optional(),
    ])
}

fn model_shown() -> Object {
    object(vec![
        text("name", "As `models/{model}`."),
        text("version", "Always `1`."),
        text("displayName", "The model."),
        any_text("description", "Whose it is."),
        list(
            "supportedGenerationMethods",
            any_text("", ""),
            "What can be done with it.",
        ),
        count("inputTokenLimit", "How much it reads.").optional(),
        count("outputTokenLimit", "How much it writes.").optional(),
    ])
}
