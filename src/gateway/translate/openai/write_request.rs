//! Writes the inner form as a chat completions request. Options that this dialect has no word for are dropped with their
//! names; more stop sequences than it takes are refused.

use super::tools::{write_tool, write_tool_choice};
use super::write_messages::write_messages;
use crate::gateway::translate::effort;
use crate::gateway::translate::inner::{OutputFormat, Reasoning, Request, ToolChoice, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::{Warnings, WriteTarget};

/// The most stop sequences that the API takes.
const STOP_SEQUENCES_MAX: usize = 4;

/// The longest `user` that the API takes (characters).
const USER_MAX: usize = 64;

pub fn write_request(
    request: &Request,
    target: &WriteTarget<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<u8>, Untranslatable> {
    let mut body = Object::new().with("model", target.model);
    body.put("messages", write_messages(request, target, warnings)?);
    body.put_some(target.cap_field.name(), request.max_output_tokens);
    write_sampling(&mut body, request, warnings);
    write_stop_sequences(&mut body, request)?;
    write_tools(&mut body, request, warnings);
    body.put_some("response_format", write_output_format(&request.output_format));
    if let Some(word) = reasoning_effort(request, target, warnings) {
        body.put("reasoning_effort", word);
    }
    if request.stream {
        body.put("stream", true);
        if target.takes_stream_options {
            body.put("stream_options", Object::new().with("include_usage", true));
        }
    }
    body.put_some("user", user(request, warnings));
    body.put_some("service_tier", service_tier(request, warnings));
    Ok(body.to_bytes())
}

fn write_sampling<'a>(body: &mut Object<'a>, request: &'a Request, warnings: &mut Warnings) {
    let sampling = &request.sampling;
    body.put_some("temperature", sampling.temperature.as_ref());
    body.put_some("top_p", sampling.top_p.as_ref());
    body.put_some("seed", sampling.seed.as_ref());
    body.put_some("presence_penalty", sampling.presence_penalty.as_ref());
    body.put_some("frequency_penalty", sampling.frequency_penalty.as_ref());
    if sampling.top_k.is_some() {
        warnings.add("top_k");
    }
}

fn write_stop_sequences<'a>(body: &mut Object<'a>, request: &'a Request) -> Result<(), Untranslatable> {
    let sequences = &request.stop_sequences;
    if sequences.len() > STOP_SEQUENCES_MAX {
        let message = format!("this model's provider takes at most {STOP_SEQUENCES_MAX} stop sequences");
        return Err(Untranslatable::new(request.words.stop_sequences, message));
    }
    body.put_list("stop", sequences.iter().map(Json::from).collect());
    Ok(())
}

/// A choice without tools is refused by the API and says nothing, so it is left out.
fn write_tools<'a>(body: &mut Object<'a>, request: &'a Request, warnings: &mut Warnings) {
    body.put_list("tools", request.tools.iter().map(write_tool).collect());
    if request.tools.iter().any(|tool| tool.cache.is_some()) {
        warnings.add("cache_control");
    }
    if request.tools.is_empty() {
        return;
    }
    body.put_some("tool_choice", request.tool_choice.as_ref().map(write_tool_choice));
    if request.tool_choice != Some(ToolChoice::None) {
        body.put_some("parallel_tool_calls", request.parallel_tool_calls);
    }
}

fn write_output_format(format: &OutputFormat) -> Option<Object<'_>> {
    match format {
        OutputFormat::Text => None,
        OutputFormat::Json => Some(Object::typed("json_object")),
        OutputFormat::Schema { name, schema, strict } => {
            let described = Object::new()
                .with("name", name.as_deref().unwrap_or("answer"))
                .with("schema", &**schema)
                // Where a dialect has no word for it, it promises the schema.
                .with("strict", strict.unwrap_or(true));
            Some(Object::typed("json_schema").with("json_schema", described))
        }
    }
}

fn reasoning_effort<'a>(request: &'a Request, target: &WriteTarget<'_>, warnings: &mut Warnings) -> Option<&'a str> {
    let word = match request.reasoning.as_ref()? {
        Reasoning::Effort(word) => Some(word.as_str()),
        Reasoning::Budget(tokens) => Some(effort::word(*tokens)),
        // The model's own measure is what it does without a word.
        Reasoning::Adaptive => return None,
        // Only the newest models take `none`; the others think as little as they do unasked.
        Reasoning::Off => None,
    };
    if word.is_none() || !target.takes_reasoning_effort {
        warnings.add(request.words.reasoning);
        return None;
    }
    word
}

/// A name that is too long would be refused; cut, it would be another's.
fn user<'a>(request: &'a Request, warnings: &mut Warnings) -> Option<&'a str> {
    let user = request.user.as_deref()?;
    if user.chars().count() > USER_MAX {
        warnings.add(request.words.user);
        return None;
    }
    Some(user)
}

fn service_tier(request: &Request, warnings: &mut Warnings) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => None,
        "standard_only" | "standard" | "default" => Some("default"),
        _ => {
            warnings.add("service_tier");
            None
        }
    }
}
