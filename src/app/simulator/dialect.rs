//! The two wire formats that most calls come in, as one type: which bodies and ids an answer has.
//! It only chooses; what is chosen stands in the file of each dialect.

use super::answer::{Answer, AnswerId};
use super::{anthropic, openai};

/// The wire format of a route.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
    /// The id of an answer as the dialect writes it.
    pub(super) fn id(self, id: AnswerId) -> String {
        match self {
            Self::OpenAi => format!("chatcmpl-{id}"),
            Self::Anthropic => format!("msg_{id}"),
        }
    }

    /// The body of a whole answer.
    pub(super) fn body(self, answer: &Answer) -> Vec<u8> {
        match self {
            Self::OpenAi => openai::body(answer),
            Self::Anthropic => anthropic::body(answer),
        }
    }
}
