//! Tools of Converse, read and written. It has no word for "call no tool", so that is written by leaving the tools out
//! where nothing in the conversation needs them, and else refused.

use serde_json::value::RawValue;

use super::blocks::read_cache_point;
use super::model::Family;
use super::write_blocks::write_cache_point;
use crate::gateway::translate::Warnings;
use crate::gateway::translate::inner::{Content, Request, Tool, ToolChoice, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::members::{Element, Members};

pub(super) fn read_tools(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let Some(mut config) = members.object("toolConfig")? else {
        return Ok(());
    };
    for element in config.list("tools")? {
        read_tool(element, request)?;
    }
    if let Some(mut choice) = config.object("toolChoice")? {
        request.tool_choice = Some(if choice.take("auto").is_some() {
            ToolChoice::Auto
        } else if choice.take("any").is_some() {
            ToolChoice::Required
        } else {
            ToolChoice::Named(choice.required_object("tool")?.required_text("name")?)
        });
    }
    Ok(())
}

fn read_tool(element: Element<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let mut members = Members::read(element.raw, element.path)?;
    if let Some(mark) = read_cache_point(&mut members)? {
        match request.tools.last_mut() {
            Some(tool) => tool.cache = Some(mark),
            None => request.leave_out("cachePoint"),
        }
        return Ok(());
    }
    if let Some(name) = members.names().find(|name| *name != "toolSpec") {
        return Err(members.refuse(name, format!("`{name}` is run by one provider only")));
    }
    let mut spec = members.required_object("toolSpec")?;
    let schema = spec.object("inputSchema")?;
    let schema = schema
        .and_then(|mut schema| schema.take("json"))
        .map(RawValue::to_owned);
    request.tools.push(Tool {
        name: spec.required_text("name")?,
        description: spec.text("description")?.filter(|text| !text.is_empty()),
        parameters: schema,
        strict: spec.flag("strict")?,
        cache: None,
    });
    Ok(())
}

pub(super) fn write_tools<'a>(
    request: &'a Request,
    family: Family,
    warnings: &mut Warnings,
) -> Result<Option<Object<'a>>, Untranslatable> {
    if request.tools.is_empty() {
        return Ok(None);
    }
    let choice = match &request.tool_choice {
        Some(ToolChoice::None) if speaks_of_tools(request) => {
            let message = "this model's provider cannot be told to call no tool in a conversation with tool calls";
            return Err(Untranslatable::new("tool_choice", message));
        }
        Some(ToolChoice::None) => return Ok(None),
        Some(ToolChoice::Required) => Some(Object::new().with("any", Object::new())),
        Some(ToolChoice::Named(name)) => Some(Object::new().with("tool", Object::new().with("name", name))),
        Some(ToolChoice::Auto) | None => None,
    };
    let mut tools: Vec<Json<'a>> = Vec::new();
    for tool in &request.tools {
        tools.push(write_tool(tool));
        tools.extend(write_cache_point(tool.cache, family, warnings));
    }
    if request.parallel_tool_calls == Some(false) {
        warnings.add("parallel_tool_calls");
    }
    let mut config = Object::new().with("tools", tools);
    config.put_some("toolChoice", choice);
    Ok(Some(config))
}

fn speaks_of_tools(request: &Request) -> bool {
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    parts.any(|part| matches!(part.content, Content::ToolCall(_) | Content::ToolResult { .. }))
}

fn write_tool(tool: &Tool) -> Json<'_> {
    let mut spec = Object::new().with("name", &tool.name);
    spec.put_some("description", tool.description.as_ref().filter(|text| !text.is_empty()));
    let schema: Json<'_> = match &tool.parameters {
        Some(schema) if schema.get() != "{}" => (&**schema).into(),
        // The API requires a schema of an object.
        Some(_) | None => Object::typed("object").with("properties", Object::new()).into(),
    };
    spec.put("inputSchema", Object::new().with("json", schema));
    spec.put_some("strict", tool.strict.filter(|strict| *strict));
    Object::new().with("toolSpec", spec).into()
}
