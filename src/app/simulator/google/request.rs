//! What a `GenerateContentRequest` asks, read strictly: a name that Google does not know, a role it does not have or
//! a function's response without its call is refused as Google refuses it, so that a wrong translation shows.
//! Google takes the names of its fields in camelCase and in snake_case.

use serde_json::{Value, json};

use crate::app::simulator::refusal::Refusal;
use crate::app::simulator::turn::{Ask, SIGNATURE, carries, json_bytes, text_bytes};

/// Tokens of one image or one piece of sound, whatever its size.
const IMAGE_TOKENS: u64 = 258;
const AUDIO_TOKENS: u64 = 32;

/// The fields that a request may have, in camelCase.
const FIELDS: [&str; 10] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "model",
    "serviceTier",
];

/// A request that can be answered.
pub(super) struct Call {
    pub ask: Ask,
    pub thoughts: Thoughts,
    pub input: Input,
}

/// Whether the answer shows what was thought.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Thoughts {
    Shown,
    Hidden,
}

/// The input by its kinds, in tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    text_tokens: u64,
    image_tokens: u64,
    audio_tokens: u64,
}

impl Call {
    /// Reads the body; the error is Google's.
    pub(super) fn read(model: &str, body: &Value) -> Result<Self, Refusal> {
        check_names(body)?;
        let contents = body["contents"].as_array().filter(|contents| !contents.is_empty());
        let contents =
            contents.ok_or_else(|| refused("* GenerateContentRequest.contents: contents is not specified".into()))?;
        check_turns(contents)?;
        let config = member(body, "generationConfig");
        let input = Input::read(body, contents);
        let shown = member(member(config, "thinkingConfig"), "includeThoughts") == true;
        let cap = member(config, "maxOutputTokens").as_u64();
        if cap == Some(0) {
            return Err(refused("max_output_tokens must be positive.".to_owned()));
        }
        Ok(Self {
            ask: Ask {
                model: model.to_owned(),
                input_tokens: input.total(),
                output_tokens_cap: cap,
                has_results: contents.last().is_some_and(|last| has_part(last, "functionResponse")),
                has_signature: carries(body, "thoughtSignature", SIGNATURE),
            },
            thoughts: if shown { Thoughts::Shown } else { Thoughts::Hidden },
            input,
        })
    }
}

impl Input {
    /// All kinds together.
    pub(super) fn total(&self) -> u64 {
        self.text_tokens + self.image_tokens + self.audio_tokens
    }

    /// `promptTokensDetails`
    pub(super) fn details(&self) -> Value {
        let kinds = [
            ("TEXT", self.text_tokens),
            ("IMAGE", self.image_tokens),
            ("AUDIO", self.audio_tokens),
        ];
        let present = kinds.iter().filter(|(_, count)| *count > 0);
        present
            .map(|(kind, count)| json!({"modality": kind, "tokenCount": count}))
            .collect()
    }

    /// Text is counted as in the other dialects: a token for four bytes, and four for each message.
    fn read(body: &Value, contents: &[Value]) -> Self {
        let parts = || contents.iter().flat_map(parts);
        let text = text_bytes(&body["contents"], &["text"]) + text_bytes(member(body, "systemInstruction"), &["text"]);
        let results: u64 = parts()
            .map(|part| json_bytes(&member(part, "functionResponse")["response"]))
            .sum();
        let of_kind = |kind: &str| {
            let media = parts().flat_map(|part| [member(part, "inlineData"), member(part, "fileData")]);
            media
                .filter(|media| {
                    member(media, "mimeType")
                        .as_str()
                        .is_some_and(|mime| mime.starts_with(kind))
                })
                .count() as u64
        };
        Self {
            text_tokens: (text + results).div_ceil(4)
                + 4 * contents.len() as u64
                + 3
                + json_bytes(&body["tools"]).div_ceil(4),
            image_tokens: of_kind("image/") * IMAGE_TOKENS,
            audio_tokens: of_kind("audio/") * AUDIO_TOKENS,
        }
    }
}

fn check_names(body: &Value) -> Result<(), Refusal> {
    let members = body
        .as_object()
        .ok_or_else(|| refused("Invalid JSON payload received. Root element must be a message.".to_owned()))?;
    match members.keys().find(|name| !FIELDS.contains(&camel(name).as_str())) {
        Some(name) => Err(refused(format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
        ))),
        None => Ok(()),
    }
}

fn check_turns(contents: &[Value]) -> Result<(), Refusal> {
    for (index, content) in contents.iter().enumerate() {
        match content["role"].as_str() {
            None | Some("user" | "model" | "function") => {}
            Some(_) => return Err(refused("Please use a valid role: user, model.".to_owned())),
        }
        if parts(content).next().is_none() {
            return Err(refused(format!(
                "* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty."
            )));
        }
    }
    for (index, turn) in turns(contents).enumerate().skip(1) {
        let responses: Vec<&str> = turn
            .iter()
            .flat_map(|content| names(content, "functionResponse"))
            .collect();
        let asked = turns(contents).nth(index - 1).unwrap_or_default();
        let calls: Vec<&str> = asked
            .iter()
            .flat_map(|content| names(content, "functionCall"))
            .collect();
        let are_equal = responses.len() == calls.len() && responses.iter().all(|name| calls.contains(name));
        if !responses.is_empty() && !are_equal {
            return Err(unequal());
        }
    }
    match turns(contents).next() {
        Some(first) if first.iter().any(|content| has_part(content, "functionResponse")) => Err(unequal()),
        Some(_) | None => Ok(()),
    }
}

fn unequal() -> Refusal {
    refused(
        "Please ensure that the number of function response parts is equal to the number of function call parts of the \
         function call turn."
            .to_owned(),
    )
}

/// The contents by who speaks: one that was streamed, and the results of several calls, come as several contents.
fn turns(contents: &[Value]) -> impl Iterator<Item = &[Value]> {
    contents.chunk_by(|one, next| (one["role"] == "model") == (next["role"] == "model"))
}

/// The names of the functions that a turn calls or answers.
fn names<'content>(content: &'content Value, kind: &str) -> Vec<&'content str> {
    parts(content)
        .filter_map(|part| member(part, kind)["name"].as_str())
        .collect()
}

fn has_part(content: &Value, kind: &str) -> bool {
    parts(content).any(|part| member(part, kind).is_object())
}

fn parts(content: &Value) -> impl Iterator<Item = &Value> {
    content["parts"].as_array().into_iter().flatten()
}

/// A member by its name in camelCase, which may also be written in snake_case.
fn member<'value>(value: &'value Value, name: &str) -> &'value Value {
    match &value[name] {
        Value::Null => &value[snake(name)],
        present => present,
    }
}

fn snake(name: &str) -> String {
    name.chars()
        .flat_map(|letter| {
            let underscore = letter.is_ascii_uppercase().then_some('_');
            underscore.into_iter().chain([letter.to_ascii_lowercase()])
        })
        .collect()
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        camel + &initial.to_ascii_uppercase() + rest
    })
}

fn refused(message: String) -> Refusal {
    Refusal::bad_request(message)
}
