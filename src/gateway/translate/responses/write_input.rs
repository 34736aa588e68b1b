//! Writes turns as items of `input`.

use crate::gateway::translate::Warnings;
use crate::gateway::translate::inner::{
    Content, Part, Request, Role, Source, Thinking, ToolCall, Turn, Untranslatable,
};
use crate::gateway::translate::issuer::for_openai;
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::source::data_url;

/// The conversation, instructions first.
pub(super) fn write_input<'a>(request: &'a Request, warnings: &mut Warnings) -> Result<Vec<Json<'a>>, Untranslatable> {
    let mut writer = Writer {
        conversation: request.words.conversation,
        items: Vec::new(),
        warnings,
    };
    let mut instructions = Vec::new();
    for part in &request.system {
        instructions.push(writer.write_part(part)?);
    }
    writer.say("developer", instructions);
    for turn in &request.turns {
        writer.write_turn(turn)?;
    }
    Ok(writer.items)
}

struct Writer<'a, 'w> {
    conversation: &'static str,
    items: Vec<Json<'a>>,
    warnings: &'w mut Warnings,
}

impl<'a> Writer<'a, '_> {
    /// Parts of a message stay together until something comes that is an item of its own.
    fn write_turn(&mut self, turn: &'a Turn) -> Result<(), Untranslatable> {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "developer",
        };
        let mut said = Vec::new();
        for part in &turn.parts {
            let item = match &part.content {
                Content::Text(text) | Content::Refusal(text) if text.is_empty() => continue,
                Content::Text(text) if turn.role == Role::Assistant => {
                    said.push(Object::typed("output_text").with("text", text).into());
                    continue;
                }
                Content::Refusal(text) if turn.role == Role::Assistant => {
                    said.push(Object::typed("refusal").with("refusal", text).into());
                    continue;
                }
                Content::Text(_)
                | Content::Refusal(_)
                | Content::Image(_)
                | Content::Document { .. }
                | Content::Audio { .. } => {
                    said.push(self.write_part(part)?);
                    continue;
                }
                Content::ToolCall(call) => Some(write_call(call)),
                Content::ToolResult { .. } => self.write_result(&part.content)?,
                Content::Thinking(thinking) => self.write_thinking(thinking),
            };
            self.say(role, std::mem::take(&mut said));
            self.items.extend(item);
        }
        self.say(role, said);
        Ok(())
    }

    fn say(&mut self, role: &'static str, content: Vec<Json<'a>>) {
        if !content.is_empty() {
            let message = Object::typed("message").with("role", role).with("content", content);
            self.items.push(message.into());
        }
    }

    fn write_part(&mut self, part: &'a Part) -> Result<Json<'a>, Untranslatable> {
        if part.cache.is_some() {
            self.warnings.add("cache_control");
        }
        let refuse = |message: &str| Untranslatable::new(self.conversation, message);
        let written = match &part.content {
            Content::Text(text) | Content::Refusal(text) => Object::typed("input_text").with("text", text),
            Content::Image(source) => {
                let url = match source {
                    Source::Inline { media_type, data } => data_url(media_type, data),
                    Source::Url(url) => url.clone(),
                    Source::Text(_) => return Err(refuse("an image cannot be a text")),
                };
                Object::typed("input_image")
                    .with("image_url", url)
                    .with("detail", "auto")
            }
            Content::Document { source, name } => write_file(source, name.as_deref()),
            Content::Audio { .. } => return Err(refuse("this model's provider takes no audio in this API")),
            Content::ToolCall(_) | Content::ToolResult { .. } | Content::Thinking(_) => {
                return Err(refuse("calls, results and thinking cannot stand inside a message"));
            }
        };
        Ok(written.into())
    }

    /// There is no word for a result that is an error; its text says it.
    fn write_result(&mut self, result: &'a Content) -> Result<Option<Json<'a>>, Untranslatable> {
        let Content::ToolResult {
            call_id,
            content,
            is_error,
        } = result
        else {
            return Ok(None);
        };
        let output: Json<'a> = match content.as_slice() {
            [] => "".into(),
            [
                Part {
                    content: Content::Text(text),
                    ..
                },
            ] if *is_error => format!("Error: {text}").into(),
            [
                Part {
                    content: Content::Text(text),
                    ..
                },
            ] => text.into(),
            parts => {
                let parts: Result<Vec<Json<'a>>, _> = parts.iter().map(|part| self.write_part(part)).collect();
                parts?.into()
            }
        };
        let item = Object::typed("function_call_output").with("call_id", call_id);
        Ok(Some(item.with("output", output).into()))
    }

    /// Only what OpenAI itself encrypted goes back.
    fn write_thinking(&mut self, thinking: &'a Thinking) -> Option<Json<'a>> {
        let encrypted = match thinking {
            Thinking::Hidden { data } => for_openai(data),
            Thinking::Shown { .. } => None,
        };
        let Some(encrypted) = encrypted else {
            self.warnings.add(format!("{}.thinking", self.conversation));
            return None;
        };
        let item = Object::typed("reasoning").with("summary", Vec::new());
        Some(item.with("encrypted_content", encrypted).into())
    }
}

fn write_call(call: &ToolCall) -> Json<'_> {
    let arguments = if call.arguments.trim_ascii().is_empty() {
        "{}"
    } else {
        &call.arguments
    };
    Object::typed("function_call")
        .with("call_id", &call.id)
        .with("name", &call.name)
        .with("arguments", arguments)
        .into()
}

fn write_file<'a>(source: &'a Source, name: Option<&'a str>) -> Object<'a> {
    match source {
        Source::Text(text) => Object::typed("input_text").with("text", text),
        Source::Url(url) => Object::typed("input_file").with("file_url", url),
        Source::Inline { media_type, data } => {
            let file = Object::typed("input_file").with("filename", name.unwrap_or("document"));
            file.with("file_data", data_url(media_type, data))
        }
    }
}
