//! Writes turns as messages of content blocks.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::files::{document_name, write_audio, write_document, write_image};
use super::model::Family;
use crate::gateway::translate::inner::{CacheMark, Content, Part, Request, Role, Thinking, ToolCall, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::{Warnings, arguments};

/// The longest id of a tool call that the API takes (bytes).
const TOOL_ID_MAX: usize = 64;

pub(super) fn write_system<'a>(
    request: &'a Request,
    family: Family,
    warnings: &mut Warnings,
) -> Result<Vec<Json<'a>>, Untranslatable> {
    let mut blocks = Vec::new();
    for part in &request.system {
        let Content::Text(text) = &part.content else {
            let message = "instructions can only be text at this model's provider";
            return Err(Untranslatable::new(request.words.conversation, message));
        };
        if !text.trim().is_empty() {
            blocks.push(Object::new().with("text", text).into());
            blocks.extend(write_cache_point(part.cache, family, warnings));
        }
    }
    Ok(blocks)
}

/// The conversation; a turn that says nothing is left out, because the API refuses empty ones.
pub(super) fn write_messages<'a>(
    request: &'a Request,
    family: Family,
    warnings: &mut Warnings,
) -> Result<Vec<Json<'a>>, Untranslatable> {
    let mut writer = Writer {
        conversation: request.words.conversation,
        family,
        document_count: 0,
        warnings,
    };
    let mut messages = Vec::new();
    for turn in &request.turns {
        let blocks = writer.write_blocks(&turn.parts)?;
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

/// The point behind which the cache may end; only two families of models take it.
pub(super) fn write_cache_point(
    cache: Option<CacheMark>,
    family: Family,
    warnings: &mut Warnings,
) -> Option<Json<'static>> {
    let mark = cache?;
    match family {
        Family::Claude | Family::Nova => {}
        Family::OpenAi | Family::Other => {
            warnings.add("cache_control");
            return None;
        }
    }
    let point = match mark {
        CacheMark::FiveMinutes => Object::typed("default"),
        CacheMark::OneHour => Object::typed("default").with("ttl", "1h"),
    };
    Some(Object::new().with("cachePoint", point).into())
}

struct Writer<'w> {
    conversation: &'static str,
    family: Family,
    document_count: usize,
    warnings: &'w mut Warnings,
}

impl Writer<'_> {
    fn write_blocks<'a>(&mut self, parts: &'a [Part]) -> Result<Vec<Json<'a>>, Untranslatable> {
        let mut blocks = Vec::new();
        for part in parts {
            let Some(block) = self.write_block(&part.content)? else {
                continue;
            };
            blocks.push(block.into());
            blocks.extend(write_cache_point(part.cache, self.family, self.warnings));
        }
        Ok(blocks)
    }

    fn write_block<'a>(&mut self, content: &'a Content) -> Result<Option<Object<'a>>, Untranslatable> {
        let written = match content {
            // The API refuses texts of white space.
            Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => return Ok(None),
            Content::Text(text) | Content::Refusal(text) => Ok(Object::new().with("text", text)),
            Content::Image(source) => write_image(source),
            Content::Document { source, name } => {
                self.document_count += 1;
                write_document(source, document_name(name.as_deref(), self.document_count))
            }
            Content::Audio { format, data } => write_audio(format, data),
            Content::ToolCall(call) => write_call(call),
            Content::ToolResult {
                call_id,
                content,
                is_error,
            } => {
                let blocks = self.write_blocks(content)?;
                let mut result = Object::new()
                    .with("toolUseId", tool_id(call_id))
                    .with("content", blocks);
                result.put_some("status", is_error.then_some("error"));
                Ok(Object::new().with("toolResult", result))
            }
            Content::Thinking(thinking) => return Ok(self.write_thinking(thinking)),
        };
        written
            .map(Some)
            .map_err(|message| Untranslatable::new(self.conversation, message))
    }

    /// Thinking goes back only where it is signed: the API refuses any other, and does without it.
    fn write_thinking<'a>(&mut self, thinking: &'a Thinking) -> Option<Object<'a>> {
        let reasoning = match (self.family, thinking) {
            (
                Family::Claude,
                Thinking::Shown {
                    text,
                    signature: Some(signature),
                },
            ) => {
                let shown = Object::new().with("text", text).with("signature", signature);
                Object::new().with("reasoningText", shown)
            }
            (Family::Claude, Thinking::Hidden { data }) => Object::new().with("redactedContent", data),
            (Family::Claude | Family::Nova | Family::OpenAi | Family::Other, _) => {
                self.warnings.add(format!("{}.thinking", self.conversation));
                return None;
            }
        };
        Some(Object::new().with("reasoningContent", reasoning))
    }
}

fn write_call(call: &ToolCall) -> Result<Object<'_>, String> {
    let input = arguments::object(&call.arguments)
        .ok_or_else(|| format!("the arguments of the tool call `{}` are not a JSON object", call.id))?;
    let written = Object::new()
        .with("toolUseId", tool_id(&call.id))
        .with("name", &call.name)
        .with("input", input);
    Ok(Object::new().with("toolUse", written))
}

/// Any id that the API does not take is written as the beginning of its hash: call and result still find each other.
fn tool_id(id: &str) -> Json<'_> {
    let taken = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.len() <= TOOL_ID_MAX && id.bytes().all(taken) {
        return id.into();
    }
    let mut hashed = String::from("id_");
    for byte in &Sha256::digest(id)[..16] {
        let _ = write!(hashed, "{byte:02x}");
    }
    Json::Text(Cow::Owned(hashed))
}
