//! Reads messages of content blocks into turns. A cache point is a block of its own here and marks the part before it.

use serde_json::value::RawValue;

use super::files::{read_audio, read_document, read_image};
use crate::gateway::translate::carried::Carried;
use crate::gateway::translate::google::signature::unwrap_hidden;
use crate::gateway::translate::inner::{CacheMark, Content, Part, Request, Role, Thinking, ToolCall, Untranslatable};
use crate::gateway::translate::members::{Element, Kind, Members, kind};

/// A block: something said, or a mark behind what was said.
enum Block {
    Part(Content),
    CachePoint(CacheMark),
}

pub(super) fn read_system(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    request.system = read_blocks(members, "system", request)?;
    Ok(())
}

pub(super) fn read_messages(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    for element in members.list("messages")? {
        let mut message = Members::read(element.raw, element.path)?;
        let role = match message.required_text("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            role => return Err(message.refuse("role", format!("the role `{role}` is not known"))),
        };
        let parts = read_blocks(&mut message, "content", request)?;
        request.say(role, parts);
    }
    Ok(())
}

fn read_blocks(members: &mut Members<'_>, name: &str, request: &mut Request) -> Result<Vec<Part>, Untranslatable> {
    let mut parts: Vec<Part> = Vec::new();
    for element in members.list(name)? {
        match read_block(element, request)? {
            Block::Part(content) => parts.push(Part::of(content)),
            Block::CachePoint(mark) => match parts.last_mut() {
                Some(part) => part.cache = Some(mark),
                None => request.leave_out("cachePoint"),
            },
        }
    }
    Ok(parts)
}

fn read_block(element: Element<'_>, request: &mut Request) -> Result<Block, Untranslatable> {
    let mut block = Members::read(element.raw, element.path)?;
    if let Some(mark) = read_cache_point(&mut block)? {
        return Ok(Block::CachePoint(mark));
    }
    let content = if let Some(text) = block.text("text")? {
        Content::Text(text)
    } else if let Some(json) = block.take("json") {
        // A result of a tool.
        Content::Text(json.get().to_owned())
    } else if let Some(image) = block.object("image")? {
        read_image(image)?
    } else if let Some(document) = block.object("document")? {
        read_document(document)?
    } else if let Some(audio) = block.object("audio")? {
        read_audio(audio)?
    } else if let Some(call) = block.object("toolUse")? {
        Content::ToolCall(read_call(call)?)
    } else if let Some(result) = block.object("toolResult")? {
        read_result(result, request)?
    } else if let Some(reasoning) = block.object("reasoningContent")? {
        Content::Thinking(read_reasoning(reasoning)?)
    } else {
        Content::Text(String::new())
    };
    match block.names().next() {
        None => Ok(Block::Part(content)),
        Some(name) => Err(block.refuse(name, format!("`{name}` has no counterpart at this model's provider"))),
    }
}

/// Takes a cache point, of a block or of a tool.
pub(super) fn read_cache_point(block: &mut Members<'_>) -> Result<Option<CacheMark>, Untranslatable> {
    let Some(mut point) = block.object("cachePoint")? else {
        return Ok(None);
    };
    let one_hour = point.text("ttl")?.is_some_and(|ttl| ttl == "1h");
    Ok(Some(if one_hour {
        CacheMark::OneHour
    } else {
        CacheMark::FiveMinutes
    }))
}

fn read_call(mut call: Members<'_>) -> Result<ToolCall, Untranslatable> {
    let (id, carried) = Carried::unpack(&call.required_text("toolUseId")?);
    let arguments = match call.take("input") {
        Some(raw) if kind(raw) != Kind::Object => return Err(call.refuse("input", "`input` must be an object")),
        raw => raw.map_or("{}", RawValue::get).to_owned(),
    };
    Ok(ToolCall {
        id,
        name: call.required_text("name")?,
        arguments,
        signature: carried.signature,
    })
}

fn read_result(mut result: Members<'_>, request: &mut Request) -> Result<Content, Untranslatable> {
    let (call_id, _) = Carried::unpack(&result.required_text("toolUseId")?);
    Ok(Content::ToolResult {
        call_id,
        content: read_blocks(&mut result, "content", request)?,
        is_error: result.text("status")?.is_some_and(|status| status == "error"),
    })
}

fn read_reasoning(mut reasoning: Members<'_>) -> Result<Thinking, Untranslatable> {
    if let Some(data) = reasoning.text("redactedContent")? {
        let data = unwrap_hidden(&data).unwrap_or(data);
        return Ok(Thinking::Hidden { data });
    }
    let mut shown = reasoning.required_object("reasoningText")?;
    Ok(Thinking::Shown {
        text: shown.text("text")?.unwrap_or_default(),
        signature: shown.text("signature")?.filter(|signature| !signature.is_empty()),
    })
}
