//! Reads a messages request into the inner form. Members that have the provider do more than answer are refused by the
//! table below; what is left over is dropped with its name.

use super::messages::{read_messages, read_system};
use super::tools::{read_tool, read_tool_choice};
use crate::gateway::translate::effort;
use crate::gateway::translate::inner::{OutputFormat, Reasoning, Request, Sampling, Untranslatable, Words};
use crate::gateway::translate::members::{Members, string};

/// Members that other dialects cannot honour, each with the values that ask for nothing.
const REFUSED: [(&str, &[&str]); 4] = [
    ("mcp_servers", &["[]"]),
    ("container", &[]),
    ("inference_geo", &["\"global\""]),
    ("speed", &["\"standard\""]),
];

const WORDS: Words = Words {
    conversation: "messages",
    stop_sequences: "stop_sequences",
    output_format: "output_config.format",
    reasoning: "thinking",
    user: "metadata.user_id",
};

pub fn read_request(body: &[u8]) -> Result<Request, Untranslatable> {
    let mut members = Members::of_body(body)?;
    refuse(&mut members)?;
    let mut request = Request {
        model: members.required_text("model")?,
        words: WORDS,
        // Other dialects ask for it; this one is always told.
        include_usage: true,
        ..Request::default()
    };
    read_system(&mut members, &mut request)?;
    read_messages(&mut members, &mut request)?;
    for element in members.list("tools")? {
        let tool = read_tool(element, &mut request)?;
        request.tools.push(tool);
    }
    read_tool_choice(&mut members, &mut request)?;
    read_limits(&mut members, &mut request)?;
    read_manner(&mut members, &mut request)?;
    for name in members.names() {
        request.leave_out(name);
    }
    Ok(request)
}

fn refuse(members: &mut Members<'_>) -> Result<(), Untranslatable> {
    for (name, harmless) in REFUSED {
        if members.take(name).is_some_and(|raw| !harmless.contains(&raw.get())) {
            return Err(members.refuse(name, format!("`{name}` has no counterpart at this model's provider")));
        }
    }
    Ok(())
}

fn read_limits(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    request.max_output_tokens = members.count("max_tokens")?;
    request.sampling = Sampling {
        temperature: members.number("temperature")?,
        top_p: members.number("top_p")?,
        top_k: members.number("top_k")?,
        ..Sampling::default()
    };
    request.stop_sequences = members
        .list("stop_sequences")?
        .iter()
        .map(|element| string(element.raw, &element.path))
        .collect::<Result<_, _>>()?;
    Ok(())
}

/// How the answer is to be made and told.
fn read_manner(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let mut config = members.object("output_config")?;
    let effort = config.as_mut().map(read_effort).transpose()?.flatten();
    request.reasoning = match read_thinking(members)? {
        Some(Reasoning::Off) => Some(Reasoning::Off),
        thinking => effort.or(thinking),
    };
    let format = match config.as_mut() {
        Some(config) => config.object("format")?,
        None => None,
    };
    // The word of older versions.
    let format = match format {
        Some(format) => Some(format),
        None => members.object("output_format")?,
    };
    request.output_format = format.map_or(Ok(OutputFormat::Text), read_output_format)?;
    for name in config.iter().flat_map(Members::names) {
        request.leave_out(format!("output_config.{name}"));
    }
    request.stream = members.flag("stream")?.unwrap_or(false);
    if let Some(mut metadata) = members.object("metadata")? {
        request.user = metadata.text("user_id")?;
    }
    request.service_tier = members.text("service_tier")?;
    Ok(())
}

fn read_effort(config: &mut Members<'_>) -> Result<Option<Reasoning>, Untranslatable> {
    let Some(word) = config.text("effort")? else {
        return Ok(None);
    };
    let unknown = || config.refuse("effort", "this effort is not known");
    effort::of_word(&word).map(Some).ok_or_else(unknown)
}

fn read_thinking(members: &mut Members<'_>) -> Result<Option<Reasoning>, Untranslatable> {
    let Some(mut thinking) = members.object("thinking")? else {
        return Ok(None);
    };
    Ok(Some(match thinking.required_text("type")?.as_str() {
        "enabled" => thinking
            .count("budget_tokens")?
            .map_or(Reasoning::Adaptive, Reasoning::Budget),
        "adaptive" => Reasoning::Adaptive,
        "disabled" => Reasoning::Off,
        _ => return Err(thinking.refuse("type", "this kind of `thinking` is not known")),
    }))
}

fn read_output_format(mut format: Members<'_>) -> Result<OutputFormat, Untranslatable> {
    if format.required_text("type")? != "json_schema" {
        return Err(format.refuse("type", "this form of answer is not known"));
    }
    let schema = format.take("schema");
    let schema = schema.ok_or_else(|| format.refuse("schema", "a schema is required"))?;
    Ok(OutputFormat::Schema {
        name: None,
        schema: schema.to_owned(),
        strict: None,
    })
}
