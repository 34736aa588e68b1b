//! Function tools of responses and the choice among them, read and written. All other kinds are run by OpenAI, or have
//! arguments that are no JSON: they are left out where functions stand beside them, and refused where a call is about
//! them.

use serde_json::value::RawValue;

use crate::gateway::translate::inner::{Request, Tool, ToolChoice, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::members::{Kind, Members, kind, string};

pub(super) fn read_tools(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let mut foreign = Vec::new();
    for element in members.list("tools")? {
        let mut tool = Members::read(element.raw, element.path)?;
        let kind = tool.required_text("type")?;
        if kind == "function" {
            let tool = read_tool(tool, request)?;
            request.tools.push(tool);
        } else {
            let text = format!("tools of type `{kind}` are known to one provider only");
            foreign.push((kind, tool.refuse("type", text)));
        }
    }
    let path = members.at("tool_choice");
    request.tool_choice = members
        .take("tool_choice")
        .map(|raw| read_tool_choice(raw, path))
        .transpose()?;
    request.parallel_tool_calls = members.flag("parallel_tool_calls")?;
    leave_out_foreign(foreign, request)
}

/// Coding tools offer such kinds beside their functions in every call. One that is offered and never called changes no
/// answer's meaning; but where nothing else is offered, or a call is demanded, the answer would be another.
fn leave_out_foreign(foreign: Vec<(String, Untranslatable)>, request: &mut Request) -> Result<(), Untranslatable> {
    let is_demanded = request.tools.is_empty() || request.tool_choice == Some(ToolChoice::Required);
    for (kind, refusal) in foreign {
        if is_demanded {
            return Err(refusal);
        }
        request.leave_out(format!("tools.{kind}"));
    }
    Ok(())
}

fn read_tool(mut members: Members<'_>, request: &mut Request) -> Result<Tool, Untranslatable> {
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
