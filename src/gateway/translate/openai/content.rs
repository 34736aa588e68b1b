//! The content of an assistant's message or delta: a text, or Mistral's list of chunks, in which thinking stands beside
//! text. Chunks of other kinds (references) say nothing that another dialect could tell.

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum WireContent {
    Text(String),
    Chunks(Vec<Chunk>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Chunk {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: Thoughts,
    },
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Thoughts {
    Text(String),
    Pieces(Vec<Thought>),
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Thought {
    #[serde(default)]
    text: String,
}

impl Default for Thoughts {
    fn default() -> Self {
        Self::Pieces(Vec::new())
    }
}

/// What a piece of content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text(String),
    Thinking(String),
}

impl Said {
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) | Self::Thinking(text) => text.is_empty(),
        }
    }
}

impl WireContent {
    /// The pieces that say something, in their order.
    pub(super) fn said(self) -> Vec<Said> {
        let pieces = match self {
            Self::Text(text) => vec![Said::Text(text)],
            Self::Chunks(chunks) => chunks.into_iter().filter_map(Chunk::said).collect(),
        };
        pieces.into_iter().filter(|said| !said.is_empty()).collect()
    }
}

impl Chunk {
    fn said(self) -> Option<Said> {
        match self {
            Self::Text { text } => Some(Said::Text(text)),
            Self::Thinking { thinking } => Some(Said::Thinking(thinking.text())),
            Self::Other => None,
        }
    }
}

impl Thoughts {
    pub(super) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Pieces(pieces) => pieces.into_iter().map(|piece| piece.text).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_a_text_or_chunks_of_which_some_are_thinking() {
        let thinking = |text: &str| Said::Thinking(text.to_owned());
        let text = |text: &str| Said::Text(text.to_owned());
        let table = [
            (r#""Hello""#, vec![text("Hello")]),
            (r#""""#, Vec::new()),
            ("[]", Vec::new()),
            (
                r#"[{"type":"thinking","thinking":[{"type":"text","text":"H"},{"type":"text","text":"m"}],"closed":true},
                    {"type":"reference","reference_ids":[1]},{"type":"text","text":"Hello"}]"#,
                vec![thinking("Hm"), text("Hello")],
            ),
            (r#"[{"type":"thinking","thinking":"Hm"}]"#, vec![thinking("Hm")]),
            (r#"[{"type":"thinking"},{"type":"text"}]"#, Vec::new()),
        ];
        for (json, expected) in table {
            assert_eq!(
                serde_json::from_str::<WireContent>(json).unwrap().said(),
                expected,
                "{json}"
            );
        }
        for json in ["7", "{}", "[7]", r#"[{"text":"untyped"}]"#] {
            assert!(serde_json::from_str::<WireContent>(json).is_err(), "{json}");
        }
    }
}
