//! Function tools of responses and the choice among them, read and written. All other kinds are run by OpenAI, or have
//! arguments that are no JSON, and are refused.

use serde_json::value::RawValue;

use crate::gateway::translate::inner::{Request, Tool, ToolChoice, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::members::{Element, Kind, Members, kind, string};

pub(super) fn read_tools(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    for element in members.list("tools")? {
        let tool = read_tool(element, request)?;
        request.tools.push(tool);
    }
    let path = members.at("tool_choice");
    request.tool_choice = members
        .take("tool_choice")
        .map(|raw| read_tool_choice(raw, path))
        .transpose()?;
    request.parallel_tool_calls = members.flag("parallel_tool_calls")?;
    Ok(())
}

fn read_tool(element: Element<'_>, request: &mut Request) -> Result<Tool, Untranslatable> {
    let mut members = Members::read(element.raw, element.path)?;
    let kind = members.required_text("type")?;
    if kind != "function" {
        return Err(members.refuse("type", format!("tools of type `{kind}` are known to one provider only")));
    }
    let tool = Tool {
        name: members.required_text("name")?,
        description: members.text("description")?,
        parameters: members.take("parameters").map(RawValue::to_owned),
        strict: members.flag("strict")?,
        cache: None,
    };
    for name in members.names() {
        request.leave_out(format!("tools.{name}"));
    }
    Ok(tool)
}

fn read_tool_choice(raw: &RawValue, path: String) -> Result<ToolChoice, Untranslatable> {
    if kind(raw) != Kind::Object {
        return match string(raw, &path)?.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(Untranslatable::new(path, "this `tool_choice` is not known")),
        };
    }
    let mut members = Members::read(raw, path)?;
    match members.required_text("type")?.as_str() {
        "function" => Ok(ToolChoice::Named(members.required_text("name")?)),
        _ => Err(members.refuse("type", "only a function can be named in `tool_choice`")),
    }
}

/// `strict` is on here unless it is told, and off everywhere else.
pub(super) fn write_tool(tool: &Tool) -> Json<'_> {
    let mut written = Object::typed("function").with("name", &tool.name);
    written.put_some("description", tool.description.as_ref());
    match &tool.parameters {
        Some(schema) => written.put("parameters", &**schema),
        None => written.put("parameters", Object::typed("object").with("properties", Object::new())),
    }
    written.with("strict", tool.strict.unwrap_or(false)).into()
}

pub(super) fn write_tool_choice(choice: &ToolChoice) -> Json<'_> {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => Object::typed("function").with("name", name).into(),
    }
}
