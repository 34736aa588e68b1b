//! Reads a chat completions request into the inner form. Members that change the meaning and that no other dialect has
//! are refused by the table below; what is left over is dropped with its name.

use serde_json::Number;
use serde_json::value::RawValue;

use super::messages::read_messages;
use super::tools::{read_tool, read_tool_choice};
use crate::gateway::translate::effort;
use crate::gateway::translate::inner::{OutputFormat, Request, Sampling, Untranslatable, Words};
use crate::gateway::translate::members::{Kind, Members, elements, kind, string};

/// Members that other dialects cannot honour, each with the values that ask for nothing.
const REFUSED: [(&str, &[&str]); 11] = [
    ("n", &["1"]),
    ("logprobs", &["false"]),
    ("top_logprobs", &["0"]),
    ("modalities", &["[\"text\"]"]),
    ("audio", &[]),
    ("prediction", &[]),
    ("web_search_options", &[]),
    ("search_parameters", &[]),
    ("functions", &["[]"]),
    ("function_call", &[]),
    ("best_of", &["1"]),
];

pub fn read_request(body: &[u8]) -> Result<Request, Untranslatable> {
    let mut members = Members::of_body(body)?;
    refuse(&mut members)?;
    let mut request = Request {
        model: members.required_text("model")?,
        words: Words::default(),
        ..Request::default()
    };
    read_messages(&mut members, &mut request)?;
    read_tools(&mut members, &mut request)?;
    read_limits(&mut members, &mut request)?;
    read_manner(&mut members, &mut request)?;
    for name in members.names() {
        request.leave_out(name);
    }
    Ok(request)
}

fn refuse(members: &mut Members<'_>) -> Result<(), Untranslatable> {
    for (name, harmless) in REFUSED {
        let Some(raw) = members.take(name) else {
            continue;
        };
        let text: String = raw.get().split_ascii_whitespace().collect();
        if !harmless.contains(&text.as_str()) {
            return Err(members.refuse(name, format!("`{name}` has no counterpart at this model's provider")));
        }
    }
    match members.take("logit_bias") {
        Some(raw) if !is_zero_bias(raw) => {
            Err(members.refuse("logit_bias", "`logit_bias` has no counterpart at this model's provider"))
        }
        Some(_) | None => Ok(()),
    }
}

fn is_zero_bias(raw: &RawValue) -> bool {
    let biases: Result<std::collections::BTreeMap<String, Number>, _> = serde_json::from_str(raw.get());
    biases.is_ok_and(|biases| biases.values().all(|bias| bias.as_i64() == Some(0)))
}

fn read_tools(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    for element in members.list("tools")? {
        let tool = read_tool(element, request)?;
        request.tools.push(tool);
    }
    let path = members.at("tool_choice");
    request.tool_choice = members
        .take("tool_choice")
        .map(|raw| read_tool_choice(raw, path))
        .transpose()?;
    request.parallel_tool_calls = members.flag("parallel_tool_calls")?;
    Ok(())
}

fn read_limits(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    // A provider that takes both honours the larger.
    request.max_output_tokens = members
        .count("max_tokens")?
        .max(members.count("max_completion_tokens")?);
    request.sampling = Sampling {
        temperature: members.number("temperature")?,
        top_p: members.number("top_p")?,
        top_k: members.number("top_k")?,
        seed: members.number("seed")?,
        presence_penalty: members.number("presence_penalty")?,
        frequency_penalty: members.number("frequency_penalty")?,
    };
    let path = members.at("stop");
    if let Some(raw) = members.take("stop") {
        request.stop_sequences = match kind(raw) {
            Kind::List => elements(raw, &path)?
                .iter()
                .map(|element| string(element.raw, &element.path))
                .collect::<Result<_, _>>()?,
            Kind::Text | Kind::Object | Kind::Other => vec![string(raw, &path)?],
        };
    }
    Ok(())
}

/// How the answer is to be made and told.
fn read_manner(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    request.output_format = read_output_format(members)?;
    if let Some(word) = members.text("reasoning_effort")? {
        let unknown = || members.refuse("reasoning_effort", "`reasoning_effort` is not a known effort");
        request.reasoning = Some(effort::of_word(&word).ok_or_else(unknown)?);
    }
    request.stream = members.flag("stream")?.unwrap_or(false);
    if let Some(mut options) = members.object("stream_options")? {
        request.include_usage = options.flag("include_usage")?.unwrap_or(false);
    }
    request.user = members.text("user")?.or(members.text("safety_identifier")?);
    request.service_tier = members.text("service_tier")?;
    Ok(())
}

fn read_output_format(members: &mut Members<'_>) -> Result<OutputFormat, Untranslatable> {
    let Some(mut format) = members.object("response_format")? else {
        return Ok(OutputFormat::Text);
    };
    match format.required_text("type")?.as_str() {
        "text" => Ok(OutputFormat::Text),
        "json_object" => Ok(OutputFormat::Json),
        "json_schema" => {
            let mut described = format.required_object("json_schema")?;
            let schema = described
                .take("schema")
                .ok_or_else(|| described.refuse("schema", "a schema is required"))?;
            Ok(OutputFormat::Schema {
                name: described.text("name")?,
                schema: schema.to_owned(),
                strict: described.flag("strict")?,
            })
        }
        _ => Err(format.refuse("type", "this kind of `response_format` is not known")),
    }
}
