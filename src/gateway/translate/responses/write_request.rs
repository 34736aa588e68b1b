//! Writes the inner form as a responses request. Nothing is stored at OpenAI; reasoning comes back encrypted instead.

use super::tools::{write_tool, write_tool_choice};
use super::write_input::write_input;
use crate::gateway::translate::effort;
use crate::gateway::translate::inner::{OutputFormat, Reasoning, Request, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::{Warnings, WriteTarget};

pub fn write_request(
    request: &Request,
    target: &WriteTarget<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<u8>, Untranslatable> {
    if !request.stop_sequences.is_empty() {
        let message = "this model's provider takes no stop sequences in this API";
        return Err(Untranslatable::new(request.words.stop_sequences, message));
    }
    let mut body = Object::new()
        .with("model", target.model)
        .with("input", write_input(request, warnings)?);
    body.put_some("max_output_tokens", request.max_output_tokens);
    body.put_some("temperature", request.sampling.temperature.as_ref());
    body.put_some("top_p", request.sampling.top_p.as_ref());
    if !request.tools.is_empty() {
        body.put("tools", request.tools.iter().map(write_tool).collect::<Vec<Json<'_>>>());
        body.put_some("tool_choice", request.tool_choice.as_ref().map(write_tool_choice));
        body.put_some("parallel_tool_calls", request.parallel_tool_calls);
    }
    body.put_some("reasoning", write_reasoning(request, target, warnings));
    body.put_some("text", write_format(&request.output_format));
    if request.stream {
        body.put("stream", true);
    }
    body.put("store", false);
    if target.takes_reasoning_effort {
        let included: Vec<Json<'_>> = vec!["reasoning.encrypted_content".into()];
        body.put("include", included);
    }
    body.put_some("user", request.user.as_ref());
    match request.service_tier.as_deref() {
        Some(tier @ ("auto" | "default" | "flex" | "priority")) => body.put("service_tier", tier),
        Some("standard" | "standard_only") => body.put("service_tier", "default"),
        Some(_) => warnings.add("service_tier"),
        None => {}
    }
    warn_foreign(request, warnings);
    Ok(body.to_bytes())
}

fn write_reasoning<'a>(request: &'a Request, target: &WriteTarget<'_>, warnings: &mut Warnings) -> Option<Object<'a>> {
    let word = match request.reasoning.as_ref()? {
        Reasoning::Effort(word) => Some(word.as_str()),
        Reasoning::Budget(tokens) => Some(effort::word(*tokens)),
        Reasoning::Adaptive => None,
        // Only the newest models take `none`; the others think as little as they do unasked.
        Reasoning::Off => {
            warnings.add(request.words.reasoning);
            return None;
        }
    };
    if !target.takes_reasoning_effort {
        warnings.add(request.words.reasoning);
        return None;
    }
    let mut reasoning = Object::new();
    reasoning.put_some("effort", word);
    Some(reasoning.with("summary", "auto"))
}

fn write_format(format: &OutputFormat) -> Option<Object<'_>> {
    let format = match format {
        OutputFormat::Text => return None,
        OutputFormat::Json => Object::typed("json_object"),
        OutputFormat::Schema { name, schema, strict } => {
            let name = name.as_deref().unwrap_or("answer");
            let format = Object::typed("json_schema")
                .with("name", name)
                .with("schema", &**schema);
            format.with("strict", strict.unwrap_or(false))
        }
    };
    Some(Object::new().with("format", format))
}

fn warn_foreign(request: &Request, warnings: &mut Warnings) {
    let sampling = &request.sampling;
    let zero = |penalty: &serde_json::Number| penalty.as_f64() == Some(0.0);
    let dropped = [
        ("top_k", sampling.top_k.is_some()),
        ("seed", sampling.seed.is_some()),
        (
            "presence_penalty",
            sampling.presence_penalty.as_ref().is_some_and(|penalty| !zero(penalty)),
        ),
        (
            "frequency_penalty",
            sampling
                .frequency_penalty
                .as_ref()
                .is_some_and(|penalty| !zero(penalty)),
        ),
        ("cache_control", request.tools.iter().any(|tool| tool.cache.is_some())),
    ];
    for (name, _) in dropped.into_iter().filter(|(_, said)| *said) {
        warnings.add(name);
    }
}
