//! Reads the items of `input` into turns: messages, calls of functions with their outputs, and reasoning.

use serde_json::value::RawValue;

use super::sealed::unpack;
use crate::gateway::translate::carried::Carried;
use crate::gateway::translate::inner::{Content, Part, Request, Role, Source, Thinking, ToolCall, Untranslatable};
use crate::gateway::translate::members::{Element, Kind, Members, elements, kind, string};

pub(super) fn read_input(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    if let Some(text) = members.text("instructions")?.filter(|text| !text.is_empty()) {
        request.system.push(Part::text(text));
    }
    let path = members.at("input");
    let Some(raw) = members.take("input") else {
        return Ok(());
    };
    if kind(raw) == Kind::Text {
        let text = string(raw, &path)?;
        request.say(Role::User, vec![Part::text(text)]);
        return Ok(());
    }
    for element in elements(raw, &path)? {
        read_item(element, request)?;
    }
    Ok(())
}

fn read_item(element: Element<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let mut item = Members::read(element.raw, element.path)?;
    match item.text("type")?.as_deref() {
        Some("message") | None => read_message(&mut item, request),
        Some("function_call") => {
            let call = read_call(&mut item)?;
            request.say(Role::Assistant, vec![Part::of(Content::ToolCall(call))]);
            Ok(())
        }
        Some("function_call_output") => {
            let result = read_output(&mut item)?;
            request.say(Role::User, vec![Part::of(result)]);
            Ok(())
        }
        Some("reasoning") => {
            let thinking = read_reasoning(&mut item)?;
            if !thinking.is_empty() {
                let part = |thinking| Part::of(Content::Thinking(thinking));
                request.say(Role::Assistant, thinking.into_iter().map(part).collect());
            }
            Ok(())
        }
        Some("item_reference") => Err(item.refuse("type", "an item that one provider keeps cannot be sent to another")),
        Some(kind) => Err(item.refuse("type", format!("items of type `{kind}` have no counterpart"))),
    }
}

fn read_message(item: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let role = item.required_text("role")?;
    let parts = read_content(item, "content")?;
    match role.as_str() {
        "user" => request.say(Role::User, parts),
        "assistant" => request.say(Role::Assistant, parts),
        "system" | "developer" if request.turns.is_empty() => request.system.extend(parts),
        "system" | "developer" => request.say(Role::System, parts),
        role => return Err(item.refuse("role", format!("the role `{role}` has no counterpart"))),
    }
    Ok(())
}

/// A text, or parts. Empty texts say nothing and are refused elsewhere.
fn read_content(item: &mut Members<'_>, name: &str) -> Result<Vec<Part>, Untranslatable> {
    let path = item.at(name);
    let Some(raw) = item.take(name) else {
        return Ok(Vec::new());
    };
    let parts = match kind(raw) {
        Kind::List => elements(raw, &path)?
            .into_iter()
            .map(|element| read_part(element).map(Part::of))
            .collect::<Result<Vec<_>, _>>()?,
        Kind::Text | Kind::Object | Kind::Other => vec![Part::text(string(raw, &path)?)],
    };
    let said = |part: &Part| part.content != Content::Text(String::new());
    Ok(parts.into_iter().filter(said).collect())
}

fn read_part(element: Element<'_>) -> Result<Content, Untranslatable> {
    let mut part = Members::read(element.raw, element.path)?;
    let kind = part.required_text("type")?;
    if part.take("file_id").is_some() {
        return Err(part.refuse("file_id", "a file that one provider keeps cannot be sent to another"));
    }
    Ok(match kind.as_str() {
        "input_text" | "output_text" | "text" => Content::Text(part.required_text("text")?),
        "refusal" => Content::Refusal(part.required_text("refusal")?),
        "input_image" => Content::Image(read_source(&mut part, "image_url")?),
        "input_audio" => {
            let mut audio = part.required_object("input_audio")?;
            Content::Audio {
                format: audio.required_text("format")?,
                data: audio.required_text("data")?,
            }
        }
        "input_file" => {
            let name = part.text("filename")?;
            let place = if part.names().any(|name| name == "file_url") {
                "file_url"
            } else {
                "file_data"
            };
            let source = read_source(&mut part, place)?;
            Content::Document { source, name }
        }
        kind => return Err(part.refuse("type", format!("parts of type `{kind}` have no counterpart"))),
    })
}

fn read_source(part: &mut Members<'_>, name: &str) -> Result<Source, Untranslatable> {
    let url = part.required_text(name)?;
    Source::of_url(&url).ok_or_else(|| part.refuse(name, "this must be a data URL in base64, or an http(s) URL"))
}

fn read_call(item: &mut Members<'_>) -> Result<ToolCall, Untranslatable> {
    let (id, carried) = Carried::unpack(&item.required_text("call_id")?);
    let arguments = item.text("arguments")?.unwrap_or_default();
    let text = arguments.trim_ascii();
    if !(text.is_empty() || (text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok())) {
        return Err(item.refuse(
            "arguments",
            "the arguments of a call must be the JSON text of an object",
        ));
    }
    Ok(ToolCall {
        id,
        name: item.required_text("name")?,
        arguments,
        signature: carried.signature,
    })
}

fn read_output(item: &mut Members<'_>) -> Result<Content, Untranslatable> {
    let (call_id, _) = Carried::unpack(&item.required_text("call_id")?);
    Ok(Content::ToolResult {
        call_id,
        content: read_content(item, "output")?,
        is_error: false,
    })
}

/// Reasoning that was packed here comes back whole; of any other only the text is left, and nobody signed that.
fn read_reasoning(item: &mut Members<'_>) -> Result<Vec<Thinking>, Untranslatable> {
    let encrypted = item.text("encrypted_content")?;
    if let Some(thinking) = encrypted.as_deref().and_then(unpack) {
        return Ok(thinking);
    }
    let mut texts = Vec::new();
    for name in ["summary", "content"] {
        for element in item.list(name)? {
            let mut part = Members::read(element.raw, element.path)?;
            texts.extend(part.text("text")?.filter(|text| !text.is_empty()));
        }
    }
    let text = texts.join("\n\n");
    let shown = (!text.is_empty()).then_some(Thinking::Shown { text, signature: None });
    Ok(shown.into_iter().collect())
}
