//! The length of a conversation, summed while its JSON is read and without keeping any of its text.
//! Text is what stands in strings, in parts with `text` and in the results of tools with `content`; images and other
//! parts count nothing.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Deserialize)]
struct Message {
    content: Option<Text>,
}

/// The count of a conversation's messages and the bytes of all their text.
pub(super) struct Messages {
    pub count: u64,
    pub text_bytes: u64,
}

/// The bytes of all text in a string, in a list of parts or in one part.
#[derive(Clone, Copy)]
pub(super) struct Text(pub u64);

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sum;
        impl<'de> Visitor<'de> for Sum {
            type Value = Messages;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Messages, A::Error> {
                let mut sum = Messages {
                    count: 0,
                    text_bytes: 0,
                };
                while let Some(message) = items.next_element::<Message>()? {
                    sum.count += 1;
                    sum.text_bytes += message.content.map_or(0, |content| content.0);
                }
                Ok(sum)
            }
        }
        deserializer.deserialize_seq(Sum)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sum;
        impl<'de> Visitor<'de> for Sum {
            type Value = Text;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or an array of content parts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.len() as u64))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text(0))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text, A::Error> {
                let mut bytes = 0;
                while let Some(part) = parts.next_element::<Text>()? {
                    bytes += part.0;
                }
                Ok(Text(bytes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut part: A) -> Result<Text, A::Error> {
                let mut bytes = 0;
                while let Some(key) = part.next_key::<PartKey>()? {
                    match key {
                        PartKey::Text | PartKey::Content => bytes += part.next_value::<Text>()?.0,
                        PartKey::Other => drop(part.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Text(bytes))
            }
        }
        deserializer.deserialize_any(Sum)
    }
}

/// The keys of a part that hold text: `text` of a text part, `content` of a tool's result.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum PartKey {
    Text,
    Content,
    #[serde(other)]
    Other,
}
