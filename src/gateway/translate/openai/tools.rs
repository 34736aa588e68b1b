//! Tools and tool choice of chat completions, read and written.

use serde_json::value::RawValue;

use crate::gateway::translate::inner::{Request, Tool, ToolChoice, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::members::{Element, Kind, Members, kind, string};

/// Reads one of `tools`; only functions are tools that the caller runs with any model.
pub(super) fn read_tool(element: Element<'_>, request: &mut Request) -> Result<Tool, Untranslatable> {
    let mut members = Members::read(element.raw, element.path)?;
    let kind = members.required_text("type")?;
    if kind != "function" {
        return Err(members.refuse("type", format!("tools of type `{kind}` are run by one provider only")));
    }
    let mut function = members.required_object("function")?;
    let cache = members.cache_mark()?;
    let tool = Tool {
        name: function.required_text("name")?,
        description: function.text("description")?,
        parameters: function.take("parameters").map(RawValue::to_owned),
        strict: function.flag("strict")?,
        cache,
    };
    for name in members.names().chain(function.names()) {
        request.leave_out(format!("tools.{name}"));
    }
    Ok(tool)
}

pub(super) fn read_tool_choice(raw: &RawValue, path: String) -> Result<ToolChoice, Untranslatable> {
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
        "function" => {
            let mut function = members.required_object("function")?;
            Ok(ToolChoice::Named(function.required_text("name")?))
        }
        _ => Err(members.refuse("type", "only a function can be named in `tool_choice`")),
    }
}

pub(super) fn write_tool(tool: &Tool) -> Json<'_> {
    let mut function = Object::new().with("name", &tool.name);
    function.put_some("description", tool.description.as_ref());
    function.put_some("parameters", tool.parameters.as_deref());
    function.put_some("strict", tool.strict);
    Object::typed("function").with("function", function).into()
}

pub(super) fn write_tool_choice(choice: &ToolChoice) -> Json<'_> {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => {
            let function = Object::new().with("name", name);
            Object::typed("function").with("function", function).into()
        }
    }
}
