//! Writes the inner form as a Converse request. Sampling that Converse has no word for is dropped with its name; a form
//! of answer that only OpenAI promises is refused.

use serde_json::Number;

use super::model::{Additional, Family, write_additional};
use super::tools::write_tools;
use super::write_blocks::{write_messages, write_system};
use crate::gateway::translate::inner::{OutputFormat, Request, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::{Warnings, WriteTarget};

pub fn write_request(
    request: &Request,
    target: &WriteTarget<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<u8>, Untranslatable> {
    let family = Family::of(target.model);
    let mut body = Object::new();
    body.put_list("system", write_system(request, family, warnings)?);
    body.put("messages", write_messages(request, family, warnings)?);
    body.put_some("toolConfig", write_tools(request, family, warnings)?);
    let additional = write_additional(request, target, warnings);
    let inference = write_inference(request, &additional, warnings)?;
    if !inference.is_empty() {
        body.put("inferenceConfig", inference);
    }
    if !additional.fields.is_empty() {
        body.put("additionalModelRequestFields", additional.fields);
    }
    body.put_some("outputConfig", write_format(request)?);
    body.put_some("serviceTier", write_tier(request, warnings));
    if request.user.is_some() {
        warnings.add(request.words.user);
    }
    Ok(body.to_bytes())
}

fn write_inference<'a>(
    request: &'a Request,
    additional: &Additional<'_>,
    warnings: &mut Warnings,
) -> Result<Object<'a>, Untranslatable> {
    let sampling = &request.sampling;
    let mut config = Object::new();
    config.put_some("maxTokens", request.max_output_tokens.or(additional.needed_cap));
    for (name, written, number) in [
        ("temperature", "temperature", &sampling.temperature),
        ("top_p", "topP", &sampling.top_p),
    ] {
        let Some(number) = number else { continue };
        let over = number.as_f64().is_some_and(|value| value > 1.0);
        if additional.own_sampling {
            warn_unless(number, 1.0, name, warnings);
        } else if over {
            let message = format!("this model's provider takes a `{name}` of at most 1");
            return Err(Untranslatable::new(name, message));
        } else {
            config.put(written, number);
        }
    }
    let penalties = [
        ("presence_penalty", &sampling.presence_penalty),
        ("frequency_penalty", &sampling.frequency_penalty),
    ];
    for (name, penalty) in penalties {
        if let Some(penalty) = penalty {
            warn_unless(penalty, 0.0, name, warnings);
        }
    }
    if sampling.seed.is_some() {
        warnings.add("seed");
    }
    config.put_list("stopSequences", request.stop_sequences.iter().map(Json::from).collect());
    Ok(config)
}

/// A number that stands at its default says nothing.
fn warn_unless(number: &Number, default: f64, name: &str, warnings: &mut Warnings) {
    if number.as_f64() != Some(default) {
        warnings.add(name);
    }
}

fn write_format(request: &Request) -> Result<Option<Object<'_>>, Untranslatable> {
    let (name, schema) = match &request.output_format {
        OutputFormat::Text => return Ok(None),
        OutputFormat::Json => {
            let message = "free JSON is not promised by this model's provider; give a JSON schema";
            return Err(Untranslatable::new(request.words.output_format, message));
        }
        OutputFormat::Schema { name, schema, .. } => (name, schema),
    };
    let mut described = Object::new().with("schema", schema.get());
    described.put_some("name", name.as_ref());
    let structure = Object::new().with("jsonSchema", described);
    let format = Object::typed("json_schema").with("structure", structure);
    Ok(Some(Object::new().with("textFormat", format)))
}

fn write_tier(request: &Request, warnings: &mut Warnings) -> Option<Object<'static>> {
    match request.service_tier.as_deref()? {
        "auto" | "default" | "standard" | "standard_only" => None,
        "flex" => Some(Object::typed("flex")),
        "priority" => Some(Object::typed("priority")),
        _ => {
            warnings.add("service_tier");
            None
        }
    }
}
