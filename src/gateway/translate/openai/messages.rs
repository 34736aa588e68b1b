//! Reads the messages of chat completions into turns: instructions at the start become the system prompt, answers of
//! tools stand in the user's turn, and thinking comes back from wherever the client kept it.

use serde_json::value::RawValue;

use super::content::Thoughts;
use crate::gateway::translate::carried::{self, Carried};
use crate::gateway::translate::inner::{Content, Part, Request, Role, Source, Thinking, ToolCall, Untranslatable};
use crate::gateway::translate::members::{Element, Kind, Members, elements, kind, string};

pub(super) fn read_messages(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    for element in members.list("messages")? {
        let mut message = Members::read(element.raw, element.path)?;
        match message.required_text("role")?.as_str() {
            "system" | "developer" => read_system(&mut message, request)?,
            "user" => {
                let parts = read_content(&mut message, request)?;
                request.say(Role::User, parts);
            }
            "assistant" => {
                let parts = read_assistant(&mut message, request)?;
                request.say(Role::Assistant, parts);
            }
            "tool" => {
                let result = read_tool_message(&mut message, request)?;
                request.say(Role::User, vec![result]);
            }
            role => return Err(message.refuse("role", format!("the role `{role}` has no counterpart"))),
        }
        for name in message.names() {
            request.leave_out(format!("messages.{name}"));
        }
    }
    Ok(())
}

fn read_system(message: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let parts = read_content(message, request)?;
    if request.turns.is_empty() {
        request.system.extend(parts);
    } else {
        request.say(Role::System, parts);
    }
    Ok(())
}

/// A message's content: a text, or parts. Empty texts say nothing and are refused elsewhere.
fn read_content(message: &mut Members<'_>, request: &mut Request) -> Result<Vec<Part>, Untranslatable> {
    let path = message.at("content");
    let Some(raw) = message.take("content") else {
        return Ok(Vec::new());
    };
    let parts = match kind(raw) {
        Kind::List => elements(raw, &path)?
            .into_iter()
            .map(|element| read_part(element, request))
            .collect::<Result<Vec<_>, _>>()?,
        Kind::Text | Kind::Object | Kind::Other => vec![Part::text(string(raw, &path)?)],
    };
    let said = |part: &Part| part.content != Content::Text(String::new());
    Ok(parts.into_iter().filter(said).collect())
}

fn read_part(element: Element<'_>, request: &mut Request) -> Result<Part, Untranslatable> {
    let mut part = Members::read(element.raw, element.path)?;
    let cache = part.cache_mark()?;
    let content = match part.required_text("type")?.as_str() {
        "text" => Content::Text(part.required_text("text")?),
        "refusal" => Content::Refusal(part.required_text("refusal")?),
        // What Mistral's models answer with, and its clients bring back.
        "thinking" => Content::Thinking(read_thoughts(&mut part)?),
        "image_url" => {
            let mut image = part.required_object("image_url")?;
            if image.text("detail")?.is_some_and(|detail| detail != "auto") {
                request.leave_out("messages.image_url.detail");
            }
            Content::Image(read_source(&mut image, "url")?)
        }
        "input_audio" => {
            let mut audio = part.required_object("input_audio")?;
            Content::Audio {
                format: audio.required_text("format")?,
                data: audio.required_text("data")?,
            }
        }
        "file" => {
            let mut file = part.required_object("file")?;
            if file.take("file_id").is_some() {
                return Err(file.refuse("file_id", "a file that one provider keeps cannot be sent to another"));
            }
            Content::Document {
                name: file.text("filename")?,
                source: read_source(&mut file, "file_data")?,
            }
        }
        kind => return Err(part.refuse("type", format!("parts of type `{kind}` have no counterpart"))),
    };
    for name in part.names() {
        request.leave_out(format!("messages.content.{name}"));
    }
    Ok(Part { content, cache })
}

fn read_thoughts(part: &mut Members<'_>) -> Result<Thinking, Untranslatable> {
    part.take("closed");
    let raw = part.take("thinking").map_or("[]", RawValue::get);
    let refused = |_| part.refuse("thinking", "this must be a text or a list of texts");
    let thoughts: Thoughts = serde_json::from_str(raw).map_err(refused)?;
    Ok(Thinking::Shown {
        text: thoughts.text(),
        signature: None,
    })
}

fn read_source(members: &mut Members<'_>, name: &str) -> Result<Source, Untranslatable> {
    let url = members.required_text(name)?;
    Source::of_url(&url).ok_or_else(|| members.refuse(name, "this must be a data URL in base64, or an http(s) URL"))
}

fn read_tool_message(message: &mut Members<'_>, request: &mut Request) -> Result<Part, Untranslatable> {
    let (call_id, _) = Carried::unpack(&message.required_text("tool_call_id")?);
    Ok(Part::of(Content::ToolResult {
        call_id,
        content: read_content(message, request)?,
        is_error: false,
    }))
}

fn read_assistant(message: &mut Members<'_>, request: &mut Request) -> Result<Vec<Part>, Untranslatable> {
    for name in ["function_call", "audio"] {
        if message.take(name).is_some() {
            return Err(message.refuse(name, format!("`{name}` has no counterpart")));
        }
    }
    message.take("annotations");
    let mut thinking = read_thinking(message)?;
    let mut said = read_content(message, request)?;
    if let Some(refusal) = message.text("refusal")? {
        said.push(Part::of(Content::Refusal(refusal)));
    }
    for element in message.list("tool_calls")? {
        let (call, carried) = read_tool_call(element)?;
        if thinking.iter().all(is_unsigned) && !carried.is_empty() {
            thinking = carried;
        }
        said.push(Part::of(Content::ToolCall(call)));
    }
    let thinking = thinking
        .into_iter()
        .map(|thinking| Part::of(Content::Thinking(thinking)));
    Ok(thinking.chain(said).collect())
}

const fn is_unsigned(thinking: &Thinking) -> bool {
    matches!(thinking, Thinking::Shown { signature: None, .. })
}

/// What the client kept of the thinking: the details with their signatures, or only its text.
fn read_thinking(message: &mut Members<'_>) -> Result<Vec<Thinking>, Untranslatable> {
    let details = message.list("reasoning_details")?;
    let text = message.text("reasoning_content")?.or(message.text("reasoning")?);
    let mut thinking: Vec<Thinking> = details
        .iter()
        .filter_map(|detail| carried::thinking_of(detail.raw.get()))
        .collect();
    if let Some(text) = text.filter(|text| thinking.is_empty() && !text.is_empty()) {
        thinking.push(Thinking::Shown { text, signature: None });
    }
    Ok(thinking)
}

fn read_tool_call(element: Element<'_>) -> Result<(ToolCall, Vec<Thinking>), Untranslatable> {
    let mut members = Members::read(element.raw, element.path)?;
    let (id, carried) = Carried::unpack(&members.required_text("id")?);
    let mut function = match members.text("type")?.as_deref() {
        Some("function") | None => members.required_object("function")?,
        Some(kind) => return Err(members.refuse("type", format!("calls of type `{kind}` have no counterpart"))),
    };
    let arguments = function.text("arguments")?.unwrap_or_default();
    if !is_object(&arguments) {
        return Err(function.refuse(
            "arguments",
            "the arguments of a call must be the JSON text of an object",
        ));
    }
    let call = ToolCall {
        id,
        name: function.required_text("name")?,
        arguments,
        signature: carried.signature,
    };
    Ok((call, carried.thinking))
}

/// Nothing at all counts as an object without members.
fn is_object(arguments: &str) -> bool {
    let text = arguments.trim_ascii();
    text.is_empty() || (text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok())
}
