//! Writes the inner form as a generateContent request. Gemini has a word for nearly all of it; what it has none for is
//! dropped with its name.

use super::parts::{write_contents, write_system};
use super::thinking::write_thinking;
use super::tools::write_tools;
use crate::gateway::translate::inner::{OutputFormat, Request, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::{Warnings, WriteTarget};

/// The API takes no more.
const STOP_SEQUENCES_MAX: usize = 5;

pub fn write_request(
    request: &Request,
    target: &WriteTarget<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<u8>, Untranslatable> {
    let mut body = Object::new();
    body.put_some("systemInstruction", write_system(request)?);
    body.put("contents", write_contents(request, target, warnings)?);
    write_tools(request, &mut body, warnings);
    let config = write_config(request, target, warnings)?;
    if !config.is_empty() {
        body.put("generationConfig", config);
    }
    warn_foreign(request, warnings);
    Ok(body.to_bytes())
}

fn write_config<'a>(
    request: &'a Request,
    target: &WriteTarget<'_>,
    warnings: &mut Warnings,
) -> Result<Object<'a>, Untranslatable> {
    if request.stop_sequences.len() > STOP_SEQUENCES_MAX {
        let message = format!("this model's provider takes at most {STOP_SEQUENCES_MAX} stop sequences");
        return Err(Untranslatable::new(request.words.stop_sequences, message));
    }
    let sampling = &request.sampling;
    let mut config = Object::new();
    config.put_some("maxOutputTokens", request.max_output_tokens);
    config.put_some("temperature", sampling.temperature.as_ref());
    config.put_some("topP", sampling.top_p.as_ref());
    config.put_some("topK", sampling.top_k.as_ref());
    config.put_some("seed", sampling.seed.as_ref());
    config.put_some("presencePenalty", sampling.presence_penalty.as_ref());
    config.put_some("frequencyPenalty", sampling.frequency_penalty.as_ref());
    config.put_list("stopSequences", request.stop_sequences.iter().map(Json::from).collect());
    match &request.output_format {
        OutputFormat::Text => {}
        OutputFormat::Json => config.put("responseMimeType", "application/json"),
        OutputFormat::Schema { schema, .. } => {
            config.put("responseMimeType", "application/json");
            config.put("responseJsonSchema", &**schema);
        }
    }
    config.put_some("thinkingConfig", write_thinking(request, target.model, warnings));
    Ok(config)
}

fn warn_foreign(request: &Request, warnings: &mut Warnings) {
    if request.user.is_some() {
        warnings.add(request.words.user);
    }
    match request.service_tier.as_deref() {
        Some("auto" | "default" | "standard" | "standard_only") | None => {}
        Some(_) => warnings.add("service_tier"),
    }
    if request.system.iter().any(|part| part.cache.is_some()) {
        warnings.add("cache_control");
    }
}
