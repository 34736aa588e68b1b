//! Function declarations and how they are to be called, read and written. Tools that Google runs itself are refused.

use serde_json::value::RawValue;

use super::contents::leave_out;
use super::fields::Fields;
use super::schema::json_schema;
use crate::gateway::translate::Warnings;
use crate::gateway::translate::inner::{Request, Tool, ToolChoice, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::members::{elements, string};

pub(super) fn read_tools(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    for element in fields.list("tools")? {
        let mut tool = Fields::of(element)?;
        for element in tool.list("functionDeclarations")? {
            let mut declaration = Fields::of(element)?;
            let parsed = read_declaration(&mut declaration)?;
            request.tools.push(parsed);
            leave_out(&declaration, "tools.functionDeclarations", request);
        }
        if let Some(name) = tool.names().next() {
            return Err(tool.refuse(name, format!("`{name}` is run by one provider only")));
        }
    }
    Ok(())
}

fn read_declaration(declaration: &mut Fields<'_>) -> Result<Tool, Untranslatable> {
    let path = declaration.at("parameters");
    let googles = declaration.take("parameters");
    let parameters = match declaration.take("parametersJsonSchema") {
        Some(raw) => Some(raw.to_owned()),
        None => googles.map(|raw| json_schema(raw, &path)).transpose()?,
    };
    Ok(Tool {
        name: declaration.required_text("name")?,
        description: declaration.text("description")?,
        parameters,
        strict: None,
        cache: None,
    })
}

pub(super) fn read_tool_config(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let Some(mut config) = fields.object("toolConfig")? else {
        return Ok(());
    };
    if let Some(mut calling) = config.object("functionCallingConfig")? {
        request.tool_choice = read_mode(&mut calling)?;
        leave_out(&calling, "toolConfig.functionCallingConfig", request);
    }
    leave_out(&config, "toolConfig", request);
    Ok(())
}

fn read_mode(calling: &mut Fields<'_>) -> Result<Option<ToolChoice>, Untranslatable> {
    let mode = calling.text("mode")?.unwrap_or_default().to_ascii_uppercase();
    let path = calling.at("allowedFunctionNames");
    let names = match calling.take("allowedFunctionNames") {
        None => Vec::new(),
        Some(raw) => elements(raw, &path)?
            .iter()
            .map(|element| string(element.raw, &element.path))
            .collect::<Result<Vec<_>, _>>()?,
    };
    match (mode.as_str(), names.as_slice()) {
        ("" | "MODE_UNSPECIFIED", []) => Ok(None),
        ("AUTO" | "VALIDATED", []) => Ok(Some(ToolChoice::Auto)),
        ("NONE", _) => Ok(Some(ToolChoice::None)),
        ("ANY", []) => Ok(Some(ToolChoice::Required)),
        ("ANY", [name]) => Ok(Some(ToolChoice::Named(name.clone()))),
        ("" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED" | "ANY", _) => {
            let message = "a choice among some of the functions has no counterpart at this model's provider";
            Err(calling.refuse("allowedFunctionNames", message))
        }
        _ => Err(calling.refuse("mode", format!("the mode `{mode}` is not known"))),
    }
}

pub(super) fn write_tools<'a>(request: &'a Request, body: &mut Object<'a>, warnings: &mut Warnings) {
    if request.tools.is_empty() {
        return;
    }
    let declarations: Vec<Json<'a>> = request.tools.iter().map(write_declaration).collect();
    let tools = Object::new().with("functionDeclarations", declarations);
    body.put("tools", vec![tools.into()]);
    if let Some(choice) = &request.tool_choice {
        let calling = Object::new().with("functionCallingConfig", write_mode(choice));
        body.put("toolConfig", calling);
    }
    if request.tools.iter().any(|tool| tool.strict == Some(true)) {
        warnings.add("tools.strict");
    }
    if request.tools.iter().any(|tool| tool.cache.is_some()) {
        warnings.add("cache_control");
    }
    if request.parallel_tool_calls == Some(false) {
        warnings.add("parallel_tool_calls");
    }
}

fn write_declaration(tool: &Tool) -> Json<'_> {
    let mut declaration = Object::new().with("name", &tool.name);
    declaration.put_some("description", tool.description.as_ref());
    let schema: Option<&RawValue> = tool.parameters.as_deref().filter(|schema| schema.get() != "{}");
    declaration.put_some("parametersJsonSchema", schema);
    declaration.into()
}

fn write_mode(choice: &ToolChoice) -> Object<'_> {
    match choice {
        ToolChoice::Auto => Object::new().with("mode", "AUTO"),
        ToolChoice::None => Object::new().with("mode", "NONE"),
        ToolChoice::Required => Object::new().with("mode", "ANY"),
        ToolChoice::Named(name) => {
            let names: Vec<Json<'_>> = vec![name.into()];
            Object::new().with("mode", "ANY").with("allowedFunctionNames", names)
        }
    }
}
