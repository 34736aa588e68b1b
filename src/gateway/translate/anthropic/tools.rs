//! Tools and tool choice of messages, read and written.

use serde_json::value::RawValue;

use super::blocks::marked;
use crate::gateway::translate::inner::{Request, Tool, ToolChoice, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::members::{Element, Members};

/// Reads one of `tools`; those of a version (`bash_20250124`) are known to one provider only.
pub(super) fn read_tool(element: Element<'_>, request: &mut Request) -> Result<Tool, Untranslatable> {
    let mut members = Members::read(element.raw, element.path)?;
    match members.text("type")?.as_deref() {
        Some("custom") | None => {}
        Some(kind) => {
            return Err(members.refuse("type", format!("tools of type `{kind}` are known to one provider only")));
        }
    }
    let tool = Tool {
        name: members.required_text("name")?,
        description: members.text("description")?,
        parameters: members.take("input_schema").map(RawValue::to_owned),
        strict: members.flag("strict")?,
        cache: members.cache_mark()?,
    };
    for name in members.names() {
        request.leave_out(format!("tools.{name}"));
    }
    Ok(tool)
}

/// Reads `tool_choice`, and whether several calls at once are wanted.
pub(super) fn read_tool_choice(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let Some(mut choice) = members.object("tool_choice")? else {
        return Ok(());
    };
    request.tool_choice = Some(match choice.required_text("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required_text("name")?),
        _ => return Err(choice.refuse("type", "this `tool_choice` is not known")),
    });
    request.parallel_tool_calls = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    Ok(())
}

pub(super) fn write_tool(tool: &Tool) -> Json<'_> {
    let mut block = Object::new().with("name", &tool.name);
    block.put_some("description", tool.description.as_ref());
    match &tool.parameters {
        Some(schema) if schema.get() != "{}" => block.put("input_schema", &**schema),
        // The API requires a schema of an object.
        Some(_) | None => block.put(
            "input_schema",
            Object::typed("object").with("properties", Object::new()),
        ),
    }
    block.put_some("strict", tool.strict.filter(|strict| *strict));
    marked(block, tool.cache)
}

/// A choice without tools, or one that changes nothing, is left out.
pub(super) fn write_tool_choice(request: &Request) -> Option<Object<'_>> {
    if request.tools.is_empty() {
        return None;
    }
    let one_at_once = request.parallel_tool_calls == Some(false);
    let choice = match &request.tool_choice {
        None if !one_at_once => return None,
        Some(ToolChoice::None) => return Some(Object::typed("none")),
        None | Some(ToolChoice::Auto) => Object::typed("auto"),
        Some(ToolChoice::Required) => Object::typed("any"),
        Some(ToolChoice::Named(name)) => Object::typed("tool").with("name", name),
    };
    Some(if one_at_once {
        choice.with("disable_parallel_tool_use", true)
    } else {
        choice
    })
}
