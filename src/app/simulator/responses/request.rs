//! What a request to the Responses asks, read strictly: a part of a message that has no such type, or a function's
//! output without its call, is refused as OpenAI refuses it, so that a wrong translation shows.

use serde_json::Value;

use crate::app::simulator::refusal::Refusal;
use crate::app::simulator::turn::{Ask, SIGNATURE, carries, json_bytes, text_bytes};

/// The types that the parts of a message may have.
const PART_TYPES: [&str; 6] = [
    "input_text",
    "input_image",
    "input_file",
    "input_audio",
    "output_text",
    "refusal",
];

/// A request that can be answered.
pub(super) struct Call {
    pub ask: Ask,
    pub wishes: Wishes,
}

/// What an answer repeats or depends on beside its length.
pub(super) struct Wishes {
    pub streamed: bool,
    /// Whether reasoning is handed over, unreadable.
    pub encrypted: bool,
    /// Whether reasoning is summed up.
    pub summed_up: bool,
    pub echo: Echo,
}

/// Fields of the request that the answer says again.
pub(super) struct Echo {
    pub previous_response_id: Value,
    pub max_output_tokens: Value,
    pub instructions: Value,
    pub metadata: Value,
    pub tools: Value,
    pub store: Value,
}

impl Call {
    /// Reads the body; the error is OpenAI's.
    pub(super) fn read(body: &Value) -> Result<Self, Refusal> {
        let model = body["model"]
            .as_str()
            .filter(|model| !model.is_empty())
            .ok_or_else(|| refused("Missing required parameter: 'model'."))?;
        let input = &body["input"];
        let items = match input {
            Value::String(_) => [].as_slice(),
            Value::Array(items) if !items.is_empty() => items,
            _ => return Err(refused("Missing required parameter: 'input'.")),
        };
        check_previous(&body["previous_response_id"])?;
        check_items(items, body["previous_response_id"].is_string())?;
        let cap = &body["max_output_tokens"];
        if cap.as_u64().is_some_and(|cap| cap < 16) {
            return Err(refused(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16.",
            ));
        }
        let is_result = |item: &Value| item["type"] == "function_call_output";
        Ok(Self {
            ask: Ask {
                model: model.to_owned(),
                input_tokens: input_tokens(body, items.len()),
                output_tokens_cap: cap.as_u64(),
                has_results: items.last().is_some_and(is_result),
                has_signature: carries(input, "encrypted_content", SIGNATURE),
            },
            wishes: Wishes::read(body),
        })
    }
}

impl Wishes {
    fn read(body: &Value) -> Self {
        let include = body["include"].as_array();
        Self {
            streamed: body["stream"] == true,
            encrypted: include.is_some_and(|include| include.iter().any(|one| one == "reasoning.encrypted_content")),
            summed_up: body["reasoning"]["summary"].is_string(),
            echo: Echo {
                previous_response_id: body["previous_response_id"].clone(),
                max_output_tokens: body["max_output_tokens"].clone(),
                instructions: body["instructions"].clone(),
                metadata: or(&body["metadata"], Value::Object(serde_json::Map::new())),
                tools: or(&body["tools"], Value::Array(Vec::new())),
                store: or(&body["store"], Value::Bool(true)),
            },
        }
    }
}

fn input_tokens(body: &Value, item_count: usize) -> u64 {
    let input = &body["input"];
    let names = ["text", "content", "output", "arguments"];
    let text = input.as_str().map_or(0, |text| text.len() as u64)
        + text_bytes(input, &names)
        + body["instructions"].as_str().map_or(0, |text| text.len() as u64);
    text.div_ceil(4) + 4 * item_count.max(1) as u64 + 3 + json_bytes(&body["tools"]).div_ceil(4)
}

fn check_previous(previous: &Value) -> Result<(), Refusal> {
    match previous.as_str() {
        Some(id) if !id.starts_with("resp_") => {
            Err(refused(&format!("Previous response with id '{id}' not found.")).coded("previous_response_not_found"))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_items(items: &[Value], follows: bool) -> Result<(), Refusal> {
    let mut called: Vec<&Value> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item["type"].as_str() {
            Some("function_call") => called.push(&item["call_id"]),
            Some("function_call_output") if !follows && !called.contains(&&item["call_id"]) => {
                let id = &item["call_id"];
                return Err(refused(&format!(
                    "No tool call found for function call output with call_id {id}."
                )));
            }
            Some("message") | None => check_parts(index, item)?,
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_parts(index: usize, item: &Value) -> Result<(), Refusal> {
    if !matches!(
        item["role"].as_str(),
        Some("user" | "assistant" | "system" | "developer")
    ) {
        return Err(refused(&format!("Invalid value for 'input[{index}].role'.")));
    }
    let parts = item["content"].as_array().into_iter().flatten();
    for (number, part) in parts.enumerate() {
        let kind = part["type"].as_str().unwrap_or_default();
        let fits = match kind {
            "output_text" | "refusal" => item["role"] == "assistant",
            _ => item["role"] != "assistant",
        };
        if !PART_TYPES.contains(&kind) || !fits {
            return Err(refused(&format!(
                "Invalid value: '{kind}' at 'input[{index}].content[{number}].type'."
            )));
        }
    }
    Ok(())
}

fn or(value: &Value, default: Value) -> Value {
    if value.is_null() { default } else { value.clone() }
}

fn refused(message: &str) -> Refusal {
    Refusal::bad_request(message.to_owned())
}
