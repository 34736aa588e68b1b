//! Reads a generateContent request into the inner form. The model and whether to stream stand in the address: the
//! caller fills them in. What only Google can do is refused by the tables below; what is left over is dropped with its
//! name.

use serde_json::value::RawValue;

use super::contents::{leave_out, read_contents, read_system};
use super::fields::Fields;
use super::schema::json_schema;
use super::thinking::read_thinking;
use super::tools::{read_tool_config, read_tools};
use crate::gateway::translate::inner::{OutputFormat, Request, Sampling, Untranslatable, Words};
use crate::gateway::translate::members::{elements, string};

const WORDS: Words = Words {
    conversation: "contents",
    stop_sequences: "generationConfig.stopSequences",
    output_format: "generationConfig.responseMimeType",
    reasoning: "generationConfig.thinkingConfig",
    user: "labels",
};

/// Members of `generationConfig` that others cannot honour, each with the values that ask for nothing.
const REFUSED: [(&str, &[&str]); 7] = [
    ("candidateCount", &["1"]),
    ("responseLogprobs", &["false"]),
    ("logprobs", &["0"]),
    ("responseModalities", &["[\"TEXT\"]", "[\"text\"]", "[]"]),
    ("speechConfig", &[]),
    ("imageConfig", &[]),
    ("enableAffectiveDialog", &["false"]),
];

pub fn read_request(body: &[u8]) -> Result<Request, Untranslatable> {
    let mut fields = Fields::of_body(body)?;
    if fields.take("cachedContent").is_some() {
        let message = "content that one provider keeps cannot be sent to another";
        return Err(fields.refuse("cachedContent", message));
    }
    let mut request = Request {
        model: fields.text("model")?.unwrap_or_default(),
        include_usage: true,
        words: WORDS,
        ..Request::default()
    };
    read_system(&mut fields, &mut request)?;
    read_contents(&mut fields, &mut request)?;
    read_tools(&mut fields, &mut request)?;
    read_tool_config(&mut fields, &mut request)?;
    if let Some(config) = fields.object("generationConfig")? {
        read_config(config, &mut request)?;
    }
    let leftover: Vec<String> = fields.names().map(str::to_owned).collect();
    for name in leftover {
        request.leave_out(name);
    }
    Ok(request)
}

fn read_config(mut config: Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    for (name, harmless) in REFUSED {
        let Some(raw) = config.take(name) else {
            continue;
        };
        let text: String = raw.get().split_ascii_whitespace().collect();
        if !harmless.contains(&text.as_str()) {
            return Err(config.refuse(name, format!("`{name}` has no counterpart at this model's provider")));
        }
    }
    request.max_output_tokens = config.count("maxOutputTokens")?;
    request.sampling = Sampling {
        temperature: config.number("temperature")?,
        top_p: config.number("topP")?,
        top_k: config.number("topK")?,
        seed: config.number("seed")?,
        presence_penalty: config.number("presencePenalty")?,
        frequency_penalty: config.number("frequencyPenalty")?,
    };
    let path = config.at("stopSequences");
    if let Some(raw) = config.take("stopSequences") {
        request.stop_sequences = elements(raw, &path)?
            .iter()
            .map(|element| string(element.raw, &element.path))
            .collect::<Result<_, _>>()?;
    }
    request.output_format = read_format(&mut config)?;
    read_thinking(&mut config, request)?;
    leave_out(&config, "generationConfig", request);
    Ok(())
}

fn read_format(config: &mut Fields<'_>) -> Result<OutputFormat, Untranslatable> {
    let path = config.at("responseSchema");
    let googles = config.take("responseSchema");
    let plain = config.take("responseJsonSchema").or(config.take("_responseJsonSchema"));
    let schema: Option<Box<RawValue>> = match plain {
        Some(raw) => Some(raw.to_owned()),
        None => googles.map(|raw| json_schema(raw, &path)).transpose()?,
    };
    match (config.text("responseMimeType")?.as_deref(), schema) {
        (Some("application/json"), Some(schema)) => Ok(OutputFormat::Schema {
            name: None,
            schema,
            strict: Some(true),
        }),
        (Some("application/json"), None) => Ok(OutputFormat::Json),
        (Some("text/plain" | "") | None, None) => Ok(OutputFormat::Text),
        (Some("text/plain" | "") | None, Some(_)) => Err(config.refuse(
            "responseMimeType",
            "a schema needs `responseMimeType` to be `application/json`",
        )),
        (Some(other), _) => Err(config.refuse("responseMimeType", format!("`{other}` has no counterpart"))),
    }
}
