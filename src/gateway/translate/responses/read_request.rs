//! Reads a responses request into the inner form. Members that change the meaning and that no other provider has are
//! refused by the table below; what is left over is dropped with its name.

use super::input::read_input;
use super::tools::read_tools;
use crate::gateway::translate::effort;
use crate::gateway::translate::inner::{OutputFormat, Request, Untranslatable, Words};
use crate::gateway::translate::members::{Element, Kind, Members, kind, string};

const WORDS: Words = Words {
    conversation: "input",
    stop_sequences: "stop",
    output_format: "text.format",
    reasoning: "reasoning",
    user: "user",
};

/// Members that rest on what OpenAI keeps, or that others cannot honour, each with the values that ask for nothing.
const REFUSED: [(&str, &[&str]); 9] = [
    ("previous_response_id", &[]),
    ("conversation", &[]),
    ("background", &["false"]),
    ("store", &["false"]),
    ("prompt", &[]),
    ("max_tool_calls", &[]),
    ("top_logprobs", &["0"]),
    ("truncation", &["\"disabled\""]),
    ("context_management", &["[]"]),
];

/// What `include` may ask for: the rest comes from tools that OpenAI runs.
const INCLUDED: &str = "reasoning.encrypted_content";

pub fn read_request(body: &[u8]) -> Result<Request, Untranslatable> {
    let mut members = Members::of_body(body)?;
    refuse(&mut members)?;
    let mut request = Request {
        model: members.required_text("model")?,
        include_usage: true,
        words: WORDS,
        ..Request::default()
    };
    read_input(&mut members, &mut request)?;
    read_tools(&mut members, &mut request)?;
    request.max_output_tokens = members.count("max_output_tokens")?;
    request.sampling.temperature = members.number("temperature")?;
    request.sampling.top_p = members.number("top_p")?;
    read_manner(&mut members, &mut request)?;
    let leftover: Vec<String> = members.names().map(str::to_owned).collect();
    for name in leftover {
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
    for Element { raw, path } in members.list("include")? {
        if kind(raw) != Kind::Text || string(raw, &path)? != INCLUDED {
            return Err(Untranslatable::new(
                path,
                "this has no counterpart at this model's provider",
            ));
        }
    }
    Ok(())
}

/// How the answer is to be made and told.
fn read_manner(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    if let Some(mut reasoning) = members.object("reasoning")? {
        if let Some(word) = reasoning.text("effort")? {
            let unknown = || reasoning.refuse("effort", format!("`{word}` is not a known effort"));
            request.reasoning = Some(effort::of_word(&word).ok_or_else(unknown)?);
        }
        // Whether and how thoughts are told: others tell them as they are.
        for name in ["summary", "generate_summary"] {
            reasoning.take(name);
        }
        for name in reasoning.names() {
            request.leave_out(format!("reasoning.{name}"));
        }
    }
    if let Some(mut text) = members.object("text")? {
        request.output_format = read_format(&mut text)?;
        for name in text.names() {
            request.leave_out(format!("text.{name}"));
        }
    }
    request.stream = members.flag("stream")?.unwrap_or(false);
    request.user = members.text("user")?.or(members.text("safety_identifier")?);
    request.service_tier = members.text("service_tier")?;
    Ok(())
}

fn read_format(text: &mut Members<'_>) -> Result<OutputFormat, Untranslatable> {
    let Some(mut format) = text.object("format")? else {
        return Ok(OutputFormat::Text);
    };
    match format.required_text("type")?.as_str() {
        "text" => Ok(OutputFormat::Text),
        "json_object" => Ok(OutputFormat::Json),
        "json_schema" => {
            let schema = format
                .take("schema")
                .ok_or_else(|| format.refuse("schema", "a schema is required"))?;
            Ok(OutputFormat::Schema {
                name: format.text("name")?,
                schema: schema.to_owned(),
                strict: format.flag("strict")?,
            })
        }
        _ => Err(format.refuse("type", "this kind of format is not known")),
    }
}
