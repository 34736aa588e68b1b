//! Writes turns as messages of content blocks.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::gateway::translate::Warnings;
use crate::gateway::translate::arguments;
use crate::gateway::translate::inner::{
    CacheMark, Content, Part, Request, Role, Source, Thinking, ToolCall, Untranslatable,
};
use crate::gateway::translate::json::{Json, Object};

/// The system prompt: a text where it is one, else blocks.
pub(super) fn write_system(request: &Request) -> Result<Option<Json<'_>>, Untranslatable> {
    if let [
        Part {
            content: Content::Text(text),
            cache: None,
        },
    ] = request.system.as_slice()
    {
        return Ok(Some(text.into()));
    }
    let mut blocks = Vec::new();
    for part in &request.system {
        let Content::Text(text) = &part.content else {
            let message = "instructions can only be text at this model's provider";
            return Err(Untranslatable::new(request.words.conversation, message));
        };
        blocks.push(marked(Object::typed("text").with("text", text), part.cache));
    }
    Ok((!blocks.is_empty()).then(|| blocks.into()))
}

/// The conversation; a turn that says nothing is left out, because the API refuses empty ones.
pub(super) fn write_turns<'a>(request: &'a Request, warnings: &mut Warnings) -> Result<Vec<Json<'a>>, Untranslatable> {
    let mut messages = Vec::new();
    for turn in &request.turns {
        let mut blocks = Vec::new();
        for part in &turn.parts {
            blocks.extend(write_block(part, request.words.conversation, warnings)?);
        }
        if blocks.is_empty() {
            continue;
        }
        let role = match turn.role {
            Role::User | Role::System => "user",
            Role::Assistant => "assistant",
        };
        messages.push(Object::new().with("role", role).with("content", blocks).into());
    }
    Ok(messages)
}

fn write_block<'a>(
    part: &'a Part,
    conversation: &str,
    warnings: &mut Warnings,
) -> Result<Option<Json<'a>>, Untranslatable> {
    let refuse = |message: String| Untranslatable::new(conversation, message);
    let block = match &part.content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return Ok(None),
        Content::Text(text) | Content::Refusal(text) => Object::typed("text").with("text", text),
        Content::Image(source) => Object::typed("image").with("source", write_source(source).map_err(refuse)?),
        Content::Document { source, name } => {
            let mut block = Object::typed("document").with("source", write_document(source).map_err(refuse)?);
            block.put_some("title", name.as_ref());
            block
        }
        Content::Audio { .. } => return Err(refuse("this model's provider takes no audio".to_owned())),
        Content::ToolCall(call) => write_call(call).map_err(refuse)?,
        Content::ToolResult {
            call_id,
            content,
            is_error,
        } => {
            let mut block = Object::typed("tool_result").with("tool_use_id", tool_id(call_id));
            block.put_some("content", write_result(content, conversation, warnings)?);
            block.put_some("is_error", is_error.then_some(true));
            block
        }
        Content::Thinking(thinking) => return Ok(write_thinking(thinking, warnings)),
    };
    Ok(Some(marked(block, part.cache)))
}

fn write_result<'a>(
    content: &'a [Part],
    conversation: &str,
    warnings: &mut Warnings,
) -> Result<Option<Json<'a>>, Untranslatable> {
    if let [
        Part {
            content: Content::Text(text),
            cache: None,
        },
    ] = content
    {
        return Ok(Some(text.into()));
    }
    let mut blocks = Vec::new();
    for part in content {
        blocks.extend(write_block(part, conversation, warnings)?);
    }
    Ok((!blocks.is_empty()).then(|| blocks.into()))
}

/// Thinking goes back only where it is signed: the API refuses any other, and does without it.
fn write_thinking<'a>(thinking: &'a Thinking, warnings: &mut Warnings) -> Option<Json<'a>> {
    match thinking {
        Thinking::Shown {
            text,
            signature: Some(signature),
        } => {
            let block = Object::typed("thinking").with("thinking", text);
            Some(block.with("signature", signature).into())
        }
        Thinking::Shown { signature: None, .. } => {
            warnings.add("messages.reasoning_content");
            None
        }
        Thinking::Hidden { data } => Some(Object::typed("redacted_thinking").with("data", data).into()),
    }
}

fn write_call(call: &ToolCall) -> Result<Object<'_>, String> {
    let input = arguments::object(&call.arguments).ok_or_else(|| {
        let id = &call.id;
        format!("the arguments of the tool call `{id}` are not a JSON object")
    })?;
    let block = Object::typed("tool_use").with("id", tool_id(&call.id));
    Ok(block.with("name", &call.name).with("input", input))
}

/// The API takes letters, digits, `_` and `-` in ids; any other id is written in an alphabet of those.
fn tool_id(id: &str) -> Json<'_> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.bytes().all(plain) {
        return id.into();
    }
    Json::Text(Cow::Owned(format!("id_{}", URL_SAFE_NO_PAD.encode(id))))
}

/// A base64 document must be a PDF; text goes as text.
fn write_document(source: &Source) -> Result<Object<'_>, String> {
    match source {
        Source::Inline { media_type, data } if media_type.starts_with("text/") => {
            let text = STANDARD
                .decode(data)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or("a text document is not UTF-8 in base64")?;
            Ok(Object::typed("text")
                .with("media_type", "text/plain")
                .with("data", text))
        }
        Source::Inline { media_type, .. } if media_type != "application/pdf" => Err(format!(
            "this model's provider takes no documents of type `{media_type}`"
        )),
        Source::Inline { .. } | Source::Url(_) | Source::Text(_) => write_source(source),
    }
}

fn write_source(source: &Source) -> Result<Object<'_>, String> {
    Ok(match source {
        Source::Inline { media_type, data } => Object::typed("base64")
            .with("media_type", media_type)
            .with("data", data),
        Source::Url(url) => Object::typed("url").with("url", url),
        Source::Text(text) => Object::typed("text")
            .with("media_type", "text/plain")
            .with("data", text),
    })
}

/// The block, with the mark that the cache may end behind it.
pub(super) fn marked(mut block: Object<'_>, cache: Option<CacheMark>) -> Json<'_> {
    match cache {
        None => {}
        Some(CacheMark::FiveMinutes) => block.put("cache_control", Object::typed("ephemeral")),
        Some(CacheMark::OneHour) => block.put("cache_control", Object::typed("ephemeral").with("ttl", "1h")),
    }
    block.into()
}
