//! Writes turns as contents of parts. Responses to functions are found by name here, so the names of calls are
//! remembered by their ids on the way.

use std::borrow::Cow;
use std::collections::HashMap;

use super::contents::MADE_ID;
use super::thinking::wants_signed_calls;
use crate::gateway::translate::arguments;
use crate::gateway::translate::inner::{
    Content, Part, Request, Role, Source, Thinking, ToolCall, Turn, Untranslatable,
};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::{Warnings, WriteTarget};

/// Google's own word for a call that another model made, and that nobody signed.
const UNSIGNED_CALL: &str = "skip_thought_signature_validator";

pub(super) fn write_system(request: &Request) -> Result<Option<Object<'_>>, Untranslatable> {
    let mut parts = Vec::new();
    for part in &request.system {
        let Content::Text(text) = &part.content else {
            let message = "instructions can only be text at this model's provider";
            return Err(Untranslatable::new(request.words.conversation, message));
        };
        parts.push(Object::new().with("text", text).into());
    }
    Ok((!parts.is_empty()).then(|| Object::new().with("parts", parts)))
}

/// The conversation; a turn that says nothing is left out, because the API refuses empty ones.
pub(super) fn write_contents<'a>(
    request: &'a Request,
    target: &WriteTarget<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<Json<'a>>, Untranslatable> {
    let mut writer = Writer {
        conversation: request.words.conversation,
        wants_signed_calls: wants_signed_calls(target.model),
        names: HashMap::new(),
        warnings,
    };
    let mut contents = Vec::new();
    for turn in &request.turns {
        let parts = writer.write_turn(turn)?;
        if parts.is_empty() {
            continue;
        }
        let role = match turn.role {
            Role::User | Role::System => "user",
            Role::Assistant => "model",
        };
        contents.push(Object::new().with("role", role).with("parts", parts).into());
    }
    Ok(contents)
}

struct Writer<'a, 'w> {
    conversation: &'static str,
    wants_signed_calls: bool,
    /// The names of functions by the ids of their calls.
    names: HashMap<&'a str, &'a str>,
    warnings: &'w mut Warnings,
}

impl<'a> Writer<'a, '_> {
    fn write_turn(&mut self, turn: &'a Turn) -> Result<Vec<Json<'a>>, Untranslatable> {
        let mut parts = Vec::new();
        // Of calls at once only the first is signed.
        let mut unsigned = self.wants_signed_calls.then_some(UNSIGNED_CALL);
        for part in &turn.parts {
            if part.cache.is_some() {
                self.warnings.add("cache_control");
            }
            match &part.content {
                Content::ToolCall(call) => {
                    parts.push(self.write_call(call, unsigned.take())?);
                }
                Content::ToolResult { .. } => self.write_result(&part.content, &mut parts)?,
                Content::Text(_)
                | Content::Image(_)
                | Content::Document { .. }
                | Content::Audio { .. }
                | Content::Thinking(_)
                | Content::Refusal(_) => parts.extend(self.write_part(part)?),
            }
        }
        Ok(parts)
    }

    fn write_part(&mut self, part: &'a Part) -> Result<Option<Json<'a>>, Untranslatable> {
        let written = match &part.content {
            Content::Text(text) | Content::Refusal(text) if text.is_empty() => return Ok(None),
            Content::Text(text) | Content::Refusal(text) => Object::new().with("text", text),
            Content::Image(source) | Content::Document { source, .. } => write_source(source),
            Content::Audio { format, data } => blob(format!("audio/{format}"), data),
            Content::Thinking(Thinking::Shown { text, .. }) if text.is_empty() => return Ok(None),
            Content::Thinking(Thinking::Shown { text, .. }) => Object::new().with("text", text).with("thought", true),
            Content::Thinking(Thinking::Hidden { .. }) => {
                self.warnings.add(format!("{}.encrypted_thinking", self.conversation));
                return Ok(None);
            }
            Content::ToolCall(_) | Content::ToolResult { .. } => {
                let message = "calls and results of tools cannot stand inside a result";
                return Err(Untranslatable::new(self.conversation, message));
            }
        };
        Ok(Some(written.into()))
    }

    fn write_call(&mut self, call: &'a ToolCall, unsigned: Option<&'static str>) -> Result<Json<'a>, Untranslatable> {
        let arguments = arguments::object(&call.arguments).ok_or_else(|| {
            let message = format!("the arguments of the tool call `{}` are not a JSON object", call.id);
            Untranslatable::new(self.conversation, message)
        })?;
        self.names.insert(&call.id, &call.name);
        let written = with_id(&call.id).with("name", &call.name).with("args", arguments);
        let mut part = Object::new().with("functionCall", written);
        let signature = call.signature.as_deref().or(unsigned);
        part.put_some("thoughtSignature", signature);
        Ok(part.into())
    }

    /// A response is an object: a text that is none is wrapped. Files stand behind it.
    fn write_result(&mut self, result: &'a Content, parts: &mut Vec<Json<'a>>) -> Result<(), Untranslatable> {
        let Content::ToolResult {
            call_id,
            content,
            is_error,
        } = result
        else {
            return Ok(());
        };
        let name = self.names.get(call_id.as_str()).copied().ok_or_else(|| {
            let message = format!("there is no call with the id `{call_id}` before its result");
            Untranslatable::new(self.conversation, message)
        })?;
        let mut text: Cow<'a, str> = Cow::Borrowed("");
        let mut files = Vec::new();
        for part in content {
            match &part.content {
                Content::Text(more) if text.is_empty() => text = Cow::Borrowed(more),
                Content::Text(more) => text = format!("{text}\n{more}").into(),
                Content::Image(_)
                | Content::Document { .. }
                | Content::Audio { .. }
                | Content::ToolCall(_)
                | Content::ToolResult { .. }
                | Content::Thinking(_)
                | Content::Refusal(_) => files.extend(self.write_part(part)?),
            }
        }
        let response = match text {
            Cow::Borrowed(text) if !is_error && text.trim_ascii_start().starts_with('{') => arguments::object(text),
            Cow::Borrowed(_) | Cow::Owned(_) => None,
        };
        let wrapper = if *is_error { "error" } else { "output" };
        let response = response.unwrap_or_else(|| Object::new().with(wrapper, Json::Text(text)).into());
        let written = with_id(call_id).with("name", name).with("response", response);
        parts.push(Object::new().with("functionResponse", written).into());
        parts.extend(files);
        Ok(())
    }
}

/// An id that was made here says nothing to Google.
fn with_id(id: &str) -> Object<'_> {
    if id.is_empty() || id.starts_with(MADE_ID) {
        Object::new()
    } else {
        Object::new().with("id", id)
    }
}

fn write_source(source: &Source) -> Object<'_> {
    match source {
        Source::Inline { media_type, data } => blob(media_type.as_str(), data),
        Source::Text(text) => Object::new().with("text", text),
        Source::Url(url) => {
            let mut file = Object::new();
            file.put_some("mimeType", media_type_of(url));
            Object::new().with("fileData", file.with("fileUri", url))
        }
    }
}

fn blob<'a>(media_type: impl Into<Json<'a>>, data: &'a str) -> Object<'a> {
    let data = Object::new().with("mimeType", media_type).with("data", data);
    Object::new().with("inlineData", data)
}

/// The type that the name of a file tells.
fn media_type_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        _ => return None,
    })
}
