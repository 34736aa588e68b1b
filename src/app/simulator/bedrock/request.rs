//! What a Converse request asks, read strictly: turns that do not alternate, or a tool's result without its use, are
//! refused as Bedrock refuses them, so that a wrong translation shows.

use serde_json::Value;

use crate::app::simulator::refusal::Refusal;
use crate::app::simulator::turn::{Ask, SIGNATURE, carries, json_bytes, text_bytes};

/// Reads the body; the error is Bedrock's.
pub(super) fn read(model: &str, body: &Value) -> Result<Ask, Refusal> {
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| refused("The value at messages is empty.".to_owned()))?;
    check_turns(messages)?;
    check_system(&body["system"])?;
    let cap = &body["inferenceConfig"]["maxTokens"];
    if !cap.is_null() && cap.as_u64().is_none_or(|cap| cap == 0) {
        return Err(refused(
            "Value at 'inferenceConfig.maxTokens' failed to satisfy constraint.".to_owned(),
        ));
    }
    let text = text_bytes(&body["messages"], &["text"]) + text_bytes(&body["system"], &["text"]);
    let results: u64 = messages
        .iter()
        .flat_map(blocks)
        .flat_map(|block| block["toolResult"]["content"].as_array().into_iter().flatten())
        .map(|content| json_bytes(&content["json"]))
        .sum();
    let tools = json_bytes(&body["toolConfig"]["tools"]);
    Ok(Ask {
        model: model.to_owned(),
        input_tokens: (text + results).div_ceil(4) + 4 * messages.len() as u64 + 3 + tools.div_ceil(4),
        output_tokens_cap: cap.as_u64(),
        has_results: messages.last().is_some_and(|last| !ids(last, "toolResult").is_empty()),
        has_signature: carries(body, "signature", SIGNATURE),
    })
}

fn check_turns(messages: &[Value]) -> Result<(), Refusal> {
    let mut used: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let expected = if index % 2 == 0 { "user" } else { "assistant" };
        if message["role"] != expected {
            return Err(refused(
                "A conversation must alternate between user and assistant roles. Make sure the conversation \
                 alternates between user and assistant roles and try again."
                    .to_owned(),
            ));
        }
        if blocks(message).next().is_none() {
            return Err(refused(format!(
                "The content field in the Message object at messages.{index} is empty."
            )));
        }
        let results = ids(message, "toolResult");
        if results.len() != used.len() || results.iter().any(|id| !used.contains(id)) {
            return Err(refused(format!(
                "The toolResult blocks at messages.{index}.content do not match the toolUse blocks of the previous turn."
            )));
        }
        used = ids(message, "toolUse");
    }
    Ok(())
}

fn check_system(system: &Value) -> Result<(), Refusal> {
    match system {
        Value::Null | Value::Array(_) => Ok(()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(refused("Expected list or null at 'system'".to_owned()))
        }
    }
}

fn ids<'message>(message: &'message Value, kind: &str) -> Vec<&'message str> {
    blocks(message)
        .filter_map(|block| block[kind]["toolUseId"].as_str())
        .collect()
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["content"].as_array().into_iter().flatten()
}

fn refused(message: String) -> Refusal {
    Refusal::bad_request(message)
}
