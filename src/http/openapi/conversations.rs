//! The gateway's routes for conversations and the like in the reference. Bodies and answers are those of the dialect,
//! whose own reference describes them whole: what stands here is what this server itself reads, or what callers need.

use serde_json::{Value, json};
use utoipa::openapi::Object;

use super::call::{Call, events, gateway};
use super::envelope::Envelope;
use super::part::Part;
use super::schema::{
    Field, Shape, Unknown, any_text, anything, body, count, flag, integer, labels, list, nested, object, open, text,
    word,
};

pub fn part() -> Part {
    let about = "Every model of every provider, called in the format of any SDK: `provider/model` or bare. What the \
                 provider speaks itself passes byte for byte; where he speaks another format, request, answer, stream and \
                 tool calls are translated. Fields that are not described here pass too.";
    Part::new("Conversations", about)
        .post(&["/v1/chat/completions"], chat_call())
        .post(&["/v1/responses"], responses_call())
        .post(&["/v1/messages"], messages_call())
        .post(&["/v1/messages/count_tokens"], count_tokens_call())
        .post(&["/v1/completions"], completions_call())
        .post(&["/v1/embeddings"], embeddings_call())
        .thing("ChatCompletion", chat_completion())
        .thing("AnthropicMessage", anthropic_message())
}

/// A gateway call with what every one may say and be answered.
pub fn carried(id: &'static str, title: &'static str, envelope: Envelope) -> Call {
    let fallbacks = "Where the call goes on after a 5xx, a 429 or no answer: a JSON array of at most five `{\"url\": ..., \"model\": ...}`.";
    let cost = "`true`: the answer says what it cost, in `x-lava-cost` or at the end of the stream.";
    gateway(id, title, envelope)
        .json_query(labels(
            "metadata",
            "Labels of the request, by which requests and usage are found again.",
        ))
        .header(any_text(
            "x-lava-metadata",
            "The same as a JSON object in a header; `x-lava-metadata-{name}` says one of them.",
        ))
        .header(any_text("x-lava-fallbacks", fallbacks))
        .header(word("x-lava-include-cost", &["true", "false"], cost))
        .answers_in(
            0,
            "A provider's own error, as it was sent.",
            vec![("application/json", anything("", "").into())],
        )
}

/// A JSON answer of a provider, or a stream of server-sent events.
pub fn answers_or_streams(call: Call, shape: impl Into<Shape>) -> Call {
    let contents = vec![("application/json", shape.into()), ("text/event-stream", events())];
    call.answers_in(200, "The answer, or its stream where `stream` asks for one.", contents)
}

fn chat_call() -> Call {
    let message = body(
        Unknown::Ignored,
        vec![
            text(
                "role",
                "Who says it: `system`, `developer`, `user`, `assistant` or `tool`.",
            )
            .required(),
            anything("content", "What is said: a text, or parts of text, images and sound."),
        ],
    );
    let fields = vec![
        model(),
        list("messages", Shape::from(message), "The conversation so far.").required(),
        stream(),
        integer(
            "max_completion_tokens",
            1..=10_000_000,
            "The cap of output, which also bounds what the call may cost.",
        )
        .or_null(),
        integer("max_tokens", 1..=10_000_000, "The same in older words.").or_null(),
        list("tools", Object::new(), "The tools that the model may call.").or_null(),
    ];
    let call = carried("createChatCompletion", "Chat, as OpenAI has it", Envelope::OpenAi)
        .takes(passing(fields), conversation("gpt-4o-mini"));
    answers_or_streams(call, super::schema::the("ChatCompletion"))
}

fn responses_call() -> Call {
    let fields = vec![
        model(),
        anything("input", "What is asked: a text, or items."),
        stream(),
        integer("max_output_tokens", 1..=10_000_000, "The cap of output.").or_null(),
        text(
            "previous_response_id",
            "The answer that this goes on from; one that this merchant got.",
        )
        .or_null(),
        flag("background", "Not supported: true is refused.").or_null(),
    ];
    let call = carried("createResponse", "Respond, as OpenAI has it", Envelope::OpenAi)
        .takes(passing(fields), json!({ "model": "gpt-4o-mini", "input": "Hello" }));
    answers_or_streams(call, open("", "A response in OpenAI's format."))
}

fn messages_call() -> Call {
    let call = carried("createMessage", "Chat, as Anthropic has it", Envelope::Anthropic)
        .header(anthropic_version())
        .takes(passing(messages_fields(cap())), anthropic_example());
    answers_or_streams(call, super::schema::the("AnthropicMessage"))
}

fn count_tokens_call() -> Call {
    let counted = object(vec![count("input_tokens", "How many.")]);
    carried("countTokens", "Count the tokens of a message", Envelope::Anthropic)
        .says("Of a model whose provider cannot count, an estimate: the header `x-lava-estimated` says so.")
        .header(anthropic_version())
        .takes(passing(messages_fields(None)), anthropic_example())
        .answers(200, "The count.", counted)
}

fn completions_call() -> Call {
    let fields = vec![
        model(),
        anything("prompt", "The text to go on with."),
        stream(),
        integer("max_tokens", 1..=10_000_000, "The cap of output.").or_null(),
    ];
    let example = json!({ "model": "gpt-3.5-turbo-instruct", "prompt": "Once", "max_tokens": 64 });
    let call = carried(
        "createCompletion",
        "Complete a text, as OpenAI has it",
        Envelope::OpenAi,
    )
    .takes(passing(fields), example);
    answers_or_streams(call, open("", "A completion in OpenAI's format."))
}

fn embeddings_call() -> Call {
    let fields = vec![model(), anything("input", "A text, or a list of texts.")];
    carried("createEmbedding", "Embed texts, as OpenAI has it", Envelope::OpenAi)
        .takes(
            passing(fields),
            json!({ "model": "text-embedding-3-small", "input": "Hello" }),
        )
        .answers(200, "The embeddings.", open("", "A list in OpenAI's format."))
}

/// A body of which more passes than is described.
pub fn passing(fields: Vec<Field>) -> Object {
    body(Unknown::Ignored, fields)
}

pub fn model() -> Field {
    text("model", "The model, as `provider/model` or bare.")
        .most(255)
        .example("gpt-4o-mini")
        .required()
}

fn stream() -> Field {
    flag("stream", "Whether the answer comes piece by piece.").or_null()
}

fn anthropic_version() -> Field {
    any_text(
        "anthropic-version",
        "The version of Anthropic's format; the usual one where it is missing.",
    )
    .example("2023-06-01")
}

fn cap() -> Option<Field> {
    Some(integer("max_tokens", 1..=10_000_000, "The cap of output.").required())
}

fn messages_fields(cap: Option<Field>) -> Vec<Field> {
    let message = body(
        Unknown::Ignored,
        vec![
            word("role", &["user", "assistant", "system"], "Who says it.").required(),
            anything("content", "What is said: a text, or blocks of it."),
        ],
    );
    let mut fields = vec![
        model(),
        list("messages", Shape::from(message), "The conversation so far.").required(),
        anything("system", "What the model is told of itself."),
        list("tools", Object::new(), "The tools that the model may call.").or_null(),
        stream(),
    ];
    fields.extend(cap);
    fields
}

fn conversation(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] })
}

fn anthropic_example() -> Value {
    let mut example = conversation("claude-haiku-4-5");
    example["max_tokens"] = 64.into();
    example
}

fn chat_completion() -> Object {
    let choice = object(vec![
        count("index", "Its place."),
        nested("message", Object::new(), "What the model says.").optional(),
        text(
            "finish_reason",
            "Why it ended: `stop`, `length`, `tool_calls` or `content_filter`.",
        )
        .or_null()
        .optional(),
    ]);
    let usage = object(vec![
        count("prompt_tokens", "Tokens in."),
        count("completion_tokens", "Tokens out."),
        count("total_tokens", "Both."),
    ]);
    object(vec![
        any_text("id", "The provider's id of the answer.").optional(),
        any_text("model", "The model that answered.").optional(),
        list("choices", Shape::from(choice), "What the model says.").optional(),
        nested("usage", usage, "What was used.").optional(),
    ])
}

fn anthropic_message() -> Object {
    let usage = object(vec![
        count("input_tokens", "Tokens in."),
        count("output_tokens", "Tokens out."),
    ]);
    object(vec![
        any_text("id", "The provider's id of the answer.").optional(),
        any_text("model", "The model that answered.").optional(),
        list("content", Object::new(), "What the model says, in blocks.").optional(),
        text("stop_reason", "Why it ended.").or_null().optional(),
        nested("usage", usage, "What was used.").optional(),
    ])
}
