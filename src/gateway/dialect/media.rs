//! What stands in a call's messages besides text: images, sound, files, parts that the provider fetches. Inline data
//! is not text and must not be counted as such; what cannot be measured counts as a whole context window. An unknown
//! kind of part is of that sort, so that a hold stays an upper bound.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::wire::Text;

/// Parts may stand in parts (a tool's result holds an image); deeper than this is refused.
const DEPTH_MAX: usize = 8;

/// The messages of a call, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Messages {
    pub(super) message_count: u64,
    pub(super) image_count: u64,
    /// Base64 bytes of sound.
    pub(super) audio_bytes: u64,
    /// Bytes of the body that are inline data, not text.
    pub(super) inline_bytes: u64,
    /// Parts whose tokens only the provider can know.
    pub(super) unmeasured_count: u64,
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(MessagesVisitor)
    }
}

struct MessagesVisitor;

impl<'de> Visitor<'de> for MessagesVisitor {
    type Value = Messages;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`messages` to be an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Messages, A::Error> {
        let mut messages = Messages::default();
        while let Some(message) = seq.next_element::<Message<'de>>()? {
            messages.message_count += 1;
            if let Some(content) = message.content {
                messages.count_content(content.get(), 0).map_err(A::Error::custom)?;
            }
        }
        Ok(messages)
    }
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// A part of either dialect; only the members that hold something besides text.
#[derive(serde::Deserialize)]
struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input_audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file: Option<&'a RawValue>,
    /// Of responses, where it stands in the part itself.
    #[serde(borrow, default)]
    file_data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// Anthropic's `source`, and OpenAI's `image_url` and `file`.
#[derive(Default, serde::Deserialize)]
struct Source<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file_data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// Kinds of parts that are nothing but text in the body.
const TEXT_KINDS: [&str; 14] = [
    "text",
    "input_text",
    "output_text",
    "summary_text",
    "reasoning_text",
    "refusal",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "server_tool_use",
    "web_search_tool_result",
    "search_result",
    "web_search_result",
];

impl Messages {
    pub(super) fn count_content(&mut self, content: &str, depth: usize) -> Result<(), String> {
        if !content.starts_with('[') {
            return Ok(());
        }
        if depth >= DEPTH_MAX {
            return Err("`messages` nests parts too deeply".to_owned());
        }
        let parts: Vec<Part<'_>> = serde_json::from_str(content).map_err(|error| format!("`messages`: {error}"))?;
        parts.iter().try_for_each(|part| self.count_part(part, depth))
    }

    fn count_part(&mut self, part: &Part<'_>, depth: usize) -> Result<(), String> {
        let kind = part.kind.as_ref().map_or("", |kind| kind.0.as_ref());
        match kind {
            "image_url" | "input_image" => self.count_image(part.image_url),
            "input_audio" => {
                let size_bytes = size(part.input_audio);
                self.audio_bytes += size_bytes;
                self.inline_bytes += size_bytes;
            }
            "file" | "input_file" => {
                let file_data = source(part.file).file_data.or(part.file_data);
                self.inline_bytes += size(file_data);
                self.unmeasured_count += 1;
            }
            "image" | "document" => self.count_source(kind, source(part.source), depth)?,
            _ if TEXT_KINDS.contains(&kind) => {}
            _ => self.unmeasured_count += 1,
        }
        part.content
            .map_or(Ok(()), |content| self.count_content(content.get(), depth + 1))
    }

    /// OpenAI's image: a data URL, or one that the provider fetches.
    fn count_image(&mut self, image: Option<&RawValue>) {
        let url = image
            .filter(|image| image.get().starts_with('"'))
            .or_else(|| source(image).url);
        if url.is_some_and(|url| url.get().starts_with("\"data:")) {
            self.image_count += 1;
            self.inline_bytes += size(url);
        } else {
            self.unmeasured_count += 1;
        }
    }

    /// Anthropic's image or document.
    fn count_source(&mut self, kind: &str, source: Source<'_>, depth: usize) -> Result<(), String> {
        match (kind, source.kind.as_ref().map_or("", |kind| kind.0.as_ref())) {
            ("image", "base64") => {
                self.image_count += 1;
                self.inline_bytes += size(source.data);
            }
            (_, "base64") => {
                self.inline_bytes += size(source.data);
                self.unmeasured_count += 1;
            }
            (_, "text") => {}
            (_, "content") => {
                return source
                    .content
                    .map_or(Ok(()), |content| self.count_content(content.get(), depth + 1));
            }
            _ => self.unmeasured_count += 1,
        }
        Ok(())
    }
}

fn source<'a>(value: Option<&'a RawValue>) -> Source<'a> {
    value
        .and_then(|value| serde_json::from_str(value.get()).ok())
        .unwrap_or_default()
}

fn size(value: Option<&RawValue>) -> u64 {
    value.map_or(0, |value| value.get().len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(messages: &str) -> Messages {
        serde_json::from_str(messages).unwrap()
    }

    #[test]
    fn inline_data_is_not_text_and_what_is_fetched_is_unmeasured() {
        let table = [
            (r#"[]"#, [0, 0, 0, 0]),
            (r#"[{"role":"user","content":"hi"},{"role":"user"}]"#, [2, 0, 0, 0]),
            (r#"[{"content":[{"type":"text","text":"hi"}]}]"#, [1, 0, 0, 0]),
            (
                r#"[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]"#,
                [1, 1, 28, 0],
            ),
            (
                r#"[{"content":[{"type":"image_url","image_url":{"url":"https://x.test/a.png"}}]}]"#,
                [1, 0, 0, 1],
            ),
            (
                r#"[{"content":[{"type":"file","file":{"file_data":"data:;base64,AA"}}]}]"#,
                [1, 0, 17, 1],
            ),
            (
                r#"[{"content":[{"type":"file","file":{"file_id":"file-1"}}]}]"#,
                [1, 0, 0, 1],
            ),
            (
                r#"[{"content":[{"type":"image","source":{"type":"base64","data":"AAAA"}}]}]"#,
                [1, 1, 6, 0],
            ),
            (
                r#"[{"content":[{"type":"image","source":{"type":"url","url":"https://x.test"}}]}]"#,
                [1, 0, 0, 1],
            ),
            (
                r#"[{"content":[{"type":"document","source":{"type":"base64","data":"AAAA"}}]}]"#,
                [1, 0, 6, 1],
            ),
            (
                r#"[{"content":[{"type":"document","source":{"type":"text","data":"plain"}}]}]"#,
                [1, 0, 0, 0],
            ),
            (
                r#"[{"content":[{"type":"tool_result","content":[{"type":"image","source":{"type":"base64","data":"AA"}}]}]}]"#,
                [1, 1, 4, 0],
            ),
            (r#"[{"content":[{"type":"hologram"}]}]"#, [1, 0, 0, 1]),
        ];
        for (text, [message_count, image_count, inline_bytes, unmeasured_count]) in table {
            let expected = Messages {
                message_count,
                image_count,
                inline_bytes,
                unmeasured_count,
                audio_bytes: 0,
            };
            assert_eq!(count(text), expected, "{text}");
        }
        let sound = count(r#"[{"content":[{"type":"input_audio","input_audio":{"data":"AAAA"}}]}]"#);
        assert_eq!((sound.audio_bytes, sound.inline_bytes), (15, 15));
    }

    #[test]
    fn refuses_parts_nested_without_end() {
        let depth = 100;
        let nested = format!(
            "[{{\"content\":{}1{}}}]",
            "[{\"type\":\"text\",\"content\":".repeat(depth),
            "}]".repeat(depth)
        );
        let error = serde_json::from_str::<Messages>(&nested).unwrap_err();
        assert!(error.to_string().contains("too deeply"), "{error}");
    }
}
