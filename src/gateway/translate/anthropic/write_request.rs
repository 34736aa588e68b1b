//! Writes the inner form as a messages request. Sampling that the model has no word for is dropped with its name; a
//! form of answer that only OpenAI promises, and parts that Claude cannot read, are refused.

use serde_json::Number;

use super::blocks::{write_system, write_turns};
use super::thinking::{Plan, is_adaptive_only, plan};
use super::tools::{write_tool, write_tool_choice};
use crate::gateway::translate::inner::{OutputFormat, Request, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::{Warnings, WriteTarget};

pub fn write_request(
    request: &Request,
    target: &WriteTarget<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<u8>, Untranslatable> {
    let output_cap = request.max_output_tokens.unwrap_or(target.default_output_cap);
    let plan = plan(request, target.model, output_cap, warnings);
    let mut body = Object::new().with("model", target.model).with("max_tokens", output_cap);
    body.put_some("system", write_system(request)?);
    body.put("messages", write_turns(request, warnings)?);
    body.put_list("tools", request.tools.iter().map(write_tool).collect());
    body.put_some("tool_choice", write_tool_choice(request));
    body.put_some("thinking", plan.thinking());
    body.put_some("output_config", output_config(request, &plan)?);
    if plan == Plan::Off && !is_adaptive_only(target.model) {
        write_sampling(&mut body, request, warnings)?;
    } else {
        drop_sampling(request, warnings);
    }
    drop_foreign(request, warnings);
    write_stop_sequences(&mut body, request)?;
    if request.stream {
        body.put("stream", true);
    }
    body.put_some(
        "metadata",
        request.user.as_ref().map(|user| Object::new().with("user_id", user)),
    );
    body.put_some("service_tier", service_tier(request, warnings));
    Ok(body.to_bytes())
}

fn output_config<'a>(request: &'a Request, plan: &Plan) -> Result<Option<Object<'a>>, Untranslatable> {
    let mut config = Object::new();
    config.put_some("effort", plan.effort());
    match &request.output_format {
        OutputFormat::Text => {}
        OutputFormat::Json => {
            let message = "free JSON is not promised by this model's provider; give a JSON schema";
            return Err(Untranslatable::new(request.words.output_format, message));
        }
        OutputFormat::Schema { schema, .. } => {
            config.put("format", Object::typed("json_schema").with("schema", &**schema));
        }
    }
    Ok((!config.is_empty()).then_some(config))
}

fn write_sampling<'a>(
    body: &mut Object<'a>,
    request: &'a Request,
    warnings: &mut Warnings,
) -> Result<(), Untranslatable> {
    let sampling = &request.sampling;
    let temperature = sampling.temperature.as_ref();
    let top_p = sampling.top_p.as_ref();
    if temperature.and_then(Number::as_f64).is_some_and(|value| value > 1.0) {
        let message = "this model's provider takes a `temperature` of at most 1";
        return Err(Untranslatable::new("temperature", message));
    }
    // Newer models refuse both at once; one that stands at its default says nothing.
    let (temperature, top_p) = match (temperature, top_p) {
        (Some(temperature), Some(top_p)) if is_one(top_p) => (Some(temperature), None),
        (Some(temperature), Some(top_p)) if is_one(temperature) => (None, Some(top_p)),
        (temperature, top_p) => (temperature, top_p),
    };
    body.put_some("temperature", temperature);
    body.put_some("top_p", top_p);
    body.put_some("top_k", sampling.top_k.as_ref());
    warn_penalties(request, warnings);
    Ok(())
}

fn is_one(number: &Number) -> bool {
    number.as_f64() == Some(1.0)
}

/// A model that thinks samples in its own way.
fn drop_sampling(request: &Request, warnings: &mut Warnings) {
    let sampling = &request.sampling;
    let said = |number: &Option<Number>| number.as_ref().is_some_and(|number| !is_one(number));
    for (name, number) in [("temperature", &sampling.temperature), ("top_p", &sampling.top_p)] {
        if said(number) {
            warnings.add(name);
        }
    }
    if sampling.top_k.is_some() {
        warnings.add("top_k");
    }
    warn_penalties(request, warnings);
}

fn warn_penalties(request: &Request, warnings: &mut Warnings) {
    let sampling = &request.sampling;
    let penalties = [
        ("presence_penalty", &sampling.presence_penalty),
        ("frequency_penalty", &sampling.frequency_penalty),
    ];
    for (name, penalty) in penalties {
        if penalty.as_ref().is_some_and(|penalty| penalty.as_f64() != Some(0.0)) {
            warnings.add(name);
        }
    }
}

fn drop_foreign(request: &Request, warnings: &mut Warnings) {
    if request.sampling.seed.is_some() {
        warnings.add("seed");
    }
}

fn write_stop_sequences<'a>(body: &mut Object<'a>, request: &'a Request) -> Result<(), Untranslatable> {
    let sequences = &request.stop_sequences;
    if sequences.iter().any(|sequence| sequence.trim().is_empty()) {
        let message = "this model's provider takes no stop sequence of white space";
        return Err(Untranslatable::new(request.words.stop_sequences, message));
    }
    body.put_list("stop_sequences", sequences.iter().map(Json::from).collect());
    Ok(())
}

fn service_tier(request: &Request, warnings: &mut Warnings) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "default" | "standard" | "standard_only" => Some("standard_only"),
        _ => {
            warnings.add("service_tier");
            None
        }
    }
}
