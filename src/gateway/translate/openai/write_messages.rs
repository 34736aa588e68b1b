//! Writes turns as messages of chat completions. A user's turn may become several: results of tools stand in messages of
//! their own, which must follow the calls at once, and only a user's message can show an image.

use crate::gateway::translate::inner::{Content, Part, Request, Role, Source, Thinking, ToolCall, Untranslatable};
use crate::gateway::translate::json::{Json, Object};
use crate::gateway::translate::source::data_url;
use crate::gateway::translate::{Warnings, WriteTarget};

pub(super) fn write_messages<'a>(
    request: &'a Request,
    target: &WriteTarget<'_>,
    warnings: &mut Warnings,
) -> Result<Vec<Json<'a>>, Untranslatable> {
    let mut writer = MessageWriter {
        conversation: request.words.conversation,
        messages: Vec::new(),
        echoes_reasoning: target.echoes_reasoning,
        warnings,
    };
    writer.system(&request.system)?;
    for turn in &request.turns {
        match turn.role {
            Role::User => writer.user(&turn.parts)?,
            Role::Assistant => writer.assistant(&turn.parts)?,
            Role::System => writer.system(&turn.parts)?,
        }
    }
    Ok(writer.messages)
}

struct MessageWriter<'a, 'w> {
    conversation: &'static str,
    messages: Vec<Json<'a>>,
    echoes_reasoning: bool,
    warnings: &'w mut Warnings,
}

impl<'a> MessageWriter<'a, '_> {
    /// One message of one text: many hosts of this dialect take no other.
    fn system(&mut self, parts: &'a [Part]) -> Result<(), Untranslatable> {
        if parts.is_empty() {
            return Ok(());
        }
        let texts = self.texts(parts, "instructions")?;
        self.say("system", texts.join("\n\n"));
        Ok(())
    }

    fn user(&mut self, parts: &'a [Part]) -> Result<(), Untranslatable> {
        let (results, mut said): (Vec<&Part>, Vec<&Part>) = parts
            .iter()
            .partition(|part| matches!(part.content, Content::ToolResult { .. }));
        let mut shown = Vec::new();
        for result in results {
            shown.extend(self.tool_result(result)?);
        }
        shown.append(&mut said);
        if shown.is_empty() {
            return Ok(());
        }
        if shown.iter().all(|part| matches!(part.content, Content::Text(_))) {
            let texts = self.texts(shown, "a user's turn")?;
            self.say("user", texts.join("\n\n"));
            return Ok(());
        }
        let mut content = Vec::new();
        for part in shown {
            content.push(self.user_part(part)?);
        }
        self.messages
            .push(Object::new().with("role", "user").with("content", content).into());
        Ok(())
    }

    /// Writes the message of a result; what it shows besides text is given back, for the user's message.
    fn tool_result(&mut self, part: &'a Part) -> Result<Vec<&'a Part>, Untranslatable> {
        let Content::ToolResult {
            call_id,
            content,
            is_error,
        } = &part.content
        else {
            return Ok(Vec::new());
        };
        self.note_mark(part);
        if *is_error {
            self.warnings.add("messages.is_error");
        }
        let is_text = |part: &&Part| matches!(part.content, Content::Text(_));
        let (texts, shown): (Vec<&Part>, Vec<&Part>) = content.iter().partition(is_text);
        let texts = self.texts(texts, "results of tools")?;
        let message = Object::new().with("role", "tool").with("tool_call_id", call_id);
        self.messages.push(message.with("content", texts.join("\n\n")).into());
        if !shown.is_empty() {
            self.warnings.add("messages.tool_result.image");
        }
        Ok(shown)
    }

    fn user_part(&mut self, part: &'a Part) -> Result<Json<'a>, Untranslatable> {
        self.note_mark(part);
        let object = match &part.content {
            Content::Text(text) => Object::typed("text").with("text", text),
            Content::Image(source) => {
                let url = self.address(source, "images")?;
                Object::typed("image_url").with("image_url", Object::new().with("url", url))
            }
            Content::Document {
                source: Source::Text(text),
                name,
            } => {
                if name.is_some() {
                    self.warnings.add("messages.title");
                }
                Object::typed("text").with("text", text)
            }
            Content::Document { source, name } => {
                let file = Object::new().with("filename", name.as_deref().unwrap_or("document.pdf"));
                let url = self.file(source)?;
                Object::typed("file").with("file", file.with("file_data", url))
            }
            Content::Audio { format, data } => {
                let audio = Object::new().with("data", data).with("format", format);
                Object::typed("input_audio").with("input_audio", audio)
            }
            Content::ToolCall(_) | Content::ToolResult { .. } | Content::Thinking(_) | Content::Refusal(_) => {
                return Err(self.refuse("a user's turn can hold text, images, documents and audio only"));
            }
        };
        Ok(object.into())
    }

    fn assistant(&mut self, parts: &'a [Part]) -> Result<(), Untranslatable> {
        let mut text: Option<String> = None;
        let mut refusal: Option<&String> = None;
        let mut calls = Vec::new();
        let mut thinking = String::new();
        for part in parts {
            self.note_mark(part);
            match &part.content {
                Content::Text(more) => text.get_or_insert_default().push_str(more),
                Content::Refusal(said) => refusal = Some(said),
                Content::ToolCall(call) => calls.push(write_call(call)),
                Content::Thinking(Thinking::Shown { text, .. }) if self.echoes_reasoning => thinking.push_str(text),
                // It proves nothing to any other provider, and no answer depends on it.
                Content::Thinking(_) => self.warnings.add("messages.thinking"),
                Content::Image(_) | Content::Document { .. } | Content::Audio { .. } | Content::ToolResult { .. } => {
                    return Err(self.refuse("an assistant's turn can hold text and tool calls only"));
                }
            }
        }
        if text.is_none() && refusal.is_none() && calls.is_empty() {
            return Ok(());
        }
        let mut message = Object::new().with("role", "assistant").with("content", text);
        message.put_some("refusal", refusal);
        if self.echoes_reasoning && !calls.is_empty() {
            // A turn with calls and without thinking is refused there; a blank is the least that counts as some.
            message.put(
                "reasoning_content",
                if thinking.is_empty() { " ".to_owned() } else { thinking },
            );
        }
        message.put_list("tool_calls", calls);
        self.messages.push(message.into());
        Ok(())
    }

    fn texts(&mut self, parts: impl IntoIterator<Item = &'a Part>, what: &str) -> Result<Vec<&'a str>, Untranslatable> {
        let mut texts = Vec::new();
        for part in parts {
            self.note_mark(part);
            let Content::Text(text) = &part.content else {
                return Err(self.refuse(format!("{what} can only be text at this model's provider")));
            };
            texts.push(text.as_str());
        }
        Ok(texts)
    }

    fn address(&self, source: &Source, what: &str) -> Result<String, Untranslatable> {
        match source {
            Source::Inline { media_type, data } => Ok(data_url(media_type, data)),
            Source::Url(url) => Ok(url.clone()),
            Source::Text(_) => Err(self.refuse(format!("{what} cannot be text"))),
        }
    }

    fn file(&self, source: &Source) -> Result<String, Untranslatable> {
        match source {
            Source::Inline { .. } | Source::Text(_) => self.address(source, "files"),
            Source::Url(_) => Err(self.refuse("this model's provider fetches no documents; send the document itself")),
        }
    }

    fn say(&mut self, role: &'static str, text: String) {
        self.messages
            .push(Object::new().with("role", role).with("content", text).into());
    }

    fn note_mark(&mut self, part: &Part) {
        if part.cache.is_some() {
            self.warnings.add("cache_control");
        }
    }

    fn refuse(&self, message: impl Into<String>) -> Untranslatable {
        Untranslatable::new(self.conversation, message)
    }
}

/// Arguments that the model wrote as nothing are an object without members.
fn write_call(call: &ToolCall) -> Json<'_> {
    let arguments = if call.arguments.is_empty() {
        "{}"
    } else {
        &call.arguments
    };
    let function = Object::new().with("name", &call.name).with("arguments", arguments);
    let object = Object::new().with("id", &call.id).with("type", "function");
    object.with("function", function).into()
}
