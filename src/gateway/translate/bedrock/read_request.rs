//! Reads a Converse request into the inner form. The model and whether to stream stand in the address: the caller fills
//! them in. What only AWS can do is refused by the table below; what is left over is dropped with its name.

use serde_json::value::RawValue;

use super::blocks::{read_messages, read_system};
use super::model::read_additional;
use super::tools::read_tools;
use crate::gateway::translate::inner::{OutputFormat, Request, Untranslatable, Words};
use crate::gateway::translate::members::{Members, elements, string};

const WORDS: Words = Words {
    conversation: "messages",
    stop_sequences: "inferenceConfig.stopSequences",
    output_format: "outputConfig.textFormat",
    reasoning: "additionalModelRequestFields.thinking",
    user: "requestMetadata",
};

/// Members that change the answer and that only AWS has.
const REFUSED: [&str; 2] = ["guardrailConfig", "promptVariables"];

pub fn read_request(body: &[u8]) -> Result<Request, Untranslatable> {
    let mut members = Members::of_body(body)?;
    for name in REFUSED {
        if members.take(name).is_some() {
            return Err(members.refuse(name, format!("`{name}` has no counterpart at this model's provider")));
        }
    }
    let mut request = Request {
        model: members.text("modelId")?.unwrap_or_default(),
        include_usage: true,
        words: WORDS,
        ..Request::default()
    };
    read_system(&mut members, &mut request)?;
    read_messages(&mut members, &mut request)?;
    read_tools(&mut members, &mut request)?;
    read_inference(&mut members, &mut request)?;
    request.output_format = read_format(&mut members)?;
    read_additional(&mut members, &mut request)?;
    if let Some(mut tier) = members.object("serviceTier")? {
        request.service_tier = tier.text("type")?;
    }
    for name in members.names() {
        request.leave_out(name);
    }
    Ok(request)
}

fn read_inference(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let Some(mut config) = members.object("inferenceConfig")? else {
        return Ok(());
    };
    request.max_output_tokens = config.count("maxTokens")?;
    request.sampling.temperature = config.number("temperature")?;
    request.sampling.top_p = config.number("topP")?;
    let path = config.at("stopSequences");
    if let Some(raw) = config.take("stopSequences") {
        request.stop_sequences = elements(raw, &path)?
            .iter()
            .map(|element| string(element.raw, &element.path))
            .collect::<Result<_, _>>()?;
    }
    for name in config.names() {
        request.leave_out(format!("inferenceConfig.{name}"));
    }
    Ok(())
}

/// The schema is JSON text in a string here.
fn read_format(members: &mut Members<'_>) -> Result<OutputFormat, Untranslatable> {
    let format = members.object("outputConfig")?;
    let Some(mut format) = format
        .map(|mut config| config.object("textFormat"))
        .transpose()?
        .flatten()
    else {
        return Ok(OutputFormat::Text);
    };
    let mut described = format.required_object("structure")?.required_object("jsonSchema")?;
    let text = described.required_text("schema")?;
    let schema: Box<RawValue> = serde_json::from_str(&text)
        .map_err(|_| described.refuse("schema", "`schema` must be the JSON text of a schema"))?;
    Ok(OutputFormat::Schema {
        name: described.text("name")?,
        schema,
        strict: Some(true),
    })
}
