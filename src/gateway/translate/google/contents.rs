//! Reads Google's contents into turns. Function calls may have no id here, while all other dialects need one: a call
//! without an id gets one from its place, and a response without an id belongs to the first open call of its name.

use serde_json::value::RawValue;

use super::fields::Fields;
use super::signature::{standard_base64, unwrap_thought};
use crate::gateway::translate::inner::{
    Content, Part, Request, Role, Source, Thinking, ToolCall, Turn, Untranslatable,
};
use crate::gateway::translate::members::{Element, Kind, kind, string};

/// What stands before an id that was made here and not by Google.
pub(super) const MADE_ID: &str = "google_call_";

/// Calls that have no response yet, with their names.
#[derive(Debug, Default)]
struct OpenCalls {
    made_count: usize,
    calls: Vec<(String, String)>,
}

pub(super) fn read_contents(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let mut open = OpenCalls::default();
    for element in fields.list("contents")? {
        let mut content = Fields::of(element)?;
        let role = match content.text("role")?.as_deref() {
            Some("user" | "function") | None => Role::User,
            Some("model") => Role::Assistant,
            Some(role) => return Err(content.refuse("role", format!("the role `{role}` is not known"))),
        };
        // A response is only for calls that stand in the turn before it.
        if role == Role::Assistant && request.turns.last().is_some_and(|turn| turn.role == Role::User) {
            open.calls.clear();
        }
        for element in content.list("parts")? {
            let part = read_part(element, &mut open, request)?;
            add_part(part, role, request);
        }
        leave_out(&content, "contents", request);
    }
    Ok(())
}

/// Instructions are text.
pub(super) fn read_system(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let path = fields.at("systemInstruction");
    let Some(raw) = fields.take("systemInstruction") else {
        return Ok(());
    };
    if kind(raw) == Kind::Text {
        let text = string(raw, &path)?;
        request.system.push(Part::text(text));
        return Ok(());
    }
    let mut content = Fields::of(Element { raw, path })?;
    content.take("role");
    for element in content.list("parts")? {
        let part = read_part(element, &mut OpenCalls::default(), request)?;
        if part.content != Content::Text(String::new()) {
            request.system.push(part);
        }
    }
    leave_out(&content, "systemInstruction", request);
    Ok(())
}

/// Streams leave thoughts in pieces, and what signs them behind them.
fn add_part(part: Part, role: Role, request: &mut Request) {
    if part.content == Content::Text(String::new()) {
        return;
    }
    let last = request.turns.last_mut().filter(|turn| turn.role == role);
    let open = last.and_then(open_thought);
    match (open, part) {
        (
            Some((text, signature)),
            Part {
                content:
                    Content::Thinking(Thinking::Shown {
                        text: more,
                        signature: behind,
                    }),
                ..
            },
        ) => {
            text.push_str(&more);
            *signature = behind;
        }
        (_, part) => request.say(role, vec![part]),
    }
}

/// The text and the place of the signature of an unsigned thought at a turn's end.
fn open_thought(turn: &mut Turn) -> Option<(&mut String, &mut Option<String>)> {
    let last = turn.parts.last_mut()?;
    if let Content::Thinking(Thinking::Shown {
        text,
        signature: signature @ None,
    }) = &mut last.content
    {
        return Some((text, signature));
    }
    None
}

/// Members of a part that only Google reads.
const LEFT_OUT: [&str; 3] = ["videoMetadata", "mediaResolution", "partMetadata"];

fn read_part(element: Element<'_>, open: &mut OpenCalls, request: &mut Request) -> Result<Part, Untranslatable> {
    let path = element.path.clone();
    let mut part = Fields::of(element)?;
    let is_thought = part.flag("thought")?.unwrap_or(false);
    let signature = part.text("thoughtSignature")?;
    for name in LEFT_OUT {
        if part.take(name).is_some() {
            request.leave_out(format!("contents.parts.{name}"));
        }
    }
    let text = part.text("text")?;
    let content = match text {
        text if is_thought => Content::Thinking(unwrap_thought(text.unwrap_or_default(), signature.as_deref())),
        Some(text) => Content::Text(text),
        None => read_content(&mut part, signature, open)?,
    };
    match part.names().next() {
        None => Ok(Part::of(content)),
        Some(name) => Err(Untranslatable::new(
            format!("{path}.{name}"),
            format!("`{name}` has no counterpart"),
        )),
    }
}

fn read_content(
    part: &mut Fields<'_>,
    signature: Option<String>,
    open: &mut OpenCalls,
) -> Result<Content, Untranslatable> {
    if let Some(blob) = part.object("inlineData")? {
        return read_blob(blob);
    }
    if let Some(file) = part.object("fileData")? {
        return read_file(file);
    }
    if let Some(call) = part.object("functionCall")? {
        return read_call(call, signature, open);
    }
    if let Some(response) = part.object("functionResponse")? {
        return read_response(response, open);
    }
    match part.names().next() {
        // Clients leave empty parts behind a stream.
        None => Ok(Content::Text(String::new())),
        Some(name) => Err(part.refuse(name, format!("`{name}` has no counterpart at this model's provider"))),
    }
}

fn read_blob(mut blob: Fields<'_>) -> Result<Content, Untranslatable> {
    let media_type = blob.required_text("mimeType")?;
    let data = standard_base64(&blob.required_text("data")?);
    let name = blob.text("displayName")?;
    if let Some(format) = media_type.strip_prefix("audio/") {
        let format = format.to_owned();
        return Ok(Content::Audio { format, data });
    }
    if media_type.starts_with("video/") {
        return Err(blob.refuse("mimeType", "video has no counterpart at this model's provider"));
    }
    let is_image = media_type.starts_with("image/");
    let source = Source::Inline { media_type, data };
    Ok(if is_image {
        Content::Image(source)
    } else {
        Content::Document { source, name }
    })
}

/// A file on the web; those in Google's own stores cannot be read by others.
fn read_file(mut file: Fields<'_>) -> Result<Content, Untranslatable> {
    let url = file.required_text("fileUri")?;
    let media_type = file.text("mimeType")?.unwrap_or_default();
    let name = file.text("displayName")?;
    let is_googles = url.contains("generativelanguage.googleapis.com/");
    let source = Source::of_url(&url).filter(|source| matches!(source, Source::Url(_)) && !is_googles);
    let kind = media_type.split('/').next().unwrap_or_default();
    match (source, kind) {
        (Some(source), "image") => Ok(Content::Image(source)),
        (Some(source), "application" | "text") => Ok(Content::Document { source, name }),
        (Some(_), _) => Err(file.refuse("mimeType", format!("files of type `{media_type}` have no counterpart"))),
        (None, _) => Err(file.refuse("fileUri", "a file that one provider keeps cannot be sent to another")),
    }
}

fn read_call(mut call: Fields<'_>, signature: Option<String>, open: &mut OpenCalls) -> Result<Content, Untranslatable> {
    let name = call.required_text("name")?;
    let id = call.text("id")?.filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| {
        open.made_count += 1;
        format!("{MADE_ID}{}", open.made_count)
    });
    let arguments = match call.take("args") {
        Some(raw) if kind(raw) != Kind::Object => return Err(call.refuse("args", "`args` must be an object")),
        raw => raw.map_or("{}", RawValue::get).to_owned(),
    };
    open.calls.push((id.clone(), name.clone()));
    Ok(Content::ToolCall(ToolCall {
        id,
        name,
        arguments,
        signature,
    }))
}

fn read_response(mut response: Fields<'_>, open: &mut OpenCalls) -> Result<Content, Untranslatable> {
    let name = response.text("name")?.unwrap_or_default();
    let id = response.text("id")?.filter(|id| !id.is_empty());
    let place = open
        .calls
        .iter()
        .position(|(call_id, call_name)| id.as_ref().map_or(*call_name == name, |id| id == call_id));
    let call_id = match (place, id) {
        (Some(place), _) => open.calls.remove(place).0,
        (None, Some(id)) => id,
        (None, None) => return Err(response.refuse("name", format!("no call of `{name}` waits for a response"))),
    };
    let path = response.at("response");
    let (text, is_error) = response
        .take("response")
        .map_or_else(|| Ok((String::new(), false)), |raw| read_output(raw, path))?;
    let mut content = Vec::new();
    if !text.is_empty() {
        content.push(Part::text(text));
    }
    for element in response.list("parts")? {
        let mut part = Fields::of(element)?;
        content.push(Part::of(read_content(&mut part, None, open)?));
    }
    Ok(Content::ToolResult {
        call_id,
        content,
        is_error,
    })
}

/// A response is an object; where it only wraps a text, the text is meant.
fn read_output(raw: &RawValue, path: String) -> Result<(String, bool), Untranslatable> {
    let whole = raw.get().to_owned();
    let mut object = Fields::of(Element { raw, path })?;
    let names: Vec<String> = object.names().map(str::to_owned).collect();
    let (name, is_error) = match names.as_slice() {
        [name] if name == "output" || name == "result" => (name.as_str(), false),
        [name] if name == "error" => (name.as_str(), true),
        _ => return Ok((whole, false)),
    };
    Ok((object.text(name).ok().flatten().unwrap_or(whole), is_error))
}

/// Notes what was not read.
pub(super) fn leave_out(fields: &Fields<'_>, place: &str, request: &mut Request) {
    for name in fields.names() {
        request.leave_out(format!("{place}.{name}"));
    }
}
