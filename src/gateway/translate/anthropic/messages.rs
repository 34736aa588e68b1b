//! Reads the system prompt and the messages into turns.

use serde_json::value::RawValue;

use crate::gateway::translate::carried::Carried;
use crate::gateway::translate::inner::{Content, Part, Request, Role, Source, Thinking, ToolCall, Untranslatable};
use crate::gateway::translate::members::{Element, Kind, Members, elements, kind, string};

/// Members of blocks that other dialects have no word for, and whose loss does no harm.
const SILENT: [&str; 1] = ["caller"];

/// Where blocks stand. A result of a tool holds no other, so blocks never nest deeper than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Turn,
    Result,
}

pub(super) fn read_system(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let parts = read_content(members, "system", Place::Turn, request)?;
    request.system = parts;
    Ok(())
}

pub(super) fn read_messages(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    for element in members.list("messages")? {
        let mut message = Members::read(element.raw, element.path)?;
        let role = match message.required_text("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            role => return Err(message.refuse("role", format!("the role `{role}` has no counterpart here"))),
        };
        let parts = read_content(&mut message, "content", Place::Turn, request)?;
        match role {
            Role::System if request.turns.is_empty() => request.system.extend(parts),
            Role::User | Role::Assistant | Role::System => request.say(role, parts),
        }
        for name in message.names() {
            request.leave_out(format!("messages.{name}"));
        }
    }
    Ok(())
}

/// A text, or blocks.
fn read_content(
    members: &mut Members<'_>,
    name: &str,
    place: Place,
    request: &mut Request,
) -> Result<Vec<Part>, Untranslatable> {
    let path = members.at(name);
    let Some(raw) = members.take(name) else {
        return Ok(Vec::new());
    };
    match kind(raw) {
        Kind::List => elements(raw, &path)?
            .into_iter()
            .map(|element| read_block(element, place, request))
            .collect(),
        Kind::Text | Kind::Object | Kind::Other => Ok(vec![Part::text(string(raw, &path)?)]),
    }
}

fn read_block(element: Element<'_>, place: Place, request: &mut Request) -> Result<Part, Untranslatable> {
    let mut block = Members::read(element.raw, element.path)?;
    let cache = block.cache_mark()?;
    let content = match block.required_text("type")?.as_str() {
        "text" => Content::Text(block.required_text("text")?),
        "image" => Content::Image(read_source(block.required_object("source")?)?),
        "document" => Content::Document {
            name: block.text("title")?,
            source: read_source(block.required_object("source")?)?,
        },
        "tool_use" if place == Place::Turn => Content::ToolCall(read_call(&mut block)?),
        "tool_result" if place == Place::Turn => read_result(&mut block, request)?,
        // All tools are told at once elsewhere: what a search for tools has found is there already.
        "tool_reference" if place == Place::Result => {
            Content::Text(format!("The tool {} is loaded.", block.required_text("tool_name")?))
        }
        "thinking" => Content::Thinking(Thinking::Shown {
            text: block.required_text("thinking")?,
            signature: block.text("signature")?.filter(|signature| !signature.is_empty()),
        }),
        "redacted_thinking" => Content::Thinking(Thinking::Hidden {
            data: block.required_text("data")?,
        }),
        kind => return Err(block.refuse("type", format!("blocks of type `{kind}` have no counterpart"))),
    };
    for name in block.names().filter(|name| !SILENT.contains(name)) {
        request.leave_out(format!("messages.content.{name}"));
    }
    Ok(Part { content, cache })
}

fn read_call(block: &mut Members<'_>) -> Result<ToolCall, Untranslatable> {
    let (id, carried) = Carried::unpack(&block.required_text("id")?);
    let input = block.take("input");
    if input.is_some_and(|input| kind(input) != Kind::Object) {
        return Err(block.refuse("input", "the input of a call must be an object"));
    }
    Ok(ToolCall {
        id,
        name: block.required_text("name")?,
        arguments: input.map_or("{}", RawValue::get).to_owned(),
        signature: carried.signature,
    })
}

fn read_result(block: &mut Members<'_>, request: &mut Request) -> Result<Content, Untranslatable> {
    let (call_id, _) = Carried::unpack(&block.required_text("tool_use_id")?);
    let content = read_content(block, "content", Place::Result, request)?;
    Ok(Content::ToolResult {
        call_id,
        content,
        is_error: block.flag("is_error")?.unwrap_or(false),
    })
}

fn read_source(mut source: Members<'_>) -> Result<Source, Untranslatable> {
    match source.required_text("type")?.as_str() {
        "base64" => Ok(Source::Inline {
            media_type: source.required_text("media_type")?,
            data: source.required_text("data")?,
        }),
        "url" => Ok(Source::Url(source.required_text("url")?)),
        "text" => Ok(Source::Text(source.required_text("data")?)),
        kind => Err(source.refuse(
            "type",
            format!("a source of type `{kind}` cannot be sent to another provider"),
        )),
    }
}
