//! The shapes of errors: our own, and those of the dialects that the gateway speaks, in which our code and status stand
//! beside what the dialect's clients read. A provider's own error has the same shape without them.

use utoipa::openapi::Object;

use super::schema::{Field, any_text, anything, count, link, list, nested, object, text, word};

/// In whose shape a refusal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    Lava,
    OpenAi,
    Anthropic,
    Google,
    Bedrock,
    Mcp,
}

impl Envelope {
    pub const ALL: [Self; 6] = [
        Self::Lava,
        Self::OpenAi,
        Self::Anthropic,
        Self::Google,
        Self::Bedrock,
        Self::Mcp,
    ];

    /// The name of its schema.
    pub const fn schema_name(self) -> &'static str {
        match self {
            Self::Lava => "Error",
            Self::OpenAi => "OpenAiError",
            Self::Anthropic => "AnthropicError",
            Self::Google => "GoogleError",
            Self::Bedrock => "BedrockError",
            Self::Mcp => "McpError",
        }
    }

    pub fn schema(self) -> Object {
        match self {
            Self::Lava => of_lava(),
            Self::OpenAi => of_openai(),
            Self::Anthropic => of_anthropic(),
            Self::Google => of_google(),
            Self::Bedrock => of_bedrock(),
            Self::Mcp => of_mcp(),
        }
    }
}

fn of_lava() -> Object {
    let error = object(vec![
        link("code", "ErrorCode", "What is wrong, for programs."),
        message(),
        status(),
        any_text("param", "The parameter that is wrong, such as `spend_limit.amount`.").optional(),
    ]);
    object(vec![nested(
        "error",
        error,
        "What is wrong. Where there are figures, such as `limit`, `spent`, `held` and `resets_at`, they stand beside.",
    )])
}

fn of_openai() -> Object {
    let kind = any_text("type", "The word by which OpenAI names errors of this status.").or_null();
    let error = object(vec![
        message(),
        kind.optional(),
        any_code().optional(),
        status().optional(),
        any_text("param", "The parameter that is wrong.").or_null().optional(),
    ]);
    object(vec![nested("error", error, "What is wrong.")])
}

fn of_anthropic() -> Object {
    let error = object(vec![
        text("type", "The word by which Anthropic names errors of this status."),
        message(),
        any_code().optional(),
        status().optional(),
    ]);
    object(vec![
        word("type", &["error"], "Always `error`."),
        nested("error", error, "What is wrong."),
        text("request_id", "The id of the call.").or_null().optional(),
    ])
}

fn of_google() -> Object {
    let says = "Of our own errors one entry, whose `reason` is one of `ErrorCode`.";
    let details = list("details", Object::new(), says);
    let error = object(vec![
        count("code", "The status of the answer."),
        message(),
        text("status", "The word by which Google names the status."),
        details.optional(),
    ]);
    object(vec![nested("error", error, "What is wrong.")])
}

fn of_bedrock() -> Object {
    let kind = text("__type", "The exception by which Bedrock names the status.");
    object(vec![
        message(),
        kind.optional(),
        any_code().optional(),
        status().optional(),
    ])
}

/// Ours, or the protocol's own.
fn of_mcp() -> Object {
    let says = "Of our own errors one of `ErrorCode`; of the protocol's its number.";
    let error = object(vec![
        message(),
        anything("code", says),
        status().optional(),
        any_text("param", "The parameter that is wrong.").optional(),
    ]);
    object(vec![
        nested("error", error, "What is wrong."),
        word("jsonrpc", &["2.0"], "Of the protocol's errors.").optional(),
        anything("id", "Of the protocol's errors: the message that was wrong.").optional(),
    ])
}

fn message() -> Field {
    any_text("message", "What is wrong, for people.")
}

fn any_code() -> Field {
    anything("code", "One of `ErrorCode`; a provider's own error has what he says.")
}

fn status() -> Field {
    count("status", "The status of the answer.")
}
